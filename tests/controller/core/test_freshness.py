"""The age of a poll, to a process that lives and to one that has just begun: not too young, and not old for ever."""

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.leadership import SLOWER
from controller.core.cluster import STALE_SECONDS
from controller.core.clusters import Clusters, FoldedBatch
from controller.core.freshness import Freshness
from controller.core.policy import Policy
from controller.runtime.decoding import read
from messages.codec import WAITED_HEADER, encode_wait
from messages.records import Heartbeat, Poll, Record, Relogin
from stream.entries import aged, entry_of, queued
from tests.support.builders import CLUSTER, NOW_MS, ONE, PARTITIONS, THREE, TWO, arrived, dialer, poll, stored
from tests.support.floor import agent, alias, phone

PACE = 0.5
ERROR_SECONDS = 1.0
"""How much older than it seems a poll may be: the least that a process could not know."""
SOON_SECONDS = 4.0
"""By then a process decides, once polls come as they are made: by the second of them, or a later one where the last of
those that had piled up came in between."""


class Watched:
    """A process that takes polls in, and what it believes of them."""

    def __init__(self, clock_ahead: float = 0.0) -> None:
        self.freshness = Freshness()
        self._clock_ahead = clock_ahead
        self._numbers = count(1)

    def take(self, made_at: float, now: float, *, waited: float = 0.0, epoch: int = 1) -> bool:
        """Record a poll, and return True if the process decides by it."""
        observed_at_ms = round((made_at + self._clock_ahead) * 1000)
        self.freshness.record_poll((epoch, next(self._numbers)), observed_at_ms, round(waited * 1000), now)
        return self.freshness.is_settled(now) and self.age(now) <= STALE_SECONDS

    def age(self, now: float) -> float:
        """Return how old it holds the latest poll to be."""
        age = self.freshness.age_seconds(now)
        assert age is not None
        return age


def test_what_waited_in_a_collector_is_old_to_a_process_that_has_just_begun() -> None:
    watched = Watched()
    for made_at in range(1, 300):
        assert not watched.take(made_at, 310.0 + made_at / 1000, waited=309.0 - made_at)
        assert watched.age(310.0) == pytest.approx(310.0 - made_at, abs=1.5)
    # how long it was on its way is known by now
    assert watched.take(309.5, 310.5)


def test_what_waited_is_old_though_it_comes_as_slowly_as_it_was_made() -> None:
    watched = Watched()
    for number in range(200):
        assert not watched.take(number * PACE, 60.0 + number * PACE, waited=60.0)


def test_what_was_long_on_its_way_decides_nothing_while_it_comes_faster_than_it_was_made() -> None:
    watched = Watched()
    for number in range(200):
        assert not watched.take(number * PACE, 100.0 + number / 50)
    assert not watched.take(104.0, 104.1)
    assert watched.take(104.5, 104.6)
    assert watched.age(104.6) == pytest.approx(0.0, abs=0.1)


def test_a_process_that_begins_while_nothing_waits_decides_by_the_second_poll() -> None:
    watched = Watched()
    assert not watched.take(0.0, 0.1)
    assert watched.take(0.5, 0.6)


def test_a_new_epoch_is_another_clock() -> None:
    watched = Watched()
    assert [watched.take(at, at + 0.1) for at in (0.0, 0.5)] == [False, True]
    # the first of them come at once, after the process was cut off from the log for a minute
    assert not any(watched.take(5000.0 + at, 60.0 + at / 100, epoch=2) for at in range(50))
    assert not watched.take(5060.0, 61.0, epoch=2)
    assert watched.take(5060.5, 61.5, epoch=2)


def test_an_hour_without_polls_forgives_no_late_one() -> None:
    watched = Watched()
    for number in range(20):
        watched.take(number * PACE, number * PACE)
    watched.take(3600.0, 3610.0)
    assert watched.age(3610.0) == pytest.approx(10.0, abs=0.1)


def test_a_clock_that_stood_still_makes_polls_old_for_a_while_and_not_for_ever() -> None:
    watched = Watched()
    for number in range(20):
        watched.take(number * PACE, number * PACE)
    # the collector's machine was paused for eight seconds, and knows nothing of it
    fresh_from = next(
        number
        for number in range(20, 2000)
        if watched.take(number * PACE, number * PACE + 8.0) and watched.age(number * PACE + 8.0) <= STALE_SECONDS
    )
    assert fresh_from * PACE < 170.0


@pytest.mark.parametrize("drift", [-0.001, 0.001])
def test_clocks_that_drift_keep_no_poll_from_being_decided_by(drift: float) -> None:
    watched = Watched()
    decided = [watched.take(number * PACE * (1 + drift), number * PACE) for number in range(40_000)]
    assert all(decided[1:])


@pytest.mark.parametrize("pace", [PACE, 2.7])
def test_polls_of_a_collector_whose_clock_counts_slowly_grow_no_older(pace: float) -> None:
    """Its wall clock was ahead, so it counts a hundredth more slowly; the database is slow, and so is the reader."""
    draw = Random(1)  # noqa: S311 # it must repeat
    watched = Watched()
    ages = []
    for number in range(5_000):
        came_at = number * pace + draw.uniform(0.0, min(2.0, pace))
        watched.take(number * pace * (1 - SLOWER), came_at)
        ages.append(watched.age(came_at))
    assert max(ages) <= 2.2


def ways(made: int, away: tuple[float, float], speed: float, delays: list[float]) -> Iterator[tuple[float, float]]:
    """Return when each poll was made and comes in, where the reader was held up for a while and then caught up."""
    begins, ends = away
    came_at = 0.0
    for number in range(made):
        made_at = number * PACE
        there_at = made_at + delays[number % len(delays)]
        came_at = max(ends if begins <= there_at < ends else there_at, came_at + PACE / speed)
        yield made_at, came_at


@settings(max_examples=200)
@given(
    clock_ahead=st.floats(-1e6, 1e6),
    began=st.floats(0, 60),
    away=st.tuples(st.floats(0, 40), st.floats(1, 60)).map(lambda each: (each[0], each[0] + each[1])),
    speed=st.floats(1.6, 100),
    delays=st.lists(st.floats(0.001, 0.1), min_size=1, max_size=7),
)
def test_whenever_a_process_begins_it_decides_by_no_old_poll_and_soon_by_every_new_one(
    clock_ahead: float, began: float, away: tuple[float, float], speed: float, delays: list[float]
) -> None:
    watched = Watched(clock_ahead)
    well_since = began
    for made_at, came_at in ways(300, away, speed, delays):
        if came_at < began:
            continue
        decides = watched.take(made_at, came_at)
        if came_at - made_at > STALE_SECONDS + ERROR_SECONDS:
            assert not decides
        if came_at - made_at > 0.25:
            well_since = came_at
        if came_at - well_since > SOON_SECONDS:
            assert decides


# --- a cluster's polls of minutes ago -----------------------------------------------------------------------------


AGENTS = [str(1001 + number) for number in range(5)]


def off(number: int, *, since: int, until: int) -> Poll:
    """Make a poll in which ONE is switched off between two polls."""
    at_ms = NOW_MS + 500 * number
    beats = Heartbeat(progressed_at_ms=at_ms, watched_since_ms=NOW_MS - 60_000, age_seconds=0.5)
    dialers = [
        dialer(ip, on, heartbeat=beats, active=ip != ONE or not since <= number < until)
        for ip, on in ((ONE, len(AGENTS)), (TWO, 0), (THREE, 0))
    ]
    return poll(*dialers, sequence=number, at_ms=at_ms)


def moved(folded: FoldedBatch) -> bool:
    return any(isinstance(each, Relogin) for plan in folded.plans.values() for each in plan.records)


@pytest.mark.parametrize("waits_in", ["the collector", "the log"])
@pytest.mark.parametrize(
    ("polls", "since", "until", "piece"), [(600, 100, 500, 1), (1200, 800, 1000, 40), (360, 100, 240, 7)]
)
def test_a_new_owner_moves_nobody_for_what_is_over(
    polls: int, since: int, until: int, piece: int, waits_in: str
) -> None:
    """Polls of minutes are appended at once, and in the midst of them a dialer was switched off for a while."""
    clusters = Clusters("me", "", PARTITIONS, {CLUSTER: Policy(acts=True)})
    clusters.own(frozenset(range(PARTITIONS)))
    before: list[Record] = [phone(user, number) for user in AGENTS for number in (1, 2, 3)]
    before += [*map(alias, AGENTS), *(agent(user, number=int(user)) for user in AGENTS)]
    before += [off(number, since=since, until=until) for number in range(1, 21)]
    clusters.fold(arrived(*before), 7.0, live=False)
    now, end = 7.0, 7.0 + polls * PACE
    late = []
    for number in range(21, polls):
        entry = queued(entry_of(off(number, since=since, until=until)), 7.0 + number * PACE)
        late.append(aged(entry, end) if waits_in == "the collector" else entry)
    for at in range(0, len(late), piece):
        now = end + at / 1000
        news = [read(each) for each in stored(late[at : at + piece])]
        assert not moved(clusters.fold(news, now, live=True))
        if at + piece < len(late) - 2 * STALE_SECONDS / PACE:
            assert clusters.by_name[CLUSTER].permit.withheld is not None
    # and what is so now is heeded
    news_of_now = [off(number, since=polls, until=2 * polls) for number in range(polls, polls + 30)]
    heeded = [clusters.fold(arrived(each), now + 1 + n * PACE, live=True) for n, each in enumerate(news_of_now)]
    assert any(map(moved, heeded))


def test_how_long_a_poll_waited_travels_in_a_header_and_only_if_it_matters() -> None:
    entry = queued(entry_of(poll(dialer(ONE))), 100.0)
    assert aged(entry, 100.2) == entry
    waited = aged(entry, 190.5)
    assert (waited.value, waited.headers) == (entry.value, ((WAITED_HEADER, encode_wait(90_500)),))
    (one,) = map(read, stored([waited]))
    assert isinstance(one, Poll)
    assert one.waited_ms == 90_500
