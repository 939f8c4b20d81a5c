"""Who waits for whom: a cluster that writes without end is followed less closely, and no other one notices."""

from collections.abc import Iterable, Iterator
from itertools import cycle, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.news import Stamp, Undecodable
from controller.core.observed import Folded
from controller.core.state import ClusterState
from controller.runtime.backlog import BUDGET, FEW, MOST, Backlog
from controller.runtime.decoding import read
from messages.keys import key_of
from messages.records import Observation, Pause
from messages.topics import Topic
from stream.entries import end_of_observation, entry_of
from stream.log import MAX_POLL_RECORDS, Entry, Stored
from tests.support.builders import CLUSTER, ONE, TWO, dialer, poll, session, stored

LOUD = "loud"


def polls(cluster: str, count: int, *, first: int = 1) -> list[Stored]:
    return [
        Stored(Topic.OBSERVATIONS, 0, number, f"{cluster}/agent/{number % 7}", b"%d" % number, (), 0)
        for number in range(first, first + count)
    ]


def test_records_come_out_as_they_came_in_where_nobody_is_loud() -> None:
    backlog = Backlog()
    records = polls("east", 30) + polls("west", 20)
    backlog.put(records)
    assert backlog.turn() == (records, {})
    assert len(backlog) == 0
    assert backlog.turn() == ([], {})


def test_a_loud_cluster_takes_no_more_than_its_share_of_a_turn() -> None:
    backlog = Backlog()
    backlog.put(polls(LOUD, FEW))
    backlog.put(polls("west", 20))
    taken, _ = backlog.turn()
    assert [each.offset for each in taken if each.key.startswith(LOUD)] == list(range(1, BUDGET + 1))
    assert [each.offset for each in taken if each.key.startswith("west")] == list(range(1, 21))
    taken, _ = backlog.turn()
    assert [each.offset for each in taken] == list(range(BUDGET + 1, FEW + 1))


def test_what_waits_of_a_loud_cluster_stays_little_however_long_it_is_loud() -> None:
    backlog = Backlog()
    passed_over = 0
    folded = 0
    for round_ in range(100):
        backlog.put(polls(LOUD, 5 * BUDGET, first=1 + 5 * BUDGET * round_))
        taken, superseded = backlog.turn()
        folded += len(taken)
        passed_over += superseded.get(LOUD, 0)
        assert len(backlog) <= FEW
    assert folded + passed_over + len(backlog) == 100 * 5 * BUDGET
    assert taken[-1].offset == 100 * 5 * BUDGET, "the newest was not passed over"


def test_what_nothing_supersedes_is_never_left_out() -> None:
    backlog = Backlog()
    orders = [Stored(Topic.ORDERS, 0, number, f"{LOUD}/pause", b"", (), 0) for number in range(MOST + 1)]
    backlog.put(orders)
    assert backlog.turn() == (orders, {LOUD: 0})


def test_clusters_that_are_not_followed_any_more_are_forgotten() -> None:
    backlog = Backlog()
    backlog.put(polls("east", 3) + polls("west", 4))
    backlog.forget(lambda cluster: cluster == "east")
    assert len(backlog) == 4


def folded(records: list[Observation]) -> ClusterState:
    """Fold what a backlog with a budget of two leaves of these records, all of which wait together."""
    backlog, state = Backlog(budget=2), ClusterState(CLUSTER)
    backlog.put(stored(map(entry_of, records)))
    while backlog:
        for news in map(read, backlog.turn()[0]):
            assert isinstance(news, Observation)
            state.fold(news)
    return state


def test_a_poll_is_folded_with_what_it_says_though_the_next_one_has_begun_to_supersede_it() -> None:
    moved, again = session("1001", TWO, sequence=2), session("1001", ONE, sequence=3)
    others = [session(str(user), ONE, sequence=1) for user in range(1001, 1004)]
    first, second = poll(dialer(ONE, 3), sequence=1), poll(dialer(ONE, 2), dialer(TWO, 1), sequence=2)
    state = folded([*others, first, moved, second, again])
    assert (state.observed.stamp, state.observed.agents["1001"].server_ip) == ((1, 2), TWO)


def test_what_a_former_collector_published_late_supersedes_nothing() -> None:
    news, late = session("1001", TWO, epoch=2, sequence=1), session("1001", ONE, epoch=1, sequence=9)
    others = [session(str(user), ONE, epoch=2, sequence=1) for user in range(1002, 1004)]
    closing = poll(dialer(ONE, 2), dialer(TWO, 1), epoch=2, sequence=1)
    state = folded([news, *others, late, closing])
    assert (state.observed.stamp, state.observed.agents["1001"].server_ip) == ((2, 1), TWO)


def test_what_comes_again_after_the_poll_that_closed_it_is_folded_with_that_poll() -> None:
    # as after an append whose answer was lost: all of it is appended again, and is read in part
    sessions = [session(str(user), ONE, sequence=1) for user in range(1001, 1004)]
    state = folded([*sessions, poll(dialer(ONE, 3), sequence=1), *sessions[:2]])
    assert sorted(state.observed.agents) == ["1001", "1002", "1003"]


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(FEW // 4 + 1, FEW))
def test_a_cluster_that_was_too_loud_ends_in_the_same_state(users: int, count: int) -> None:
    records: list[Observation | Pause] = []
    for sequence in range(1, count + 1):
        records += [
            session(str(user), ONE, number=sequence, sequence=sequence) for user in range(sequence % 3, users, 9)
        ]
        records.append(poll(dialer(ONE, users), sequence=sequence))
    log = stored(map(entry_of, records))
    backlog, state, whole = Backlog(), ClusterState(CLUSTER), ClusterState(CLUSTER)
    backlog.put(log)
    while backlog:
        for news in map(read, backlog.turn()[0]):
            assert isinstance(news, Observation)
            state.fold(news)
    for news in map(read, log):
        assert isinstance(news, Observation)
        whole.fold(news)
    assert state == whole


Places = dict[str, str]
"""Where each agent is at one poll."""


def told(places: list[Places], new_epochs: set[int]) -> list[Stored]:
    """Return what a collector publishes: what changed with each poll, and all of it when an epoch begins."""
    entries: list[Entry] = []
    before: Places = {}
    epoch, sequence = 1, 0
    for number, now in enumerate(places):
        if number in new_epochs:
            epoch, sequence, before = epoch + 1, 0, {}
        sequence += 1
        gone = [user for user in before if user not in now]
        entries += [end_of_observation(key_of(session(user)), epoch, sequence) for user in gone]
        changed = [user for user in now if before.get(user) != now[user]]
        entries += [entry_of(session(user, now[user], sequence=sequence, epoch=epoch)) for user in changed]
        on = [dialer(ip, sum(at == ip for at in now.values())) for ip in (ONE, TWO)]
        entries.append(entry_of(poll(*on, sequence=sequence, epoch=epoch, full=1)))
        before = now
    return stored(entries)


def each_poll(pieces: Iterable[list[Stored]]) -> Iterator[tuple[Stamp, object]]:
    """Fold, and return what is known whenever a poll is closed."""
    state = ClusterState(CLUSTER)
    for piece in pieces:
        for news in map(read, piece):
            assert not isinstance(news, Undecodable)
            if state.fold(news) is Folded.POLL:
                yield state.observed.stamp, (dict(state.observed.agents), dict(state.observed.dialers))


def in_turns(log: list[Stored], sizes: Iterator[int], budget: int) -> Iterator[list[Stored]]:
    """Read a log in pieces of these sizes, and return what a backlog gives after each of them."""
    backlog, at = Backlog(budget), 0
    while at < len(log):
        size = next(sizes)
        backlog.put(log[at : at + size])
        at += size
        yield backlog.turn()[0]
    while backlog:
        yield backlog.turn()[0]


def is_folded_whole(log: list[Stored], sizes: Iterator[int], budget: int) -> int:
    """Compare what is known at each poll with the plain fold, and return how many polls were folded."""
    plain = dict(each_poll([log]))
    found = dict(each_poll(in_turns(log, sizes, budget)))
    assert all(known == plain[stamp] for stamp, known in found.items())
    assert max(found) == max(plain)
    return len(found)


@settings(max_examples=100)
@given(
    places=st.lists(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([ONE, TWO])), min_size=1, max_size=30),
    new_epochs=st.sets(st.integers(1, 30), max_size=3),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    budget=st.integers(1, 12),
)
def test_every_poll_that_is_folded_is_folded_whole(
    places: list[Places], new_epochs: set[int], sizes: list[int], budget: int
) -> None:
    is_folded_whole(told(places, new_epochs), cycle(sizes), budget)


@pytest.mark.parametrize("size", [700, FEW, MAX_POLL_RECORDS + 350])
def test_a_poll_of_a_large_cluster_that_is_read_in_part_is_folded_whole(size: int) -> None:
    users = [str(1000 + number) for number in range(700)]
    places = [dict.fromkeys(users, (ONE, TWO)[number % 2]) for number in range(12)]
    assert is_folded_whole(told(places, set()), repeat(size), BUDGET) <= len(places)
