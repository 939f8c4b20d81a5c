"""A history folded again: what was known then is known again, and nothing is made up about what was before it."""

from collections.abc import Iterable

import msgspec

from controller.core.news import News
from controller.core.policy import Policy
from controller.core.replay import Happening, Replay, difference
from messages.codes import ReplayCode
from messages.records import (
    DialerHealth,
    DialerState,
    Fence,
    FenceStage,
    FleetHealth,
    Heartbeat,
    Outage,
    Pause,
    Poll,
    RankingSnapshot,
)
from tests.support.builders import CLUSTER, NOW_MS, ONE, PLAIN, TWO, arrived, dialer, poll, slot

SECOND_MS = 1000


def beating(number: int, *, stopped_after: int | None = None, agent_logins: bool = True) -> Poll:
    """Make the poll of a half second in which TWO is well, and ONE was until its heartbeat stopped."""
    now_ms = NOW_MS + 500 * (number - 1)
    last = number if stopped_after is None else min(number, stopped_after)
    beats = [
        Heartbeat(progressed_at_ms=at_ms, watched_since_ms=NOW_MS - 60_000, age_seconds=0.5)
        for at_ms in (NOW_MS + 500 * (last - 1), now_ms)
    ]
    return poll(
        dialer(ONE, heartbeat=beats[0], agent_logins=agent_logins), dialer(TWO, heartbeat=beats[1]), sequence=number
    )


def ranking(number: int, **states: DialerState) -> RankingSnapshot:
    """Make the ranking that tells how the dialers were judged at a poll."""
    at_ms = NOW_MS + 500 * (number - 1)
    judged = {"ONE": ONE, "TWO": TWO}
    healths = {
        ip: DialerHealth(
            state=state,
            since_ms=at_ms - 3_600_000,
            verdict=state,
            life=state,
            life_since_ms=at_ms - 3_600_000,
            served=True,
        )
        for name, ip in judged.items()
        for state in (states.get(name, DialerState.UP),)
    }
    health = FleetHealth(epoch=1, polled_at_ms=at_ms, steady_since_ms=NOW_MS - 60_000, dialers=healths)
    return RankingSnapshot(
        cluster=CLUSTER,
        epoch=1,
        sequence=number,
        observed_at_ms=at_ms,
        owner="then",
        owner_url="",
        dialers=(),
        imbalance=None,
        health=health,
    )


def told(news: Iterable[News], policy: Policy = PLAIN) -> list[Happening]:
    """Fold a history, and give what happened in it."""
    replay = Replay(CLUSTER, policy)
    found: list[Happening] = []
    for each in news:
        if isinstance(each, RankingSnapshot):
            replay.remember(each)
        else:
            found += replay.fold(each)
    return found


def history(polls: int, *, stopped_after: int | None = None) -> list[News]:
    return arrived(
        beating(1), ranking(1), *(beating(number, stopped_after=stopped_after) for number in range(2, polls + 1))
    )


def test_a_dialer_that_dies_is_suspect_and_then_down_at_the_moments_it_was() -> None:
    found = told(history(170, stopped_after=10))
    stopped_ms = NOW_MS + 500 * 9
    assert [(each.what, each.at_ms - stopped_ms) for each in found if each.subject == ONE and each.judged] == [
        ("is suspect", 2500),
        ("is down", 75_000),
    ]
    assert [each.what.partition(" ")[0] for each in found if not each.judged] == ["opened", "withholding"]


def test_nothing_is_made_up_about_a_dialer_that_was_dead_long_before() -> None:
    dead = arrived(beating(1, stopped_after=-100), ranking(1, ONE=DialerState.DOWN))
    later = arrived(*(beating(number, stopped_after=-100) for number in range(2, 30)))
    assert [each for each in told([*dead, *later]) if each.judged] == []


def test_without_a_ranking_it_begins_after_some_polls() -> None:
    found = told(arrived(*(beating(number, stopped_after=10) for number in range(1, 171))))
    assert (ONE, "is down") in [(each.subject, each.what) for each in found]


def test_what_hotdesk_itself_had_closed_is_not_somebodys_wish() -> None:
    fence = Fence(cluster=CLUSTER, server_ip=ONE, incident="i", planned_at_ms=NOW_MS, stage=FenceStage.TAKEN, by="then")
    closed = [beating(number, agent_logins=False) for number in range(2, 10)]
    assert "is closed" in [each.what for each in told(arrived(beating(1), ranking(1), *closed))]
    assert "is closed" not in [each.what for each in told(arrived(beating(1), ranking(1), fence, *closed))]


def test_orders_and_outages_of_then_are_part_of_it() -> None:
    pause = Pause(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna", why="tests")
    outage = Outage(cluster=CLUSTER, epoch=1, sequence=171, unreachable_since_ms=NOW_MS, collector="c", why="refused")
    found = told([*history(5), *arrived(pause), *history(170, stopped_after=10)[6:], *arrived(outage, beating(172))])
    assert (ReplayCode.DATABASE_AWAY, "refused") in [(each.code, each.why) for each in found]
    assert ReplayCode.DATABASE_BACK in [each.code for each in found]
    assert ("withholding moves", "suspended by anna: tests") in [(each.what, each.why) for each in found]


def test_a_login_that_a_move_had_planned_is_one() -> None:
    replay = Replay(CLUSTER, PLAIN)
    login = msgspec.structs.replace(slot("1001"), planned=True, used_by=7)
    for each in arrived(beating(1), login):
        list(replay.fold(each))
    assert replay.logins == {"1001": login}


def test_other_settings_differ_where_they_decide_otherwise_and_nowhere_else() -> None:
    news = history(40, stopped_after=10)
    other = Policy(stalled_after_seconds=5.0)
    apart = difference(told(news), told(news, other))
    assert [each.what for each in apart.only_first] == ["is suspect"]
    assert [each.what for each in apart.only_second] == ["is suspect"]
    assert apart.only_second[0].at_ms - apart.only_first[0].at_ms == 2500
    assert difference(told(news), told(news)) == ((), ())
