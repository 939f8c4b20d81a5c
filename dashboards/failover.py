"""One incident, while it lasts or afterwards: noticed when, moved how, landed where, and who is left."""

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as models

from dashboards import meanings
from dashboards.board import FAILOVER, Row, board
from dashboards.panels import (
    ANY_IS_DOUBTFUL,
    GREEN,
    GREY,
    NUMBER,
    ORANGE,
    RED,
    SECONDS,
    YELLOW,
    About,
    Ask,
    Column,
    graph,
    listing,
    number,
    timeline,
)
from dashboards.queries import BY_DIALER, DIALER, FINE, RANGE, coded, count, latest, most, series, total
from dashboards.shared import EACH_DIALER, holds, stalls, probes
from messages import metrics

_TO = ("cluster", "server_ip", "to_server_ip")
_IS_HOME = 'stage="moved"'
_FAILED = 'stage="failed"'
_OVER = "In the time shown, so that it can be read afterwards too."

# a new collector has seen no heartbeat move yet: 0, and not a beat of 1970
_BEAT = f"({series(metrics.DIALER_HEARTBEAT, DIALER)} > 0)"
_STOOD_STILL = f"{series(metrics.INCIDENT_OPENED, DIALER)} - on (cluster, server_ip, instance) group_left () {_BEAT}"
NOTICED_AFTER = f"max by (cluster, server_ip) (max_over_time(({_STOOD_STILL})[{FINE}]))"
"""From the last beat until the incident was opened."""


def dashboard() -> models.Dashboard:
    """Make it."""
    shows = "One incident: choose the dialer and a time that holds it. How it was noticed, and who was moved where."
    return board(FAILOVER, shows, _rows(), since="now-30m", by_dialer=True)


def _rows() -> list[Row]:
    return [
        Row("The incident", [*_figures(), _kinds()]),
        Row("Detection", [_states(), stalls(width=12), _eligible(), probes(width=24, height=6)]),
        Row("Moves", [_moves(), _actions(), _holds(), _fences()]),
        Row("Where they landed", [_landed(), _agents()]),
        Row("Who is left", [_left(), _statuses(), _listed()]),
    ]


def _figures() -> list[stat.Panel]:
    on_it = total(metrics.DIALER_AGENTS, DIALER, by=("cluster", "server_ip"))
    then = most(metrics.INCIDENT_AGENTS, DIALER)
    with_agents = f"{series(metrics.INCIDENT_AGENTS, DIALER)} > 0"
    # who left between two scrapes was never seen: that is 0 s, and not nothing
    emptying = f"max by ({', '.join(BY_DIALER)}) (2 * count_over_time(({with_agents})[{FINE}])) or 0 * {then}"
    return [
        number(
            About(
                "Noticed after",
                "From the last beat until the incident was opened. Normally below 5 s with a probe and 9 s "
                f"without. {_OVER}",
                SECONDS,
                width=4,
                height=4,
            ),
            Ask(NOTICED_AFTER, EACH_DIALER),
            limits=((None, GREEN), (10, ORANGE)),
        ),
        number(
            About(
                "Agents on it",
                "Most agents that were on the dialer in the time shown: as many as it had before it died.",
                width=4,
                height=4,
            ),
            Ask(f"max by (cluster, server_ip) (max_over_time(({on_it})[{FINE}]))", EACH_DIALER),
        ),
        number(
            About("Came home", f"Agents who were moved and seen on another dialer. {_OVER}", width=4, height=4),
            Ask(f"sum by (cluster, server_ip) ({most(metrics.INCIDENT_MOVES, DIALER, _IS_HOME, by=_TO)})", EACH_DIALER),
        ),
        number(
            About(
                "Empty after",
                "For how long agents were on the dialer with its incident open, as often as it was scraped. Normally "
                f"below half a minute. {_OVER}",
                SECONDS,
                4,
                4,
            ),
            Ask(f"max by (cluster, server_ip) ({emptying})", EACH_DIALER),
            limits=((None, GREEN), (30, ORANGE), (90, RED)),
        ),
        number(
            About(
                "Not moved",
                f"Most agents that were listed and not moved, remote agents among them. {_OVER}",
                width=4,
                height=4,
            ),
            Ask(most(metrics.INCIDENT_NOT_MOVED, DIALER, by=("cluster", "server_ip")), EACH_DIALER),
            limits=ANY_IS_DOUBTFUL,
        ),
        number(
            About(
                "Deaths",
                "How often the dialer died lately; each one doubles its probation. Forgotten after 30 minutes up.",
                width=4,
                height=4,
                runbooks=("HotdeskDialerFlapping",),
            ),
            Ask(latest(metrics.DIALER_DEATHS, DIALER), EACH_DIALER),
            limits=((None, GREEN), (1, YELLOW), (2, RED)),
        ),
    ]


def _kinds() -> statetimeline.Panel:
    return timeline(
        About(
            "Incident",
            "When the dialer had an open incident, and of which kind. Down: agents move at once; draining and "
            "closed: when their calls end.",
            NUMBER,
            width=24,
            height=4,
            runbooks=("HotdeskDialerDown", "HotdeskDrainingTooLong"),
        ),
        Ask(coded(metrics.INCIDENT_OPEN, "kind", meanings.codes(meanings.KINDS), DIALER), EACH_DIALER),
        meanings.words(meanings.KINDS),
    )


def _states() -> statetimeline.Panel:
    return timeline(
        About(
            "State",
            "What the dialer was judged to be. A death goes suspect, down, and once it is back recovering, up.",
            NUMBER,
            width=24,
            height=5,
            runbooks=("HotdeskDialerDown", "HotdeskDialerSuspect"),
        ),
        Ask(coded(metrics.DIALER_STATE, "state", meanings.codes(meanings.STATES), DIALER), EACH_DIALER),
        meanings.words(meanings.STATES),
    )


def _eligible() -> statetimeline.Panel:
    return timeline(
        About(
            "Takes new logins",
            "Whether new logins were sent there: no from 2.5 s after the last beat, and yes again with a growing "
            "share once it is back.",
            NUMBER,
        ),
        Ask(latest(metrics.DIALER_ELIGIBLE, DIALER), EACH_DIALER),
        {1: ("yes", GREEN), 0: ("no", GREY)},
    )


def _moves() -> timeseries.Panel:
    return graph(
        About(
            "Moves by stage",
            "Ordered, told to log out, session ended, home on another dialer. Normally all are home within half a "
            "minute; failed means that the screen did not react. Advised: this cluster is only observed.",
            runbooks=("HotdeskMoveFailed", "HotdeskAgentsStranded"),
        ),
        Ask(total(metrics.INCIDENT_MOVES, DIALER, by=("stage",)), "{{stage}}"),
        colours=meanings.MOVES,
        stacked=True,
    )


def _actions() -> table.Panel:
    return listing(
        About(
            "What was done in VICIdial",
            "Actions of the cluster and what came of each: done is normal, gone means that the agent had left. "
            f"{_OVER}",
            runbooks=("HotdeskMoveFailed", "HotdeskClusterPaused"),
        ),
        Column("Cluster", label="cluster"),
        Column("Action", label="action"),
        Column("Reply", label="reply"),
        Column(
            "How often", ask=f"round({count(metrics.ACTIONS, by=('cluster', 'action', 'reply'), within=RANGE)}) > 0"
        ),
        empty="Nothing was done",
    )


def _holds() -> timeseries.Panel:
    return holds(
        "Agents of the cluster's dead dialers who are paused so that no call is sent to them. Normally those "
        "who wait and are not told to log out at once, and none when all are home."
    )


def _fences() -> statetimeline.Panel:
    return timeline(
        About(
            "Fence",
            "Whether hotdesk has closed the dialer to VICIdial's own logins, with fence = true: taken, and given "
            "back when it is back. Unclear wants a person: hotdesk unfence. Empty where nothing is fenced.",
            NUMBER,
            runbooks=("HotdeskFenceLeft",),
        ),
        Ask(coded(metrics.FENCE, "stage", meanings.codes(meanings.FENCES), DIALER), EACH_DIALER),
        meanings.words(meanings.FENCES),
    )


def _landed() -> table.Panel:
    by = (*_TO, "stage")
    return listing(
        About(
            "Moves by where they went",
            "The dialers that agents were moved to, by how far that came: the most there were of each at a time. "
            f"Normally as many home on each dialer. {_OVER}",
            runbooks=("HotdeskMoveFailed",),
        ),
        Column("Cluster", label="cluster"),
        Column("From", label="server_ip"),
        Column("To", label="to_server_ip"),
        Column("Stage", label="stage"),
        Column("Agents", ask=f"{most(metrics.INCIDENT_MOVES, DIALER, by=by)} > 0"),
        empty="Nobody was moved",
    )


def _agents() -> timeseries.Panel:
    return graph(
        About(
            "Agents by dialer, before and after",
            "Agents on every dialer of the cluster, not only the chosen one. Normally the sum dips for some "
            "seconds, and the others rise evenly.",
            runbooks=("HotdeskCapacityLow", "HotdeskImbalance"),
        ),
        Ask(total(metrics.DIALER_AGENTS, by=BY_DIALER), EACH_DIALER),
        stacked=True,
    )


def _left() -> timeseries.Panel:
    return graph(
        About(
            "Agents left",
            "Agents still on the dialer, and those of them who are listed and not moved, as remote agents are. "
            "Normally 0 within half a minute.",
            width=8,
            runbooks=("HotdeskAgentsStranded",),
        ),
        Ask(latest(metrics.INCIDENT_AGENTS, DIALER), f"{EACH_DIALER}: left"),
        Ask(latest(metrics.INCIDENT_NOT_MOVED, DIALER), f"{EACH_DIALER}: not moved"),
    )


def _statuses() -> timeseries.Panel:
    return graph(
        About(
            "What they do",
            "Agents on the dialer by VICIdial's status. Who waits is moved first, who is in a call last. While no "
            "polls come it keeps its last value.",
            width=8,
        ),
        Ask(total(metrics.DIALER_AGENTS, DIALER, by=("status",)), "{{status}}"),
        stacked=True,
    )


def _listed() -> table.Panel:
    return listing(
        About(
            "Open incidents",
            "What is still open, and whether somebody is on it; hotdesk incidents names every agent and the reason.",
            width=8,
            runbooks=("HotdeskAgentsStranded",),
        ),
        Column("Cluster", label="cluster"),
        Column("Dialer", label="server_ip"),
        Column("Name", label="server_id"),
        Column("Left", ask=latest(metrics.INCIDENT_AGENTS, DIALER), limits=ANY_IS_DOUBTFUL),
        Column("Not moved", ask=latest(metrics.INCIDENT_NOT_MOVED, DIALER), limits=ANY_IS_DOUBTFUL),
        Column("Planned", ask=latest(metrics.INCIDENT_EXPECTED, DIALER), words=meanings.QUIETLY_YES),
        Column("Silenced", ask=latest(metrics.INCIDENT_SILENCED, DIALER), words=meanings.QUIETLY_YES),
        empty="No incident is open",
    )
