"""One real run with a failover in it, scraped by a real Prometheus: what dashboards show and alerts say is asked of it.

Three dialers and thirty agents with hotdesk's processes on the embedded log; a dialer is killed, its agents come home,
and it comes back. It runs at the intervals that are shipped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.hotdesk.running import ACT, grants, site, until
from tests.hotdesk.test_failover import at_work, incidents, running
from tests.monitoring import ROOT, Alertmanager, Prometheus, Receiver

PLAN = ClusterPlan(dialers=3, agents=30, remote_agents=1)
RULES = ROOT / "alerts" / "hotdesk.rules.yml"
SCRAPING = ROOT / "alerts" / "prometheus.example.yml"
ROUTING = ROOT / "alerts" / "alertmanager.example.yml"
PAGE = "HotdeskDialerDown"


class FailoverRun(NamedTuple):
    """What is left of the run: Prometheus goes on, and everything it saw is there."""

    prometheus: Prometheus
    receiver: Receiver
    began: float
    """Seconds since 1970."""
    ended: float
    victim: str
    """The dialer that died."""
    moved: int
    """How many agents came home."""
    page_seconds: float
    """From the kill to the first page."""


def settings_for(target: str, alertmanager: str) -> dict[str, Any]:
    """Give the shipped Prometheus configuration, with the addresses of this run in place of the example's."""
    shipped: dict[str, Any] = yaml.safe_load(SCRAPING.read_text())
    shipped["rule_files"] = [str(RULES)]
    shipped["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    (job,) = [each for each in shipped["scrape_configs"] if each["job_name"] == "hotdesk"]
    del job["authorization"]
    job["static_configs"] = [{"targets": [target]}]
    shipped["scrape_configs"] = [job]
    return shipped


def routing_for(folder: Path, receiver: str) -> Path:
    """Write the shipped Alertmanager configuration, with this run's receiver in place of the example's."""
    shipped: dict[str, Any] = yaml.safe_load(ROUTING.read_text())
    for each in shipped["receivers"]:
        for key in [key for key in each if key != "name"]:
            del each[key]
        each["webhook_configs"] = [{"url": f"{receiver}/{each['name']}", "send_resolved": True}]
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(shipped))
    return file


@contextmanager
def failover_run(database: Database, folder: Path) -> Iterator[FailoverRun]:
    """Let a dialer die and come back under the eyes of Prometheus, Alertmanager and a receiver."""
    with (
        site(database, PLAN) as made,
        Receiver() as receiver,
        Alertmanager(folder / "alertmanager", routing_for(folder, receiver.url)) as alertmanager,
    ):
        made.run(*grants(made, ACT))
        with made.living() as dialers, running(folder, made, acts=True) as client:
            dialers.stop()
            target = client.url.removeprefix("http://")
            settings = settings_for(target, alertmanager.url.removeprefix("http://"))
            with Prometheus(folder / "prometheus", settings) as prometheus, at_work(client, made) as cluster:
                until(lambda: prometheus.query("sum(hotdesk_dialer_agents) == 30"), "Prometheus sees them", 30)
                began = time.time()
                victim = client.dialers()[0].server_ip
                stranded = len(cluster.agents_on(victim))
                cluster.kill(victim)
                killed = time.monotonic()
                until(lambda: receiver.alerts("firing", PAGE), "somebody is paged", 60)
                page_seconds = receiver.alerts("firing", PAGE)[0][0] - killed
                until(lambda: incidents(client)[0].incident.home == stranded, "everybody is home", 60)
                cluster.bring_back(victim)
                until(lambda: receiver.alerts("resolved", PAGE), "the page is resolved", 120)
                yield FailoverRun(prometheus, receiver, began, time.time(), victim, stranded, page_seconds)
