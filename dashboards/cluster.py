"""The dashboard of one cluster or several: logins and moves, and its dialers."""

from grafana_foundation_sdk.builders import stat, statetimeline, timeseries
from grafana_foundation_sdk.models import dashboard as models

from dashboards import meanings
from dashboards.board import CLUSTERS, SERIES_TO_FAILOVER, Row, board
from dashboards.conditions import BLIND_SECONDS, CONDITION, SEEN_AGO, WORDS
from dashboards.panels import (
    ANY_IS_BAD,
    COUNT,
    GREEN,
    GREY,
    NUMBER,
    RED,
    SECONDS,
    YELLOW,
    About,
    Ask,
    graph,
    number,
    timeline,
)
from dashboards.queries import (
    BY_DIALER,
    DIALER,
    count,
    highest,
    latest,
    series,
    total,
)
from dashboards.shared import EACH_DIALER, agent_pauses, probes, stalls
from messages import metrics

_AGENTS = total(metrics.DIALER_AGENTS)
_BY_POLLS = "Without polls it keeps its last value."


def dashboard() -> models.Dashboard:
    """Return the dashboard of clusters."""
    shows = "Logins and moves, and the dialers of a cluster."
    return board(CLUSTERS, shows, _rows(), since="now-1h", by_dialer=True)


def _rows() -> list[Row]:
    return [
        Row("Now", [*_now(), _condition()]),
        Row(
            "Logins and moves",
            [_agents(), _statuses(), _picks(), _placed(), _slots(), _moves(), _actions(), _agent_pauses(), _findings()],
        ),
        Row(
            "Dialers",
            [
                _states(),
                _eligible(),
                _ranks(),
                stalls(width=12),
                probes(width=12, height=8),
                _skews(),
                _rooms(),
                _places(),
                _imbalance(),
            ],
        ),
    ]


def _now() -> list[stat.Panel]:
    return [
        number(_small("Agents", "Agents logged in, without remote agents."), Ask(_AGENTS, "{{cluster}}")),
        number(
            _small("Dialers up", "Dialers in state up. Normally all that are switched on."),
            Ask(total(metrics.DIALER_STATE, meanings.UP), "{{cluster}}"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            _small("Taking logins", "Dialers that new logins are sent to. Normally all that are up."),
            Ask(total(metrics.DIALER_ELIGIBLE), "{{cluster}}"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            _small("Places free", "How many more agents those dialers may take."),
            Ask(total(metrics.DIALER_PLACES_FREE), "{{cluster}}"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            _small("Open incidents", "Dialers whose agents are being moved. Normally 0."),
            Ask(f"sum({latest(metrics.INCIDENT_OPEN)}) or vector(0)", "open"),
            limits=ANY_IS_BAD,
        ),
        number(
            _small("Slots", "Logins promised to a dialer and not seen yet. Normally few, each for 30 s at most."),
            Ask(latest(metrics.CLUSTER_SLOTS), "{{cluster}}"),
        ),
        number(
            _small(
                "Poll age",
                f"Age of the latest poll. Normally below 2 s; above {BLIND_SECONDS} s nothing is offered.",
                SECONDS,
            ),
            Ask(SEEN_AGO, "{{cluster}}"),
            limits=((None, GREEN), (2, YELLOW), (BLIND_SECONDS, RED)),
        ),
        number(
            _small("Owners", "Controllers that own the cluster. Exactly one is right."),
            Ask(f"sum by (cluster) ({series(metrics.CLUSTER_OWNED)})", "{{cluster}}"),
            limits=((None, RED), (1, GREEN), (2, RED)),
        ),
    ]


def _small(title: str, shows: str, unit: str = COUNT) -> About:
    return About(title, shows, unit, width=3, height=4)


def _condition() -> statetimeline.Panel:
    return timeline(
        About(
            "Condition",
            "The worst condition that applies. Normally well; an incident or a fleet brake should end by itself.",
            NUMBER,
            width=24,
            height=4,
            runbooks=(
                "HotdeskClusterBraked",
                "HotdeskMovesWithheld",
                "HotdeskClusterPaused",
                "HotdeskNoController",
                "HotdeskCollectorBlind",
                "HotdeskDatabaseUnreachable",
            ),
        ),
        Ask(CONDITION, "{{cluster}}"),
        WORDS,
    )


def _agents() -> timeseries.Panel:
    return graph(
        About(
            "Agents by dialer",
            "Agents on each of the chosen dialers. Normally even, except for weights and rules of campaigns. "
            + _BY_POLLS,
            runbooks=("HotdeskImbalance",),
        ),
        Ask(total(metrics.DIALER_AGENTS, DIALER, by=BY_DIALER), EACH_DIALER),
        stacked=True,
    )


def _statuses() -> timeseries.Panel:
    return graph(
        About(
            "Agents by status",
            f"Agents of the chosen dialers by VICIdial's status; and remote agents. {_BY_POLLS}",
        ),
        Ask(total(metrics.DIALER_AGENTS, DIALER, by=("status",)), "{{status}}"),
        Ask(f"sum({latest(metrics.DIALER_REMOTE_AGENTS, DIALER)})", "remote agents"),
        stacked=True,
    )


def _picks() -> timeseries.Panel:
    return graph(
        About(
            "Picks by outcome",
            "Answers to logins. Degraded: a replica answered alone, as the owner did not answer. Refused: VICIdial "
            "chooses. Normally all are picked.",
            runbooks=("HotdeskHookErrors", "HotdeskNoLogins"),
        ),
        Ask(count(metrics.PICKS, by=("outcome",)), "{{outcome}}"),
        colours=meanings.PICKS,
        stacked=True,
    )


def _placed() -> timeseries.Panel:
    agents = highest("hotdesk:dialer_agents", by=("cluster", "server_ip"))
    others = f"sum by (cluster) ({agents}) - {latest(metrics.CLUSTER_AGENTS_PLACED)}"
    return graph(
        About(
            "Agents by who chose their dialer",
            "Agents on the dialer that hotdesk picked for them, and all others, for whom VICIdial chose. If every web "
            "server has the login hook, hotdesk chose for nearly all.",
            runbooks=("HotdeskLoginsPastHook",),
        ),
        Ask(latest(metrics.CLUSTER_AGENTS_PLACED), "{{cluster}}: hotdesk"),
        Ask(others, "{{cluster}}: VICIdial"),
        stacked=True,
    )


def _slots() -> timeseries.Panel:
    return graph(
        About(
            "Slots by dialer",
            "Logins promised to a dialer and not seen yet: they count as agents until they are seen, or for 30 s. "
            "Normally few; many that stay are logins that got a phone and did not use it.",
        ),
        Ask(latest(metrics.DIALER_SLOTS, DIALER), EACH_DIALER),
        stacked=True,
    )


def _moves() -> timeseries.Panel:
    return graph(
        About(
            "Moves by stage",
            "Moves of open incidents: planned, sent, ended, moved. Normally none; in an incident all become moved. "
            "Advised: this cluster has mode advise, or is suspended.",
            runbooks=("HotdeskMoveFailed",),
        ),
        Ask(total(metrics.CLUSTER_MOVES, by=("stage",)), "{{stage}}"),
        colours=meanings.MOVES,
        stacked=True,
    )


def _actions() -> timeseries.Panel:
    return graph(
        About(
            "Actions by reply",
            "hotdesk's actions in VICIdial (relogin, agent_pause, fence), by VICIdial's reply. Normally none outside "
            "an incident, and then done. Denied: the account lacks a permission, and the cluster is suspended.",
            runbooks=("HotdeskMoveFailed", "HotdeskClusterPaused"),
        ),
        Ask(count(metrics.ACTIONS, by=("action", "reply")) + " > 0", "{{action}}: {{reply}}"),
        stacked=True,
    )


def _agent_pauses() -> timeseries.Panel:
    return agent_pauses(
        "Agents of a dead dialer who are paused so that no call is sent to them, by stage. Normally none."
    )


def _findings() -> timeseries.Panel:
    return graph(
        About(
            "Readiness findings",
            "Aliases, phones, rooms and settings that are not fit for hot-desking, by severity; hotdesk readiness "
            "shows where, and how to mend it. Normally no error.",
            width=24,
            height=6,
            runbooks=("HotdeskAliasDefects",),
        ),
        Ask(total(metrics.READINESS_FINDINGS, by=("cluster", "severity")), "{{cluster}}: {{severity}}"),
    )


def _states() -> statetimeline.Panel:
    return timeline(
        About(
            "State of each dialer",
            f"The state of each dialer. Normally up. {_BY_POLLS}",
            NUMBER,
            width=24,
            height=10,
            runbooks=(
                "HotdeskDialerDown",
                "HotdeskDialerHung",
                "HotdeskDialerSuspect",
                "HotdeskDrainingTooLong",
                "HotdeskDialerFlapping",
            ),
        ),
        Ask(highest("hotdesk:dialer_state:code", DIALER, by=BY_DIALER), EACH_DIALER),
        meanings.words(meanings.STATES),
        to=SERIES_TO_FAILOVER,
    )


def _eligible() -> statetimeline.Panel:
    return timeline(
        About(
            "Takes new logins",
            "Whether new logins are sent to each dialer. Normally yes if it is up; hotdesk explain shows why not. "
            "Also no without polls.",
            NUMBER,
            height=10,
            runbooks=("HotdeskNoLogins",),
        ),
        Ask(latest(metrics.DIALER_ELIGIBLE, DIALER), EACH_DIALER),
        {1: ("yes", GREEN), 0: ("no", GREY)},
    )


def _ranks() -> timeseries.Panel:
    return graph(
        About(
            "Rank",
            "Rank of each dialer: 1 is next, 0 takes no new logins. Normally it changes with every login.",
            NUMBER,
            height=10,
        ),
        Ask(latest(metrics.DIALER_RANK, DIALER), EACH_DIALER),
    )


def _skews() -> timeseries.Panel:
    return graph(
        About(
            "Clock skew",
            "Each dialer's clock minus the database's, to about a second. Normally within 2 s; beyond 5 s it is "
            "certainly wrong, and VICIdial itself may consider the dialer dead.",
            SECONDS,
            runbooks=("HotdeskDialerSkewed",),
        ),
        Ask(latest(metrics.DIALER_SKEW, DIALER), EACH_DIALER),
    )


def _rooms() -> timeseries.Panel:
    return graph(
        About(
            "Rooms free by dialer",
            "Free conference rooms of each dialer, less the slots. A dialer without any takes no login.",
            runbooks=("HotdeskCapacityLow",),
        ),
        Ask(latest(metrics.DIALER_ROOMS_FREE, DIALER), EACH_DIALER),
    )


def _places() -> timeseries.Panel:
    return graph(
        About(
            "Places free by dialer",
            "How many more agents each dialer may take: rooms, or what max_agents leaves; 0 if it takes no logins. "
            "The others together should have room for the fullest one's agents.",
            runbooks=("HotdeskCapacityLow",),
        ),
        Ask(latest(metrics.DIALER_PLACES_FREE, DIALER), EACH_DIALER),
        stacked=True,
    )


def _imbalance() -> timeseries.Panel:
    return graph(
        About(
            "Imbalance",
            "The fullest dialer's load divided by the mean of those that take logins. 1 is even; a dialer that has "
            "just come back raises it for a while. Absent without agents.",
            NUMBER,
            runbooks=("HotdeskImbalance",),
        ),
        Ask(latest(metrics.CLUSTER_IMBALANCE), "{{cluster}}"),
        limits=((None, GREEN), (1.5, YELLOW)),
    )
