"""`clusters_held`: how many clusters one controller can serve, by the time from a last heartbeat to the decision."""

import re
import time
from collections.abc import Callable
from typing import NamedTuple

import httpx

from bench.fleet import DIALERS, Decisions, Fleet, Loud
from bench.results import Result, percentile
from bench.servers import Place, hotdesk, on_core
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings


class _Size(NamedTuple):
    tried: tuple[int, ...]
    """Numbers of clusters to try, until one is not held."""
    beside_loud: int
    """The number of those that are also measured beside a loud one."""
    bounded: int
    """The number of those that have goals for memory, `/metrics` and the start of a replica."""
    rounds: int
    silences: int
    """Dialers that die in one round; with one cluster fewer, so that less than half of it is gone."""
    silences_of_one: int
    most_seconds: float
    """How long a decision is waited for."""


FULL, SHORT = _Size((1, 10, 100, 1000, 1500, 2000), 100, 1000, 2, 100, 9, 30.0), _Size((1,), 1, 1, 1, 1, 1, 5.0)
SLACK_SECONDS = 2.0
SCRAPE_SECONDS = 15.0
"""Prometheus's default interval."""
SETTLE_SECONDS = 150.0
OVER_SECONDS = 120.0
"""An incident is over once its dialer is up again, and empty."""
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
    bounds: list[Result] = []
    with (
        on_core(0),
        at.kafka() as settings,
        KafkaLog(settings) as log,
        hotdesk("control", settings, core=1) as port,
        Fleet(log) as fleet,
        Decisions(settings) as decisions,
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
            if size == tries.bounded:
                bounds = _bounds(stages[-1], settings)
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
        *bounds,
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


def _bounds(stage: _Stage, settings: KafkaSettings) -> list[Result]:
    """Return what the controller takes for so many clusters, and how long a replica takes to read their log."""
    beside = f"{stage.clusters} clusters of {DIALERS} dialers"
    began = time.monotonic()
    with hotdesk("serve", settings, core=1):
        started = time.monotonic() - began
    bounded = (
        ("metrics_s", stage.scrape_seconds, "s for one /metrics, the longest", beside, 1.0),
        ("mb_a_cluster", stage.megabytes / stage.clusters, "MB of memory", beside, 1.0),
        ("start_s", started, "s until a replica is ready", f"a log of {beside}", 30.0),
    )
    return [
        Result(name=name, value=value, unit=unit, beside=of, goal=f"<= {most:.0f}", holds=value <= most)
        for name, value, unit, of, most in bounded
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


def _stage(size: int, tries: _Size, fleet: Fleet, decisions: Decisions, api: httpx.Client) -> _Stage:
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
        decisions.wait_until_over(OVER_SECONDS)
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
