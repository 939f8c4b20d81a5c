"""Wall clocks that differ: this collector's from its database's or the log's. That is said, and harms nothing here.

A term's time begins by the database's clock, and times of day go by it: VICIdial itself lives by it, and it is the same
for every collector of a cluster.
"""

import structlog

from collectors.metrics import CollectorInstruments

APART_SECONDS = 60.0
"""Clocks that are set by anything at all differ by less."""
REMEDY = "set up time synchronisation (chrony, ntpd), from the same source everywhere"

log = structlog.get_logger()


class Clocks:
    """The clocks that differ from this collector's, as they were last read. It belongs to the collector's thread."""

    def __init__(self, cluster: str, instruments: CollectorInstruments) -> None:
        """Begin with no clock read."""
        self._cluster = cluster
        self._instruments = instruments
        self._apart: set[str] = set()

    def note(self, of: str, clock_ms: int, wall_ms: int) -> None:
        """Record what a clock and this collector's said at the same moment, and log once that they differ by much."""
        ahead_seconds = (clock_ms - wall_ms) / 1000
        self._instruments.clock_ahead.labels(self._cluster, of).set(ahead_seconds)
        is_apart = abs(ahead_seconds) >= APART_SECONDS
        if is_apart and of not in self._apart:
            log.warning(
                "this machine's clock is wrong, or another one is",
                cluster=self._cluster,
                of=of,
                ahead_seconds=round(ahead_seconds),
                remedy=REMEDY,
            )
        (self._apart.add if is_apart else self._apart.discard)(of)
