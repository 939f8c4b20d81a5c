"""Decide what to append to the log next, of all that waits: the rule of the outbox, without its threads.

Records wait in lanes, one for each topic and cluster, and keep their order there. A lane that fails waits a while and
is tried again, together with those of its topic that fail too; the rest of the topic goes on without it, and so does
every other topic. What people ordered goes first.

==================  =================================================  ==================================
topic               a lane keeps                                       at the bound
==================  =================================================  ==================================
observations        every record: a poll is stored whole               whoever makes them waits (`full`)
rankings, logins    the newest record of each key: it is all that      the oldest goes
                    is of use
all others          every record                                       the oldest goes
==================  =================================================  ==================================
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import NamedTuple

from messages.topics import Key, Topic
from stream.log import Entry, LogError, LogRefusedError

DEFAULT_BOUND = 100_000
"""Most observations that wait; with records the size of an agent's about 50 MB."""
LANE_BOUND = 10_000
"""Most records that wait in one lane of any other topic."""
BATCH = 5000
"""Most records in one append."""
PAUSE_SECONDS = 0.01
"""Least time between the starts of two appends to a topic. A lone record leaves at once; hundreds a second leave in
batches, since an append costs Kafka's client a millisecond or two whatever its size, and the picks wait for that."""
RETRY_SECONDS, MOST_RETRY_SECONDS = 0.1, 5.0
"""The pause after a failure: it doubles with each one."""
JITTER_SECONDS = 0.5
"""And up to so much longer, so that many processes do not come back at the same moment."""

SUPERSEDED = frozenset({Topic.RANKINGS, Topic.LOGINS})
"""Topics of which only the newest record of each key is of use."""
BY_TURN = (Topic.ORDERS, *(topic for topic in Topic if topic is not Topic.ORDERS))
"""The topics in the order in which they get their turn."""

Place = tuple[Topic, str]
"""A topic and a cluster: what a lane is for."""


class Waiting(NamedTuple):
    """A record that waits for the log, and perhaps a person who waits for it."""

    entry: Entry
    stored: "Future[None] | None" = None
    """Is done once the record is stored. One that was cancelled wants it stored no more."""

    @property
    def unwanted(self) -> bool:
        """Return True if whoever waited has given up."""
        return self.stored is not None and self.stored.cancelled()

    def tell(self, error: LogError | None) -> None:
        """Report to whoever waits how it ended; None: the record is stored."""
        if self.stored is None or not self.stored.set_running_or_notify_cancel():
            return
        if error is None:
            self.stored.set_result(None)
        else:
            self.stored.set_exception(error)


class Batch(NamedTuple):
    """Records that are appended at once: of one topic, each cluster's in order."""

    topic: Topic
    retries: bool
    """Its lanes failed before."""
    records: Sequence[Waiting]


class _Lane:
    """The records of one topic and cluster that wait."""

    def __init__(self, now: float, *, newest_only: bool) -> None:
        self._newest_only = newest_only
        self._records: dict[object, Waiting] = {}
        """In their order; by key where only the newest is kept, else each by itself."""
        self._awaited = False
        self.since = now
        """Since when something waits here, and nothing was stored."""
        self.failures = 0
        self.failing_since = float("-inf")
        self.is_refused = False
        """Its first record is refused: no fault of the log's, which takes others."""
        self.due_at = float("-inf")

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: Waiting) -> None:
        self._records[record.entry.key if self._newest_only else id(record)] = record
        if record.stored is not None:
            self._awaited = True
            self.due_at = float("-inf")  # a person does not wait for an older failure

    def first(self, count: int) -> list[Waiting]:
        """Return its first records, and forget those that are not wanted any more."""
        if self._awaited:
            self._records = {key: each for key, each in self._records.items() if not each.unwanted}
        return list(islice(self._records.values(), count))

    def remove(self, record: Waiting) -> None:
        """Remove a record, unless a newer one has its place."""
        key = record.entry.key if self._newest_only else id(record)
        if self._records.get(key) is record:
            del self._records[key]

    def drop_oldest(self) -> None:
        del self._records[next(iter(self._records))]

    def fail(self, now: float, more_seconds: float, *, is_refused: bool) -> None:
        """Postpone it after a failure, longer after each."""
        self.is_refused = is_refused
        self.failing_since = self.failing_since if self.failures else now
        self.due_at = now + min(MOST_RETRY_SECONDS, RETRY_SECONDS * 2.0 ** min(self.failures, 10) + more_seconds)
        self.failures += 1

    def mend(self) -> None:
        self.due_at, self.failures, self.is_refused = float("-inf"), 0, False


class Lanes:
    """All lanes in which something waits. Its callers hold a lock; times are those of the monotonic clock."""

    def __init__(self, bound: int, draw: Callable[[], float]) -> None:
        self._bound = bound
        self._draw = draw
        """Gives a number between 0 and 1, by chance."""
        self._lanes: dict[Topic, dict[str, _Lane]] = {topic: {} for topic in BY_TURN}
        self._under_way: set[tuple[Topic, bool]] = set()
        """A topic has one append under way at a time, and one more of lanes that failed before."""
        self._stored_at = float("-inf")
        """When anything was last stored."""
        self._next_at = dict.fromkeys(BY_TURN, float("-inf"))
        self.mended: Counter[Place] = Counter()
        """How often a lane was appended to again after failures."""
        self.dropped: Counter[Topic] = Counter()
        """Records that went at the bound."""

    def __len__(self) -> int:
        return sum(self.lengths().values())

    def __bool__(self) -> bool:
        return any(self._lanes.values())

    def lengths(self) -> Mapping[Topic, int]:
        """Return how many records of each topic wait."""
        return {topic: sum(map(len, lanes.values())) for topic, lanes in self._lanes.items()}

    def full(self, cluster: str) -> bool:
        """Return True if no more observations of a cluster may be made.

        So it is while all observations together are at the bound, and those of the cluster are at least its share.
        """
        lanes = self._lanes[Topic.OBSERVATIONS]
        own = lanes.get(cluster)
        return own is not None and sum(map(len, lanes.values())) >= self._bound <= len(own) * len(lanes)

    @property
    def failing(self) -> bool:
        """Return True if something waits, nothing of it can be appended, and nothing was stored since some of it fails.

        A record that is refused for good says nothing of a log that takes others.
        """
        waiting = [lane for lanes in self._lanes.values() for lane in lanes.values()]
        return all(lane.failures for lane in waiting) and any(lane.failing_since > self._stored_at for lane in waiting)

    def hangs_seconds(self, now: float) -> float:
        """Return how long nothing was stored of what has waited for longest and is not refused; 0: nothing waits."""
        lanes = (lane for lanes in self._lanes.values() for lane in lanes.values())
        return max((now - lane.since for lane in lanes if not lane.is_refused), default=0.0)

    def failing_clusters(self) -> Mapping[Topic, int]:
        """Return of how many clusters no records of a topic can be appended."""
        return {topic: sum(bool(lane.failures) for lane in lanes.values()) for topic, lanes in self._lanes.items()}

    def held_up_seconds(self, cluster: str, now: float) -> float:
        """Return how long observations of a cluster have waited, and none was stored; 0: none waits."""
        lane = self._lanes[Topic.OBSERVATIONS].get(cluster)
        return 0.0 if lane is None else now - lane.since

    def put(self, records: Iterable[Waiting], now: float) -> None:
        """Add records."""
        for each in records:
            topic, cluster = _place(each.entry)
            lane = self._lanes[topic].get(cluster)
            if lane is None:
                lane = self._lanes[topic][cluster] = _Lane(now, newest_only=topic in SUPERSEDED)
            lane.add(each)
            if topic is not Topic.OBSERVATIONS and len(lane) > LANE_BOUND:
                lane.drop_oldest()
                self.dropped[topic] += 1

    def next_batch(self, now: float) -> Batch | None:
        """Return what to append now; None: nothing is due. Settle it before more of its lanes is appended."""
        for topic, retries in self._free():
            due = [lane for lane, at in self._going(topic, retries=retries) if at <= now]
            share = max(1, BATCH // max(1, len(due)))
            records = [each for lane in due for each in lane.first(share)]
            self._forget_empty(topic)
            if records:
                self._under_way.add((topic, retries))
                if not retries:
                    self._next_at[topic] = now + PAUSE_SECONDS
                return Batch(topic, retries, records)
        return None

    def next_at(self) -> float | None:
        """Return when something is due; None: not before something is put or settled."""
        return min((at for each in self._free() for _, at in self._going(each[0], retries=each[1])), default=None)

    def may_go_at(self, topic: Topic) -> float:
        """Return when new records of a topic may be appended; infinity: once the append under way has ended."""
        return float("inf") if (topic, False) in self._under_way else self._next_at[topic]

    def settle(self, batch: Batch, error: Exception | None, now: float) -> list[str]:
        """Apply how an append ended, and return the clusters whose records fail since then.

        Args:
            batch: what was appended.
            error: None: all of it is stored. A `LogError` may know which entries are at fault: the others are appended
                again without those.
            now: the time.
        """
        self._under_way.discard((batch.topic, batch.retries))
        lanes = self._lanes[batch.topic]
        clusters = [_place(each.entry)[1] for each in batch.records]
        failed: set[str] = set()
        if error is not None:
            at_fault = error.at_fault if isinstance(error, LogError) else ()
            failed = {_place(each)[1] for each in at_fault} or set(clusters)
        for cluster, each in zip(clusters, batch.records, strict=True):
            if error is None:
                lanes[cluster].remove(each)
                each.tell(None)
            elif isinstance(error, LogRefusedError) and cluster in failed and each.stored is not None:
                # a person is told, and can give another order
                lanes[cluster].remove(each)
                each.tell(error)
        since = []
        for cluster in dict.fromkeys(clusters):
            lane = lanes[cluster]
            if cluster in failed:
                if not lane.failures:
                    since.append(cluster)
                lane.fail(now, JITTER_SECONDS * self._draw(), is_refused=isinstance(error, LogRefusedError))
                continue
            lane.since = self._stored_at = now
            if lane.failures:
                lane.mend()
                self.mended[batch.topic, cluster] += 1
        self._forget_empty(batch.topic)
        return since

    def _free(self) -> list[tuple[Topic, bool]]:
        """Return of which topics an append may begin, and whether of lanes that failed before: in turn."""
        return [
            (topic, retries)
            for topic in BY_TURN
            if self._lanes[topic]
            for retries in (False, True)
            if (topic, retries) not in self._under_way
        ]

    def _going(self, topic: Topic, *, retries: bool) -> Iterator[tuple[_Lane, float]]:
        """Yield the lanes of such an append, and when each may go."""
        for lane in self._lanes[topic].values():
            if bool(lane.failures) is retries:
                yield lane, lane.due_at if retries else self._next_at[topic]

    def _forget_empty(self, topic: Topic) -> None:
        self._lanes[topic] = {cluster: lane for cluster, lane in self._lanes[topic].items() if len(lane)}


def _place(entry: Entry) -> Place:
    return entry.topic, Key.parse(entry.key).cluster
