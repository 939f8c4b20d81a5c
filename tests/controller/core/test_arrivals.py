"""Arrivals: a phone in its room, an agent who waits again, and who is called or listed if the phone does not come."""

import msgspec
import pytest

from controller.core.actions import Outcome, SessionRow, after, check
from controller.core.actions.relogin import LOGOUT
from controller.core.plan import withholds
from controller.core.policy import Policy
from messages.codes import DecisionCode, Precondition, Reason, ReasonCode, Reply
from messages.records import (
    AgentPause,
    AgentPauseStage,
    AgentSession,
    AgentStatus,
    Arrival,
    ArrivalStage,
    DialerState,
    LoginSlot,
    NotMoved,
    Relogin,
    ReloginStage,
)
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO
from tests.support.floor import BRAKE, CALM, Floor, agent, decisions

BY_API = msgspec.structs.replace(CALM, calls_phones=True)
TELLS = msgspec.structs.replace(CALM, tells_agents=True)
SUSPENDED = Reason(ReasonCode.SUSPENDED, "suspended by anna")
ARRIVAL = Arrival(cluster=CLUSTER, live_agent_id=42, user="1001", incident="i", server_ip=TWO, since_ms=NOW_MS)
HERE = SessionRow(42, TWO, "", "PAUSED")


def _seen(floor: Floor, phone_in_room: bool | None, **changes: object) -> AgentSession:  # as the field
    """Return the agent's new session as it is seen now."""
    now_ms = floor.state.observed.observed_at_ms
    session = agent("1001", TWO, AgentStatus.PAUSED, number=2001, changed_at_ms=now_ms)
    return msgspec.structs.replace(session, phone_in_room=phone_in_room, **changes)


def _sent(status: AgentStatus = AgentStatus.READY, policy: Policy = CALM) -> Floor:
    """Return a floor with one agent of a dead dialer, whose screen was sent its logout."""
    floor = Floor(agent("1001", status=status), policy=policy)
    floor.judge(ONE=DialerState.DOWN)
    (move,) = floor.moves()
    _outcome(floor, move, Outcome(Reply.DONE, "done"))
    return floor


def _outcome(floor: Floor, action: Relogin | Arrival, outcome: Outcome) -> None:
    done = after(action, outcome, floor.state.observed.observed_at_ms, "me")
    assert isinstance(done, Relogin | Arrival)
    floor.state.decided.add(done)


def _moved(status: AgentStatus = AgentStatus.READY, policy: Policy = CALM) -> tuple[Floor, AgentSession]:
    """Return the same floor just after the agent has logged in elsewhere, and their session."""
    floor = _sent(status, policy)
    floor.poll(gone=["1001"])
    floor.plan()
    session = _seen(floor, None, changed_at_ms=floor.state.observed.observed_at_ms + 3000)
    floor.poll(session, seconds=3)
    floor.plan()
    return floor, session


def _arrival(floor: Floor) -> Arrival:
    (arrival,) = floor.state.decided.arrivals.values()
    return arrival


def _after(floor: Floor, session: AgentSession, seconds: float, **changes: object) -> ArrivalStage:
    """Let a poll see the session with these changes, and return the stage of the arrival then."""
    floor.poll(msgspec.structs.replace(session, **changes), seconds=seconds)
    floor.plan()
    return _arrival(floor).stage


def test_an_agent_has_arrived_once_their_phone_is_in_the_room() -> None:
    floor, session = _moved(AgentStatus.PAUSED)
    assert (floor.incident.sent, floor.incident.moved, floor.incident.arrived) == (1, 1, 0)
    assert _after(floor, session, 1, phone_in_room=False) is ArrivalStage.AWAITED
    assert floor.incident.arrived == 0
    floor.poll(msgspec.structs.replace(session, phone_in_room=True), seconds=1)
    assert decisions(floor.plan()) == [
        (DecisionCode.ARRIVED, "their phone is in its room, 2.0 s after the login on 10.0.0.2", "1001")
    ]
    assert (_arrival(floor).stage, floor.incident.arrived) == (ArrivalStage.ARRIVED, 1)
    assert (floor.incident.moves, floor.incident.moved, floor.incident.listed) == (1, 1, ())
    assert floor.plan().records == []


def test_where_it_cannot_be_known_they_are_logged_in_and_never_arrived() -> None:
    floor, session = _moved(AgentStatus.PAUSED)
    assert _after(floor, session, 4.5) is ArrivalStage.AWAITED
    assert _after(floor, session, 0.5) is ArrivalStage.LOGGED_IN
    assert _after(floor, session, 60) is ArrivalStage.LOGGED_IN
    assert (floor.incident.moved, floor.incident.arrived, floor.incident.listed) == (1, 0, ())


def test_a_phone_that_was_absent_is_awaited_also_while_it_cannot_be_looked_at() -> None:
    """A table that is locked, or a collector that has just taken over, says nothing: that is no phone in its room."""
    floor, session = _moved(policy=BY_API)
    assert _after(floor, session, 2, phone_in_room=False) is ArrivalStage.AWAITED
    assert _after(floor, session, 5) is ArrivalStage.AWAITED
    assert _after(floor, session, 30) is ArrivalStage.MISSING
    assert floor.listed() == {"1001": NotMoved.NOT_ARRIVED}
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.RESUMING


def test_a_phone_that_is_absent_while_they_are_told_is_absent() -> None:
    floor, session = _moved(policy=TELLS)
    assert _after(floor, session, 1, phone_in_room=False) is ArrivalStage.TELLING
    assert _after(floor, session, 5) is ArrivalStage.AWAITED


def test_a_phone_that_cannot_be_looked_at_just_now_is_not_called() -> None:
    floor, session = _moved(policy=BY_API)
    _after(floor, session, 2, phone_in_room=False)
    assert _after(floor, session, 15) is ArrivalStage.AWAITED
    assert _after(floor, session, 1, phone_in_room=False) is ArrivalStage.CALLING


def test_a_collector_that_has_just_taken_over_has_as_long_to_look_for_a_phone_as_any() -> None:
    floor, session = _moved()
    health = floor.state.observed.health
    floor.poll(session, seconds=6)
    floor.state.observed.health = msgspec.structs.replace(health, steady_since_ms=floor.state.observed.observed_at_ms)
    floor.plan()
    assert _arrival(floor).stage is ArrivalStage.AWAITED
    assert _after(floor, session, 4.5) is ArrivalStage.AWAITED
    assert _after(floor, session, 0.5) is ArrivalStage.RESUMING


# --- told ---------------------------------------------------------------------------------------------------------


def test_an_agent_who_was_moved_is_told_once_and_then_awaited() -> None:
    floor, session = _moved(policy=TELLS)
    assert _arrival(floor).stage is ArrivalStage.TELLING
    assert _arrival(floor).notice == f"Dialer {ONE} failed. You are on dialer {TWO} now."
    _outcome(floor, _arrival(floor), Outcome(Reply.REFUSED, "Agent API Notifications are disabled"))
    assert _after(floor, session, 1, phone_in_room=False) is ArrivalStage.AWAITED
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.RESUMING


def test_nothing_else_waits_long_for_that() -> None:
    floor, session = _moved(policy=TELLS)
    assert _after(floor, session, 2.5, phone_in_room=True) is ArrivalStage.TELLING
    assert _after(floor, session, 0.5, phone_in_room=True) is ArrivalStage.RESUMING


def test_an_agent_is_told_in_signs_that_vicidial_bears() -> None:
    floor = Floor(agent("1001"), policy=TELLS)
    odd = msgspec.structs.replace(floor.state.observed.dialers[TWO], server_id="O'Neill|dialer <b>#2</b>")
    floor.judge(ONE=DialerState.DRAINING)
    (move,) = floor.moves()
    _outcome(floor, move, Outcome(Reply.DONE, "done"))
    floor.poll(agent("1001", TWO, AgentStatus.PAUSED, number=2001))
    floor.state.observed.dialers[TWO] = odd
    floor.plan()
    assert _arrival(floor).notice == f"Dialer {ONE} is taken out of service. You are on dialer ONeilldialer b2b now."


# --- ready again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [AgentStatus.READY, AgentStatus.CLOSER])
def test_an_agent_who_waited_waits_again_once_the_phone_is_there(status: AgentStatus) -> None:
    floor, session = _moved(status)
    assert _after(floor, session, 1, phone_in_room=False) is ArrivalStage.AWAITED
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.RESUMING
    assert floor.incident.arrived == 1
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "external_pause is RESUME"))
    assert (_arrival(floor).stage, _arrival(floor).resume) == (ArrivalStage.ARRIVED, False)
    ready = msgspec.structs.replace(session, status=AgentStatus.READY, phone_in_room=True)
    assert _after(floor, ready, 1) is ArrivalStage.ARRIVED
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.ARRIVED, "once"


@pytest.mark.parametrize("reply", [Reply.UNCLEAR, Reply.REFUSED, Reply.GONE])
def test_whatever_comes_of_it_an_agent_is_made_ready_once(reply: Reply) -> None:
    floor, session = _moved()
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.RESUMING
    _outcome(floor, _arrival(floor), Outcome(reply, "so"))
    for _ in range(4):
        assert _after(floor, session, 5, phone_in_room=True) is ArrivalStage.ARRIVED


def test_where_it_cannot_be_known_they_wait_again_when_the_phone_must_have_come() -> None:
    floor, session = _moved()
    assert _after(floor, session, 5) is ArrivalStage.RESUMING
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "external_pause is RESUME"))
    assert _after(floor, session, 1, status=AgentStatus.READY) is ArrivalStage.LOGGED_IN


def test_on_a_dialer_that_has_died_as_well_they_do_not_wait_again() -> None:
    floor, session = _moved()
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    assert _after(floor, session, 5) is not ArrivalStage.RESUMING
    floor.judge(ONE=DialerState.DOWN)
    assert _after(floor, session, 1) is ArrivalStage.RESUMING


def test_on_a_dialer_whose_asterisk_works_again_they_wait_again_though_it_is_not_back_yet() -> None:
    floor, session = _moved()
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    health = floor.state.observed.health.dialers
    health[TWO] = msgspec.structs.replace(health[TWO], interrupted=True, phones_lost_session=2000)
    assert _after(floor, session, 5) is ArrivalStage.RESUMING


def test_an_agent_whom_hotdesk_had_paused_waits_again_too() -> None:
    floor = Floor(agent("1001"), policy=CALM)
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    paused = msgspec.structs.replace(agent("1001", status=AgentStatus.PAUSED), external_pause="PAUSE!1")
    floor.poll(paused)
    floor.judge(ONE=DialerState.DOWN)
    assert [each.waited for each in floor.moves()] == [True]


@pytest.mark.parametrize("status", [AgentStatus.PAUSED, AgentStatus.INCALL, AgentStatus.OTHER])
def test_an_agent_who_did_not_wait_is_left_as_they_are(status: AgentStatus) -> None:
    floor, session = _moved(status)
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.ARRIVED


def test_an_agent_who_waits_after_the_disposition_of_a_dead_call_waits_again() -> None:
    floor = Floor(agent("1001", status=AgentStatus.INCALL, lead_id=9))
    floor.judge(ONE=DialerState.DOWN)
    (move,) = floor.moves()
    _outcome(floor, move, Outcome(Reply.DONE, "external_hangup is 1"))
    floor.poll(agent("1001", status=AgentStatus.READY), seconds=1)
    assert [(each.stage, each.waited) for each in floor.moves()] == [(ReloginStage.PLANNED, True)]


@pytest.mark.parametrize(
    "did",
    [
        {"status": AgentStatus.READY},
        {"status": AgentStatus.INCALL},
        {"lead_id": 7},
        {"external_pause": "PAUSE!1700000000"},
        {"changed_at_ms": NOW_MS + 60_000},
    ],
    ids=str,
)
def test_an_agent_who_has_done_something_since_is_left_alone(did: dict[str, object]) -> None:
    floor, session = _moved()
    floor.poll(msgspec.structs.replace(session, **did), seconds=1)
    assert [code for code, *_ in decisions(floor.plan())] == [DecisionCode.NOT_RESUMED]
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.ARRIVED


def test_a_phone_that_comes_late_makes_no_agent_ready() -> None:
    floor, session = _moved()
    assert _after(floor, session, 59, phone_in_room=False) is ArrivalStage.MISSING
    assert _after(floor, session, 1.5, phone_in_room=True) is ArrivalStage.ARRIVED


def test_a_resume_that_could_not_be_sent_in_time_is_not_sent_later() -> None:
    floor, session = _moved()
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.RESUMING
    assert _after(floor, session, 50, phone_in_room=True) is ArrivalStage.RESUMING
    assert _after(floor, session, 10, phone_in_room=True) is ArrivalStage.ARRIVED


def test_an_agent_who_went_by_themselves_is_not_made_ready() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DOWN)
    floor.moves()
    floor.poll(_seen(floor, phone_in_room=True), seconds=1)
    floor.plan()
    assert (_arrival(floor).stage, _arrival(floor).resume) == (ArrivalStage.ARRIVED, False)


def test_an_agent_who_comes_back_after_a_break_is_not_made_ready() -> None:
    floor = _sent()
    floor.poll(gone=["1001"])
    floor.plan()
    floor.poll(_seen(floor, phone_in_room=True), seconds=181)
    floor.plan()
    assert not _arrival(floor).resume


def test_the_setting_leaves_agents_paused() -> None:
    floor, session = _moved(policy=msgspec.structs.replace(CALM, restore_state=False))
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.ARRIVED


def test_an_agent_who_is_moved_again_before_they_were_made_ready_is_made_ready_in_the_end() -> None:
    floor, _session = _moved()
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    assert [each.waited for each in floor.moves()] == [True]


def test_in_advise_mode_there_are_no_arrivals() -> None:
    floor = Floor(agent("1001"), acts=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.poll(_seen(floor, phone_in_room=True), seconds=1)
    floor.plan()
    assert not floor.state.decided.arrivals


# --- phones that do not come --------------------------------------------------------------------------------------


def test_a_phone_that_does_not_come_is_called_again_once_and_then_listed() -> None:
    floor, session = _moved(AgentStatus.PAUSED, BY_API)
    assert _after(floor, session, 14.5, phone_in_room=False) is ArrivalStage.AWAITED
    assert _after(floor, session, 0.5, phone_in_room=False) is ArrivalStage.CALLING
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "SUCCESS: call_agent function sent - 1001"))
    assert _after(floor, session, 1, phone_in_room=False) is ArrivalStage.AWAITED, "once"
    floor.poll(msgspec.structs.replace(session, phone_in_room=False), seconds=14)
    assert DecisionCode.NOT_ARRIVED in {code for code, *_ in decisions(floor.plan())}
    assert _arrival(floor).stage is ArrivalStage.MISSING
    assert floor.listed() == {"1001": NotMoved.NOT_ARRIVED}
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.ARRIVED
    assert (floor.listed(), floor.incident.arrived) == ({}, 1)


def test_without_the_agent_api_no_phone_is_called() -> None:
    floor, session = _moved(AgentStatus.PAUSED)
    assert _after(floor, session, 20, phone_in_room=False) is ArrivalStage.AWAITED
    assert _after(floor, session, 10, phone_in_room=False) is ArrivalStage.MISSING


def test_a_phone_of_which_nothing_is_known_is_neither_called_nor_listed() -> None:
    floor, session = _moved(AgentStatus.PAUSED, BY_API)
    for _ in range(10):
        assert _after(floor, session, 5) is ArrivalStage.LOGGED_IN


def test_a_phone_that_comes_while_it_is_to_be_called_is_not_called() -> None:
    floor, session = _moved(AgentStatus.PAUSED, BY_API)
    assert _after(floor, session, 15, phone_in_room=False) is ArrivalStage.CALLING
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.ARRIVED


def test_what_is_known_of_a_missing_phone_is_listed_with_it() -> None:
    floor = _sent(AgentStatus.PAUSED)
    floor.state.observed.phones["1001b"] = msgspec.structs.replace(
        floor.state.observed.phones["1001b"], peer_status="UNREGISTERED"
    )
    session = _seen(floor, phone_in_room=False)
    floor.state.decided.logins["1001"] = LoginSlot(
        cluster=CLUSTER,
        user="1001",
        alias_id="desk1001",
        phone_login="1001B",
        server_ip=TWO,
        handed_out_at_ms=NOW_MS,
        until_ms=NOW_MS,
        used_by=session.live_agent_id,
        handed_out_by="me",
    )
    floor.poll(session, seconds=1)
    floor.plan()
    _after(floor, session, 30)
    (listed,) = floor.incident.listed
    assert (listed.phone_login, listed.server_ip, listed.peer_status) == ("1001B", TWO, "UNREGISTERED")


def _on_hook(floor: Floor) -> AgentSession:
    """Let the agent log in with a phone that rings for calls only, and return their session."""
    session = _seen(floor, None, on_hook=True)
    floor.poll(session, seconds=1)
    floor.plan()
    return session


def test_an_on_hook_agent_has_arrived_once_their_screen_has_settled_and_waits_again() -> None:
    floor = _sent(policy=BY_API)
    session = _on_hook(floor)
    assert _after(floor, session, 4.5) is ArrivalStage.AWAITED
    assert floor.incident.arrived == 0
    floor.poll(session, seconds=0.5)
    why = "on-hook: their phone rings for calls only, 5.0 s after the login on 10.0.0.2"
    assert (DecisionCode.ARRIVED, why, "1001") in decisions(floor.plan())
    assert (_arrival(floor).stage, floor.incident.arrived) == (ArrivalStage.RESUMING, 1)
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "external_pause is RESUME"))
    assert _after(floor, session, 60, status=AgentStatus.READY) is ArrivalStage.ARRIVED
    assert floor.incident.listed == ()


def test_an_on_hook_agent_who_did_not_wait_or_has_done_something_is_left_as_they_are() -> None:
    floor = _sent(AgentStatus.PAUSED, BY_API)
    session = _on_hook(floor)
    for _ in range(8):
        assert _after(floor, session, 5) is ArrivalStage.ARRIVED
    floor = _sent(policy=BY_API)
    session = _on_hook(floor)
    assert _after(floor, session, 5, status=AgentStatus.READY) is ArrivalStage.ARRIVED


# --- called again where they are ------------------------------------------------------------------------------------


def _restarted(*sessions: AgentSession, policy: Policy = BY_API) -> Floor:
    """Return a floor whose first dialer's Asterisk has just started again."""
    floor = Floor(*sessions, policy=policy)
    _restart(floor)
    return floor


def _restart(floor: Floor, *, dead: bool = False) -> None:
    """Let the first dialer's Asterisk have started again just now; or let the dialer be dead for good."""
    now_ms = floor.state.observed.observed_at_ms
    floor.judge(ONE=DialerState.DOWN)
    floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(
        floor.state.observed.health.dialers[ONE],
        interrupted=not dead,
        interrupted_at_ms=now_ms,
        phones_lost_ms=now_ms - 1000,
        phones_lost_session=9999,
    )


def _here(floor: Floor, seconds: float, **changes: object) -> None:
    """Let a poll show the first agent with these changes."""
    floor.poll(msgspec.structs.replace(floor.sessions["1001"], **changes), seconds=seconds)


def test_agents_whose_asterisk_has_started_again_are_called_where_they_are() -> None:
    floor = _restarted(agent("1001"), agent("1002", status=AgentStatus.PAUSED))
    assert floor.moves() == []
    assert {each.stage for each in floor.state.decided.arrivals.values()} == {ArrivalStage.CALLING}
    for each in list(floor.state.decided.arrivals.values()):
        _outcome(floor, each, Outcome(Reply.DONE, "SUCCESS"))
    _here(floor, 5, phone_in_room=True)
    assert floor.moves() == []
    assert (floor.incident.arrived, floor.incident.listed) == (1, ())
    _here(floor, 60)
    assert [each.user for each in floor.moves()] == ["1002"], "their phone did not come"
    _here(floor, 60, status=AgentStatus.INCALL)
    assert floor.moves() == [], "their phone is there, and so is the customer"


def test_an_agent_whose_call_died_is_called_where_they_are_once_they_have_chosen_its_disposition() -> None:
    floor = _restarted(agent("1001", status=AgentStatus.INCALL))
    (move,) = floor.moves()
    assert move.stage is ReloginStage.HANGING_UP
    _outcome(floor, move, Outcome(Reply.DONE, "hung up"))
    floor.poll(agent("1001", status=AgentStatus.PAUSED, lead_id=7), seconds=2)
    floor.plan()
    assert not floor.state.decided.arrivals
    floor.poll(agent("1001"), seconds=5)
    floor.plan()
    assert floor.state.decided.relogins == {}
    assert _arrival(floor).stage is ArrivalStage.CALLING
    assert floor.incident.listed == ()
    floor.poll()
    assert floor.state.decided.slots.of("1001") is None


def test_one_who_chooses_none_is_moved_after_20_s() -> None:
    floor = _restarted(agent("1001", status=AgentStatus.INCALL))
    (move,) = floor.moves()
    _outcome(floor, move, Outcome(Reply.DONE, "hung up"))
    floor.poll(agent("1001", status=AgentStatus.PAUSED, lead_id=7), seconds=20)
    assert [(each.stage, each.undisposed) for each in floor.moves()] == [(ReloginStage.PLANNED, True)]


def test_an_agent_whose_phone_does_not_come_is_moved_and_waits_again() -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "SUCCESS"))
    _here(floor, 9.5, phone_in_room=False)
    assert floor.moves() == []
    _here(floor, 0.5)
    assert [(each.user, each.waited) for each in floor.moves()] == [("1001", True)]


@pytest.mark.parametrize("reply", [Reply.REFUSED, Reply.GONE])
def test_an_agent_who_cannot_be_called_is_moved_at_once(reply: Reply) -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    _outcome(floor, _arrival(floor), Outcome(reply, "so"))
    floor.poll()
    assert [each.user for each in floor.moves()] == ["1001"]


def test_without_a_way_to_call_them_they_are_moved_at_once() -> None:
    floor = _restarted(agent("1001"), policy=CALM)
    assert [each.user for each in floor.moves()] == ["1001"]


def test_who_is_paused_meanwhile_waits_again_when_the_phone_is_back() -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    (pause,) = floor.state.decided.agent_pauses.values()
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "SUCCESS"))
    done = after(pause, Outcome(Reply.DONE, "done", "PAUSE!1"), NOW_MS, "me")
    assert isinstance(done, AgentPause)
    floor.state.decided.add(done)
    _here(floor, 1, status=AgentStatus.PAUSED, external_pause="PAUSE!1")
    floor.plan()
    _here(floor, 1, phone_in_room=True)
    floor.plan()
    floor.poll()
    floor.plan()
    (pause,) = floor.state.decided.agent_pauses.values()
    assert pause.stage is AgentPauseStage.RESUMING


def test_the_fleet_brake_is_no_reason_against_calling_agents_where_they_are() -> None:
    floor = _restarted(agent("1001"))
    floor.state.observed.health = msgspec.structs.replace(floor.state.observed.health, brake=BRAKE)
    assert floor.moves() == []
    assert _arrival(floor).stage is ArrivalStage.CALLING
    assert withholds(BRAKE, _arrival(floor)) is None
    _here(floor, 10, phone_in_room=False)
    assert floor.moves() == [], "nobody is moved under the brake"
    assert floor.incident.withheld == BRAKE


@pytest.mark.parametrize("doubt", [SUSPENDED, Reason(ReasonCode.VIEW_STALE, "old")])
def test_any_other_reason_for_withholding_moves_is_one(doubt: Reason) -> None:
    floor = _restarted(agent("1001"))
    floor.doubt = doubt
    assert floor.moves() == []
    assert not floor.state.decided.arrivals


def test_nobody_is_called_under_the_brake_on_a_dialer_whose_death_is_in_doubt() -> None:
    floor = _restarted(agent("1001"))
    dialers = floor.state.observed.health.dialers
    dialers[ONE] = msgspec.structs.replace(dialers[ONE], verdict=DialerState.SUSPECT)
    floor.state.observed.health = msgspec.structs.replace(floor.state.observed.health, brake=BRAKE)
    floor.plan()
    assert not floor.state.decided.arrivals


@pytest.mark.parametrize("policy", [BY_API, CALM])
def test_on_hook_agents_have_lost_nothing_with_their_asterisk_and_are_left_where_they_are(policy: Policy) -> None:
    wrapping = agent("1002", status=AgentStatus.PAUSED, lead_id=7)
    on_hook = [msgspec.structs.replace(each, on_hook=True) for each in (agent("1001"), wrapping)]
    floor = _restarted(*on_hook, policy=policy)
    for _ in range(6):
        assert floor.moves() == []
        floor.poll(seconds=10)
    assert not floor.state.decided.arrivals
    assert floor.incident.listed == ()
    _restart(floor, dead=True)
    floor.poll()
    assert [each.user for each in floor.moves()] == ["1001", "1002"]


@pytest.mark.parametrize("policy", [BY_API, CALM])
def test_an_on_hook_agent_whose_call_died_is_left_once_they_have_chosen_its_disposition(policy: Policy) -> None:
    in_call = msgspec.structs.replace(agent("1001", status=AgentStatus.INCALL), on_hook=True)
    floor = _restarted(in_call, policy=policy)
    (move,) = floor.moves()
    assert move.stage is ReloginStage.HANGING_UP
    _outcome(floor, move, Outcome(Reply.DONE, "hung up"))
    floor.poll(msgspec.structs.replace(in_call, status=AgentStatus.PAUSED, lead_id=7), seconds=2)
    floor.plan()
    floor.poll(msgspec.structs.replace(in_call, status=AgentStatus.READY), seconds=5)
    floor.plan()
    floor.poll()
    assert floor.moves() == []
    assert (floor.state.decided.relogins, floor.state.decided.arrivals) == ({}, {})


def _back(floor: Floor) -> None:
    """Let all dialers be up again; what was lost with the first one's Asterisk stays lost."""
    lost = floor.state.observed.health.dialers[ONE]
    floor.judge()
    dialers = floor.state.observed.health.dialers
    dialers[ONE] = msgspec.structs.replace(
        dialers[ONE], phones_lost_ms=lost.phones_lost_ms, phones_lost_session=lost.phones_lost_session
    )


def test_who_has_no_phone_in_the_room_when_the_dialer_is_back_is_listed() -> None:
    on_hook = msgspec.structs.replace(agent("1005"), on_hook=True)
    in_call, newer = agent("1002", status=AgentStatus.INCALL), agent("1006", number=10_000)
    floor = _restarted(agent("1001"), in_call, agent("1003"), agent("1004", remote=True), on_hook, newer)
    floor.state.observed.health = msgspec.structs.replace(floor.state.observed.health, brake=BRAKE)
    floor.plan()
    floor.poll(msgspec.structs.replace(floor.sessions["1003"], phone_in_room=True))
    floor.plan()
    _back(floor)
    why = "Asterisk has started again, and their phone is not back in its conference room"
    plan = decisions(floor.plan())
    assert [each[1:] for each in plan if each[0] is DecisionCode.NOT_MOVED] == [(why, "1001"), (why, "1002")]
    (closed,) = floor.state.decided.closed
    assert [(each.user, each.why) for each in closed.listed] == [
        ("1001", NotMoved.PHONE_LOST),
        ("1002", NotMoved.PHONE_LOST),
    ]


def test_a_phone_that_was_lost_before_the_incident_is_none_of_its() -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    _back(floor)
    floor.plan()
    floor.poll(seconds=180)
    lost = floor.state.observed.health.dialers[ONE]
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.state.observed.health.dialers[ONE] = lost
    floor.plan()
    assert [len(each.listed) for each in floor.state.decided.closed] == [1, 0]


def test_an_agent_who_was_called_where_they_are_is_moved_if_the_dialer_dies_all_the_same() -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    _here(floor, 5, phone_in_room=True)
    floor.plan()
    _restart(floor, dead=True)
    floor.poll()
    assert [each.user for each in floor.moves()] == ["1001"]


def test_after_another_start_they_are_called_once_more() -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    _here(floor, 5, phone_in_room=True)
    floor.plan()
    _here(floor, 5, phone_in_room=None)
    _restart(floor)
    assert floor.moves() == []
    assert _arrival(floor).stage is ArrivalStage.CALLING


def test_an_asterisk_that_starts_again_and_again_is_left_at_the_third_start() -> None:
    floor = _restarted(agent("1001"))
    for _ in range(2):
        assert floor.moves() == []
        _here(floor, 5, phone_in_room=True)
        floor.plan()
        assert floor.incident.arrived == 1
        _here(floor, 5, phone_in_room=None)
        _restart(floor)
    (move,) = floor.moves()
    _outcome(floor, move, Outcome(Reply.DONE, "done"))
    floor.poll(_seen(floor, True))
    floor.plan()
    floor.poll()
    floor.plan()
    assert floor.incident.arrived == 1, "one agent, twice where they were and once elsewhere"


def test_a_start_after_the_incident_is_the_first_of_the_next() -> None:
    floor = _restarted(agent("1001"))
    floor.plan()
    _restart(floor)
    floor.plan()
    floor.judge()
    _here(floor, 5, phone_in_room=True)
    floor.plan()
    assert not floor.state.decided.incidents
    floor.poll(seconds=2)
    _restart(floor)
    # in one plan the old arrival ends and the new one begins
    assert floor.moves() == []
    assert _arrival(floor).starts == 1


# --- how long ------------------------------------------------------------------------------------------------------


def test_arrivals_go_on_when_the_incident_is_over_and_end_when_they_are() -> None:
    floor, session = _moved()
    floor.judge()
    floor.plan()
    assert not floor.state.decided.incidents
    assert _after(floor, session, 1, phone_in_room=True) is ArrivalStage.RESUMING
    _outcome(floor, _arrival(floor), Outcome(Reply.DONE, "external_pause is RESUME"))
    floor.poll()
    floor.plan()
    assert not floor.state.decided.arrivals


def test_an_agent_between_two_sessions_when_the_incident_closes_is_still_awaited() -> None:
    floor = _sent()
    floor.poll(gone=["1001"])
    floor.plan()
    floor.judge()
    floor.plan()
    floor.poll(_seen(floor, phone_in_room=True), seconds=1)
    floor.plan()
    assert _arrival(floor).resume
    assert not floor.state.decided.relogins


def test_an_agent_who_does_not_come_back_is_not_awaited_without_end() -> None:
    floor = _sent()
    floor.poll(gone=["1001"])
    floor.plan()
    floor.judge()
    floor.plan()
    assert floor.state.decided.relogins
    floor.poll(seconds=181)
    floor.plan()
    assert not floor.state.decided.relogins


def test_a_session_that_has_ended_is_neither_listed_nor_called() -> None:
    floor, session = _moved(AgentStatus.PAUSED, BY_API)
    _after(floor, session, 30, phone_in_room=False)
    floor.poll(gone=["1001"])
    floor.plan()
    assert floor.incident.listed == ()
    floor.judge()
    floor.plan()
    floor.poll()
    floor.plan()
    assert not floor.state.decided.arrivals


def test_a_move_that_is_done_is_not_written_down_again_and_again() -> None:
    floor, session = _moved()
    floor.poll(msgspec.structs.replace(session, phone_in_room=False))
    floor.plan()
    floor.poll()
    assert floor.plan().records == []


# --- before an act -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "call", "resume"),
    [
        ([HERE], Precondition.SEND, Precondition.SEND),
        ([], Precondition.GONE, Precondition.GONE),
        ([HERE._replace(server_ip=ONE)], Precondition.ELSEWHERE, Precondition.ELSEWHERE),
        ([HERE._replace(external_pause=LOGOUT)], Precondition.TOLD, Precondition.TOLD),
        ([HERE._replace(external_pause="PAUSE!1")], Precondition.SEND, Precondition.NOT_OURS),
        ([HERE._replace(status="READY")], Precondition.SEND, Precondition.NOT_OURS),
        ([HERE._replace(lead_id=7)], Precondition.SEND, Precondition.NOT_OURS),
        ([HERE, SessionRow(43, ONE, "")], Precondition.TWICE, Precondition.TWICE),
    ],
)
def test_the_row_is_looked_at_before_each(rows: list[SessionRow], call: Precondition, resume: Precondition) -> None:
    for stage, found in ((ArrivalStage.CALLING, call), (ArrivalStage.RESUMING, resume)):
        action = msgspec.structs.replace(ARRIVAL, stage=stage)
        assert check(action, rows, names_user=True) is found


def test_the_fleet_brake_keeps_no_agent_from_being_ready_again_and_a_suspended_cluster_does() -> None:
    assert withholds(BRAKE, ARRIVAL) is None
    assert withholds(SUSPENDED, ARRIVAL) is SUSPENDED
