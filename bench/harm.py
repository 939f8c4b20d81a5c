"""`harm_ratio`: how reading a large cluster twice a second slows the writes of VICIdial's scripts and screens."""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.results import Result, percentile
from bench.servers import Place, hotdesk, wait_until
from messages import metrics
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from stream.kafka.settings import KafkaSettings
from tests.support.processes import CLUSTER, Site, site

FULL = ClusterPlan(dialers=40, agents=8000, phones_per_alias=6, first_ip="127.80.1.11")
SHORT = ClusterPlan(dialers=4, agents=40, phones_per_alias=4, first_ip="127.80.2.11")
REFRESH_SECONDS = 10.0
"""Screens write this seldom, since one Python process cannot also write 8,000 times a second."""
ROUNDS, SECONDS, SHORT_SECONDS = 5, 6.0, 1.0
CHANGES = 1 / 20
"""Most changes an agent and second in the middle of a shift. The simulation begins with all agents waiting for their
first call, and has more for half a minute."""


class _Counters(NamedTuple):
    """A collector's counters at a moment."""

    at: float
    polls: float
    poll_seconds: float
    statements: float
    rows: float
    published: float
    cpu_seconds: float


def measure(at: Place) -> list[Result]:
    """Measure in turns: the simulated cluster alone, and with a collector reading it."""
    plan, seconds, rounds = (SHORT, SHORT_SECONDS, 1) if at.short else (FULL, SECONDS, ROUNDS)
    pairs: list[tuple[float, float]] = []
    with site(at.database, plan, sip_pace="in_doubt") as west, at.kafka() as settings:
        here, there = multiprocessing.Pipe()
        simulator = multiprocessing.get_context("spawn").Process(target=_simulate, args=(west, there))
        simulator.start()
        try:
            here.recv()
            for _ in range(rounds):
                alone = _writes(here, seconds)
                beside, spent = _with_collector(settings, west, lambda: _writes(here, seconds))
                pairs.append((percentile(beside, 0.99) * 1000, percentile(alone, 0.99) * 1000))
        finally:
            here.send(None)
            simulator.join()
    return _results(plan, pairs, spent)


def _results(plan: ClusterPlan, pairs: list[tuple[float, float]], spent: _Counters) -> list[Result]:
    ratio = statistics.median(beside / alone for beside, alone in pairs)
    beside_ms, alone_ms = (statistics.median(each) for each in zip(*pairs, strict=True))
    size = f"{plan.dialers} dialers, {plan.agents:,} agents"
    share = 100 * spent.cpu_seconds / spent.at
    return [
        Result(
            name="harm_ratio",
            value=ratio,
            unit=f"times the write latency, median of {len(pairs)}",
            beside=f"p99 {beside_ms:.2f} ms with hotdesk reading, {alone_ms:.2f} ms without; {size}",
            goal="<= 1.1",
            holds=ratio <= 1.1,
        ),
        _stated(
            "statements_a_poll", spent.statements / spent.polls, "statements", f"{spent.rows / spent.polls:.0f} rows"
        ),
        _stated("ms_a_poll", 1000 * spent.poll_seconds / spent.polls, "ms", "statements, reading and records"),
        Result(
            name="collector_core_share",
            value=share,
            unit="% of a core",
            beside=f"one cluster: {size}; SIP asked in doubt",
            goal="<= 5",
            holds=share <= 5,
        ),
    ]


def _stated(name: str, value: float, unit: str, beside: str) -> Result:
    return Result(name=name, value=value, unit=unit, beside=beside, goal="")


def _with_collector(
    settings: KafkaSettings, west: Site, run: Callable[[], list[float]]
) -> tuple[list[float], _Counters]:
    """Call `run` while a collector reads, and return its result and what the collector spent meanwhile."""
    with hotdesk("collect", settings, environment=west.environment) as port:
        # the first polls publish everything, in slices; the ones after them are measured
        wait_until(lambda: _only_changes(port, west.plan), "the collector to publish changes only")
        before = _counters(port)
        result = run()
        after = _counters(port)
    return result, _Counters(*(b - a for a, b in zip(before, after, strict=True)))


def _only_changes(port: int, plan: ClusterPlan) -> bool:
    """Return True if few records were published within a second of polls."""
    before = _counters(port)
    time.sleep(1.0)
    after = _counters(port)
    # sessions, aliases and phones, all of which are published at first
    everything = plan.agents * (2 + (plan.phones_per_alias or plan.dialers))
    return before.published >= everything and after.published - before.published < max(10, plan.agents * CHANGES)


def _counters(port: int) -> _Counters:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("cluster", CLUSTER) == CLUSTER and "le" not in sample.labels
    }
    return _Counters(
        at=time.monotonic(),
        polls=samples.get(f"{metrics.POLL_SECONDS.name}_count", 0),
        poll_seconds=samples.get(f"{metrics.POLL_SECONDS.name}_sum", 0),
        statements=samples.get(f"{metrics.POLL_STATEMENTS.name}_total", 0),
        rows=samples.get(f"{metrics.POLL_ROWS.name}_total", 0),
        published=samples.get(f"{metrics.RECORDS_PUBLISHED.name}_total", 0),
        cpu_seconds=samples["process_cpu_seconds_total"],
    )


def _writes(simulator: Connection, seconds: float) -> list[float]:
    """Return the durations of the simulator's own writes for a while, in seconds."""
    simulator.send(seconds)
    took: list[float] = simulator.recv()
    return took


def _simulate(west: Site, orders: Connection) -> None:
    """Run the cluster in a process of its own, and measure on each order for that many seconds."""
    cluster = SimulatedCluster(
        west.connect, west.plan, refresh_seconds=REFRESH_SECONDS, threads=1, sip_port=west.sip_port
    )
    cluster.begin_mid_shift()
    with cluster:
        orders.send(None)
        while (seconds := orders.recv()) is not None:
            cluster.statistics.take_write_seconds()
            time.sleep(seconds)
            orders.send(cluster.statistics.take_write_seconds())
