"""A cluster's condition in one word: the worst that applies."""

from typing import NamedTuple

from dashboards.panels import BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW
from dashboards.queries import age, latest, of_owner, series, worst
from messages import metrics

BLIND_SECONDS = 5
"""After this long without a poll hotdesk offers nothing."""

SEEN_AGO = f"max by (cluster) ({of_owner(age(metrics.CLUSTER_OBSERVED))})"
"""The age of the latest poll."""


class _Condition(NamedTuple):
    word: str
    colour: str
    sign: str
    """An expression that is 1 for the clusters in this condition."""


_CONDITIONS = (
    _Condition("well", GREEN, f"{latest(metrics.CLUSTER_OBSERVED)} >= bool 0"),
    _Condition("suspended", BLUE, latest(metrics.CLUSTER_PAUSED)),
    _Condition("probes blind", YELLOW, latest(metrics.CLUSTER_PROBES_BLIND)),
    _Condition("incident", ORANGE, f"max by (cluster) ({latest(metrics.INCIDENT_OPEN)})"),
    _Condition("braked", PURPLE, latest(metrics.CLUSTER_BRAKED)),
    _Condition("no controller", RED, f"1 - max by (cluster) ({series(metrics.CLUSTER_OWNED)})"),
    _Condition("no polls", RED, f"{SEEN_AGO} > bool {BLIND_SECONDS}"),
    _Condition("database unreachable", RED, f"1 - {latest(metrics.CLUSTER_DATABASE_UP)}"),
)
"""From the best to the worst."""

CONDITION = worst({number: each.sign for number, each in enumerate(_CONDITIONS, start=1)})
WORDS = {number: (each.word, each.colour) for number, each in enumerate(_CONDITIONS, start=1)}
