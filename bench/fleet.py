"""Many clusters at once, written straight to the topics as collectors would write them, without databases."""

import random
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple, Self

import msgspec

from collectors.leading import entry
from collectors.observer import Observer
from messages.codec import decode
from messages.records import AgentSession, AgentStatus, DialerReading, Heartbeat, Incident, Poll, ProbeResult, ServerIp
from messages.topics import Topic
from stream.entries import entry_of
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import Entry, Log, Tail
from tests.support.crowd import Crowd

DIALERS = 20
AGENTS = 100
POLL_SECONDS = 1.0
TICK_SECONDS = 0.02
"""Polls that are due within this time are written in one append."""
LOUD_POLLS = 500
STATUSES = (AgentStatus.READY, AgentStatus.INCALL, AgentStatus.PAUSED)


class Silence(NamedTuple):
    """A dialer whose heartbeat stops."""

    cluster: str
    server_ip: ServerIp
    last_at: float
    """The time of its last heartbeat, by the wall clock, in seconds."""


class _Cluster:
    """Generates the records of a cluster's collector: for each poll, one agent's new status and the closing record."""

    def __init__(self, name: str, due: float) -> None:
        self.name = name
        self.due = due
        self.silent: dict[ServerIp, float] = {}
        self._sequence = 1
        self._draw = random.Random(name)
        self.first = list(Observer(name, "bench", 1).observe(round(time.time() * 1000), _CROWD.reading(catalogue=True)))
        poll = self.first[-1]
        assert isinstance(poll, Poll)
        self._poll = poll
        self._sessions = [each for each in self.first if isinstance(each, AgentSession)]
        self._progressed = dict.fromkeys((each.server_ip for each in poll.dialers), poll.observed_at_ms)

    @property
    def dialers(self) -> list[ServerIp]:
        return [each.server_ip for each in self._poll.dialers]

    def polled(self, now: float) -> Iterator[Entry]:
        """Yield the entries of one poll at `now`, the wall clock in seconds."""
        self._sequence += 1
        now_ms = round(now * 1000)
        session = self._draw.choice(self._sessions)
        yield entry_of(msgspec.structs.replace(session, sequence=self._sequence, status=self._draw.choice(STATUSES)))
        before_ms = self._poll.observed_at_ms
        self._poll = msgspec.structs.replace(
            self._poll,
            sequence=self._sequence,
            observed_at_ms=now_ms,
            full_sequence=0,
            dialers=tuple(self._read(each, before_ms, now_ms) for each in self._poll.dialers),
        )
        yield entry_of(self._poll)

    def _read(self, dialer: DialerReading, before_ms: int, now_ms: int) -> DialerReading:
        """Return a dialer's reading, whose heartbeat advanced if it beat since the previous poll."""
        last_at = self.silent.get(dialer.server_ip)
        if last_at is None or last_at * 1000 > before_ms:
            self._progressed[dialer.server_ip] = now_ms
        beat = Heartbeat(progressed_at_ms=self._progressed[dialer.server_ip], watched_since_ms=0, age_seconds=0.5)
        silent = last_at is not None and last_at * 1000 <= before_ms
        probes = {"ami": ProbeResult.UNREACHABLE if silent else ProbeResult.ALIVE}
        return msgspec.structs.replace(dialer, heartbeat=beat, probes=probes)


_CROWD = Crowd(DIALERS, AGENTS)


class _Writer:
    """A thread that writes until the context ends."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__.lower(), daemon=True)
        self.written = 0
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 # the measuring thread raises it
            self.failure = error

    def _write(self) -> None:
        raise NotImplementedError

    def _append(self, entries: list[Entry]) -> None:
        if entries:
            self._log.append(entries)
        self.written += len(entries)


class Fleet(_Writer):
    """Clusters of `DIALERS` dialers and `AGENTS` agents, polled once a second each, at evenly spread moments."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self._clusters: list[_Cluster] = []
        self.late_seconds = 0.0
        """The largest delay of a poll since this was last set to 0."""

    def grow(self, to: int) -> None:
        """Add clusters up to this number, and return when their first records are written."""
        for number in range(len(self._clusters), to):
            cluster = _Cluster(f"c{number:05}", time.time() + POLL_SECONDS * (number * 0.618 % 1))
            self._log.append([entry(each) for each in cluster.first])
            cluster.due = time.time() + POLL_SECONDS * (number * 0.618 % 1)
            self._clusters = [*self._clusters, cluster]

    def silence(
        self, dialers: int, *, seed: int, within: Collection[str] = (), spared: Sequence[Silence] = ()
    ) -> list[Silence]:
        """Stop the heartbeats of this many dialers, spread over the clusters, each at a moment of the next second.

        `within`: only in clusters of these names, if there are any; `spared`: none of these dialers.
        """
        silenced_before = {(each.cluster, each.server_ip) for each in spared}
        draw = random.Random(seed)
        among = [each for each in self._clusters if not within or each.name in within]
        clusters = draw.sample(among, min(dialers, len(among)))
        found = []
        for number in range(dialers):
            cluster = clusters[number % len(clusters)]
            speaking = [each for each in cluster.dialers if each not in cluster.silent]
            server_ip = draw.choice([each for each in speaking if (cluster.name, each) not in silenced_before])
            last_at = time.time() + draw.random()
            cluster.silent[server_ip] = last_at
            found.append(Silence(cluster.name, server_ip, last_at))
        return found

    def speak(self) -> None:
        """Start all heartbeats again."""
        for cluster in self._clusters:
            cluster.silent.clear()

    def _write(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            now = time.time()
            due = [each for each in self._clusters if each.due <= now]
            self.late_seconds = max([self.late_seconds, *(now - each.due for each in due)])
            entries = [made for each in due for made in each.polled(now)]
            for each in due:
                each.due = max(each.due + POLL_SECONDS, now - POLL_SECONDS)
            self._append(entries)


class Loud(_Writer):
    """One cluster that writes as fast as the log accepts: always the same agents, whose status changes."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self._cluster = _Cluster("loud", 0.0)

    def _write(self) -> None:
        while not self._stop.is_set():
            self._append([made for _ in range(LOUD_POLLS) for made in self._cluster.polled(time.time())])


class Decisions:
    """Records when each dialer's incident could be read in the log."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._at: dict[tuple[str, ServerIp], float] = {}
        self._open: set[tuple[str, ServerIp]] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="decisions", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def seconds(self, silence: Silence) -> float | None:
        """Return the seconds from a dialer's last heartbeat to its incident; None: there is none."""
        at = self._at.get((silence.cluster, silence.server_ip), 0.0)
        return at - silence.last_at if at > silence.last_at else None

    def all_of(self, silenced: list[Silence]) -> bool:
        return all(self.seconds(each) is not None for each in silenced)

    def wait_for(self, silenced: list[Silence], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.all_of(silenced), seconds)

    def wait_until_over(self, seconds: float) -> None:
        """Wait until no incident is open.

        Raises:
            TimeoutError: one still is.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, seconds):
                raise TimeoutError(f"{len(self._open)} incidents are still open after {seconds:.0f} s")

    def _follow(self) -> None:
        with (
            KafkaLog(self._settings) as log,
            closing(log.tail([Topic.INCIDENTS], range(log.partitions), from_start=False)) as tail,
        ):
            self._ready.set()
            while not self._stop.is_set():
                self._record(tail)

    def _record(self, tail: Tail) -> None:
        for stored in tail.poll(0.2):
            record = None if stored.value is None else decode(Topic.INCIDENTS, stored.value)
            if isinstance(record, Incident):
                with self._changed:
                    self._note(record)
                    self._changed.notify_all()

    def _note(self, record: Incident) -> None:
        dialer = record.cluster, record.server_ip
        if record.closed_at_ms is not None:
            self._open.discard(dialer)
            return
        self._open.add(dialer)
        if record.opened_at_ms / 1000 > self._at.get(dialer, 0.0):
            self._at[dialer] = time.time()
