"""Claims in Kafka: transactions ensure that one process stores decisions in a partition.

A claim is a producer with the partition's own transactional id. Kafka lets only the latest producer of an id write:
starting one aborts the open transaction of the one before, and no reader ever sees its records. So a process that has
claimed reads everything that its predecessors stored, and they can add nothing, however late they wake up.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

# before kafka-python: this import quiets its deprecations
from stream.kafka.client import our_error
from stream.kafka.producer import close_producer, in_steps, open_producer, send, topic_partition_of, wait_for_all
from stream.kafka.settings import KafkaSettings
from stream.log import (
    Entry,
    LogError,
    LogFencedError,
    LogRefusedError,
    LogUnavailableError,
    refuse_foreign,
    refuse_oversized,
)

from kafka import errors  # isort: skip

APPEND_SECONDS = 8.0
"""An append that is not committed within this time has failed: what is decided is not queued, but decided again."""
ABORT_SECONDS = 1.0
"""How long a failed append tries to abort its transaction, so that it delays no reader."""
TRANSACTION_MS = 10_000
"""Kafka aborts a transaction that stays open this long. It is more than an append may take; and a dead process's
transaction delays readers of the partition by no more than this and Kafka's next check for such (every 10 s by
default)."""
RETRY_MS = 10
"""How soon to retry: Kafka may still be recording the commit of the last transaction when the next one begins."""
CLOSE_SECONDS = 0.5
_BEFORE_EPOCH_BUMPS = (2, 4)

_FENCED = (errors.ProducerFencedError, errors.InvalidProducerEpochError)
_APPENDING = "appending decisions"

Explained = Callable[[str], AbstractContextManager[None]]


class KafkaClaim:
    """The `stream.log.Claim` in Kafka, on one partition of all topics; `KafkaLog.claim` creates it.

    It is spent once an append reached Kafka and failed, even if Kafka only refused it: the numbering of its records has
    a gap then. Later appends raise an error that says so.

    Raises:
        LogUnavailableError: Kafka answers, but did not assign the transactional id within `BOOTSTRAP_MS`.
        kafka.errors.KafkaError: it is not known whether the partition was claimed, or this user has no permission.
    """

    def __init__(
        self, settings: KafkaSettings, options: Mapping[str, Any], partition: int, explained: Explained
    ) -> None:
        self._settings = settings
        self._partition = partition
        self._explained = explained
        self._lock = threading.Lock()
        """A producer has one transaction at a time."""
        self._end: LogError | None = None
        """The error that ended this claim."""
        self._producer = open_producer(
            options,
            delivery_ms=round(APPEND_SECONDS * 1000),
            transactional_id=f"{settings.prefix}claim-{partition}",
            transaction_timeout_ms=TRANSACTION_MS,
            retry_backoff_ms=RETRY_MS,
        )
        # kafka-python's own calls to commit and abort wait for ever, and do not return why they failed
        self._manager = self._producer._transaction_manager  # noqa: SLF001
        # a fenced producer tries to continue with a new epoch, and from Kafka 2.5 and 2.6 on it gets one: a former
        # owner would claim the partition back. With an older version set, kafka-python treats the fencing as final
        self._manager._api_version = _BEFORE_EPOCH_BUMPS  # noqa: SLF001
        try:
            self._begin()
        except BaseException:
            self._release()
            raise

    def append(self, entries: Sequence[Entry]) -> None:
        """As `Claim.append`, in one transaction, within about `APPEND_SECONDS` once earlier appends are done."""
        refuse_oversized(entries)
        refuse_foreign(entries, self._partition, self._settings.partitions)
        if not entries:
            return
        with self._lock, self._explained(_APPENDING):
            if self._end is not None:
                raise type(self._end)(str(self._end))
            deadline = time.monotonic() + APPEND_SECONDS
            self._send(entries, deadline)
            self._commit(deadline)

    def close(self) -> None:
        """As `Claim.close`."""
        with self._lock:
            if self._end is None:
                self._release()
            self._end = LogRefusedError("this claim is closed")

    def _begin(self) -> None:
        try:
            self._producer.init_transactions()
        except errors.KafkaTimeoutError as error:
            raise LogUnavailableError(
                f"Kafka at {', '.join(self._settings.bootstrap_servers)} has no coordinator for the transactions of "
                f"partition {self._partition} now: check that all brokers are up, and that there are as many as "
                "transaction.state.log.replication.factor and transaction.state.log.min.isr require"
            ) from error

    def _send(self, entries: Sequence[Entry], deadline: float) -> None:
        """Send `entries` to Kafka, in a transaction that stays open; abort it if that fails."""
        try:
            self._producer.begin_transaction()
            for place in {topic_partition_of(self._settings, entry) for entry in entries}:
                # all at once: the producer would ask Kafka for one after the other
                self._manager.maybe_add_partition_to_transaction(place)
            for some in in_steps(entries):
                sent = [send(self._producer, self._settings, entry) for entry in some]
                wait_for_all(self._producer, sent, deadline)
            if time.monotonic() > deadline:
                # this process was stopped for a while; there is no time left to wait for the commit's answer
                raise errors.KafkaTimeoutError  # noqa: TRY301
        except Exception as error:
            failure = self._explain(error)
            self._abort()
            self._spend(failure)
            raise failure from error

    def _abort(self) -> None:
        """Abort the open transaction; if that fails, Kafka aborts it later."""
        with contextlib.suppress(Exception):
            ended = self._manager.begin_abort()
            self._producer._sender.wakeup()  # noqa: SLF001
            ended.wait(timeout_ms=ABORT_SECONDS * 1000)

    def _commit(self, deadline: float) -> None:
        request: Any = None
        try:
            with self._manager._lock:  # noqa: SLF001
                ended = self._manager.begin_commit()
                (request,) = (one for *_, one in self._manager._pending_requests if one.result is ended)  # noqa: SLF001
            self._producer._sender.wakeup()  # noqa: SLF001
            if not ended.wait(timeout_ms=max(0.0, deadline - time.monotonic()) * 1000):
                raise errors.KafkaTimeoutError  # noqa: TRY301
        except Exception as error:
            failure = self._explain(error)
            if request is not None and (request.is_retry or not isinstance(failure, LogFencedError)):
                # an earlier try may have reached Kafka
                failure = LogUnavailableError(f"{failure} (it is not known whether Kafka has committed)")
            self._spend(failure)
            raise failure from error

    def _explain(self, error: Exception) -> LogError:
        # the error raised often says only that there was an earlier one
        cause = self._manager.last_error or error
        if isinstance(cause, _FENCED):
            return LogFencedError(
                f"partition {self._partition} was claimed by another process, or this one was stopped for too long "
                f"while {_APPENDING}: do not decide in it any more under this claim"
            )
        return our_error(self._settings, _APPENDING, cause)

    def _spend(self, failure: LogError) -> None:
        fenced = isinstance(failure, LogFencedError)
        self._end = failure if fenced else LogUnavailableError(f"this claim is spent: claim again ({failure})")
        self._release()

    def _release(self) -> None:
        close_producer(self._producer, CLOSE_SECONDS)
