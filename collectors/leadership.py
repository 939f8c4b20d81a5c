"""Whose turn it is: one collector at a time for a cluster, each with an epoch of its own.

The lock lies in the cluster's own database, since whoever cannot reach that has nothing to say. The epoch is claimed
on the log, in this order: the lock taken, the log read to its end, the claim appended and read back, the lock looked
at again. Two collectors that both believe in their lock for a moment then never share an epoch: the second to claim
sees the first one's claim, or has lost the lock it looks at last.
"""

import time
from contextlib import suppress

import structlog

from messages.codec import NewerRecordError, UndecodableRecordError, decode, stamp_of_any_version
from messages.records import Poll, EpochClaim, Stamped
from messages.topics import Key, Topic, partition_of
from stream.entries import entry_of
from stream.log import Log, LogUnavailableError, Stored

CLAIM_SECONDS = 10.0
"""How long the claim may take to come back from the log."""

log = structlog.get_logger()


class LogWatch:
    """What a collector that stands by knows of its cluster's log: how far it got, and under which epoch."""

    def __init__(self, cluster: str, to: Log) -> None:
        self._cluster = cluster
        self._log = to
        partition = partition_of(cluster, to.partitions)
        self._tail = to.tail([Topic.OBSERVATIONS], [partition], from_start=True)
        self.epoch = 0
        self.sequence = 0
        self.observed_at_ms = 0
        self.polled_at: float | None = None
        """When a poll last came in, on this process's monotonic clock."""
        self._claims: list[EpochClaim] = []

    def close(self) -> None:
        """Stop watching. Idempotent."""
        self._tail.close()

    def follow(self, timeout_seconds: float) -> bool:
        """Read on, waiting up to `timeout_seconds`; tell whether all that stood in the log at the start is read."""
        for stored in self._tail.poll(timeout_seconds):
            if Key.parse(stored.key).cluster != self._cluster or stored.value is None:
                continue
            try:
                record = decode(stored.topic, stored.value)
            except NewerRecordError:
                self._note_newer(stored)
                continue
            except UndecodableRecordError:
                continue  # the controller reads it too, and reports it
            if isinstance(record, Stamped):
                self._note_stamp((record.epoch, record.sequence))
            if isinstance(record, EpochClaim):
                self._claims.append(record)
            elif isinstance(record, Poll):
                self.observed_at_ms = max(self.observed_at_ms, record.observed_at_ms)
                if self._tail.caught_up():
                    self.polled_at = time.monotonic()
        return self._tail.caught_up()

    def _note_stamp(self, stamp: tuple[int, int]) -> None:
        self.epoch, self.sequence = max((self.epoch, self.sequence), stamp)

    def _note_newer(self, stored: Stored) -> None:
        """Take note of what a newer collector published: an epoch is counted on from it, or nobody would listen."""
        with suppress(UndecodableRecordError):
            self._note_stamp(stamp_of_any_version(stored.value or b""))
            # what stands under the cluster's own key is a poll: others may say that there is none
            if self._tail.caught_up() and not Key.parse(stored.key).kind:
                self.polled_at = time.monotonic()

    def claim(self, collector: str) -> int:
        """Claim the next epoch, and tell which.

        Raises:
            LogUnavailableError: the claim did not come back from the log.
        """
        deadline = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < deadline:
            mine = EpochClaim(cluster=self._cluster, epoch=self.epoch + 1, sequence=0, collector=collector)
            self._claims.clear()
            self._log.append([entry_of(mine)])
            while mine not in self._claims:
                self.follow(0.1)
                if time.monotonic() > deadline:
                    raise LogUnavailableError(f"a claim on cluster {self._cluster} did not come back from the log")
            if all(claim.epoch < mine.epoch or claim == mine for claim in self._claims):
                return mine.epoch
            log.info("another collector claimed first; claiming again", cluster=self._cluster)
        raise LogUnavailableError(f"too many collectors claim cluster {self._cluster}")
