"""Membership in a Kafka consumer group, which assigns the partitions."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from messages.topics import Topic

# before kafka-python: this import quiets its deprecations
from stream.kafka.client import close_consumer, no_answer, open_consumer, our_error
from stream.kafka.settings import KafkaSettings
from stream.log import LogUnavailableError

from kafka import TopicPartition  # isort: skip
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener  # isort: skip
from kafka.coordinator.assignors.range import RangePartitionAssignor  # isort: skip

SESSION_MS = 6_000
HEARTBEAT_MS = 1_000
SILENT_MEMBER_MS = 10_000
"""A member whose caller does not ask for this long leaves its group."""
PROOF_SECONDS = (SESSION_MS - HEARTBEAT_MS) / 1000
"""How long a member trusts its assignment after a heartbeat that the group answered: less than the group waits before
it assigns the partitions to another member."""
PROOF_WAIT_SECONDS = 2.0
"""How long a member without such a proof, because it was stopped or cut off, waits for one."""
SILENT_GROUP_SECONDS = 15.0
"""A member must hear from its group within this time after it joined, or last heard from it: the caller then starts
again, with another member."""
MEMBER_POLL_MS = 250
HANDOVER_SECONDS = 3.0
"""How long a member with revoked partitions waits for its caller to learn of it, before other members can get them."""
_HANDOVER_STEP_SECONDS = 0.02
FAILURE_PAUSE_SECONDS = 1.0
"""Time between the attempts of a member that failed."""

_ASKING = "asking who owns what"


class KafkaMembership(AsyncConsumerRebalanceListener):  # type: ignore[misc] # kafka-python has no types
    """A member of a consumer group, used only for the assignment of partitions; `KafkaLog.join` creates it.

    All partitions are paused, so it fetches no records, and it never commits. The group subscribes to the
    observations topic; every topic has the same partitions.

    A thread of its own polls without a pause: a join goes on only within polls, and two members that do other work in
    between can keep each other joining for ever. But a partition is not released before the caller of `owned` knows
    that it must give it up: see `HANDOVER_SECONDS`.
    """

    def __init__(self, settings: KafkaSettings, options: Mapping[str, Any], group: str) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self._owned: frozenset[int] = frozenset()
        self._returned: frozenset[int] = frozenset()
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
        """As `Membership.owned`; up to `PROOF_WAIT_SECONDS` longer if the group was silent for a while.

        Raises:
            LogUnavailableError: this member owned partitions, and the group has not answered for
                `PROOF_SECONDS`: it may have assigned them to another member. Or it owns none, and the group
                has not answered for `SILENT_GROUP_SECONDS`: close it, and join again.
            LogRefusedError: this user has no permission to join the group.
        """
        began = time.monotonic()
        deadline = began + max(timeout_seconds, 0)
        with self._changed:
            self._asked_at = began
            self._changed.notify_all()
            self._changed.wait_for(self._has_changed, deadline - began)
            # without proof, wait for one: perhaps only this process was asleep
            self._changed.wait_for(lambda: self._failure is not None or self._certain(), PROOF_WAIT_SECONDS)
            failure, certain = self._failure, self._certain()
            self._returned = self._owned if certain and failure is None else frozenset()
            if failure is not None:
                raise our_error(self._settings, _ASKING, failure) from failure
            if not certain or time.monotonic() - max(self._proven_at, self._joining_since) > SILENT_GROUP_SECONDS:
                raise LogUnavailableError(no_answer(self._settings, _ASKING))
            return self._returned

    def close(self) -> None:
        """As `Membership.close`. Idempotent."""
        with self._changed:
            self._closing.set()
            self._returned = frozenset()
            self._changed.notify_all()
        self._thread.join()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Record the assignment. kafka-python calls this in its network thread."""
        assigned = tuple(assigned)
        self._consumer.pause(*assigned)
        with self._changed:
            self._owned = frozenset(place.partition for place in assigned)
            self._joins += 1

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Release the partitions that the group revokes; other members get them once this returns.

        kafka-python calls it in its network thread.
        """
        gone = frozenset(place.partition for place in revoked)
        self._release(gone)
        deadline = time.monotonic() + HANDOVER_SECONDS
        while self._returned & gone and time.monotonic() < deadline:
            await self._net.selector.sleep(_HANDOVER_STEP_SECONDS)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Release the partitions that other members may already have. kafka-python calls this in its network thread."""
        self._release(frozenset(place.partition for place in lost))

    def _release(self, gone: frozenset[int]) -> None:
        with self._changed:
            self._owned -= gone
            self._changed.notify_all()

    def _has_changed(self) -> bool:
        return self._failure is not None or (self._certain() and self._owned != self._returned)

    def _certain(self) -> bool:
        """Return True if the assignment is certain. kafka-python itself trusts it until it hears otherwise."""
        return not self._owned or time.monotonic() - self._proven_at < PROOF_SECONDS

    def _keep_alive(self) -> None:
        """Poll until closed; leave the group while no caller asks."""
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
                    self._release(self._owned)
                subscribed = wanted
                if subscribed:
                    self._poll()
                failure = None
            except Exception as error:  # noqa: BLE001 - `owned` raises it, whatever it is
                failure = error
            with self._changed:
                self._failure = failure
                self._changed.notify_all()
                if (failure is not None or not subscribed) and not self._closing.is_set():
                    self._changed.wait(FAILURE_PAUSE_SECONDS)
        close_consumer(self._consumer)

    def _poll(self) -> None:
        """Poll once, and record when the group last confirmed this member.

        That is when the heartbeat was sent that it answered: a process that was stopped for a while gets old answers
        when it wakes.
        """
        started, joins = time.monotonic(), self._joins
        coordinator = self._consumer._coordinator  # noqa: SLF001
        if coordinator.rejoining:
            # kafka-python 3.0.12 forgets a join that outlasts a poll, if other metadata of the topic was its reason
            # (as the Java client did: KAFKA-9815); the group answers it then, and hears nothing of this member again
            coordinator.request_rejoin()
        self._consumer.poll(timeout_ms=MEMBER_POLL_MS)
        # kafka-python records when a heartbeat was sent, but not whether it was answered
        beat = coordinator.heartbeat
        if beat.last_receive >= beat.last_send:
            self._proven_at = max(self._proven_at, beat.last_send)
        if self._joins != joins:
            self._proven_at = max(self._proven_at, started)
