"""`change_to_ranking_ms`: from a change in VICIdial's database to a changed ranking, over Kafka."""

import random
import statistics
import time

import httpx
import msgspec

from bench.results import Result, percentile
from bench.servers import Place, hotdesk, wait_until
from collectors.leading import DEFAULT_PACE
from controller.api.schemas import RankingAnswer
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from tests.support.processes import CLUSTER, site

CHANGES, FEW_CHANGES = 40, 2
GIVE_UP_SECONDS = 5.0
MOST_MS = 1000 * DEFAULT_PACE.flags / 2 + 50


def measure(at: Place) -> list[Result]:
    """Switch a dialer off and on at random moments, and watch the API for it."""
    plan = ClusterPlan(dialers=6, agents=60)
    with (
        site(at.database, plan) as west,
        at.kafka() as settings,
        west.living() as cluster,
        hotdesk("collect", settings, environment=west.environment),
        hotdesk("control", settings) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api,
    ):
        wait_until(lambda: len(_offered(api)) == len(plan.dialer_plans), "the ranking to offer all dialers")
        took = _changes(cluster, plan.dialer_plans[0].server_ip, api, FEW_CHANGES if at.short else CHANGES)
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


def _changes(cluster: SimulatedCluster, server_ip: str, api: httpx.Client, changes: int) -> list[float]:
    draw, took, offered = random.Random(1), [], True
    for _ in range(changes):
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
