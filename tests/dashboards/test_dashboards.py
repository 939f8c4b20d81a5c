"""The committed dashboards match their Python, and follow the rules of Grafana's dashboard linter that make sense here.

One of its rules is left out, that each query can be limited to an instance: a cluster's series come from its current
owner.
"""

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from itertools import combinations, product
from pathlib import Path

import pytest
import yaml

from dashboards import fleet, meanings
from dashboards.__main__ import files, main, outdated
from dashboards.board import RUNBOOKS, TITLES, rendered
from dashboards.conditions import WORDS
from dashboards.panels import SCRAPES
from messages import metrics
from messages.records import AgentPauseStage, DialerState, FenceStage, ProbeResult, ReloginStage
from tests.dashboards.reading import HERE, NAMES, Asked, Json, asked, load, metric_names, panels, variables

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "alerts"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"none", "short", "percentunit", "s", "bytes", "ops", "dateTimeAsIso"}
GROUPS = yaml.safe_load((ALERTS / "hotdesk.rules.yml").read_text())["groups"]
RECORDED = {rule["record"]: group["interval"] for group in GROUPS for rule in group["rules"] if "record" in rule}
"""Series that the shipped rules record, and how often."""
RULES: Mapping[str, list[str]] = {
    name: [rule["expr"] for group in GROUPS for rule in group["rules"] if rule.get("record") == name]
    for name in RECORDED
}
"""Their expressions."""
CONDITION_LABELS = [
    rule["labels"]["condition"]
    for group in GROUPS
    for rule in group["rules"]
    if rule.get("record") == "hotdesk:cluster_condition:code"
]
LONGEST_QUERY = 300
OTHERS = {"ALERTS", "ALERTS_FOR_STATE", "up"}
"""Series that Prometheus itself adds."""
PANELS = [(name, panel) for name in NAMES for panel in panels(load(name))]
QUERIES = list(asked())

each_dashboard = pytest.mark.parametrize("name", NAMES)
each_panel = pytest.mark.parametrize(
    "panel", [pytest.param(panel, id=f"{name}: {panel['title']}") for name, panel in PANELS]
)
each_query = pytest.mark.parametrize("query", QUERIES, ids=str)


def test_there_are_three_and_they_match_the_python() -> None:
    assert sorted(TITLES) == NAMES
    assert outdated() == []


@each_query
def test_a_query_can_be_read(query: Asked) -> None:
    """What is longer is a rule of alerts/hotdesk.rules.yml, with its comment."""
    assert len(query.expression) <= LONGEST_QUERY


@pytest.mark.parametrize(
    ("record", "table"),
    [
        ("hotdesk:dialer_state:code", meanings.STATES),
        ("hotdesk:incident_kind:code", meanings.KINDS),
        ("hotdesk:probe_result:code", meanings.PROBES),
        ("hotdesk:fence_stage:code", meanings.FENCES),
    ],
)
def test_the_numbers_that_a_rule_records_are_those_of_the_words(record: str, table: Mapping[str, str]) -> None:
    (expression,) = RULES[record]
    numbers = re.findall(r'label_replace\(vector\((\d+)\), "\w+", "(\w+)", "", ""\)', expression)
    assert {word: int(number) for number, word in numbers} == meanings.codes(table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (meanings.STATES, DialerState),
        (meanings.PROBES, ProbeResult),
        (meanings.FENCES, FenceStage),
        (meanings.MOVES, ReloginStage),
        (meanings.AGENT_PAUSES, AgentPauseStage),
    ],
)
def test_each_word_has_a_colour(table: Mapping[str, str], words: Iterable[str]) -> None:
    assert set(table) == set(words)


def test_the_rules_number_conditions_as_the_dashboards_do() -> None:
    numbered = [int(expression.partition(" *")[0]) for expression in RULES["hotdesk:cluster_condition:code"]]
    assert dict(zip(numbered, CONDITION_LABELS, strict=True)) == {
        number: word.replace(" ", "_") for number, (word, _) in WORDS.items()
    }


def test_a_file_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards.__main__.HERE", tmp_path)
    with pytest.raises(SystemExit, match=r"hotdesk-cluster\.json.*make dashboards"):
        main(["--check"])
    main([])
    main(["--check"])
    (tmp_path / "hotdesk-fleet.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"not up to date: hotdesk-fleet\.json;"):
        main(["--check"])


def test_rendering_is_deterministic() -> None:
    assert files() == files()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_when_the_sdk_reads_it_as_grafana_would(name: str) -> None:
    import_module("grafana_foundation_sdk.cog.plugins").register_default_plugins()
    read = type(fleet.dashboard()).from_json(load(name))
    assert rendered(read) == (HERE / f"{name}.json").read_text()


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(SystemExit, match="usage"):
        main(["--chek"])


@each_dashboard
def test_a_dashboard_has_an_address_of_its_own_and_is_changed_in_python_only(name: str) -> None:
    made = load(name)
    assert made["uid"] == name
    assert made["editable"] is False
    assert made["description"].endswith(".")
    assert "hotdesk" in made["tags"]


@each_dashboard
def test_variables_choose_the_data_source_the_job_the_cluster_and_the_dialer(name: str) -> None:
    found = variables(load(name))
    source = found["datasource"]
    assert (source["type"], source["query"], source["label"]) == ("datasource", "prometheus", "Data source")
    by_dialer = name not in {"hotdesk-fleet", "hotdesk-pipeline"}
    wanted = {"job": "Job", "cluster": "Cluster"} | ({"dialer": "Dialer"} if by_dialer else {})
    assert {key: each["label"] for key, each in found.items() if each["type"] == "query"} == wanted
    for each in wanted:
        assert found[each]["datasource"] == DATASOURCE
        assert (found[each]["multi"], found[each]["includeAll"]) == (True, True)
        assert found[each]["current"]["value"] == ["$__all"]
        assert found[each]["refresh"] == 2  # when the time changes


@each_dashboard
def test_runbooks_are_found_where_the_alerts_find_them(name: str) -> None:
    variable = variables(load(name))["runbooks"]
    assert (variable["type"], variable["query"]) == ("textbox", RUNBOOKS)
    assert f"runbook_url: '{RUNBOOKS}/Hotdesk" in (ALERTS / "hotdesk.rules.yml").read_text()


def test_lines_are_as_fine_as_the_shipped_scrapes() -> None:
    (job,) = yaml.safe_load((ALERTS / "prometheus.example.yml").read_text())["scrape_configs"]
    assert job["scrape_interval"] == SCRAPES


@each_dashboard
def test_dashboards_lead_to_each_other_and_keep_variables_and_time(name: str) -> None:
    links = {each["url"]: each for each in load(name)["links"]}
    assert set(links) == {f"/d/{other}" for other in NAMES if other != name}
    assert all(each["includeVars"] and each["keepTime"] for each in links.values())


@each_dashboard
def test_links_out_of_panels_lead_to_dashboards_and_choose_what_was_clicked(name: str) -> None:
    urls = [url for url in texts(load(name), "url") if "${__" in url and url.startswith("/d/")]
    assert urls or name in {"hotdesk-failover", "hotdesk-pipeline"}
    for url in urls:
        path, _, chosen = url.partition("?")
        assert path.removeprefix("/d/") in NAMES
        kept = {"${datasource:queryparam}", "${job:queryparam}", "${runbooks:queryparam}", "${__url_time_range}"}
        assert kept <= set(chosen.split("&"))
        assert "var-cluster=${__" in chosen
        assert ("var-dialer=${__" in chosen) == path.endswith("failover")


@each_dashboard
def test_incidents_are_marked_in_every_graph(name: str) -> None:
    (annotation,) = load(name)["annotations"]["list"]
    assert (annotation["datasource"], annotation["enable"]) == (DATASOURCE, True)
    assert metric_names(annotation["expr"]) >= {metrics.INCIDENT_OPEN.name}


@each_dashboard
def test_titles_are_unique_and_rows_have_them(name: str) -> None:
    made = load(name)
    titles = [panel["title"] for panel in made["panels"]]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert made["panels"][0]["type"] == "row"
    assert [panel["id"] for panel in made["panels"]] == list(range(1, len(titles) + 1))


@each_dashboard
def test_panels_fill_their_lines_and_do_not_overlap(name: str) -> None:
    boxes = [panel["gridPos"] for panel in load(name)["panels"]]
    cells = [{(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])} for p in boxes]
    assert not any(one & other for one, other in combinations(cells, 2))
    widest, lowest = 24, max(box["y"] + box["h"] for box in boxes)
    assert set().union(*cells) == set(product(range(widest), range(lowest)))


@each_panel
def test_a_panel_has_a_description_and_a_unit(panel: Json) -> None:
    assert panel["description"].endswith(".")
    assert panel["description"].count(". ") <= 4, "a few plain sentences"
    assert panel["datasource"] == DATASOURCE
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    if panel["type"] == "table":
        values = [each for each in panel["fieldConfig"]["overrides"] if each["matcher"]["options"].startswith("Value")]
        assert len(values) == len(panel["targets"])
        assert {unit["value"] for each in values for unit in each["properties"] if unit["id"] == "unit"} <= UNITS
    else:
        assert all(target["legendFormat"] for target in panel["targets"])


@each_panel
def test_a_dialer_is_called_by_its_name(panel: Json) -> None:
    for target in panel["targets"]:
        assert "{{server_ip}}" not in target.get("legendFormat", "")
        assert "{{server_id}}" not in target.get("legendFormat", "") or "server_id" in target["expr"]


@each_panel
def test_runbooks_of_a_panel_exist(panel: Json) -> None:
    rules = (ALERTS / "hotdesk.rules.yml").read_text()
    for url in [link["url"] for link in panel.get("links", [])]:
        page = re.fullmatch(r"\$\{runbooks\}/(Hotdesk\w+)\.md", url)
        assert page
        assert f"- alert: {page[1]}\n" in rules
        assert (ROOT / "docs" / "runbooks" / f"{page[1]}.md").is_file()


@each_panel
def test_large_numbers_and_tables_ask_for_now_and_all_others_for_the_time_shown(panel: Json) -> None:
    now = panel["type"] in {"stat", "table"}
    assert {target["instant"] for target in panel["targets"]} == {now}
    assert {target["range"] for target in panel["targets"]} == {not now}
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {DATASOURCE["uid"]}


@each_panel
def test_words_of_a_timeline_have_colours(panel: Json) -> None:
    if panel["type"] != "state-timeline":
        return
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert all(each["text"] and each["color"] for each in mapping["options"].values())


def test_each_panel_that_the_document_names_exists() -> None:
    made = {name.removeprefix("hotdesk-"): {panel["title"] for panel in panels(load(name))} for name in NAMES}
    document = (ROOT / "docs" / "guide" / "dashboards.md").read_text()
    rows = re.findall(r"^\| [^|]+\? \| (\w+) \| ([^|]+) \|$", document, re.MULTILINE)
    assert {dashboard for dashboard, _ in rows} == set(made)
    for dashboard, named in rows:
        assert set(named.split("; ")) <= made[dashboard]


@each_query
def test_every_metric_is_one_of_ours_or_of_the_process(query: Asked) -> None:
    ours = {each.name for each in vars(metrics).values() if isinstance(each, metrics.Metric)}
    names = metric_names(query.expression) or {query.expression.removeprefix("label_values(").partition(",")[0]}
    known = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in names}
    assert all(name in ours | OTHERS | RECORDED.keys() or name.startswith("process_") for name in known)


@each_query
def test_what_a_rule_records_is_counted_at_its_interval(query: Asked) -> None:
    for name in {each for each in metric_names(query.expression) & RECORDED.keys() if ":rate" in each}:
        assert f"{RECORDED[name].removesuffix('s')} * sum" in query.expression


@each_query
def test_every_selector_keeps_to_the_job_and_the_cluster_that_were_chosen(query: Asked) -> None:
    labels = {each.name: each.labels for each in vars(metrics).values() if isinstance(each, metrics.Metric)}
    for name, chosen in re.findall(r"(\w+)\{([^{}]*)\}", query.expression):
        if name.startswith("ALERTS"):
            continue
        assert 'job=~"$job"' in chosen
        owner = name == metrics.CLUSTER_OWNED.name
        if not owner and "cluster" in labels.get(re.sub(r"_(total|bucket|count)$", "", name), ()):
            assert 'cluster=~"$cluster"' in chosen


@each_query
def test_counters_are_queried_as_rates_over_grafanas_interval(query: Asked) -> None:
    expression = query.expression
    for found in re.finditer(r"(\w+\()?(\w+_(?:total|bucket|count))\{[^{}]*\}(\[[^\]]+\])?", expression):
        assert found[1] in {"rate(", "increase("}, found[2]
        assert found[3] in {"[$__rate_interval]", "[$__range]"}
    for function, window in re.findall(r"(rate|increase)\([^\[]*\[([^\]]+)\]", expression):
        assert (function, window) in {
            ("rate", "$__rate_interval"),
            *product(["increase"], ["$__rate_interval", "$__range"]),
        }
    # A step below the scrape interval shows nothing more; a rate needs two scrapes, and uses Grafana's interval.
    if not query.instant and not query.where.startswith("annotation"):
        assert query.step == ("" if "$__rate_interval" in expression else SCRAPES)


@each_query
def test_series_of_several_processes_are_aggregated(query: Asked) -> None:
    if query.where.startswith("variable"):
        return
    assert re.search(r"\b(sum|max|min|count|histogram_quantile)\b", query.expression)


def texts(value: object, name: str) -> list[str]:
    """Return all texts of this name, at any depth."""
    match value:
        case dict():
            here = [each for key, each in value.items() if key == name and isinstance(each, str)]
            return here + [text for each in value.values() for text in texts(each, name)]
        case list():
            return [text for each in value for text in texts(each, name)]
        case _:
            return []
