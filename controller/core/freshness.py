"""The age of the latest poll, and when it can be believed. Times are seconds of this process's monotonic clock.

A poll says how long it waited in its collector. How long it was on its way from there is not known: the log's clock and
this process's have nothing in common. But what took longer than the quickest way ever seen is older by the difference,
since it waited while the log or this process was held up.

Note [A process that has just begun]. It has seen no quick way yet, so the first poll that comes would be fresh, however
long it was on its way. Two things are certain all the same. What waited in its collector says so. And whoever works off
what has piled up reads polls faster than they are made: then each has a quicker way than the one before. As long as
that goes on, and for most of a poll's time after it, nothing is decided. The same holds for a new epoch, whose clock is
another collector's.

Note [Clocks that run apart]. The quickest way may grow: clocks drift, and a collector whose machine stood still has
lost that time for good. Without that its polls would be old for ever. It grows only while polls come, or after an hour
without any a minute would be forgiven; and while what has piled up is worked off, only after that.
"""

import msgspec

from controller.core.news import Stamp

CLOCK_DRIFT = 0.02
"""How fast the quickest way may grow, in seconds a second. Real clocks drift by a hundredth of it; but a machine that
is stopped for seconds (a snapshot, a migration) loses them on its monotonic clock, and catches up at this rate."""
MOST_SECONDS = 2.0
"""Most time between two polls that counts for that growth."""
NOISE_SECONDS = 0.05
"""By so much one way is longer than the next without any reason."""
QUICKER_SECONDS = 0.3
"""By so much the quickest way falls only if polls come faster than they are made: a sound one is read, sent and folded
in less."""
ANEW_SECONDS = 30.0
"""When for so long no poll came but such as are older than what is known, what is known is of another log."""
SETTLES_SECONDS = 0.4
"""So long polls must have come no faster than they are made: most of the time from one to the next."""


class Freshness(msgspec.Struct):
    """The age of the latest poll of a cluster."""

    fresh_at: float | None = None
    """When the latest poll was observed; None: no poll since this process caught up with the log."""
    heard_at: float | None = None
    """When a collector last published a poll or an outage; None as above."""
    quickest_way: float | None = None
    """The least time between a poll that leaves its collector (the log's clock) and its arrival here, in this epoch."""
    latest_way: float = 0.0
    latest_at: float = 0.0
    drift_owed: float = 0.0
    """By so much the clocks may have drifted while polls came faster than they are made."""
    epoch: int = -1
    believed_way: float = 0.0
    """The quickest way as far as it follows clocks that drift: below it by more, polls came faster than are made."""
    believed_since: float = 0.0
    """When they last did, or when the epoch began."""
    contradicted_since: float | None = None
    """Since when all polls that come are older than the latest one; None: they are not."""

    def record_poll(self, stamp: Stamp, observed_at_ms: int, waited_ms: int, now: float) -> None:
        """Record the arrival of a poll, and its age by then."""
        way = now - (observed_at_ms + waited_ms) / 1000
        if self.quickest_way is None or stamp[0] != self.epoch:
            self.epoch, self.quickest_way, self.drift_owed = stamp[0], way, 0.0
            self.believed_way, self.believed_since = way, now
        drift = CLOCK_DRIFT * min(now - self.latest_at, MOST_SECONDS)
        self.drift_owed += drift
        grown = self.quickest_way
        # by one that came faster than it was made the clocks are not known to have drifted, until the next one comes
        if way > self.latest_way - NOISE_SECONDS:
            grown, self.drift_owed = grown + self.drift_owed, 0.0
        self.quickest_way, self.latest_way, self.latest_at = min(way, grown), way, now
        if self.quickest_way < self.believed_way - QUICKER_SECONDS:
            self.believed_way, self.believed_since = self.quickest_way, now
        self.believed_way = max(self.quickest_way, self.believed_way - drift)
        self.contradicted_since = None
        self.fresh_at = now - (way - self.quickest_way) - waited_ms / 1000

    def record_older_poll(self, now: float) -> None:
        """Record the arrival of a poll that is older than the latest one, and was dropped."""
        if self.contradicted_since is None:
            self.contradicted_since = now

    def is_contradicted(self, now: float) -> bool:
        """Return True if polls come, and all of them are older than the latest one."""
        since = self.contradicted_since
        heard = self.heard_at is not None and now - self.heard_at < ANEW_SECONDS
        return heard and since is not None and now - since >= ANEW_SECONDS

    def age_seconds(self, now: float) -> float | None:
        """Return the age of the latest poll in seconds; None: no poll since this process started."""
        return None if self.fresh_at is None else max(0.0, now - self.fresh_at)

    def is_settled(self, now: float) -> bool:
        """Return True if the age can be believed: polls come no faster than they are made."""
        return self.quickest_way is not None and now - self.believed_since >= SETTLES_SECONDS
