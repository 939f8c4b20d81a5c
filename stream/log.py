"""What hotdesk asks of a log, whichever one it is. Both implementations pass one contract suite.

A log holds the topics of `messages.topics`, each in the same number of partitions. Its methods block; a caller that
must not wait has a thread for them. `Log` and a `Claim` may be shared between threads; a `Tail` or a
`Membership` belongs to one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

import msgspec

from messages.topics import Key, Topic, partition_of

MAX_RECORD_BYTES = 10 * 1024 * 1024
"""The largest record, key and headers included: a poll of 10,000 dialers is about half of it."""
MAX_POLL_RECORDS = 2000
"""How many records one `Tail.poll` gives at most."""
MAX_POLL_BYTES = 16 * 1024 * 1024
"""A `Tail.poll` or a `Log.read` adds no further record once it holds so many bytes of values."""


RECENT_OFFSETS = 500
"""How far back a tail begins in a topic of which only the latest is wanted."""


class LogError(Exception):
    """Something about the log; `str()` is one line that says what, and what to do."""


class LogUnavailableError(LogError):
    """The log does not answer now. Trying again helps."""


class LogRefusedError(LogError):
    """The log will not do this: a topic is absent, a password wrong, a file owned by another process.

    Trying again does not help before somebody mends it.
    """


class LogInUseError(LogRefusedError):
    """Another process owns the log's file."""


class LogFencedError(LogError):
    """Somebody else claimed the partition since: whoever hears this may decide nothing in it any more."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A record to append. Its partition is that of the key's cluster."""

    topic: Topic
    key: str
    """As `str(messages.topics.Key)`: it begins with the cluster's name."""
    value: bytes | None
    """None: a tombstone, which ends the key."""
    headers: tuple[tuple[str, bytes], ...] = ()


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A record that the log holds."""

    topic: Topic
    partition: int
    offset: int
    """Grows within a partition; compaction leaves gaps."""
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    appended_at_ms: int
    """The wall clock of whoever appended it; for people, never for decisions."""


class Tail(Protocol):
    """A reader that follows some topics."""

    def poll(self, timeout_seconds: float) -> Sequence[Stored]:
        """Give what came since the last call, at most some thousand records, waiting up to `timeout_seconds`.

        Records of one partition of a topic come in order. It may give none before the time is up.

        Raises:
            LogUnavailableError: nothing was lost; the next call goes on from the same place.
        """
        ...

    def lag(self) -> int:
        """Tell how many offsets lie between this reader and the end, as far as it knows without asking."""
        ...

    def caught_up(self) -> bool:
        """Tell whether everything was given out that stood in the log when this tail began, or at `mark_end`."""
        ...

    def mark_end(self) -> None:
        """From now on `caught_up` means: everything that stands in the log now was given out.

        For an owner that has just claimed a partition, and must first read its predecessor's decisions to the end.

        Raises:
            LogUnavailableError: where the partitions end could not be asked; what `caught_up` means is unchanged.
        """
        ...

    def close(self) -> None: ...


class Membership(Protocol):
    """A place among those who share a group's partitions out between them."""

    def owned(self, timeout_seconds: float) -> frozenset[int]:
        """Keep the membership alive, waiting up to `timeout_seconds` for news, and tell which partitions are mine.

        To be called at least every few seconds: a member that falls silent loses its partitions. News is an answer
        that differs from the last one, and the first one that owns anything.

        Raises:
            LogUnavailableError: nobody knows who owns what; act as the owner of none.
        """
        ...

    def close(self) -> None:
        """Leave the group, so that the others need not wait for a time-out."""
        ...


class Claim(Protocol):
    """The right to write decisions in one partition, until somebody else claims it."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Store `entries`, all or none, all of them in the claimed partition, and return when they are durable.

        Raises:
            LogFencedError: another claimed it since: nothing was stored, and this claim is of no more use. A log
                may also take a claim from a process that stood still in the middle of an append.
            LogUnavailableError: it is not known whether they were stored: claim again and read what is there.
            LogRefusedError: none was stored.
        """
        ...

    def close(self) -> None:
        """Let go of connections, when an append that is under way has ended; nobody is fenced by it. Idempotent."""
        ...


class Log(Protocol):
    """An ordered, durable store of records in topics."""

    @property
    def partitions(self) -> int: ...

    def append(self, entries: Sequence[Entry]) -> None:
        """Store `entries`, in order within each partition of a topic, and return when they are durable.

        Raises:
            LogUnavailableError: it is not known which of them were stored; append them all again.
            LogRefusedError: none was stored.
        """
        ...

    def claim(self, partition: int) -> Claim:
        """Become the one writer of decisions in `partition`: whoever claimed it before can write none any more.

        What former claims stored can be read when this returns, and nothing is added to it. `append` of the log
        itself asks for no claim. The caller closes the claim, before the log.

        Raises:
            LogUnavailableError: it is not known whether it was claimed.
            LogRefusedError: there is no such partition, a topic is absent, or this user may not.
        """
        ...

    def read(self, topic: Topic, partition: int, offset: int, limit: int = 1000) -> Sequence[Stored]:
        """Give up to `limit` records from `offset` on (the first is the first one not before it); empty at the end."""
        ...

    def latest(self, topic: Topic, cluster: str) -> Mapping[str, Stored]:
        """Give the latest record of each key of `cluster`, without keys that a tombstone ended."""
        ...

    def tail(
        self,
        topics: Iterable[Topic],
        partitions: Iterable[int],
        *,
        from_start: bool,
        recent: Collection[Topic] = (),
    ) -> Tail:
        """Follow `topics` in `partitions`, from their first record or from what comes next.

        Of the topics in `recent` a tail from the start gives the last `RECENT_OFFSETS` offsets of each partition only.
        The caller closes the tail, before the log.

        Raises:
            LogUnavailableError: where the partitions end could not be asked.
            LogRefusedError: a topic is absent.
        """
        ...

    def join(self, group: str) -> Membership:
        """Become a member of `group`, which shares the partitions out. The caller closes it, before the log.

        Raises:
            LogUnavailableError: it could not be asked whether the topics exist.
            LogRefusedError: they do not.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. Idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def refuse_oversized(entries: Sequence[Entry]) -> None:
    """Refuse a batch with a record that no log would take.

    Raises:
        LogRefusedError: an entry is larger than `MAX_RECORD_BYTES`.
    """
    for entry in entries:
        size = len(entry.key.encode()) + len(entry.value or b"")
        size += sum(len(name.encode()) + len(value) for name, value in entry.headers)
        if size > MAX_RECORD_BYTES:
            raise LogRefusedError(
                f"the record {entry.key!r} of {entry.topic} has {size} bytes, and {MAX_RECORD_BYTES} are allowed"
            )


def refuse_foreign(entries: Sequence[Entry], partition: int, partitions: int) -> None:
    """Refuse a batch with a record that does not belong in the claimed partition.

    Raises:
        LogRefusedError: an entry's cluster is in another one of the `partitions`.
    """
    for entry in entries:
        home = partition_of(Key.parse(entry.key).cluster, partitions)
        if home != partition:
            raise LogRefusedError(
                f"the record {entry.key!r} of {entry.topic} belongs in partition {home}, and {partition} is claimed"
            )


def refuse_absent(partition: int, partitions: int) -> None:
    """Refuse a partition that is none.

    Raises:
        LogRefusedError: it is not one of the `partitions`.
    """
    if not 0 <= partition < partitions:
        raise LogRefusedError(f"there is no partition {partition}: they are numbered from 0 to {partitions - 1}")
