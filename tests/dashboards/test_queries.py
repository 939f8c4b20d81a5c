"""Every query of every dashboard, asked of a real Prometheus that watched real runs."""

import math
from typing import Any

import pytest

from tests.dashboards.rare_run import RareRun
from tests.dashboards.reading import Asked, asked, filled, label_values, load, panels
from tests.support.failover_run import FailoverRun
from tests.support.processes import CLUSTER

RARE = {
    "What probes tell": "the failover run has no AMI account, so that it shows how long it takes without",
    "Fence": "the fence is off by default",
    "What the audit found": "its cluster has no defect",
    "Rows that do not fit": "nor a row that does not fit",
}
"""Panels that are rightly empty in the failover run, and why: they are asked about the other one."""

ALL = {"job": "hotdesk", "cluster": ".*", "dialer": ".*"}
"""What Grafana puts in for All; of jobs it names them."""
STEP_SECONDS = 2
WINDOWS = {"__rate_interval": "60s", "__interval": f"{STEP_SECONDS}s"}
"""At Grafana's usual 15 s a scrape, a rate looks back four of them."""

QUERIES = list(asked())


@pytest.mark.parametrize("chosen", ["one", "all"])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_gives_what_happened(query: Asked, chosen: str, failover: FailoverRun, rare: RareRun) -> None:
    run = rare if query.where.rpartition(" ")[0] in RARE else failover
    found = answers(
        query, run, {"job": "hotdesk", "cluster": CLUSTER, "dialer": run.victim} if chosen == "one" else ALL
    )
    assert found, "no series"
    assert any(math.isfinite(float(value)) for series in found for _, value in series["values"])


def test_the_exceptions_are_panels_that_there_are() -> None:
    titles = {panel["title"] for name in {each.dashboard for each in QUERIES} for panel in panels(load(name))}
    assert titles >= RARE.keys()


def test_the_failover_dashboard_tells_the_story(failover: FailoverRun) -> None:
    def last(panel: str) -> list[dict[str, Any]]:
        return [series for series in story(failover, panel) if series["values"]]

    def figure(panel: str) -> float:
        (series,) = last(panel)
        assert series["metric"]["server_ip"] == failover.victim
        return float(series["values"][-1][1])

    assert figure("Came home") == failover.moved
    assert figure("Agents on it") == failover.moved
    assert 7 < figure("Noticed after") < 15
    assert figure("Empty after") < 30
    landed = {
        series["metric"]["to_server_ip"]: int(series["values"][-1][1])
        for series in last("Moves by where they went")
        if series["metric"]["stage"] == "moved"
    }
    assert sum(landed.values()) == failover.moved
    assert len(landed) == 2
    assert max(landed.values()) - min(landed.values()) <= 1
    # up, suspect, down, and recovering once it was back
    assert words("State", failover)[:4] == ["up", "suspect", "down", "recovering"]
    assert words("Incident", failover) == ["down"]


def test_the_fleet_dashboard_lists_the_alert_with_its_dialer(failover: FailoverRun) -> None:
    (query,) = [each for each in QUERIES if (each.dashboard, each.where) == ("hotdesk-fleet", "Alerts A")]
    labels = [series["metric"] for series in answers(query, failover, ALL)]
    down = {
        "alertname": "HotdeskDialerDown",
        "severity": "page",
        "cluster": CLUSTER,
        "server_ip": failover.victim,
    }
    assert down in labels


def answers(query: Asked, run: FailoverRun | RareRun, chosen: dict[str, str]) -> list[dict[str, Any]]:
    """Ask it over the whole run; a variable's query, whether there is what it lists."""
    expression = query.expression
    if query.where.startswith("variable "):
        selector, label = label_values(expression)
        expression = f"count by ({label}) ({selector})"
    values = {**chosen, **WINDOWS, "__range": f"{run.ended - run.began:.0f}s"}
    return run.prometheus.query_range(filled(expression, values), run.began, run.ended + STEP_SECONDS, STEP_SECONDS)


def story(run: FailoverRun, panel: str) -> list[dict[str, Any]]:
    """Give what a panel of the failover dashboard shows of the run's dialer."""
    (query,) = [each for each in QUERIES if (each.dashboard, each.where) == ("hotdesk-failover", f"{panel} A")]
    return answers(query, run, {"job": "hotdesk", "cluster": CLUSTER, "dialer": run.victim})


def words(panel: str, run: FailoverRun) -> list[str]:
    """Give the words of a timeline, one after the other."""
    (made,) = [each for each in panels(load("hotdesk-failover")) if each["title"] == panel]
    (mapping,) = made["fieldConfig"]["defaults"]["mappings"]
    (series,) = story(run, panel)
    told = [mapping["options"][value]["text"] for _, value in series["values"]]
    return [word for place, word in enumerate(told) if place == 0 or told[place - 1] != word]
