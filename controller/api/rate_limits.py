"""How much one client, or one cluster, may ask for: a token bucket (here: of places), refilled steadily. Pure.

hotdesk hands out slots on dialers and takes orders. A client that runs wild, or somebody with a leaked token, could
hold every free place of a cluster, or drown people's orders. A bucket lets a herd through at once and then a steady
stream: its size is what a shift's beginning needs, its rate what can be lost for long.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_BUCKETS = 10_000
"""How many clients are remembered: of more, those who asked longest ago are forgotten, and begin anew."""


class Rate(NamedTuple):
    """What a bucket allows."""

    per_second: float
    """How many places come back."""
    at_once: int
    """How many there are, at least 1."""


class Bucket(NamedTuple):
    """What is left, as of `at`."""

    left: float
    at: float
    """Seconds, of any clock that does not go back."""


def take(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """Take one place out of a bucket; None: it is full.

    Returns:
        The bucket as it is now, and how many seconds to wait for a place: 0 where one was taken.
    """
    left = float(rate.at_once)
    if bucket is not None:
        left = min(rate.at_once, bucket.left + max(0.0, now - bucket.at) * rate.per_second)
    if left >= 1:
        return Bucket(left - 1, now), 0.0
    return Bucket(left, now), (1 - left) / rate.per_second


@dataclass
class Limit:
    """The buckets of everybody who is limited alike. It belongs to one thread."""

    rate: Rate
    _buckets: dict[Hashable, Bucket] = field(default_factory=dict)

    def wait_for(self, who: Hashable, now: float) -> float:
        """Take a place for somebody; give how many seconds they have to wait, 0 where they need not."""
        # taken out and put in again, so that who asked longest ago stands first
        bucket, seconds = take(self._buckets.pop(who, None), self.rate, now)
        if len(self._buckets) >= MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[who] = bucket
        return seconds


class Limits(NamedTuple):
    """What an API allows."""

    picks: Limit
    """Of one token, or one address where there are no tokens."""
    cluster_picks: Limit
    """Of one cluster, whoever asks."""
    orders: Limit
    """Of one token, or one address."""


PICKS = Rate(per_second=20, at_once=600)
"""A login asks once: 500 agents who begin together pass, on however many web servers with the same token."""
CLUSTER_PICKS = Rate(per_second=50, at_once=1500)
ORDERS = Rate(per_second=2, at_once=200)
"""All dialers of a large cluster may be drained, or given back, by one script."""


def limits(picks: Rate = PICKS, cluster_picks: Rate = CLUSTER_PICKS, orders: Rate = ORDERS) -> Limits:
    """Give limits that nobody has used yet."""
    return Limits(Limit(picks), Limit(cluster_picks), Limit(orders))
