"""Panels that more than one dashboard shows."""

from grafana_foundation_sdk.builders import statetimeline, timeseries

from dashboards import meanings
from dashboards.panels import GREEN, NUMBER, RED, SECONDS, YELLOW, About, Ask, graph, timeline
from dashboards.queries import (
    BY_DIALER,
    DIALER,
    coded,
    series,
    told,
    total,
)
from messages import metrics

EACH_DIALER = "{{cluster}} {{server_ip}}"
"""What a dialer's series are called."""


def stalls(width: int) -> timeseries.Panel:
    """Make the panel of heartbeats that stand still."""
    observed, progress = told(series(metrics.CLUSTER_OBSERVED)), series(metrics.DIALER_HEARTBEAT, DIALER)
    stalled = f"({observed}) - on (cluster, instance) group_right () ({progress} > 0)"
    return graph(
        About(
            "Heartbeat stands still",
            "How long each dialer's heartbeat has not advanced, at the latest poll. Normally below 2 s. From 2.5 s "
            "it is suspect; from 3.5 s down if a probe confirms, from 8 s without one.",
            SECONDS,
            width=width,
            runbooks=("HotdeskDialerDown", "HotdeskDialerSuspect"),
        ),
        Ask(f"max by ({', '.join(BY_DIALER)}) ({stalled})", EACH_DIALER),
        limits=((None, GREEN), (2.5, YELLOW), (8, RED)),
    )


def probes(width: int, height: int) -> statetimeline.Panel:
    """Make the panel of what probes tell."""
    return timeline(
        About(
            "What probes tell",
            "What each dialer's own ports answer, where hotdesk may ask them. Normally alive. Mute: it hangs; "
            "refused: nobody listens; unreachable: maybe our path; denied: the account is wrong. Empty where "
            "nothing is asked.",
            NUMBER,
            width=width,
            height=height,
            runbooks=("HotdeskDialerHung", "HotdeskProbesBlind"),
        ),
        Ask(
            coded(metrics.PROBE, "state", meanings.codes(meanings.PROBES), DIALER),
            f"{EACH_DIALER} {{{{probe}}}}",
        ),
        meanings.words(meanings.PROBES),
    )


def holds(shows: str) -> timeseries.Panel:
    """Make the panel of agents who are kept from calls."""
    return graph(
        About("Agents kept from calls", shows),
        Ask(total(metrics.CLUSTER_AGENT_PAUSES, by=("stage",)), "{{stage}}"),
        colours=meanings.HOLDS,
        stacked=True,
    )
