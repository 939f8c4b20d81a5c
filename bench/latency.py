"""`change_to_ranking_ms`: from a change in VICIdial's database to a changed ranking, over Kafka."""

import random
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import msgspec

from bench.results import Result, percentile
from bench.servers import hotdesk, kafka, wait_until
from collectors.leading import DEFAULT_PACE
from controller.api.schemas import RankingAnswer
from simulator import schema
from simulator.cluster import SimulatedCluster
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.populate import populate

CLUSTER = "bench"
CHANGES = 40
GIVE_UP_SECONDS = 5.0
MOST_MS = 1000 * DEFAULT_PACE.flags / 2 + 50


def measure() -> list[Result]:
    """Switch a dialer off and on at random moments, and watch the API for it."""
    plan = ClusterPlan(dialers=6, agents=60)
    with tempfile.TemporaryDirectory(prefix="hotdesk-bench-") as name, Database(Path(name) / "mariadb") as database:
        with database.connect() as connection:
            schema.create(connection, "asterisk")
            populate(connection, plan, now=time.time())
        cluster = SimulatedCluster(lambda: database.connect(database="asterisk"), plan)
        environment = database_settings(database)
        with (
            kafka(Path(name)) as settings,
            cluster,
            hotdesk("collect", settings, environment=environment),
            hotdesk("control", settings) as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api,
        ):
            wait_until(lambda: len(_offered(api)) == len(plan.dialer_plans), "the ranking to offer all dialers")
            took = _changes(cluster, plan.dialer_plans[0].server_ip, api)
    median = statistics.median(took)
    return [
        Result(
            name="change_to_ranking_ms",
            value=median,
            unit="ms, median",
            beside=f"90th percentile {percentile(took, 0.9):.0f} ms; polls every {1000 * DEFAULT_PACE.flags:.0f} ms",
            goal=f"<= {MOST_MS:.0f}",
            holds=median <= MOST_MS,
        )
    ]


def database_settings(database: Database) -> dict[str, str]:
    """Return the environment variables with the database for a collector."""
    prefix = f"HOTDESK_CLUSTERS__{CLUSTER.upper()}__"
    return {
        f"{prefix}PORT": str(database.port),
        f"{prefix}USER": "root",
        f"{prefix}PASSWORD": database.password,
    }


def _changes(cluster: SimulatedCluster, server_ip: str, api: httpx.Client) -> list[float]:
    draw, took, offered = random.Random(1), [], True
    for _ in range(CHANGES):
        time.sleep(draw.uniform(0.5, 1.5))
        (cluster.switch_off if offered else cluster.switch_on)(server_ip)
        offered, began = not offered, time.perf_counter()
        while (server_ip in _offered(api)) is not offered:
            if time.perf_counter() - began > GIVE_UP_SECONDS:
                raise TimeoutError(f"the ranking did not follow a change within {GIVE_UP_SECONDS:.0f} s")
            time.sleep(0.004)
        took.append((time.perf_counter() - began) * 1000)
    return took


def _offered(api: httpx.Client) -> set[str]:
    answer = api.get(f"/v1/clusters/{CLUSTER}/ranking")
    if not answer.is_success:
        return set()
    ranking = msgspec.json.decode(answer.content, type=RankingAnswer)
    return {dialer.server_ip for dialer in ranking.dialers if dialer.rank is not None}
