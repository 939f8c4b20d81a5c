"""Following the log: threads that read it and keep the membership, and the event loop that folds.

Reading blocks, so it has a thread; folding and answering share the event loop, so the state needs no lock. A batch is
handed over in slices, and the next is read when it was folded, so that a backlog never starves the picks. What may be
decided is the owner's matter (`controller.runtime.owner`); here it is told what was heard and what was read.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial

import structlog

from controller.core.clusters import Clusters
from controller.core.news import News
from controller.core.ownership import Progress
from controller.core.plan import Plan
from controller.runtime import journal
from controller.runtime.backlog import Backlog
from controller.runtime.decoding import read, thinned
from controller.runtime.metrics import ControllerInstruments
from controller.runtime.owner import Owner
from messages.topics import Topic, partition_of
from stream.log import Log, LogError, Tail
from stream.outbox import Outbox
from stream.warn_once import WarnOnce

TOPICS = (
    Topic.OBSERVATIONS,
    Topic.ORDERS,
    Topic.LOGINS,
    Topic.RANKINGS,
    Topic.INCIDENTS,
    Topic.RELOGINS,
    Topic.DEAD_LETTERS,
    Topic.AUDIT,
)
RECENT = (Topic.AUDIT,)
"""Decisions are for people to read: a quarter of a year of them is not what a process begins with."""
LAG_SECONDS = 0.5
"""Every partition of every topic is asked for its part of the lag, which takes its time from the picks."""
SLICE = 100
"""Records folded before the event loop may answer somebody: about a millisecond."""
POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
PAUSE_SECONDS = 0.005
"""Between two readings that brought something: under load the log is read in batches, not record by record."""

log = structlog.get_logger()


class Follower:
    """Keeps the clusters at the log's end.

    Args:
        from_log: what it follows.
        clusters: what it folds into, on `loop`.
        outbox: takes what is published of it.
        instruments: what is counted.
        owner: is told what the group assigns, and how far the log is read.
        loop: where everything is folded.
        on_plans: called on the event loop with what was decided for the clusters that act.
        owns: be a member of the group, and decide for the partitions that it assigns.
        reads_all: follow all clusters, not only the owned ones.
    """

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        from_log: Log,
        clusters: Clusters,
        outbox: Outbox,
        instruments: ControllerInstruments,
        owner: Owner,
        *,
        loop: asyncio.AbstractEventLoop,
        on_plans: Callable[[Mapping[str, Plan]], None],
        owns: bool,
        reads_all: bool,
    ) -> None:
        self._log = from_log
        self._clusters = clusters
        self._outbox = outbox
        self._instruments = instruments
        self._owner = owner
        self._loop = loop
        self._on_turns = on_plans
        self._reads_all = reads_all
        self._stop = threading.Event()
        self._warn_once = WarnOnce()
        works = [("follower", self._read)]
        if owns:
            works.append(("membership", partial(owner.keep_membership, self._stop)))
            works.append(("claims", partial(owner.keep_claims, self._stop)))
        self._threads = [
            threading.Thread(target=self._again_and_again, args=(work,), name=name, daemon=True) for name, work in works
        ]
        self._tails: dict[frozenset[int], Tail] = {}
        self._backlog = Backlog()
        """The records that were read once the log had been caught up with, and are not folded yet."""
        self._clusters_own: frozenset[int] = frozenset()
        self._lag_due = 0.0
        self.caught_up = False
        """True once everything is read that stood in the log when this process began."""
        self.listening_since: float | None = None
        """When it had caught up, on the monotonic clock; None: it has not."""

    @property
    def outdated(self) -> bool:
        """Return True if a newer hotdesk decides here: this process decides nothing any more, for good."""
        return self._owner.ownership.outdated

    def start(self) -> None:
        """Begin to follow. The event loop must run from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask the threads to end."""
        self._stop.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the threads; the event loop must still run meanwhile."""
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _again_and_again(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except LogError as error:
                if self._warn_once.is_new(str(error)):
                    log.warning("the log cannot be read; trying again", why=str(error))
                self._stop.wait(RETRY_SECONDS)
            except Exception:  # this thread must not end while the process says it is ready
                log.exception("following the log failed; beginning again")
                self._stop.wait(RETRY_SECONDS)

    def _read(self) -> None:
        """Read the log until it breaks off or this process ends."""
        try:
            while not self._stop.is_set():
                self._fit_tails()
                if not self._tails:
                    self._stop.wait(POLL_SECONDS)
                for tail in list(self._tails.values()):
                    self._follow(tail)
                while self._owner.ownership.unread and self._backlog:
                    # a claim counts once what a former owner decided is folded, not once it is read
                    self._fold_turn()
                self._settle()
                self._begin_anew()
        finally:
            for tail in self._tails.values():
                tail.close()
            self._tails.clear()
            self._backlog = Backlog()
            self._instruments.backlog.set(0)
            self._owner.give_up_claims()
            self.caught_up = False
            self.listening_since = None

    def _follow(self, tail: Tail) -> None:
        """Read on, and fold: all of a partition until it is read to its end, then each cluster's share.

        A partition that cannot be read keeps no other from its decisions.
        """
        live = tail.read_to_end()
        batch = tail.poll(0.0 if self._backlog else POLL_SECONDS / len(self._tails))
        behind = [stored for stored in batch if stored.partition not in live]
        if behind or not live:
            # what was read before comes first: nothing of a cluster may overtake what it wrote earlier
            while self._backlog:
                self._fold_turn()
        if news := [read(stored) for stored in thinned(behind, time.time_ns() // 1_000_000)]:
            self._on_loop(self._fold(news, live=False))
        if live:
            self._backlog.put(stored for stored in batch if stored.partition in live)
            self._fold_turn()
        if batch:
            self._stop.wait(PAUSE_SECONDS)

    def _fold_turn(self) -> None:
        self._owner.stand_down()
        self._tell_clusters()
        records, passed_over = self._backlog.turn()
        self._instruments.note_passed_over(passed_over)
        if records:
            self._on_loop(self._fold([read(stored) for stored in records], live=True))

    def _fit_tails(self) -> None:
        """Follow what should be followed: everything, or what is assigned."""
        assigned = self._owner.ownership.assignment.partitions
        wanted = frozenset(range(self._log.partitions)) if self._reads_all else assigned
        followed = frozenset().union(*self._tails)
        for partitions in list(self._tails):
            if not partitions <= wanted:
                # of those that stay nothing is known, either, until they are read anew
                self._drop(partitions)
                followed -= partitions
        if new := wanted - followed:
            self._tails[new] = self._log.tail(TOPICS, new, from_start=True, recent=RECENT)
            self.listening_since = None

    def _drop(self, partitions: frozenset[int]) -> None:
        """Follow these partitions no more, and forget what is known of them."""
        self._owner.forget(partitions)
        self._tell_clusters()
        self._tails.pop(partitions).close()
        self._backlog.forget(lambda cluster: partition_of(cluster, self._log.partitions) in partitions)
        self._on_loop(_call(self._clusters.forget, partitions))

    def _begin_anew(self) -> None:
        """Forget what is known of another log, and have this one read from its start."""
        anew = self._clusters.to_read_again(time.monotonic())
        for partitions in [each for each in self._tails if not each.isdisjoint(anew)]:
            log.warning(
                "all polls are older than what is known, as after a topic was created anew: forgetting that, and"
                " reading the log from its start",
                partitions=sorted(anew & partitions),
            )
            self._drop(partitions)

    def _settle(self) -> None:
        """Accept what was claimed, and own what is assigned and read to its end."""
        self._owner.take_claims(self._tails.values())
        read_to_the_end = frozenset().union(*(tail.read_to_end() for tail in self._tails.values()))
        self.caught_up = bool(self._tails) and read_to_the_end == frozenset().union(*self._tails)
        self.listening_since = (self.listening_since or time.monotonic()) if self.caught_up else None
        newer = frozenset(each for each in read_to_the_end if self._clusters.outdated_in(frozenset({each})))
        self._owner.settle(Progress(read_to_the_end, folded=not self._backlog, newer=newer))
        self._tell_clusters()
        now = time.monotonic()
        if now >= self._lag_due:
            self._lag_due = now + LAG_SECONDS
            self._instruments.backlog.set(len(self._backlog))
            self._instruments.lag.set(len(self._backlog) + sum(tail.lag() for tail in self._tails.values()))

    def _tell_clusters(self) -> None:
        """Let the clusters decide for what is owned, and for nothing else."""
        owned = self._owner.ownership.owned
        if owned != self._clusters_own:
            self._clusters_own = owned
            log.info("owning partitions", partitions=sorted(owned))
            self._on_loop(self._own(owned))

    async def _own(self, partitions: frozenset[int]) -> None:
        journal.write_ownership(*self._clusters.own(partitions))

    def _on_loop(self, work: Coroutine[None, None, None]) -> None:
        """Wait until the event loop has done something."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _fold(self, news: Sequence[News], *, live: bool) -> None:
        for at in range(0, len(news), SLICE):
            began = time.perf_counter()
            folded = self._clusters.fold(news[at : at + SLICE], time.monotonic(), live=live)
            self._instruments.note_fold(folded, time.perf_counter() - began)
            for decision in folded.decisions:
                journal.write(decision)
            if folded.entries:
                self._outbox.put(folded.entries)
            for name, plan in folded.plans.items():
                # it takes effect once it is committed
                self._instruments.note_moves(name, self._clusters.by_name[name].state.decided.relogins, plan)
            self._on_turns(folded.plans)
            await asyncio.sleep(0)


async def _call(what: Callable[[frozenset[int]], None], partitions: frozenset[int]) -> None:
    what(partitions)
