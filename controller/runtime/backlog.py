"""Records that were read and wait to be folded: each cluster has a queue of its own, so that none starves the others.

Of a cluster that writes more than its budget, only what counts is kept: the newest record of each key, as the log
itself will keep it once it is compacted. Such a cluster is followed less closely, and the others as before.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from messages.topics import Topic
from stream.log import Stored

BUDGET = 1000
"""Most records of one cluster in one turn: some 20 ms of folding, for which the others wait. Turns follow one another
at once; a cluster that writes no more than this from one to the next, as all do that are well, is folded record by
record."""
FEW = 2 * BUDGET
"""So many may wait before it is looked which of them are superseded."""
MOST = 50_000
"""No more may wait of one cluster, as of what never is superseded: all of it is folded, and all wait for that."""

SUPERSEDED = {Topic.OBSERVATIONS, Topic.RANKINGS}
"""Topics whose records say how something is; what it was before is of no use to who comes too late for it."""


class Backlog:
    """The queues, by cluster. It belongs to one thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Stored]] = {}
        self._look_at: dict[str, int] = {}
        """By cluster: with how many records waiting it is looked again which of them are superseded."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, batch: Iterable[Stored]) -> None:
        """Take records, in the log's order."""
        for stored in batch:
            self._waiting.setdefault(stored.key.partition("/")[0], []).append(stored)

    def turn(self) -> tuple[list[Stored], dict[str, int]]:
        """Give each cluster's next records, and tell by cluster how many before them were superseded."""
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
        """Drop what waits of the clusters for which `gone` holds."""
        for cluster in [each for each in self._waiting if gone(each)]:
            del self._waiting[cluster]
            self._look_at.pop(cluster, None)


def _newest(waiting: list[Stored]) -> list[Stored]:
    """Leave out what a later record of the same key supersedes; the rest stays in its order."""
    newest = {(each.topic, each.key): at for at, each in enumerate(waiting)}
    return [
        each for at, each in enumerate(waiting) if each.topic not in SUPERSEDED or newest[each.topic, each.key] == at
    ]
