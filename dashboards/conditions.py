"""A cluster's condition in one word: the worst that applies, as alerts/hotdesk.rules.yml records it."""

from dashboards.panels import BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW
from dashboards.queries import age, highest, of_owner
from messages import metrics

BLIND_SECONDS = 5
"""After this long without a poll hotdesk offers nothing."""

SEEN_AGO = f"max by (cluster) ({of_owner(age(metrics.CLUSTER_OBSERVED))})"
"""The age of the latest poll."""

CONDITIONS = {
    "well": GREEN,
    "suspended": BLUE,
    "probes blind": YELLOW,
    "incident": ORANGE,
    "braked": PURPLE,
    "no controller": RED,
    "no polls": RED,
    "database unreachable": RED,
}
"""From the best to the worst, with their colours."""

CONDITION = f"{highest('hotdesk:cluster_condition:code', by=('cluster',))} > 0"
WORDS = dict(enumerate(CONDITIONS.items(), start=1))
