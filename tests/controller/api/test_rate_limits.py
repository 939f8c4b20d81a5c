"""Limits: a herd passes, a stream passes as fast as it may, and more than that never."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from controller.api.rate_limits import CLUSTER_PICKS, MOST_BUCKETS, PICKS, VISITOR_PICKS, Bucket, Limit, Rate, spend

GAPS = st.lists(st.floats(0, 10) | st.just(0.0), max_size=60)
RATES = st.builds(Rate, per_second=st.floats(0.01, 100), at_once=st.integers(1, 20))


@given(RATES, GAPS)
def test_nobody_gets_more_than_a_bucket_and_what_comes_back(rate: Rate, gaps: list[float]) -> None:
    bucket: Bucket | None = None
    taken = 0
    now = 100.0
    for now in accumulate(gaps, initial=100.0):
        bucket, seconds = spend(bucket, rate, now)
        taken += not seconds
        assert 0 <= bucket.left <= rate.at_once
        assert seconds <= 1 / rate.per_second
    assert taken <= rate.at_once + (now - 100.0) * rate.per_second + 0.001


@given(RATES, GAPS)
def test_who_comes_again_when_told_to_gets_a_place(rate: Rate, gaps: list[float]) -> None:
    bucket: Bucket | None = None
    for now in accumulate(gaps, initial=0.0):
        bucket, seconds = spend(bucket, rate, now)
        if seconds:
            bucket, seconds = spend(bucket, rate, now + seconds * 1.000001)
            assert not seconds


def refused(rate: Rate, per_second: float, seconds: float) -> int:
    """Return how many of a steady stream of requests are refused."""
    limit = Limit(rate)
    return sum(limit.spend("whoever", number / per_second) > 0 for number in range(round(per_second * seconds)))


def test_a_shift_of_500_behind_one_address_passes_at_once_and_a_stranger_does_not() -> None:
    assert refused(VISITOR_PICKS, per_second=500, seconds=1) == 0
    assert refused(VISITOR_PICKS, per_second=500 / 60, seconds=60) == 0
    passed = 30 * 600 - refused(VISITOR_PICKS, per_second=30, seconds=600)
    assert passed <= VISITOR_PICKS.at_once + 600 * VISITOR_PICKS.per_second


def test_web_servers_are_served_500_picks_a_second_for_as_long_as_they_ask() -> None:
    for rate in (PICKS, CLUSTER_PICKS):
        assert refused(rate, per_second=500, seconds=120) == 0


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    rate = Rate(1, 1)
    bucket, _ = spend(None, rate, 50.0)
    assert spend(bucket, rate, 50.0)[1] == 1.0
    assert spend(bucket, rate, 10.0)[1] == 1.0


def test_a_shift_of_five_hundred_begins_within_seconds() -> None:
    # each logs in once, and one in five mistypes a password and asks again
    limit = Limit(PICKS)
    assert not any(limit.spend("web servers", at / 100) for at in range(600))


def test_one_who_runs_wild_takes_nothing_from_another() -> None:
    limit = Limit(Rate(1, 5))
    assert sum(not limit.spend("wild", 0.0) for _ in range(1000)) == 5
    assert not limit.spend("another", 0.0)


def test_who_is_remembered_is_bounded_and_who_asks_again_is_not_forgotten() -> None:
    limit = Limit(Rate(0.001, 1))
    limit.spend("first", 0.0)
    for number in range(2 * MOST_BUCKETS):
        limit.spend(number, 1.0)
        assert limit.spend("first", 1.0)
