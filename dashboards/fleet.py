"""The dashboard of all clusters: is each of them well, and if not, what is wrong?"""

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as models

from dashboards import meanings
from dashboards.board import FLEET, SERIES_TO_CLUSTER, TO_CLUSTER, TO_FAILOVER, TO_RUNBOOK, Row, board
from dashboards.conditions import BLIND_SECONDS, CONDITION, SEEN_AGO, WORDS
from dashboards.panels import (
    ANY_IS_BAD,
    ANY_IS_DOUBTFUL,
    BYTES,
    GREEN,
    NUMBER,
    RED,
    SECONDS,
    WHEN,
    YELLOW,
    About,
    Ask,
    Column,
    graph,
    listing,
    number,
    timeline,
)
from dashboards.queries import JOB, latest, process, recorded, series, total
from messages import metrics

ALERTS = 'alertname=~"Hotdesk.+",severity!="info",cluster=~"$cluster|"'
"""Alerts of the chosen clusters, and those of no cluster."""
_FIRING = f'ALERTS{{{ALERTS},alertstate="firing"}}'
_BY_ALERT = "alertname, severity, cluster, server_ip"


def dashboard() -> models.Dashboard:
    """Return the dashboard of all clusters."""
    return board(FLEET, "Which clusters are well, and where to look.", _rows(), since="now-3h", by_dialer=False)


def _rows() -> list[Row]:
    return [
        Row("What hotdesk was good for", [panel for span in SPANS for panel in _value(*span)]),
        Row("At a glance", [*_counts(), _conditions(), _clusters()]),
        Row("What is wrong", [_alerts(), _incidents(), _findings(), _odd_rows()]),
        Row("Agents and dialers", [_agents(), _states(), _places(), _not_moved()]),
        Row("hotdesk itself", [_answering(), _processes()]),
    ]


SPANS = (("week", "7d"), ("month", "30d"))


def _value(span: str, within: str) -> list[stat.Panel]:
    buckets = "hotdesk:move_seconds_bucket:rate1m"
    kept_off = recorded("hotdesk:logins_kept_off:rate1m", within=within)
    moved = recorded(buckets, 'le="+Inf"', within=within)
    arrived = f"histogram_quantile(0.5, {recorded(buckets, within=within, by='le')})"
    kept = f"In the last {within[:-1]} days, as far as Prometheus keeps them."
    return [
        number(
            About(
                f"Logins kept off dead dialers, {span}",
                f"Logins whose alias has a phone on a dialer that was down, and that were sent to another. {kept}",
                width=4,
                height=4,
            ),
            Ask(f"round({kept_off}) or vector(0)", "logins"),
        ),
        number(
            About(
                f"Agents moved, {span}",
                f"Agents who were logged out of a dialer in trouble, and logged in on another. {kept}",
                width=4,
                height=4,
            ),
            Ask(f"round({moved}) or vector(0)", "agents"),
        ),
        number(
            About(
                f"Time to arrive p50, {span}",
                f"From the plan of a move until the agent was logged in on another dialer: the median. {kept}",
                SECONDS,
                width=4,
                height=4,
            ),
            Ask(arrived, "p50"),
        ),
    ]


def _or_none(expression: str) -> str:
    """Return an expression that is 0 for a cluster without a value."""
    return f"{expression} or 0 * max by (cluster) ({series(metrics.CLUSTER_OWNED)})"


def _counts() -> list[stat.Panel]:
    states = 'state!="up"'
    return [
        number(
            About("Clusters", "Clusters that hotdesk's processes report. Normally all you have.", width=4, height=4),
            Ask(f"count({latest(metrics.CLUSTER_OWNED)})", "clusters"),
        ),
        number(
            About("Agents", "Agents logged in, without remote agents.", width=4, height=4),
            Ask(f"sum({latest(metrics.DIALER_AGENTS)})", "agents"),
        ),
        number(
            About("Dialers up", "Dialers in state up. Normally all that are switched on.", width=4, height=4),
            Ask(f"sum({latest(metrics.DIALER_STATE, meanings.UP)})", "up"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            About("Dialers not up", "Dialers in any other state, including those switched off.", width=4, height=4),
            Ask(f"sum({latest(metrics.DIALER_STATE, states)})", "not up"),
            limits=ANY_IS_DOUBTFUL,
        ),
        number(
            About("Open incidents", "Dialers whose agents are being moved. Normally 0.", width=4, height=4),
            Ask(f"sum({latest(metrics.INCIDENT_OPEN)}) or vector(0)", "open"),
            limits=ANY_IS_BAD,
        ),
        number(
            About("Alerts firing", "Alerts of hotdesk's that fire, pages and warnings. Normally 0.", width=4, height=4),
            Ask(f"count({_FIRING}) or vector(0)", "firing"),
            limits=ANY_IS_BAD,
        ),
    ]


def _conditions() -> statetimeline.Panel:
    return timeline(
        About(
            "Condition of each cluster",
            "The worst condition that applies. Normally well; an incident or a fleet brake should end by itself.",
            NUMBER,
            width=24,
            height=6,
            runbooks=("HotdeskNoController", "HotdeskCollectorBlind", "HotdeskDatabaseUnreachable"),
        ),
        Ask(CONDITION, "{{cluster}}"),
        WORDS,
        to=SERIES_TO_CLUSTER,
    )


def _clusters() -> table.Panel:
    incident = _or_none(f"sum by (cluster) ({latest(metrics.INCIDENT_OPEN)})")
    left = _or_none(total(metrics.INCIDENT_AGENTS))
    not_moved = _or_none(total(metrics.INCIDENT_NOT_MOVED))
    return listing(
        About(
            "Each cluster",
            "The current figures of each cluster; a click on its name opens its dashboard. The age of the latest poll "
            f"is normally below 2 s; above {BLIND_SECONDS} s nothing is offered. Exactly one owner and one leader is "
            "right.",
            width=24,
            height=8,
        ),
        Column("Cluster", label="cluster", link=TO_CLUSTER),
        Column("Condition", ask=CONDITION, words=WORDS),
        Column("Agents", ask=total(metrics.DIALER_AGENTS)),
        Column("Remote agents", ask=total(metrics.DIALER_REMOTE_AGENTS)),
        Column("Dialers up", ask=total(metrics.DIALER_STATE, meanings.UP)),
        Column("Taking logins", ask=total(metrics.DIALER_ELIGIBLE), limits=((None, RED), (1, GREEN))),
        Column("Places free", ask=total(metrics.DIALER_PLACES_FREE), limits=((None, RED), (1, GREEN))),
        Column("Incidents", ask=incident, limits=ANY_IS_DOUBTFUL),
        Column("Agents left", ask=left, limits=ANY_IS_DOUBTFUL),
        Column("Not moved", ask=not_moved, limits=ANY_IS_DOUBTFUL),
        Column("Poll age", ask=SEEN_AGO, unit=SECONDS, limits=((None, GREEN), (2, YELLOW), (BLIND_SECONDS, RED))),
        Column(
            "Owners",
            ask=f"sum by (cluster) ({series(metrics.CLUSTER_OWNED)})",
            limits=((None, RED), (1, GREEN), (2, RED)),
        ),
        Column(
            "Leaders",
            ask=f"sum by (cluster) ({series(metrics.COLLECTOR_LEADING)})",
            limits=((None, RED), (1, GREEN), (2, RED)),
        ),
        empty="No hotdesk process reports a cluster",
    )


def _alerts() -> table.Panel:
    since = f"ALERTS_FOR_STATE{{{ALERTS}}} and on ({_BY_ALERT}) {_FIRING}"
    return listing(
        About(
            "Alerts",
            "Alerts of hotdesk's that fire in Prometheus, silenced or not; a click on the name opens its runbook. "
            "Normally none.",
        ),
        Column("Alert", label="alertname", link=TO_RUNBOOK),
        Column("Severity", label="severity"),
        Column("Cluster", label="cluster"),
        Column("Dialer", label="server_ip"),
        Column("Since", ask=f"1000 * max by ({_BY_ALERT}) ({since})", unit=WHEN),
        empty="No alert fires",
    )


def _incidents() -> table.Panel:
    def of(metric: metrics.Metric) -> str:
        """Return an expression for a value of each incident, with its kind."""
        kind = f"max by (cluster, server_ip, kind) (hotdesk:incident_kind{{{JOB}}})"
        return f"{latest(metric)} * on (cluster, server_ip) group_left (kind) {kind}"

    return listing(
        About(
            "Incidents now",
            "Dialers whose agents are being moved, since when, and how many remain; a click on the dialer opens its "
            "incident. Normally none.",
            runbooks=("HotdeskDialerDown", "HotdeskAgentsStranded"),
        ),
        Column("Cluster", label="cluster"),
        Column("Dialer", label="server_ip", link=TO_FAILOVER),
        Column("Name", label="server_id"),
        Column("Kind", label="kind"),
        Column("Since", ask=f"1000 * {of(metrics.INCIDENT_OPENED)}", unit=WHEN),
        Column("Agents left", ask=of(metrics.INCIDENT_AGENTS), limits=ANY_IS_DOUBTFUL),
        Column("Not moved", ask=of(metrics.INCIDENT_NOT_MOVED), limits=ANY_IS_DOUBTFUL),
        Column("Planned", ask=of(metrics.INCIDENT_EXPECTED), words=meanings.QUIETLY_YES),
        Column("Silenced", ask=of(metrics.INCIDENT_SILENCED), words=meanings.QUIETLY_YES),
        empty="No incident is open",
    )


def _findings() -> table.Panel:
    return listing(
        About(
            "Readiness findings",
            "Aliases, phones, rooms and settings that are not fit for hot-desking, by kind; hotdesk readiness shows "
            "where, and how to mend it. Normally no error.",
            runbooks=("HotdeskAliasDefects",),
        ),
        Column("Cluster", label="cluster"),
        Column("Severity", label="severity"),
        Column("Kind", label="kind"),
        Column("Findings", ask=f"{latest(metrics.READINESS_FINDINGS)} > 0"),
        empty="No finding",
    )


def _odd_rows() -> table.Panel:
    return listing(
        About(
            "Rows dropped",
            "Rows of VICIdial's tables that hotdesk cannot use, by kind. A few are normal; a growing number is not.",
        ),
        Column("Cluster", label="cluster"),
        Column("Kind", label="kind"),
        Column("Rows", ask=latest(metrics.CLUSTER_ODD_ROWS)),
        empty="No row was skipped",
    )


def _agents() -> timeseries.Panel:
    return graph(
        About("Agents by cluster", "Agents logged in, without remote agents. A sudden fall is a failure."),
        Ask(total(metrics.DIALER_AGENTS), "{{cluster}}"),
        stacked=True,
    )


def _states() -> timeseries.Panel:
    return graph(
        About(
            "Dialers by state",
            "Dialers of all chosen clusters, by state. Normally all are up, except those switched off.",
            runbooks=("HotdeskDialerDown", "HotdeskDialerSuspect"),
        ),
        Ask(total(metrics.DIALER_STATE, by=("state",)), "{{state}}"),
        colours=meanings.STATES,
        stacked=True,
    )


def _places() -> timeseries.Panel:
    return graph(
        About(
            "Places free by cluster",
            "How many more agents the dialers that take logins may take: rooms, or what max_agents leaves. It must "
            "be more than the fullest dialer's agents, or those cannot be moved.",
            runbooks=("HotdeskCapacityLow",),
        ),
        Ask(total(metrics.DIALER_PLACES_FREE), "{{cluster}}"),
    )


def _not_moved() -> timeseries.Panel:
    return graph(
        About(
            "Agents on failed dialers",
            "Agents still on dialers with an open incident, and those of them who are listed as not moved. "
            "Normally 0, and 0 again within half a minute of a death.",
            runbooks=("HotdeskAgentsStranded", "HotdeskMoveFailed"),
        ),
        Ask(_or_none(total(metrics.INCIDENT_AGENTS)), "{{cluster}}: left"),
        Ask(_or_none(total(metrics.INCIDENT_NOT_MOVED)), "{{cluster}}: not moved"),
    )


def _answering() -> statetimeline.Panel:
    return timeline(
        About(
            "Processes that answer",
            "Whether Prometheus reaches each hotdesk process. Normally all.",
            NUMBER,
            width=24,
            height=5,
            runbooks=("HotdeskProcessDown", "HotdeskNobodyToTakeOver"),
        ),
        Ask(f"max by (instance) ({process('up')})", "{{instance}}"),
        {1: ("answers", GREEN), 0: ("does not answer", RED)},
    )


def _processes() -> table.Panel:
    def of(expression: str) -> str:
        """Return an expression for a value of each process, with its versions."""
        with_build = f"on (job, instance) group_left (version, python) {series(metrics.BUILD_INFO)}"
        return f"max by (instance, version, python) ({expression} * {with_build})"

    def does(role: str) -> str:
        matcher = f'role="{role}"'
        of_all = f"max by (instance, version, python) ({series(metrics.BUILD_INFO)})"
        return of(f"sum by (job, instance) ({series(metrics.ROLE, matcher)})") + f" or 0 * {of_all}"

    return listing(
        About(
            "Processes",
            "hotdesk's processes, their versions and roles, and the number of clusters that each owns and leads. "
            "Normally all run the same version, and each role has a second process to take over.",
            width=24,
            runbooks=("HotdeskNobodyToTakeOver", "HotdeskTwoDeciders"),
        ),
        Column("Process", label="instance"),
        Column("Version", label="version"),
        Column("Python", label="python"),
        Column("Collector", ask=does("collect"), words=meanings.QUIETLY_YES),
        Column("Controller", ask=does("control"), words=meanings.QUIETLY_YES),
        Column("API", ask=does("serve"), words=meanings.QUIETLY_YES),
        Column("Clusters owned", ask=of(f"sum by (job, instance) ({series(metrics.CLUSTER_OWNED)})")),
        Column("Clusters led", ask=of(f"sum by (job, instance) ({series(metrics.COLLECTOR_LEADING)})")),
        Column("Started", ask=of(f"1000 * {process('process_start_time_seconds')}"), unit=WHEN),
        Column("Memory", ask=of(process("process_resident_memory_bytes")), unit=BYTES),
        Column("Status pages open", ask=of(series(metrics.PAGE_VIEWERS))),
        Column("Lag in records", ask=of(series(metrics.CONSUMER_LAG)), limits=((None, GREEN), (1000, RED))),
        empty="No hotdesk process answers",
    )
