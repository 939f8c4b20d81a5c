"""What a process that follows the log knows, and what it may say: only of what it owns, only when it is live, once."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.cluster import STALE_SECONDS
from controller.core.clusters import DEFAULT_POLICY, Clusters, FoldedBatch
from controller.core.dead_letters import MOST_AT_ONCE, MOST_WAITING, PER_SECONDS, DeadLetters
from controller.core.freshness import ANEW_SECONDS
from controller.core.news import News, Result, Undecodable
from controller.core.picks import Picked, PickRequest, Refused
from controller.core.policy import Policy
from messages.codec import decode, encode
from messages.codes import DecisionCode, NoPick
from messages.keys import KIND_AGENT
from messages.records import (
    DeadLetter,
    Decision,
    DialerState,
    Incident,
    LoginSlot,
    Outage,
    Pause,
    RankingSnapshot,
    Record,
)
from messages.topics import Key, Topic, partition_of
from stream.entries import end_of_observation, end_of_slot, entry_of
from stream.log import Entry
from tests.support.builders import (
    CLUSTER,
    NOW_MS,
    ONE,
    PARTITIONS,
    TWO,
    alias,
    arrived,
    dialer,
    phone,
    poll,
    session,
    slot,
    stored,
)

OWNED = frozenset({partition_of(CLUSTER, PARTITIONS)})
OTHERS = frozenset(range(PARTITIONS)) - OWNED
CATALOGUE = (phone("p1", ONE), phone("p2", TWO), alias("desk", "p1", "p2"))


def _clusters(*, owned: bool = True, name: str = "me") -> Clusters:
    clusters = Clusters(name, f"http://{name}:8080", PARTITIONS, {})
    clusters.own(OWNED if owned else OTHERS)
    return clusters


def _fold(clusters: Clusters, *each: Record | Entry, now: float = 0.0, live: bool = True) -> FoldedBatch:
    return clusters.fold(arrived(*each), now, live=live)


def _ready(*, owned: bool = True) -> Clusters:
    """Return a clusters that knows two dialers, and is live."""
    clusters = _clusters(owned=owned)
    _fold(clusters, *CATALOGUE, poll(dialer(ONE, 1), dialer(TWO)))
    return clusters


def _pick(clusters: Clusters, user: str = "1001", typed: str = "desk") -> tuple[LoginSlot, list[Entry]]:
    picked, entries = clusters.by_name[CLUSTER].pick(PickRequest(user, typed))
    assert isinstance(picked, Picked)
    return picked.slot, entries


def _records(entries: list[Entry]) -> list[Any]:
    """Return what entries say; a tombstone by its topic and key."""
    return [(each.topic, each.key) if each.value is None else decode(each.topic, each.value) for each in entries]


def _end(key: str) -> tuple[Topic, str]:
    return Topic.LOGINS, f"{CLUSTER}/user/{key}"


# --- ownership and snapshots ------------------------------------------------------------------------------------


def test_the_owners_snapshot_goes_out_with_each_poll() -> None:
    clusters = _clusters()
    for sequence in (1, 2):
        folded = _fold(
            clusters, session("1001", sequence=sequence), poll(dialer(ONE, 1), dialer(TWO), sequence=sequence)
        )
        (snapshot,) = _records(folded.entries)
        assert isinstance(snapshot, RankingSnapshot)
        assert (snapshot.epoch, snapshot.sequence) == (1, sequence)
        assert (snapshot.owner, snapshot.owner_url) == ("me", "http://me:8080")
        assert [each.server_ip for each in snapshot.dialers] == [TWO, ONE]
        assert folded.polled == {CLUSTER}
    assert _fold(clusters, session("1001", sequence=3)).entries == []


def test_nothing_is_said_about_what_is_not_owned() -> None:
    clusters = _clusters(owned=False)
    clusters.by_name.clear()
    _fold(clusters, slot("1001", until_ms=NOW_MS))
    folded = _fold(clusters, poll(dialer(ONE)), Entry(Topic.OBSERVATIONS, CLUSTER, b"no record"))
    assert folded.entries == []
    assert folded.polled == {CLUSTER}
    assert not clusters.by_name[CLUSTER].owned


def test_nothing_is_said_before_the_log_is_caught_up_with() -> None:
    clusters = _clusters()
    _fold(clusters, slot("1001", until_ms=NOW_MS), live=False)
    folded = _fold(clusters, poll(dialer(ONE)), Entry(Topic.OBSERVATIONS, CLUSTER, b"no record"), live=False)
    assert folded.entries == []
    assert clusters.by_name[CLUSTER].freshness.fresh_at is None


def test_a_cluster_that_changes_hands_is_decided_by_its_new_owner_alone() -> None:
    clusters = _ready()
    clusters.own(OTHERS)
    assert not clusters.by_name[CLUSTER].owned
    assert _fold(clusters, poll(dialer(ONE), sequence=2)).entries == []
    clusters.own(OWNED)
    assert clusters.by_name[CLUSTER].owned
    assert len(_fold(clusters, poll(dialer(ONE), sequence=3)).entries) == 1


def test_a_replica_knows_the_owner_from_its_snapshots() -> None:
    clusters = _clusters(owned=False)
    (entry,) = _fold(_clusters(name="owner"), poll(dialer(ONE))).entries
    _fold(clusters, poll(dialer(ONE)), entry)
    view = clusters.by_name[CLUSTER]
    assert view.state.published[1:] == ("owner", "http://owner:8080", False)
    assert view.snapshot().owner == "owner"


def test_a_snapshot_tells_of_an_outage() -> None:
    clusters = _ready()
    outage = Outage(cluster=CLUSTER, epoch=1, sequence=2, unreachable_since_ms=NOW_MS, collector="c1", why="it is away")
    assert _fold(clusters, outage).polled == set()
    assert clusters.by_name[CLUSTER].snapshot().outage_since_ms == NOW_MS


def test_each_cluster_has_its_own_policy() -> None:
    strict = Policy(max_agents=3)
    clusters = Clusters("me", "", PARTITIONS, {CLUSTER: strict})
    _fold(clusters, poll(dialer(ONE)), msgspec.structs.replace(poll(dialer(ONE)), cluster="east"))
    assert clusters.by_name[CLUSTER].policy is strict
    assert clusters.by_name["east"].policy is DEFAULT_POLICY


def test_what_is_forgotten_is_known_no_more() -> None:
    clusters = _ready()
    clusters.forget(OTHERS)
    assert list(clusters.by_name) == [CLUSTER]
    clusters.forget(OWNED)
    assert not clusters.by_name
    _fold(clusters, poll(dialer(ONE), sequence=9), live=False)
    assert list(clusters.by_name[CLUSTER].state.observed.dialers) == [ONE]


# --- staleness --------------------------------------------------------------------------------------------------


def test_a_cluster_is_stale_five_seconds_after_its_latest_poll() -> None:
    clusters = _clusters()
    _fold(clusters, poll(dialer(ONE)), now=100.0)
    view = clusters.by_name[CLUSTER]
    assert (view.age_seconds(103.0), view.stale(103.0)) == (3.0, False)
    assert not view.stale(100.0 + STALE_SECONDS)
    assert view.stale(100.1 + STALE_SECONDS)


def test_only_a_poll_makes_a_cluster_fresh() -> None:
    clusters = _clusters()
    _fold(clusters, poll(dialer(ONE)), now=100.0)
    _fold(clusters, session("1001", sequence=2), poll(dialer(ONE)), slot("1002"), now=200.0)
    assert clusters.by_name[CLUSTER].freshness.fresh_at == 100.0


def test_a_poll_that_waited_on_its_way_is_as_old_as_it_waited() -> None:
    clusters = _clusters()
    polled = [poll(sequence=n, at_ms=NOW_MS + 500 * n) for n in range(1, 60)]
    _fold(clusters, polled[0], now=100.0)
    view = clusters.by_name[CLUSTER]
    # Twenty seconds of polls wait somewhere and come at once: each is as old as it is.
    _fold(clusters, polled[2], now=121.0)
    assert view.stale(121.0)
    assert view.age_seconds(121.0) == pytest.approx(20.0, abs=0.5)
    _fold(clusters, polled[42], now=121.1)
    assert not view.stale(121.1)


def test_clocks_that_drift_apart_make_nothing_stale() -> None:
    clusters, ten_hours = _clusters(), 36_000
    for sequence in range(1, ten_hours // 10):
        observed_at_ms = NOW_MS + round(10_000 * sequence * 0.9999)
        late = poll(sequence=sequence, at_ms=observed_at_ms)
        _fold(clusters, late, now=100.0 + 10 * sequence)
    assert clusters.by_name[CLUSTER].age_seconds(100.0 + 10 * (ten_hours // 10 - 1)) == pytest.approx(0.0, abs=0.1)


def test_a_new_epochs_clock_is_its_own() -> None:
    clusters = _clusters()
    _fold(clusters, poll(dialer(ONE)), now=100.0)
    earlier = poll(epoch=2, at_ms=NOW_MS - 60_000)
    _fold(clusters, earlier, now=101.0)
    assert clusters.by_name[CLUSTER].age_seconds(101.0) == 0.0


def test_what_is_only_replayed_is_stale() -> None:
    clusters = _clusters()
    _fold(clusters, poll(dialer(ONE)), now=100.0, live=False)
    view = clusters.by_name[CLUSTER]
    assert view.age_seconds(100.0) is None
    assert view.stale(100.0)


# --- a log that began anew ----------------------------------------------------------------------------------------


def _polls(clusters: Clusters, epoch: int, first: int, count: int, *, began: float) -> list[frozenset[int]]:
    """Fold polls of an epoch, two a second, and return what is to be read again after each of them."""
    found = []
    for number in range(count):
        now = began + number * 0.5
        _fold(clusters, poll(dialer(ONE), epoch=epoch, sequence=first + number), now=now)
        found.append(clusters.to_read_again(now))
    return found


def test_a_log_whose_polls_are_all_older_than_what_is_known_is_read_again_once() -> None:
    clusters = _clusters()
    assert not any(_polls(clusters, 57, 1, 4, began=0.0))
    found = _polls(clusters, 1, 1, 200, began=10.0)
    assert [number for number, each in enumerate(found) if each] == [round(ANEW_SECONDS / 0.5)]
    assert OWNED in found
    clusters.forget(OWNED)
    _fold(clusters, poll(dialer(ONE), epoch=1, sequence=300), now=200.0)
    assert clusters.by_name[CLUSTER].state.observed.stamp == (1, 300)


def test_a_former_leader_that_goes_on_beside_the_new_one_has_nothing_read_again() -> None:
    clusters = _clusters()
    for second in range(100):
        assert not any(_polls(clusters, 1, 1 + second, 1, began=float(second)))
        assert not any(_polls(clusters, 2, 1 + second, 1, began=second + 0.5))


def test_one_late_poll_of_a_former_leader_has_nothing_read_again() -> None:
    clusters = _clusters()
    _polls(clusters, 2, 1, 4, began=0.0)
    _fold(clusters, poll(dialer(ONE)), now=3.0)
    assert not any(clusters.to_read_again(3.0 + second) for second in range(100))


# --- slots ------------------------------------------------------------------------------------------------------


def test_a_new_slot_is_told_once() -> None:
    clusters = _ready()
    held, entries = _pick(clusters)
    assert _records(entries) == [held]
    assert _pick(clusters) == (held, [])


def test_a_slot_given_back_is_told() -> None:
    clusters = _ready()
    held, _ = _pick(clusters)
    assert clusters.by_name[CLUSTER].state.decided.slots.of("1001") == held
    assert _records(clusters.by_name[CLUSTER].release("1001")) == [_end("1001")]
    assert clusters.by_name[CLUSTER].release("1001") == []


def test_a_slot_lost_without_another_in_its_place_is_told() -> None:
    """Or the others would count it, and a new owner would, for another half minute."""
    clusters = _ready()
    _pick(clusters)
    _fold(clusters, poll(dialer(ONE, active=False), dialer(TWO, active=False), sequence=2))
    refused, entries = clusters.by_name[CLUSTER].pick(PickRequest("1001", "desk"))
    assert isinstance(refused, Refused)
    assert refused.why is NoPick.NO_DIALER
    assert _records(entries) == [_end("1001")]
    refused, entries = clusters.by_name[CLUSTER].pick(PickRequest("1001", "desk"))
    assert isinstance(refused, Refused)
    assert entries == []


def test_slots_that_a_poll_ends_get_their_tombstones() -> None:
    clusters = _ready()
    _pick(clusters, "1001")
    _pick(clusters, "1002")
    folded = _fold(clusters, session("1001", TWO, sequence=2), poll(dialer(ONE, 1), dialer(TWO, 1), sequence=2))
    (login,) = [each for each in _records(folded.entries) if isinstance(each, LoginSlot)]
    assert (login.user, login.used_by) == ("1001", 1)
    assert _end("1002") not in _records(folded.entries)
    folded = _fold(clusters, poll(dialer(ONE, 1), dialer(TWO, 1), sequence=3, at_ms=NOW_MS + 30_000))
    assert _end("1002") in _records(folded.entries)
    folded = _fold(
        clusters,
        end_of_observation(Key(CLUSTER, KIND_AGENT, "1001"), 1, 4),
        poll(dialer(ONE), dialer(TWO), sequence=4, at_ms=NOW_MS + 30_500),
    )
    assert _end("1001") in _records(folded.entries)


def test_a_replica_ends_slots_for_itself_and_tells_nobody() -> None:
    clusters = _ready(owned=False)
    _fold(clusters, slot("1001"))
    folded = _fold(clusters, poll(dialer(ONE), sequence=2, at_ms=NOW_MS + 30_000))
    assert folded.entries == []
    assert len(clusters.by_name[CLUSTER].state.decided.slots) == 0


def test_others_slots_are_taken_and_ended_as_the_log_says() -> None:
    clusters = _ready()
    theirs = slot("1001", ONE, by="replica")
    _fold(clusters, theirs)
    slots = clusters.by_name[CLUSTER].state.decided.slots
    assert list(slots) == [theirs]
    _fold(clusters, end_of_slot(theirs, "replica"))
    assert list(slots) == []


def test_own_news_coming_back_changes_nothing() -> None:
    """A slot given back must not be taken again because the log only now says that it was handed out."""
    clusters = _ready()
    held, told = _pick(clusters)
    ended = clusters.by_name[CLUSTER].release("1001")
    _fold(clusters, *told)
    slots = clusters.by_name[CLUSTER].state.decided.slots
    assert list(slots) == []

    newer, _ = _pick(clusters)
    _fold(clusters, *ended)
    assert list(slots) == [newer]
    assert held.user == newer.user


def test_the_end_of_a_reservation_is_taken_in_though_the_answer_to_its_commit_was_lost() -> None:
    clusters = Clusters("me", "", PARTITIONS, {CLUSTER: Policy(acts=True)})
    clusters.own(OWNED)
    _fold(clusters, *CATALOGUE, poll(dialer(ONE, 1), dialer(TWO)))
    reserved = msgspec.structs.replace(slot("1001", by="me"), planned=True, replaces=7)
    ended = msgspec.structs.replace(reserved, planned=False, until_ms=NOW_MS)
    _fold(clusters, reserved)
    slots = clusters.by_name[CLUSTER].state.decided.slots
    assert list(slots) == [reserved]
    _fold(clusters, ended)
    assert list(slots) == [ended]


def test_after_a_restart_own_slots_are_learnt_from_the_log() -> None:
    first = _ready()
    held, told = _pick(first)
    again = _clusters()
    _fold(again, *CATALOGUE, poll(dialer(ONE, 1), dialer(TWO)), *told, live=False)
    assert list(again.by_name[CLUSTER].state.decided.slots) == [held]
    assert _pick(again) == (held, [])


# --- dead letters -----------------------------------------------------------------------------------------------

BROKEN = Entry(Topic.OBSERVATIONS, CLUSTER, b'{"record": "poll"')


def test_what_cannot_be_decoded_becomes_a_dead_letter() -> None:
    folded = _clusters().fold(arrived(BROKEN, offset=42), 0.0, live=True)
    (letter,) = _records(folded.entries)
    assert isinstance(letter, DeadLetter)
    assert (letter.cluster, letter.topic, letter.offset, letter.key) == (CLUSTER, Topic.OBSERVATIONS, 42, CLUSTER)
    assert {letter.partition} == OWNED
    assert "JSON" in letter.why
    assert folded.results == {("", Result.DEAD): 1}  # of a cluster that nobody knows


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Topic.OBSERVATIONS, CLUSTER, b""),
        Entry(Topic.OBSERVATIONS, CLUSTER, b"\xff\xfe"),
        Entry(Topic.OBSERVATIONS, CLUSTER, b"[]"),
        Entry(Topic.OBSERVATIONS, CLUSTER, encode(slot("1001"))),
        Entry(Topic.OBSERVATIONS, CLUSTER, b'{"record":"poll","schema_version":99}'),
        Entry(Topic.OBSERVATIONS, f"{CLUSTER}/agent/1001", None),
        Entry(Topic.OBSERVATIONS, f"{CLUSTER}/agent/1001", None, (("stamp", b"yesterday"),)),
        Entry(Topic.LOGINS, f"{CLUSTER}/user/1001", None, (("by", b"\xff"),)),
    ],
)
def test_nothing_undecodable_stops_the_fold(entry: Entry) -> None:
    clusters = _ready()
    folded = _fold(clusters, entry, poll(dialer(ONE, 5), dialer(TWO), sequence=2))
    assert {type(each) for each in _records(folded.entries)} == {RankingSnapshot, DeadLetter}
    assert clusters.by_name[CLUSTER].state.observed.stamp == (1, 2)


def test_a_dead_letter_is_written_once() -> None:
    clusters = _clusters()
    (letter,) = _fold(clusters, BROKEN).entries
    assert _fold(clusters, BROKEN).entries == []
    assert _fold(clusters, letter).entries == []
    assert _fold(clusters, BROKEN).entries == []


@pytest.mark.parametrize("letter_first", [False, True])
def test_after_a_replay_no_dead_letter_is_written_again(letter_first: bool) -> None:
    """The two are in different topics, so a replay may read either of them first."""
    (letter,) = _fold(_clusters(), BROKEN).entries
    clusters = _clusters()
    replayed = [*arrived(BROKEN), *arrived(letter)]
    clusters.fold(replayed[::-1] if letter_first else replayed, 0.0, live=False)
    assert _fold(clusters, poll(dialer(ONE))).entries == [entry_of(clusters.by_name[CLUSTER].snapshot())]


def test_what_nobody_reported_is_reported_by_who_owns_it_next() -> None:
    clusters = _clusters(owned=False)
    assert _fold(clusters, BROKEN).entries == []
    clusters.own(OWNED)
    assert [type(each) for each in _records(_fold(clusters, session("1001")).entries)] == [DeadLetter]
    assert _fold(clusters, session("1002")).entries == []


def _garbage(first: int, count: int) -> list[News]:
    return arrived(*[Entry(Topic.OBSERVATIONS, CLUSTER, b"not a record")] * count, offset=first)


def test_of_a_flood_of_dead_letters_the_first_are_written_and_the_others_at_their_pace() -> None:
    clusters, written, counted = _clusters(), [], 0
    for second in range(60):
        folded = clusters.fold(_garbage(300 * second, 300), float(second), live=True)
        written += _records(folded.entries)
        counted += folded.results["", Result.DEAD]
    assert counted == 60 * 300
    assert [each.offset for each in written] == list(range(MOST_AT_ONCE * 6))


def test_what_a_flood_leaves_in_memory_has_a_bound_where_nobody_reports_it() -> None:
    letters = DeadLetters()
    for news in _garbage(0, 10 * MOST_WAITING):
        assert isinstance(news, Undecodable)
        letters.keep(news.letter)
    assert len(letters) == MOST_WAITING
    assert letters.to_report(OTHERS, 0.0) == []
    assert len(letters.to_report(OWNED, 0.0)) == MOST_AT_ONCE
    assert letters.to_report(OWNED, PER_SECONDS / 2) == []


def test_results_are_counted_by_cluster() -> None:
    clusters = _ready()
    folded = _fold(
        clusters,
        session("1001", sequence=2),
        end_of_observation(Key(CLUSTER, KIND_AGENT, "1002"), 1, 2),
        session("1001"),
        BROKEN,
        msgspec.structs.replace(session("1001"), cluster="east"),
    )
    assert folded.results == {
        (CLUSTER, Result.FOLDED): 2,
        (CLUSTER, Result.STALE): 1,
        (CLUSTER, Result.DEAD): 1,
        ("east", Result.FOLDED): 1,
    }


def test_a_dead_letter_keeps_the_key_and_the_bytes() -> None:
    (before,) = stored([Entry(Topic.OBSERVATIONS, f"{CLUSTER}/agent/Ünal", b"\x00\xff")])
    (letter,) = _records(_fold(_clusters(), Entry(before.topic, before.key, before.value)).entries)
    assert letter.key == before.key
    assert letter.value_base64 == "AP8="


def test_decisions_that_come_once_more_are_known_already() -> None:
    clusters = _clusters()
    made = [
        Decision(code=DecisionCode.MOVE_PLANNED, cluster=CLUSTER, at_ms=NOW_MS, actor="c", what=f"w{at}", why="")
        for at in range(3)
    ]
    for _ in range(2):
        clusters.fold(arrived(*made), 0.0, live=False)
    assert CLUSTER not in clusters.by_name, "nothing else is known of it, now or any more"
    clusters.fold(arrived(poll(dialer(ONE))), 0.0, live=False)
    clusters.fold(arrived(made[0]), 0.0, live=True)
    assert [each.what for each in clusters.by_name[CLUSTER].decisions] == ["w0", "w1", "w2", "w0"]


# --- forgetting -------------------------------------------------------------------------------------------------

OBSERVED = entry_of(poll(dialer(ONE)))
RANKED = entry_of(
    RankingSnapshot(
        cluster=CLUSTER,
        epoch=1,
        sequence=1,
        observed_at_ms=NOW_MS,
        owner="a",
        owner_url="",
        dialers=(),
        imbalance=None,
        outage_since_ms=None,
    )
)
PAUSED = entry_of(Pause(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="ann"))
OPENED = entry_of(
    Incident(
        cluster=CLUSTER,
        incident="i",
        server_ip=ONE,
        kind=DialerState.DOWN,
        opened_at_ms=NOW_MS,
        why="",
        confirmed=False,
        in_maintenance=False,
        by="a",
    )
)
HELD = entry_of(slot("1001"))
ENDS = {
    each.topic: end_of_observation(Key(CLUSTER), 1, 1) if each is OBSERVED else Entry(each.topic, each.key, None)
    for each in (OBSERVED, RANKED, PAUSED, OPENED, HELD)
}


@given(st.permutations([OBSERVED, RANKED, PAUSED, OPENED, HELD]), st.booleans())
def test_a_cluster_is_forgotten_once_all_topics_say_so_in_whatever_order_they_are_read(
    order: list[Entry], at_once: bool
) -> None:
    clusters = _clusters(owned=False)
    if at_once:
        for each in order:
            _fold(clusters, each, ENDS[each.topic])
    else:
        _fold(clusters, *order)
        for number, each in enumerate(order):
            assert CLUSTER in clusters.by_name, f"{len(order) - number} topics still tell of it"
            _fold(clusters, ENDS[each.topic])
    assert clusters.by_name == {}


def test_what_people_ordered_of_a_cluster_that_comes_back_is_not_lost_however_its_topics_are_read() -> None:
    clusters = _clusters(owned=False)
    _fold(clusters, PAUSED, live=False)
    _fold(clusters, OBSERVED, ENDS[Topic.OBSERVATIONS], OBSERVED, live=False)
    assert clusters.by_name[CLUSTER].state.decided.orders.pause is not None


# --- a newer hotdesk --------------------------------------------------------------------------------------------


def _by_a_newer(entry: Entry) -> Entry:
    assert entry.value is not None
    return msgspec.structs.replace(entry, value=entry.value.replace(b'"schema_version":1', b'"schema_version":2'))


@pytest.mark.parametrize("end", [PAUSED, Entry(Topic.ORDERS, str(Key(CLUSTER, "pause")), None)], ids=["again", "end"])
def test_what_a_newer_hotdesk_decided_counts_until_something_readable_takes_its_place(end: Entry) -> None:
    clusters = _clusters()
    _fold(clusters, _by_a_newer(PAUSED), poll(dialer(ONE)))
    assert clusters.outdated_in(OWNED)
    assert not clusters.outdated_in(OTHERS)
    _fold(clusters, end)
    assert not clusters.outdated_in(OWNED)
    _fold(clusters, _by_a_newer(PAUSED))
    clusters.forget(OWNED)
    assert not clusters.outdated_in(OWNED)


def test_what_a_newer_hotdesk_saw_keeps_nobody_from_deciding() -> None:
    clusters = _clusters()
    _fold(clusters, *map(_by_a_newer, map(entry_of, (poll(dialer(ONE)), slot("1001", until_ms=NOW_MS)))))
    assert not clusters.outdated_in(OWNED)


def test_an_end_that_is_older_than_the_latest_poll_ends_nothing() -> None:
    clusters = _clusters(owned=False)
    _fold(clusters, OBSERVED, entry_of(poll(dialer(ONE), sequence=2)), ENDS[Topic.OBSERVATIONS])
    assert clusters.by_name[CLUSTER].state.observed.stamp == (1, 2)


def test_in_the_very_batch_that_shows_a_newer_hotdesk_nothing_is_decided() -> None:
    clusters = _ready()
    newer = Entry(
        Topic.ORDERS, f"{CLUSTER}/pause", (PAUSED.value or b"").replace(b'"schema_version":1', b'"schema_version":9')
    )
    folded = _fold(clusters, newer, entry_of(poll(dialer(ONE), sequence=2)))
    assert folded.polled == {CLUSTER}
    assert not [each for each in folded.entries if each.topic is not Topic.DEAD_LETTERS]
