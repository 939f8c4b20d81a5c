"""Heartbeats: whether they advance, on the collector's clock, whatever the dialers' clocks say. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from collectors.phones_in_rooms import Back
from collectors.vicidial.rows import HeartbeatRow
from messages.beats import advances, beats
from messages.records import Heartbeat, ServerIp

OLD_ROWS_SECONDS, AWAY_SECONDS = 15.0, 3.0
"""An updater that is back after a silence of the second may leave the channels of before for the first. One of two does
so (AST_update.pl): for about ten seconds it does not believe that so many channels are gone."""
DOUBT_SECONDS = 1.5
"""A heartbeat that stands still this long is in doubt until it beats again: a sound one advances each second."""


class _Watched(NamedTuple):
    """A heartbeat as last seen."""

    value: tuple[bytes | None, bytes | None]
    heartbeat: Heartbeat
    advances: tuple[int, ...] = ()
    """When it has advanced lately."""
    in_doubt: bool = False
    silent_since_ms: int | None = None
    """When it last advanced before it came into doubt; None: it is not in doubt, or never advanced."""
    back: Back | None = None
    """When its updater was last back after it was away; None: never."""


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
    def silent_since_ms(self) -> dict[ServerIp, int]:
        """The dialers that are in doubt, and when each last advanced; those that were never seen to are left out."""
        silent = ((ip, each.silent_since_ms) for ip, each in self._watched.items())
        return {ip: since_ms for ip, since_ms in silent if since_ms is not None}

    def beats(self, server_ip: ServerIp) -> bool:
        """Return True if a dialer has a heartbeat that is not in doubt."""
        return server_ip in self._watched and not self._watched[server_ip].in_doubt

    def newly_back(self, now_ms: int) -> dict[ServerIp, Back]:
        """Return the dialers whose updater was away, and may not have written its channels since."""
        backs = ((ip, each.back) for ip, each in self._watched.items())
        lately_ms = now_ms - OLD_ROWS_SECONDS * 1000
        return {ip: back for ip, back in backs if back is not None and back.at_ms > lately_ms}

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
    silent_since_ms, back = (None, None) if before is None else (before.silent_since_ms, before.back)
    if in_doubt and (before is None or not before.in_doubt):
        silent_since_ms = progressed_at_ms
    elif before is not None and before.in_doubt and not in_doubt:
        since_ms = heartbeat.watched_since_ms if silent_since_ms is None else silent_since_ms
        if now_ms - since_ms >= AWAY_SECONDS * 1000:
            back = Back(now_ms, since_ms)
        silent_since_ms = None
    return _Watched(row.value, heartbeat, advanced, in_doubt, silent_since_ms, back)


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
