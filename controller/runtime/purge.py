"""Forgetting a cluster that is no more: what the log keeps of it for ever is ended, and nobody lists it any longer."""

from controller.core.clusters import Cluster
from messages.topics import RETENTION, Key, Retention, Topic
from stream.entries import end_of_observation
from stream.log import Entry, Log

KEPT = tuple(topic for topic in Topic if RETENTION[topic] is Retention.COMPACTED)
"""Topics in which a record stays for ever unless a tombstone ends it."""
QUIET_SECONDS = 15.0
"""A collector that works says something at least this often: polls, or each time it tried that its database is away."""


def why_not(view: Cluster, listening_since: float | None, now: float) -> str:
    """Say why a cluster must not be forgotten now; empty: no collector works for it, as far as this process knows.

    `listening_since`: when this process had caught up with the log; None: it has not. Seconds of the monotonic clock.
    """
    if listening_since is not None and now - max(listening_since, view.heard_at or 0.0) >= QUIET_SECONDS:
        return ""
    return (
        f"a collector still works for {view.state.cluster}, or may: take it out of the settings of all collectors, and"
        f" come again {QUIET_SECONDS:.0f} s later"
    )


def ends_of(log: Log, cluster: str, stamp: tuple[int, int]) -> list[Entry]:
    """Make the tombstones that end everything of a cluster; the one of its poll, after which it is gone, comes last.

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
