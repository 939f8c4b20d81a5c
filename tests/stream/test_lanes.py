"""What is appended next: who waits for whom, what is kept, and in what order it is stored."""

from collections.abc import Sequence
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.topics import Topic
from stream import lanes
from stream.lanes import LANE_BOUND, MOST_RETRY_SECONDS, PAUSE_SECONDS, Batch, Lanes, Waiting
from stream.log import Entry, LogError, LogRefusedError, LogUnavailableError


def entry(topic: Topic, key: str, value: int = 0) -> Entry:
    return Entry(topic, key, b"%d" % value)


class Scene:
    """Lanes, and a log that stores what a test does not have it refuse."""

    def __init__(self, bound: int = 100) -> None:
        self.now = 100.0
        self.lanes = Lanes(bound, lambda: 0.0)
        self.stored: list[Entry] = []

    def put(self, *entries: Entry) -> None:
        self.lanes.put(map(Waiting, entries), self.now)

    def take(self) -> Batch:
        batch = self.lanes.next_batch(self.now)
        assert batch is not None
        return batch

    def store(self, batch: Batch) -> None:
        self.stored += [each.entry for each in batch.records]
        self.lanes.settle(batch, None, self.now)

    def fail(self, batch: Batch, error: Exception | None = None, at_fault: Sequence[Entry] = ()) -> list[str]:
        error = error or LogUnavailableError("nobody answers")
        if isinstance(error, LogError):
            error.at_fault = at_fault
        return self.lanes.settle(batch, error, self.now)

    def store_all(self) -> None:
        """Let time pass until nothing waits."""
        while len(self.lanes):
            if (batch := self.lanes.next_batch(self.now)) is not None:
                self.store(batch)
            else:
                due = self.lanes.next_at()
                assert due is not None
                self.now = max(self.now, due)


def fails(scene: Scene) -> bool:
    return scene.lanes.failing


def values(entries: Sequence[Entry], topic: Topic, cluster: str) -> list[int]:
    return [int(each.value or b"") for each in entries if each.topic is topic and each.key.split("/")[0] == cluster]


def test_of_a_ranking_only_the_newest_is_kept() -> None:
    scene = Scene()
    scene.put(*(entry(Topic.RANKINGS, key, number) for number in range(50) for key in ("west", "east")))
    assert len(scene.lanes) == 2
    scene.store_all()
    assert sorted(scene.stored, key=str) == [entry(Topic.RANKINGS, key, 49) for key in ("east", "west")]


def test_a_ranking_that_comes_while_another_is_being_stored_is_stored_after_it() -> None:
    scene = Scene()
    scene.put(entry(Topic.RANKINGS, "west", 1))
    batch = scene.take()
    scene.put(entry(Topic.RANKINGS, "west", 2), entry(Topic.RANKINGS, "west", 3))
    scene.store(batch)
    scene.store_all()
    assert values(scene.stored, Topic.RANKINGS, "west") == [1, 3]


def test_every_observation_is_kept_in_order() -> None:
    scene = Scene()
    scene.put(*(entry(Topic.OBSERVATIONS, "west", number) for number in range(9)))
    scene.fail(scene.take())
    scene.put(entry(Topic.OBSERVATIONS, "west", 9))
    scene.store_all()
    assert values(scene.stored, Topic.OBSERVATIONS, "west") == list(range(10))


def test_a_topic_that_refuses_holds_no_other_up() -> None:
    scene = Scene()
    scene.put(entry(Topic.RANKINGS, "west"), entry(Topic.OBSERVATIONS, "west"))
    batches = [scene.take(), scene.take()]
    assert {each.topic for each in batches} == {Topic.RANKINGS, Topic.OBSERVATIONS}
    (refused,) = (each for each in batches if each.topic is Topic.RANKINGS)
    assert scene.fail(refused) == ["west"]
    (other,) = (each for each in batches if each is not refused)
    scene.store(other)
    scene.now += PAUSE_SECONDS
    scene.put(entry(Topic.OBSERVATIONS, "west"))
    assert scene.take().topic is Topic.OBSERVATIONS
    assert not scene.lanes.failing, "observations go on"


def test_a_cluster_whose_records_fail_holds_no_other_up() -> None:
    scene = Scene()
    bad = entry(Topic.OBSERVATIONS, "bad")
    scene.put(bad, entry(Topic.OBSERVATIONS, "west"))
    assert scene.fail(scene.take(), at_fault=[bad]) == ["bad"]
    scene.now += PAUSE_SECONDS
    scene.store(scene.take())
    assert values(scene.stored, Topic.OBSERVATIONS, "west") == [0]
    scene.now += MOST_RETRY_SECONDS
    again = scene.take()
    assert again.retries
    scene.put(entry(Topic.OBSERVATIONS, "west"))
    assert [each.entry.key for each in scene.take().records] == ["west"], "even while the other is tried again"
    assert scene.fail(again) == [], "it was said before"


def test_what_failed_is_tried_again_after_growing_pauses() -> None:
    scene = Scene()
    scene.put(entry(Topic.OBSERVATIONS, "west"))
    pauses = []
    for _ in range(8):
        scene.fail(scene.take())
        due = scene.lanes.next_at()
        assert due is not None
        pauses.append(round(due - scene.now, 2))
        assert scene.lanes.next_batch(scene.now) is None
        scene.now = due
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert scene.lanes.mended[Topic.OBSERVATIONS, "west"] == 0
    scene.store(scene.take())
    assert scene.lanes.mended[Topic.OBSERVATIONS, "west"] == 1


def test_orders_go_first_and_whoever_waits_is_told() -> None:
    scene = Scene()
    scene.put(*(entry(topic, "west") for topic in Topic if topic is not Topic.ORDERS))
    told: Future[None] = Future()
    scene.lanes.put([Waiting(entry(Topic.ORDERS, "west/pause"), told)], scene.now)
    batch = scene.take()
    assert batch.topic is Topic.ORDERS
    assert not told.done()
    scene.store(batch)
    assert told.result(0) is None


def test_an_order_that_was_given_up_is_not_stored() -> None:
    scene = Scene()
    told: Future[None] = Future()
    scene.lanes.put([Waiting(entry(Topic.ORDERS, "west/pause"), told)], scene.now)
    scene.fail(scene.take())
    told.cancel()
    scene.now += MOST_RETRY_SECONDS
    assert scene.lanes.next_batch(scene.now) is None
    assert len(scene.lanes) == 0


def test_an_order_that_the_log_refuses_is_answered_so_and_not_tried_again() -> None:
    scene = Scene()
    told: Future[None] = Future()
    scene.put(entry(Topic.ORDERS, "west/move/1001"))
    scene.lanes.put([Waiting(entry(Topic.ORDERS, "west/pause"), told)], scene.now)
    scene.fail(scene.take(), LogRefusedError("no such topic"))
    assert isinstance(told.exception(0), LogRefusedError)
    assert len(scene.lanes) == 1, "what nobody waits for is tried again"
    told = Future()
    scene.lanes.put([Waiting(entry(Topic.ORDERS, "west/pause"), told)], scene.now)
    scene.store(scene.take())
    assert told.done(), "a new order does not wait until the old failure is forgotten"


def test_at_the_bound_only_observations_are_kept() -> None:
    scene = Scene(bound=10)
    scene.put(*(entry(Topic.OBSERVATIONS, "west", number) for number in range(20)))
    scene.put(*(entry(Topic.AUDIT, "west", number) for number in range(LANE_BOUND + 3)))
    assert scene.lanes.lengths()[Topic.OBSERVATIONS] == 20
    assert scene.lanes.lengths()[Topic.AUDIT] == LANE_BOUND
    assert scene.lanes.dropped == {Topic.AUDIT: 3}
    scene.store_all()
    assert values(scene.stored, Topic.AUDIT, "west") == list(range(3, LANE_BOUND + 3))


def test_a_cluster_that_fills_the_queue_leaves_the_others_their_share() -> None:
    scene = Scene(bound=10)
    scene.put(*(entry(Topic.OBSERVATIONS, "bad") for _ in range(10)))
    assert scene.lanes.full("bad")
    assert not scene.lanes.full("west")
    scene.put(*(entry(Topic.OBSERVATIONS, "west") for _ in range(4)))
    assert not scene.lanes.full("west")
    scene.put(entry(Topic.OBSERVATIONS, "west"))
    assert scene.lanes.full("west")


def test_a_crowd_of_clusters_shares_an_append(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BATCH", 10)
    scene = Scene()
    scene.put(*(entry(Topic.OBSERVATIONS, "loud", number) for number in range(30)))
    scene.put(*(entry(Topic.OBSERVATIONS, "quiet", number) for number in range(3)))
    first = [each.entry for each in scene.take().records]
    assert len(values(first, Topic.OBSERVATIONS, "loud")) == 5
    assert len(values(first, Topic.OBSERVATIONS, "quiet")) == 3


_PLACES = st.sampled_from(
    [(topic, key) for topic in (Topic.OBSERVATIONS, Topic.RANKINGS, Topic.ORDERS) for key in ("a", "a/b/1", "c")]
)


@given(st.lists(st.one_of(_PLACES, st.sampled_from(["take", "store", "fail", "wait"])), max_size=60))
def test_whatever_happens_each_key_ends_with_its_newest_record_and_no_order_is_lost(
    steps: Sequence[str | tuple[Topic, str]],
) -> None:
    scene = Scene()
    put: list[Entry] = []
    under_way: list[Batch] = []
    for step in steps:
        match step:
            case (topic, key):
                put.append(entry(topic, key, len(put)))
                scene.put(put[-1])
            case "take" if (batch := scene.lanes.next_batch(scene.now)) is not None:
                under_way.append(batch)
            case "store" if under_way:
                scene.store(under_way.pop(0))
            case "fail" if under_way:
                scene.fail(under_way.pop())
            case _:
                scene.now += 1
    for batch in under_way:
        scene.store(batch)
    scene.store_all()
    for topic, key in {(each.topic, each.key) for each in put}:
        wanted = [each for each in put if (each.topic, each.key) == (topic, key)]
        found = [each for each in scene.stored if (each.topic, each.key) == (topic, key)]
        assert found[-1] == wanted[-1]
        assert [each for each in wanted if each in found] == found
        if topic is not Topic.RANKINGS:
            assert found == wanted


def test_a_record_that_is_refused_for_good_is_no_fault_of_a_log_that_takes_others() -> None:
    """The process stays ready."""
    scene = Scene()
    scene.put(entry(Topic.AUDIT, "west", 1))
    scene.fail(scene.take(), LogRefusedError("too large"))
    assert fails(scene), "nothing else is known of the log"
    scene.now += 60
    scene.put(entry(Topic.OBSERVATIONS, "west", 2))
    batch = scene.take()
    while batch.topic is Topic.AUDIT:
        scene.fail(batch, LogRefusedError("too large"))
        batch = scene.take()
    scene.store(batch)
    assert not fails(scene)
    assert scene.lanes.hangs_seconds(scene.now) == 0
    assert scene.lanes.failing_clusters()[Topic.AUDIT] == 1, "it is told of all the same"
    scene.now += 1
    scene.put(entry(Topic.OBSERVATIONS, "west", 3))
    scene.now += 5
    assert scene.lanes.hangs_seconds(scene.now) == 5
    batch = scene.take()
    scene.fail(batch, LogRefusedError("too large") if batch.topic is Topic.AUDIT else None)
    scene.fail(scene.take())
    assert fails(scene)
