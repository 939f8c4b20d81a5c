"""PromQL out of the table of metrics, so that a panel can only ask for what hotdesk tells.

Several processes show the same cluster: its owner, and every replica, which may lag behind. What a cluster is like is
told by its owner; while there is none, by everybody, and then the highest value counts. What a process did is counted
by each for itself, and summed.
"""

from collections.abc import Mapping

from messages import metrics
from messages.metrics import Metric

JOB = 'job=~"$job"'
CLUSTER = 'cluster=~"$cluster"'
DIALER = 'server_ip=~"$dialer"'
"""For panels that show the chosen dialers only."""

BY_DIALER = ("cluster", "server_ip", "server_id")

RATE = "$__rate_interval"
RANGE = "$__range"
FINE = f"{RANGE}:2s"
"""The range at the pace of the scrapes, for what is computed of several metrics."""


def series(metric: Metric, *matchers: str, suffix: str = "") -> str:
    """Select a metric's series, of the chosen clusters where it has a cluster."""
    chosen = [JOB, *([CLUSTER] if "cluster" in metric.labels else []), *matchers]
    return f"{metric.name}{suffix}{{{','.join(chosen)}}}"


_OWNED = f"{metrics.CLUSTER_OWNED.name}{{{JOB}}}"
_WHO_TELLS = f"({_OWNED} == 1 or {_OWNED} unless on (cluster) ({_OWNED} == 1))"


def told(expression: str) -> str:
    """Keep what the owner of each cluster tells."""
    return f"{expression} and on (cluster, instance) {_WHO_TELLS}"


def latest(metric: Metric, *matchers: str) -> str:
    """Give a gauge as the owner tells it, once for each set of its labels."""
    return f"max by ({_listed(metric.labels)}) ({told(series(metric, *matchers))})"


def total(metric: Metric, *matchers: str, by: tuple[str, ...] = ("cluster",)) -> str:
    """Sum up a gauge."""
    return f"sum by ({_listed(by)}) ({latest(metric, *matchers)})"


def most(metric: Metric, *matchers: str, by: tuple[str, ...] | None = None) -> str:
    """Give the highest value of a gauge in the time shown: of what may be over, such as an incident."""
    within = f"max_over_time({series(metric, *matchers)}[{RANGE}])"
    return f"max by ({_listed(metric.labels if by is None else by)}) ({within})"


def age(metric: Metric, *matchers: str) -> str:
    """Give how old a timestamp was when it was scraped."""
    chosen = series(metric, *matchers)
    return f"timestamp({chosen}) - {chosen}"


def rate(metric: Metric, *matchers: str, by: tuple[str, ...], suffix: str = "_total") -> str:
    """Give how often a second, over all processes."""
    return f"sum by ({_listed(by)}) (rate({series(metric, *matchers, suffix=suffix)}[{RATE}]))"


def count(metric: Metric, *matchers: str, by: tuple[str, ...], within: str = RATE) -> str:
    """Give how often within some time, over all processes."""
    return f"sum by ({_listed(by)}) (increase({series(metric, *matchers, suffix='_total')}[{within}]))"


def quantile(part: float, metric: Metric, by: tuple[str, ...]) -> str:
    """Give a quantile of a histogram."""
    buckets = rate(metric, by=("le", *by), suffix="_bucket")
    return f"histogram_quantile({part:g}, {buckets})"


def process(name: str) -> str:
    """Select a metric of the process itself, of hotdesk's processes only."""
    return f"{name}{{{JOB}}}"


def coded(metric: Metric, label: str, codes: Mapping[str, int], *matchers: str) -> str:
    """Give one number for the value of `label` whose series is 1: what a timeline shows as a word."""
    rest = tuple(each for each in metric.labels if each != label)
    table = _either([f'label_replace(vector({code}), "{label}", "{value}", "", "")' for value, code in codes.items()])
    return f"max by ({_listed(rest)}) (({told(series(metric, *matchers))}) * on ({label}) group_left () ({table}))"


def worst(signs: Mapping[int, str]) -> str:
    """Give for each cluster the highest number whose expression is 1."""
    numbered = [f'label_replace({number} * ({sign}), "sign", "{number}", "", "")' for number, sign in signs.items()]
    return f"max by (cluster) ({_either(numbered)})"


def _either(expressions: list[str]) -> str:
    return " or ".join(expressions)


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
