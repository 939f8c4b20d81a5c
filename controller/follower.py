"""The hands of the loop: threads that read the log and keep the membership, and the event loop that folds.

Reading blocks, so it has a thread; folding and answering share the event loop, so the state needs no lock. A batch is
handed over in slices, and the next is read when it was folded, so that a backlog never starves the picks.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from controller.desk import Desk, News
from controller.instruments import ControllerInstruments
from controller.reading import read
from messages.topics import Topic
from stream.log import Log, LogError, Membership, Tail
from stream.outbox import Outbox
from stream.troubles import Troubles

TOPICS = (
    Topic.OBSERVATIONS,
    Topic.ORDERS,
    Topic.LOGINS,
    Topic.RANKINGS,
    Topic.INCIDENTS,
    Topic.RELOGINS,
    Topic.DEAD_LETTERS,
)
GROUP = "hotdesk-controllers"
SLICE = 100
"""Records folded before the event loop may answer somebody: about a millisecond."""
POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
PAUSE_SECONDS = 0.005
"""Between two readings that brought something: under load the log is read in batches, not record by record."""

log = structlog.get_logger()


class Follower:
    """Keeps a desk at the log's end.

    `owns`: take part in sharing the partitions out, and decide for those that fall to this process. `reads_all`:
    follow all clusters, not only the owned ones.
    """

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        from_log: Log,
        desk: Desk,
        outbox: Outbox,
        instruments: ControllerInstruments,
        *,
        owns: bool,
        reads_all: bool,
    ) -> None:
        self._log = from_log
        self._desk = desk
        self._outbox = outbox
        self._instruments = instruments
        self._owns = owns
        self._reads_all = reads_all
        self._stop = threading.Event()
        self._troubles = Troubles()
        self._threads: list[threading.Thread] = []
        self._tails: dict[frozenset[int], Tail] = {}
        self._assigned: frozenset[int] = frozenset()
        self._owned: frozenset[int] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.caught_up = False
        """Whether everything was read that stood in the log when this process began."""

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

    def _again_and_again(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            try:
                work()
            except LogError as error:
                if self._troubles.is_new(str(error)):
                    log.warning("the log cannot be read; trying again", why=str(error))
                self._stop.wait(RETRY_SECONDS)

    def _belong(self) -> None:
        """Keep the membership, and know what is assigned."""
        membership: Membership = self._log.join(GROUP)
        try:
            while not self._stop.is_set():
                self._assigned = membership.owned(POLL_SECONDS)
        finally:
            self._assigned = frozenset()
            membership.close()

    def _read(self) -> None:
        """Read the log until it breaks off or there is an end."""
        try:
            while not self._stop.is_set():
                self._fit_tails()
                if not self._tails:
                    self._stop.wait(POLL_SECONDS)
                for tail in list(self._tails.values()):
                    live = tail.caught_up()
                    news = [read(stored) for stored in tail.poll(POLL_SECONDS / len(self._tails))]
                    if news:
                        self._on_loop(news, live=live)
                        self._stop.wait(PAUSE_SECONDS)
                self._settle()
        finally:
            for tail in self._tails.values():
                tail.close()
            self._tails.clear()
            self.caught_up = False

    def _fit_tails(self) -> None:
        """Follow what should be followed: everything, or what is assigned."""
        wanted = frozenset(range(self._log.partitions)) if self._reads_all else self._assigned
        followed = frozenset().union(*self._tails)
        for partitions, tail in list(self._tails.items()):
            if not partitions <= wanted:
                tail.close()
                del self._tails[partitions]
                followed -= partitions
                self._run(self._desk.forget, partitions)
        if new := wanted - followed:
            self._tails[new] = self._log.tail(TOPICS, new, from_start=True)

    def _settle(self) -> None:
        """Own what is assigned and read to the end; own nothing else."""
        ends = [partitions for partitions, tail in self._tails.items() if tail.caught_up()]
        self.caught_up = bool(self._tails) and len(ends) == len(self._tails)
        owned = self._assigned & frozenset().union(*ends)
        if owned != self._owned:
            self._owned = owned
            log.info("owning partitions", partitions=sorted(owned))
            self._run(self._desk.own, owned)
        self._instruments.lag.set(sum(tail.lag() for tail in self._tails.values()))

    def _on_loop(self, news: Sequence[News], *, live: bool) -> None:
        assert self._loop is not None  # noqa: S101 # start() sets it before any thread runs
        asyncio.run_coroutine_threadsafe(self._fold(news, live=live), self._loop).result()

    def _run(self, what: Callable[[frozenset[int]], None], partitions: frozenset[int]) -> None:
        async def run() -> None:
            what(partitions)

        assert self._loop is not None  # noqa: S101 # start() sets it before any thread runs
        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    async def _fold(self, news: Sequence[News], *, live: bool) -> None:
        for at in range(0, len(news), SLICE):
            began = time.perf_counter()
            folded = self._desk.fold(news[at : at + SLICE], time.monotonic(), live=live)
            self._instruments.note_fold(folded, time.perf_counter() - began)
            if folded.entries:
                self._outbox.put(folded.entries)
            await asyncio.sleep(0)
