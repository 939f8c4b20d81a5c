"""The log as the simulation has it: records in order, visible when they are, and claims that fence."""

from collections.abc import Callable, Sequence
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
    loses: bool = True
    """Now and then an append has no answer, or a record is seen late."""
    clock_ahead: float = 0.0
    """How wrong the log's own clock is."""
    topics: dict[Topic, list[Stored]] = field(default_factory=lambda: {topic: [] for topic in Topic})
    claim: "Claim | None" = None
    """The newest one: through no other can anything be stored."""
    wake: Callable[[], None] = lambda: None
    """Called when there is something new."""
    stored: int = 0
    """How many records there are: whoever has read them all need not look at each topic again."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Store records.

        Raises:
            LogUnavailableError: none, some or all of them were stored.
        """
        if not self.up:
            raise LogUnavailableError("the log is away")
        if self.loses and self.draw.random() < 0.01:
            self.store(entries[: self.draw.randint(0, len(entries))])
            raise LogUnavailableError("no answer")
        self.store(entries)

    def ends(self) -> dict[Topic, int]:
        """Return where each topic ends."""
        return {topic: len(stored) for topic, stored in self.topics.items()}

    def store(self, entries: Sequence[Entry]) -> None:
        """Store records, whoever may see them."""
        now_ms = round((self.clock.wall + self.clock_ahead) * 1000)
        self.stored += len(entries)
        self.wake()
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


class Line:
    """One process's way to the log. It can be cut while the log is there for everybody else."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.is_cut = False
        self.is_slow = False
        """What is appended takes seconds, though it does not fail."""

    @property
    def up(self) -> bool:
        """Return True if the log answers this process."""
        return self.wire.up and not self.is_cut

    def look_up(self) -> None:
        """Look whether the log answers.

        Raises:
            LogUnavailableError: it does not.
        """
        if not self.up:
            raise LogUnavailableError("the log is away")

    def append(self, entries: Sequence[Entry]) -> None:
        """As `Wire.append`."""
        self.look_up()
        self.wire.append(entries)

    def claim(self) -> "Claim":
        """Become the one that may decide.

        Raises:
            LogUnavailableError: the log is away.
        """
        self.look_up()
        self.wire.claim = Claim(self)
        return self.wire.claim


class Claim:
    """The right to store decisions, until another one claims."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.after = line.wire.ends()
        """Where each topic ended when this was claimed."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Store decisions, all or none.

        Raises:
            LogFencedError: somebody has claimed since.
            LogUnavailableError: nobody knows whether they were stored.
        """
        wire = self._line.wire
        if wire.claim is not self:
            raise LogFencedError("another one claimed")
        self._line.look_up()
        lost = wire.loses and wire.draw.random() < 0.02
        if not lost or wire.draw.random() < 0.5:
            wire.store(entries)
        if lost:
            raise LogUnavailableError("no answer")


class Tail:
    """Follows the log: each topic in its order, and one topic ahead of the other."""

    def __init__(self, line: Line, topics: Sequence[Topic]) -> None:
        self._line = line
        self._wire = line.wire
        self._next = dict.fromkeys(topics, 0)
        self._marked = self._ends()
        self._caught_up = False
        self._looked_at = -1
        """How many records there were when all of them were read last."""

    @property
    def is_behind(self) -> bool:
        """Return True if there is something that was not read."""
        return self._looked_at != self._wire.stored

    def mark_end(self) -> None:
        """As `stream.log.Tail.mark_end`."""
        self._line.look_up()
        self._marked = self._ends()
        self._caught_up = False

    def caught_up(self) -> bool:
        """As `stream.log.Tail.caught_up`."""
        self._caught_up = self._caught_up or all(self._next[topic] >= end for topic, end in self._marked.items())
        return self._caught_up

    def poll(self) -> list[Stored]:
        """Return some of what is new."""
        if not self._line.up or self._looked_at == self._wire.stored:
            return []
        found: list[Stored] = []
        topics = [topic for topic, at in self._next.items() if at < len(self._wire.topics[topic])]
        self._wire.draw.shuffle(topics)
        self._looked_at = self._wire.stored
        for topic in topics:
            stored = self._wire.topics[topic]
            if self._wire.loses and self._wire.draw.random() < LATE_SECONDS:
                self._looked_at = -1
                continue
            found += stored[self._next[topic] :]
            self._next[topic] = len(stored)
        return found

    def _ends(self) -> dict[Topic, int]:
        return {topic: len(self._wire.topics[topic]) for topic in self._next}
