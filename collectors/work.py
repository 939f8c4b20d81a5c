"""Work done: a sign of life that is read only while a dialer's heartbeat is in doubt. Pure.

A dialer's listener marks a row of `vicidial_manager` as UPDATED when its Asterisk announces that a call rings or is
answered. Nothing else in VICIdial writes that status: not the sender, which marks rows as SENT even if Asterisk is
mute, and not the web servers. So a count of these rows that rises shows that Asterisk, the listener and their way to
the database work. A count that falls shows nothing: hangups lower it, and so does VICIdial's hourly clean-up.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from messages.records import ServerIp

LOOK_SECONDS = 120.0
"""A dialer that has shown no work for this long is not read any more until its heartbeat has beaten: longer than a
heartbeat alone needs to be judged, so that one which is gone for good costs nothing."""
GAP_SECONDS = 2.0
"""After a longer gap between polls a rise does not show when it came."""
MOST = 10
"""Most dialers that are read at one poll, those in doubt since the latest time first: if more heartbeats stand still,
it is hardly the dialers."""


@dataclass
class _Doubted:
    """A dialer in doubt, as last seen."""

    since_ms: int
    rows: int | None = None
    """At the poll before; None: not read then, so that a rise would not show when it came."""
    worked_at_ms: int | None = None


class Work:
    """The work of the dialers in doubt, of one epoch."""

    def __init__(self) -> None:
        self._doubted: dict[ServerIp, _Doubted] = {}
        self._watched_ms = 0
        self.to_read: tuple[ServerIp, ...] = ()
        """The dialers whose rows the next poll should count."""

    def of(self, server_ip: ServerIp) -> int | None:
        """Return when a dialer was last seen to work since its doubt began; None: not seen."""
        doubted = self._doubted.get(server_ip)
        return None if doubted is None else doubted.worked_at_ms

    def watch(
        self,
        now_ms: int,
        in_doubt: Collection[ServerIp],
        counts: Mapping[ServerIp, int] | None,
        read: Collection[ServerIp] | None = None,
    ) -> None:
        """Compare the counts of dialers with those of the poll before.

        Args:
            now_ms: the log's time.
            in_doubt: the dialers whose heartbeat is in doubt.
            counts: their rows; None: they were not read.
            read: the dialers of whom they were read; None: those in `to_read`.
        """
        read = self.to_read if read is None else read
        self._doubted = {ip: self._doubted.get(ip) or _Doubted(now_ms) for ip in in_doubt}
        gap, self._watched_ms = now_ms - self._watched_ms > GAP_SECONDS * 1000, now_ms
        for ip, doubted in self._doubted.items():
            before, doubted.rows = doubted.rows, None
            if counts is None or ip not in read:
                continue
            doubted.rows = counts.get(ip, 0)
            if before is not None and doubted.rows > before and not gap:
                doubted.worked_at_ms = now_ms
        looked_at = {
            ip: each.since_ms
            for ip, each in self._doubted.items()
            if now_ms - (each.worked_at_ms or each.since_ms) < LOOK_SECONDS * 1000
        }
        self.to_read = tuple(sorted(looked_at, key=lambda ip: (-looked_at[ip], ip))[:MOST])
