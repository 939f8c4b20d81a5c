"""The log as the simulation has it: records in order, visible when they are, and claims that fence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from messages.topics import Topic
from stream.log import Entry, LogFencedError, LogUnavailableError, Stored
from tests.simulation.world import Clock

PARTITION = 0
LATE_SECONDS = 0.05
"""How much later than it was appended a record may be seen."""


@dataclass
class Wire:
    """One partition of every topic."""

    clock: Clock
    draw: Random
    up: bool = True
    topics: dict[Topic, list[Stored]] = field(default_factory=lambda: {topic: [] for topic in Topic})
    claims: int = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Store records.

        Raises:
            LogUnavailableError: none, some or all of them were stored.
        """
        if not self.up:
            raise LogUnavailableError("the log is away")
        if self.draw.random() < 0.01:
            self._store(entries[: self.draw.randint(0, len(entries))])
            raise LogUnavailableError("no answer")
        self._store(entries)

    def claim(self) -> int:
        """Become the one that may decide; give the number of the claim.

        Raises:
            LogUnavailableError: the log is away.
        """
        if not self.up:
            raise LogUnavailableError("the log is away")
        self.claims += 1
        return self.claims

    def append_claimed(self, claim: int, entries: Sequence[Entry]) -> None:
        """Store decisions, all or none.

        Raises:
            LogFencedError: somebody has claimed since.
            LogUnavailableError: nobody knows whether they were stored.
        """
        if claim != self.claims:
            raise LogFencedError("another one claimed")
        if not self.up:
            raise LogUnavailableError("the log is away")
        lost = self.draw.random() < 0.02
        if not lost or self.draw.random() < 0.5:
            self._store(entries)
        if lost:
            raise LogUnavailableError("no answer")

    def ends(self) -> dict[Topic, int]:
        """Tell where each topic ends."""
        return {topic: len(stored) for topic, stored in self.topics.items()}

    def _store(self, entries: Sequence[Entry]) -> None:
        now_ms = round(self.clock.now * 1000)
        for entry in entries:
            kept = self.topics[entry.topic]
            kept.append(
                Stored(
                    topic=entry.topic,
                    partition=PARTITION,
                    offset=len(kept),
                    key=entry.key,
                    value=entry.value,
                    headers=entry.headers,
                    appended_at_ms=now_ms,
                )
            )


class Tail:
    """Follows the log: each topic in its order, and one topic ahead of the other."""

    def __init__(self, wire: Wire, topics: Sequence[Topic]) -> None:
        self._wire = wire
        self._next = dict.fromkeys(topics, 0)
        self._marked = self._ends()

    def mark_end(self) -> None:
        """As `stream.log.Tail.mark_end`."""
        if not self._wire.up:
            raise LogUnavailableError("the log is away")
        self._marked = self._ends()

    def caught_up(self) -> bool:
        """As `stream.log.Tail.caught_up`."""
        return all(self._next[topic] >= end for topic, end in self._marked.items())

    def poll(self) -> list[Stored]:
        """Give some of what is new."""
        if not self._wire.up:
            return []
        found: list[Stored] = []
        topics = list(self._next)
        self._wire.draw.shuffle(topics)
        for topic in topics:
            stored = self._wire.topics[topic]
            if self._next[topic] == len(stored) or self._wire.draw.random() < LATE_SECONDS:
                continue
            found += stored[self._next[topic] :]
            self._next[topic] = len(stored)
        return found

    def _ends(self) -> dict[Topic, int]:
        return {topic: len(self._wire.topics[topic]) for topic in self._next}
