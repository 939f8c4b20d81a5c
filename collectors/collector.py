"""The loop: stand by, take over, lead until something breaks, and begin again.

A collector that lost its database has nothing more to say than since when, and says that. Whatever breaks ends its
term: with the connection goes the lock, and the next leader, here or in another process, begins a new epoch. Whose turn
it is decides `collectors.leadership`; here is done what it says, and `collectors.leading` leads.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential_jitter,
)

from collectors.clocks import Clocks
from collectors.leadership import (
    CLAIM_SECONDS,
    LOCK_SECONDS,
    SHORT_TERM_SECONDS,
    AnotherInstallation,
    Leadership,
    Step,
)
from collectors.leading import DEFAULT_PACE, GaveWay, Leading, Pace
from collectors.metrics import CollectorInstruments
from collectors.outages import Outages
from collectors.probes.prober import ProbeSettings
from collectors.vicidial.database import DatabaseError, DatabaseUnavailableError, VicidialDatabase
from collectors.vicidial.settings import DatabaseSettings
from messages.codes import ReasonCode
from messages.topics import Topic, partition_of
from messages.words import sentence
from stream.entries import entry_of
from stream.log import Log, LogError, LogUnavailableError, Tail
from stream.outbox import Outbox
from stream.warn_once import WarnOnce

READ_BACK_SECONDS = 0.1

log = structlog.get_logger()

T = TypeVar("T")

NO_PROBES = ProbeSettings()


class Collector:
    """Collects for one cluster, as the leader or as a standby."""

    def __init__(  # noqa: PLR0913 # what it needs, each once
        self,
        cluster: str,
        settings: DatabaseSettings,
        to: Log,
        outbox: Outbox,
        instruments: CollectorInstruments,
        *,
        name: str,
        pace: Pace = DEFAULT_PACE,
        probes: ProbeSettings = NO_PROBES,
    ) -> None:
        """Prepare; `name` tells this process apart from every other."""
        self._cluster = cluster
        self._settings = settings
        self._log = to
        self._instruments = instruments
        self._name = name
        self._outages = Outages(cluster, settings, outbox, instruments, name=name)
        self._clocks = Clocks(cluster, instruments)
        self._another = AnotherInstallation()
        self._leading = Leading(
            cluster,
            to,
            outbox,
            instruments,
            self._outages,
            self._clocks,
            self._another,
            name=name,
            pace=pace,
            probes=probes,
        )
        self._warn_once = WarnOnce()
        self._gave_way = False
        """The last term ended because another collector had begun a later one."""
        instruments.start(cluster)
        self._say = log.bind(cluster=cluster)

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set."""
        while not stop.is_set():
            try:
                self._until_it_works(stop, partial(self._follow_and_lead, stop))
            except Exception:  # noqa: BLE001 # this thread must not end while the process says it is ready
                self._instruments.errors.labels(self._cluster, "failed").inc()
                self._say.exception("collecting failed; beginning again")
                stop.wait(SHORT_TERM_SECONDS)

    def _follow_and_lead(self, stop: threading.Event) -> None:
        """Follow the log until it is this collector's turn, and collect until something breaks.

        Raises:
            DatabaseError: what broke, soon after the term began.
            LogError: the same, or the log cannot be followed.
        """
        leadership = Leadership(self._cluster, self._name, gave_way=self._gave_way, another=self._another)
        partition = partition_of(self._cluster, self._log.partitions)
        # A tail reads the log from its start; after a term a new one is cheaper than all that was missed.
        with closing(self._log.tail([Topic.OBSERVATIONS], [partition], from_start=True)) as tail:
            broken = self._until_it_works(stop, partial(self._stand_by_and_lead, leadership, tail, stop))
        if broken is not None and not self._gave_way:
            raise broken

    def _until_it_works(self, stop: threading.Event, what: Callable[[], T]) -> T | None:
        """Call again and again, waiting ever longer, until nothing breaks or `stop` is set (then None)."""
        retry = Retrying(
            retry=retry_if_exception_type((DatabaseError, LogError)),
            wait=wait_exponential_jitter(multiplier=0.2, max=5.0, jitter=0.3),
            sleep=sleep_using_event(stop),
            stop=stop_when_event_set(stop),
            before_sleep=self._note_retry,
            retry_error_callback=lambda _: None,
        )
        return retry(what)

    def _stand_by_and_lead(
        self, leadership: Leadership, tail: Tail, stop: threading.Event
    ) -> DatabaseError | LogError | None:
        """Wait for the lock, claim an epoch, and collect until something breaks; return what broke off a short term.

        Raises:
            DatabaseError: before the term began.
            LogError: the same.
        """
        # at each try: what another collector did meanwhile tells whether the database is away, and the next epoch
        self._follow(leadership, tail, LOCK_SECONDS)
        while leadership.next is Step.FOLLOW:
            if stop.is_set():
                return None
            self._follow(leadership, tail, LOCK_SECONDS)
        with self._connect(leadership) as database:
            self._outages.note_database(database)
            try:
                while leadership.term is None:
                    if stop.is_set():
                        return None
                    self._take_over(leadership, tail, database, stop)
                tail.close()
                broken = self._leading.lead(database, leadership.term, stop)
                self._gave_way = isinstance(broken, GaveWay)
                return broken
            finally:
                # with the connection goes the lock
                leadership.lock_lost()

    def _connect(self, leadership: Leadership) -> VicidialDatabase:
        try:
            return VicidialDatabase(self._settings)
        except DatabaseError as error:
            self._note_outage(leadership, error)
            raise

    def _note_outage(self, leadership: Leadership, error: DatabaseError) -> None:
        self._outages.note_outage(
            error,
            leadership.epoch,
            leadership.sequence + 1,
            leadership.log_time_ms(_wall_ms()),
            # While another collector reaches the database it is not away; only this process is cut off.
            publish=not leadership.another_polls(time.monotonic()),
        )

    def _follow(self, leadership: Leadership, tail: Tail, timeout_seconds: float) -> None:
        batch = tail.poll(timeout_seconds)
        leadership.read(batch, time.monotonic(), caught_up=tail.caught_up())

    def _take_over(self, leadership: Leadership, tail: Tail, database: VicidialDatabase, stop: threading.Event) -> None:
        """Do what is next on the way to a term.

        Raises:
            DatabaseError: the connection is gone.
            LogError: the epoch could not be claimed.
        """
        match leadership.next:
            case Step.TAKE_LOCK:
                self._wait_for_lock(leadership, tail, database, stop)
            case Step.CLAIM:
                if leadership.is_beaten:
                    self._say.info("another collector claimed first; claiming again")
                self._log.append([entry_of(leadership.claim(time.monotonic()))])
            case Step.READ_BACK:
                self._follow(leadership, tail, READ_BACK_SECONDS)
            case Step.LOOK_AT_LOCK:
                held = database.holds_lock()
                leadership.look_at_lock(time.monotonic(), database.clock_ms(), held=held)
                self._clocks.note("log", leadership.log_clock_ms(time.monotonic()), _wall_ms())
            case Step.FOLLOW | Step.LEAD:
                pass  # done before, and after
        if leadership.is_overdue(time.monotonic()):
            raise LogUnavailableError(
                f"no epoch of cluster {self._cluster} could be claimed within {CLAIM_SECONDS:g} s: the claim does not"
                " come back from the log, or too many collectors claim"
            )

    def _wait_for_lock(
        self, leadership: Leadership, tail: Tail, database: VicidialDatabase, stop: threading.Event
    ) -> None:
        stands_by = told = False
        while leadership.stays_away(time.monotonic()) or not database.take_lock():
            if stop.is_set():
                return
            if not stands_by:
                stands_by = True
                self._say.info("standing by: another collector works for this database")
            database.holds_lock()  # the server hangs up on a connection that is silent
            leadership.lock_denied(time.monotonic())
            foreign = leadership.is_foreign(time.monotonic())
            if foreign != told:
                database.say_that_another_waits(waits=foreign)
                told = foreign
            if foreign:
                self._note_outage(leadership, DatabaseUnavailableError(sentence(ReasonCode.ANOTHER_INSTALLATION)))
            self._follow(leadership, tail, LOCK_SECONDS)
        if told:
            database.say_that_another_waits(waits=False)
            self._outages.note_database(database)
        leadership.lock_taken()
        self._gave_way = False

    def _note_retry(self, retry: RetryCallState) -> None:
        error = retry.outcome.exception() if retry.outcome is not None else None
        if isinstance(error, LogError) and self._warn_once.is_new(str(error)):
            self._say.warning("the log cannot be used; trying again", why=str(error))


def _wall_ms() -> int:
    return round(time.time() * 1000)
