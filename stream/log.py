"""The interface of the log, the same for Kafka and for the SQLite file. Both implementations pass one contract suite.

A log has the topics of `messages.topics`, each in the same number of partitions. Its methods block; a caller that
must not wait calls them in a thread. Threads may share a `Log` or a `Claim`; a `Tail` or a `Membership` belongs to one
thread.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

import msgspec

from messages.topics import Key, Topic, partition_of

MAX_RECORD_BYTES = 10 * 1024 * 1024
"""The largest record, key and headers included: a poll of 10,000 dialers has about half of that."""
MAX_POLL_RECORDS = 2000
"""Most records that one `Tail.poll` returns."""
MAX_POLL_BYTES = 16 * 1024 * 1024
"""A `Tail.poll` or a `Log.read` adds no further record once its values reach this size."""


RECENT_OFFSETS = 500
"""How far back a tail begins in a topic of which only recent records are wanted."""


class LogError(Exception):
    """The log failed or refused; `str()` is one line that says what is wrong, and what to do."""

    at_fault: "Sequence[Entry]" = ()
    """The entries of an append that failed by themselves; empty: it is not known which, or all."""


class LogUnavailableError(LogError):
    """The log does not answer now. Retrying helps."""


class LogRefusedError(LogError):
    """The log refuses: a topic is absent, a password is wrong, another process owns the file.

    Retrying does not help until a person mends it.
    """


class LogInUseError(LogRefusedError):
    """Another process owns the log's file."""


class LogFencedError(LogError):
    """Another process has claimed the partition since: this one must not decide in it any more."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record to append. It goes to the partition of the cluster in its key."""

    topic: Topic
    key: str
    """A `str(messages.topics.Key)`: it begins with the cluster's name."""
    value: bytes | None
    """None: a tombstone, which ends the key."""
    headers: tuple[tuple[str, bytes], ...] = ()
    queued_at: float | None = None
    """When it began to wait to be appended, on this process's monotonic clock; None: it does not wait."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A record in the log."""

    topic: Topic
    partition: int
    offset: int
    """Increases within a partition; compaction leaves gaps."""
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    appended_at_ms: int
    """Wall clock of the process that appended it; for people, never for decisions."""


class Tail(Protocol):
    """A reader that follows some topics."""

    def poll(self, timeout_seconds: float) -> Sequence[Stored]:
        """Return the records since the last call, at most `MAX_POLL_RECORDS`, waiting up to `timeout_seconds` for one.

        Records of one partition of a topic come in order. It may return none before the time is up.

        Raises:
            LogUnavailableError: no record was lost; the next call continues from the same offset.
        """
        ...

    def lag(self) -> int:
        """Return the number of offsets between this reader and the end, as far as it knows without asking."""
        ...

    def caught_up(self) -> bool:
        """Return True once all records were returned that the log had when this tail began, or at `mark_end`."""
        ...

    def read_to_end(self) -> frozenset[int]:
        """Return the partitions of which that is true: one that cannot be read holds up no other."""
        ...

    def mark_end(self, ends: Mapping[tuple[Topic, int], int]) -> None:
        """Make `caught_up` refer to these ends too, as `Log.ends` gives them; of places it does not follow to none.

        For an owner that has just claimed a partition, and must read its predecessor's decisions to the end first.
        """
        ...

    def close(self) -> None: ...


class Membership(Protocol):
    """Membership in a group whose members share its partitions among them."""

    def owned(self, timeout_seconds: float) -> frozenset[int]:
        """Keep the membership alive, and return this member's partitions once they change or `timeout_seconds` pass.

        Call it at least every few seconds: a member that falls silent loses its partitions. A first assignment
        of any partitions is a change too.

        Raises:
            LogUnavailableError: the assignment is not known; act as the owner of none.
        """
        ...

    def close(self) -> None:
        """Leave the group, so that the other members need not wait for a time-out."""
        ...


class Claim(Protocol):
    """The right to store decisions in one partition, until another process claims it."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Append `entries`, all or none, all in the claimed partition, and return when they are durable.

        Raises:
            LogFencedError: another process has claimed the partition since: nothing was stored, and this claim is
                useless from now on. A log may also fence a process that was stopped in the middle of an append.
            LogUnavailableError: it is not known whether they were stored: claim again and read the log.
            LogRefusedError: none was stored.
        """
        ...

    def close(self) -> None:
        """Close connections, once an append in progress has ended; this fences no other claim. Idempotent."""
        ...


class Log(Protocol):
    """An ordered, durable store of records in topics."""

    @property
    def partitions(self) -> int: ...

    def append(self, entries: Sequence[Entry]) -> None:
        """Append `entries`, in order within each partition of a topic, and return when they are durable.

        Raises:
            LogUnavailableError: it is not known which of them were stored; append them all again.
            LogRefusedError: none was stored.
        """
        ...

    def claim(self, partition: int) -> Claim:
        """Claim `partition`, and fence every earlier claim: only the new one can store decisions there.

        When this returns, everything that former claims stored can be read, and nothing more is added to it. `append`
        of the log itself needs no claim. The caller closes the claim, before the log.

        Raises:
            LogUnavailableError: it is not known whether the partition was claimed.
            LogRefusedError: there is no such partition, a topic is absent, or this user has no permission.
        """
        ...

    def read(self, topic: Topic, partition: int, offset: int, limit: int = 1000) -> Sequence[Stored]:
        """Return up to `limit` records from `offset` on, or from the next one after a gap; empty at the end."""
        ...

    def latest(self, topic: Topic, cluster: str) -> Mapping[str, Stored]:
        """Return the latest record of each key of `cluster`, without keys that a tombstone ended."""
        ...

    def ends(self, places: Iterable[tuple[Topic, int]]) -> Mapping[tuple[Topic, int], int]:
        """Return the next offset of each place, a topic and a partition of it, as the log is now.

        Raises:
            LogUnavailableError: some partition does not answer.
            LogRefusedError: a topic is absent.
        """
        ...

    def tail(
        self,
        topics: Iterable[Topic],
        partitions: Iterable[int],
        *,
        from_start: bool,
        recent: Collection[Topic] = (),
    ) -> Tail:
        """Follow `topics` in `partitions`, from their first record or from the next one.

        Of the topics in `recent` a tail from the start returns only the last `RECENT_OFFSETS` offsets of each
        partition. The caller closes the tail, before the log.

        Raises:
            LogUnavailableError: the ends of the partitions could not be asked for.
            LogRefusedError: a topic is absent.
        """
        ...

    def join(self, group: str) -> Membership:
        """Join `group`, whose members share the partitions. The caller closes the membership, before the log.

        Raises:
            LogUnavailableError: the topics could not be asked for.
            LogRefusedError: a topic is absent.
        """
        ...

    def close(self) -> None:
        """Close files and connections. Idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


PlaceT = TypeVar("PlaceT")


def later_ends(marked: Mapping[PlaceT, int], told: Mapping[PlaceT, int]) -> dict[PlaceT, int]:
    """Return how far each place is to be read: what was marked earlier and is further on, stays."""
    return {place: max(end, marked.get(place, end)) for place, end in {**marked, **told}.items()}


def refuse_oversized(entries: Sequence[Entry]) -> None:
    """Refuse a batch with a record that is too large for any log.

    Raises:
        LogRefusedError: an entry is larger than `MAX_RECORD_BYTES`.
    """
    if oversized := [entry for entry in entries if _size(entry) > MAX_RECORD_BYTES]:
        first = oversized[0]
        error = LogRefusedError(
            f"the record {first.key!r} of {first.topic} has {_size(first)} bytes, and {MAX_RECORD_BYTES} are allowed"
        )
        error.at_fault = oversized
        raise error


def _size(entry: Entry) -> int:
    size = len(entry.key.encode()) + len(entry.value or b"")
    return size + sum(len(name.encode()) + len(value) for name, value in entry.headers)


def refuse_foreign(entries: Sequence[Entry], partition: int, partitions: int) -> None:
    """Refuse a batch with a record of another partition than the claimed one.

    Raises:
        LogRefusedError: an entry's cluster belongs in another one of the `partitions`.
    """
    for entry in entries:
        home = partition_of(Key.parse(entry.key).cluster, partitions)
        if home != partition:
            raise LogRefusedError(
                f"the record {entry.key!r} of {entry.topic} belongs in partition {home}, and {partition} is claimed"
            )


def refuse_absent(partition: int, partitions: int) -> None:
    """Refuse a partition that does not exist.

    Raises:
        LogRefusedError: the partition is not one of the `partitions`.
    """
    if not 0 <= partition < partitions:
        raise LogRefusedError(f"there is no partition {partition}: they are numbered from 0 to {partitions - 1}")
