"""Heartbeats: whether they advance, on the collector's clock, whatever the dialers' clocks say. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from collectors.vicidial.rows import HeartbeatRow
from messages.beats import advances, beats
from messages.records import Heartbeat, ServerIp

DOUBT_SECONDS = 1.5
"""A heartbeat that stands still this long is in doubt until it beats again: a sound one advances each second."""


class _Watched(NamedTuple):
    """A heartbeat as last seen."""

    value: tuple[bytes | None, bytes | None]
    heartbeat: Heartbeat
    advances: tuple[int, ...] = ()
    """When it has advanced lately."""
    in_doubt: bool = False


class Heartbeats:
    """The heartbeats of one epoch."""

    def __init__(self) -> None:
        self._watched: dict[ServerIp, _Watched] = {}

    def of(self, server_ip: ServerIp) -> Heartbeat | None:
        """Return a dialer's heartbeat; None: it has no row."""
        watched = self._watched.get(server_ip)
        return None if watched is None else watched.heartbeat

    @property
    def in_doubt(self) -> frozenset[ServerIp]:
        """The dialers whose heartbeat stands still, or does not yet beat again."""
        return frozenset(ip for ip, watched in self._watched.items() if watched.in_doubt)

    @property
    def unproven(self) -> frozenset[ServerIp]:
        """The dialers whose heartbeat has not advanced in this epoch: their updater may have ended before it."""
        return frozenset(ip for ip, watched in self._watched.items() if watched.heartbeat.progressed_at_ms is None)

    @property
    def last_beat_ms(self) -> int | None:
        """When any heartbeat last advanced, or was first watched; None: there are none."""
        beats = (each.heartbeat for each in self._watched.values())
        return max((each.progressed_at_ms or each.watched_since_ms for each in beats), default=None)

    def watch(self, now_ms: int, seen: Mapping[ServerIp, HeartbeatRow]) -> None:
        """Update each heartbeat's progress: it advances when its value changes, whatever the value is."""
        self._watched = {ip: _watched(self._watched.get(ip), row, now_ms) for ip, row in seen.items()}


def _watched(before: _Watched | None, row: HeartbeatRow, now_ms: int) -> _Watched:
    heartbeat = _seen_again(before, row, now_ms)
    progressed_at_ms = heartbeat.progressed_at_ms
    advanced = advances(() if before is None else before.advances, progressed_at_ms, now_ms)
    still_ms = now_ms - (heartbeat.watched_since_ms if progressed_at_ms is None else progressed_at_ms)
    in_doubt = still_ms >= DOUBT_SECONDS * 1000 or (before is not None and before.in_doubt and not beats(advanced))
    return _Watched(row.value, heartbeat, advanced, in_doubt)


def _seen_again(before: _Watched | None, row: HeartbeatRow, now_ms: int) -> Heartbeat:
    if before is None:
        return Heartbeat(watched_since_ms=now_ms, age_seconds=row.age_seconds)
    known = before.heartbeat
    if before.value == row.value:
        return Heartbeat(
            progressed_at_ms=known.progressed_at_ms,
            watched_since_ms=known.watched_since_ms,
            age_seconds=row.age_seconds,
            clock_skew_seconds=known.clock_skew_seconds,
        )
    return Heartbeat(
        progressed_at_ms=now_ms,
        watched_since_ms=known.watched_since_ms,
        age_seconds=row.age_seconds,
        clock_skew_seconds=None if row.age_seconds is None else -row.age_seconds,
    )
