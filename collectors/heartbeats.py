"""Heartbeats: whether they advance, on the collector's clock, whatever the dialers' clocks say. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from collectors.vicidial.rows import HeartbeatRow
from messages.records import Heartbeat, ServerIp


class _Watched(NamedTuple):
    """A heartbeat as last seen."""

    value: tuple[bytes | None, bytes | None]
    heartbeat: Heartbeat


class Heartbeats:
    """The heartbeats of one epoch."""

    def __init__(self) -> None:
        self._watched: dict[ServerIp, _Watched] = {}

    def of(self, server_ip: ServerIp) -> Heartbeat | None:
        """Return a dialer's heartbeat; None: it has no row."""
        watched = self._watched.get(server_ip)
        return None if watched is None else watched.heartbeat

    def watch(self, now_ms: int, seen: Mapping[ServerIp, HeartbeatRow]) -> None:
        """Update each heartbeat's progress: it advances when its value changes, whatever the value is."""
        self._watched = {
            ip: _Watched(row.value, _seen_again(self._watched.get(ip), row, now_ms)) for ip, row in seen.items()
        }


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
