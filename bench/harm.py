"""`harm_ratio`: how reading a large cluster twice a second slows the writes of VICIdial's scripts and screens."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import httpx
import pymysql
from prometheus_client.parser import text_string_to_metric_families

from bench.latency import CLUSTER, database_settings
from bench.results import Result, percentile
from bench.servers import hotdesk, kafka, wait_until
from messages import metrics
from simulator import schema
from simulator.cluster import SimulatedCluster
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.populate import populate
from stream.kafka.client import KafkaSettings

DIALERS, AGENTS, PHONES = 40, 8000, 6
REFRESH_SECONDS = 10.0
"""Screens write this seldom, since one Python process cannot also write 8,000 times a second."""
ROUNDS, SECONDS = 4, 6.0


class _Counters(NamedTuple):
    """A collector's counters at a moment."""

    at: float
    polls: float
    poll_seconds: float
    statements: float
    rows: float
    cpu_seconds: float


def measure() -> list[Result]:
    """Measure in turns: the simulated cluster alone, and with a collector reading it."""
    alone, beside = [], []
    plan = ClusterPlan(dialers=DIALERS, agents=AGENTS, phones_per_alias=PHONES)
    with tempfile.TemporaryDirectory(prefix="hotdesk-bench-") as name, Database(Path(name) / "mariadb") as database:
        with database.connect() as connection:
            schema.create(connection, "asterisk")
            populate(connection, plan, now=time.time())
        here, there = multiprocessing.Pipe()
        simulator = multiprocessing.get_context("spawn").Process(
            target=_simulate, args=(plan, database.port, database.password, there)
        )
        simulator.start()
        try:
            here.recv()
            with kafka(Path(name)) as settings:
                for _ in range(ROUNDS):
                    alone += _writes(here)
                    more, spent = _with_collector(settings, database, lambda: _writes(here))
                    beside += more
        finally:
            here.send(None)
            simulator.join()
    return _results(percentile(alone, 0.99) * 1000, percentile(beside, 0.99) * 1000, spent)


def _results(alone_ms: float, beside_ms: float, spent: _Counters) -> list[Result]:
    ratio = beside_ms / alone_ms
    return [
        Result(
            name="harm_ratio",
            value=ratio,
            unit="times the write latency",
            beside=f"p99 {beside_ms:.2f} ms with hotdesk reading, {alone_ms:.2f} ms without; 40 dialers, 8,000 agents",
            goal="<= 1.1",
            holds=ratio <= 1.1,
        ),
        _stated(
            "statements_a_poll", spent.statements / spent.polls, "statements", f"{spent.rows / spent.polls:.0f} rows"
        ),
        _stated("ms_a_poll", 1000 * spent.poll_seconds / spent.polls, "ms", "statements, reading and records"),
        _stated("collector_core_share", 100 * spent.cpu_seconds / spent.at, "% of a core", "one cluster of that size"),
    ]


def _stated(name: str, value: float, unit: str, beside: str) -> Result:
    return Result(name=name, value=value, unit=unit, beside=beside, goal="")


def _with_collector(
    settings: KafkaSettings, database: Database, run: Callable[[], list[float]]
) -> tuple[list[float], _Counters]:
    """Call `run` while a collector reads, and return its result and what the collector spent meanwhile."""
    with hotdesk("collect", settings, environment=database_settings(database)) as port:
        # The first polls publish everything; measure the ones after them.
        wait_until(lambda: _counters(port).polls > 20, "the collector to have begun")
        before = _counters(port)
        result = run()
        after = _counters(port)
    return result, _Counters(*(b - a for a, b in zip(before, after, strict=True)))


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
        cpu_seconds=samples["process_cpu_seconds_total"],
    )


def _writes(simulator: Connection) -> list[float]:
    """Return the durations of the simulator's own writes for a while, in seconds."""
    simulator.send(SECONDS)
    took: list[float] = simulator.recv()
    return took


def _simulate(plan: ClusterPlan, port: int, password: str, orders: Connection) -> None:
    """Run the cluster in a process of its own, and measure on each order for that many seconds."""
    cluster = SimulatedCluster(
        lambda: pymysql.connect(
            host="127.0.0.1", port=port, user="root", password=password, database="asterisk", autocommit=True
        ),
        plan,
        refresh_seconds=REFRESH_SECONDS,
        threads=1,
    )
    cluster.begin_mid_shift()
    with cluster:
        orders.send(None)
        while (seconds := orders.recv()) is not None:
            cluster.statistics.take_write_seconds()
            time.sleep(seconds)
            orders.send(cluster.statistics.take_write_seconds())
