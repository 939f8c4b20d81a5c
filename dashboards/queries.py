"""PromQL built from the table of metrics, so that a panel can only query metrics that hotdesk exports.

Several processes export the same cluster: its owner, and every replica, which may lag behind. Gauges of a cluster come
from its owner; while there is none, from all processes, and then the highest value counts. Counters come from every
process, and are summed.
"""

from collections.abc import Mapping

from messages import metrics
from messages.metrics import Metric

JOB = 'job=~"$job"'
CLUSTER = 'cluster=~"$cluster"'
DIALER = 'server_ip=~"$dialer"'
"""Selects the chosen dialers only."""

BY_DIALER = ("cluster", "server_ip", "server_id")

RATE = "$__rate_interval"
RANGE = "$__range"
RECORDED_SECONDS = 15
"""The interval of the rules that record for weeks."""
FINE = f"{RANGE}:2s"
"""The range at the scrape interval, for expressions of several metrics."""


def series(metric: Metric, *matchers: str, suffix: str = "") -> str:
    """Return a selector of the metric's series, limited to the chosen clusters if it has the label."""
    chosen = [JOB, *([CLUSTER] if "cluster" in metric.labels else []), *matchers]
    return f"{metric.name}{suffix}{{{','.join(chosen)}}}"


_OWNED = f"{metrics.CLUSTER_OWNED.name}{{{JOB}}}"
_OWNER_SERIES = f"({_OWNED} == 1 or {_OWNED} unless on (cluster) ({_OWNED} == 1))"


def of_owner(expression: str) -> str:
    """Return the expression limited to the series that each cluster's owner exports, or to all without an owner."""
    return f"{expression} and on (cluster, instance) {_OWNER_SERIES}"


def latest(metric: Metric, *matchers: str) -> str:
    """Return a gauge as the owner exports it, once for each set of its labels."""
    return f"max by ({_listed(metric.labels)}) ({of_owner(series(metric, *matchers))})"


def total(metric: Metric, *matchers: str, by: tuple[str, ...] = ("cluster",)) -> str:
    """Return the sum of a gauge."""
    return f"sum by ({_listed(by)}) ({latest(metric, *matchers)})"


def most(metric: Metric, *matchers: str, by: tuple[str, ...] | None = None) -> str:
    """Return the highest value of a gauge in the shown time, of things that may be over, such as an incident."""
    within = f"max_over_time({series(metric, *matchers)}[{RANGE}])"
    return f"max by ({_listed(metric.labels if by is None else by)}) ({within})"


def age(metric: Metric, *matchers: str) -> str:
    """Return the age of a timestamp when it was scraped, in seconds."""
    chosen = series(metric, *matchers)
    return f"timestamp({chosen}) - {chosen}"


def rate(metric: Metric, *matchers: str, by: tuple[str, ...], suffix: str = "_total") -> str:
    """Return a counter's increase per second, over all processes."""
    return f"sum by ({_listed(by)}) (rate({series(metric, *matchers, suffix=suffix)}[{RATE}]))"


def count(metric: Metric, *matchers: str, by: tuple[str, ...], within: str = RATE) -> str:
    """Return a counter's increase within some time, over all processes."""
    return f"sum by ({_listed(by)}) (increase({series(metric, *matchers, suffix='_total')}[{within}]))"


def recorded(name: str, *matchers: str, within: str, by: str = "") -> str:
    """Return the sum of what a rule of alerts/hotdesk.rules.yml recorded as a rate: a number, within a long time."""
    kept = f"sum_over_time({name}{{{','.join((JOB, CLUSTER, *matchers))}}}[{within}])"
    return f"{RECORDED_SECONDS} * sum {f'by ({by}) ' if by else ''}({kept})"


def quantile(part: float, metric: Metric, by: tuple[str, ...]) -> str:
    """Return a quantile of a histogram."""
    buckets = rate(metric, by=("le", *by), suffix="_bucket")
    return f"histogram_quantile({part:g}, {buckets})"


def process(name: str) -> str:
    """Return a selector of a metric about the process itself, limited to hotdesk's processes."""
    return f"{name}{{{JOB}}}"


def coded(metric: Metric, label: str, codes: Mapping[str, int], *matchers: str) -> str:
    """Return the number of the value of `label` whose series is 1, which a timeline shows as a word."""
    rest = tuple(each for each in metric.labels if each != label)
    table = _either([f'label_replace(vector({code}), "{label}", "{value}", "", "")' for value, code in codes.items()])
    return f"max by ({_listed(rest)}) (({of_owner(series(metric, *matchers))}) * on ({label}) group_left () ({table}))"


def worst(signs: Mapping[int, str]) -> str:
    """Return for each cluster the highest number whose expression is 1."""
    numbered = [f'label_replace({number} * ({sign}), "sign", "{number}", "", "")' for number, sign in signs.items()]
    return f"max by (cluster) ({_either(numbered)})"


def _either(expressions: list[str]) -> str:
    return " or ".join(expressions)


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
