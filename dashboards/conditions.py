"""How a cluster is in one word: the worst of what can be said of it."""

from typing import NamedTuple

from dashboards.panels import BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW
from dashboards.queries import age, latest, series, told, worst
from messages import metrics

BLIND_SECONDS = 5
"""Without a poll for so long hotdesk offers nothing."""

SEEN_AGO = f"max by (cluster) ({told(age(metrics.CLUSTER_OBSERVED))})"
"""How old the latest poll is."""


class _Condition(NamedTuple):
    word: str
    colour: str
    sign: str
    """1 for the clusters that are so."""


_CONDITIONS = (
    _Condition("well", GREEN, f"{latest(metrics.CLUSTER_OBSERVED)} >= bool 0"),
    _Condition("paused", BLUE, latest(metrics.CLUSTER_PAUSED)),
    _Condition("probes blind", YELLOW, latest(metrics.CLUSTER_PROBES_BLIND)),
    _Condition("incident", ORANGE, f"max by (cluster) ({latest(metrics.INCIDENT_OPEN)})"),
    _Condition("braked", PURPLE, latest(metrics.CLUSTER_BRAKED)),
    _Condition("nobody decides", RED, f"1 - max by (cluster) ({series(metrics.CLUSTER_OWNED)})"),
    _Condition("not seen", RED, f"{SEEN_AGO} > bool {BLIND_SECONDS}"),
    _Condition("database away", RED, f"1 - {latest(metrics.CLUSTER_DATABASE_UP)}"),
)
"""The worst last."""

CONDITION = worst({number: each.sign for number, each in enumerate(_CONDITIONS, start=1)})
WORDS = {number: (each.word, each.colour) for number, each in enumerate(_CONDITIONS, start=1)}
