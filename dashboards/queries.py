"""PromQL built from the table of metrics, so that a panel can only query metrics that hotdesk exports.

Several processes export the same cluster: its owner, and every replica, which may lag behind. Gauges of a cluster come
from its owner; while there is none, from all processes, and then the highest value counts: a rule of
alerts/hotdesk.rules.yml records which. Counters come from every process, and are summed.
"""

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


SPEAKS = f"hotdesk:speaks{{{JOB}}}"
"""The processes whose series count, for each cluster."""


def of_owner(expression: str) -> str:
    """Return the expression limited to the series that each cluster's owner exports, or to all without an owner."""
    return f"{expression} and on (cluster, instance) {SPEAKS}"


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
    kept = f"sum_over_time({recording(name, *matchers)}[{within}])"
    return f"{RECORDED_SECONDS} * sum {f'by ({by}) ' if by else ''}({kept})"


def quantile(part: float, metric: Metric, by: tuple[str, ...]) -> str:
    """Return a quantile of a histogram."""
    buckets = rate(metric, by=("le", *by), suffix="_bucket")
    return f"histogram_quantile({part:g}, {buckets})"


def process(name: str) -> str:
    """Return a selector of a metric about the process itself, limited to hotdesk's processes."""
    return f"{name}{{{JOB}}}"


def recording(name: str, *matchers: str) -> str:
    """Return a selector of what a rule of alerts/hotdesk.rules.yml recorded of the chosen clusters."""
    return f"{name}{{{','.join((JOB, CLUSTER, *matchers))}}}"


def highest(name: str, *matchers: str, by: tuple[str, ...]) -> str:
    """Return the highest number that a rule of alerts/hotdesk.rules.yml recorded."""
    return f"max by ({_listed(by)}) ({recording(name, *matchers)})"


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
