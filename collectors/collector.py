"""The loop: stand by, take over, poll until something breaks, and begin again.

A collector that lost its database has nothing more to say than since when, and says that. Whatever breaks ends its
term: with the connection goes the lock, and the next leader, here or in another process, begins a new epoch. Whose turn
it is decides `collectors.leadership`; here is done what it says.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from functools import partial
from itertools import count
from typing import NamedTuple, TypeVar

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential_jitter,
)

from collectors.leadership import CLAIM_SECONDS, SHORT_TERM_SECONDS, Leadership, Step, Term
from collectors.metrics import CollectorInstruments
from collectors.observer import Observer, Outgoing, Reading, Removal
from collectors.outages import Outages
from collectors.probes.pacing import Pacing
from collectors.probes.prober import KIND_AMI, Prober, ProbeSettings
from collectors.probes.registrations import Registrations
from collectors.vicidial.database import DatabaseError, DatabaseSettings, VicidialDatabase
from collectors.vicidial.rows import OddRows, dialers
from messages.codec import UndecodableRecordError, decode
from messages.records import ProbeResult, Resynchronise, ServerIp
from messages.topics import Key, Topic, partition_of
from stream.entries import end_of_observation, entry_of
from stream.log import Entry, Log, LogError, LogUnavailableError, Tail
from stream.outbox import Outbox
from stream.warn_once import WarnOnce

LOCK_SECONDS = 0.5
"""How often a collector that stands by asks for the lock."""
READ_BACK_SECONDS = 0.1

log = structlog.get_logger()

T = TypeVar("T")


class Due(NamedTuple):
    """The parts that one poll reads besides flags and heartbeats."""

    agents: bool
    screens: bool
    catalogue: bool
    everything: bool
    """The catalogue whether it changed or not."""


class Pace(NamedTuple):
    """How often what is read, in seconds."""

    flags: float = 0.5
    agents: float = 1.0
    screens: float = 10.0
    catalogue: float = 30.0
    everything: float = 300.0
    """How often everything is published again, whether it changed or not."""

    def due(self, number: int, *, again: bool) -> Due:
        """Return what a term's poll of that number reads; `again`: everything is published again."""
        every = self._polls(self.catalogue)
        agents = number % self._polls(self.agents) == 0
        screens = number % self._polls(self.screens) < self._polls(self.agents)
        # The second poll: the first tells about dialers and agents, and shall not wait for thousands of phones.
        return Due(agents, agents and screens, again or number % every == 1 % every, again)

    def is_everything_due(self, number: int) -> bool:
        """Return True if it is time to publish everything again. A term's first poll does so anyway."""
        return number > 0 and number % self._polls(self.everything) == 0

    def _polls(self, seconds: float) -> int:
        return max(1, round(seconds / self.flags))


DEFAULT_PACE = Pace()
NO_PROBES = ProbeSettings()


class _Askers(NamedTuple):
    """The parts that ask the dialers themselves; None: the cluster has no such probes."""

    prober: Prober | None
    registrations: Registrations | None


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
        self._outbox = outbox
        self._instruments = instruments
        self._name = name
        self._pace = pace
        self._probes = probes
        # It outlives the terms: a dialer does not care how often this process loses its database.
        self._pacing = Pacing() if probes.sip_pace == "in_doubt" else None
        self._outages = Outages(cluster, settings, outbox, instruments, name=name)
        self._warn_once = WarnOnce()
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
        leadership = Leadership(self._cluster, self._name)
        partition = partition_of(self._cluster, self._log.partitions)
        # A tail reads the log from its start; after a term a new one is cheaper than all that was missed.
        with closing(self._log.tail([Topic.OBSERVATIONS], [partition], from_start=True)) as tail:
            broken = self._until_it_works(stop, partial(self._stand_by_and_lead, leadership, tail, stop))
        if broken is not None:
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
                return self._lead(database, leadership.term, stop)
            finally:
                # with the connection goes the lock
                leadership.lock_lost()

    def _connect(self, leadership: Leadership) -> VicidialDatabase:
        try:
            return VicidialDatabase(self._settings)
        except DatabaseError as error:
            self._outages.note_outage(
                error,
                leadership.epoch,
                leadership.sequence + 1,
                leadership.log_time_ms(_wall_ms()),
                # While another collector reaches the database it is not away; only this process is cut off.
                publish=not leadership.another_polls(time.monotonic()),
            )
            raise

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
                leadership.look_at_lock(time.monotonic(), _wall_ms(), held=held)
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
        stands_by = False
        while not database.take_lock():
            if stop.is_set():
                return
            if not stands_by:
                stands_by = True
                self._say.info("standing by: another collector works for this database")
            self._follow(leadership, tail, LOCK_SECONDS)
        leadership.lock_taken()

    def _lead(self, database: VicidialDatabase, term: Term, stop: threading.Event) -> DatabaseError | LogError | None:
        observer = Observer(self._cluster, self._name, term.epoch)
        self._say.info("collecting", epoch=observer.epoch, database=self._settings.where)
        self._instruments.leading.labels(self._cluster).set(1)
        partition = partition_of(self._cluster, self._log.partitions)
        last_good_ms = term.began_ms
        broken: DatabaseError | LogError | None = None
        try:
            with (
                closing(self._log.tail([Topic.ORDERS], [partition], from_start=False)) as orders,
                # One that stands by asks nobody: dialers answer for each that does.
                Prober({}, pacing=self._pacing) if self._probes.any_probe else nullcontext() as prober,
                Registrations() if self._probes.ami_user else nullcontext() as registrations,
            ):
                mended = self._outbox.mended
                for number in self._ticks(database, stop):
                    again = number > 0 and (
                        _is_asked_again(orders, self._cluster)
                        or self._pace.is_everything_due(number)
                        # an append that failed may have been stored in part, and what came late was dropped as old
                        or mended != self._outbox.mended
                    )
                    mended = self._outbox.mended
                    askers, now_ms = _Askers(prober, registrations), term.at_ms(time.monotonic())
                    self._poll(database, observer, askers, now_ms, self._pace.due(number, again=again))
                    last_good_ms = term.at_ms(time.monotonic())
        except DatabaseError as error:
            broken = error
            self._outages.note_outage(error, observer.epoch, observer.sequence + 1, last_good_ms)
        except LogError as error:
            broken = error
            self._say.warning("the log cannot be read; starting over", why=str(error))
        finally:
            self._instruments.leading.labels(self._cluster).set(0)
        return broken if term.was_short(time.monotonic()) else None

    def _ticks(self, database: VicidialDatabase, stop: threading.Event) -> Iterator[int]:
        """Count polls, each in its time; while the log takes no records and the queue is full, none is due."""
        due = time.monotonic()
        for number in count():
            while self._outbox.full:
                database.holds_lock()  # a word now and then, or the server hangs up and the lock is gone
                if self._outbox.wait_until_room(LOCK_SECONDS) or stop.is_set():
                    break
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            yield number
            due = max(due + self._pace.flags, time.monotonic() - self._pace.flags)

    def _poll(self, database: VicidialDatabase, observer: Observer, askers: _Askers, now_ms: int, due: Due) -> None:
        began = time.monotonic()
        statements, read = database.statements_run, database.rows_read
        if due.everything:
            observer.publish_everything_again()
        reading = database.read(
            agents=due.agents,
            catalogue=due.catalogue,
            everything=due.everything,
            screens=due.screens or observer.screens_in_doubt,
            work=observer.work_to_read,
            rooms=observer.rooms_to_read,
        )
        if askers.prober is not None:
            reading = self._hear_probes(askers.prober, reading)
        if askers.registrations is not None:
            # a login that is refused now is not tried a second time for this
            probes = self._probes.probes_of(ip for ip in observer.unwritten if _is_alive(reading, ip))
            askers.registrations.watch({ip: each.ami for ip, each in probes.items() if each.ami is not None})
            reading = reading._replace(registered=askers.registrations.latest())
        entries = [entry(each) for each in observer.observe(now_ms, reading)]
        if askers.prober is not None:
            askers.prober.doubt(observer.in_doubt)
            askers.prober.list_channels(observer.channels_to_list)
        self._outbox.put(entries)
        self._instruments.poll_seconds.labels(self._cluster).observe(time.monotonic() - began)
        self._instruments.statements.labels(self._cluster).inc(database.statements_run - statements)
        self._instruments.rows.labels(self._cluster).inc(database.rows_read - read)
        self._instruments.published.labels(self._cluster).inc(len(entries))

    def _hear_probes(self, prober: Prober, reading: Reading) -> Reading:
        """Probe the dialers that this reading shows, and add their latest results; it waits for none."""
        # What is odd about their rows the observer counts.
        asked = [each.server_ip for each in dialers(reading.dialers, OddRows()).values() if each.asterisk]
        prober.watch(self._probes.probes_of(asked))
        return reading._replace(probes=prober.latest(), started=prober.started(), extensions=prober.extensions())

    def _note_retry(self, retry: RetryCallState) -> None:
        error = retry.outcome.exception() if retry.outcome is not None else None
        if isinstance(error, LogError) and self._warn_once.is_new(str(error)):
            self._say.warning("the log cannot be read; trying again", why=str(error))


def _is_alive(reading: Reading, server_ip: ServerIp) -> bool:
    return reading.probes.get(server_ip, {}).get(KIND_AMI) is ProbeResult.ALIVE


def _wall_ms() -> int:
    return round(time.time() * 1000)


def entry(outgoing: Outgoing) -> Entry:
    """Make the entry that stores what an observer gave out."""
    if isinstance(outgoing, Removal):
        return end_of_observation(outgoing.key, outgoing.epoch, outgoing.sequence)
    return entry_of(outgoing)


def _is_asked_again(orders: Tail, cluster: str) -> bool:
    """Return True if an order came to publish everything again."""
    asked = False
    try:
        news = orders.poll(0.0)
    except LogUnavailableError:
        return False  # nothing is lost: the order will still be there, and meanwhile the outbox holds the records
    for stored in news:
        if Key.parse(stored.key).cluster != cluster or stored.value is None:
            continue
        try:
            asked |= isinstance(decode(stored.topic, stored.value), Resynchronise)
        except UndecodableRecordError:
            continue  # the controller reads every order too, and reports this one
    return asked
