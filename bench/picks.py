"""`pick_p99_ms`, `pick_times_cheaper`: how long a pick takes under load, compared with VICIdial's own at a login."""

import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx
import msgspec

from bench.load import offer
from bench.results import Result, percentile
from bench.servers import hotdesk, kafka, on_core, wait_until
from collectors.leading import entry
from collectors.observer import Observer
from controller.api.schemas import PickBody
from simulator import schema, vicidial_login
from simulator.cluster import SimulatedCluster
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.populate import populate
from stream.kafka.client import KafkaSettings
from stream.kafka.log import KafkaLog
from tests.support.crowd import Crowd

CLUSTER = "bench"
DIALERS, AGENTS, PHONES = 40, 8000, 6
PER_SECOND, SECONDS = 500, 20
POLL_SECONDS = 0.5
CHANGING = 0.015
"""Share of the agents whose status changes between two polls: each about every half a minute."""
VICIDIAL_LOGINS = 30


def measure() -> list[Result]:
    """Send picks to a controller on one core, then let VICIdial's statements choose for the same aliases."""
    plan = ClusterPlan(dialers=DIALERS, agents=AGENTS, phones_per_alias=PHONES, remote_agents=0)
    with tempfile.TemporaryDirectory(prefix="hotdesk-bench-") as folder:
        with (
            on_core(1),
            kafka(Path(folder)) as settings,
            _feed(settings),
            hotdesk("control", settings, core=0) as port,
        ):
            _wait_for_aliases(port, plan)
            bodies = _bodies(plan)
            offer(port, f"/v1/clusters/{CLUSTER}/picks", bodies[: PER_SECOND * 2], PER_SECOND)
            offered = offer(port, f"/v1/clusters/{CLUSTER}/picks", bodies, PER_SECOND)
        vicidial_ms = _vicidial_ms(Path(folder), plan)
    picked = offered.statuses.get(201, 0)
    assert picked > 0.99 * len(bodies), f"these are no picks: {offered.statuses}"
    p99, median = percentile(offered.latencies_ms, 0.99), statistics.median(offered.latencies_ms)
    cheaper = vicidial_ms / median
    return [
        Result(
            name="pick_p99_ms",
            value=p99,
            unit="ms",
            beside=f"median {median:.2f} ms; {picked} of {len(bodies)} picked, {PER_SECOND}/s offered to one core",
            goal="<= 3, all picked",
            holds=p99 <= 3 and picked == len(bodies),
        ),
        Result(
            name="pick_times_cheaper",
            value=cheaper,
            unit="times",
            beside=f"VICIdial's statements for a login: {vicidial_ms:.1f} ms, {DIALERS} dialers, {AGENTS} agents",
            goal=">= 50",
            holds=cheaper >= 50,
        ),
    ]


@contextmanager
def _feed(settings: KafkaSettings) -> Iterator[None]:
    """Publish a collector's records from a process of its own."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    feeder = context.Process(target=_publish, args=(settings, stop))
    feeder.start()
    try:
        yield
    finally:
        stop.set()
        feeder.join()


def _publish(settings: KafkaSettings, stop: Event) -> None:
    crowd = Crowd(DIALERS, AGENTS, phones_per_alias=PHONES)
    observer, began, polls = Observer(CLUSTER, "bench", 1), time.monotonic(), 0
    with KafkaLog(settings) as log:
        while not stop.wait(POLL_SECONDS):
            crowd.work(CHANGING)
            now_ms = round((time.monotonic() - began) * 1000)
            log.append([entry(each) for each in observer.observe(now_ms, crowd.reading(catalogue=polls == 1))])
            polls += 1


def _wait_for_aliases(port: int, plan: ClusterPlan) -> None:
    last = max(plan.agent_plans, key=lambda agent: agent.alias)
    url = f"http://127.0.0.1:{port}/v1/clusters/{CLUSTER}/aliases/{last.alias}/ranking"
    wait_until(lambda: httpx.get(url, trust_env=False).is_success, "all aliases")


def _bodies(plan: ClusterPlan) -> list[bytes]:
    draw = random.Random(1)
    agents = [draw.choice(plan.agent_plans) for _ in range(PER_SECOND * SECONDS)]
    return [
        msgspec.json.encode(PickBody(user=agent.user, alias=agent.alias, campaign=agent.campaign.campaign_id))
        for agent in agents
    ]


def _vicidial_ms(folder: Path, plan: ClusterPlan) -> float:
    """Return the median time of VICIdial's own selection on MariaDB with the same rows, one login at a time."""
    draw, took = random.Random(1), []
    with Database(folder / "mariadb") as database, database.connect() as connection:
        schema.create(connection, "asterisk")
        populate(connection, plan, now=time.time())
        SimulatedCluster(lambda: database.connect(database="asterisk"), plan).begin_mid_shift()
        for _ in range(VICIDIAL_LOGINS):
            agent = draw.choice(plan.agent_plans)
            began = time.perf_counter()
            vicidial_login.choose(connection, agent.alias, agent.campaign.campaign_id, now=time.time())
            took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
