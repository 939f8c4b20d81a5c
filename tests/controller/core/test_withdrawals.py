"""Moves that are withdrawn while an executor has them, and logouts that come late: what is said, who keeps an order."""

import msgspec
import pytest

from controller.core.actions import Outcome, after, attempt_of, is_due
from controller.core.actions.relogin import LATE_SECONDS, LOGOUT
from controller.core.picks import answer_relogin
from controller.core.withdrawals import PLANNED_SLOT_SECONDS
from messages.codes import DecisionCode, NoRelogin, Reply
from messages.records import AgentStatus, DialerState, LoginSlot, NotMoved, Relogin, ReloginStage
from tests.support.builders import ONE, TWO, slot
from tests.support.floor import Floor, agent, decisions

SCREEN = "a" * 64
USER = "1001"


def moving() -> Floor:
    """Return a floor on which an agent of a dead dialer is to be moved, and the executor has been given that."""
    floor = Floor(agent(USER))
    floor.state.decided.logins[USER] = msgspec.structs.replace(
        slot(USER), used_by=1001, screen=SCREEN, alias_id=f"desk{USER}"
    )
    floor.judge(ONE=DialerState.DOWN)
    (move,) = floor.moves()
    floor.submitted = frozenset({attempt_of(move)})
    return floor


def move_of(floor: Floor) -> Relogin:
    return floor.state.decided.relogins[1001]


def report(floor: Floor, outcome: Outcome) -> None:
    """Let the executor report what came of the move."""
    floor.submitted = frozenset()
    done = after(move_of(floor), outcome, floor.state.observed.observed_at_ms, "controller-1")
    assert isinstance(done, Relogin)
    floor.state.decided.add(done)


def codes(floor: Floor) -> list[DecisionCode]:
    return [code for code, _, _ in decisions(floor.plan())]


def come_back(floor: Floor) -> list[DecisionCode]:
    """Let the dialer be back before anything was reported, and return what is said."""
    floor.judge()
    floor.poll()
    return codes(floor)


def test_of_what_an_executor_has_it_is_not_said_that_it_was_withdrawn() -> None:
    floor = moving()
    assert DecisionCode.MOVE_WITHDRAWN not in come_back(floor)
    assert floor.state.decided.incidents == {}
    assert not is_due(move_of(floor)), "whoever asks last of all is told that it does not stand"
    floor.poll(seconds=30)
    assert floor.plan().records == [], "its outcome is awaited"


def test_it_is_said_once_it_is_known_that_nothing_was_sent() -> None:
    floor = moving()
    come_back(floor)
    floor.submitted = frozenset()  # it came back unsent
    assert DecisionCode.MOVE_WITHDRAWN in codes(floor)
    assert floor.state.decided.relogins == {}
    assert answer_relogin(floor.state, SCREEN) is NoRelogin.NONE


def test_a_screen_that_was_logged_out_all_the_same_keeps_its_order_and_is_sent_no_other() -> None:
    floor = moving()
    come_back(floor)
    report(floor, Outcome(Reply.DONE, "told"))
    floor.poll(seconds=20)
    assert DecisionCode.MOVE_WITHDRAWN not in codes(floor)
    assert move_of(floor).stage is ReloginStage.SENT, "what it was for is over"
    assert isinstance(answer_relogin(floor.state, SCREEN), LoginSlot)
    floor.poll(seconds=PLANNED_SLOT_SECONDS)
    floor.plan()
    assert floor.state.decided.relogins == {}


def test_of_an_earlier_owners_move_nothing_is_said_and_its_slot_stays() -> None:
    floor = moving()
    come_back(floor)
    floor.state.decided.add(msgspec.structs.replace(move_of(floor), by="an earlier owner"))
    floor.submitted = frozenset()
    assert codes(floor) == []
    assert floor.state.decided.relogins == {}
    assert isinstance(answer_relogin(floor.state, SCREEN), LoginSlot), "the executor may have been quicker"


def test_of_a_move_whose_row_shows_a_logout_it_is_not_said_that_it_was_withdrawn() -> None:
    floor = moving()
    floor.submitted = frozenset()  # an earlier owner had it, and reported nothing
    floor.judge()
    floor.poll(agent(USER, external_pause=LOGOUT))
    assert DecisionCode.MOVE_WITHDRAWN not in codes(floor)
    assert isinstance(answer_relogin(floor.state, SCREEN), LoginSlot)


def asleep() -> Floor:
    """Return a floor where the screen of a move has been sent its logout, and does not poll."""
    floor = moving()
    report(floor, Outcome(Reply.DONE, "told"))
    floor.poll(agent(USER, external_pause=LOGOUT))
    floor.plan()
    return floor


def wake_up(floor: Floor) -> LoginSlot | NoRelogin:
    """Let the screen obey at last, and return its order."""
    floor.poll(gone=[USER])
    floor.plan()
    return answer_relogin(floor.state, SCREEN)


def sleep_on(floor: Floor, seconds: int) -> None:
    for _ in range(seconds // 5):
        floor.poll(seconds=5)
        floor.plan()


@pytest.mark.parametrize("seconds", [59, 70, 180, 590])
def test_a_screen_that_sleeps_finds_its_order_whenever_it_wakes_up(seconds: int) -> None:
    floor = asleep()
    sleep_on(floor, seconds)
    order = wake_up(floor)
    assert isinstance(order, LoginSlot)
    assert (order.user, order.replaces, order.alias_id) == (USER, 1001, f"desk{USER}")
    floor.poll(agent(USER, TWO, AgentStatus.PAUSED, number=2001))
    floor.plan()
    assert (move_of(floor).stage, floor.incident.moved) == (ReloginStage.MOVED, 1)


def test_a_browser_that_is_gone_for_good_keeps_no_place_for_ever() -> None:
    floor = asleep()
    sleep_on(floor, 700)
    assert floor.state.decided.slots.of(USER) is None


def test_a_login_without_a_known_screen_keeps_no_place_longer_than_before() -> None:
    floor = Floor(agent(USER))
    floor.judge(ONE=DialerState.DOWN)
    floor.moves()
    report(floor, Outcome(Reply.DONE, "told"))
    floor.poll(agent(USER, external_pause=LOGOUT))
    floor.plan()
    sleep_on(floor, 65)
    assert floor.state.decided.slots.of(USER) is None


@pytest.mark.parametrize("state", [DialerState.DRAINING, DialerState.DOWN])
def test_a_logout_of_a_supervisors_is_not_taken_over(state: DialerState) -> None:
    floor = Floor(agent(USER, external_pause=LOGOUT))
    floor.judge(ONE=state)
    assert floor.moves() == []
    assert floor.listed() == {USER: NotMoved.LEAVING}
    assert floor.state.decided.slots.of(USER) is None


def test_the_next_death_of_a_dialer_takes_over_what_the_first_has_sent() -> None:
    floor = asleep()
    floor.judge()
    floor.poll()
    floor.plan()
    floor.judge(ONE=DialerState.DOWN)
    floor.poll()
    floor.plan()
    assert (move_of(floor).incident, move_of(floor).withdrawn) == (floor.incident.incident, False)
    assert floor.incident.sent == 1
    floor.poll(seconds=15)
    assert DecisionCode.MOVE_REPEATED in codes(floor)


@pytest.mark.parametrize("seconds", [0, 120])
def test_so_does_one_whose_dialer_is_back_meanwhile(seconds: int) -> None:
    floor = asleep()
    sleep_on(floor, seconds)
    floor.judge()
    floor.poll()
    floor.plan()
    assert floor.state.decided.incidents == {}
    sleep_on(floor, 200)
    assert isinstance(wake_up(floor), LoginSlot)


def test_an_agent_who_does_not_come_back_after_the_logout_is_listed() -> None:
    floor = asleep()
    floor.poll(gone=[USER])
    floor.plan()
    floor.poll(seconds=29)
    floor.plan()
    assert floor.listed() == {}
    floor.poll(seconds=1)
    floor.plan()
    assert floor.listed() == {USER: NotMoved.LOGGED_OUT}
    floor.poll(agent(USER, TWO, AgentStatus.PAUSED, number=2001))
    floor.plan()
    assert floor.listed() == {}


def moved(floor: Floor, number: int = 2001) -> None:
    """Let the agent log in on another dialer, where hotdesk planned it."""
    floor.poll(agent(USER, TWO, AgentStatus.PAUSED, number=number))
    planned = floor.state.decided.slots.release(USER)
    assert planned is not None
    login = msgspec.structs.replace(planned, used_by=number, planned=False, screen=SCREEN)
    floor.state.decided.logins[USER] = login
    floor.plan()


def late(floor: Floor, times: int = 1) -> Floor:
    """Let the move have been done at last, with LOGOUTs left at web servers that hang."""
    report(floor, Outcome(Reply.DONE, "told", late=times))
    moved(floor)
    return floor


def test_a_session_that_a_late_logout_ends_has_an_order_also_after_the_incident() -> None:
    floor = late(moving())
    floor.judge()
    floor.poll()
    floor.plan()
    assert floor.state.decided.incidents == {}
    order = answer_relogin(floor.state, SCREEN)
    assert isinstance(order, LoginSlot)
    assert order.replaces == 2001


def test_each_late_logout_is_good_for_one_order() -> None:
    floor = late(moving(), times=2)
    for number in (2002, 2003):
        assert isinstance(answer_relogin(floor.state, SCREEN), LoginSlot)
        moved(floor, number)
    assert answer_relogin(floor.state, SCREEN) is NoRelogin.NONE, "the agent may leave by themselves"


@pytest.mark.parametrize("times", [0, 1])
def test_after_its_time_nothing_late_is_expected_and_the_login_is_what_it_was(times: int) -> None:
    floor = late(moving(), times=times)
    floor.judge()
    floor.poll()
    floor.plan()
    floor.poll(seconds=LATE_SECONDS)
    floor.plan()
    assert answer_relogin(floor.state, SCREEN) is NoRelogin.NONE
    login = floor.state.decided.logins[USER]
    assert (login.used_by, login.screen, login.alias_id) == (2001, SCREEN, f"desk{USER}")
    assert floor.state.decided.relogins == {}
    assert len(floor.state.decided.slots) == 0


def test_who_was_moved_and_has_nothing_late_is_written_once() -> None:
    floor = late(moving(), times=0)
    assert move_of(floor).stage is ReloginStage.MOVED
    floor.poll()
    assert [each for each in floor.plan().records if isinstance(each, Relogin)] == []
    assert floor.state.decided.relogins[1001].from_server_ip == ONE


def test_a_session_that_ends_before_the_executor_has_reported_was_perhaps_ended_by_hotdesk() -> None:
    floor = moving()
    floor.poll(gone=[USER])
    floor.plan()
    assert answer_relogin(floor.state, SCREEN) is NoRelogin.NOT_YET
    report(floor, Outcome(Reply.UNCLEAR, "no answer"))
    floor.plan()
    assert move_of(floor).stage is ReloginStage.ENDED
    assert isinstance(answer_relogin(floor.state, SCREEN), LoginSlot)
