"""`page_to_webhook_s`: how long after a dialer's death a person is paged, with the shipped intervals.

hotdesk as one process on a file, on a MariaDB with simulated dialers and agents; a real Prometheus with the shipped
rules, a real Alertmanager with the shipped routes, and a receiver in the pager's place.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from bench.results import Result, percentile
from bench.servers import Place
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from tests.support.all_roles import AT_WORK, picking
from tests.support.failover_run import PAGE, Watch, told, watching
from tests.support.processes import ACT, CLUSTER, Client, Process, Site, grants, site, until

PLAN = ClusterPlan(dialers=12, agents=60, remote_agents=0)
KILLS, FEW_KILLS = 10, 1
"""Each on another dialer, for one that died before has a probation."""
APART_SECONDS = 5.0
"""Deaths occur at any moment between two scrapes, two evaluations and two flushes."""
GOAL_SECONDS = 15.0


class Office(NamedTuple):
    """A cluster at work, with hotdesk and Prometheus."""

    cluster: SimulatedCluster
    client: Client
    watch: Watch


def measure(at: Place) -> list[Result]:
    """Kill ten dialers, one after the other, and bring each back."""
    kills = FEW_KILLS if at.short else KILLS
    with _office(at) as office:
        moments = Random(KILLS)
        took = []
        for victim in PLAN.dialer_plans[:kills]:
            time.sleep(moments.uniform(0, APART_SECONDS))
            took.append(_page(office, victim.server_ip))
        pages = len(told(office.watch.receiver, "firing"))
    median = percentile(took, 0.5)
    return [
        Result(
            name="page_to_webhook_s",
            value=median,
            unit=f"s, median of {len(took)}",
            beside=f"longest {max(took):.1f} s, by SIP alone; {pages} pages for {kills} deaths",
            goal=f"<= {GOAL_SECONDS:.0f}, one page each",
            holds=median <= GOAL_SECONDS and pages == kills,
        )
    ]


@contextmanager
def _office(at: Place) -> Iterator[Office]:
    folder = at.folder
    with site(at.database, PLAN) as west:
        west.run(*grants(west, ACT))
        process = Process(folder, ("run",), _environment(folder, west))
        try:
            client = process.client
            cluster = SimulatedCluster(west.connect, PLAN, picking(client), habits=AT_WORK, sip_port=west.sip_port)
            cluster.begin_mid_shift()
            with cluster, watching(folder, client.url.removeprefix("http://")) as watch:
                all_up = f'sum(hotdesk_dialer_state{{state="up"}}) == {PLAN.dialers}'
                until(lambda: watch.prometheus.query(all_up), "Prometheus sees all dialers up", 60)
                yield Office(cluster, client, watch)
        finally:
            process.close()


def _environment(folder: Path, west: Site) -> dict[str, str]:
    prefix = f"HOTDESK_CLUSTERS__{CLUSTER.upper()}__"
    return {
        "HOTDESK_API_PORT": "0",
        "HOTDESK_LOG_PATH": str(folder / "log.db"),
        **west.environment,
        f"{prefix}MODE": "act",
        f"{prefix}RELOGIN_VIA": "sql",
        # dialers die here more often than anywhere: some agents are moved more than twice in ten minutes
        f"{prefix}MOVES_OF_A_USER": "20",
    }


def _page(office: Office, victim: str) -> float:
    """Kill a dialer and bring it back, wait for both notifications, and return how long the page took."""

    def came(status: str) -> list[float]:
        found = office.watch.receiver.alerts(status, PAGE)
        return [at for at, path, alert in found if path == "/pager" and alert["labels"]["server_ip"] == victim]

    began = time.monotonic()
    office.cluster.kill(victim)
    (paged_at, *_) = until(lambda: came("firing"), f"a page for {victim}", 60)
    until(lambda: not office.cluster.agents_on(victim), "it is empty", 60)
    office.cluster.bring_back(victim)
    until(lambda: came("resolved"), "the page is resolved", 60)
    return paged_at - began
