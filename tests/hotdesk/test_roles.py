"""Each role a process of its own, over a real Kafka: what happens when one of them, or Kafka itself, goes away."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest

from controller.api.schemas import PickAnswer
from messages.records import DeadLetter, EpochClaim, Stamped
from messages.topics import Topic, partition_of
from simulator.broker import Broker
from stream.entries import entry_of
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import Entry
from tests.support.builders import ONE, dialer, poll
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import CLUSTER, Client, Process, Site, Start, until
from tests.support.timing import on_this_machine
from tests.support.topics import create_topics_patiently

PARTITIONS = 4
TAKEOVER_SECONDS = 10.0
STANDBY_SECONDS = 5.0
STOP_SECONDS = 5.0
PLACE = partition_of(CLUSTER, PARTITIONS)


class Roles:
    """Starts roles on one Kafka, with topics that nobody else uses."""

    def __init__(self, start: Start, broker: Broker, site: Site | None = None) -> None:
        self._start = start
        self.settings = KafkaSettings(
            bootstrap_servers=(broker.bootstrap,), prefix=f"t{uuid4().hex[:8]}.", partitions=PARTITIONS
        )
        self._environment = {
            "HOTDESK_API_PORT": "0",
            "HOTDESK_LOG_BOOTSTRAP": broker.bootstrap,
            "HOTDESK_LOG_PREFIX": self.settings.prefix,
            "HOTDESK_LOG_PARTITIONS": str(PARTITIONS),
        } | (site.environment if site is not None else {})

    def __call__(self, role: str) -> Process:
        """Start one."""
        return self._start(role, environment=self._environment)

    def create_topics(self) -> None:
        """Create the topics."""
        create_topics_patiently(self.settings, replication=1)


@pytest.fixture
def roles(start: Start, broker: Broker, west: Site) -> Roles:
    """Return roles on the one broker, for a cluster whose dialers stand still."""
    made = Roles(start, broker, west)
    made.create_topics()
    return made


@pytest.fixture
def log(roles: Roles) -> Iterator[KafkaLog]:
    """Yield the log that those roles share."""
    with KafkaLog(roles.settings) as opened:
        yield opened


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[Broker]:
    """Yield a broker of one's own, not started, to be stopped at will."""
    broker = Broker(KAFKA_HOME, tmp_path / "kafka")
    yield broker
    broker.kill()


def owns(process: Process) -> bool:
    """Return True if a process decides for the cluster."""
    return process.client.metric("hotdesk_cluster_owned", cluster=CLUSTER) == 1


def leads(process: Process) -> bool:
    """Return True if a collector works for the cluster."""
    return process.client.metric("hotdesk_collector_leading", cluster=CLUSTER) == 1


def picked_by_owner(replica: Client, user: str) -> PickAnswer:
    """The pick of a user at their desk. Asking again gets the same slot: an answer may be late on a busy machine."""
    picks: list[PickAnswer] = []

    def answered() -> bool:
        picks.append(replica.pick(user, f"desk{user}"))
        return not picks[-1].degraded

    until(answered, "the owner answers the replica", 15)
    return picks[-1]


def answered_by_owner(replica: Client) -> bool:
    """Return True if the owner answered a pick; while nobody can, it is refused."""
    answer = replica.ask("1001", "desk1001")
    return answer.is_success and not answer.json()["degraded"]


def ends_in_time(*processes: Process) -> None:
    """End processes all at once: each within the time, without an error."""
    for process in processes:
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    codes = [process.wait(max(0.1, deadline - time.monotonic())) for process in processes]
    assert codes == [0] * len(processes)
    for process in processes:
        assert "Traceback" not in process.said.read_text(), process.said.read_text()


def test_a_dead_owner_is_replaced_and_its_slots_are_kept(roles: Roles, west: Site) -> None:
    with west.living():
        collect, one, two, serve = roles("collect"), roles("control"), roles("control"), roles("serve")
        replica = serve.client
        # until both have joined, the cluster may still go from one to the other
        until(lambda: one.lines("owning partitions") and two.lines("owning partitions"), "both have their share", 30)
        until(lambda: owns(one) != owns(two), "one of the controllers owns the cluster", 30)
        until(lambda: len(replica.offered()) == 3 and replica.alias("desk1012"), "the replica knows every desk", 30)
        users = [agent.user for agent in west.plan.agent_plans]
        before = {user: picked_by_owner(replica, user) for user in users}
        owner, successor = (one, two) if owns(one) else (two, one)
        assert {pick.answered_by.rsplit("-", 2)[1] for pick in before.values()} == {str(owner.pid)}
        assert not owner.client.pick(users[0], f"desk{users[0]}").degraded
        until(lambda: replica.metric("hotdesk_cluster_slots") == len(users), "the replica knows the slots")

        owner.signal(signal.SIGSTOP)  # it does not answer, and does not refuse either
        began = time.monotonic()
        alone = replica.pick("2001", "desk1001")
        assert time.monotonic() - began < on_this_machine(0.5)
        assert alone.degraded
        assert alone.answered_by.rsplit("-", 2)[1] == str(serve.pid)
        owner.signal(signal.SIGKILL)
        killed = time.monotonic()
        began = time.monotonic()
        assert replica.pick("2002", "desk1002").degraded
        assert time.monotonic() - began < on_this_machine(0.5)
        # In its own state a replica finds the same slots.
        assert replica.pick(users[3], f"desk{users[3]}").phone_login == before[users[3]].phone_login

        picked_by_owner(replica, users[0])
        assert time.monotonic() - killed < on_this_machine(TAKEOVER_SECONDS)
        for user in reversed(users):
            again = picked_by_owner(replica, user)
            assert again.phone_login == before[user].phone_login
            assert again.answered_by.rsplit("-", 2)[1] == str(successor.pid)
        assert successor.client.pick("2001", "desk1001").phone_login == alone.phone_login
        ends_in_time(collect, successor, serve)


def test_what_cannot_be_decoded_is_a_dead_letter_once_and_stops_nothing(roles: Roles, log: KafkaLog) -> None:
    first = roles("control")
    until(lambda: first.client.http.get("/readyz").is_success, "the controller is ready", 30)
    until(lambda: first.lines("owning partitions"), "it owns the partitions")
    sequence = iter(range(1, 100))
    log.append([entry_of(poll(dialer(ONE), sequence=next(sequence)))])
    log.append([Entry(Topic.OBSERVATIONS, f"{CLUSTER}/agent/1001", b'{"record": broken')])
    log.append([Entry(Topic.OBSERVATIONS, f"{CLUSTER}/agent/1002", None)])  # a tombstone without a stamp

    def letters() -> list[DeadLetter]:
        found = log.read(Topic.DEAD_LETTERS, PLACE, 0)
        return [msgspec.json.decode(each.value or b"", type=DeadLetter) for each in found]

    until(lambda: len(letters()) == 2, "dead letters")
    assert [(letter.topic, letter.key) for letter in letters()] == [
        (Topic.OBSERVATIONS, f"{CLUSTER}/agent/1001"),
        (Topic.OBSERVATIONS, f"{CLUSTER}/agent/1002"),
    ]
    assert "JSON" in letters()[0].why
    assert "stamp" in letters()[1].why
    assert first.client.metric("hotdesk_records_folded_total", cluster=CLUSTER, result="dead") == 2

    def goes_on(process: Process) -> None:
        number = next(sequence)
        log.append([entry_of(poll(dialer(ONE, number), sequence=number))])
        until(lambda: process.client.metric("hotdesk_dialer_agents", server_ip=ONE) == number, "polls are folded")

    goes_on(first)
    ends_in_time(first)
    second = roles("control")
    until(lambda: second.client.ranking() and owns(second), "another controller read the log", 30)
    goes_on(second)
    assert len(letters()) == 2
    ends_in_time(second)


def test_a_collector_that_is_killed_or_stopped_is_replaced(roles: Roles, log: KafkaLog) -> None:
    pair = roles("collect"), roles("collect")
    tail = log.tail([Topic.OBSERVATIONS], [PLACE], from_start=True)
    try:
        seen: list[Stamped] = []

        def epoch() -> int:
            for stored in tail.poll(0.1):
                if stored.value is not None:
                    record = msgspec.json.decode(stored.value)
                    if record["record"] != "epoch_claim":  # a claim; what counts is what is published under it
                        seen.append(EpochClaim(cluster=CLUSTER, epoch=record["epoch"], sequence=0, collector=""))
            return max((each.epoch for each in seen), default=0)

        until(lambda: epoch() and any(map(leads, pair)), "one of them collects", 30)
        standing = until(lambda: [each for each in pair if each.client.url and not leads(each)], "the other stands by")
        (standby,) = standing
        (leader,) = (each for each in pair if each is not standby)
        first = epoch()

        leader.signal(signal.SIGSTOP)
        until(lambda: epoch() > first, "the standby took over from the stopped one", STANDBY_SECONDS)
        assert leads(standby)
        leader.signal(signal.SIGCONT)
        until(lambda: not leads(leader), "the woken one stands by")
        second = epoch()

        standby.signal(signal.SIGKILL)
        until(lambda: epoch() > second, "the standby took over from the dead one", STANDBY_SECONDS)
        assert leads(leader)
        ends_in_time(leader)
    finally:
        tail.close()


def test_a_cluster_is_forgotten_everywhere_and_comes_back_with_its_collector(roles: Roles, west: Site) -> None:
    def forget(process: Process) -> httpx.Response:
        return process.client.http.delete(f"/v1/clusters/{CLUSTER}", params={"by": "anna", "why": "sold"})

    def known(process: Process) -> bool:
        return [each["cluster"] for each in process.client.http.get("/v1/clusters").json()] == [CLUSTER]

    with west.living():
        collect, control, serve = roles("collect"), roles("control"), roles("serve")
        until(lambda: owns(control) and len(serve.client.offered()) == 3, "everybody knows the cluster", 30)
        # who owns it stands in the owner's rankings, which end with the polls
        until(lambda: (found := serve.client.ranking()) and found.owner, "the replica knows the owner", 30)
        ends_in_time(collect)
        refused = forget(serve)
        assert refused.status_code == httpx.codes.CONFLICT
        assert f"ask its owner, {control.client.url}" in refused.json()["detail"]
        until(lambda: forget(control).status_code == httpx.codes.ACCEPTED, "it was quiet for long enough", 30)
        until(lambda: not known(control) and not known(serve), "it is forgotten")
        later = roles("serve")
        until(lambda: later.client.http.get("/readyz").is_success, "another has read the log", 30)
        assert not known(later)
        again = roles("collect")
        until(lambda: owns(control) and len(later.client.offered()) == 3, "it is back", 30)
        assert "ordered: forget" in control.client.http.get(f"/v1/clusters/{CLUSTER}/decisions").text
        ends_in_time(again, control, serve, later)


def test_roles_wait_for_a_kafka_that_is_down_and_end_while_it_is(start: Start, moody: Broker, west: Site) -> None:
    roles = Roles(start, moody, west)
    moody.start()
    roles.create_topics()
    moody.stop()
    together = run, _, control, serve = roles("run"), roles("collect"), roles("control"), roles("serve")

    def waits(process: Process) -> bool:
        return any("Kafka at" in line.get("why", "") for line in process.lines())

    until(lambda: all(map(waits, together)), "each says what it waits for", 30)
    assert all(process.client.http.get("/healthz").is_success for process in together)
    assert [process.client.http.get("/readyz").status_code for process in (run, control, serve)] == [503] * 3
    with west.living():
        moody.start()
        until(lambda: serve.client.alias("desk1001") and len(serve.client.offered()) == 3, "the ranking is known", 40)
        until(lambda: answered_by_owner(serve.client), "picks are answered by the owner")
        until(lambda: all(each.client.http.get("/readyz").is_success for each in together), "all are ready")
        for process in together:
            waited = [line["why"] for line in process.lines() if line["level"] == "warning"]
            assert all("Kafka at" in why for why in waited), waited
            assert len(waited) == (2 if process is run else 1), waited  # `run` collects, too
        moody.kill()
        until(lambda: not serve.client.http.get("/readyz").is_success, "the replica says that it follows nothing")
        ends_in_time(*together)


def test_absent_topics_are_said_and_waited_for(start: Start, broker: Broker, west: Site) -> None:
    roles = Roles(start, broker, west)
    serve = roles("serve")
    (line,) = until(lambda: serve.lines("the log cannot be read; trying again"), "it says what it waits for", 30)
    assert "run `hotdesk topics create`" in line["why"]
    roles.create_topics()
    until(lambda: serve.client.http.get("/readyz").is_success, "it goes on by itself")
    assert len(serve.lines("the log cannot be read; trying again")) == 1
    ends_in_time(serve)
