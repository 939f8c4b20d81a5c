"""Queues of records to fold: one for each cluster, so that none starves the others.

Of a cluster that writes more than its budget, only the newest record of each key is kept, as in the compacted log.
Such a cluster is followed less closely, and the others as before.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from controller.core.news import NEVER, Stamp
from messages.codec import STAMP_HEADER, UndecodableRecordError, decode_stamp, stamp_of_any_version
from messages.topics import Topic
from stream.log import Stored

BUDGET = 1000
"""Most records of one cluster in one turn: some 20 ms of folding, for which the others wait. Turns follow one another
at once; a cluster that writes no more than this from one turn to the next, as every sound one does, is folded record
by record."""
FEW = 2 * BUDGET
"""How many records of a cluster may wait before superseded ones are dropped, by default."""
MOST = 50_000
"""With more records than this waiting, such as many that nothing supersedes, all are folded in one turn, and every
cluster waits for it."""

SUPERSEDED = {Topic.OBSERVATIONS, Topic.RANKINGS}
"""Topics that carry current state: a reader that is behind needs only the newest record of each key."""


class Backlog:
    """The queues, by cluster. It belongs to one thread."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._waiting: dict[str, list[Stored]] = {}
        self._look_at: dict[str, int] = {}
        """By cluster: the number of waiting records at which superseded ones are dropped again."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, batch: Iterable[Stored]) -> None:
        """Add records, in the log's order."""
        for stored in batch:
            self._waiting.setdefault(stored.key.partition("/")[0], []).append(stored)

    def turn(self) -> tuple[list[Stored], dict[str, int]]:
        """Return each cluster's next records, and by cluster how many superseded ones were dropped before them."""
        passed_over: dict[str, int] = {}
        taken: list[Stored] = []
        for cluster, waiting in list(self._waiting.items()):
            if (before := len(waiting)) > self._look_at.get(cluster, 2 * self._budget):
                waiting[:] = _newest(waiting)
                passed_over[cluster] = before - len(waiting)
                self._look_at[cluster] = 2 * (self._budget + len(waiting))
            share = len(waiting) if len(waiting) > MOST else self._budget
            taken += islice(waiting, share)
            del waiting[:share]
            if not waiting:
                del self._waiting[cluster]
                self._look_at.pop(cluster, None)
        return taken, passed_over

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop the records of the clusters for which `gone` is true."""
        for cluster in [each for each in self._waiting if gone(each)]:
            del self._waiting[cluster]
            self._look_at.pop(cluster, None)


def _newest(waiting: list[Stored]) -> list[Stored]:
    """Return the records without those that others of the same key supersede, in their order.

    The stamp of an observation says which is newer, as it does where they are folded: what a former leader published
    may come late. And what belongs to a poll that is not closed yet supersedes nothing of those that are, or the last
    of these would be folded without some of its sessions, and its counts would not be theirs. For the same reason what
    comes again as it was, since the answer to an append was lost, stays where it was first: before what closes it.
    """
    stamps = [_stamp_of(each) for each in waiting]
    closed = max((stamp for stamp, each in zip(stamps, waiting, strict=True) if _closes_a_poll(each)), default=NEVER)
    named = [(stamp > closed, each.topic, each.key) for stamp, each in zip(stamps, waiting, strict=True)]
    newest: dict[tuple[bool, Topic, str], int] = {}
    for at, name in enumerate(named):
        before = newest.setdefault(name, at)
        comes_again = stamps[at] == stamps[before] and waiting[at].value == waiting[before].value
        if stamps[at] >= stamps[before] and not comes_again:
            newest[name] = at
    return [each for at, each in enumerate(waiting) if each.topic not in SUPERSEDED or newest[named[at]] == at]


def _closes_a_poll(stored: Stored) -> bool:
    return stored.topic is Topic.OBSERVATIONS and "/" not in stored.key


def _stamp_of(stored: Stored) -> Stamp:
    """Return an observation's stamp, or `NEVER` for what has none: of that the later one is the newer."""
    if stored.topic is not Topic.OBSERVATIONS:
        return NEVER
    try:
        if stored.value is None:
            return decode_stamp(dict(stored.headers).get(STAMP_HEADER, b""))
        return stamp_of_any_version(stored.value)
    except UndecodableRecordError:
        return NEVER
