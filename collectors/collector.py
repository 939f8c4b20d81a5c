"""The loop: stand by, take over, poll until something breaks, and begin again.

A collector that lost its database has nothing more to say than since when, and says that. Whatever breaks ends its
reign: with the connection goes the lock, and the next one, here or in another process, begins a new epoch.
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

from collectors.leadership import LogWatch
from collectors.metrics import CollectorInstruments
from collectors.observer import Removal, Observer, Outgoing, Reading
from collectors.probes.prober import Prober, ProbeSettings
from collectors.probes.registrations import Registrations
from collectors.vicidial.database import DatabaseError, DatabaseRefusedError, DatabaseSettings, VicidialDatabase
from collectors.vicidial.rows import OddRows, dialers
from messages.codec import UndecodableRecordError, decode
from messages.records import Outage, Resynchronise
from messages.topics import Key, Topic, partition_of
from stream.entries import end_of_observation, entry_of
from stream.log import Entry, Log, LogError, LogUnavailableError, Tail
from stream.outbox import Outbox
from stream.warn_once import WarnOnce

LOCK_SECONDS = 0.5
"""How often a collector that stands by asks for the lock."""

QUIET_SECONDS = 5.0
"""Without a poll for so long nobody collects."""
SHORT_REIGN_SECONDS = 5.0
"""A reign that broke off sooner would only break off again: the next one waits, as after any other failure."""

log = structlog.get_logger()

T = TypeVar("T")


class Pace(NamedTuple):
    """How often what is read, in seconds."""

    flags: float = 0.5
    agents: float = 1.0
    catalogue: float = 30.0
    everything: float = 300.0
    """How often everything is published again, whether it changed or not."""


DEFAULT_PACE = Pace()
NO_PROBES = ProbeSettings()


class _Askers(NamedTuple):
    """Who asks the dialers themselves; None: nobody does."""

    prober: Prober | None
    registrations: Registrations | None


class _Clock:
    """The log's time of one reign: from the wall clock or the last poll's time, whichever is later, then monotonic."""

    def __init__(self, not_before_ms: int) -> None:
        self._start_ms = max(round(time.time() * 1000), not_before_ms + 1)
        self._start = time.monotonic()

    def now_ms(self) -> int:
        return self._start_ms + round((time.monotonic() - self._start) * 1000)


class Collector:
    """Collects for one cluster, as the one that works or as the one that stands by."""

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
        self._missing_said: tuple[str, ...] = ()
        self._broken = ""
        """What was last said to be wrong with the database; empty: nothing."""
        self._unreachable_since_ms = 0
        self._warn_once = WarnOnce()
        instruments.start(cluster)
        self._say = log.bind(cluster=cluster)

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set."""
        while not stop.is_set():
            try:
                self._until_it_works(stop, partial(self._follow_and_reign, stop))
            except Exception:  # noqa: BLE001 # this thread must not end while the process says it is ready
                self._instruments.errors.labels(self._cluster, "failed").inc()
                self._say.exception("collecting failed; beginning again")
                stop.wait(SHORT_REIGN_SECONDS)

    def _follow_and_reign(self, stop: threading.Event) -> None:
        """Follow the log until it is this collector's turn, and collect until something breaks.

        Raises:
            DatabaseError: what broke, soon after the reign began.
            LogError: the same, or the log cannot be followed.
        """
        # A watch reads the log from its start; after a reign a new one is cheaper than all that was missed.
        with closing(LogWatch(self._cluster, self._log)) as watch:
            broken = self._until_it_works(stop, partial(self._stand_by_and_reign, watch, stop))
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

    def _stand_by_and_reign(self, watch: LogWatch, stop: threading.Event) -> DatabaseError | LogError | None:
        """Wait for the lock, claim an epoch, and collect until something breaks; give what broke a short reign.

        Raises:
            DatabaseError: before the reign began.
            LogError: the same.
        """
        while not watch.follow(LOCK_SECONDS):
            if stop.is_set():
                return None
        try:
            database = VicidialDatabase(self._settings)
        except DatabaseError as error:
            others_poll = watch.polled_at is not None and time.monotonic() - watch.polled_at < QUIET_SECONDS
            since_ms = _Clock(watch.observed_at_ms).now_ms()
            # While another collector reaches the database it is not away; only this process is cut off.
            self._note_outage(error, watch.epoch, watch.sequence + 1, since_ms, publish=not others_poll)
            raise
        with database:
            self._note_database(database)
            standing_by = False
            while not database.take_lock():
                if stop.is_set():
                    return None
                if not standing_by:
                    standing_by = True
                    self._say.info("standing by: another collector works for this database")
                watch.follow(LOCK_SECONDS)
            epoch = watch.claim(self._name)
            if not database.holds_lock():
                return None
            watch.close()
            observer = Observer(self._cluster, self._name, epoch)
            return self._reign(database, observer, _Clock(watch.observed_at_ms), stop)

    def _reign(
        self, database: VicidialDatabase, observer: Observer, clock: _Clock, stop: threading.Event
    ) -> DatabaseError | LogError | None:
        self._say.info("collecting", epoch=observer.epoch, database=self._settings.where)
        self._instruments.leading.labels(self._cluster).set(1)
        partition = partition_of(self._cluster, self._log.partitions)
        began_ms = last_good_ms = clock.now_ms()
        broken: DatabaseError | LogError | None = None
        try:
            with (
                closing(self._log.tail([Topic.ORDERS], [partition], from_start=False)) as orders,
                # One that stands by asks nobody: dialers answer for each that does.
                Prober({}) if self._probes.any_probe else nullcontext() as prober,
                Registrations() if self._probes.ami_user else nullcontext() as registrations,
            ):
                mended = self._outbox.mended
                for number in self._ticks(database, stop):
                    again = number > 0 and (
                        self._asked_again(orders)
                        or number % self._polls(self._pace.everything) == 0
                        # an append that failed may have been stored in part, and what came late was dropped as old
                        or mended != self._outbox.mended
                    )
                    mended = self._outbox.mended
                    self._poll(database, observer, _Askers(prober, registrations), clock.now_ms(), number, again=again)
                    last_good_ms = clock.now_ms()
        except DatabaseError as error:
            broken = error
            self._note_outage(error, observer.epoch, observer.sequence + 1, last_good_ms)
        except LogError as error:
            broken = error
            self._say.warning("the log cannot be read; starting over", why=str(error))
        finally:
            self._instruments.leading.labels(self._cluster).set(0)
        return broken if clock.now_ms() - began_ms < SHORT_REIGN_SECONDS * 1000 else None

    def _polls(self, seconds: float) -> int:
        """Tell how many polls make so many seconds."""
        return max(1, round(seconds / self._pace.flags))

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

    def _poll(  # noqa: PLR0913 # one poll needs all of a reign
        self,
        database: VicidialDatabase,
        observer: Observer,
        askers: _Askers,
        now_ms: int,
        number: int,
        *,
        again: bool,
    ) -> None:
        began = time.monotonic()
        statements, read = database.statements_run, database.rows_read
        if again:
            observer.publish_everything_again()
        reading = database.read(
            agents=number % self._polls(self._pace.agents) == 0,
            # The second poll: the first tells about dialers and agents, and shall not wait for thousands of phones.
            catalogue=again or number % self._polls(self._pace.catalogue) == 1 % self._polls(self._pace.catalogue),
            everything=again,
        )
        if askers.prober is not None:
            reading = self._hear_probes(askers.prober, reading)
        if askers.registrations is not None:
            probes = self._probes.probes_of(observer.unwritten)
            askers.registrations.watch({ip: each.ami for ip, each in probes.items() if each.ami is not None})
            reading = reading._replace(registered=askers.registrations.latest())
        entries = [entry(each) for each in observer.observe(now_ms, reading)]
        self._outbox.put(entries)
        self._instruments.poll_seconds.labels(self._cluster).observe(time.monotonic() - began)
        self._instruments.statements.labels(self._cluster).inc(database.statements_run - statements)
        self._instruments.rows.labels(self._cluster).inc(database.rows_read - read)
        self._instruments.published.labels(self._cluster).inc(len(entries))

    def _hear_probes(self, prober: Prober, reading: Reading) -> Reading:
        """Have the dialers probed that this reading shows, and add what is known of them; waits for none."""
        # What is odd about their rows the observer counts.
        asked = [each.server_ip for each in dialers(reading.dialers, OddRows()).values() if each.asterisk]
        prober.watch(self._probes.probes_of(asked))
        return reading._replace(probes=prober.latest())

    def _asked_again(self, orders: Tail) -> bool:
        """Tell whether somebody ordered that everything be published again."""
        asked = False
        try:
            news = orders.poll(0.0)
        except LogUnavailableError:
            return False  # nothing is lost: the order will still be there, and meanwhile the outbox holds the records
        for stored in news:
            if Key.parse(stored.key).cluster != self._cluster or stored.value is None:
                continue
            try:
                asked |= isinstance(decode(stored.topic, stored.value), Resynchronise)
            except UndecodableRecordError:
                continue  # the controller reads every order too, and reports this one
        return asked

    def _note_retry(self, retry: RetryCallState) -> None:
        error = retry.outcome.exception() if retry.outcome is not None else None
        if isinstance(error, LogError) and self._warn_once.is_new(str(error)):
            self._say.warning("the log cannot be read; trying again", why=str(error))

    def _note_database(self, database: VicidialDatabase) -> None:
        if self._broken:
            self._broken = ""
            self._say.info("the database answers again", database=self._settings.where)
        if database.missing_columns != self._missing_said:
            self._missing_said = database.missing_columns
            self._say.info("this schema lacks columns, or they are not granted", columns=database.missing_columns)

    def _note_outage(
        self, error: DatabaseError, epoch: int, sequence: int, since_ms: int, *, publish: bool = True
    ) -> None:
        """Say on the log that the database does not answer, each time it was tried; and to people, once."""
        kind = "refused" if isinstance(error, DatabaseRefusedError) else "unavailable"
        self._instruments.errors.labels(self._cluster, kind).inc()
        if not self._broken:
            self._unreachable_since_ms = since_ms
        if self._broken != str(error):
            self._broken = str(error)
            self._say.warning("the database cannot be read; trying again", why=str(error))
        if not publish:
            return
        outage = Outage(
            cluster=self._cluster,
            epoch=epoch,
            sequence=sequence,
            unreachable_since_ms=self._unreachable_since_ms,
            collector=self._name,
            why=str(error),
        )
        self._outbox.put([entry_of(outage)])


def entry(outgoing: Outgoing) -> Entry:
    """Make the entry that stores what an observer gave out."""
    if isinstance(outgoing, Removal):
        return end_of_observation(outgoing.key, outgoing.epoch, outgoing.sequence)
    return entry_of(outgoing)
