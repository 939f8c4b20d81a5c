"""The log in Kafka: the only module that imports kafka-python.

kafka-python retries most troubles by itself, some of them for ever, and names them by many types. Here every call has
an end, and what comes out is one of two errors: trying again helps, or somebody must mend something first.
"""

import contextlib
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from messages.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Key, Topic, partition_of
from stream.log import (
    MAX_POLL_BYTES,
    MAX_POLL_RECORDS,
    MAX_RECORD_BYTES,
    Entry,
    LogError,
    LogRefusedError,
    LogUnavailableError,
    Stored,
    refuse_oversized,
)

with warnings.catch_warnings():
    # Python 3.11 deprecates how kafka-python reads its schemas, 3.13 no longer does; callers can do nothing about it
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition, errors
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.net.compat import KafkaNetClient
    from kafka.net.inet import KafkaNetSocket
    from kafka.net.manager import KafkaConnectionManager
    from kafka.net.selector import NetworkSelector

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 64 * 1024
"""What a topic must take (`max.message.bytes`) and a producer may send: a record, and Kafka's own framing."""

CONNECT_MS = 3_000
BOOTSTRAP_MS = 5_000
REQUEST_MS = 5_000
"""A broker that hangs is given up after so long; the connection is then made anew."""
DELIVERY_MS = 8_000
"""An append that was not acknowledged for so long has failed."""
LINGER_MS = 2
BATCH_BYTES = 256 * 1024
APPEND_BYTES = 32 * 1024 * 1024
"""kafka-python's producer has no bound on what it buffers: an append hands it no more than this at a time."""
CLOSE_SECONDS = (DELIVERY_MS + 2_000) / 1000
"""Longer than a delivery: what is still under way fails before the producer is closed."""
LEAVE_SECONDS = 0.5
"""What is still under way when the log is closed has so long, then it fails: a process must be able to end while Kafka
is away."""
FETCH_WAIT_MS = 500
READER_FETCH_WAIT_MS = 20
"""A reader goes from partition to partition, and each change waits for the fetch that is under way."""
READ_SECONDS = 8.0
"""A read that made no step for so long has failed."""
SILENCE_SECONDS = 1.0
"""A tail whose partitions have been without a connected leader for so long says that the log is unavailable."""

SESSION_MS = 6_000
HEARTBEAT_MS = 1_000
SILENT_MEMBER_MS = 10_000
"""A member that is not asked for so long leaves its group."""
PROOF_SECONDS = (SESSION_MS - HEARTBEAT_MS) / 1000
"""A member believes in its partitions only so long after a heartbeat that the group answered: less than the group
waits before it gives them to somebody else."""
PROOF_WAIT_SECONDS = 2.0
"""How long a member that lacks such a proof, because it was stopped or cut off, waits for one."""
MEMBER_POLL_MS = 250
HANDOVER_SECONDS = 3.0
"""How long a member that must give partitions up waits until its caller was told, before others can get them."""
_HANDOVER_STEP_SECONDS = 0.02
FAILURE_PAUSE_SECONDS = 1.0
"""Between the attempts of a member that failed."""
_LEADER_WAIT_SECONDS = 0.05

_WHO_OWNS = "asking who owns what"
_TOPIC_ABSENT, _TOPIC_FORBIDDEN = 3, 29


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is, how to log in, and what the topics are called."""

    bootstrap_servers: tuple[str, ...] = ("localhost:9092",)
    """Some of the brokers, each `host:port`."""
    prefix: str = DEFAULT_PREFIX
    """What all topics and groups begin with."""
    partitions: int = DEFAULT_PARTITIONS
    """How many each topic has."""
    client_id: str = "hotdesk"
    """How Kafka's own logs and quotas name this process."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str = ""
    sasl_password: str = ""
    ssl_cafile: str | None = None
    """PEM; None: the system's authorities."""
    ssl_certfile: str | None = None
    """PEM; this client's own certificate, where Kafka asks for one."""
    ssl_keyfile: str | None = None

    def topic_name(self, topic: Topic) -> str:
        """Give a topic's name in Kafka."""
        return self.prefix + topic

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"KafkaSettings({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Give what may be shown: the password may not."""
        shown = msgspec.structs.asdict(self)
        if self.sasl_password:
            shown |= {"sasl_password": "***"}
        return list(shown.items())


class KafkaLog:
    """The `stream.log.Log` in Kafka.

    Connects when it is first used. When Kafka is down each call fails with `LogUnavailableError` within some
    seconds, and works again once Kafka does.

    Raises:
        LogRefusedError: a certificate or key cannot be read.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._options = connection_options(settings)
        self._lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._producer: Any = None
        self._reader: Any = None
        self._verified: frozenset[Topic] = frozenset()
        self._closed = False

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    def append(self, entries: Sequence[Entry]) -> None:
        """As `Log.append`; returns when every replica in sync has the records.

        Raises:
            LogUnavailableError: not acknowledged within about ten seconds; some may have been stored.
            LogRefusedError: a topic is absent or has other partitions, a record is too large, or this user may
                not write.
        """
        refuse_oversized(entries)
        self._verify({entry.topic for entry in entries})
        with self._explained("appending"):
            for some in _in_steps(entries):
                self._send(some)

    def read(self, topic: Topic, partition: int, offset: int, limit: int = 1000) -> Sequence[Stored]:
        """As `Log.read`; ends early, but never empty, when the records exceed `stream.log.MAX_POLL_BYTES`."""
        found: list[Stored] = []
        size = 0
        with contextlib.closing(self._scan(topic, partition, offset, limit)) as records:
            for stored in records:
                found.append(stored)
                size += len(stored.value or b"")
                if len(found) >= limit or size >= MAX_POLL_BYTES:
                    break
        return found

    def latest(self, topic: Topic, cluster: str) -> Mapping[str, Stored]:
        """As `Log.latest`; reads the cluster's whole partition: for tools, not for loops."""
        found: dict[str, Stored] = {}
        for stored in self._scan(topic, partition_of(cluster, self.partitions), 0, MAX_POLL_RECORDS):
            if Key.parse(stored.key).cluster != cluster:
                continue
            if stored.value is None:
                found.pop(stored.key, None)
            else:
                found[stored.key] = stored
        return found

    def tail(self, topics: Iterable[Topic], partitions: Iterable[int], *, from_start: bool) -> "KafkaTail":
        """As `Log.tail`, with a consumer of its own that is in no group and commits nothing."""
        topics, partitions = tuple(topics), tuple(partitions)
        self._verify(set(topics))
        places = {
            TopicPartition(self._settings.topic_name(topic), partition): topic
            for topic in topics
            for partition in partitions
        }
        with self._explained("following"):
            return KafkaTail(self._settings, self._options, places, from_start=from_start)

    def join(self, group: str) -> "KafkaMembership":
        """As `Log.join`; the group's name in Kafka is prefix and `group`."""
        self._verify({Topic.OBSERVATIONS})
        with self._explained("joining a group"):
            return KafkaMembership(self._settings, self._options, group)

    def close(self) -> None:
        """Close the connections that this log holds itself. Idempotent."""
        with self._lock:
            self._closed = True
        self._drop_producer(LEAVE_SECONDS)
        with self._reader_lock:
            self._drop_reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            with explained(self._settings, doing):
                yield
        except LogError:
            # whatever happened may have been the topics' doing: look again before the next use
            self._verified = frozenset()
            raise

    def _verify(self, topics: set[Topic]) -> None:
        """Refuse topics that are absent or partitioned otherwise, which kafka-python would wait for in vain."""
        if self._closed:
            raise LogRefusedError("this log is closed")
        unknown = topics - self._verified
        if not unknown:
            return
        with admin_client(self._settings) as admin:
            found = describe_topics(admin, self._settings, unknown)
        for topic in sorted(unknown):
            name = self._settings.topic_name(topic)
            if topic not in found:
                raise LogRefusedError(f"Kafka has no topic {name}: run `hotdesk topics create`")
            count = len(found[topic])
            if count != self.partitions:
                raise LogRefusedError(
                    f"topic {name} has {count} partitions, not {self.partitions}: set the number of partitions to "
                    "that of the topics, which is fixed for life"
                )
        self._verified |= unknown

    def _send(self, entries: Sequence[Entry]) -> None:
        producer = self._ready_producer()
        try:
            sent = [
                producer.send(
                    self._settings.topic_name(entry.topic),
                    key=entry.key.encode(),
                    value=entry.value,
                    headers=list(entry.headers),
                    partition=partition_of(Key.parse(entry.key).cluster, self.partitions),
                )
                for entry in entries
            ]
            producer.flush(timeout=CLOSE_SECONDS)
            for one in sent:
                one.get(timeout=0)
        except errors.KafkaError as error:
            # a producer goes on after a time-out, and its epoch keeps late duplicates out; other failures may be
            # final for it, so that the next append gets a new one
            if not error.retriable:
                self._drop_producer()
            raise

    def _ready_producer(self) -> Any:  # noqa: ANN401 - kafka-python has no types
        with self._lock:
            if self._closed:
                raise LogRefusedError("this log is closed")
            if self._producer is None:
                self._producer, _net = open_client(
                    KafkaProducer,
                    self._options,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=LINGER_MS,
                    batch_size=BATCH_BYTES,
                    max_request_size=MAX_MESSAGE_BYTES,
                    max_block_ms=BOOTSTRAP_MS,
                    delivery_timeout_ms=DELIVERY_MS,
                    allow_auto_create_topics=False,
                    metrics_enabled=False,
                )
            return self._producer

    def _drop_producer(self, seconds: float = CLOSE_SECONDS) -> None:
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.close(timeout=seconds)
        except errors.KafkaError:
            # kafka-python leaves it half open then, and would wait again when the process ends
            producer._sender.force_close()  # noqa: SLF001
            with contextlib.suppress(errors.KafkaError):
                producer.close(timeout=seconds)

    def _scan(self, topic: Topic, partition: int, offset: int, step: int) -> Generator[Stored, None, None]:
        """Give a partition's records from `offset` to what is its end now, `step` at a time.

        The one reader is this generator's until it ends or is closed.
        """
        self._verify({topic})
        place = TopicPartition(self._settings.topic_name(topic), partition)
        with self._reader_lock, self._explained("reading"):
            try:
                if self._reader is None:
                    self._reader, _net = open_consumer(self._options, fetch_max_wait_ms=READER_FETCH_WAIT_MS)
                reader = self._reader
                reader.assign([place])
                end = ask_offsets(reader.end_offsets, [place])[place]
                reader.seek(place, offset)
                deadline = time.monotonic() + READ_SECONDS
                while (at := reader.position(place, timeout_ms=0)) is None or at < end:
                    records = reader.poll(timeout_ms=FETCH_WAIT_MS, max_records=step).get(place, ())
                    for record in records:
                        yield _stored(topic, record)
                    if records:
                        deadline = time.monotonic() + READ_SECONDS
                    elif time.monotonic() > deadline:
                        raise errors.KafkaTimeoutError(f"no record of {place} from {at} within {READ_SECONDS} s")
            except errors.KafkaError:
                self._drop_reader()
                raise

    def _drop_reader(self) -> None:
        """Close the reader; the caller holds its lock."""
        reader, self._reader = self._reader, None
        if reader is not None:
            _close_consumer(reader)


class KafkaTail:
    """Follows partitions. Not for several threads; `KafkaLog.tail` makes it."""

    def __init__(
        self,
        settings: KafkaSettings,
        options: Mapping[str, Any],
        places: Mapping[TopicPartition, Topic],
        *,
        from_start: bool,
    ) -> None:
        self._settings = settings
        self._places = places
        self._unconnected_since: float | None = None
        self._consumer, self._net = open_consumer(options, fetch_max_wait_ms=FETCH_WAIT_MS)
        try:
            self._consumer.assign(list(places))
            ends = ask_offsets(self._consumer.end_offsets, list(places))
            begins = ask_offsets(self._consumer.beginning_offsets, list(places)) if from_start else ends
            for place, offset in begins.items():
                self._consumer.seek(place, offset)
        except BaseException:
            _close_consumer(self._consumer)
            raise
        self._next = dict(begins)
        """The next offset of each place, as far as the records told."""
        self._ends_at_start = {place: end for place, end in ends.items() if end > begins[place]}

    def poll(self, timeout_seconds: float) -> Sequence[Stored]:
        """As `Tail.poll`.

        Raises:
            LogUnavailableError: nothing came, and some partition has been without a connected leader for
                `SILENCE_SECONDS`.
            LogRefusedError: this user may no longer read.
        """
        with explained(self._settings, "following"):
            found = self._consumer.poll(timeout_ms=max(timeout_seconds, 0) * 1000, max_records=MAX_POLL_RECORDS)
        if not found:
            self._complain_if_unconnected()
            return ()
        self._unconnected_since = None
        for place, records in found.items():
            self._next[place] = records[-1].offset + 1
        return [_stored(self._places[place], record) for place, records in found.items() for record in records]

    def lag(self) -> int:
        """As `Tail.lag`: to what was the end when each partition was last fetched."""
        return sum(self._missing(place, self._consumer.highwater(place) or 0) for place in self._places)

    def caught_up(self) -> bool:
        """As `Tail.caught_up`."""
        self._ends_at_start = {place: end for place, end in self._ends_at_start.items() if self._missing(place, end)}
        return not self._ends_at_start

    def close(self) -> None:
        """Close the consumer. Idempotent."""
        _close_consumer(self._consumer)

    def _missing(self, place: TopicPartition, end: int) -> int:
        """Tell how far a place is from `end`.

        Kafka asks too where records do not tell: a transaction's marker takes an offset and is never given out.
        """
        if self._next[place] < end:
            with contextlib.suppress(errors.KafkaError):
                self._next[place] = self._consumer.position(place, timeout_ms=0) or self._next[place]
        return max(0, end - int(self._next[place]))

    def _complain_if_unconnected(self) -> None:
        """Tell silence from deafness: kafka-python reconnects for ever and says nothing."""
        leaders = {self._net.cluster.leader_for_partition(place) for place in self._places}
        if all(leader is not None and self._net.connected(leader) for leader in leaders):
            self._unconnected_since = None
            return
        now = time.monotonic()
        if self._unconnected_since is None:
            self._unconnected_since = now
        if now - self._unconnected_since >= SILENCE_SECONDS:
            refusal = self._net.connections.refusal
            raise _our_error(self._settings, "following", refusal or errors.KafkaConnectionError())


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
                `PROOF_SECONDS`: it may have given the partitions to another member.
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
                raise _our_error(self._settings, _WHO_OWNS, failure) from failure
            if not certain:
                raise LogUnavailableError(_no_answer(self._settings, _WHO_OWNS))
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
        _close_consumer(self._consumer)

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


class _Socket(KafkaNetSocket):  # type: ignore[misc] # kafka-python has no types
    """Connects as kafka-python does without a proxy, and closes the socket when that failed.

    kafka-python 3.0.12 leaves it to the garbage collector: while a broker is away, open files would pile up. Sockets
    are chosen by the scheme of `proxy_url`, so this one has a scheme of its own.
    """

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: Any, sockaddr: Any, timeout_at: float | None = None) -> Any:  # noqa: ANN401
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _Connections(KafkaConnectionManager):  # type: ignore[misc] # kafka-python has no types
    """Remembers that a broker refused us.

    kafka-python 3.0.12 logs it, tries again until its time is up, and then only says that nobody answered.
    """

    refusal: errors.KafkaError | None = None

    def get_connection(self, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - kafka-python has no types
        if self.refusal is not None and not self.bootstrapped:
            raise self.refusal
        connection = super().get_connection(*given, **more)
        connection.init_future.add_both(self._note)
        return connection

    def _note(self, outcome: object) -> None:
        if isinstance(outcome, _LOGIN_REFUSALS):
            self.refusal = outcome
        elif not isinstance(outcome, Exception):
            self.refusal = None


class _Net(KafkaNetClient):  # type: ignore[misc] # kafka-python has no types
    """The network part of a client, with `_Connections`."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        self.selector = NetworkSelector(**given)
        self.connections = _Connections(self.selector, socket_connection_setup_timeout_ms=CONNECT_MS, **given)
        super().__init__(net=self.selector, manager=self.connections)


@contextlib.contextmanager
def admin_client(settings: KafkaSettings) -> Iterator[Any]:
    """Open an admin client for a while; its errors come out as ours.

    Raises:
        LogError: as `explained`.
    """
    with explained(settings, "asking about topics"):
        admin, _net = open_client(KafkaAdminClient, connection_options(settings))
        try:
            yield admin
        finally:
            admin.close()


def describe_topics(
    admin: Any,  # noqa: ANN401 - kafka-python has no types
    settings: KafkaSettings,
    topics: Iterable[Topic],
) -> dict[Topic, list[int]]:
    """Give the number of replicas of each partition of those `topics` that exist.

    Raises:
        LogRefusedError: this user may not see a topic.
        kafka.errors.KafkaError: it could not be asked.
    """
    by_name = {settings.topic_name(topic): topic for topic in topics}
    found = {}
    for description in admin.describe_topics(sorted(by_name)):
        match description["error_code"]:
            case 0:
                partitions = description["partitions"]
                found[by_name[description["name"]]] = [len(one["replica_nodes"]) for one in partitions]
            case code if code == _TOPIC_FORBIDDEN:
                raise LogRefusedError(
                    f"Kafka does not let user {settings.sasl_username!r} see topic {description['name']}: grant it"
                )
            case code if code != _TOPIC_ABSENT:
                raise error_for(code, description["name"])
    return found


def describe_settings(
    admin: Any,  # noqa: ANN401 - kafka-python has no types
    names: Iterable[str],
) -> dict[str, dict[str, str]]:
    """Give the settings in force of each of the topics `names`; empty where this user may not see them.

    Raises:
        kafka.errors.KafkaError: they could not be asked.
    """
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    described = admin.describe_configs(wanted, config_filter="all").get("topic", {}) if wanted else {}
    return {name: {key: one["value"] for key, one in found.items()} for name, found in described.items()}


def error_for(code: int, message: str | None) -> errors.KafkaError:
    """Give kafka-python's error for a code that Kafka answered; `explained` turns it into ours."""
    kind = errors.for_code(code)
    return kind(message or kind.description)


@contextlib.contextmanager
def explained(settings: KafkaSettings, doing: str) -> Iterator[None]:
    """Raise our own errors for kafka-python's, with one line that says what and how to mend it.

    Raises:
        LogRefusedError: wrong user or password, no permission, no such topic, too large a record.
        LogUnavailableError: everything else.
    """
    try:
        yield
    except errors.KafkaError as error:
        raise _our_error(settings, doing, error) from error


_REFUSALS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (errors.SaslAuthenticationFailedError,),
        "refused user {user!r}: set the right sasl_username and sasl_password",
    ),
    (
        (errors.UnsupportedSaslMechanismError,),
        "does not know {mechanism}: set the sasl_mechanism that it offers",
    ),
    (
        (errors.AuthorizationError,),
        "does not let user {user!r} do this ({doing}: {error}): grant it",
    ),
    (
        (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError),
        "has no such topic ({doing}: {error}): run `hotdesk topics create`",
    ),
    (
        (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError),
        "takes no record of this size ({doing}): `hotdesk topics check` says what to set",
    ),
    (
        (errors.InvalidReplicationFactorError,),
        "has too few brokers ({doing}: {error}): ask for as many copies as there are brokers",
    ),
    (
        (errors.PolicyViolationError, errors.InvalidConfigurationError, errors.InvalidPartitionsError),
        "forbids it ({doing}: {error}): ask whoever runs it",
    ),
    (
        (errors.KafkaConfigurationError,),
        "cannot be used with these settings ({doing}): {error}",
    ),
)
"""What trying again does not mend, and how to mend it."""

_LOGIN_REFUSALS = (errors.SaslAuthenticationFailedError, errors.UnsupportedSaslMechanismError)
_SILENCES = (errors.KafkaTimeoutError, errors.KafkaConnectionError, errors.NodeNotReadyError)


def _our_error(settings: KafkaSettings, doing: str, error: Exception) -> LogError:
    where = f"Kafka at {', '.join(settings.bootstrap_servers)}"
    for types, sentence in _REFUSALS:
        if isinstance(error, types):
            said = sentence.format(
                user=settings.sasl_username, mechanism=settings.sasl_mechanism, doing=doing, error=error
            )
            return LogRefusedError(f"{where} {said}")
    if isinstance(error, _SILENCES):
        return LogUnavailableError(_no_answer(settings, doing))
    return LogUnavailableError(f"{where} failed ({doing}): {error}; trying again helps")


def _no_answer(settings: KafkaSettings, doing: str) -> str:
    # kafka-python 3.0.12 often misses why a broker hung up on it: the answer comes together with the end
    login = ", sasl_username and sasl_password" if settings.security_protocol.startswith("SASL") else ""
    return (
        f"Kafka at {', '.join(settings.bootstrap_servers)} does not answer ({doing}): see whether it is up, and "
        f"whether the addresses, security_protocol {settings.security_protocol}{login} are right"
    )


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Give what all kafka-python clients share.

    Raises:
        LogRefusedError: a certificate or key cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": REQUEST_MS,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": 1_000,
        "proxy_url": f"{_Socket.SCHEMES[0]}://",
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    if settings.security_protocol.endswith("SSL"):
        # made here, since kafka-python would only say much later that it cannot connect
        try:
            context = ssl.create_default_context(cafile=settings.ssl_cafile)
            if settings.ssl_certfile is not None:
                context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
        except OSError as error:
            raise LogRefusedError(
                f"ssl_cafile, ssl_certfile or ssl_keyfile cannot be used: {error}; give PEM files that exist"
            ) from error
        options["ssl_context"] = context
    return options


def open_client(kind: Callable[..., Any], options: Mapping[str, Any], **more: Any) -> tuple[Any, _Net]:  # noqa: ANN401
    """Open a client of kafka-python, and give it with its network part.

    Raises:
        kafka.errors.KafkaError: no broker answered within `BOOTSTRAP_MS`, or it refused.
    """
    made: list[_Net] = []

    def make_net(**given: Any) -> _Net:  # noqa: ANN401 - kafka-python has no types
        made.append(_Net(**given))
        return made[0]

    try:
        return kind(kafka_client=make_net, **options, **more), made[0]
    except BaseException:
        # it would leave its thread and sockets behind
        for net in made:
            net.close()
        raise


def open_consumer(options: Mapping[str, Any], **more: Any) -> tuple[Any, _Net]:  # noqa: ANN401
    """Open a consumer that reads what was committed, and commits nothing itself; with its network part.

    Raises:
        kafka.errors.KafkaError: no broker answered within `BOOTSTRAP_MS`, or it refused.
    """
    return open_client(
        KafkaConsumer,
        options,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        fetch_max_bytes=MAX_POLL_BYTES,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        metrics_enabled=False,
        **more,
    )


def _close_consumer(consumer: Any) -> None:  # noqa: ANN401 - kafka-python has no types
    with contextlib.suppress(errors.KafkaError):
        consumer.close(autocommit=False, timeout_ms=CONNECT_MS)


def ask_offsets(
    ask: Callable[..., dict[TopicPartition, int]], places: list[TopicPartition]
) -> dict[TopicPartition, int]:
    """Ask for the first or next offsets of all `places`, within `REQUEST_MS`.

    Raises:
        kafka.errors.KafkaError: some partition's leader was not known or did not answer.
    """
    deadline = time.monotonic() + REQUEST_MS / 1000
    while True:
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0:
            raise errors.KafkaTimeoutError("some partition has no leader")
        try:
            return ask(places, timeout_ms=left_ms)
        except KeyError:
            # how kafka-python says that it does not know every leader yet; it is asking for them
            time.sleep(_LEADER_WAIT_SECONDS)


def _in_steps(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
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


def _stored(topic: Topic, record: Any) -> Stored:  # noqa: ANN401 - kafka-python has no types
    """Take over a record; one that somebody else wrote, without key or in another encoding, must not stop us."""
    return Stored(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
        appended_at_ms=record.timestamp,
    )
