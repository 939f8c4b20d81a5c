"""Forget a cluster that no longer exists: end its records in the log, so that no process lists it any longer."""

from controller.core.cluster import Cluster
from messages.topics import RETENTION, Key, Retention, Topic
from stream.entries import end_of_observation
from stream.log import Entry, Log

KEPT = tuple(topic for topic in Topic if RETENTION[topic] is Retention.COMPACTED)
"""Topics in which a record stays for ever unless a tombstone ends it."""
QUIET_SECONDS = 15.0
"""A leading collector publishes at least this often: polls, or an outage each time its database does not answer."""


def obstacle_to_forgetting(cluster: Cluster, listening_since: float | None, now: float) -> str | None:
    """Return why a cluster must not be forgotten now; None: as far as this process knows, it has no collector.

    `listening_since`: when this process had caught up with the log; None: it has not. Seconds of the monotonic clock.
    """
    if listening_since is not None and now - max(listening_since, cluster.freshness.heard_at or 0.0) >= QUIET_SECONDS:
        return None
    return (
        f"a collector still works for {cluster.name}, or may: remove the cluster from the settings of all collectors,"
        f" and retry {QUIET_SECONDS:.0f} s later"
    )


def ends_of(log: Log, cluster: str, stamp: tuple[int, int]) -> list[Entry]:
    """Return the tombstones that end every record of a cluster; that of its poll, which removes it, comes last.

    Reads the cluster's partition of each topic.

    Raises:
        LogError: the log cannot be read.
    """
    keys = [(topic, key) for topic in KEPT for key in log.latest(topic, cluster)]
    keys.sort(key=lambda each: (each[0] is Topic.OBSERVATIONS, each[1] == cluster))
    return [
        end_of_observation(Key.parse(key), *stamp) if topic is Topic.OBSERVATIONS else Entry(topic, key, None)
        for topic, key in keys
    ]
