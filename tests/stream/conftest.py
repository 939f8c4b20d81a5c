"""A log of each kind, alone in the world: a file of its own, or topics of its own on the one broker."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.broker import Broker
from stream.embedded.log import EmbeddedLog
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.log import Log

PARTITIONS = 4


def settings_of(bootstrap: str) -> KafkaSettings:
    """Return settings whose topics nobody else uses."""
    return KafkaSettings(bootstrap_servers=(bootstrap,), prefix=f"t{uuid.uuid4().hex[:8]}.", partitions=PARTITIONS)


@pytest.fixture
def kafka_settings(broker: Broker) -> KafkaSettings:
    """Return settings whose topics exist."""
    settings = settings_of(broker.bootstrap)
    create_topics(settings, replication=1)
    return settings


@pytest.fixture
def kafka_log(kafka_settings: KafkaSettings) -> Iterator[KafkaLog]:
    """Yield a log in Kafka."""
    with KafkaLog(kafka_settings) as log:
        yield log


@pytest.fixture
def open_embedded(tmp_path: Path) -> Callable[..., EmbeddedLog]:
    """Open the same file, with the arguments given; the caller closes it."""

    def open_it(partitions: int = PARTITIONS, **more: Callable[[], int]) -> EmbeddedLog:
        return EmbeddedLog(tmp_path / "log.db", partitions, **more)

    return open_it


@pytest.fixture(params=["embedded", "kafka"])
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """Yield a log, of each kind in turn."""
    if request.param == "kafka":
        yield request.getfixturevalue("kafka_log")
        return
    with request.getfixturevalue("open_embedded")() as embedded:
        yield embedded
