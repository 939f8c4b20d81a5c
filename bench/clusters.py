"""`clusters_held`: how many clusters one controller can serve, by the time from a last heartbeat to the decision."""

import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple, Self

import httpx

from bench.fleet import DIALERS, Fleet, Loud, Silence
from bench.results import Result, percentile
from bench.servers import Place, hotdesk, on_core
from messages.codec import decode
from messages.records import Incident, ServerIp
from messages.topics import Topic
from stream.kafka.client import KafkaSettings
from stream.kafka.log import KafkaLog
from stream.log import Tail


class _Size(NamedTuple):
    tried: tuple[int, ...]
    """Numbers of clusters to try, until one is not held."""
    beside_loud: int
    """The number of those that are also measured beside a loud one."""
    rounds: int
    silences: int
    """Dialers that die in one round; with one cluster fewer, so that less than half of it is gone."""
    silences_of_one: int
    most_seconds: float
    """How long a decision is waited for."""


FULL, SHORT = _Size((1, 10, 100, 1000, 1500, 2000), 100, 2, 100, 9, 30.0), _Size((1,), 1, 1, 1, 1, 5.0)
SLACK_SECONDS = 2.0
SCRAPE_SECONDS = 15.0
"""Prometheus's default interval."""
SETTLE_SECONDS = 150.0
LAG_RECORDS = 4
"""Offsets per cluster that may be in flight: two records a poll, and the decisions on them."""


class _Stage(NamedTuple):
    """The measurements with one number of clusters."""

    clusters: int
    took: list[float]
    """From a last heartbeat to the decision, in seconds."""
    undecided: int
    records_per_second: float
    cores: float
    """The controller's."""
    megabytes: float
    scrape_seconds: float
    late_seconds: float

    @property
    def p99(self) -> float:
        return percentile(self.took, 0.99) if self.took and not self.undecided else float("inf")


def measure(at: Place) -> list[Result]:
    """Simulate more and more clusters that write once a second, and let dialers die in them."""
    tries = SHORT if at.short else FULL
    stages: list[_Stage] = []
    tried: list[int] = []
    with (
        on_core(0),
        at.kafka() as settings,
        KafkaLog(settings) as log,
        hotdesk("control", settings, core=1) as port,
        Fleet(log) as fleet,
        _Decisions(settings) as decisions,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60.0) as api,
    ):
        for size in tries.tried:
            tried.append(size)
            fleet.grow(size)
            if not _settles(size, api):
                if size <= tries.beside_loud:
                    raise TimeoutError(f"not even {size} clusters were folded within {SETTLE_SECONDS:.0f} s")
                break
            stages.append(_stage(size, tries, fleet, decisions, api))
            if size == tries.beside_loud:
                with Loud(log) as loud:
                    beside = _stage(size, tries, fleet, decisions, api)
                if loud.failure is not None:
                    raise loud.failure
    one = stages[0].p99
    quiet = next(each.p99 for each in stages if each.clusters == tries.beside_loud)
    held = [each for each in stages if each.p99 <= one + SLACK_SECONDS]
    most = max((each.clusters for each in held), default=0)
    return [
        *(_row(each) for each in stages),
        Result(
            name="beside_a_loud_one_p99_s",
            value=beside.p99,
            unit="s from the last heartbeat to the decision",
            beside=(
                f"{tries.beside_loud} clusters, and one more that writes as fast as it can ({loud.written} records):"
                f" {beside.records_per_second:.0f} records/s, {beside.cores:.2f} cores; without it {quiet:.1f} s"
            ),
            goal=f"<= {quiet + SLACK_SECONDS:.1f}",
            holds=beside.p99 <= quiet + SLACK_SECONDS,
        ),
        Result(
            name="clusters_held",
            value=most,
            unit=f"clusters of {DIALERS} dialers, one controller",
            beside=(
                f"p99 within {SLACK_SECONDS:.0f} s of one cluster's {one:.1f} s; tried: {', '.join(map(str, tried))}"
            ),
            goal=">= 1000",
            holds=most >= 1000,
        ),
    ]


def _row(stage: _Stage) -> Result:
    return Result(
        name=f"clusters_{stage.clusters}_p99_s",
        value=stage.p99,
        unit="s from the last heartbeat to the decision",
        beside=(
            f"{len(stage.took)} deaths, {stage.records_per_second:.0f} records/s, {stage.cores:.2f} cores,"
            f" {stage.megabytes:.0f} MB, /metrics {stage.scrape_seconds:.1f} s, writer late {stage.late_seconds:.1f} s"
        ),
        goal="",
        holds=True,
    )


def _settles(size: int, api: httpx.Client) -> bool:
    """Wait until all records of new clusters are folded, and return whether that happens in time."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while _metrics(api)("hotdesk_consumer_lag_records") > LAG_RECORDS * size:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _stage(size: int, tries: _Size, fleet: Fleet, decisions: "_Decisions", api: httpx.Client) -> _Stage:
    fleet.late_seconds = 0.0
    took: list[float] = []
    undecided, scrapes = 0, []
    began, before = time.monotonic(), _metrics(api)
    for number in range(tries.rounds):
        silenced = fleet.silence(tries.silences_of_one if size == 1 else tries.silences, seed=number)
        deadline = time.monotonic() + tries.most_seconds
        while time.monotonic() < deadline and not decisions.all_of(silenced):
            scraped = time.monotonic()
            _metrics(api)
            scrapes.append(time.monotonic() - scraped)
            decisions.wait_for(silenced, min(SCRAPE_SECONDS, deadline - time.monotonic()))
        if fleet.failure is not None:
            raise fleet.failure
        found = [decisions.seconds(each) for each in silenced]
        took += [each for each in found if each is not None]
        undecided += found.count(None)
        fleet.speak()
    seconds, after = time.monotonic() - began, _metrics(api)
    return _Stage(
        clusters=size,
        took=took,
        undecided=undecided,
        records_per_second=(after("hotdesk_records_folded_total") - before("hotdesk_records_folded_total")) / seconds,
        cores=(after("process_cpu_seconds_total") - before("process_cpu_seconds_total")) / seconds,
        megabytes=after("process_resident_memory_bytes") / 1e6,
        scrape_seconds=max(scrapes),
        late_seconds=fleet.late_seconds,
    )


def _metrics(api: httpx.Client) -> Callable[[str], float]:
    """Scrape once, and return a function that sums a metric's samples."""
    text = api.get("/metrics").content

    def total(name: str) -> float:
        samples: list[bytes] = re.findall(rb"^%s(?:\{.*\})? (\S+)$" % name.encode(), text, re.MULTILINE)
        return sum(float(each) for each in samples)

    return total


class _Decisions:
    """Records when each dialer's incident could be read in the log."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._at: dict[tuple[str, ServerIp], float] = {}
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
            if isinstance(record, Incident) and record.closed_at_ms is None:
                with self._changed:
                    self._at.setdefault((record.cluster, record.server_ip), 0.0)
                    if record.opened_at_ms / 1000 > self._at[record.cluster, record.server_ip]:
                        self._at[record.cluster, record.server_ip] = time.time()
                    self._changed.notify_all()
