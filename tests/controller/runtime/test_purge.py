"""When a cluster may be forgotten: only where nobody can be at work for it."""

import pytest

from controller.core.clusters import Clusters
from controller.runtime.purge import QUIET_SECONDS, obstacle_to_forgetting
from messages.records import Outage
from tests.support.builders import CLUSTER, ONE, PARTITIONS, arrived, dialer, poll

AWAY = Outage(cluster=CLUSTER, epoch=1, sequence=2, unreachable_since_ms=0, collector="a", why="gone")


def heard(*, live: bool, outage: bool = False) -> Clusters:
    clusters = Clusters("me", "", PARTITIONS, {})
    clusters.fold(arrived(poll(dialer(ONE))), 0.0, live=False)
    clusters.fold(arrived(AWAY if outage else poll(dialer(ONE), sequence=3)), 100.0, live=live)
    return clusters


@pytest.mark.parametrize("outage", [False, True], ids=["polls", "a database that is away"])
def test_not_while_a_collector_says_anything(outage: bool) -> None:
    view = heard(live=True, outage=outage).by_name[CLUSTER]
    assert f"a collector still works for {CLUSTER}" in str(obstacle_to_forgetting(view, 0.0, 100.0 + QUIET_SECONDS - 1))
    assert obstacle_to_forgetting(view, 0.0, 100.0 + QUIET_SECONDS) is None


def test_not_before_this_process_has_listened_for_a_while() -> None:
    view = heard(live=False).by_name[CLUSTER]
    assert obstacle_to_forgetting(view, None, 1000.0)
    assert obstacle_to_forgetting(view, 1000.0, 1000.0 + QUIET_SECONDS - 1)
    assert obstacle_to_forgetting(view, 1000.0, 1000.0 + QUIET_SECONDS) is None
