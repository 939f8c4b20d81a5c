"""What is too rare for the common run with a failover: probes, a fence, a bad alias, a row that does not fit.

A dialer dies under the eyes of its AMI probe, hotdesk closes it to VICIdial's own logins, and an alias names a phone
that does not exist.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from collectors.probes.prober import ProbeSettings
from controller.api import readiness
from controller.core.policy import Policy
from dashboards import meanings
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages.records import FenceStage, ProbeResult
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.ports import free_port
from tests.support.ami_manager import SECRET, USER, Manager
from tests.support.processes import ACT, CLUSTER, FENCE, grants, site, until
from tests.support.prometheus import ROOT, Prometheus

RULES = ROOT / "alerts" / "hotdesk.rules.yml"
PLAN = ClusterPlan(dialers=3, agents=3, remote_agents=0, first_ip="127.77.30.11")
ODD_ALIAS = "INSERT INTO phones_alias (alias_id, logins_list) VALUES ('odd', 'nosuchphone')"
BEFORE = ('count(hotdesk_probe{state="alive"} == 1) == 3', 'count(hotdesk_dialer_state{state="up"} == 1) == 3')
SEEN = (
    f"hotdesk:probe_result:code == {meanings.codes(meanings.PROBES)[ProbeResult.MUTE]}",
    f"hotdesk:fence_stage:code == {meanings.codes(meanings.FENCES)[FenceStage.TAKEN]}",
    "hotdesk_readiness_findings > 0",
    "hotdesk_cluster_odd_rows > 0",
)


class RareRun(NamedTuple):
    """What is left of the run: Prometheus goes on."""

    prometheus: Prometheus
    began: float
    ended: float
    victim: str


@contextmanager
def rare_run(database: Database, folder: Path) -> Iterator[RareRun]:
    """Let all that happen under the eyes of Prometheus."""
    port = free_port()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patched:
        patched.setattr(readiness, "EVERY_SECONDS", 0.5)
        made = stack.enter_context(site(database, PLAN))
        made.run(*grants(made, ACT), *grants(made, FENCE), ODD_ALIAS)
        dialers = stack.enter_context(made.living())
        probes = {each.server_ip: stack.enter_context(Manager(each.server_ip, port)) for each in PLAN.dialer_plans}
        victim = PLAN.dialer_plans[0].server_ip
        wanted = Wanted(
            roles=frozenset(Role),
            log=LogOptions(path=folder / "log.db", partitions=4),
            api=ApiOptions(port=0),
            databases={CLUSTER: made.settings},
            policies={CLUSTER: Policy(acts=True, fence=True)},
            probes={CLUSTER: ProbeSettings(ami_user=USER, ami_secret=SECRET, ami_port=port)},
            actuators={CLUSTER: ActuatorSettings(database=made.settings)},
        )
        service = stack.enter_context(Service(wanted))
        prometheus = stack.enter_context(Prometheus(folder / "prometheus", _scraping(service.url)))
        began = time.time()
        for sign in BEFORE:
            until(lambda: prometheus.query(sign), sign, 30)  # noqa: B023 (asked before the next one)
        dialers.kill(victim)
        probes[victim].freeze()
        for sign in SEEN:
            until(lambda: prometheus.query(sign), sign, 30)  # noqa: B023 (asked before the next one)
        yield RareRun(prometheus, began, time.time(), victim)


def _scraping(url: str) -> dict[str, object]:
    target = url.removeprefix("http://")
    return {
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "hotdesk", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}],
    }
