"""What a soak calls broken, with plain data; and that each order is noted, by a real database."""

from math import inf

import pytest

from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.soak.judging import (
    ANEW_SECONDS,
    OFFER_SECONDS,
    Trouble,
    Why,
    told_twice,
    wrongly_offered,
    wrongly_told,
)
from tests.support.logout_notes import Telling, note_orders, tellings
from tests.support.processes import site

A, B = "127.20.0.11", "127.20.0.12"


def telling(at: float, session: int = 1, server_ip: str = A) -> Telling:
    return Telling(at, session, "1001", server_ip)


@pytest.mark.parametrize(
    ("troubles", "at", "why"),
    [
        ([Trouble(A, Why.DEAD, 100)], 109, ""),
        ([Trouble(A, Why.DEAD, 100, 120)], 122, ""),
        ([Trouble(A, Why.DEAD, 100, 120)], 124, "which lives"),
        ([Trouble(B, Why.DEAD, 100)], 109, "which lives"),
        ([], 109, "which lives"),
        ([Trouble(A, Why.DEAD, 100)], 101, "0.5 s before that could be sure"),
        ([Trouble(A, Why.STALLED, 100)], 109, "whose calls go on"),
        ([Trouble(A, Why.OFF, 100)], 108, "0.5 s before that could be sure"),
        ([Trouble(A, Why.OFF, 100)], 109, ""),
        ([Trouble(A, Why.DEAD, 100, braked_until=inf)], 115, "most of the fleet"),
        ([Trouble(A, Why.DEAD, 100, braked_until=120)], 115, "most of the fleet"),
        ([Trouble(A, Why.DEAD, 100, braked_until=120)], 121, ""),
    ],
)
def test_only_who_is_on_a_dialer_in_trouble_is_told_to_leave_and_not_too_early(
    troubles: list[Trouble], at: float, why: str
) -> None:
    said = wrongly_told(telling(at), troubles)
    assert why in said
    assert bool(why) == bool(said)


def test_a_session_is_told_once() -> None:
    found = told_twice([telling(109), telling(125)], [Trouble(A, Why.DEAD, 100)], {})
    assert found == ["agent 1001's session was told to log out again after 16.0 s"]


def test_an_agent_who_was_sent_back_to_the_dead_dialer_is_told_twice_unless_vicidial_sent_them() -> None:
    twice = [telling(109, session=1), telling(119, session=2)]
    trouble = [Trouble(A, Why.DEAD, 100)]
    assert told_twice(twice, trouble, {}) == [f"agent 1001 was told twice to leave {A}, once sent there again"]
    assert told_twice(twice, trouble, {"1001": [111]}) == []
    assert told_twice(twice, trouble, {"1001": [99], "1002": [111]}) != []
    another_incident = [Trouble(A, Why.DEAD, 100, 112), Trouble(A, Why.DEAD, 118)]
    assert told_twice([telling(109), telling(129, session=2)], another_incident, {}) == []


def test_a_dead_dialer_is_not_offered_beyond_the_bound() -> None:
    dead = [Trouble(A, Why.DEAD, 100)]
    late = 100 + OFFER_SECONDS + 1
    assert wrongly_offered([A, B], dead, late, 0) == {A: OFFER_SECONDS + 1}
    assert wrongly_offered([A, B], dead, late - 2, 0) == {}
    assert wrongly_offered([B], dead, late, 0) == {}
    assert wrongly_offered([A], [Trouble(A, Why.DEAD, 100, 105)], late, 0) == {}
    assert wrongly_offered([A], [Trouble(A, Why.OFF, 100)], late, 0) == {}


def test_after_hotdesk_could_not_see_a_dead_dialer_is_watched_anew() -> None:
    dead = [Trouble(A, Why.DEAD, 100)]
    assert wrongly_offered([A], dead, 110 + ANEW_SECONDS, 110) == {}
    assert wrongly_offered([A], dead, 111 + ANEW_SECONDS, 110) == {A: 11 + ANEW_SECONDS}
    assert wrongly_offered([A], dead, 101 + OFFER_SECONDS, 90) == {A: 1 + OFFER_SECONDS}


def test_each_order_to_log_out_is_noted_and_what_a_screen_writes_is_not(database: Database) -> None:
    plan = ClusterPlan(dialers=2, agents=2, remote_agents=0)
    with site(database, plan) as west:
        note_orders(west)
        with west.living() as cluster:
            cluster.begin_mid_shift()
        west.run("UPDATE vicidial_live_agents SET external_pause = 'PAUSE!1', last_update_time = NOW()")
        assert tellings(west) == []
        order = "UPDATE vicidial_live_agents SET external_pause = 'LOGOUT' WHERE user = '1001'"
        west.run(order, order)
        west.run("UPDATE vicidial_live_agents SET external_pause = 'PAUSE!2' WHERE user = '1001'", order)
        noted = tellings(west)
    assert [each.user for each in noted] == ["1001", "1001"]
    assert len({each.live_agent_id for each in noted}) == 1
    assert len(told_twice(noted, [], {})) == 1
    assert all("which lives" in wrongly_told(each, []) for each in noted)
