"""Leading: one term of a collector, poll after poll, until something breaks or the term is of no more use.

A leader gives its lock back by itself when the log takes none of its records, when another collector has begun a later
term, and when its address leads to another server than the one that it reads: another collector may do better, and
this one connects anew.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from itertools import count
from typing import NamedTuple

import structlog

from collectors.clocks import Clocks
from collectors.leadership import (
    ANOTHER_SECONDS,
    LOCK_SECONDS,
    STILL_SECONDS,
    USELESS_SECONDS,
    AnotherInstallation,
    Term,
)
from collectors.metrics import CollectorInstruments
from collectors.observer import Observer, Outgoing, Reading, Removal
from collectors.outages import Outages
from collectors.probes.pacing import Pacing
from collectors.probes.prober import Prober, ProbeSettings
from collectors.vicidial.database import DatabaseError, DatabaseUnavailableError, VicidialDatabase
from collectors.vicidial.parts import Wanted
from collectors.vicidial.reader import Reader
from collectors.vicidial.rows import OddRows, dialers
from messages.codec import STAMP_HEADER, UndecodableRecordError, decode, decode_stamp
from messages.codes import ReasonCode
from messages.keys import KIND_EPOCH
from messages.records import Resynchronise
from messages.topics import Key, Topic, partition_of
from stream.entries import begin_of_term, end_of_observation, entry_of
from stream.log import Entry, Log, LogError, LogUnavailableError, Tail
from stream.outbox import Outbox

ON_TIME_SECONDS = 0.05
"""A poll that begins no later than this after its time has that time."""
DOUBTS_SECONDS = 5.0
"""How often a leader looks for reasons for which nothing may be written into its database."""

log = structlog.get_logger()


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


class GaveWay(LogError):  # noqa: N818 # it is no error of the log's, but ends a term as one does
    """Another collector has begun a later term."""


class _Parts(NamedTuple):
    """The parts that one term works with."""

    observer: Observer
    reader: Reader
    doubts: "_Doubts"
    prober: Prober | None
    """None: the cluster has no probes."""


class _Orders(NamedTuple):
    """The orders that have come in for a collector."""

    again: bool
    """Everything is to be published again."""
    epoch: int
    """The latest epoch that was begun; 0: none was."""


class Leading:
    """Leads for one cluster, a term at a time. It belongs to the collector's thread."""

    def __init__(  # noqa: PLR0913, PLR0917 # what it needs, each once
        self,
        cluster: str,
        to: Log,
        outbox: Outbox,
        instruments: CollectorInstruments,
        outages: Outages,
        clocks: Clocks,
        another: AnotherInstallation,
        *,
        name: str,
        pace: Pace,
        probes: ProbeSettings,
    ) -> None:
        """Prepare; `name` is the collector's."""
        self._cluster = cluster
        self._log = to
        self._outbox = outbox
        self._instruments = instruments
        self._outages = outages
        self._name = name
        self._pace = pace
        self._probes = probes
        # It outlives the terms: a dialer does not care how often this process loses its database.
        self._pacing = Pacing() if probes.sip_pace == "in_doubt" else None
        self._clocks = clocks
        self._another = another
        self._say = log.bind(cluster=cluster)

    def lead(self, database: VicidialDatabase, term: Term, stop: threading.Event) -> DatabaseError | LogError | None:
        """Poll until something breaks or `stop` is set; return what broke, if the next term must wait.

        A term that gave way is always returned, as `GaveWay`.
        """
        observer = Observer(self._cluster, self._name, term.epoch)
        self._say.info("collecting", epoch=observer.epoch, database=database.settings.where)
        if self._another.may_return(time.monotonic()):
            self._say.warning(
                "another installation had the lock until now, and may return: nothing is carried out for a while",
                seconds=ANOTHER_SECONDS,
            )
        self._instruments.leading.labels(self._cluster).set(1)
        broken: DatabaseError | LogError | None = None
        try:
            self._poll_on(database, observer, term, stop)
        except DatabaseError as error:
            broken = error
            self._outages.note_outage(
                error, observer.epoch, observer.sequence + 1, observer.observed_at_ms or term.began_ms
            )
        except GaveWay as error:
            self._say.warning("the term ends", why=str(error))
            return error
        except LogError as error:
            broken = error
            self._say.warning("the log cannot be used; starting over", why=str(error))
        finally:
            self._instruments.leading.labels(self._cluster).set(0)
        return broken if term.was_short(time.monotonic()) else None

    def _poll_on(self, database: VicidialDatabase, observer: Observer, term: Term, stop: threading.Event) -> None:
        partition = partition_of(self._cluster, self._log.partitions)
        with (
            closing(self._log.tail([Topic.ORDERS], [partition], from_start=False)) as orders,
            # One that stands by asks nobody: dialers answer for each that does.
            Prober({}, pacing=self._pacing) if self._probes.any_probe else nullcontext() as prober,
            Reader(database) as reader,
        ):
            self._outbox.put([begin_of_term(self._cluster, term.epoch, self._name)])
            parts = _Parts(observer, reader, _Doubts(database, self._another), prober)
            mended = self._outbox.mended(self._cluster)
            for number, at in self._ticks(database, stop):
                asked = _orders(orders, self._cluster)
                if asked.epoch > term.epoch:
                    raise GaveWay(f"another collector has begun epoch {asked.epoch}")
                again = number > 0 and (
                    asked.again
                    or self._pace.is_everything_due(number)
                    # an append that failed may have been stored in part, and what came late was dropped as old
                    or mended != self._outbox.mended(self._cluster)
                )
                mended = self._outbox.mended(self._cluster)
                now_ms, due = term.at_ms(at), self._pace.due(number, again=again)
                if number == 0 or due.catalogue:
                    self._read_clock(database, observer, term)
                parts.doubts.look(observer.last_beat_ms, now_ms)
                self._poll(parts, now_ms, due)

    def _read_clock(self, database: VicidialDatabase, observer: Observer, term: Term) -> None:
        clock_ms = database.clock_ms()
        observer.wall_ahead_ms = clock_ms - term.at_ms(time.monotonic())
        self._clocks.note("database", clock_ms, round(time.time() * 1000))

    def _ticks(self, database: VicidialDatabase, stop: threading.Event) -> Iterator[tuple[int, float]]:
        """Count polls, each in its time, with that time; while the queue is full, none is due.

        Raises:
            LogUnavailableError: the log has taken no records for too long.
        """
        due = time.monotonic()
        at = due
        for number in count():
            self._check_log()
            while self._outbox.full(self._cluster):
                self._check_log()
                database.holds_lock()  # a word now and then, or the server hangs up and the lock is gone
                if self._outbox.wait_until_room(self._cluster, LOCK_SECONDS) or stop.is_set():
                    break
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            # after one that was half a second late, the next is due at an earlier time than that one has
            at = max(at, time_of_poll(due, time.monotonic()))
            yield number, at
            due = max(due + self._pace.flags, time.monotonic() - self._pace.flags)

    def _check_log(self) -> None:
        held_up = self._outbox.held_up_seconds(self._cluster)
        if held_up > USELESS_SECONDS:
            raise LogUnavailableError(
                f"the log has taken no records for {held_up:.0f} s; another collector may reach it, and gets the lock"
            )

    def _poll(self, parts: _Parts, now_ms: int, due: Due) -> None:
        observer, reader = parts.observer, parts.reader
        began = time.monotonic()
        statements, read = reader.statements_run, reader.rows_read
        if due.everything:
            observer.publish_everything_again()
        reading = reader.read(
            Wanted(
                agents=due.agents,
                screens=due.screens or observer.screens_in_doubt,
                catalogue=due.catalogue,
                everything=due.everything,
                work=observer.work_to_read,
                rooms=observer.rooms_to_read,
            )
        )._replace(doubts=parts.doubts.at(began))
        self._outages.note_unread(reading.unread)
        if parts.prober is not None:
            parts.prober.registrations.watch(observer.unwritten)
            reading = self._hear_probes(parts.prober, reading)
        entries = [entry(each) for each in observer.observe(now_ms, reading)]
        if parts.prober is not None:
            parts.prober.doubt(observer.in_doubt)
            parts.prober.list_channels(observer.channels_to_list)
        self._outbox.put(entries)
        self._instruments.poll_seconds.labels(self._cluster).observe(time.monotonic() - began)
        self._instruments.statements.labels(self._cluster).inc(reader.statements_run - statements)
        self._instruments.rows.labels(self._cluster).inc(reader.rows_read - read)
        self._instruments.published.labels(self._cluster).inc(len(entries))
        for statement, failures in reader.take_failures().items():
            self._instruments.statements_failed.labels(self._cluster, statement).inc(failures)

    def _hear_probes(self, prober: Prober, reading: Reading) -> Reading:
        """Probe the dialers that this reading shows, and add their latest results; it waits for none."""
        # What is odd about their rows the observer counts.
        asked = [each.server_ip for each in dialers(reading.dialers, OddRows()).values() if each.asterisk]
        prober.watch(self._probes.probes_of(asked))
        return reading._replace(
            probes=prober.latest(),
            started=prober.started(),
            extensions=prober.extensions(),
            registered=prober.registrations.latest(),
        )


class _Doubts:
    """Reads now and then what speaks against this database."""

    def __init__(self, database: VicidialDatabase, another: AnotherInstallation) -> None:
        self._found: tuple[ReasonCode, ...] = ()
        self._database = database
        self._another = another
        self._looked_at: float | None = None
        self._looked_elsewhere_at = time.monotonic()

    def look(self, last_beat_ms: int | None, now_ms: int) -> None:
        """Read it, if it is time.

        Args:
            last_beat_ms: when any heartbeat last advanced; None: there are none.
            now_ms: the log's time.

        Raises:
            DatabaseUnavailableError: the connection is gone, or the address leads to another server.
        """
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= DOUBTS_SECONDS:
            self._looked_at = now
            try:
                self._found = self._database.doubts()
            except DatabaseError:
                if not self._database.open:
                    raise
        still = last_beat_ms is not None and now_ms - last_beat_ms >= STILL_SECONDS * 1000
        if still and now - self._looked_elsewhere_at >= STILL_SECONDS:
            self._looked_elsewhere_at = now
            self._look_elsewhere()

    def at(self, now: float) -> tuple[ReasonCode, ...]:
        """Return the reasons for which nothing may be written into it."""
        if ReasonCode.ANOTHER_INSTALLATION in self._found or not self._another.may_return(now):
            return self._found
        return (ReasonCode.ANOTHER_INSTALLATION, *self._found)

    def _look_elsewhere(self) -> None:
        settings, is_here = self._database.settings, True
        with suppress(DatabaseError), VicidialDatabase(settings, self._database) as other:
            is_here = other.is_where(self._database)
        if not is_here:
            raise DatabaseUnavailableError(
                f"{settings.where} is another server now, and every heartbeat here stands still"
            )


def time_of_poll(due: float, now: float) -> float:
    """Return the time that a poll has which was due at one moment and began at another.

    A heartbeat that stands still for six polls has done so for 3 s. By its very moments a poll could come a hair too
    early for that, and the death would be decided at the seventh.
    """
    return due if now - due < ON_TIME_SECONDS else now


def entry(outgoing: Outgoing) -> Entry:
    """Make the entry that stores what an observer gave out."""
    if isinstance(outgoing, Removal):
        return end_of_observation(outgoing.key, outgoing.epoch, outgoing.sequence)
    return entry_of(outgoing)


def _orders(tail: Tail, cluster: str) -> _Orders:
    """Return the orders for this collector that have come in."""
    again, epoch = False, 0
    try:
        news = tail.poll(0.0)
    except LogUnavailableError:
        return _Orders(again, epoch)  # none is lost: it will still be there, and the outbox holds the records meanwhile
    for stored in news:
        key = Key.parse(stored.key)
        # the controller reads every order too, and reports what cannot be decoded
        with suppress(UndecodableRecordError):
            if key == Key(cluster, KIND_EPOCH):
                epoch = max(epoch, decode_stamp(dict(stored.headers).get(STAMP_HEADER, b""))[0])
            elif key.cluster == cluster and stored.value is not None:
                again |= isinstance(decode(stored.topic, stored.value), Resynchronise)
    return _Orders(again, epoch)
