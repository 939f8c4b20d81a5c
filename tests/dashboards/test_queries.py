"""Every query of every dashboard, run in a real Prometheus that scraped real runs."""

import math
from typing import Any

import pytest

from tests.dashboards.rare_run import RareRun
from tests.dashboards.reading import Asked, asked, filled, label_values, load, panels
from tests.support.failover_run import FailoverRun
from tests.support.processes import CLUSTER
from tests.support.timing import on_this_machine

RARE = {
    "Probe results": "the failover run has no AMI account, so that it measures the detection without one",
    "Fence": "the fence is off by default",
    "Readiness findings": "its cluster has no defect",
    "Rows dropped": "nor a row that cannot be used",
}
"""Panels that are rightly empty in the failover run, and why: their queries run on the other one."""

ALL = {"job": "hotdesk", "cluster": ".*", "dialer": ".*"}
"""Grafana's values for All; for the jobs it lists their names."""
STEP_SECONDS = 2
WINDOWS = {"__rate_interval": "60s", "__interval": f"{STEP_SECONDS}s"}
"""At Grafana's usual 15 s a scrape, a rate looks back four of them."""

QUERIES = list(asked())


@pytest.mark.parametrize("chosen", ["one", "all"])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_query_finds_series(query: Asked, chosen: str, failover: FailoverRun, rare: RareRun) -> None:
    run = rare if query.where.rpartition(" ")[0] in RARE else failover
    found = answers(
        query, run, {"job": "hotdesk", "cluster": CLUSTER, "dialer": run.victim} if chosen == "one" else ALL
    )
    assert found, "no series"
    assert any(math.isfinite(float(value)) for series in found for _, value in series["values"])


def test_the_exceptions_are_existing_panels() -> None:
    titles = {panel["title"] for name in {each.dashboard for each in QUERIES} for panel in panels(load(name))}
    assert titles >= RARE.keys()


def test_the_failover_dashboard_shows_detection_moves_and_return(failover: FailoverRun) -> None:
    def last(panel: str) -> list[dict[str, Any]]:
        return [series for series in story(failover, panel) if series["values"]]

    def figure(panel: str) -> float:
        (series,) = last(panel)
        assert series["metric"]["server_ip"] == failover.victim
        return float(series["values"][-1][1])

    assert figure("Moved") == failover.moved
    assert figure("Agents on it") == failover.moved
    assert 2 < figure("Detected after") < on_this_machine(10)
    assert figure("Empty after") < on_this_machine(30)
    landed = {
        series["metric"]["to_server_ip"]: int(series["values"][-1][1])
        for series in last("Moves by destination")
        if series["metric"]["stage"] == "moved"
    }
    assert sum(landed.values()) == failover.moved
    assert len(landed) == 2
    assert max(landed.values()) - min(landed.values()) <= 1
    # and suspect between the first two, for half a second, which a scrape may miss
    seen = [each for each in words("State", failover) if each != "suspect"]
    assert seen[:3] == ["up", "down", "recovering"]
    assert words("Incident", failover) == ["down"]


def test_what_hotdesk_was_good_for_is_counted_once(failover: FailoverRun) -> None:
    def counted(metric: str) -> float:
        return sum(float(series["value"][1]) for series in failover.prometheus.query(metric))

    assert counted("hotdesk_move_seconds_count") == failover.moved
    assert 0 < counted("hotdesk_move_seconds_sum") / failover.moved < on_this_machine(30)
    assert counted("hotdesk_logins_kept_off_total") <= counted('hotdesk_picks_total{outcome="picked"}')


def test_the_fleet_dashboard_lists_the_alert_with_its_dialer(failover: FailoverRun) -> None:
    (query,) = [each for each in QUERIES if (each.dashboard, each.where) == ("hotdesk-fleet", "Alerts A")]
    labels = [series["metric"] for series in answers(query, failover, ALL)]
    down = {
        "alertname": "HotdeskDialerDown",
        "severity": "critical",
        "cluster": CLUSTER,
        "server_ip": failover.victim,
    }
    assert down in labels


def answers(query: Asked, run: FailoverRun | RareRun, chosen: dict[str, str]) -> list[dict[str, Any]]:
    """Run a query over the whole run; for a variable's query, count the values that it lists."""
    expression = query.expression
    if query.where.startswith("variable "):
        selector, label = label_values(expression)
        expression = f"count by ({label}) ({selector})"
    values = {**chosen, **WINDOWS, "__range": f"{run.ended - run.began:.0f}s"}
    return run.prometheus.query_range(filled(expression, values), run.began, run.ended + STEP_SECONDS, STEP_SECONDS)


def story(run: FailoverRun, panel: str) -> list[dict[str, Any]]:
    """Return the series that a panel of the failover dashboard shows for the run's dialer."""
    (query,) = [each for each in QUERIES if (each.dashboard, each.where) == ("hotdesk-failover", f"{panel} A")]
    return answers(query, run, {"job": "hotdesk", "cluster": CLUSTER, "dialer": run.victim})


def words(panel: str, run: FailoverRun) -> list[str]:
    """Return the words of a timeline, one after the other."""
    (made,) = [each for each in panels(load("hotdesk-failover")) if each["title"] == panel]
    (mapping,) = made["fieldConfig"]["defaults"]["mappings"]
    (series,) = story(run, panel)
    texts = [mapping["options"][value]["text"] for _, value in series["values"]]
    return [word for index, word in enumerate(texts) if index == 0 or texts[index - 1] != word]
