"""The hands of the loop: threads that read the log and keep the membership, and the event loop that folds.

Reading blocks, so it has a thread; folding and answering share the event loop, so the state needs no lock. A batch is
handed over in slices, and the next is read when it was folded, so that a backlog never starves the picks.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

import structlog

from controller.core.clusters import Clusters, News
from controller.core.incidents import Plan
from controller.runtime.backlog import Backlog
from controller.runtime.decoding import read, thinned
from controller.runtime.metrics import ControllerInstruments
from messages.topics import Topic, partition_of
from stream.log import Claim, Entry, Log, LogError, LogUnavailableError, Membership, Tail
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
GROUP = "hotdesk-controllers"
SURE_SECONDS = 1.0
"""How long ago the membership may have been heard of by a process that acts on it: it is asked every 0.2 s."""
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
    """Keeps a clusters at the log's end.

    `owns`: take part in sharing the partitions out, and decide for those that fall to this process. `reads_all`:
    follow all clusters, not only the owned ones.
    """

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        from_log: Log,
        clusters: Clusters,
        outbox: Outbox,
        instruments: ControllerInstruments,
        *,
        owns: bool,
        reads_all: bool,
    ) -> None:
        self._log = from_log
        self._clusters = clusters
        self._outbox = outbox
        self._instruments = instruments
        self._owns = owns
        self._reads_all = reads_all
        self._stop = threading.Event()
        self._warn_once = WarnOnce()
        self._threads: list[threading.Thread] = []
        self._tails: dict[frozenset[int], Tail] = {}
        self._backlog = Backlog()
        """What was read once the log had been caught up with, and is not folded yet."""
        self._assigned: frozenset[int] = frozenset()
        self._assigned_at = 0.0
        self._to_claim: frozenset[int] = frozenset()
        self._claims: dict[int, Claim] = {}
        """By partition: what decisions are stored through, once all that stood there before was read."""
        self._claimed: list[tuple[int, Claim]] = []
        """Claims whose partition is still being read."""
        self._claiming = threading.Lock()
        self._claim_again_at = 0.0
        self._lag_due = 0.0
        self.on_plans: Callable[[Mapping[str, Plan]], None] = lambda _: None
        """Told what was decided for the clusters that act, on the event loop."""
        self._owned: frozenset[int] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.caught_up = False
        """Whether everything was read that stood in the log when this process began."""
        self.listening_since: float | None = None
        """When it had caught up, on the monotonic clock; None: it has not."""
        self.outdated = False
        """Whether a newer hotdesk decided something here: this process decides nothing any more, for good."""

    def act_for(self, clusters: Iterable[str]) -> None:
        """Carry out what is decided for these clusters from now on. From any thread.

        Their partitions are claimed before they are owned, so that a former owner can decide nothing any more.
        """
        self._to_claim = frozenset(partition_of(cluster, self._log.partitions) for cluster in clusters)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to follow; folding happens on `loop`."""
        self._loop = loop
        self._threads.append(threading.Thread(target=self._again_and_again, args=(self._read,), name="follower"))
        if self._owns:
            self._threads.append(
                threading.Thread(target=self._again_and_again, args=(self._belong,), name="membership")
            )
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Ask the threads to end."""
        self._stop.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the threads; the event loop must still run meanwhile."""
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def why_not(self, cluster: str) -> str:
        """Say why this process may not act for a cluster at this very moment; empty: it may. From any thread."""
        partition = partition_of(cluster, self._log.partitions)
        if time.monotonic() - self._assigned_at > SURE_SECONDS or partition not in self._assigned:
            return "this process is not sure any more that it owns the cluster"
        if partition not in self._claims:
            return "this process has not claimed the cluster"
        return ""

    def decides(self, cluster: str) -> bool:
        """Tell whether decisions about a cluster can be stored now."""
        return partition_of(cluster, self._log.partitions) in self._claims

    async def commit(self, cluster: str, entries: Sequence[Entry]) -> None:
        """Store decisions through the claim on their partition; one that fails is given up and made anew.

        Raises:
            LogError: they were not stored, or nobody knows.
        """
        partition = partition_of(cluster, self._log.partitions)
        claim = self._claims.get(partition)
        if claim is None:
            raise LogUnavailableError(f"the partition of {cluster} is not claimed now")
        try:
            await _in_a_thread(partial(claim.append, entries))
        except LogError:
            # of no more use; what it left is read before there is another
            with self._claiming:
                if self._claims.get(partition) is claim:
                    del self._claims[partition]
            await _in_a_thread(claim.close)
            raise

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

    def _belong(self) -> None:
        """Keep the membership, and know what is assigned."""
        membership: Membership = self._log.join(GROUP)
        try:
            while not self._stop.is_set() and not self.outdated:
                self._assigned = membership.owned(POLL_SECONDS)
                self._assigned_at = time.monotonic()
        finally:
            self._assigned = frozenset()
            membership.close()
        # the others share out what was this one's
        self._stop.wait()

    def _read(self) -> None:
        """Read the log until it breaks off or there is an end."""
        try:
            while not self._stop.is_set():
                self._fit_tails()
                if not self._tails:
                    self._stop.wait(POLL_SECONDS)
                for tail in list(self._tails.values()):
                    self._follow(tail)
                while self._claimed and self._backlog:
                    # what a former owner decided counts once it is folded, not once it is read
                    self._fold_turn()
                self._settle()
        finally:
            for tail in self._tails.values():
                tail.close()
            self._tails.clear()
            self._backlog = Backlog()
            self._give_up(frozenset(range(self._log.partitions)))
            self.caught_up = False
            self.listening_since = None

    def _follow(self, tail: Tail) -> None:
        """Read on, and fold: all of it while the log is caught up with, then each cluster's share."""
        live = tail.caught_up()
        batch = tail.poll(0.0 if self._backlog else POLL_SECONDS / len(self._tails))
        if live:
            self._backlog.put(batch)
            self._fold_turn()
            if batch:
                self._stop.wait(PAUSE_SECONDS)
            return
        # what was read before comes first: nothing of a cluster may overtake what it wrote earlier
        while self._backlog:
            self._fold_turn()
        if news := [read(stored) for stored in thinned(batch, time.time_ns() // 1_000_000)]:
            self._on_loop(news, live=False)
        if batch:
            self._stop.wait(PAUSE_SECONDS)

    def _fold_turn(self) -> None:
        self._stand_down()
        records, passed_over = self._backlog.turn()
        self._instruments.note_passed_over(passed_over)
        if records:
            self._on_loop([read(stored) for stored in records], live=True)

    def _stand_down(self) -> None:
        """Own nothing that is not known to be assigned: one that stood still must not speak for its heir."""
        sure = time.monotonic() - self._assigned_at <= SURE_SECONDS
        still = self._owned & self._assigned if sure else frozenset()
        if still != self._owned:
            self._owned = still
            self._run(self._clusters.own, still)

    def _fit_tails(self) -> None:
        """Follow what should be followed: everything, or what is assigned."""
        wanted = frozenset(range(self._log.partitions)) if self._reads_all else self._assigned
        followed = frozenset().union(*self._tails)
        for partitions, tail in list(self._tails.items()):
            if not partitions <= wanted:
                # of those that stay nothing is known, either, until they are read anew
                self._give_up(partitions)
                tail.close()
                del self._tails[partitions]
                followed -= partitions
                self._backlog.forget(lambda cluster: partition_of(cluster, self._log.partitions) in partitions)  # noqa: B023 # called at once
                self._run(self._clusters.forget, partitions)
        if new := wanted - followed:
            self._tails[new] = self._log.tail(TOPICS, new, from_start=True, recent=RECENT)
            self.listening_since = None

    def _claim(self) -> None:
        """Claim what is assigned and to be acted for, and have it read to its end once more."""
        self._give_up(frozenset(range(self._log.partitions)) - self._assigned)
        claimed = self._claims.keys() | {partition for partition, _ in self._claimed}
        wanted = sorted((self._to_claim & self._assigned) - claimed)
        now = time.monotonic()
        # one that was stopped for a while must hear first whether anything is still its own
        if not wanted or self.outdated or now < self._claim_again_at or now - self._assigned_at > SURE_SECONDS:
            return
        try:
            for partition in wanted:
                claim = self._log.claim(partition)
                try:
                    for partitions, tail in self._tails.items():
                        if partition in partitions:
                            tail.mark_end()
                except LogError:
                    claim.close()
                    raise
                self._claimed.append((partition, claim))
        except LogError as error:
            # rankings and picks go on without it
            self._claim_again_at = time.monotonic() + RETRY_SECONDS
            if self._warn_once.is_new(str(error)):
                log.warning("a partition cannot be claimed, so nobody is moved; trying again", why=str(error))

    def _give_up(self, partitions: frozenset[int]) -> None:
        """Close the claims of these partitions: nothing is stored through them any more."""
        with self._claiming:
            given_up = [self._claims.pop(partition) for partition in self._claims.keys() & partitions]
        given_up += [claim for partition, claim in self._claimed if partition in partitions]
        self._claimed = [each for each in self._claimed if each[0] not in partitions]
        for claim in given_up:
            claim.close()

    def _settle(self) -> None:
        """Own what is assigned, claimed where it must be, and read to the end; own nothing else."""
        self._claim()
        ends = [partitions for partitions, tail in self._tails.items() if tail.caught_up()]
        self.caught_up = bool(self._tails) and len(ends) == len(self._tails)
        self.listening_since = (self.listening_since or time.monotonic()) if self.caught_up else None
        read_to_the_end = frozenset().union(*ends)
        self._give_way(read_to_the_end)
        sure = time.monotonic() - self._assigned_at <= SURE_SECONDS
        owned = self._assigned & read_to_the_end if sure and not self.outdated else frozenset()
        if owned != self._owned:
            self._owned = owned
            log.info("owning partitions", partitions=sorted(owned))
            self._run(self._clusters.own, owned)
        # what a former owner decided is known now, and it can decide nothing any more
        known = frozenset() if self._backlog else read_to_the_end
        with self._claiming:
            self._claims.update(each for each in self._claimed if each[0] in known)
        self._claimed = [each for each in self._claimed if each[0] not in known]
        now = time.monotonic()
        if now >= self._lag_due:
            self._lag_due = now + LAG_SECONDS
            self._instruments.lag.set(len(self._backlog) + sum(tail.lag() for tail in self._tails.values()))

    def _give_way(self, read: frozenset[int]) -> None:
        """Leave the deciding to newer processes from the moment on that one of them is known to have decided."""
        if self.outdated or not self._clusters.outdated_in(self._assigned & read):
            return
        self.outdated = True
        self._give_up(frozenset(range(self._log.partitions)))
        log.warning("a newer hotdesk decides here: this one decides nothing any more; upgrade it and start it again")

    def _on_loop(self, news: Sequence[News], *, live: bool) -> None:
        assert self._loop is not None  # noqa: S101 # start() sets it before any thread runs
        asyncio.run_coroutine_threadsafe(self._fold(news, live=live), self._loop).result()

    def on_loop_soon(self, what: Callable[[], None]) -> None:
        """Have something done on the event loop, from any thread."""
        assert self._loop is not None  # noqa: S101 # start() sets it before anything is decided
        self._loop.call_soon_threadsafe(what)

    def _run(self, what: Callable[[frozenset[int]], None], partitions: frozenset[int]) -> None:
        async def run() -> None:
            what(partitions)

        assert self._loop is not None  # noqa: S101 # start() sets it before any thread runs
        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _fold(self, news: Sequence[News], *, live: bool) -> None:
        for at in range(0, len(news), SLICE):
            began = time.perf_counter()
            folded = self._clusters.fold(news[at : at + SLICE], time.monotonic(), live=live)
            self._instruments.note_fold(folded, time.perf_counter() - began)
            if folded.entries:
                self._outbox.put(folded.entries)
            self.on_plans(folded.plans)
            await asyncio.sleep(0)


async def _in_a_thread(what: Callable[[], None]) -> None:
    """Do what may wait for the log. Not as asyncio has it: Python would wait for those threads before a process ends.

    Raises:
        Exception: what `what` raises.
    """
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # what has begun cannot be called off

    def work() -> None:
        try:
            what()
        except Exception as error:  # noqa: BLE001 # it is raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=work, name="commit", daemon=True).start()
    await asyncio.wrap_future(done)
