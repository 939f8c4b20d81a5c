"""The alert rules and the examples beside them: Prometheus's own tools accept them, and each alert is whole."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from collectors.metrics import CollectorInstruments
from controller.runtime.metrics import ControllerInstruments
from hotdesk.cli.alerts import GRAFANA, RUNBOOKS
from messages import metrics
from tests.support.failover_run import ROUTING, RULES, SCRAPING
from tests.support.prometheus import run_tool

ROOT = RULES.parents[1]
CASES = {path: yaml.safe_load(path.read_text()) for path in sorted((RULES.parent / "tests").glob("*.test.yml"))}
PAGES = ROOT / "docs" / "runbooks"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
ALL_RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
INHIBITIONS: list[dict[str, Any]] = yaml.safe_load(ROUTING.read_text())["inhibit_rules"]
URGENCY = ["critical", "warning", "info"]
BRIDGED_FROM_SECONDS = 300
"""A rule that waits this long looks back over some time: what is missing for a moment counts for nothing."""

each_alert = pytest.mark.parametrize("name", ALERTS)
each_inhibition = pytest.mark.parametrize("inhibition", INHIBITIONS, ids=lambda each: each["source_matchers"][0])


def test_promtool_accepts_the_rules() -> None:
    run_tool("promtool", "check", "rules", "--lint-fatal", RULES)


def asked(case: Path) -> Iterator[tuple[str, bool]]:
    """Yield the alerts that the checks of a case ask for, and whether each is to fire."""
    for test in CASES[case]["tests"]:
        for check in test["alert_rule_test"]:
            yield check["alertname"], bool(check.get("exp_alerts"))


def rules_behind(alerts: set[str]) -> list[dict[str, Any]]:
    """Return the rules of these alerts, and all that record what they read."""
    needed = [rule for rule in ALL_RULES if rule.get("alert") in alerts]
    for rule in needed:
        read = set(re.findall(r"[a-z_]+:[a-z0-9_:]+", rule["expr"]))
        needed += [each for each in ALL_RULES if each.get("record") in read and each not in needed]
    return needed


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name.partition(".")[0])
def test_the_rules_do_what_their_tests_say(case: Path, tmp_path: Path) -> None:
    # promtool judges all rules at each step of hours and days; without those that no alert in question reads it takes a
    # third of that time
    needed = rules_behind({name for name, _ in asked(case)})
    groups = [group | {"rules": [rule for rule in group["rules"] if rule in needed]} for group in GROUPS]
    (tmp_path / RULES.name).write_text(yaml.safe_dump({"groups": groups}, sort_keys=False))
    (tmp_path / case.parent.name).mkdir()
    copy = tmp_path / case.parent.name / case.name
    copy.write_text(case.read_text())
    run_tool("promtool", "test", "rules", copy.name, at=copy.parent)


def test_no_rule_reads_an_alert() -> None:
    assert [rule for rule in ALL_RULES if "ALERTS" in rule["expr"]] == []


def test_amtool_accepts_the_routing() -> None:
    run_tool("amtool", "check-config", ROUTING)


def test_promtool_accepts_the_scraping(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("r" * 20)
    (tmp_path / RULES.name).write_text(RULES.read_text())
    example = tmp_path / SCRAPING.name
    example.write_text(SCRAPING.read_text().replace("/etc/prometheus/hotdesk.token", str(token)))
    run_tool("promtool", "check", "config", "--lint-fatal", example)


# --- each alert -----------------------------------------------------------------------------------------------------


@each_alert
def test_an_alert_says_how_urgent_it_is_and_what_to_read(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Hotdesk")
    assert set(alert["labels"]) == {"severity", "job"}
    assert alert["labels"]["severity"] in URGENCY
    said = alert["annotations"]
    assert set(said) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert said["runbook_url"] == f"{RUNBOOKS}/{name}.md"
    assert said["dashboard_url"].startswith(f"{GRAFANA}/d/hotdesk-")


@each_alert
def test_a_summary_is_one_sentence_that_is_always_the_same(name: str) -> None:
    summary = ALERTS[name]["annotations"]["summary"]
    assert re.fullmatch(r"[^{}.]+\.", summary)
    # what is a name or a value stands in the description
    assert "{{" in ALERTS[name]["annotations"]["description"] or name == "HotdeskWatchdog"


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_reads_one_job_and_says_which(rule: dict[str, Any]) -> None:
    assert rule["labels"]["job"] == "hotdesk"
    read = re.findall(r'(?<!")\b(?:hotdesk[_:][a-z_:]*|up|process_[a-z_]+)(?![a-z_:])(\{job="hotdesk")?', rule["expr"])
    assert read or rule.get("alert") == "HotdeskWatchdog"
    assert all(read), rule["expr"]


@each_alert
def test_an_alert_does_not_end_with_one_failed_scrape_or_a_handover(name: str) -> None:
    # nothing is scraped for the watchdog
    assert ("keep_firing_for" in ALERTS[name]) is (name != "HotdeskWatchdog")


@each_alert
def test_what_waits_for_minutes_does_not_begin_anew_with_a_failed_scrape(name: str) -> None:
    waits = re.fullmatch(r"(\d+)([smh])", ALERTS[name].get("for", "0s"))
    assert waits
    if int(waits[1]) * {"s": 1, "m": 60, "h": 3600}[waits[2]] < BRIDGED_FROM_SECONDS:
        return
    # a count that a missing process only makes smaller goes on by itself
    fewer = ALERTS[name]["expr"].startswith("count ")
    assert fewer or re.search(r"\[\d+m(:\d+s)?\]", ALERTS[name]["expr"])


@each_alert
def test_an_alert_has_a_case_where_it_fires_and_one_where_it_does_not(name: str) -> None:
    fires = {fires for case in CASES for alert, fires in asked(case) if alert == name}
    # nothing that hotdesk shows could end the watchdog
    assert fires == ({True} if name == "HotdeskWatchdog" else {True, False})


def metrics_in(expression: str) -> Iterator[str]:
    """Yield the names of the metrics in an expression."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", expression)
    bare = re.sub(r"\b(?:by|on|group_left|group_right)\s*\([^)]*\)", "", bare)
    yield from re.findall(r"\b(?:hotdesk[a-z_:]*|up)\b", bare)


def test_every_metric_of_a_rule_is_one_that_hotdesk_shows() -> None:
    registry = CollectorRegistry()
    ControllerInstruments(registry)
    CollectorInstruments(registry)
    kinds = {family.name: family.type for family in registry.collect()}
    # which a running process counts
    kinds[metrics.TOKENS_REFUSED.name] = "counter"
    forms = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    shown = {
        each.name + form
        for each in vars(metrics).values()
        if isinstance(each, metrics.Metric)
        for form in forms.get(kinds.get(each.name, "gauge"), ("",))
    }
    recorded = {rule["record"] for rule in ALL_RULES if "record" in rule}
    assert {name for rule in ALL_RULES for name in metrics_in(rule["expr"])} <= shown | recorded | {"up"}


# --- inhibition -----------------------------------------------------------------------------------------------------


def named(matchers: list[str]) -> set[str]:
    """Return the alerts that matchers of an inhibition name; each name in them must be an alert's."""
    (matcher,) = matchers
    found = re.fullmatch(r'alertname=~?"([^"]+)"', matcher)
    assert found
    pieces = {piece: {name for name in ALERTS if re.fullmatch(piece, name)} for piece in found[1].split("|")}
    assert all(pieces.values()), pieces
    return set().union(*pieces.values())


@each_inhibition
def test_an_inhibition_names_alerts_and_never_lets_the_lesser_keep_back_the_greater(inhibition: dict[str, Any]) -> None:
    sources, targets = named(inhibition["source_matchers"]), named(inhibition["target_matchers"])
    assert not sources & targets

    def urgency(name: str) -> int:
        return URGENCY.index(ALERTS[name]["labels"]["severity"])

    assert max(map(urgency, sources)) <= min(map(urgency, targets))


@each_inhibition
def test_an_inhibition_reaches_no_further_than_what_it_is_about(inhibition: dict[str, Any]) -> None:
    assert inhibition["equal"]


# --- runbooks -------------------------------------------------------------------------------------------------------


def test_each_alert_has_its_page_and_no_page_is_left_over() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {*ALERTS, "README"}


@each_alert
def test_a_page_says_the_four_things(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["What it means", "What hotdesk does by itself", "What to look at", "What to do"]
    assert f"**{ALERTS[name]['labels']['severity']}**" in text


@pytest.mark.parametrize(
    ("document", "link"), [("runbooks/README.md", "{}.md"), ("guide/alerts.md", "../runbooks/{}.md")]
)
def test_each_alert_is_in_the_tables(document: str, link: str) -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(([^)]+)\) \| (\w+) \|", (ROOT / "docs" / document).read_text(), re.MULTILINE)
    assert rows == [(name, link.format(name), alert["labels"]["severity"]) for name, alert in ALERTS.items()]
