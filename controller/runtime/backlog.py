"""Queues of records to fold: one for each cluster, so that none starves the others.

Of a cluster that writes more than its budget, only the newest record of each key is kept, as in the compacted log.
Such a cluster is followed less closely, and the others as before.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from messages.topics import Topic
from stream.log import Stored

BUDGET = 1000
"""Most records of one cluster in one turn: some 20 ms of folding, for which the others wait. Turns follow one another
at once; a cluster that writes no more than this from one turn to the next, as every sound one does, is folded record
by record."""
FEW = 2 * BUDGET
"""How many records of a cluster may wait before superseded ones are dropped."""
MOST = 50_000
"""With more records than this waiting, such as many that nothing supersedes, all are folded in one turn, and every
cluster waits for it."""

SUPERSEDED = {Topic.OBSERVATIONS, Topic.RANKINGS}
"""Topics that carry current state: a reader that is behind needs only the newest record of each key."""


class Backlog:
    """The queues, by cluster. It belongs to one thread."""

    def __init__(self) -> None:
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
            if (before := len(waiting)) > self._look_at.get(cluster, FEW):
                waiting[:] = _newest(waiting)
                passed_over[cluster] = before - len(waiting)
                self._look_at[cluster] = FEW + 2 * len(waiting)
            share = len(waiting) if len(waiting) > MOST else BUDGET
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
    """Return the records without those that a later one of the same key supersedes, in their order."""
    newest = {(each.topic, each.key): at for at, each in enumerate(waiting)}
    return [
        each for at, each in enumerate(waiting) if each.topic not in SUPERSEDED or newest[each.topic, each.key] == at
    ]
