"""`hook_added_ms`, `hook_herd_spread`: the login hook's time compared with VICIdial's selection, and its spread."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from bench.results import Result
from bench.servers import UNLIMITED, Place
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from simulator import vicidial_login
from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from tests.support.processes import CLUSTER, Client, Site, site, until
from tests.support.web import Web, web_server

PHONES, WORKERS = 3, 8


class _Size(NamedTuple):
    clusters: tuple[tuple[int, int], ...]
    """Dialers, and agents logged in."""
    logins: int
    herd: int


FULL, SHORT = _Size(((3, 150), (10, 1000), (40, 8000)), 60, 60), _Size(((3, 12),), 8, 6)
GOAL_MS = 3.0
MANY_DIALERS = 10
"""From this number on the hook must be quicker than VICIdial's own selection, too."""


class _Office(NamedTuple):
    site: Site
    hotdesk: Client
    web: Web


def measure(at: Place) -> list[Result]:
    """Log in through PHP, with hotdesk and the login page on the same machine."""
    size = SHORT if at.short else FULL
    return [*(_added(at, size.logins, *cluster) for cluster in size.clusters), _spread(at, size.herd)]


def _added(at: Place, logins: int, dialers: int, agents: int) -> Result:
    plan = ClusterPlan(dialers=dialers, agents=agents, phones_per_alias=min(dialers, PHONES), remote_agents=0)
    with _office(at, f"added-{dialers}", plan, mid_shift=True) as office:
        # With a wrong password the page asks hotdesk, but writes nothing.
        took = [
            office.web.log_in(each.user, each.alias, VD_pass="wrong").took_ms  # noqa: S106 (meant to be wrong)
            for each in plan.agent_plans[:logins]
        ][logins // 4 :]
        selection = []
        with office.site.connect() as connection:
            for each in plan.agent_plans[:logins]:
                began = time.perf_counter()
                vicidial_login.choose(connection, each.alias, each.campaign.campaign_id, now=time.time())
                selection.append((time.perf_counter() - began) * 1000)
    added, own = statistics.median(took), statistics.median(selection)
    return Result(
        name=f"hook_added_ms_{dialers}",
        value=added,
        unit="ms",
        beside=f"VICIdial's own selection: {own:.1f} ms; {dialers} dialers, {agents} agents, {PHONES} phones per alias",
        goal=f"<= {GOAL_MS:g}" + (", and less than VICIdial's" if dialers >= MANY_DIALERS else ""),
        holds=added <= GOAL_MS and (added < own or dialers < MANY_DIALERS),
    )


def _spread(at: Place, herd: int) -> Result:
    plan = ClusterPlan(dialers=6, agents=herd, remote_agents=0)
    with _office(at, "herd", plan, mid_shift=False) as office:
        placed = {phone.login: phone.server_ip for each in plan.agent_plans for phone in each.phones}
        with ThreadPoolExecutor(herd) as pool:
            shown = list(pool.map(lambda each: office.web.log_in(each.user, each.alias), plan.agent_plans))
    landed = Counter({each.server_ip: 0 for each in plan.dialer_plans})
    landed.update(placed[each.phone_login] for each in shown if each.phone_login in placed)
    spread = max(landed.values()) - min(landed.values())
    return Result(
        name="hook_herd_spread",
        value=spread,
        unit="agents apart",
        beside=f"{sum(landed.values())} of {herd} agents at once, {WORKERS} PHP workers, 6 dialers",
        goal="<= 1",
        holds=spread <= 1 and sum(landed.values()) == herd,
    )


@contextmanager
def _office(at: Place, name: str, plan: ClusterPlan, *, mid_shift: bool) -> Iterator[_Office]:
    folder = at.folder / name
    folder.mkdir()
    with site(at.database, plan) as made:
        if mid_shift:
            SimulatedCluster(made.connect, plan).begin_mid_shift()
        wanted = Wanted(
            roles=frozenset(Role),
            log=LogOptions(path=folder / "log.db", partitions=4),
            api=ApiOptions(port=0, **UNLIMITED),  # type: ignore[arg-type] # each of its own kind
            databases={CLUSTER: made.settings},
            policies={},
        )
        with made.living(), Service(wanted) as service, web_server(folder, made, WORKERS) as web:
            client = Client(service.url)
            web.set_up(client.url)
            until(lambda: client.alias(plan.agent_plans[-1].alias), "the last alias is known", 60.0)
            until(lambda: len(client.offered()) == plan.dialers, "every dialer takes logins", 60.0)
            yield _Office(made, client, web)
            client.close()
