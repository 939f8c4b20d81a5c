"""What the log's producers have in common: the one that everybody appends with, and that of each claim."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from messages.topics import Key, partition_of

# before kafka-python: this import quiets its deprecations
from stream.kafka.client import BOOTSTRAP_MS, MAX_MESSAGE_BYTES, KafkaSettings, open_client
from stream.log import Entry

from kafka import KafkaProducer, TopicPartition, errors  # isort: skip

DELIVERY_MS = 8_000
"""An append that was not acknowledged for so long has failed."""
BATCH_BYTES = 256 * 1024
APPEND_BYTES = 32 * 1024 * 1024
"""kafka-python's producer has no bound on what it buffers: an append hands it no more than this at a time."""


def open_producer(options: Mapping[str, Any], **more: Any) -> Any:  # noqa: ANN401 - kafka-python has no types
    """Open a producer that is done with a record when every replica in sync has it, once.

    Raises:
        kafka.errors.KafkaError: no broker answered within `BOOTSTRAP_MS`, or it refused.
    """
    producer, _net = open_client(
        KafkaProducer,
        options,
        acks="all",
        enable_idempotence=True,
        batch_size=BATCH_BYTES,
        max_request_size=MAX_MESSAGE_BYTES,
        max_block_ms=BOOTSTRAP_MS,
        delivery_timeout_ms=DELIVERY_MS,
        allow_auto_create_topics=False,
        metrics_enabled=False,
        **more,
    )
    return producer


def close_producer(producer: Any, seconds: float) -> None:  # noqa: ANN401 - kafka-python has no types
    """Close a producer; what is still under way has so many `seconds`, twice at most, then it fails."""
    try:
        producer.close(timeout=seconds)
    except errors.KafkaError:
        # kafka-python leaves it half open then, and would wait again when the process ends
        producer._sender.force_close()  # noqa: SLF001
        with contextlib.suppress(errors.KafkaError):
            producer.close(timeout=seconds)


def place_of(settings: KafkaSettings, entry: Entry) -> TopicPartition:
    """Tell where an entry goes."""
    cluster = Key.parse(entry.key).cluster
    return TopicPartition(settings.topic_name(entry.topic), partition_of(cluster, settings.partitions))


def send(producer: Any, settings: KafkaSettings, entry: Entry) -> Any:  # noqa: ANN401 - kafka-python has no types
    """AgentControl an entry to a producer, and give the future of its fate.

    Raises:
        kafka.errors.KafkaError: its partitions were not known within `BOOTSTRAP_MS`, or the producer has failed.
    """
    place = place_of(settings, entry)
    return producer.send(
        place.topic,
        key=entry.key.encode(),
        value=entry.value,
        headers=list(entry.headers),
        partition=place.partition,
    )


def in_steps(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Cut a batch into steps of about `APPEND_BYTES`."""
    step: list[Entry] = []
    size = 0
    for entry in entries:
        step.append(entry)
        size += len(entry.value or b"")
        if size >= APPEND_BYTES:
            yield step
            step, size = [], 0
    if step:
        yield step
