"""Two versions of the record schema at work for one cluster: nothing is lost, and nobody is told twice."""

import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from messages.records import DeadLetter
from messages.topics import Topic, partition_of
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from stream.kafka.log import KafkaLog
from tests.support.processes import ACT, CLUSTER, NEWER, Process, Site, grants, site, until
from tests.support.shift import PARTITIONS, Shift, decides, shift

MOST = 2
"""How often a user is moved in ten minutes; while no controller decides, VICIdial may send one back."""
SLOWLY = "1"
"""Moves a second: an upgrade falls into the middle of an evacuation."""


@pytest.fixture
def west(database: Database) -> Iterator[Site]:
    """Yield a cluster, and an account that may move agents."""
    with site(database, ClusterPlan(dialers=4, agents=24, remote_agents=0)) as made:
        made.run(*grants(made, ACT))
        yield made


def ready(process: Process) -> bool:
    return process.client.http.get("/readyz").is_success


def why_not_ready(process: Process) -> str:
    return " ".join(process.client.http.get("/readyz").json()["why"])


def incidents(process: Process) -> list[str]:
    """Return which dialer each incident is about."""
    answer = process.client.http.get(f"/v1/clusters/{CLUSTER}/incidents")
    return [each["incident"]["server_ip"] for each in answer.json()]


def letters(log: KafkaLog) -> list[DeadLetter]:
    found = log.read(Topic.DEAD_LETTERS, partition_of(CLUSTER, PARTITIONS), 0)
    return [msgspec.json.decode(each.value or b"", type=DeadLetter) for each in found]


def versions(log: KafkaLog, topic: Topic) -> set[int]:
    """Return in which versions of the schema a topic's records are written."""
    place, found, at = partition_of(CLUSTER, PARTITIONS), set(), 0
    while batch := log.read(topic, place, at):
        found |= {msgspec.json.decode(each.value)["schema_version"] for each in batch if each.value is not None}
        at = batch[-1].offset + 1
    return found


def all_are_home(at: Shift, without: str) -> bool:
    """Return True if all are logged in, and nobody on that dialer but who was moved too often to be moved again."""
    told = at.logouts()
    left = all(told.get(user, 0) == MOST for user in at.cluster.agents_on(without))
    return at.cluster.logged_in == at.plan.agents and left


def starts_to_own(at: Shift, controller: Process) -> None:
    at.controllers = [controller]
    until(lambda: decides(controller), "the new controller decides", 30)


def test_a_rolling_upgrade_in_the_middle_of_an_evacuation_tells_nobody_twice(
    tmp_path: Path, broker: Broker, west: Site
) -> None:
    with shift(tmp_path, broker, west, moves_per_second=SLOWLY) as at, KafkaLog(at.log) as log:
        victim = at.owner.client.dialers()[0].server_ip
        stranded, old = set(at.cluster.agents_on(victim)), list(at.controllers)
        at.cluster.kill(victim)
        until(at.logouts, "the first is moved", 20)

        newer = at.start("control", NEWER)
        until(lambda: ready(newer), "the new controller is ready", 30)
        for each in old:
            each.signal(signal.SIGTERM)
        starts_to_own(at, newer)
        until(lambda: stranded <= set(at.logouts()), "the rest is moved", 20)

        # one of the old ones comes back, as when its machine restarts in the middle of the upgrade, and remains alone
        back = at.start("control")
        until(lambda: ready(back) or "newer" in why_not_ready(back), "it has read what it was given", 30)
        newer.signal(signal.SIGTERM)
        until(lambda: "a newer hotdesk decides here" in why_not_ready(back), "it stands back", 30)
        assert not decides(back)
        second = at.start("control", NEWER)
        starts_to_own(at, second)

        collector = at.start("collect", NEWER)
        at.collector.signal(signal.SIGTERM)
        until(lambda: collector.client.metric("hotdesk_collector_leading", cluster=CLUSTER), "it collects", 20)
        until(lambda: all_are_home(at, without=victim), "everybody is home", 40)
        assert at.logouts() == {user: min(logins, MOST) for user, logins in at.logins_on(victim).items()}
        assert incidents(second) == [victim]
        until(lambda: versions(log, Topic.INCIDENTS) == {1, 2}, "the new ones have written of the incident", 30)
        assert versions(log, Topic.OBSERVATIONS) == {1, 2}
        assert letters(log) == []


def test_writers_before_readers_blind_the_old_and_nothing_is_lost_for_good(
    tmp_path: Path, broker: Broker, west: Site
) -> None:
    with shift(tmp_path, broker, west) as at, KafkaLog(at.log) as log:
        old, victim = list(at.controllers), west.plan.dialer_plans[2].server_ip
        first = at.start("collect", NEWER)
        at.collector.signal(signal.SIGTERM)
        until(lambda: letters(log), "what the new collector writes is not understood", 20)
        assert all("schema_version 2 is newer than the 1 this hotdesk reads" in each.why for each in letters(log))
        ranking = until(lambda: (found := at.owner.client.ranking()) and found.stale and found, "it is known to be old")
        assert {each.state for each in ranking.dialers} == {"up"}
        stranded = set(at.cluster.agents_on(victim))
        at.cluster.kill(victim)

        newer = at.start("control", NEWER)
        until(lambda: ready(newer), "the new controller is ready", 30)
        for each in old:
            each.signal(signal.SIGTERM)
        starts_to_own(at, newer)
        until(lambda: all_are_home(at, without=victim), "everybody is home", 40)
        assert at.logouts() == dict.fromkeys(stranded, 1)
        assert incidents(newer) == [victim]
        known = newer.client.ranking()

        # back to an old collector: it goes on counting, so it is heard
        back = at.start("collect")
        first.signal(signal.SIGTERM)
        until(lambda: back.client.metric("hotdesk_collector_leading", cluster=CLUSTER), "it collects", 20)
        assert known is not None
        until(lambda: (now := newer.client.ranking()) and now.epoch > known.epoch and not now.stale, "it is heard", 20)
