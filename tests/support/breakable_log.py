"""A log that goes away and comes back when a test says so: the outside, as it is on a bad day."""

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from messages.topics import Topic
from stream.log import Claim, Entry, Log, LogUnavailableError, Membership, Stored, Tail


class BreakableLog:
    """A real log behind a line that may be cut: whoever asks then hears that nobody answers."""

    def __init__(self, real: Log) -> None:
        self._real = real
        self._there = threading.Event()
        self._there.set()
        self._unforeseen: list[Exception] = []
        self.refused = 0
        """Appends that were refused."""

    @property
    def partitions(self) -> int:
        return self._real.partitions

    def cut(self) -> None:
        self._there.clear()

    def mend(self) -> None:
        self._there.set()

    def check(self) -> None:
        if not self._there.is_set():
            raise LogUnavailableError("nobody answers")

    def fail_once(self, error: Exception) -> None:
        """Have the next append fail with what nobody foresaw."""
        self._unforeseen.append(error)

    def append(self, entries: Sequence[Entry]) -> None:
        if self._unforeseen:
            raise self._unforeseen.pop()
        try:
            self.check()
        except LogUnavailableError:
            self.refused += 1
            raise
        self._real.append(entries)

    def read(self, topic: Topic, partition: int, offset: int, limit: int = 1000) -> Sequence[Stored]:
        self.check()
        return self._real.read(topic, partition, offset, limit)

    def latest(self, topic: Topic, cluster: str) -> Mapping[str, Stored]:
        self.check()
        return self._real.latest(topic, cluster)

    def tail(
        self, topics: Iterable[Topic], partitions: Iterable[int], *, from_start: bool, recent: Collection[Topic] = ()
    ) -> Tail:
        self.check()
        return _BreakableTail(self, self._real.tail(topics, partitions, from_start=from_start, recent=recent))

    def ends(self, places: Iterable[tuple[Topic, int]]) -> Mapping[tuple[Topic, int], int]:
        self.check()
        return self._real.ends(places)

    def claim(self, partition: int) -> Claim:
        self.check()
        return self._real.claim(partition)

    def join(self, group: str) -> Membership:
        self.check()
        return self._real.join(group)

    def close(self) -> None:
        self._real.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _BreakableTail:
    def __init__(self, log: BreakableLog, real: Tail) -> None:
        self._log = log
        self._real = real

    def poll(self, timeout_seconds: float) -> Sequence[Stored]:
        self._log.check()
        return self._real.poll(timeout_seconds)

    def lag(self) -> int:
        return self._real.lag()

    def caught_up(self) -> bool:
        return self._real.caught_up()

    def read_to_end(self) -> frozenset[int]:
        return self._real.read_to_end()

    def mark_end(self, ends: Mapping[tuple[Topic, int], int]) -> None:
        self._real.mark_end(ends)

    def close(self) -> None:
        self._real.close()
