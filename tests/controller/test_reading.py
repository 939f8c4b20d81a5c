"""What a process begins with: the same as if everything had been folded, and much less of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.reading import STILL_FELT_MS, read, thinned
from controller.state import ClusterState
from messages.records import Observation
from stream.log import Stored
from stream.writing import entry_of
from tests.making import CLUSTER, NOW_MS, ONE, TWO, alias, dialer, phone, poll, session, stored

LATER_MS = NOW_MS + 10 * STILL_FELT_MS
USERS = ("1001", "1002", "1003")


def fold(log: list[Stored]) -> ClusterState:
    state = ClusterState(CLUSTER)
    for news in map(read, log):
        assert isinstance(news, Observation)
        state.fold(news)
    return state


@settings(max_examples=100)
@given(st.lists(st.lists(st.sampled_from(USERS), max_size=3, unique=True), min_size=1, max_size=12), st.integers(1, 20))
def test_a_history_without_its_superseded_polls_folds_to_the_same(polls: list[list[str]], size: int) -> None:
    records: list[Observation] = [phone("p1"), alias("desk", "p1")]
    for sequence, users in enumerate(polls, start=1):
        records += [session(user, ONE, number=sequence, sequence=sequence) for user in users]
        records.append(poll(dialer(ONE, len(users)), dialer(TWO), sequence=sequence))
    log = stored(map(entry_of, records))
    batches = [log[at : at + size] for at in range(0, len(log), size)]
    kept = [each for batch in batches for each in thinned(batch, LATER_MS)]
    assert len([each for each in kept if each.key == CLUSTER]) <= len(batches)
    after, whole = fold(kept), fold(log)
    assert (after.agents, after.dialers, after.poll) == (whole.agents, whole.dialers, whole.poll)
    assert after.aliases == whole.aliases


def test_what_is_still_felt_is_folded_step_by_step() -> None:
    log = stored(entry_of(poll(dialer(ONE), sequence=sequence)) for sequence in (1, 2, 3))
    assert thinned(log, NOW_MS + STILL_FELT_MS - 1) == log
    assert thinned(log, NOW_MS + STILL_FELT_MS) == log[-1:]
