"""The dashboard of one incident, while it lasts or afterwards: detection, moves, destinations, remaining agents."""

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
from dashboards.queries import BY_DIALER, DIALER, FINE, RANGE, count, highest, latest, most, recording, series, total
from dashboards.shared import EACH_DIALER, agent_pauses, probes, stalls
from messages import metrics

_BY = ", ".join(BY_DIALER)
_TO = (*BY_DIALER, "to_server_ip")
_MOVED = 'stage="moved"'
_OVER = "In the shown time, so that it can be read afterwards too."

_DETECTED = recording("hotdesk:incident_detected:seconds", DIALER)
DETECTED_AFTER = f"max by ({_BY}) (max_over_time({_DETECTED}[{RANGE}]))"
"""From the last beat until the incident was opened, in seconds."""


def dashboard() -> models.Dashboard:
    """Return the dashboard of an incident."""
    shows = "One incident: choose the dialer and a time that includes it. Its detection, and its agents' moves."
    return board(FAILOVER, shows, _rows(), since="now-30m", by_dialer=True)


def _rows() -> list[Row]:
    return [
        Row("The incident", [*_figures(), _kinds()]),
        Row("Detection", [_states(), stalls(width=12), _eligible(), probes(width=24, height=6)]),
        Row("Moves", [_moves(), _actions(), _agent_pauses(), _fences()]),
        Row("Destinations", [_landed(), _agents()]),
        Row("Remaining agents", [_left(), _statuses(), _listed()]),
    ]


def _figures() -> list[stat.Panel]:
    on_it = total(metrics.DIALER_AGENTS, DIALER, by=BY_DIALER)
    # Agents that left between two scrapes were never seen: that is 0 s, not an absent value.
    with_agents = f"{series(metrics.INCIDENT_AGENTS, DIALER)} > bool 0"
    emptying = f"2 * sum_over_time(({with_agents})[{FINE}])"
    return [
        number(
            About(
                "Detected after",
                "From the last beat until the incident was opened. Normally below 5 s with a probe and 9 s "
                f"without. {_OVER}",
                SECONDS,
                width=4,
                height=4,
            ),
            Ask(DETECTED_AFTER, EACH_DIALER),
            limits=((None, GREEN), (10, ORANGE)),
        ),
        number(
            About(
                "Agents on it",
                "The highest number of agents on the dialer in the shown time: as many as it had before it died.",
                width=4,
                height=4,
            ),
            Ask(f"max by ({_BY}) (max_over_time(({on_it})[{FINE}]))", EACH_DIALER),
        ),
        number(
            About("Moved", f"Agents who logged in on another dialer. {_OVER}", width=4, height=4),
            Ask(f"sum by ({_BY}) ({most(metrics.INCIDENT_MOVES, DIALER, _MOVED, by=_TO)})", EACH_DIALER),
        ),
        number(
            About(
                "Empty after",
                "How long agents were on the dialer with its incident open, to the scrape interval. Normally below "
                f"half a minute. {_OVER}",
                SECONDS,
                4,
                4,
            ),
            Ask(f"max by ({_BY}) ({emptying})", EACH_DIALER),
            limits=((None, GREEN), (30, ORANGE), (90, RED)),
        ),
        number(
            About(
                "Not moved",
                f"The highest number of agents that were listed and not moved, including remote agents. {_OVER}",
                width=4,
                height=4,
            ),
            Ask(most(metrics.INCIDENT_NOT_MOVED, DIALER, by=BY_DIALER), EACH_DIALER),
            limits=ANY_IS_DOUBTFUL,
        ),
        number(
            About(
                "Deaths",
                "How often the dialer died lately; each death doubles its probation. Forgotten after 30 minutes up.",
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
            "The dialer's open incidents, by kind. Down: agents move at once; draining and "
            "closed: when their calls end.",
            NUMBER,
            width=24,
            height=4,
            runbooks=("HotdeskDialerDown", "HotdeskDrainingTooLong"),
        ),
        Ask(highest("hotdesk:incident_kind:code", DIALER, by=BY_DIALER), EACH_DIALER),
        meanings.words(meanings.KINDS),
    )


def _states() -> statetimeline.Panel:
    return timeline(
        About(
            "State",
            "The dialer's state. A death shows as suspect, down, and once it is back recovering, up.",
            NUMBER,
            width=24,
            height=5,
            runbooks=("HotdeskDialerDown", "HotdeskDialerSuspect"),
        ),
        Ask(highest("hotdesk:dialer_state:code", DIALER, by=BY_DIALER), EACH_DIALER),
        meanings.words(meanings.STATES),
    )


def _eligible() -> statetimeline.Panel:
    return timeline(
        About(
            "Takes new logins",
            "Whether new logins were sent to the dialer: no from 2.5 s after the last beat, and yes again once it is "
            "back, with a growing share.",
            NUMBER,
        ),
        Ask(latest(metrics.DIALER_ELIGIBLE, DIALER), EACH_DIALER),
        {1: ("yes", GREEN), 0: ("no", GREY)},
    )


def _moves() -> timeseries.Panel:
    return graph(
        About(
            "Moves by stage",
            "Planned, sent (the screen's logout), ended (the session), moved (on another dialer). Normally all are "
            "moved within half a minute. Failed: the screen did not react. Advised: this cluster has mode advise, or "
            "is suspended.",
            runbooks=("HotdeskMoveFailed", "HotdeskAgentsStranded"),
        ),
        Ask(total(metrics.INCIDENT_MOVES, DIALER, by=("stage",)), "{{stage}}"),
        colours=meanings.MOVES,
        stacked=True,
    )


def _actions() -> table.Panel:
    return listing(
        About(
            "Actions in VICIdial",
            "hotdesk's actions in the cluster and VICIdial's replies: done is normal, gone means that the agent had "
            f"left. {_OVER}",
            runbooks=("HotdeskMoveFailed", "HotdeskClusterPaused"),
        ),
        Column("Cluster", label="cluster"),
        Column("Action", label="action"),
        Column("Reply", label="reply"),
        Column(
            "How often", ask=f"round({count(metrics.ACTIONS, by=('cluster', 'action', 'reply'), within=RANGE)}) > 0"
        ),
        empty="No action",
    )


def _agent_pauses() -> timeseries.Panel:
    return agent_pauses(
        "Agents of the cluster's dead dialers who are paused so that no call is sent to them. Normally agents who "
        "wait for calls and for their own move, and none once all are moved."
    )


def _fences() -> statetimeline.Panel:
    return timeline(
        About(
            "Fence",
            "Whether hotdesk has closed the dialer to VICIdial's own logins, with fence = true: taken, and returned "
            "when the dialer is back. Unclear needs a person: hotdesk unfence. Empty without fences.",
            NUMBER,
            runbooks=("HotdeskFenceLeft",),
        ),
        Ask(highest("hotdesk:fence_stage:code", DIALER, by=BY_DIALER), EACH_DIALER),
        meanings.words(meanings.FENCES),
    )


def _landed() -> table.Panel:
    by = (*_TO, "stage")
    return listing(
        About(
            "Moves by destination",
            "The dialers that agents were moved to, by stage: the highest number of each at any time. Normally about "
            f"as many moved to each dialer. {_OVER}",
            runbooks=("HotdeskMoveFailed",),
        ),
        Column("Cluster", label="cluster"),
        Column("From", label="server_id"),
        Column("Address", label="server_ip"),
        Column("To", label="to_server_ip"),
        Column("Stage", label="stage"),
        Column("Agents", ask=f"{most(metrics.INCIDENT_MOVES, DIALER, by=by)} > 0"),
        empty="No agent was moved",
    )


def _agents() -> timeseries.Panel:
    return graph(
        About(
            "Agents by dialer, before and after",
            "Agents on every dialer of the cluster, not only on the chosen one. Normally the sum dips for some "
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
            "Agents still on the dialer, and those of them who are listed and not moved, such as remote agents. "
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
            "Agents by status",
            "Agents on the dialer by VICIdial's status. Waiting agents are moved first, agents in a call last. Without "
            "polls it keeps its last value.",
            width=8,
        ),
        Ask(total(metrics.DIALER_AGENTS, DIALER, by=("status",)), "{{status}}"),
        stacked=True,
    )


def _listed() -> table.Panel:
    return listing(
        About(
            "Open incidents",
            "Incidents that are still open, planned or silenced; hotdesk incidents names every agent and the reason.",
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
