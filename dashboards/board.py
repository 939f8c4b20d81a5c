"""The frame that all dashboards share: variables, links to each other, incidents as annotations, and the JSON."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from dashboards.panels import DATASOURCE, RED, SCRAPES, link
from dashboards.queries import CLUSTER, JOB, latest
from messages import metrics

RUNBOOKS = "https://hotdesk.example/runbooks"
"""The address of docs/runbooks/; a placeholder, which each installation replaces in the dashboard's variable."""

FLEET, CLUSTERS, FAILOVER, PIPELINE = "hotdesk-fleet", "hotdesk-cluster", "hotdesk-failover", "hotdesk-pipeline"
TITLES = {
    FLEET: "hotdesk: fleet",
    CLUSTERS: "hotdesk: cluster",
    FAILOVER: "hotdesk: failover",
    PIPELINE: "hotdesk: pipeline",
}

_KEPT = "${datasource:queryparam}&${job:queryparam}&${runbooks:queryparam}&${__url_time_range}"
"""The variables that a link from a panel passes on."""
_THIS_CLUSTER = "var-cluster=${{__{where}.cluster}}"
_THIS_DIALER = _THIS_CLUSTER + "&var-dialer=${{__{where}.server_ip}}"
_CELL, _SERIES = "data.fields", "field.labels"
TO_CLUSTER = ("This cluster", f"/d/{CLUSTERS}?{_KEPT}&{_THIS_CLUSTER.format(where=_CELL)}")
TO_FAILOVER = ("This dialer's failover", f"/d/{FAILOVER}?{_KEPT}&{_THIS_DIALER.format(where=_CELL)}")
SERIES_TO_FAILOVER = ("This dialer's failover", f"/d/{FAILOVER}?{_KEPT}&{_THIS_DIALER.format(where=_SERIES)}")
SERIES_TO_CLUSTER = ("This cluster", f"/d/{CLUSTERS}?{_KEPT}&{_THIS_CLUSTER.format(where=_SERIES)}")
TO_RUNBOOK = ("Runbook", "${runbooks}/${__data.fields.alertname}.md")


class Row(NamedTuple):
    """A title and its panels, laid out from left to right."""

    title: str
    panels: Sequence[Builder[dashboard.Panel]]


def board(uid: str, shows: str, rows: Sequence[Row], *, since: str, by_dialer: bool) -> dashboard.Dashboard:
    """Return the dashboard that shows these rows."""
    builder = (
        boards.Dashboard(TITLES[uid])
        .uid(uid)
        .description(shows)
        .tags(["hotdesk"])
        .readonly()
        .time(since, "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .annotation(_incidents())
        .variables(_variables(by_dialer=by_dialer))
    )
    for other, title in TITLES.items():
        if other != uid:
            builder = builder.link(link(title, f"/d/{other}").include_vars(include_vars=True).keep_time(keep_time=True))
    for row in rows:
        builder = builder.with_row(boards.Row(row.title))
        for panel in row.panels:
            builder = builder.with_panel(panel)
    made = builder.build()
    for number, each in enumerate(made.panels or [], start=1):
        each.id_val = number
    return made


def rendered(made: dashboard.Dashboard) -> str:
    """Return a dashboard as JSON that changes only when the dashboard does."""
    plain = json.loads(JSONEncoder().encode(made))
    return json.dumps(_shown(plain), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _shown(value: object) -> object:
    """Return the value without any `placement`: this SDK always hides links and annotations in a menu."""
    match value:
        case dict():
            return {name: _shown(each) for name, each in value.items() if name != "placement"}
        case list():
            return [_shown(each) for each in value]
        case _:
            return value


def _variables(*, by_dialer: bool) -> list[Builder[dashboard.VariableModel]]:
    owned, state = metrics.CLUSTER_OWNED.name, metrics.DIALER_STATE.name
    dialer = _chosen("dialer", "Dialer", f"label_values({state}{{{JOB},{CLUSTER}}}, server_ip)")
    return [
        boards.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        # No value of its own for All: other process_… metrics are not hotdesk's.
        _chosen("job", "Job", f"label_values({metrics.BUILD_INFO.name}, job)"),
        _chosen("cluster", "Cluster", f"label_values({owned}{{{JOB}}}, cluster)").all_value(".*"),
        *([dialer.all_value(".*")] if by_dialer else []),
        boards.TextBoxVariable("runbooks")
        .label("Runbooks")
        .description("Where hotdesk serves its runbooks: the links of panels and alerts begin with it.")
        .default_value(RUNBOOKS)
        .current(dashboard.VariableOption(text=RUNBOOKS, value=RUNBOOKS))
        .options([dashboard.VariableOption(selected=True, text=RUNBOOKS, value=RUNBOOKS)]),
    ]


def _chosen(name: str, label: str, query: str) -> boards.QueryVariable:
    return (
        boards.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(query)
        .definition(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _incidents() -> boards.AnnotationQuery:
    return (
        boards.AnnotationQuery()
        .name("Incidents")
        .datasource(DATASOURCE)
        .enable(enable=True)
        .icon_color(RED)
        .expr(f"{latest(metrics.INCIDENT_OPEN)} == 1")
        .step(SCRAPES)
        .title_format("{{cluster}}: {{server_id}} {{kind}}")
        .text_format("{{server_ip}}")
        .tag_keys("cluster,kind")
    )
