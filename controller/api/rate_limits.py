"""Rate limits of a client or a cluster: a token bucket, refilled steadily. Pure.

The bucket's tokens are called permits here, since the API has tokens of its own. hotdesk reserves slots on dialers and
accepts orders. A client out of control, or a person with a leaked token, could reserve every free room of a cluster, or
drown people's orders. A bucket lets a herd through at once and then a steady stream: its size is the need at the start
of a shift, its rate the loss that can be borne for long.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

MOST_BUCKETS = 10_000
"""Most clients to remember: of more, those that asked longest ago are forgotten, and start with a full bucket."""


class Rate(NamedTuple):
    """The size of a bucket and its refill."""

    per_second: float
    """Permits added in a second."""
    at_once: int
    """Permits in a full bucket, at least 1."""


class Bucket(NamedTuple):
    """The permits left, as of `at`."""

    left: float
    at: float
    """Seconds, of any clock that does not go back."""


def spend(bucket: Bucket | None, rate: Rate, now: float) -> tuple[Bucket, float]:
    """Spend one permit of a bucket; `bucket` None: a full one.

    Returns:
        The bucket as it is now, and the seconds to wait for a permit: 0 if one was spent.
    """
    left = float(rate.at_once)
    if bucket is not None:
        left = min(rate.at_once, bucket.left + max(0.0, now - bucket.at) * rate.per_second)
    if left >= 1:
        return Bucket(left - 1, now), 0.0
    return Bucket(left, now), (1 - left) / rate.per_second


@dataclass
class Limit:
    """The buckets of all clients with the same limit. It belongs to one thread."""

    rate: Rate
    _buckets: dict[Hashable, Bucket] = field(default_factory=dict)

    def spend(self, client: Hashable, now: float) -> float:
        """Spend one permit of a client; return the seconds to wait for one, 0 if it was spent."""
        # removed and added again, so that the client that asked longest ago comes first
        bucket, seconds = spend(self._buckets.pop(client, None), self.rate, now)
        if len(self._buckets) >= MOST_BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[client] = bucket
        return seconds


class Limits(NamedTuple):
    """The limits of the API."""

    picks: Limit
    """Of one token, or of one address if there are no tokens."""
    visitors: Limit
    """Of one visitor of the login page, among those of one token."""
    relogins: Limit
    """The same, for the questions of screens that were logged out."""
    relogins_unknown: Limit
    """Of one token, for those whose visitor is not known: an older login hook names none."""
    cluster_picks: Limit
    """Of one cluster, all clients together."""
    orders: Limit
    """Of one token, or of one address."""


PICKS = Rate(per_second=600, at_once=3000)
"""A token is that of all web servers: a herd passes, and what whoever stole it can take is bounded."""
VISITOR_PICKS = Rate(per_second=10, at_once=600)
"""A login asks once: 500 agents who start together in one office pass, behind whatever address that has."""
RELOGINS = Rate(per_second=50, at_once=1000)
"""Each of 500 screens of one office asks once a second while it waits, and they are moved one after the other."""
CLUSTER_PICKS = Rate(per_second=600, at_once=3000)
ORDERS = Rate(per_second=2, at_once=200)
"""One script may drain or undrain all dialers of a large cluster."""


def limits(
    picks: Rate = PICKS,
    visitor_picks: Rate = VISITOR_PICKS,
    cluster_picks: Rate = CLUSTER_PICKS,
    orders: Rate = ORDERS,
) -> Limits:
    """Return limits with full buckets."""
    return Limits(
        picks=Limit(picks),
        visitors=Limit(visitor_picks),
        relogins=Limit(RELOGINS),
        relogins_unknown=Limit(PICKS),
        cluster_picks=Limit(cluster_picks),
        orders=Limit(orders),
    )
