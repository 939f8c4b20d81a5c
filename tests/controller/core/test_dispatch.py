"""One dispatch of a record: a live cluster, a replica and a replay of the same records know the same of each kind."""

from typing import get_args

import pytest

from controller.core.cluster import Cluster, Process, no_decisions
from controller.core.news import Tombstone
from controller.core.policy import Policy
from controller.core.replay import Replay
from controller.core.state import ClusterState
from messages.keys import key_of
from messages.records import (
    AgentPause,
    AnyRecord,
    Arrival,
    Decision,
    EpochClaim,
    Incident,
    LoginSlot,
    Poll,
    RankingSnapshot,
    Record,
    Relogin,
    ScreenRestore,
)
from messages.topics import Topic
from stream.entries import topic_of
from tests.support.builders import CLUSTER, ONE, TWO, dialer, poll
from tests.support.records import RECORDS

EVERY = [record for _, record in RECORDS if record.cluster == CLUSTER]
DECIDED_AGAIN = (Incident, Relogin, AgentPause, Arrival, ScreenRestore, RankingSnapshot)
"""A replay makes these itself."""
FIRST = poll(dialer(ONE, 3), dialer(TWO), sequence=1)
LATER = poll(dialer(ONE, 3), dialer(TWO), sequence=9)


def live(*records: AnyRecord | Tombstone, owned: bool = True) -> ClusterState:
    """Return what a cluster knows that folds these from the live log; no poll is judged here."""
    cluster = Cluster(CLUSTER, Policy(), Process("me", ""), owned=owned, decisions=no_decisions())
    for record in records:
        cluster.fold(record, live=True)
    return cluster.state


def replayed(*records: AnyRecord | Tombstone) -> ClusterState:
    """Return what a replay of the same records knows."""
    replay = Replay(CLUSTER, Policy())
    for record in records:
        list(replay.fold(record))
    return replay.state


def test_each_kind_of_record_is_among_them() -> None:
    assert {type(each) for each in EVERY} | {Poll} >= {*get_args(AnyRecord)} - {type(RECORDS[-1][1])}


@pytest.mark.parametrize("record", EVERY, ids=lambda each: type(each).__name__)
def test_owner_replica_and_replay_know_the_same_of_a_record(record: AnyRecord) -> None:
    records = (FIRST, record, LATER)
    owner, replica, again = live(*records), live(*records, owned=False), replayed(*records)
    owner.observed.health = replica.observed.health = again.observed.health  # a replay judges, the others did not
    if isinstance(record, RankingSnapshot):
        assert (owner.published, again.published.owner) == (replica.published, "")
        return
    assert owner == replica
    if isinstance(record, DECIDED_AGAIN):
        assert again == live(FIRST, LATER).__class__(CLUSTER, owner.observed)
    else:
        assert again == owner


@pytest.mark.parametrize("record", EVERY, ids=lambda each: type(each).__name__)
def test_a_tombstone_ends_for_all_what_its_record_began(record: AnyRecord) -> None:
    if isinstance(record, Poll | Decision | EpochClaim):
        return  # no tombstone ends these alone
    end = Tombstone(
        topic_of(record), key_of(record), (1, 8) if topic_of(record) is Topic.OBSERVATIONS else (-1, -1), ""
    )
    records = (FIRST, record, end, LATER)
    owner, again = live(*records), replayed(*records)
    owner.observed.health = again.observed.health
    assert owner.decided == again.decided == live(FIRST, LATER).decided
    assert owner.observed == again.observed


def test_assigning_a_half_resets_it() -> None:
    state = live(FIRST, *EVERY)
    fresh = ClusterState(CLUSTER)
    state.observed, state.decided = fresh.observed, fresh.decided
    state.published = fresh.published
    assert state.is_blank
    assert isinstance(EVERY[0], Record)
    assert any(isinstance(each, LoginSlot) for each in EVERY)
