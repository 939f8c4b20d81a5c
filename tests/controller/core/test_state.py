"""What is known of a cluster, however the records that tell it arrive: late, twice, torn apart or compacted."""

from collections import Counter
from itertools import chain
from math import isfinite

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import observer
from controller.core.clusters import Clusters
from controller.core.decided import SlotEnd
from controller.core.news import Result
from controller.core.observed import Folded
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from controller.runtime.decoding import read
from messages.codec import decode_stamp
from messages.keys import KIND_AGENT, KIND_ALIAS, KIND_CAMPAIGN, KIND_PHONE
from messages.records import EpochClaim, Grouping, LoginClaim, Outage, SystemSettings
from messages.topics import Key
from stream.log import Stored
from tests.support.builders import (
    CLUSTER,
    NOW_MS,
    ONE,
    PLAIN,
    TWO,
    alias,
    campaign,
    dialer,
    fold_all,
    folded,
    phone,
    poll,
    session,
    settings,
    slot,
)
from tests.support.histories import HISTORIES, Step, play


def _outage(sequence: int, epoch: int = 1) -> Outage:
    return Outage(
        cluster=CLUSTER, epoch=epoch, sequence=sequence, unreachable_since_ms=NOW_MS, collector="c1", why="it is away"
    )


def test_what_a_poll_brings_shows_only_when_the_poll_is_closed() -> None:
    state = folded(session("1001", ONE), poll(dialer(ONE, 1), dialer(TWO)))
    before = state.observed.agents["1001"]

    assert state.fold(session("1001", TWO, sequence=2)) is Folded.WAITS
    assert state.fold(session("1002", TWO, sequence=2)) is Folded.WAITS
    assert state.observed.fold_end(Key(CLUSTER, KIND_AGENT, "1001"), (1, 2)) is Folded.WAITS
    assert state.fold(phone("p1", sequence=2)) is Folded.WAITS
    assert (state.observed.agents, state.observed.phones) == ({"1001": before}, {})
    assert state.observed.dialers[ONE].agents

    assert state.fold(poll(dialer(ONE), dialer(TWO, 1), sequence=2)) is Folded.POLL
    assert list(state.observed.agents) == ["1002"]
    assert list(state.observed.phones) == ["p1"]
    assert not state.observed.dialers[ONE].agents


def test_a_poll_that_was_never_closed_is_not_mixed_into_the_next_epoch() -> None:
    state = folded(session("1001"), poll(dialer(ONE, 1)))
    state.fold(session("1002", sequence=2))
    state.fold(session("1003", epoch=2))
    state.fold(poll(dialer(ONE, 1), epoch=2))
    assert list(state.observed.agents) == ["1003"]


@pytest.mark.parametrize(("epoch", "sequence"), [(1, 9), (2, 4), (2, 5)])
def test_older_news_is_dropped(epoch: int, sequence: int) -> None:
    state = folded(session("1001", epoch=2, sequence=5), poll(dialer(ONE, 1), epoch=2, sequence=5))
    for record in (
        session("1001", TWO, epoch=epoch, sequence=sequence),
        phone("p1", epoch=epoch, sequence=sequence),
        _outage(sequence, epoch),
        poll(dialer(TWO, 7), epoch=epoch, sequence=sequence),
    ):
        assert state.fold(record) is Folded.STALE
    assert state.observed.fold_end(Key(CLUSTER, KIND_AGENT, "1001"), (epoch, sequence)) is Folded.STALE
    assert state.fold(poll(dialer(ONE, 1), epoch=2, sequence=6)) is Folded.POLL
    assert state.observed.agents["1001"].server_ip == ONE
    assert list(state.observed.dialers) == [ONE]
    assert not state.observed.phones
    assert state.observed.outage is None


def test_the_old_collectors_poll_does_not_close_what_the_new_one_began() -> None:
    state = folded(session("1001"), poll(dialer(ONE, 1)))
    state.fold(session("1002", epoch=2))
    assert state.fold(poll(dialer(ONE, 1), sequence=2)) is Folded.STALE
    assert list(state.observed.agents) == ["1001"]
    state.fold(poll(dialer(ONE, 1), epoch=2))
    assert list(state.observed.agents) == ["1002"]


def test_a_new_epoch_sweeps_sessions_it_did_not_publish_and_nothing_else() -> None:
    state = folded(session("1001"), session("1002"), phone("p1"), alias("desk", "p1"), poll(dialer(ONE, 2)))
    state.fold(session("1002", epoch=2))
    state.fold(poll(dialer(ONE, 1), epoch=2))
    assert list(state.observed.agents) == ["1002"]
    assert list(state.observed.phones) == ["p1"]
    assert list(state.observed.aliases) == ["desk"]


def test_an_epoch_that_cannot_read_the_agents_yet_keeps_those_of_the_one_before() -> None:
    state = folded(session("1001"), session("1002", number=2), poll(dialer(ONE, 2), dialer(TWO)))
    before = state.observed.dialers[ONE]
    unread = [msgspec.structs.replace(dialer(ip), rooms=0, rooms_free=0) for ip in (ONE, TWO)]
    blind = msgspec.structs.replace(poll(*unread, epoch=2), agents_known=False, rooms_known=False)
    state.fold(blind)
    assert list(state.observed.agents) == ["1001", "1002"]
    assert state.observed.dialers[ONE].agents == before.agents
    assert (state.observed.dialers[ONE].rooms, state.observed.dialers[ONE].rooms_free) == (
        before.rooms,
        before.rooms_free,
    )
    state.fold(session("1002", TWO, number=2, epoch=2, sequence=2))
    state.fold(poll(dialer(ONE), dialer(TWO, 1), epoch=2, sequence=2))
    assert list(state.observed.agents) == ["1002"]
    assert not state.observed.dialers[ONE].agents


def test_what_was_never_read_is_known_to_be_unknown() -> None:
    blind = msgspec.structs.replace(poll(dialer(ONE)), agents_known=False, rooms_known=False)
    assert not folded(blind).observed.agents_known
    assert not folded(blind).observed.rooms_known
    later = msgspec.structs.replace(blind, epoch=2)
    for known in (folded(poll(dialer(ONE)), later), folded(session("1001"), poll(dialer(ONE, 1)), later)):
        assert (known.observed.agents_known, known.observed.rooms_known) == (True, True)
    assert folded(session("1001"), later).observed.agents_known, "compaction leaves the sessions of former epochs"


def test_a_full_round_sweeps_what_it_did_not_publish() -> None:
    state = folded(
        session("1001"),
        phone("p1"),
        phone("p2"),
        alias("desk", "p1"),
        alias("gone", "p2"),
        campaign("SALES", Grouping.CASCADING),
        settings(7),
        poll(dialer(ONE, 1)),
    )
    for record in (
        session("1001", sequence=3),
        phone("p1", sequence=3),
        poll(dialer(ONE, 1), sequence=3),
        alias("desk", "p1", sequence=4),
    ):
        state.fold(record)
    assert sorted(state.observed.phones) == ["p1", "p2"]
    state.fold(poll(dialer(ONE, 1), sequence=4, full=3))
    assert (list(state.observed.agents), list(state.observed.phones), list(state.observed.aliases)) == (
        ["1001"],
        ["p1"],
        ["desk"],
    )
    assert not state.observed.campaigns
    assert state.observed.settings is not None
    assert state.observed.settings.grouping_limit == 7


def test_a_tombstone_ends_what_it_names_whatever_its_case() -> None:
    state = folded(
        session("Anna"),
        phone("P1"),
        alias("Desk", "p1"),
        campaign("Sales", Grouping.CASCADING),
        poll(dialer(ONE, 1)),
    )
    for kind, name in ((KIND_AGENT, "ANNA"), (KIND_PHONE, "p1"), (KIND_ALIAS, "DESK"), (KIND_CAMPAIGN, "SALES")):
        assert state.observed.fold_end(Key(CLUSTER, kind, name), (1, 2)) is Folded.WAITS
    state.observed.fold_end(Key(CLUSTER, "settings"), (1, 2))
    state.observed.fold_end(Key(CLUSTER, "something-new", "x"), (1, 2))
    state.fold(poll(dialer(ONE), sequence=2))
    assert [state.observed.agents, state.observed.phones, state.observed.aliases, state.observed.campaigns] == [
        {},
        {},
        {},
        {},
    ]


def test_users_and_logins_are_told_apart_as_vicidial_does() -> None:
    state = folded(session("anna", ONE), phone("p1", ONE), poll(dialer(ONE, 1)))
    state.fold(session("ANNA", TWO, sequence=2))
    state.fold(phone("P1", TWO, sequence=2))
    state.fold(poll(dialer(TWO, 1), sequence=2))
    assert [each.user for each in state.observed.agents.values()] == ["ANNA"]
    assert [each.server_ip for each in state.observed.phones.values()] == [TWO]


def test_an_outage_is_noted_and_cleared_by_the_next_poll() -> None:
    state = folded(session("1001"), poll(dialer(ONE, 1)))
    dialers, agents = state.observed.dialers, dict(state.observed.agents)
    assert state.fold(_outage(2)) is Folded.OUTAGE
    assert state.observed.outage is not None
    assert state.observed.outage.unreachable_since_ms == NOW_MS
    assert (state.observed.dialers, state.observed.agents, state.observed.observed_at_ms) == (dialers, agents, NOW_MS)
    state.fold(poll(dialer(ONE, 1), epoch=2))
    assert state.observed.outage is None


def test_a_standbys_outage_does_not_keep_the_leaders_poll_out() -> None:
    state = folded(poll(dialer(ONE)), _outage(2))
    assert state.fold(poll(dialer(ONE, 3), sequence=2)) is Folded.POLL
    assert state.observed.outage is None
    assert state.fold(_outage(2)) is Folded.STALE


def test_a_claim_changes_nothing_that_is_known() -> None:
    state = folded(session("1001"), poll(dialer(ONE, 1)))
    state.fold(EpochClaim(cluster=CLUSTER, epoch=7, sequence=0, collector="c7"))
    assert state == folded(session("1001"), poll(dialer(ONE, 1)))
    assert state.fold(poll(dialer(ONE, 1), sequence=2)) is Folded.POLL


def test_slots_over_are_told_with_the_poll_that_ended_them() -> None:
    state = folded(poll(dialer(ONE)))
    seen, over, held = slot("1001"), slot("1002", until_ms=NOW_MS + 500), slot("1003")
    for each in (seen, over, held):
        state.decided.slots.add(each)
    state.fold(session("1001", sequence=2))
    state.fold(poll(dialer(ONE, 1), sequence=2, at_ms=NOW_MS + 500))
    claim = LoginClaim(alias_id=seen.alias_id, phone_login=seen.phone_login, server_ip=seen.server_ip)
    used = msgspec.structs.replace(seen, used_by=1, claims=(claim,))
    assert state.decided.slots_ended == {"1001": SlotEnd(used, over=False), "1002": SlotEnd(over, over=True)}
    assert list(state.decided.slots) == [held]
    state.add_slot(used)
    state.decided.remove_slot("1002")
    assert state.decided.slots_ended == {}, "the log says so by now"


def test_a_slot_that_is_heard_of_after_its_login_was_seen_is_used_at_once() -> None:
    state = folded(session("1001", number=7), session("1002", number=8), poll(dialer(ONE, 2), at_ms=NOW_MS + 500))
    state.add_slot(slot("1001"))
    state.add_slot(msgspec.structs.replace(slot("1002"), replaces=8))
    assert [each.user for each in state.decided.slots] == ["1002"], "that session is the one it replaces"
    assert state.decided.logins["1001"].used_by == 7


def test_a_session_from_before_a_slot_was_handed_out_is_not_the_one_it_waits_for() -> None:
    state = ClusterState(CLUSTER)
    state.add_slot(slot("1001"))  # read before the history that it came after
    state.fold(session("1001", number=7))
    state.fold(poll(dialer(ONE, 1), at_ms=NOW_MS - 5000))
    assert [each.user for each in state.decided.slots] == ["1001"]


def test_a_new_slot_makes_what_became_of_the_last_one_uninteresting() -> None:
    state = folded(poll(dialer(ONE)))
    state.add_slot(slot("1001", until_ms=NOW_MS + 500))
    state.fold(poll(dialer(ONE), sequence=2, at_ms=NOW_MS + 500))
    assert state.decided.slots_ended["1001"].over
    state.add_slot(slot("1001", TWO))
    assert state.decided.slots_ended == {}


def test_a_login_is_remembered_with_its_alias_until_its_session_ends() -> None:
    state = folded(poll(dialer(ONE)))
    state.add_slot(slot("1001"))
    state.fold(session("1001", number=7, sequence=2))
    state.fold(poll(dialer(ONE, 1), sequence=2))
    assert (state.decided.logins["1001"].alias_id, state.decided.logins["1001"].used_by) == ("desk", 7)
    state.fold(session("1001", number=7, sequence=3))
    state.fold(poll(dialer(ONE, 1), sequence=3))
    assert not any(each.over for each in state.decided.slots_ended.values())
    state.observed.fold_end(Key(CLUSTER, "agent", "1001"), (1, 4))
    state.fold(poll(dialer(ONE), sequence=4))
    assert state.decided.logins == {}
    assert state.decided.slots_ended["1001"].over


@pytest.mark.parametrize("weights", [{ONE: 1e308, TWO: 1e308}, {ONE: 1e-310, TWO: 1.0}, {ONE: 1e-320, TWO: 1e300}])
def test_weights_beyond_all_measure_are_no_reason_to_fall(weights: dict[str, float]) -> None:
    state = folded(
        SystemSettings(cluster=CLUSTER, epoch=1, sequence=1, weights=weights),
        poll(dialer(ONE, 1), dialer(TWO, 1)),
    )
    ranked = rank_dialers(state, PLAIN)
    assert {standing.server_ip for standing in ranked} == {ONE, TWO}
    assert all(isfinite(standing.load) for standing in ranked)


# --- whatever happened, and however its log was kept ------------------------------------------------------------


def _fold(log: list[Stored]) -> ClusterState:
    state = ClusterState(CLUSTER)
    fold_all(state, log)
    return state


def _log_of(history: list[Step]) -> list[Stored]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observer, "SLICE", 3)
        return list(chain.from_iterable(each.log for each in play(history)))


def _compacted(log: list[Stored]) -> list[Stored]:
    newest = {each.key: each for each in log}
    return [each for each in log if newest[each.key] is each]


@given(HISTORIES)
def test_replay_gives_an_equal_state(history: list[Step]) -> None:
    log = _log_of(history)
    assert _fold(log) == _fold(log)


@given(HISTORIES)
def test_what_comes_twice_changes_nothing(history: list[Step]) -> None:
    log = _log_of(history)
    once = _fold(log)
    assert _fold([each for each in log for _ in range(2)]) == once

    again = _fold(log)
    assert set(fold_all(again, log)) <= {Folded.STALE, Folded.WAITS}
    assert again == once


@given(HISTORIES, st.integers(1, 30))
def test_a_batch_appended_again_changes_nothing(history: list[Step], size: int) -> None:
    """As a writer does that does not know which of its records were stored."""
    log = _log_of(history)
    batches = [log[at : at + size] for at in range(0, len(log), size)]
    assert _fold([each for batch in batches for each in (*batch[: size // 2 + 1], *batch)]) == _fold(log)


@given(HISTORIES, st.floats(0, 1))
def test_a_compacted_log_folds_to_the_same_state(history: list[Step], part: float) -> None:
    log = _log_of(history)
    cut = round(part * len(log))
    assert _fold(_compacted(log[:cut]) + log[cut:]) == _fold(log)
    assert _fold(_compacted(log)) == _fold(log)


@given(HISTORIES, st.integers(2, 40))
def test_records_in_batches_fold_as_one_by_one(history: list[Step], size: int) -> None:
    news = [read(each) for each in _log_of(history)]
    together, singly = Clusters("me", "", 1, {}), Clusters("me", "", 1, {})
    counted: Counter[tuple[str, Result]] = Counter()
    for each in news:
        counted.update(singly.fold([each], 1.0, live=False).results)
    for at in range(0, len(news), size):
        counted.subtract(together.fold(news[at : at + size], 1.0, live=False).results)
    assert together.by_name[CLUSTER].state == singly.by_name[CLUSTER].state
    assert not +counted
    assert not -counted


@given(HISTORIES)
def test_tombstones_that_expired_are_not_missed(history: list[Step]) -> None:
    log = _log_of(history)
    whole = _fold(log)
    assert whole.observed.poll is not None
    swept = (whole.observed.poll.epoch, whole.observed.poll.full_sequence or 0)
    kept = [
        each for each in _compacted(log) if each.value is not None or decode_stamp(dict(each.headers)["stamp"]) >= swept
    ]
    assert _fold(kept) == whole
