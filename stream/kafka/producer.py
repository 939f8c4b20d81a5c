"""Open, use and close producers: the shared one for plain appends, and one for each claim."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from messages.topics import Key, partition_of

# before kafka-python: this import quiets its deprecations
from stream.kafka.client import BOOTSTRAP_MS, MAX_MESSAGE_BYTES, open_client
from stream.kafka.settings import KafkaSettings
from stream.log import Entry

from kafka import KafkaProducer, TopicPartition, errors  # isort: skip

DELIVERY_MS = 15_000
"""An append that is not acknowledged within this time has failed. Kafka takes 9 s to give up a broker that died
(`broker.session.timeout.ms`), and some 2 s more if that one was the active controller. Until then no other broker can
store anything in its stead, and the records on their way are stored the moment it is given up: a shorter wait would
only send them again. And it would need a new producer, whose id a broker may have to ask the dead controller for."""
REFRESH_SECONDS = 1.0
"""While an acknowledgement is missing, Kafka is asked this often who leads. kafka-python asks when a connection broke,
and that of a broker that stands still breaks late."""
DISCARD_SECONDS = 1.0
"""How long the end of a producer that failed may take, before it is left to itself."""
BATCH_BYTES = 256 * 1024
APPEND_BYTES = 32 * 1024 * 1024
"""kafka-python's producer buffers without a bound: an append passes it no more than this at a time."""


def open_producer(options: Mapping[str, Any], *, delivery_ms: int = DELIVERY_MS, **more: Any) -> Any:  # noqa: ANN401 - kafka-python has no types
    """Open a producer that acknowledges a record once every in-sync replica has it, and stores none twice.

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
        delivery_timeout_ms=delivery_ms,
        allow_auto_create_topics=False,
        metrics_enabled=False,
        **more,
    )
    return producer


def close_producer(producer: Any, seconds: float) -> None:  # noqa: ANN401 - kafka-python has no types
    """Close a producer; sends in progress have `seconds`, at most twice, before they fail."""
    try:
        producer.close(timeout=seconds)
    except errors.KafkaError:
        # kafka-python leaves it half open then, and would wait again at the end of the process
        producer._sender.force_close()  # noqa: SLF001
        with contextlib.suppress(errors.KafkaError):
            producer.close(timeout=seconds)


def discard_producer(producer: Any) -> None:  # noqa: ANN401 - kafka-python has no types
    """End a producer at once: it sends nothing more, and is closed by a thread that nothing waits for."""
    producer._sender.force_close()  # noqa: SLF001
    threading.Thread(
        target=close_producer, args=(producer, DISCARD_SECONDS), name="closing-producer", daemon=True
    ).start()


def wait_for(producer: Any, sent: Sequence[Any], deadline: float) -> list[errors.KafkaError | None]:  # noqa: ANN401 - kafka-python has no types
    """Wait until every record of `sent` is acknowledged or has failed, up to `deadline` on the monotonic clock.

    Return for each why it failed, or None.
    """
    return [_outcome(producer, one, deadline) for one in sent]


def wait_for_all(producer: Any, sent: Sequence[Any], deadline: float) -> None:  # noqa: ANN401 - kafka-python has no types
    """As `wait_for`, and raise why the first one failed.

    Raises:
        kafka.errors.KafkaError: one was not acknowledged.
    """
    for failure in filter(None, wait_for(producer, sent, deadline)):
        raise failure


def _outcome(producer: Any, one: Any, deadline: float) -> errors.KafkaError | None:  # noqa: ANN401 - kafka-python has no types
    while True:
        left = max(0.0, deadline - time.monotonic())
        try:
            one.get(timeout=min(left, REFRESH_SECONDS))
        except errors.KafkaError as error:
            if one.is_done or left <= REFRESH_SECONDS:
                return error
            producer._metadata.request_update()  # noqa: SLF001
            producer._sender.wakeup()  # noqa: SLF001
        else:
            return None


def topic_partition_of(settings: KafkaSettings, entry: Entry) -> TopicPartition:
    """Return the topic and partition of an entry."""
    cluster = Key.parse(entry.key).cluster
    return TopicPartition(settings.topic_name(entry.topic), partition_of(cluster, settings.partitions))


def send(producer: Any, settings: KafkaSettings, entry: Entry) -> Any:  # noqa: ANN401 - kafka-python has no types
    """Pass an entry to a producer, and return the future of its acknowledgement.

    Raises:
        kafka.errors.KafkaError: its partitions were not known within `BOOTSTRAP_MS`, or the producer has failed.
    """
    to = topic_partition_of(settings, entry)
    return producer.send(
        to.topic,
        key=entry.key.encode(),
        value=entry.value,
        headers=list(entry.headers),
        partition=to.partition,
    )


def in_steps(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Split a batch into steps of about `APPEND_BYTES`."""
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
