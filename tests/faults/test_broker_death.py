"""One of three Kafka brokers dies: picks and news go on, and the cluster has an owner, within the bound."""

import time
from pathlib import Path

from simulator.broker_cluster import BrokerCluster
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.broker_death import watched
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import ACT, grants, site, until
from tests.support.timing import on_this_machine

BOUND_SECONDS = 12.0
"""Of which Kafka itself takes 9 to give up a broker, and the news are still fresh for the first 5."""


def test_a_broker_of_three_that_dies_blinds_nobody_for_longer_than_kafka_takes(
    tmp_path: Path, database: Database
) -> None:
    with (
        BrokerCluster(KAFKA_HOME, tmp_path / "kafka") as brokers,
        site(database, ClusterPlan(dialers=3, agents=6, remote_agents=0)) as west,
    ):
        west.run(*grants(west, ACT))
        with watched(tmp_path, brokers, west) as (watch, _):
            began = time.monotonic()
            brokers.brokers[0].kill()
            until(lambda: watch.blind_seconds(began) > 2 or time.monotonic() - began > 20, "it is felt", 30)
            until(watch.well, "picks are given without it", 40)
            assert watch.blind_seconds(began) < on_this_machine(BOUND_SECONDS)
            assert watch.no_owner_seconds(began) < on_this_machine(BOUND_SECONDS)
