"""Who waits for whom: a cluster that writes without end is followed less closely, and no other one notices."""

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.state import ClusterState
from controller.runtime.backlog import BUDGET, FEW, MOST, Backlog
from controller.runtime.decoding import read
from messages.records import Observation, Pause
from messages.topics import Topic
from stream.entries import entry_of
from stream.log import Stored
from tests.support.builders import CLUSTER, ONE, TWO, dialer, poll, session, stored

LOUD = "loud"


def polls(cluster: str, count: int, *, first: int = 1) -> list[Stored]:
    return [
        Stored(Topic.OBSERVATIONS, 0, number, f"{cluster}/agent/{number % 7}", b"", (), 0)
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
