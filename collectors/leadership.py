"""Leadership: one collector at a time works for a cluster, the leader, each in a term with an epoch of its own.

The lock lies in the cluster's own database, since whoever cannot reach that has nothing to say. The epoch is claimed
on the log. A collector takes the lock, appends a claim on the next epoch, reads the log on until its claim comes back,
and looks at the lock again; then its term begins. With the connection goes the lock, and with the lock the term.

This module is the rule. It is told what happened and answers what is next; the database, the log and the clocks are
elsewhere (`collectors.collector`).

Note [Two collectors that both believe in their lock]. The database hangs up on a collector that fell silent, and the
next one gets the lock, while the first one may still be on its way to the log with a claim. Two guards keep their terms
apart. A claim that stands in the log beside another one on the same or a later epoch is beaten: whoever reads that
claims anew, so an epoch has one collector. And the lock is looked at after the claim has come back: whoever has lost it
by then does not lead at all.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from messages.codec import NewerRecordError, UndecodableRecordError, decode, stamp_of_any_version
from messages.keys import key_of
from messages.records import AnyRecord, EpochClaim, Poll, Stamped
from messages.topics import Key
from stream.log import Stored

QUIET_SECONDS = 5.0
"""After this time without a poll, no collector works."""
CLAIM_SECONDS = 18.0
"""How long an epoch may take to claim: until a claim came back from the log, and was not beaten."""
FOREIGN_SECONDS = 25.0
"""While the lock is taken and no poll came for this long, it is held by a collector with another log. A leader of one's
own that cannot append has given it back by then."""
ANOTHER_SECONDS = 60.0
"""A leader doubts for so long after its term began, if another installation's collector had the lock before: that one
may only be restarting, and says no sooner than after `FOREIGN_SECONDS` that it waits."""
LOCK_SECONDS = 0.5
"""How often a collector that stands by asks for the lock."""
USELESS_SECONDS = 10.0
"""A leader whose records the log has not taken for this long gives the lock back, for another one to try."""
STILL_SECONDS = 20.0
"""When every heartbeat has stood still for this long, a leader looks whether its address leads to another server now:
after a switch-over the old one may still answer."""
SHORT_TERM_SECONDS = 5.0
"""A term that broke off sooner would only break off again: the next one waits, as after any other failure."""


SLOWER = 0.01
"""By so much a term's time goes slower while it is ahead of the wall clock. Whoever judges a poll's age bears twice as
much (`controller.core.freshness`); a clock that was two hours ahead once is right again after nine days."""

NO_STAMP = (0, 0)


class Step(Enum):
    """The next thing that a collector does."""

    FOLLOW = "read the log on, until all is read that stood there"
    TAKE_LOCK = "ask for the lock, and read the log on while another collector has it"
    CLAIM = "append a claim on the next epoch"
    READ_BACK = "read the log on until the claim comes back"
    LOOK_AT_LOCK = "look whether the lock is still held"
    LEAD = "poll"


@dataclass(frozen=True, slots=True)
class Term:
    """One collector's term: its epoch, and the log's time, which its monotonic clock counts from where it began.

    The log's time never goes back. So a wall clock that was far ahead once would leave it ahead for good; instead it
    goes a little slower until the wall clock has caught up with it.
    """

    epoch: int
    began_ms: int
    began_at: float
    ahead_ms: int = 0
    """How far it was ahead of the wall clock when it began."""

    def at_ms(self, now: float) -> int:
        """Return the log's time at a moment of the monotonic clock."""
        elapsed_ms = round((now - self.began_at) * 1000)
        return self.began_ms + elapsed_ms - min(self.ahead_ms, round(elapsed_ms * SLOWER))

    def was_short(self, now: float) -> bool:
        """Return True if a term that ends now broke off so soon that the next one must wait."""
        return now - self.began_at < SHORT_TERM_SECONDS


class AnotherInstallation:
    """Another installation on a collector's database, as far as that one knows. It outlives the terms.

    Times are of the collector's monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        """When it last had the lock, or this collector's term after that began; None: there is none, or no more."""

    def had_lock(self, now: float) -> None:
        """Record that it has the lock."""
        self._since = now

    def begin_term(self, now: float) -> None:
        """Record that this collector leads: the other one may come back, however long ago it had the lock."""
        if self._since is not None:
            self._since = now

    def may_return(self, now: float) -> bool:
        """Return True while it may only be restarting: then nothing may be carried out."""
        if self._since is not None and now - self._since >= ANOTHER_SECONDS:
            self._since = None
        return self._since is not None


class Leadership:
    """One collector's way to its next term, and that term. It belongs to one thread.

    Times are of the collector's monotonic clock, in seconds; `wall_ms` is the wall clock.
    """

    def __init__(
        self, cluster: str, collector: str, *, gave_way: bool = False, another: AnotherInstallation | None = None
    ) -> None:
        """Begin with nothing known.

        Args:
            cluster: the cluster.
            collector: names this process among all others.
            gave_way: this collector's last term ended because another one had begun a later term.
            another: what this collector has seen of another installation; None: nothing.
        """
        self._another = AnotherInstallation() if another is None else another
        self._cluster = cluster
        self._collector = collector
        self.epoch, self.sequence = NO_STAMP
        """The newest stamp that stands in the log."""
        self._observed_at_ms = 0
        self._polled_at: float | None = None
        self._taken_since: float | None = None
        """Since when the lock is another collector's."""
        self._gave_way = gave_way
        self._caught_up_at: float | None = None
        self._is_caught_up = False
        self._holds_lock = False
        self._claim: EpochClaim | None = None
        self._claim_until = 0.0
        self._came_back = False
        self._rival_epoch = 0
        """The newest epoch that another collector has claimed since this one did."""
        self.term: Term | None = None
        self._claimed_at = 0.0
        self._stored_ms = 0
        """When the claim was stored, by the log's own wall clock."""

    # --- answers ----------------------------------------------------------------------------------------------------

    @property
    def next(self) -> Step:
        """Return what to do now."""
        if not self._is_caught_up:
            return Step.FOLLOW
        if self.term is not None:
            return Step.LEAD
        if not self._holds_lock:
            return Step.TAKE_LOCK
        if self._claim is None:
            return Step.CLAIM
        if not self._came_back:
            return Step.READ_BACK
        return Step.CLAIM if self.is_beaten else Step.LOOK_AT_LOCK

    @property
    def is_beaten(self) -> bool:
        """Return True if another collector claimed the same epoch, or a later one."""
        return self._claim is not None and self._rival_epoch >= self._claim.epoch

    def is_overdue(self, now: float) -> bool:
        """Return True if claiming an epoch takes too long: the log does not answer, or too many collectors claim."""
        return self._claim is not None and now > self._claim_until

    def another_polls(self, now: float) -> bool:
        """Return True if another collector reaches the database: then it is not away, only this process is cut off."""
        return self._polled_at is not None and now - self._polled_at < QUIET_SECONDS

    def stays_away(self, now: float) -> bool:
        """Return True while the lock must not even be asked for: the collector that this one gave way to still polls.

        It may have its lock at another server.
        """
        if not self._gave_way or self._caught_up_at is None:
            return False
        return now - max(self._caught_up_at, self._polled_at or 0.0) < QUIET_SECONDS

    def is_foreign(self, now: float) -> bool:
        """Return True if the lock is held by a collector that publishes to another log."""
        if self._taken_since is None or self.another_polls(now):
            return False
        return now - max(self._taken_since, self._polled_at or 0.0) >= FOREIGN_SECONDS

    def log_time_ms(self, wall_ms: int) -> int:
        """Return the log's time now: the wall clock, unless that is behind the last poll. The log's never goes back."""
        return max(wall_ms, self._observed_at_ms + 1)

    def log_clock_ms(self, now: float) -> int:
        """Return the log's own wall clock, as the claim that came back tells it: to the time that its append took."""
        return self._stored_ms + round((now - self._claimed_at) * 1000)

    # --- what happened ----------------------------------------------------------------------------------------------

    def read(self, batch: Sequence[Stored], now: float, *, caught_up: bool) -> None:
        """Record what the log says of this cluster and of other collectors.

        Args:
            batch: observations, in the log's order.
            now: when they came in.
            caught_up: everything is read that stood in the log when this collector began to follow it.
        """
        self._is_caught_up = self._is_caught_up or caught_up
        if self._is_caught_up and self._caught_up_at is None:
            self._caught_up_at = now
        for stored in batch:
            key = Key.parse(stored.key)
            if key.cluster == self._cluster and stored.value is not None:
                self._read_one(key, stored, stored.value, now)

    def lock_taken(self) -> None:
        """Record that the database gave the lock to this collector."""
        self._holds_lock = True
        self._taken_since = None
        self._gave_way = False

    def lock_denied(self, now: float) -> None:
        """Record that another collector has the lock."""
        if self._taken_since is None:
            self._taken_since = now
        # One of its own that has not polled once since this one asks is suspected wrongly: rare, and it costs a minute.
        unheard = (self._polled_at or 0.0) <= self._taken_since <= now - QUIET_SECONDS
        if unheard or self.is_foreign(now):
            self._another.had_lock(now)

    def lock_lost(self) -> None:
        """End the term, or the way to it: the connection is gone, and the lock with it."""
        self._holds_lock = False
        self._taken_since = None
        self._claim = None
        self.term = None

    def claim(self, now: float) -> EpochClaim:
        """Claim the next epoch, and return the record to append."""
        if self._claim is None:
            self._claim_until = now + CLAIM_SECONDS
        self._claim = EpochClaim(cluster=self._cluster, epoch=self.epoch + 1, sequence=0, collector=self._collector)
        self._came_back = False
        self._rival_epoch = 0
        self._claimed_at = now
        return self._claim

    def look_at_lock(self, now: float, wall_ms: int, *, held: bool) -> None:
        """Begin the term, or give way if the lock was lost while the claim was on its way."""
        if self._claim is None or not held:
            self.lock_lost()
            return
        began_ms = self.log_time_ms(wall_ms)
        self.term = Term(self._claim.epoch, began_ms, now, ahead_ms=began_ms - wall_ms)
        self._another.begin_term(now)

    def _read_one(self, key: Key, stored: Stored, value: bytes, now: float) -> None:
        record, stamp = _read(stored, value)
        self.epoch, self.sequence = max((self.epoch, self.sequence), stamp)
        if isinstance(record, Poll):
            self._observed_at_ms = max(self._observed_at_ms, record.observed_at_ms)
        # what stands under the cluster's own key closes a poll, whatever its version
        if not key.kind and stamp > NO_STAMP and self._is_caught_up:
            self._polled_at = now
            self._another.may_return(now)  # what an own leader has doubted long enough, its standby forgets too
        if self._claim is None or key != key_of(self._claim):
            return
        if record == self._claim:
            self._came_back = True
            self._stored_ms = stored.appended_at_ms
        else:
            self._rival_epoch = max(self._rival_epoch, stamp[0])


def _read(stored: Stored, value: bytes) -> tuple[AnyRecord | None, tuple[int, int]]:
    """Return an observation and its stamp. Of what a newer collector published the stamp counts too.

    An epoch is counted on from the newest one: by one that was counted on from an older, nobody would be heard.
    """
    try:
        record = decode(stored.topic, value)
        return record, (record.epoch, record.sequence) if isinstance(record, Stamped) else NO_STAMP
    except NewerRecordError:
        with suppress(UndecodableRecordError):
            return None, stamp_of_any_version(value)
    except UndecodableRecordError:
        pass  # the controller reads it too, and reports it
    return None, NO_STAMP
