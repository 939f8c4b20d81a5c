"""Screens: silent ones are found by the database's own clock, and a clock that jumps makes none."""

from collectors.screens import Screens
from collectors.vicidial.rows import AgentRow
from messages.records import AgentStatus

ONE, TWO = "10.0.0.1", "10.0.0.2"
NOW_MS = 1_000_000


def _agent(number: int, server_ip: str = ONE, *, extension: str = "SIP/1") -> AgentRow:
    return AgentRow(number, str(number), server_ip, extension, "", AgentStatus.PAUSED, "", "", "", False, 0)


AGENTS = {1: _agent(1), 2: _agent(2, TWO), 3: _agent(3, extension="R/1")}


def test_a_screen_that_is_silent_at_two_looks_counts_until_it_polls_again() -> None:
    screens = Screens()
    screens.watch(NOW_MS, AGENTS, {1: 95})
    assert (screens.since_ms(1), screens.changed(), screens.count()) == (None, frozenset(), {})
    screens.watch(NOW_MS + 1000, AGENTS, None)
    screens.watch(NOW_MS + 10_000, AGENTS, {1: 105, 2: 91})
    assert (screens.since_ms(1), screens.since_ms(2)) == (NOW_MS - 95_000, None)
    assert (screens.changed(), screens.count()) == (frozenset({1}), {ONE: 1})
    screens.watch(NOW_MS + 20_000, AGENTS, {2: 101})
    assert (screens.since_ms(1), screens.count()) == (None, {TWO: 1})
    assert screens.changed() == frozenset({1, 2})
    screens.watch(NOW_MS + 21_000, AGENTS, None)
    assert (screens.since_ms(2), screens.changed()) == (NOW_MS + 10_000 - 91_000, frozenset())


def test_a_clock_set_forward_makes_no_screen_silent() -> None:
    screens = Screens()
    screens.watch(NOW_MS, AGENTS, {1: 3600, 2: 3600})
    screens.watch(NOW_MS + 10_000, AGENTS, {})
    assert (screens.count(), screens.changed()) == ({}, frozenset())


def test_a_screen_that_vicidial_knows_no_more_is_lost_at_the_second_look() -> None:
    screens = Screens()
    logins = {("1", ONE), ("2", ONE), ("9", ONE)}
    screens.watch(NOW_MS, AGENTS, {}, logins)
    assert (screens.is_lost(1), screens.in_doubt, screens.count()) == (False, True, {})
    screens.watch(NOW_MS + 1000, AGENTS, {1: 95}, logins)
    assert (screens.is_lost(1), screens.in_doubt, screens.count()) == (True, False, {ONE: 1})
    assert screens.count_lost() == {ONE: 1}
    assert not screens.is_lost(2), "that login was on another dialer"
    assert (screens.since_ms(1), screens.changed()) == (NOW_MS, frozenset({1}))
    screens.watch(NOW_MS + 2000, AGENTS, None, None)
    assert screens.is_lost(1)
    screens.watch(NOW_MS + 3000, AGENTS, {}, frozenset())
    assert (screens.is_lost(1), screens.since_ms(1), screens.changed()) == (False, None, frozenset({1}))


def test_a_browser_that_was_left_open_yesterday_is_silent_and_not_lost() -> None:
    screens = Screens()
    for at_ms in (NOW_MS, NOW_MS + 1000):
        screens.watch(at_ms, AGENTS, {1: 50_000, 2: 300}, {("1", ONE), ("2", TWO)})
    assert (screens.is_lost(1), screens.is_lost(2)) == (False, True), "the database may have been away for minutes"
    assert (screens.count_lost(), screens.count()) == ({TWO: 1}, {ONE: 1, TWO: 1})


def test_only_sessions_that_have_a_screen_count() -> None:
    screens = Screens()
    for at_ms in (NOW_MS, NOW_MS + 10_000):
        screens.watch(at_ms, AGENTS, {1: 100, 3: 100, 4: 100})
    assert (screens.count(), screens.since_ms(3), screens.since_ms(4)) == ({ONE: 1}, None, None)
    screens.watch(NOW_MS + 11_000, {}, None)
    assert screens.count() == {}
