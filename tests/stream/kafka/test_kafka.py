"""What only the log in Kafka promises: one line that says what to mend, and recovery from what real brokers do."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePattern,
    ResourceType,
)
from kafka.cluster import ClusterMetadata
from kafka.partitioner.default import murmur2
from kafka.protocol.metadata import MetadataResponse

from messages.topics import Topic, partition_of
from simulator.broker import GUARDED_PASSWORD, GUARDED_USER, Broker
from simulator.ports import free_ports
from stream.kafka.claim import KafkaClaim
from stream.kafka.client import admin_client, connection_options
from stream.kafka.log import KafkaLog
from stream.kafka.membership import SILENT_GROUP_SECONDS
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import TopicProblem, check_topics, create_topics
from stream.log import Entry, LogError, LogRefusedError, LogUnavailableError, Membership, Stored, Tail
from tests.support.kafka_home import KAFKA_HOME
from tests.support.timing import on_this_machine

PARTITIONS = 4
ALL = frozenset(range(PARTITIONS))
OPEN_TRANSACTION_SECONDS = 20
"""As docs/guide/kafka.md states it, for the brokers' own defaults."""
DEADLINE_SECONDS = 20
WEST = partition_of("west", PARTITIONS)
ONE = [Entry(Topic.OBSERVATIONS, "west", b"1")]

MEMBER = """
import sys, time
import msgspec
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import LogUnavailableError

with KafkaLog(msgspec.json.decode(sys.argv[1], type=KafkaSettings)) as log:
    member = log.join(sys.argv[2])
    while True:
        try:
            owned = sorted(member.owned(1))
        except LogUnavailableError:
            owned = []
        print(time.monotonic(), len(owned), flush=True)
"""

TOGETHER = 100
"""So many records the owner below commits at once, and so large that some hundred milliseconds pass in between."""

OWNER = """
import sys
import msgspec
from messages.topics import Topic, partition_of
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import Entry, LogError

settings = msgspec.json.decode(sys.argv[1], type=KafkaSettings)
with KafkaLog(settings) as log:
    claim = log.claim(partition_of("west", settings.partitions))
    try:
        while True:
            claim.append([Entry(Topic.RELOGINS, "west/session/1", bytes(100_000))] * int(sys.argv[2]))
            print("committed", flush=True)
    except LogError as error:
        print(type(error).__name__, flush=True)
"""


def until(condition: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + on_this_machine(seconds)
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


def owns(member: Membership) -> frozenset[int]:
    try:
        return member.owned(0.2)
    except LogUnavailableError:
        return frozenset()


def gather(tail: Tail, wanted: int, seconds: float = DEADLINE_SECONDS) -> list[Stored]:
    found: list[Stored] = []

    def complete() -> bool:
        try:
            found.extend(tail.poll(0.5))
        except LogUnavailableError:
            return False
        return len(found) >= wanted

    until(complete, seconds)
    return found


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Yield a broker that a test may take down."""
    with Broker(KAFKA_HOME, tmp_path) as broker:
        yield broker


def new_settings(bootstrap: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=(bootstrap,), prefix=f"k{time.monotonic_ns()}.", partitions=PARTITIONS)


def test_an_absent_topic_is_refused_with_the_remedy(broker: Broker) -> None:
    settings = new_settings(broker.bootstrap)
    remedy = f"Kafka has no topic {settings.prefix}observations: run `hotdesk topics create`"
    with KafkaLog(settings) as log:
        for use in (
            lambda: log.append(ONE),
            lambda: log.read(Topic.OBSERVATIONS, 0, 0),
            lambda: log.tail([Topic.OBSERVATIONS], ALL, from_start=True),
            lambda: log.join("controllers"),
        ):
            with pytest.raises(LogRefusedError) as refused:
                use()
            assert str(refused.value) == remedy
        create_topics(settings, replication=1)
        log.append(ONE)


def test_another_number_of_partitions_is_refused(kafka_settings: KafkaSettings) -> None:
    with (
        KafkaLog(msgspec.structs.replace(kafka_settings, partitions=6)) as log,
        pytest.raises(LogRefusedError, match="observations has 4 partitions, not 6"),
    ):
        log.append(ONE)


def test_a_broker_that_dies_and_comes_back_loses_nothing(own_broker: Broker) -> None:
    settings = new_settings(own_broker.bootstrap)
    create_topics(settings, replication=1)
    with ExitStack() as stack:
        log = stack.enter_context(KafkaLog(settings))
        newcomer = stack.enter_context(KafkaLog(settings))
        pool = stack.enter_context(ThreadPoolExecutor())
        member = stack.enter_context(closing(log.join("controllers")))
        tail = stack.enter_context(closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)))
        until(lambda: owns(member) == ALL)
        log.append(ONE)
        assert [one.value for one in gather(tail, 1)] == [b"1"]

        own_broker.kill()
        began = time.monotonic()
        appended = pool.submit(log.append, [Entry(Topic.OBSERVATIONS, "west", b"2")])
        first_use = pool.submit(newcomer.append, ONE)
        checked = pool.submit(check_topics, settings)

        def tail_complains() -> bool:
            try:
                return bool(tail.poll(0.5))
            except LogUnavailableError as error:
                return f"Kafka at {own_broker.bootstrap} does not answer" in str(error)

        until(tail_complains, seconds=5)
        with pytest.raises(LogUnavailableError, match="does not answer"):
            until(lambda: member.owned(0.2) != ALL)
        for failure in (appended, first_use, checked):
            error = failure.exception(timeout=DEADLINE_SECONDS)
            assert isinstance(error, LogUnavailableError)
            assert error.__cause__ is not None
        assert time.monotonic() - began < on_this_machine(19)

        own_broker.start()
        log.append([Entry(Topic.OBSERVATIONS, "west", b"2")])
        newcomer.append([Entry(Topic.OBSERVATIONS, "west", b"3")])
        found = gather(tail, 2)
        # the append that failed may have arrived all the same
        assert [one.value for one in found if one.value != b"2"] == [b"3"]
        assert found[0].offset == 1
        assert [one.value for one in log.read(Topic.OBSERVATIONS, WEST, 0, limit=1)] == [b"1"]
        until(lambda: owns(member) == ALL)


@contextmanager
def other_member(settings: KafkaSettings, group: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[..., int]]]:
    """Run a member in a process of its own; with what tells how many partitions it believed in first `after`."""
    command = [sys.executable, "-c", MEMBER, msgspec.json.encode(settings).decode(), group]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own words

        def told(after: float) -> int:
            assert process.stdout is not None
            while True:
                at, owned = process.stdout.readline().split()
                if float(at) > after:
                    return int(owned)

        try:
            yield process, told
        finally:
            process.kill()


def test_a_member_that_is_stopped_or_killed_loses_its_partitions(kafka_settings: KafkaSettings) -> None:
    with (
        KafkaLog(kafka_settings) as log,
        other_member(kafka_settings, "sleepers") as (sleeper, sleeper_told),
        other_member(kafka_settings, "victims") as (victim, victim_told),
    ):
        until(lambda: sleeper_told(0) == PARTITIONS)
        until(lambda: victim_told(0) == PARTITIONS)
        with closing(log.join("sleepers")) as successor_of_sleeper, closing(log.join("victims")) as successor_of_victim:
            until(lambda: len(owns(successor_of_sleeper)) == len(owns(successor_of_victim)) == PARTITIONS // 2)
            sleeper.send_signal(signal.SIGSTOP)
            victim.kill()
            began = time.monotonic()
            until(lambda: owns(successor_of_sleeper) == owns(successor_of_victim) == ALL)
            taken_over = time.monotonic()
            assert taken_over - began < on_this_machine(10)
            sleeper.send_signal(signal.SIGCONT)
            assert sleeper_told(taken_over) == 0, "a member that slept may not believe what it knew"
            until(lambda: len(owns(successor_of_sleeper)) == PARTITIONS // 2)


def test_a_member_that_nobody_asks_makes_room_and_may_come_back(
    kafka_log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.kafka.membership.SILENT_MEMBER_MS", 1_500)
    with closing(kafka_log.join("controllers")) as silent, closing(kafka_log.join("controllers")) as busy:
        until(lambda: len(owns(silent)) == len(owns(busy)) == PARTITIONS // 2)
        until(lambda: owns(busy) == ALL)
        assert silent.owned(0) == frozenset()
        until(lambda: len(owns(silent)) == len(owns(busy)) == PARTITIONS // 2)


def test_a_join_that_outlasts_a_poll_is_not_forgotten(kafka_log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic is known only after the first join, so there is a second one, and many polls end in its middle."""
    monkeypatch.setattr("stream.kafka.membership.MEMBER_POLL_MS", 5)
    for number in range(4):  # a broker's first join is so slow that the topic is known by then
        with closing(kafka_log.join(f"controllers-{number}")) as member:
            assert member.owned(on_this_machine(SILENT_GROUP_SECONDS / 2)) == ALL


def test_a_member_whose_group_never_answers_says_so_and_another_one_comes_in(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.kafka.membership.SILENT_GROUP_SECONDS", 1.5)
    settings = new_settings(own_broker.bootstrap)
    create_topics(settings, replication=1)
    with KafkaLog(settings) as log:
        with closing(log.join("controllers")) as member:
            own_broker.kill()
            with pytest.raises(LogUnavailableError, match="asking who owns what"):
                until(lambda: member.owned(0.2) is None)
        own_broker.start()
        with closing(log.join("controllers")) as member:
            until(lambda: owns(member) == ALL)


def test_what_a_caller_holds_is_not_given_away_behind_its_back(kafka_log: KafkaLog) -> None:
    with closing(kafka_log.join("controllers")) as first:
        assert first.owned(DEADLINE_SECONDS) == ALL
        with closing(kafka_log.join("controllers")) as second:
            # while the first has not been told, within its time to hand over, nobody else owns anything
            assert second.owned(1) == frozenset()
            assert first.owned(DEADLINE_SECONDS) == frozenset()
            until(lambda: len(owns(first)) == len(owns(second)) == PARTITIONS // 2)


@contextmanager
def other_owner(settings: KafkaSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Run an owner of west's partition in a process of its own, which has committed at least once."""
    command = [sys.executable, "-c", OWNER, msgspec.json.encode(settings).decode(), str(TOGETHER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own words
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"committed\n"
            yield process
        finally:
            process.kill()


def stop_between_begin_and_commit(owner: subprocess.Popen[bytes], settings: KafkaSettings) -> None:
    """Stop the owner while its transaction is open: only some of its records have arrived."""
    place = TopicPartition(settings.topic_name(Topic.RELOGINS), WEST)

    def between() -> bool:
        owner.send_signal(signal.SIGSTOP)
        os.waitpid(owner.pid, os.WUNTRACED)
        written, committed = (reader.end_offsets([place])[place] for reader in readers)
        if 0 < written - committed < TOGETHER:
            return True
        owner.send_signal(signal.SIGCONT)
        return False

    with ExitStack() as stack:
        readers = [
            stack.enter_context(closing(KafkaConsumer(**connection_options(settings), isolation_level=level)))
            for level in ("read_uncommitted", "read_committed")
        ]
        until(between)


def read_to_the_end(log: KafkaLog, tail: Tail) -> list[Stored]:
    """What stands in the log now. What a claim has just appended may stand there only a moment later."""
    tail.mark_end(log.ends([(Topic.RELOGINS, WEST)]))
    found: list[Stored] = []

    def at_the_end() -> bool:
        found.extend(tail.poll(0.1))
        return tail.caught_up()

    until(at_the_end)
    return found


DECISION = [Entry(Topic.RELOGINS, "west/session/2", b"decided")]


def test_an_owner_stopped_within_a_transaction_is_fenced_and_nothing_of_it_is_seen(
    kafka_log: KafkaLog, kafka_settings: KafkaSettings
) -> None:
    with (
        other_owner(kafka_settings) as former,
        closing(kafka_log.tail([Topic.RELOGINS], [WEST], from_start=True)) as tail,
    ):
        stop_between_begin_and_commit(former, kafka_settings)
        began = time.monotonic()
        with closing(kafka_log.claim(WEST)) as successor:
            assert time.monotonic() - began < on_this_machine(3), (
                "it need not wait for the time-out of the open transaction"
            )
            seen = read_to_the_end(kafka_log, tail)
            assert seen
            assert len(seen) % TOGETHER == 0
            successor.append(DECISION)
            former.send_signal(signal.SIGCONT)
            assert former.stdout is not None
            assert former.stdout.read().split()[-1] == b"LogFencedError"
            successor.append(DECISION)
            assert [one.value for one in gather(tail, 2)] == [b"decided"] * 2


def test_the_open_transaction_of_a_killed_owner_holds_readers_up_no_longer_than_stated(
    kafka_log: KafkaLog, kafka_settings: KafkaSettings
) -> None:
    with (
        other_owner(kafka_settings) as owner,
        closing(kafka_log.tail([Topic.RELOGINS], [WEST], from_start=True)) as tail,
    ):
        stop_between_begin_and_commit(owner, kafka_settings)
        owner.kill()
        killed_at = time.monotonic()
        kafka_log.append(DECISION)
        seen = read_to_the_end(kafka_log, tail)
        assert seen
        assert len(seen) % TOGETHER == 0
        assert [one.value for one in gather(tail, 1, OPEN_TRANSACTION_SECONDS + 2)] == [b"decided"]
        assert time.monotonic() - killed_at < on_this_machine(OPEN_TRANSACTION_SECONDS + 2)


def test_after_a_broker_came_back_claiming_again_works(own_broker: Broker) -> None:
    settings = new_settings(own_broker.bootstrap)
    create_topics(settings, replication=1)
    with ExitStack() as stack:
        log = stack.enter_context(KafkaLog(settings))
        tail = stack.enter_context(closing(log.tail([Topic.RELOGINS], [WEST], from_start=True)))
        idle = stack.enter_context(closing(log.claim((WEST + 1) % PARTITIONS)))
        claim = stack.enter_context(closing(log.claim(WEST)))
        claim.append(DECISION)
        # one that is killed before it has marked the commit may never do so: docs/guide/kafka.md, Claims
        assert len(gather(tail, 1)) == 1

        own_broker.kill()
        began = time.monotonic()
        with pytest.raises(LogUnavailableError, match="does not answer"):
            claim.append(DECISION)
        assert time.monotonic() - began < on_this_machine(12)
        with pytest.raises(LogUnavailableError, match="claim again"):
            claim.append(DECISION)
        with pytest.raises(LogUnavailableError, match="does not answer"):
            log.ends([(Topic.RELOGINS, WEST)])
        with pytest.raises(LogUnavailableError, match="does not answer"):
            log.claim(WEST)

        own_broker.start()
        with pytest.raises(LogUnavailableError, match="claim again"):
            claim.append(DECISION)
        again: list[KafkaClaim] = []

        def claimed() -> bool:
            try:
                again.append(stack.enter_context(closing(log.claim(WEST))))
            except LogUnavailableError:
                return False
            return True

        until(claimed)
        assert read_to_the_end(log, tail) == [], "what failed was never committed"
        again[0].append(DECISION)
        assert len(gather(tail, 1)) == 1
        # an owner that decided nothing meanwhile has noticed nothing
        name = next(
            name for name in map("c{}".format, count()) if partition_of(name, PARTITIONS) == (WEST + 1) % PARTITIONS
        )
        idle.append([Entry(Topic.AUDIT, name, b"why")])


def allowed(use: Callable[[], object]) -> bool:
    """Return True if it is: a grant takes effect a moment after it was given."""
    try:
        use()
    except LogRefusedError:
        return False
    return True


def grant(broker: Broker, *acls: ACL) -> None:
    with admin_client(new_settings(broker.bootstrap)) as admin:
        assert not admin.create_acls(list(acls))["failed"]


def test_what_the_documents_say_to_grant_is_needed_and_enough(own_broker: Broker, tmp_path: Path) -> None:
    own_broker.stop()
    with (tmp_path / "server.properties").open("a") as more:
        more.write("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n")
        more.write("super.users=User:ANONYMOUS\n")
    own_broker.start()
    settings = msgspec.structs.replace(
        new_settings(own_broker.guarded_bootstrap),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username=GUARDED_USER,
        sasl_password=GUARDED_PASSWORD,
    )
    create_topics(
        msgspec.structs.replace(settings, bootstrap_servers=(own_broker.bootstrap,), security_protocol="PLAINTEXT"),
        replication=1,
    )

    def may(operation: ACLOperation, kind: ResourceType, name: str, pattern: ACLResourcePatternType) -> ACL:
        resource = ResourcePattern(kind, name, pattern)
        return ACL(f"User:{GUARDED_USER}", "*", operation, ACLPermissionType.ALLOW, resource)

    def may_with_prefix(kind: ResourceType, name: str, *operations: ACLOperation) -> list[ACL]:
        return [may(one, kind, settings.prefix + name, ACLResourcePatternType.PREFIXED) for one in operations]

    read, write, describe = ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE
    grant(
        own_broker,
        *may_with_prefix(ResourceType.TOPIC, "", read, write, describe, ACLOperation.DESCRIBE_CONFIGS),
        *may_with_prefix(ResourceType.GROUP, "hotdesk-controllers", read),
        may(ACLOperation.IDEMPOTENT_WRITE, ResourceType.CLUSTER, "kafka-cluster", ACLResourcePatternType.LITERAL),
    )
    with KafkaLog(settings) as log:
        until(lambda: allowed(lambda: check_topics(settings)))
        assert check_topics(settings) == []
        until(lambda: allowed(lambda: log.append(ONE)))
        with closing(log.join("hotdesk-controllers")) as member:
            until(lambda: owns(member) == ALL)
        with pytest.raises(LogRefusedError) as refused:
            log.claim(WEST)
        assert str(refused.value).endswith(
            f"does not let user 'hotdesk' use transactional ids (claiming partition {WEST}): "
            f"grant Write and Describe on {settings.prefix}claim-*"
        )
        grant(own_broker, *may_with_prefix(ResourceType.TRANSACTIONAL_ID, "claim-", write, describe))
        until(lambda: allowed(lambda: log.claim(WEST).close()))
        with closing(log.claim(WEST)) as claim:
            claim.append(DECISION)
        assert [one.value for one in log.read(Topic.RELOGINS, WEST, 0)] == [b"decided"]


def test_the_right_password_is_let_in(broker: Broker, kafka_settings: KafkaSettings) -> None:
    settings = msgspec.structs.replace(
        kafka_settings,
        bootstrap_servers=(broker.guarded_bootstrap,),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username=GUARDED_USER,
        sasl_password=GUARDED_PASSWORD,
    )
    with KafkaLog(settings) as log:
        log.append(ONE)
        assert log.read(Topic.OBSERVATIONS, WEST, 0)[0].value == b"1"


def test_a_wrong_password_is_said_and_never_shown(
    broker: Broker, kafka_settings: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = msgspec.structs.replace(
        kafka_settings,
        bootstrap_servers=(broker.guarded_bootstrap,),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username=GUARDED_USER,
        sasl_password="quite-another-one",
    )
    with KafkaLog(settings) as log, pytest.raises(LogError, match="sasl_password") as refused:
        log.append(ONE)
    told = f"{settings!r} {settings} {refused.value!r} {refused.value.__cause__!r} {settings.__rich_repr__()}"
    assert "quite-another-one" not in told
    assert "***" in repr(settings)
    assert "sasl_password=''" in repr(kafka_settings), "an absent password is worth seeing"


def test_a_certificate_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    settings = new_settings("localhost:1")
    settings = msgspec.structs.replace(settings, security_protocol="SSL", ssl_cafile=str(tmp_path / "ca.pem"))
    with pytest.raises(LogRefusedError, match="tls_ca, tls_cert or tls_key cannot be used"):
        KafkaLog(settings)


def test_brokers_that_cannot_be_reached_where_they_say_they_are_are_named(
    kafka_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client is told by brokers behind a port forwarding, or in a container."""
    real, (closed,) = ClusterMetadata.update_metadata, free_ports(1)

    def told(cluster: ClusterMetadata, metadata: MetadataResponse) -> None:
        for each in metadata.brokers:
            each.port = closed
        real(cluster, metadata)

    monkeypatch.setattr(ClusterMetadata, "update_metadata", told)
    with KafkaLog(kafka_settings) as log, pytest.raises(LogUnavailableError) as failure:
        log.append(ONE)
    where = kafka_settings.bootstrap_servers[0]
    assert str(failure.value) == (
        f"Kafka at {where} answers, and says that its brokers are at 127.0.0.1:{closed}, which this machine cannot"
        " reach (asking about topics): check the brokers' advertised.listeners, and name service and firewalls on the"
        " way there"
    )


def test_topics_are_created_once_and_found_well(broker: Broker) -> None:
    settings = new_settings(broker.bootstrap)
    assert {problem.wrong for problem in check_topics(settings)} == {"it does not exist"}
    assert {problem.remedy for problem in check_topics(settings)} == {"run `hotdesk topics create`"}
    names = sorted(settings.prefix + topic for topic in Topic)
    assert create_topics(settings, replication=1) == names
    assert create_topics(settings, replication=1) == []
    assert check_topics(settings) == []


def test_more_copies_than_brokers_are_refused(broker: Broker) -> None:
    with pytest.raises(LogRefusedError, match="too few brokers"):
        create_topics(new_settings(broker.bootstrap), replication=3)


def test_a_wrong_setting_is_found_with_its_remedy(kafka_settings: KafkaSettings) -> None:
    audit, orders = (kafka_settings.topic_name(topic) for topic in (Topic.AUDIT, Topic.ORDERS))
    wrong = {
        orders: {"cleanup.policy": "delete", "segment.ms": "604800000"},
        audit: {"retention.ms": "-1", "max.message.bytes": "1000"},
    }
    with admin_client(kafka_settings) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, new) for name, new in wrong.items()])
        until(lambda: len(check_topics(kafka_settings)) == 3)
    problems = {(one.topic, one.wrong.split()[0]): one for one in check_topics(kafka_settings)}
    assert set(problems) == {(orders, "cleanup.policy"), (orders, "segment.ms"), (audit, "max.message.bytes")}
    assert problems[orders, "segment.ms"] == TopicProblem(
        orders,
        "segment.ms is 604800000, more than 300000: it would be compacted too seldom",
        f"kafka-configs.sh --bootstrap-server {kafka_settings.bootstrap_servers[0]} --alter "
        f"--entity-type topics --entity-name {orders} --add-config segment.ms=300000",
    )


def test_a_topic_with_other_partitions_is_found(kafka_settings: KafkaSettings) -> None:
    problems = check_topics(msgspec.structs.replace(kafka_settings, partitions=6))
    assert [one.wrong for one in problems] == ["it has 4 partitions, not 6"] * len(Topic)


def test_a_record_of_somebody_else_stops_nobody(kafka_log: KafkaLog, kafka_settings: KafkaSettings) -> None:
    topic = kafka_settings.topic_name(Topic.AUDIT)
    with KafkaProducer(**connection_options(kafka_settings)) as producer:
        producer.send(topic, value=b"no key", partition=WEST)
        producer.send(topic, key=b"\xff\xfe", value=b"no text", partition=WEST)
    with closing(kafka_log.tail([Topic.AUDIT], [WEST], from_start=True)) as tail:
        assert [(one.key, one.value) for one in gather(tail, 2)] == [("", b"no key"), ("��", b"no text")]


def test_a_tail_that_stands_before_what_kafka_still_has_goes_on_there(
    kafka_log: KafkaLog, kafka_settings: KafkaSettings
) -> None:
    kafka_log.append([Entry(Topic.AUDIT, "west", b"%d" % number) for number in range(10)])
    with closing(kafka_log.tail([Topic.AUDIT], [WEST], from_start=True)) as tail:
        with admin_client(kafka_settings) as admin:
            admin.delete_records({TopicPartition(kafka_settings.topic_name(Topic.AUDIT), WEST): 7})
        assert [each.value for each in gather(tail, 3)] == [b"7", b"8", b"9"]
        assert tail.caught_up()
        assert tail.lag() == 0


def delete_observations(settings: KafkaSettings) -> None:
    """Delete the topic of observations, and wait until the broker has done so: it answers before."""
    name = settings.topic_name(Topic.OBSERVATIONS)
    with admin_client(settings) as admin:
        admin.delete_topics([name])
        until(lambda: name not in admin.list_topics())


def test_a_topic_that_was_created_anew_is_read_from_its_start(
    kafka_log: KafkaLog, kafka_settings: KafkaSettings
) -> None:
    kafka_log.append([Entry(Topic.OBSERVATIONS, "west", b"%d" % number) for number in range(10)])
    with ExitStack() as stack:
        tail = stack.enter_context(closing(kafka_log.tail([Topic.OBSERVATIONS], [WEST], from_start=True)))
        assert len(gather(tail, 10)) == 10
        delete_observations(kafka_settings)
        found: list[Stored] = []

        def goes_on() -> bool:
            nonlocal tail
            try:
                create_topics(kafka_settings, replication=1)
                kafka_log.append([Entry(Topic.OBSERVATIONS, "west", b"anew")])
                found.extend(tail.poll(0.1))
            except LogError:
                # as whoever follows the log does
                with suppress(LogError):
                    tail = stack.enter_context(closing(kafka_log.tail([Topic.OBSERVATIONS], [WEST], from_start=True)))
            return bool(found)

        until(goes_on)
    assert {each.value for each in found} == {b"anew"}
    assert found[0].offset == 0


def test_a_topic_that_was_created_anew_and_has_more_records_than_were_read_is_read_whole(
    kafka_log: KafkaLog, kafka_settings: KafkaSettings
) -> None:
    kafka_log.append([Entry(Topic.OBSERVATIONS, "west", b"old")] * 3)
    with closing(kafka_log.tail([Topic.OBSERVATIONS], [WEST], from_start=True)) as tail:
        gather(tail, 3)
        assert tail.caught_up()
        delete_observations(kafka_settings)
        anew = [Entry(Topic.OBSERVATIONS, "west", b"%d" % number) for number in range(10)]

        def is_there() -> bool:
            with suppress(LogError):
                create_topics(kafka_settings, replication=1)
                kafka_log.append(anew)
                return True
            return False

        until(is_there)
        found: list[Stored] = []

        def is_whole() -> bool:
            with suppress(LogError):
                found.extend(tail.poll(0.1))
            return [each.value for each in found][-10:] == [each.value for each in anew]

        until(is_whole)
        assert tail.caught_up()


def test_a_transaction_is_seen_once_committed_and_leaves_no_lag(
    kafka_log: KafkaLog, kafka_settings: KafkaSettings
) -> None:
    topic = kafka_settings.topic_name(Topic.ORDERS)
    with (
        closing(kafka_log.tail([Topic.ORDERS], [WEST], from_start=True)) as early,
        KafkaProducer(**connection_options(kafka_settings), transactional_id=topic) as producer,
    ):
        producer.init_transactions()
        for value, finish in ((b"taken back", producer.abort_transaction), (b"kept", producer.commit_transaction)):
            producer.begin_transaction()
            producer.send(topic, key=b"west", value=value, partition=WEST)
            producer.flush()
            assert list(early.poll(0.2)) == []
            finish()
        assert [one.value for one in gather(early, 1)] == [b"kept"]
        with closing(kafka_log.tail([Topic.ORDERS], [WEST], from_start=True)) as late:
            assert [one.value for one in gather(late, 1)] == [b"kept"]
            until(lambda: not late.poll(0.1) and late.caught_up())
            assert late.lag() == 0
    assert [one.value for one in kafka_log.read(Topic.ORDERS, WEST, 0)] == [b"kept"]


@given(st.text(max_size=40), st.integers(1, 100))
def test_clusters_go_where_kafkas_own_clients_would_send_them(cluster: str, partitions: int) -> None:
    assert partition_of(cluster, partitions) == (murmur2(cluster.encode()) & 0x7FFFFFFF) % partitions
