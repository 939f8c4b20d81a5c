"""The log as the simulation has it: records in order, visible when they are, and claims that fence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from random import Random

from messages.topics import Topic
from stream.log import Entry, LogFencedError, LogUnavailableError, Stored
from tests.simulation.world import Clock

PARTITION = 0
IS_UP, STORED = attrgetter("up"), attrgetter("stored")
LATE_SECONDS = 0.05
"""How much later than it was appended a record may be seen."""


@dataclass
class Wire:
    """One partition of every topic."""

    clock: Clock
    draw: Random
    partition: int = PARTITION
    up: bool = True
    slow: bool = False
    """What is stored through a claim takes seconds."""
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
                    partition=self.partition,
                    offset=len(kept),
                    key=entry.key,
                    value=entry.value,
                    headers=entry.headers,
                    appended_at_ms=now_ms,
                )
            )


class Line:
    """One process's way to the log's partitions, in their order. It can be cut while the log is there for others."""

    def __init__(self, *wires: Wire) -> None:
        self.wires = wires
        self.is_cut = False
        self.is_slow = False
        """What is appended takes seconds, though it does not fail."""

    @property
    def up(self) -> bool:
        """Return True if the log answers this process, in one partition at least."""
        return not self.is_cut and any(map(IS_UP, self.wires))

    def reach(self, partition: int) -> Wire:
        """Return a partition.

        Raises:
            LogUnavailableError: it does not answer.
        """
        wire = self.wires[partition]
        if self.is_cut or not wire.up:
            raise LogUnavailableError("the log is away")
        return wire

    def append(self, entries: Sequence[Entry], partition: int = PARTITION) -> None:
        """As `Wire.append`."""
        self.reach(partition).append(entries)

    def claim(self, by: str, partition: int = PARTITION) -> "Claim":
        """Become the one that may decide.

        Raises:
            LogUnavailableError: the log is away.
        """
        wire = self.reach(partition)
        wire.claim = Claim(self, wire, partition, by)
        return wire.claim


class Claim:
    """The right to store decisions, until another one claims."""

    def __init__(self, line: Line, wire: Wire, partition: int, by: str) -> None:
        self._line = line
        self._wire = wire
        self._partition = partition
        self.by = by
        """Whose it is."""
        self.made_at = wire.clock.now
        self.failed = False
        """An append through it failed: it is of no more use."""
        self.after = wire.ends()
        """Where each topic ended when this was claimed."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Store decisions, all or none.

        Raises:
            LogFencedError: somebody has claimed since.
            LogUnavailableError: nobody knows whether they were stored.
        """
        self.failed = True
        wire = self._wire
        if wire.claim is not self:
            raise LogFencedError("another one claimed")
        self._line.reach(self._partition)
        lost = wire.loses and wire.draw.random() < 0.02
        if not lost or wire.draw.random() < 0.5:
            wire.store(entries)
        if lost:
            raise LogUnavailableError("no answer")
        self.failed = False


class Tail:
    """Follows the log: each topic in its order, and one topic or partition ahead of the other."""

    def __init__(self, line: Line, topics: Sequence[Topic]) -> None:
        self._line = line
        self._draw = line.wires[0].draw
        self._records = {(at, topic): wire.topics[topic] for at, wire in enumerate(line.wires) for topic in topics}
        self._partitions = frozenset(at for at, _ in self._records)
        self._only = line.wires[0] if len(line.wires) == 1 else None
        """There is no other partition, as nearly always."""
        self._next = dict.fromkeys(self._records, 0)
        self._marked = self._ends()
        self._caught_up = False
        self._looked_at = -1
        """How many records there were when all of them were read last."""

    @property
    def is_behind(self) -> bool:
        """Return True if there is something that was not read."""
        return self._looked_at != self._stored

    @property
    def _stored(self) -> int:
        return sum(map(STORED, self._line.wires)) if self._only is None else self._only.stored

    def mark_end(self, partition: int = PARTITION) -> None:
        """As `stream.log.Tail.mark_end`, with the ends of a partition as they are now."""
        self._line.reach(partition)
        self._marked |= {place: end for place, end in self._ends().items() if place[0] == partition}
        self._caught_up = False

    def caught_up(self) -> bool:
        """As `stream.log.Tail.caught_up`."""
        self._caught_up = self._caught_up or all(self._next[place] >= end for place, end in self._marked.items())
        return self._caught_up

    def read_to_end(self) -> frozenset[int]:
        """As `stream.log.Tail.read_to_end`."""
        if self.caught_up():  # nearly always
            return self._partitions
        return self._partitions - {place[0] for place, end in self._marked.items() if self._next[place] < end}

    def poll(self) -> list[Stored]:
        """Return some of what is new."""
        if not self._line.up or self._looked_at == (stored := self._stored):
            return []
        found: list[Stored] = []
        after = self._next
        places = [place for place, records in self._records.items() if after[place] < len(records)]
        self._draw.shuffle(places)
        self._looked_at = stored
        for place in places:
            wire = self._line.wires[place[0]]
            if not wire.up or (wire.loses and self._draw.random() < LATE_SECONDS):
                self._looked_at = -1
                continue
            records = self._records[place]
            found += records[after[place] :]
            after[place] = len(records)
        return found

    def _ends(self) -> dict[tuple[int, Topic], int]:
        return {place: len(records) for place, records in self._records.items()}
