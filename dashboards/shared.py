"""Panels that more than one dashboard shows."""

from grafana_foundation_sdk.builders import statetimeline, timeseries

from dashboards import meanings
from dashboards.panels import GREEN, NUMBER, RED, SECONDS, YELLOW, About, Ask, graph, timeline
from dashboards.queries import (
    BY_DIALER,
    DIALER,
    highest,
    total,
)
from messages import metrics

EACH_DIALER = "{{cluster}} {{server_id}}"
"""The legend of a dialer's series: by its name, as VICIdial's admin pages have it."""


def stalls(width: int) -> timeseries.Panel:
    """Return the panel of stalled heartbeats."""
    return graph(
        About(
            "Heartbeat stalled",
            "How long each dialer's heartbeat has not advanced, at the latest poll. Normally below 2 s. From 2.5 s "
            "the dialer is suspect; from 3.5 s down if a probe confirms, from 8 s without one.",
            SECONDS,
            width=width,
            runbooks=("HotdeskDialerDown", "HotdeskDialerSuspect"),
        ),
        Ask(highest("hotdesk:heartbeat_stalled:seconds", DIALER, by=BY_DIALER), EACH_DIALER),
        limits=((None, GREEN), (2.5, YELLOW), (8, RED)),
    )


def probes(width: int, height: int) -> statetimeline.Panel:
    """Return the panel of probe results."""
    return timeline(
        About(
            "Probe results",
            "How each dialer's AMI and SIP ports answer, if hotdesk probes them. Normally alive. Mute: Asterisk "
            "hangs; refused: no process listens; unreachable: maybe the network from here; denied: the account is "
            "wrong. Empty without probes.",
            NUMBER,
            width=width,
            height=height,
            runbooks=("HotdeskDialerHung", "HotdeskProbesBlind"),
        ),
        Ask(
            highest("hotdesk:probe_result:code", DIALER, by=(*BY_DIALER, "probe")),
            f"{EACH_DIALER} {{{{probe}}}}",
        ),
        meanings.words(meanings.PROBES),
    )


def agent_pauses(shows: str) -> timeseries.Panel:
    """Return the panel of agent pauses."""
    return graph(
        About("Agent pauses", shows),
        Ask(total(metrics.CLUSTER_AGENT_PAUSES, by=("stage",)), "{{stage}}"),
        colours=meanings.AGENT_PAUSES,
        stacked=True,
    )
