"""The metrics of a collector's own work."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from messages import metrics

POLL_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class CollectorInstruments:
    """The metrics of all collectors in this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leading = Gauge(*metrics.COLLECTOR_LEADING, registry=registry)
        self.clock_ahead = Gauge(*metrics.COLLECTOR_CLOCK_AHEAD, registry=registry)
        self.poll_seconds = Histogram(*metrics.POLL_SECONDS, registry=registry, buckets=POLL_BUCKETS)
        self.rows = Counter(*metrics.POLL_ROWS, registry=registry)
        self.statements = Counter(*metrics.POLL_STATEMENTS, registry=registry)
        self.errors = Counter(*metrics.POLL_ERRORS, registry=registry)
        self.statements_failed = Counter(*metrics.STATEMENTS_FAILED, registry=registry)
        self.published = Counter(*metrics.RECORDS_PUBLISHED, registry=registry)

    def start(self, cluster: str) -> None:
        """Start a cluster's series at 0, before the first poll."""
        self.leading.labels(cluster).set(0)
        for family in (self.poll_seconds, self.rows, self.statements, self.published):
            family.labels(cluster)
        for kind in ("unavailable", "refused"):
            self.errors.labels(cluster, kind)

    def end(self, cluster: str) -> None:
        """Remove a cluster's series: this process no longer has a collector for it."""
        families = (self.poll_seconds, self.rows, self.statements, self.errors, self.statements_failed, self.published)
        for family in (self.leading, self.clock_ahead, *families):
            family.remove_by_labels({"cluster": cluster})
