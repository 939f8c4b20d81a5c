"""Monitoring comes from the same files as without Kubernetes, only where values ask for it, and is what tools take."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from hotdesk.cli.alerts import rules_for
from tests.helm.charting import ROOT, merged, rendered, selects, template, values_of
from tests.support.prometheus import tool

RULES = yaml.safe_load((ROOT / "alerts" / "hotdesk.rules.yml").read_text())
BOARDS = sorted((ROOT / "dashboards").glob("*.json"))
GATES = {
    "serviceMonitor": {"ServiceMonitor": 1, "Service": 2},
    "prometheusRule": {"PrometheusRule": 1},
    "dashboards": {"ConfigMap": 3 + len(BOARDS)},
}
KINDS = ("ServiceMonitor", "PrometheusRule", "ConfigMap", "Service")
NOTHING_ON = {"ServiceMonitor": 0, "PrometheusRule": 0, "ConfigMap": 3, "Service": 1}


@pytest.mark.parametrize("on", [None, *GATES])
def test_each_part_comes_with_its_own_value_and_not_without(on: str | None) -> None:
    token = {"secrets": {"token": {"existingSecret": "scraping"}}}
    monitoring = {part: {"enabled": part == on} for part in GATES}
    values = merged(values_of("minimal"), {"monitoring": merged(monitoring, {"serviceMonitor": token})})
    of = template(values)
    assert {kind: len(of.of(kind)) for kind in KINDS} == NOTHING_ON | (GATES[on] if on else {})


@pytest.mark.parametrize("name", ["everything", "single"])
def test_prometheus_finds_every_process_and_is_let_in(name: str) -> None:
    of = rendered(name)
    (monitor,) = of.of("ServiceMonitor")
    found = [each for each in of.of("Service") if selects(monitor["spec"]["selector"], each["metadata"]["labels"])]
    (service,) = found
    # one that is not ready is the one to look at
    assert service["spec"]["publishNotReadyAddresses"] is True
    selector = {"matchLabels": service["spec"]["selector"]}
    scraped = {each.name for each in of.workloads() if selects(selector, each.labels)}
    assert scraped == {each.name for each in of.workloads("collect", "control", "serve", "run")}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    assert endpoint["authorization"]["credentials"] == {"name": "scraping", "key": "token"}


def test_the_job_is_called_as_the_rules_call_it() -> None:
    (monitor,) = rendered("everything").of("ServiceMonitor")
    assert monitor["spec"]["endpoints"][0]["relabelings"] == [
        {"action": "replace", "targetLabel": "job", "replacement": "hotdesk"}
    ]
    assert 'job="hotdesk"' in (ROOT / "alerts" / "hotdesk.rules.yml").read_text()
    usual = template(
        merged(
            values_of("minimal"),
            {"monitoring": {"serviceMonitor": {"enabled": True, "secrets": {"token": {"existingSecret": "s"}}}}},
        )
    )
    scraping = yaml.safe_load((ROOT / "alerts" / "prometheus.example.yml").read_text())["scrape_configs"][0]
    (endpoint,) = usual.of("ServiceMonitor")[0]["spec"]["endpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == (
        scraping["scrape_interval"],
        scraping["scrape_timeout"],
    )


def test_the_rules_are_those_of_the_file_and_promtool_takes_them(tmp_path: Path) -> None:
    (plain,) = rendered("openshift").of("PrometheusRule")
    assert plain["spec"] == RULES
    (linked,) = rendered("everything").of("PrometheusRule")
    assert linked["metadata"]["labels"]["release"] == "prometheus"
    text = yaml.safe_dump(linked["spec"])
    assert "grafana.example" not in text
    assert "hotdesk.example" not in text
    wanted = json.loads(
        json.dumps(RULES)
        .replace("https://grafana.example", "https://grafana.corp.example")
        .replace("https://hotdesk.example/runbooks", "https://wiki.corp.example/hotdesk")
    )
    assert linked["spec"] == wanted
    for each in (plain, linked):
        file = tmp_path / f"{each['metadata']['name']}.yml"
        file.write_text(yaml.safe_dump(each["spec"]))
        told = subprocess.run(  # noqa: S603 (our own command)
            [tool("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr


def test_a_second_installation_is_another_job_to_prometheus_and_to_the_rules() -> None:
    token = {"secrets": {"token": {"existingSecret": "s"}}}
    on = {"job": "north", "serviceMonitor": {"enabled": True, **token}, "prometheusRule": {"enabled": True}}
    of = template(merged(values_of("minimal"), {"monitoring": on}))
    assert of.of("ServiceMonitor")[0]["spec"]["endpoints"][0]["relabelings"][0]["replacement"] == "north"
    (rule,) = of.of("PrometheusRule")
    shipped = (ROOT / "alerts" / "hotdesk.rules.yml").read_text()
    theirs = rules_for(shipped, "https://hotdesk.example/runbooks", "https://grafana.example", "north")
    assert rule["spec"] == yaml.safe_load(theirs)


def test_the_dashboards_are_those_of_the_files() -> None:
    def boards(name: str) -> dict[str, str]:
        maps = [each for each in rendered(name).of("ConfigMap") if "hotdesk.toml" not in each["data"]]
        return {file: text for each in maps for file, text in each["data"].items()}

    wanted = {path.name: path.read_text() for path in BOARDS}
    assert {file: json.loads(text) for file, text in boards("openshift").items()} == {
        file: json.loads(text) for file, text in wanted.items()
    }
    own = "https://wiki.corp.example/hotdesk"
    for file, text in boards("everything").items():
        assert text == wanted[file].replace("https://hotdesk.example/runbooks", own)
        assert own in text
    (first, *_) = (each for each in rendered("everything").of("ConfigMap") if "hotdesk.toml" not in each["data"])
    assert first["metadata"]["labels"]["grafana"] == "yes"
    assert first["metadata"]["annotations"] == {"grafana_folder": "hotdesk"}
