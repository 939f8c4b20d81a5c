"""A tail over three real brokers, of which one is away when it begins, and with it the leader of some partitions."""

from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

from messages.topics import Topic
from simulator.broker_cluster import BrokerCluster
from stream.kafka.client import admin_client
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.log import Entry, LogError, Stored, Tail
from tests.support.builders import eventually
from tests.support.kafka_home import KAFKA_HOME

from kafka import errors  # isort: skip

PARTITIONS = 6

ALL = frozenset(range(PARTITIONS))


def led_by(settings: KafkaSettings, node_id: int) -> frozenset[int]:
    with admin_client(settings) as admin:
        (described,) = admin.describe_topics([settings.topic_name(Topic.OBSERVATIONS)])
    return frozenset(each["partition_index"] for each in described["partitions"] if each["leader_id"] == node_id)


def is_given_up(settings: KafkaSettings, node_id: int) -> bool:
    """Return True if Kafka names another leader, or none; while it does not answer that is not known."""
    with suppress(LogError, errors.KafkaError):
        return not led_by(settings, node_id)
    return False


def followed(log: KafkaLog) -> Tail:
    """Begin to follow everything; who asks the dead broker by chance asks again, as the follower does."""
    begun: list[Tail] = []

    def begins() -> bool:
        with suppress(LogError):
            begun.append(log.tail([Topic.OBSERVATIONS], ALL, from_start=True))
        return bool(begun)

    assert eventually(begins, 60)
    return begun[0]


def check_that_the_others_are_read(log: KafkaLog, gone: frozenset[int]) -> None:
    with closing(followed(log)) as tail:
        assert eventually(lambda: tail.poll(0.1) is not None and tail.read_to_end() == ALL - gone, 30)


def test_a_partition_without_a_leader_keeps_a_process_that_starts_from_no_other(tmp_path: Path) -> None:
    with BrokerCluster(KAFKA_HOME, tmp_path / "kafka") as brokers:
        settings = KafkaSettings(
            bootstrap_servers=brokers.bootstrap, prefix=f"l{uuid4().hex[:8]}.", partitions=PARTITIONS
        )
        create_topics(settings, replication=1)
        with KafkaLog(settings) as log:
            log.append([Entry(Topic.OBSERVATIONS, f"c{number}", b"x") for number in range(30)])
            gone = led_by(settings, 3)
            assert frozenset() < gone < ALL
            brokers.brokers[2].kill()
            check_that_the_others_are_read(log, gone)
            assert eventually(lambda: is_given_up(settings, 3), 60)
            with closing(followed(log)) as tail:
                found: list[Stored] = []

                def reads(partitions: frozenset[int]) -> bool:
                    found.extend(tail.poll(0.1))
                    return tail.read_to_end() == partitions

                assert eventually(lambda: reads(ALL - gone), 30)
                assert not tail.caught_up()
                assert {each.partition for each in found} == ALL - gone
                brokers.brokers[2].start()
                assert eventually(lambda: reads(ALL), 60)
                assert len(found) == 30
