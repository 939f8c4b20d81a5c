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
from tests.support.all_roles import at_work, running
from tests.support.processes import ACT, grants, site, until
from tests.support.prometheus import ROOT, Alertmanager, Prometheus, Receiver

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


class Watch(NamedTuple):
    """A Prometheus that watches a process of hotdesk's, and a receiver of what its Alertmanager sends."""

    prometheus: Prometheus
    receiver: Receiver


def told(receiver: Receiver, status: str, route: str = "pager") -> list[dict[str, Any]]:
    """Return the notifications, as firing or as resolved, that went to a receiver of the shipped configuration."""
    return [body for _, path, body in list(receiver.got) if (path, body["status"]) == (f"/{route}", status)]


def settings_for(target: str, alertmanager: str) -> dict[str, Any]:
    """Return the shipped Prometheus configuration, with the addresses of this run in place of the example's."""
    shipped: dict[str, Any] = yaml.safe_load(SCRAPING.read_text())
    shipped["rule_files"] = [str(RULES)]
    shipped["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
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
def watching(folder: Path, target: str) -> Iterator[Watch]:
    """Have a process of hotdesk's watched as the shipped configurations say; `target` is its host and port."""
    with (
        Receiver() as receiver,
        Alertmanager(folder / "alertmanager", routing_for(folder, receiver.url)) as alertmanager,
        Prometheus(folder / "prometheus", settings_for(target, alertmanager.url.removeprefix("http://"))) as prometheus,
    ):
        yield Watch(prometheus, receiver)


@contextmanager
def failover_run(database: Database, folder: Path) -> Iterator[FailoverRun]:
    """Let a dialer die and come back under the eyes of Prometheus, Alertmanager and a receiver."""
    with site(database, PLAN) as made:
        made.run(*grants(made, ACT))
        with (
            made.living() as dialers,
            running(folder, made, acts=True) as client,
            watching(folder, client.url.removeprefix("http://")) as (prometheus, receiver),
        ):
            dialers.stop()
            with at_work(client, made) as cluster:
                until(lambda: prometheus.query("sum(hotdesk_dialer_agents) == 30"), "Prometheus sees them", 30)
                # what a rule records comes after what is scraped
                up = f"count(hotdesk:dialer_state:code == 1) == {PLAN.dialers}"
                until(lambda: prometheus.query(up), "Prometheus records that all are up", 30)
                began = time.time()
                victim = client.dialers()[0].server_ip
                stranded = len(cluster.agents_on(victim))
                cluster.kill(victim)
                killed = time.monotonic()
                until(lambda: receiver.alerts("firing", PAGE), "somebody is paged", 60)
                page_seconds = receiver.alerts("firing", PAGE)[0][0] - killed
                until(lambda: client.incidents()[0].incident.moved == stranded, "all agents are moved", 60)
                scraped = f'sum(hotdesk_incident_moves{{stage="moved"}}) == {stranded}'
                until(lambda: prometheus.query(scraped), "Prometheus sees them at home", 30)
                cluster.bring_back(victim)
                until(lambda: receiver.alerts("resolved", PAGE), "the page is resolved", 120)
                yield FailoverRun(prometheus, receiver, began, time.time(), victim, stranded, page_seconds)
