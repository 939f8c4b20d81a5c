"""`fold_ratio`, `fold_flatness`: the cost of folding, compared with only reading the same topic."""

import gc
import time
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from bench.results import Result
from bench.servers import Place
from collectors.leading import entry
from collectors.observer import Observer
from controller.core.clusters import Clusters
from controller.core.picks import rank_alias
from controller.core.policy import Policy
from controller.core.state import ClusterState
from controller.runtime.decoding import read
from controller.runtime.follower import SLICE
from messages.codec import decode, encode
from messages.records import Observation, Poll, Stamped
from messages.topics import Topic, partition_of
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import Log
from tests.support.crowd import Crowd

CLUSTER = "bench"


class _Size(NamedTuple):
    polls: int
    rounds: int
    dialers: int
    """Of the larger side of the flatness."""
    rankings: int


FULL, SHORT = _Size(600, 5, 10_000, 5000), _Size(20, 1, 100, 20)
CHANGING = 0.01
"""Share of the agents whose status changes between two polls."""


def measure(at: Place) -> list[Result]:
    """Measure the ratio, and the flatness over dialers and over aliases."""
    size = SHORT if at.short else FULL
    return [*_ratio(at, size), *_flatness(size), *_alias(size)]


def _ratio(at: Place, size: _Size) -> Iterator[Result]:
    """Fold a topic of polls, and read the same topic with a bare kafka-python loop."""
    with at.kafka() as settings, KafkaLog(settings) as log:
        crowd, observer = Crowd(20, 1000), Observer(CLUSTER, "bench", 1)
        for number in range(size.polls):
            crowd.work(CHANGING)
            log.append([entry(each) for each in observer.observe(500 * number, crowd.reading(catalogue=number == 0))])
        folded, bare = [], []
        # As hotdesk does when it has started; otherwise every full collection walks through all imported modules.
        gc.collect()
        gc.freeze()
        for _ in range(size.rounds):
            bare.append(_read_bare(settings))
            folded.append(_fold_all(log))
    ratio = min(bare) / min(folded)
    yield Result(
        name="fold_ratio",
        value=ratio,
        unit="of a bare kafka-python loop",
        beside=f"{size.polls / min(folded):.0f} polls/s folded, {size.polls / min(bare):.0f} only read;"
        " 20 dialers, 1,000 agents",
        goal=">= 0.6",
        holds=ratio >= 0.6,
    )


def _flatness(size: _Size) -> Iterator[Result]:
    """Fold 10,000 dialers as a thousand clusters of 10 and as one, and compare the cost per dialer.

    The same number of dialers on both sides: a cluster of 10 folded over and over would stay in the processor's
    nearest cache, as it never does in a controller that folds it twice a second.
    """
    dialers, rounds = size.dialers, size.rounds * 2
    few = _seconds_a_dialer(10, clusters=dialers // 10, rounds=rounds)
    many = _seconds_a_dialer(dialers, clusters=1, rounds=rounds)
    yield Result(
        name="fold_flatness",
        value=many / few,
        unit="times the cost per dialer",
        beside=f"{few * 1e6:.2f} us per dialer in clusters of 10, {many * 1e6:.2f} us in one of {dialers:,}",
        goal="<= 1.2",
        holds=many / few <= 1.2,
    )


def _alias(size: _Size) -> Iterator[Result]:
    """Rank an alias of 6 phones among 10 dialers and among 10,000."""
    few, many = (_seconds_an_alias(dialers, size.rankings) for dialers in (10, size.dialers))
    yield Result(
        name="alias_flatness",
        value=many / few,
        unit="times the cost per alias",
        beside=f"{few * 1e6:.1f} us with 10 dialers, {many * 1e6:.1f} us with {size.dialers:,}",
        goal="<= 1.2",
        holds=many / few <= 1.2,
    )


def _read_bare(settings: KafkaSettings) -> float:
    partition = TopicPartition(settings.topic_name(Topic.OBSERVATIONS), partition_of(CLUSTER, settings.partitions))
    consumer = KafkaConsumer(
        bootstrap_servers=list(settings.bootstrap_servers),
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_bytes=50_000_000,
    )
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        began = time.perf_counter()
        while consumer.position(partition) < end:
            consumer.poll(timeout_ms=200, max_records=5000)
        return time.perf_counter() - began
    finally:
        consumer.close()


def _fold_all(log: Log) -> float:
    """Read and fold the topic as an owner does: fold, judge and rank, in the slices of its loop."""
    clusters = Clusters("bench", "", log.partitions, {})
    clusters.own(frozenset(range(log.partitions)))
    tail = log.tail([Topic.OBSERVATIONS], [partition_of(CLUSTER, log.partitions)], from_start=True)
    began = time.perf_counter()
    try:
        while not tail.caught_up():
            records = [read(stored) for stored in tail.poll(0.2)]
            for at in range(0, len(records), SLICE):
                clusters.fold(records[at : at + SLICE], time.monotonic(), live=True)
        return time.perf_counter() - began
    finally:
        tail.close()


def _seconds_a_dialer(dialers: int, clusters: int, rounds: int) -> float:
    """Decode and fold the closing records of this many clusters; return the best of some rounds."""
    poll, best = _poll(dialers), float("inf")
    states = [ClusterState(f"{CLUSTER}{number}") for number in range(clusters)]
    for sequence in range(rounds):
        records = [encode(msgspec.structs.replace(poll, cluster=state.cluster, sequence=sequence)) for state in states]
        began = time.perf_counter()
        for state, record in zip(states, records, strict=True):
            state.fold(_observation(record))
        best = min(best, time.perf_counter() - began)
    return best / (dialers * clusters)


def _seconds_an_alias(dialers: int, rankings: int) -> float:
    """Rank an alias of 6 phones; return the best of many times."""
    crowd, state = Crowd(10, 200), ClusterState(CLUSTER)
    for outgoing in Observer(CLUSTER, "bench", 1).observe(0, crowd.reading(catalogue=True)):
        assert isinstance(outgoing, Stamped)
        state.fold(_observation(encode(outgoing)))
    state.fold(msgspec.structs.replace(_poll(dialers), sequence=2))
    alias, best = crowd.plan.agent_plans[0].alias, float("inf")
    for _ in range(rankings):
        began = time.perf_counter()
        rank_alias(state, Policy(), alias, "SALES")
        best = min(best, time.perf_counter() - began)
    return best


def _poll(dialers: int) -> Poll:
    """Return the closing record of a cluster with this many dialers, each a copy of one of ten observed ones."""
    poll = Observer(CLUSTER, "bench", 1).observe(0, Crowd(10, 500).reading())[-1]
    assert isinstance(poll, Poll)
    many = [
        msgspec.structs.replace(like, server_ip=like.server_ip if number < 10 else f"10.{number >> 8}.{number & 255}.1")
        for number, like in zip(range(dialers), cycle(poll.dialers), strict=False)
    ]
    return msgspec.structs.replace(poll, dialers=tuple(many))


def _observation(value: bytes) -> Observation:
    record = decode(Topic.OBSERVATIONS, value)
    assert isinstance(record, Observation)
    return record
