"""Who owns which partition, told by a Kafka consumer group."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from messages.topics import Topic

# before kafka-python: this import quiets its deprecations
from stream.kafka.client import KafkaSettings, close_consumer, no_answer, open_consumer, our_error
from stream.log import LogUnavailableError

from kafka import TopicPartition  # isort: skip
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener  # isort: skip
from kafka.coordinator.assignors.range import RangePartitionAssignor  # isort: skip

SESSION_MS = 6_000
HEARTBEAT_MS = 1_000
SILENT_MEMBER_MS = 10_000
"""A member that is not asked for so long leaves its group."""
PROOF_SECONDS = (SESSION_MS - HEARTBEAT_MS) / 1000
"""A member believes in its partitions only so long after a heartbeat that the group answered: less than the group
waits before it gives them to somebody else."""
PROOF_WAIT_SECONDS = 2.0
"""How long a member that lacks such a proof, because it was stopped or cut off, waits for one."""
SILENT_GROUP_SECONDS = 15.0
"""So long after it joined, or was last heard of, a member must have heard from its group. kafka-python 3.0.12 sometimes
waits for ever for an answer to a join: who asks is to begin anew, with another member."""
MEMBER_POLL_MS = 250
HANDOVER_SECONDS = 3.0
"""How long a member that must give partitions up waits until its caller was told, before others can get them."""
_HANDOVER_STEP_SECONDS = 0.02
FAILURE_PAUSE_SECONDS = 1.0
"""Between the attempts of a member that failed."""

_WHO_OWNS = "asking who owns what"


class KafkaMembership(AsyncConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """A place in a consumer group, used for nothing but who owns which partition; `KafkaLog.join` makes it.

    All partitions are paused, so nothing is fetched, and nothing is ever committed. The group follows the
    observations topic; every topic has the same partitions.

    A thread of its own polls without a pause: a join that ends while nobody polls is thrown away by kafka-python, and
    two members that do other things in between can keep each other joining for ever. What a caller of `owned` must
    still give up is not given up behind its back, though: see `HANDOVER_SECONDS`.
    """

    def __init__(self, settings: KafkaSettings, options: Mapping[str, Any], group: str) -> None:
        self._settings = settings
        self._news = threading.Condition()
        self._owned: frozenset[int] = frozenset()
        self._told: frozenset[int] = frozenset()
        self._asked_at = time.monotonic()
        self._joins = 0
        self._proven_at = float("-inf")
        self._joining_since = time.monotonic()
        self._failure: Exception | None = None
        self._closing = threading.Event()
        self._consumer, self._net = open_consumer(
            options,
            group_id=settings.prefix + group,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=SILENT_MEMBER_MS,
        )
        self._thread = threading.Thread(target=self._keep_alive, name=f"membership-{group}", daemon=True)
        self._thread.start()

    def owned(self, timeout_seconds: float) -> frozenset[int]:
        """As `Membership.owned`; `PROOF_WAIT_SECONDS` longer where the group was not heard for a while.

        Raises:
            LogUnavailableError: this member owned something, and the group has not answered for
                `PROOF_SECONDS`: it may have given the partitions to another member. Or it owns nothing, and the group
                has not answered for `SILENT_GROUP_SECONDS`: close it, and join again.
            LogRefusedError: this user may not join the group.
        """
        began = time.monotonic()
        deadline = began + max(timeout_seconds, 0)
        with self._news:
            self._asked_at = began
            self._news.notify_all()
            self._news.wait_for(self._has_news, deadline - began)
            # without proof, wait for one: it may be only this process that was asleep
            self._news.wait_for(lambda: self._failure is not None or self._certain(), PROOF_WAIT_SECONDS)
            failure, certain = self._failure, self._certain()
            self._told = self._owned if certain and failure is None else frozenset()
            if failure is not None:
                raise our_error(self._settings, _WHO_OWNS, failure) from failure
            if not certain or time.monotonic() - max(self._proven_at, self._joining_since) > SILENT_GROUP_SECONDS:
                raise LogUnavailableError(no_answer(self._settings, _WHO_OWNS))
            return self._told

    def close(self) -> None:
        """As `Membership.close`. Idempotent."""
        with self._news:
            self._closing.set()
            self._told = frozenset()
            self._news.notify_all()
        self._thread.join()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by kafka-python, on its network thread."""
        assigned = tuple(assigned)
        self._consumer.pause(*assigned)
        with self._news:
            self._owned = frozenset(place.partition for place in assigned)
            self._joins += 1

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by kafka-python, on its network thread; others get what is revoked when this has ended."""
        gone = frozenset(place.partition for place in revoked)
        self._give_up(gone)
        deadline = time.monotonic() + HANDOVER_SECONDS
        while self._told & gone and time.monotonic() < deadline:
            await self._net.selector.sleep(_HANDOVER_STEP_SECONDS)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Called by kafka-python, on its network thread, when others may have it already."""
        self._give_up(frozenset(place.partition for place in lost))

    def _give_up(self, gone: frozenset[int]) -> None:
        with self._news:
            self._owned -= gone
            self._news.notify_all()

    def _has_news(self) -> bool:
        return self._failure is not None or (self._certain() and self._owned != self._told)

    def _certain(self) -> bool:
        """Tell whether what is owned is surely owned. kafka-python itself believes in it until it hears otherwise."""
        return not self._owned or time.monotonic() - self._proven_at < PROOF_SECONDS

    def _keep_alive(self) -> None:
        """Poll until closed; while nobody asks, leave the group."""
        topic = self._settings.topic_name(Topic.OBSERVATIONS)
        subscribed = False
        while not self._closing.is_set():
            try:
                wanted = time.monotonic() - self._asked_at < SILENT_MEMBER_MS / 1000
                if wanted and not subscribed:
                    self._joining_since = time.monotonic()
                    self._consumer.subscribe([topic], listener=self)
                elif subscribed and not wanted:
                    self._consumer.unsubscribe()
                    self._give_up(self._owned)
                subscribed = wanted
                if subscribed:
                    self._poll()
                failure = None
            except Exception as error:  # noqa: BLE001 - whatever it is, `owned` raises it
                failure = error
            with self._news:
                self._failure = failure
                self._news.notify_all()
                if (failure is not None or not subscribed) and not self._closing.is_set():
                    self._news.wait(FAILURE_PAUSE_SECONDS)
        close_consumer(self._consumer)

    def _poll(self) -> None:
        """Poll once, and note when this member was last confirmed: when the question was sent that was answered.

        A process that was stopped for a while gets old answers when it wakes.
        """
        started, joins = time.monotonic(), self._joins
        self._consumer.poll(timeout_ms=MEMBER_POLL_MS)
        # kafka-python publishes when a heartbeat was sent, but not whether one was answered
        beat = self._consumer._coordinator.heartbeat  # noqa: SLF001
        if beat.last_receive >= beat.last_send:
            self._proven_at = max(self._proven_at, beat.last_send)
        if self._joins != joins:
            self._proven_at = max(self._proven_at, started)
