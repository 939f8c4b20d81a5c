"""A dialer dies, and somebody is woken: once, soon, and told when it is over. All real, at the shipped intervals."""

import yaml

from hotdesk.cli.alerts import GRAFANA, RUNBOOKS
from tests.support.failover_run import PAGE, ROUTING, RULES, SCRAPING, FailoverRun, told
from tests.support.prometheus import run_tool

PAGE_SECONDS = 15.0


def test_a_dead_dialer_is_one_page_within_15_seconds(failover: FailoverRun) -> None:
    (page,) = told(failover.receiver, "firing")
    (alert,) = page["alerts"]
    assert alert["labels"]["alertname"] == PAGE
    assert alert["labels"]["server_ip"] == failover.victim
    assert failover.page_seconds <= PAGE_SECONDS


def test_it_is_taken_back_once(failover: FailoverRun) -> None:
    (over,) = told(failover.receiver, "resolved")
    (alert,) = over["alerts"]
    assert (alert["labels"]["alertname"], alert["labels"]["server_ip"]) == (PAGE, failover.victim)


def test_the_page_says_what_to_read(failover: FailoverRun) -> None:
    (page,) = told(failover.receiver, "firing")
    (alert,) = page["alerts"]
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOKS}/{PAGE}.md"
    assert alert["annotations"]["dashboard_url"] == (
        f"{GRAFANA}/d/hotdesk-failover?var-cluster=west&var-dialer={failover.victim}"
    )
    assert failover.victim in alert["annotations"]["description"]
    assert set(alert["labels"]) == {"alertname", "job", "cluster", "server_ip", "server_id", "severity"}


def test_nothing_else_fired_but_the_watchdog(failover: FailoverRun) -> None:
    fired = failover.prometheus.query_range('ALERTS{alertstate="firing"}', failover.began, failover.ended)
    assert {each["metric"]["alertname"] for each in fired} == {PAGE, "HotdeskWatchdog"}
    # Prometheus may send the watchdog before it has found its Alertmanager, and then again a minute later
    assert {path for _, path, _ in failover.receiver.got} - {"/dead-mans-switch"} == {"/pager"}


def test_every_rule_is_evaluated_without_complaint(failover: FailoverRun) -> None:
    answer = failover.prometheus.http.get("/api/v1/rules").json()
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in yaml.safe_load(RULES.read_text())["groups"])
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}


def test_promtool_accepts_the_metrics(failover: FailoverRun) -> None:
    (target,) = failover.prometheus.http.get("/api/v1/targets").json()["data"]["activeTargets"]
    shown = failover.prometheus.http.get(target["scrapeUrl"]).text
    assert "hotdesk_incident_moves{" in shown or "hotdesk_dialer_deaths{" in shown
    run_tool("promtool", "check", "metrics", given=shown)


def test_the_shipped_intervals_are_those_that_were_measured() -> None:
    (job,) = yaml.safe_load(SCRAPING.read_text())["scrape_configs"]
    assert job["scrape_interval"] == "2s"
    assert yaml.safe_load(RULES.read_text())["groups"][0]["interval"] == "2s"
    routes = yaml.safe_load(ROUTING.read_text())["route"]["routes"]
    (pages,) = [each for each in routes if each["receiver"] == "pager"]
    assert (pages["group_wait"], pages["group_interval"]) == ("1s", "5s")
