"""What a process begins with: the same as if everything had been folded, and much less of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.news import Undecodable
from controller.core.state import ClusterState
from controller.runtime.decoding import STILL_FELT_MS, read, thinned
from messages.codec import STAMP_HEADER, decode, encode
from messages.records import Observation
from messages.topics import Topic
from stream.entries import WRITER_HEADER, entry_of
from stream.log import Stored
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO, alias, dialer, phone, poll, session, stored
from tests.support.strategies import nearly_a_record

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
    assert (after.observed.agents, after.observed.dialers, after.observed.poll) == (
        whole.observed.agents,
        whole.observed.dialers,
        whole.observed.poll,
    )
    assert after.observed.aliases == whole.observed.aliases


def test_what_is_still_felt_is_folded_step_by_step() -> None:
    log = stored(entry_of(poll(dialer(ONE), sequence=sequence)) for sequence in (1, 2, 3))
    assert thinned(log, NOW_MS + STILL_FELT_MS - 1) == log
    assert thinned(log, NOW_MS + STILL_FELT_MS) == log[-1:]


@given(
    st.sampled_from(Topic),
    st.text(max_size=30),
    st.none() | st.binary(max_size=60) | nearly_a_record(),
    st.dictionaries(st.sampled_from([STAMP_HEADER, WRITER_HEADER, "else"]), st.binary(max_size=30)),
)
def test_whatever_the_log_holds_is_news_or_a_dead_letter(
    topic: Topic, key: str, value: bytes | None, headers: dict[str, bytes]
) -> None:
    news = read(Stored(topic, 1, 2, key, value, tuple(headers.items()), NOW_MS))
    if isinstance(news, Undecodable):
        assert (news.letter.topic, news.letter.partition, news.letter.offset) == (topic, 1, 2)
        assert decode(Topic.DEAD_LETTERS, encode(news.letter)) == news.letter


@pytest.mark.parametrize(
    ("topic", "headers"),
    [
        (Topic.OBSERVATIONS, ((STAMP_HEADER, b"1." + b"9" * 5000),)),
        (Topic.LOGINS, ((WRITER_HEADER, b"\xff"),)),
        (Topic.OBSERVATIONS, ((STAMP_HEADER, b"1.2"), (WRITER_HEADER, b"\xff"))),
    ],
)
def test_a_tombstone_with_odd_headers_is_a_dead_letter(topic: Topic, headers: tuple[tuple[str, bytes], ...]) -> None:
    assert isinstance(read(Stored(topic, 0, 0, f"{CLUSTER}/agent/1001", None, headers, NOW_MS)), Undecodable)
