"""The log in Apache Kafka: append, claim, read and follow."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import structlog

from messages.topics import Key, Topic, partition_of

# before kafka-python: this import quiets its deprecations
from stream.kafka.claim import KafkaClaim
from stream.kafka.client import (
    FETCH_WAIT_MS,
    admin_client,
    ask_offsets,
    close_consumer,
    connection_options,
    describe_topics,
    explained,
    open_consumer,
    our_error,
)
from stream.kafka.membership import KafkaMembership
from stream.kafka.producer import (
    DELIVERY_MS,
    close_producer,
    discard_producer,
    in_steps,
    open_producer,
    send,
    wait_for,
)
from stream.kafka.settings import KafkaSettings
from stream.log import (
    MAX_POLL_BYTES,
    MAX_POLL_RECORDS,
    RECENT_OFFSETS,
    Entry,
    LogError,
    LogRefusedError,
    Stored,
    later_ends,
    refuse_absent,
    refuse_oversized,
)

from kafka import TopicPartition, errors  # isort: skip

LINGER_MS = 2
APPEND_SECONDS = (DELIVERY_MS + 1_000) / 1000
"""Longer than a delivery, and as long as an append waits: kafka-python's producer may have stopped without a word."""
LEAVE_SECONDS = 0.5
"""Time for sends in progress when the log is closed; then they fail, since a process must be able to stop while Kafka
is away."""
METADATA_MS = 10_000
"""How long a tail believes where each partition is, and which topic it is of. While other partitions' records come,
kafka-python asks no sooner for the leader of one whose broker stands still, or for a topic that was created anew."""
ASK_AGAIN_SECONDS = 1.0
"""How often it is asked where a partition ends that had no leader."""
QUICK_MS = 500
"""How long each leader may take for that: all else is read only afterwards."""
UNKNOWN_END = 2**63 - 1
"""The end of a partition that no broker could tell: it is not read so far."""
READER_FETCH_WAIT_MS = 20
"""A reader changes from partition to partition, and each change waits for the fetch in progress."""
READ_SECONDS = 8.0
"""A read without any progress for this long has failed."""
SILENCE_SECONDS = 1.0
"""A tail that lacks a leader, and is connected to no broker, says after this long that the log is unavailable."""
MISSED_LEADER_SECONDS = 15.0
"""The same for a tail that is connected to some broker. Kafka takes 9 s to give up a broker that died, and
others lead then: a tail that goes on need not read anything again."""

log = structlog.get_logger()


class KafkaLog:
    """The `stream.log.Log` in Kafka.

    It connects at its first use. While Kafka is down each call fails with `LogUnavailableError` within a few
    seconds, and works again once Kafka does.

    Raises:
        LogRefusedError: a certificate or key cannot be read.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._options = connection_options(settings)
        self._lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._producers: dict[Topic, Any] = {}
        """One for each topic: a topic whose appends fail gets a new one, and disturbs no other."""
        self._users: Counter[Any] = Counter()
        """How many appends are under way with each producer."""
        self._reader: Any = None
        self._verified: frozenset[Topic] = frozenset()
        self._closed = False

    @property
    def partitions(self) -> int:
        return self._settings.partitions

    def append(self, entries: Sequence[Entry]) -> None:
        """As `Log.append`; returns when every in-sync replica has the records.

        Raises:
            LogUnavailableError: not acknowledged within `APPEND_SECONDS`; some may have been stored.
            LogRefusedError: a topic is absent or has another number of partitions, a record is too large, or this user
                may not write.
        """
        refuse_oversized(entries)
        self._verify({entry.topic for entry in entries})
        for topic in dict.fromkeys(entry.topic for entry in entries):
            for some in in_steps([entry for entry in entries if entry.topic is topic]):
                self._send(topic, some)

    def claim(self, partition: int) -> KafkaClaim:
        """As `Log.claim`, with a transactional producer of its own."""
        refuse_absent(partition, self.partitions)
        self._verify(set(Topic))
        with self._explained(f"claiming partition {partition}"):
            return KafkaClaim(self._settings, self._options, partition, self._explained)

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
        """As `Log.latest`; reads the cluster's whole partition, so use it in tools and not in loops."""
        found: dict[str, Stored] = {}
        for stored in self._scan(topic, partition_of(cluster, self.partitions), 0, MAX_POLL_RECORDS):
            if Key.parse(stored.key).cluster != cluster:
                continue
            if stored.value is None:
                found.pop(stored.key, None)
            else:
                found[stored.key] = stored
        return found

    def ends(self, places: Iterable[tuple[Topic, int]]) -> Mapping[tuple[Topic, int], int]:
        """As `Log.ends`. Records after the first open transaction are not in the log yet."""
        wanted = {
            TopicPartition(self._settings.topic_name(topic), partition): (topic, partition)
            for topic, partition in places
        }
        self._verify({topic for topic, _ in wanted.values()})
        with self._reader_lock, self._explained("asking for the end"):
            try:
                reader = self._ready_reader()
                reader.assign(list(wanted))
                return {wanted[place]: end for place, end in ask_offsets(reader.end_offsets, list(wanted)).items()}
            except errors.KafkaError:
                self._drop_reader()
                raise

    def tail(
        self,
        topics: Iterable[Topic],
        partitions: Iterable[int],
        *,
        from_start: bool,
        recent: Collection[Topic] = (),
    ) -> "KafkaTail":
        """As `Log.tail`, with a consumer of its own that is in no group and commits nothing."""
        topics, partitions = tuple(topics), tuple(partitions)
        self._verify(set(topics))
        places = {
            TopicPartition(self._settings.topic_name(topic), partition): topic
            for topic in topics
            for partition in partitions
        }
        with self._explained("following"):
            return KafkaTail(self._settings, self._options, places, from_start=from_start, recent=recent)

    def join(self, group: str) -> KafkaMembership:
        """As `Log.join`; the group's name in Kafka is prefix and `group`."""
        self._verify({Topic.OBSERVATIONS})
        with self._explained("joining a group"):
            return KafkaMembership(self._settings, self._options, group)

    def close(self) -> None:
        """Close this log's own connections; not those of its claims, tails and memberships. Idempotent."""
        with self._lock:
            self._closed = True
            producers = list(self._producers.values())
            self._producers.clear()
        for producer in producers:
            close_producer(producer, LEAVE_SECONDS / len(producers))
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
            # the topics may have caused it: verify them again before the next use
            self._verified = frozenset()
            raise

    def _verify(self, topics: set[Topic]) -> None:
        """Refuse topics that are absent or have other partitions: kafka-python would wait for them in vain."""
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

    def _send(self, topic: Topic, entries: Sequence[Entry]) -> None:
        with self._explained("appending"), self._in_use(topic) as producer:
            try:
                sent = [send(producer, self._settings, entry) for entry in entries]
            except errors.KafkaError:
                self._replace(topic, producer)
                raise
            outcomes = wait_for(producer, sent, time.monotonic() + APPEND_SECONDS)
            failures = [failure for failure in outcomes if failure is not None]
            if not failures:
                return
            # the next append gets a new producer: after some failures kafka-python's own sends nothing any more
            # (docs/guide/kafka.md, "A broker that dies"). What was in progress may be stored twice then, as `append`
            # says; but not later: the old one has given it up, and sends only what others still wait for
            self._replace(topic, producer)
            error = our_error(self._settings, "appending", failures[0])
            error.at_fault = [entry for entry, failure in zip(entries, outcomes, strict=True) if failure is not None]
            raise error from failures[0]

    @contextlib.contextmanager
    def _in_use(self, topic: Topic) -> Iterator[Any]:
        """Yield the producer of a topic, opened if need be. One that was replaced ends with the last of its users."""
        with self._lock:
            if self._closed:
                raise LogRefusedError("this log is closed")
            if topic not in self._producers:
                self._producers[topic] = open_producer(self._options, linger_ms=LINGER_MS)
            producer = self._producers[topic]
            self._users[producer] += 1
        try:
            yield producer
        finally:
            with self._lock:
                self._users[producer] -= 1
                over = self._producers.get(topic) is not producer and not self._users[producer]
                if not self._users[producer]:
                    del self._users[producer]
            if over:
                discard_producer(producer)

    def _replace(self, topic: Topic, producer: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        """Begin no append with a producer any more, unless another thread has seen to that."""
        with self._lock:
            if self._producers.get(topic) is producer:
                del self._producers[topic]

    def _scan(self, topic: Topic, partition: int, offset: int, step: int) -> Generator[Stored, None, None]:
        """Yield a partition's records from `offset` to its present end, `step` at a time.

        The generator has the only reader to itself until it ends or is closed.
        """
        self._verify({topic})
        place = TopicPartition(self._settings.topic_name(topic), partition)
        with self._reader_lock, self._explained("reading"):
            try:
                reader = self._ready_reader()
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

    def _ready_reader(self) -> Any:  # noqa: ANN401 - kafka-python has no types
        """Return the reader, opened if need be; the caller has its lock."""
        if self._reader is None:
            self._reader, _net = open_consumer(self._options, fetch_max_wait_ms=READER_FETCH_WAIT_MS)
        return self._reader

    def _drop_reader(self) -> None:
        """Close the reader; the caller has its lock."""
        reader, self._reader = self._reader, None
        if reader is not None:
            close_consumer(reader)


class KafkaTail:
    """Follows partitions in one thread; `KafkaLog.tail` creates it."""

    def __init__(
        self,
        settings: KafkaSettings,
        options: Mapping[str, Any],
        places: Mapping[TopicPartition, Topic],
        *,
        from_start: bool,
        recent: Collection[Topic] = (),
    ) -> None:
        self._settings = settings
        self._places = places
        self._unconnected_since: float | None = None
        self._consumer, self._net = open_consumer(
            options, fetch_max_wait_ms=FETCH_WAIT_MS, metadata_max_age_ms=METADATA_MS
        )
        try:
            self._consumer.assign(list(places))
            ends = self._ask_ends(all_of_them=not from_start)
            begins = ask_offsets(self._consumer.beginning_offsets, list(ends)) if from_start else ends
            if from_start:
                begins |= {
                    place: max(begins[place], ends[place] - RECENT_OFFSETS) for place in ends if places[place] in recent
                }
            for place, offset in begins.items():
                self._consumer.seek(place, offset)
        except BaseException:
            close_consumer(self._consumer)
            raise
        self._ids: dict[str, Any] = {}
        """By topic: its id, as it was last told."""
        self._recreated()
        self._leaderless = set(places.keys() - ends.keys())
        """The places of which no broker told where they end. Kafka's client begins at their start by itself."""
        self._ask_again_at = time.monotonic()
        self._next = dict.fromkeys(self._leaderless, 0) | begins
        """The next offset of each place, by the records read."""
        self._marked_ends = dict.fromkeys(self._leaderless, UNKNOWN_END) | ends
        """The marked end of each place that is not yet read so far."""

    def poll(self, timeout_seconds: float) -> Sequence[Stored]:
        """As `Tail.poll`.

        Raises:
            LogUnavailableError: no record came, and some partition has had no connected leader for
                `MISSED_LEADER_SECONDS`; without any connection for `SILENCE_SECONDS`.
            LogRefusedError: this user may no longer read.
        """
        with explained(self._settings, "following"):
            self._ask_again()
            found = self._consumer.poll(timeout_ms=max(timeout_seconds, 0) * 1000, max_records=MAX_POLL_RECORDS)
            anew = {place for place, records in found.items() if records[0].offset < self._next[place]}
            if anew := anew | self._recreated():
                self._begin_anew(anew)
        if not found:
            self._raise_if_unconnected()
            return ()
        found = {place: records for place, records in found.items() if place not in anew}
        self._unconnected_since = None
        for place, records in found.items():
            self._next[place] = records[-1].offset + 1
        return [_stored(self._places[place], record) for place, records in found.items() for record in records]

    def lag(self) -> int:
        """As `Tail.lag`: up to the end of each partition at its last fetch."""
        return sum(self._missing(place, self._consumer.highwater(place) or 0) for place in self._places)

    def caught_up(self) -> bool:
        """As `Tail.caught_up`."""
        return not self._behind()

    def read_to_end(self) -> frozenset[int]:
        """As `Tail.read_to_end`."""
        behind = {place.partition for place in self._behind()}
        return frozenset(place.partition for place in self._places) - behind

    def mark_end(self, ends: Mapping[tuple[Topic, int], int]) -> None:
        """As `Tail.mark_end`."""
        named = {(topic, place.partition): place for place, topic in self._places.items()}
        followed = {named[place]: end for place, end in ends.items() if place in named}
        self._marked_ends = later_ends(self._marked_ends, followed)

    def close(self) -> None:
        """Close the consumer. Idempotent."""
        close_consumer(self._consumer)

    def _ask_ends(self, *, all_of_them: bool) -> dict[TopicPartition, int]:
        """Ask where the places end; unless all are needed, those without a leader are left out: they hold up no other.

        Raises:
            kafka.errors.KafkaError: no broker answers about any of them, or about all if all are needed.
        """
        places = list(self._places)
        try:
            return ask_offsets(self._consumer.end_offsets, places)
        except errors.KafkaError:
            ends = {} if all_of_them else self._ask_each_leader(places)
            if not ends:
                raise
        left_out = sorted(map(str, {*places} - ends.keys()))
        log.warning("no broker leads some partitions; following the others", places=left_out)
        return ends

    def _ask_each_leader(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        led: dict[int, list[TopicPartition]] = {}
        for place in places:
            leader = self._net.cluster.leader_for_partition(place)
            if leader is not None and leader >= 0:
                led.setdefault(leader, []).append(place)
        ends: dict[TopicPartition, int] = {}
        for each in led.values():
            with contextlib.suppress(errors.KafkaError):
                ends |= ask_offsets(self._consumer.end_offsets, each, QUICK_MS)
        return ends

    def _ask_again(self) -> None:
        """Ask now and then where the places end that had no leader."""
        if not self._leaderless or time.monotonic() < self._ask_again_at:
            return
        ends = self._ask_each_leader(filter(self._has_leader, self._leaderless))
        self._marked_ends = {**self._marked_ends, **ends}
        self._leaderless -= ends.keys()
        self._ask_again_at = time.monotonic() + ASK_AGAIN_SECONDS

    def _has_leader(self, place: TopicPartition) -> bool:
        leader = self._net.cluster.leader_for_partition(place)
        return leader is not None and bool(self._net.connected(leader))

    def _begin_anew(self, places: Collection[TopicPartition]) -> None:
        """Read places from their start: the topic was created anew, or an unclean election lost its last records.

        Kafka's client goes on where the old and the new log part, and may have left the first records out.
        """
        log.warning("a topic has other records than were read; reading it from its start", places=[*map(str, places)])
        self._consumer.seek_to_beginning(*places)
        self._next |= dict.fromkeys(places, 0)
        # until all is read that is there by now, nothing is known of these partitions
        self._marked_ends = {**self._marked_ends, **{place: self._consumer.highwater(place) or 1 for place in places}}

    def _recreated(self) -> set[TopicPartition]:
        """Return the places of topics that have another id than before, as Kafka tells it since its version 2.8."""
        ids = {topic: self._net.cluster.topic_id(topic) for topic in {place.topic for place in self._places}}
        anew = {topic for topic, known in self._ids.items() if ids[topic] not in {None, known}}
        self._ids |= {topic: topic_id for topic, topic_id in ids.items() if topic_id is not None}
        return {place for place in self._places if place.topic in anew}

    def _behind(self) -> Collection[TopicPartition]:
        """Return the places that are not read to their marked end."""
        if self._marked_ends:
            self._marked_ends = {place: end for place, end in self._marked_ends.items() if self._missing(place, end)}
        return self._marked_ends.keys()

    def _missing(self, place: TopicPartition, end: int) -> int:
        """Return how many offsets a place is behind `end`.

        The position counts too, where the last record falls short: a transaction's marker has an offset, and no reader
        gets it.
        """
        if self._next[place] < end:
            with contextlib.suppress(errors.KafkaError):
                self._next[place] = self._consumer.position(place, timeout_ms=0) or self._next[place]
        return max(0, end - int(self._next[place]))

    def _raise_if_unconnected(self) -> None:
        """Raise if no record came for want of a connection: kafka-python reconnects for ever without a word."""
        if all(map(self._has_leader, self._places.keys() - self._leaderless)):
            self._unconnected_since = None
            return
        now = time.monotonic()
        if self._unconnected_since is None:
            self._unconnected_since = now
        # kafka-python asks only when a connection broke, and that of a broker that stands still breaks late
        self._net.cluster.request_update()
        answers = any(self._net.connected(each.node_id) for each in self._net.cluster.brokers())
        if now - self._unconnected_since >= (MISSED_LEADER_SECONDS if answers else SILENCE_SECONDS):
            refusal = self._net.connections.refusal
            raise our_error(self._settings, "following", refusal or errors.KafkaConnectionError())


def _stored(topic: Topic, record: Any) -> Stored:  # noqa: ANN401 - kafka-python has no types
    """Return a record as ours; a foreign one, without a key or in another encoding, must not stop us."""
    return Stored(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        key=(record.key or b"").decode(errors="replace"),
        value=record.value,
        headers=tuple([(name, value or b"") for name, value in record.headers]) if record.headers else (),
        appended_at_ms=record.timestamp,
    )
