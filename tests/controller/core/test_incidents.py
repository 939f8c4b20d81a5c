"""Incidents and moves: who is moved where and in which order, who is not and why, and what is written down."""

import msgspec
import pytest

from controller.core.actions import Outcome, after
from controller.core.picks import answer_relogin
from controller.core.plan import AGENTS_TABLE, AGENTS_UNREAD_SECONDS, Plan
from controller.core.policy import MaintenanceWindow, Policy
from messages.codes import DecisionCode, NoRelogin, ReasonCode, Reply, Unreadable
from messages.records import (
    AgentPause,
    AgentSession,
    AgentStatus,
    DialerState,
    FleetHealth,
    LoginSlot,
    Move,
    NotMoved,
    Pause,
    Relogin,
    ReloginStage,
    UnreadTable,
)
from messages.words import reason
from tests.support.builders import CLUSTER, NOW_MS, ONE, PLAIN, THREE, TWO, slot
from tests.support.floor import BRAKE, CALM, Floor, agent, alias, crowd, decisions, health


def test_nothing_happens_while_all_is_well() -> None:
    assert Floor(*crowd(5)).plan() == Plan([], [])


def test_a_dead_dialer_opens_one_incident_that_closes_when_it_is_back() -> None:
    floor = Floor()
    floor.judge(ONE=DialerState.DOWN)
    plan = floor.plan()
    assert decisions(plan) == [(DecisionCode.INCIDENT_OPENED, "it is down", ONE)]
    floor.poll()
    assert floor.plan() == Plan([], [])
    floor.judge(ONE=DialerState.RECOVERING)
    assert decisions(floor.plan()) == [(DecisionCode.INCIDENT_CLOSED, "the dialer is recovering", ONE)]
    assert floor.state.decided.incidents == {}
    assert floor.state.decided.closed[-1].closed_at_ms == floor.state.observed.observed_at_ms


def test_an_incident_says_why_the_dialer_was_down_and_not_what_is_seen_once_it_comes_back() -> None:
    floor = Floor()
    floor.judge(ONE=DialerState.DOWN)

    def see(evidence: str, *, confirmed: bool) -> str:
        before = floor.state.observed.health.dialers[ONE]
        floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(
            before, evidence=evidence, confirmed=confirmed
        )
        floor.plan()
        return floor.incident.why

    assert see("heartbeat stalled for 75 s", confirmed=False) == "heartbeat stalled for 75 s"
    assert see("SIP mute", confirmed=True) == "SIP mute"
    assert see("SIP mute, though its heartbeat advances", confirmed=False) == "SIP mute"
    assert not floor.incident.confirmed


def test_a_draining_dialer_that_dies_keeps_its_incident() -> None:
    floor = Floor()
    floor.judge(ONE=DialerState.DRAINING)
    floor.plan()
    opened = floor.incident
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert (floor.incident.incident, floor.incident.kind) == (opened.incident, DialerState.DOWN)


def test_a_dialer_that_is_removed_closes_its_incident() -> None:
    floor = Floor()
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.state.observed.health = FleetHealth(dialers={TWO: health(DialerState.UP)})
    floor.plan()
    assert floor.state.decided.incidents == {}


def test_agents_of_a_dialer_that_is_removed_while_it_is_down_are_moved_all_the_same() -> None:
    floor = Floor(*crowd(2))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    assert floor.moves() == []
    opened = floor.incident
    floor.remove(ONE)
    assert [each.from_server_ip for each in floor.moves()] == [ONE, ONE], "they still hear no caller"
    assert floor.incident.incident == opened.incident
    floor.poll(gone=["1001", "1002"])
    floor.remove(ONE)
    floor.plan()
    assert floor.state.decided.incidents == {}


def test_on_a_dialer_that_is_removed_after_an_uncertain_death_no_agent_is_moved_and_no_call_hung_up() -> None:
    floor = Floor(agent("1001", status=AgentStatus.INCALL), agent("1002"))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    alone = msgspec.structs.replace(floor.state.observed.health.dialers[ONE], confirmed=False)
    floor.state.observed.health.dialers[ONE] = alone
    floor.plan()
    floor.remove(ONE)
    plan = floor.plan()
    assert not [each for each in plan.records if isinstance(each, Relogin | AgentPause)]
    assert floor.incident.withheld is not None
    assert floor.incident.withheld.code is ReasonCode.HEARTBEAT_ALONE


def test_an_agent_in_a_call_on_a_dialer_that_vicidial_has_not_as_an_asterisk_is_moved_by_order_after_the_call() -> None:
    floor = Floor(agent("1001", status=AgentStatus.INCALL))
    del floor.state.observed.health.dialers[ONE]
    ordered = Move(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna", user="1001", live_agent_id=1001)
    floor.state.decided.orders.add(ordered)
    assert floor.moves() == [], "the call may be alive"


@pytest.mark.parametrize("silent_since_ms", [None, NOW_MS])
def test_a_removed_dialers_incident_stays_open_for_a_screen_that_sleeps_and_for_no_remote_agent(
    silent_since_ms: int | None,
) -> None:
    floor = Floor(
        msgspec.structs.replace(agent("1001"), screen_silent_since_ms=silent_since_ms), agent("9001", remote=True)
    )
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    floor.remove(ONE)
    floor.plan()
    assert floor.incident.kind is DialerState.DOWN
    floor.poll(gone=["1001"])
    floor.remove(ONE)
    floor.plan()
    assert floor.state.decided.incidents == {}


@pytest.mark.parametrize("life", [DialerState.UNKNOWN, DialerState.SUSPECT])
def test_a_dialer_that_is_listed_again_is_not_back_before_it_is_seen_up(life: DialerState) -> None:
    floor = Floor(*crowd(2))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    opened = floor.incident
    floor.judge()
    unproven = msgspec.structs.replace(health(life), life=life, verdict=life)
    floor.state.observed.health.dialers[ONE] = unproven
    assert floor.moves() == [], "it may be well"
    assert floor.incident.incident == opened.incident
    floor.judge()
    floor.plan()
    assert floor.state.decided.incidents == {}


def test_an_incident_in_a_maintenance_window_is_planned() -> None:
    floor = Floor(policy=Policy(windows=(MaintenanceWindow(start_minute=0, minutes=1440),)))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert floor.incident.in_maintenance


def test_closed_dialers_keep_their_agents_unless_the_policy_says_otherwise() -> None:
    floor = Floor(*crowd(2))
    floor.judge(ONE=DialerState.CLOSED)
    assert floor.plan() == Plan([], [])
    floor.policy = msgspec.structs.replace(CALM, move_on_closed=True)
    assert [each.user for each in floor.moves()] == ["1001", "1002"]


# --- what the collector cannot read, or must not write to --------------------------------------------------------


def unread(since_seconds: float, table: str = AGENTS_TABLE) -> dict[str, object]:
    at_ms = NOW_MS + 10_000
    return {
        "observed_at_ms": at_ms,
        "unread": (UnreadTable(table=table, since_ms=at_ms - round(since_seconds * 1000), why=Unreadable.LOCKED),),
    }


@pytest.mark.parametrize(
    ("poll", "acts", "code"),
    [
        (unread(AGENTS_UNREAD_SECONDS), True, None),
        (unread(AGENTS_UNREAD_SECONDS + 0.1), True, ReasonCode.AGENTS_UNREAD),
        (unread(600, "vicidial_user_log"), True, None),
        ({"doubts": (ReasonCode.ANOTHER_INSTALLATION,)}, True, ReasonCode.ANOTHER_INSTALLATION),
        ({"doubts": (ReasonCode.ANOTHER_INSTALLATION,)}, False, ReasonCode.ANOTHER_INSTALLATION),
        ({"doubts": (ReasonCode.REPLICA,)}, True, ReasonCode.REPLICA),
        ({"doubts": (ReasonCode.REPLICA,)}, False, None),
    ],
)
def test_agents_are_moved_only_by_sessions_just_read_and_on_a_server_to_write_to(
    poll: dict[str, object], acts: bool, code: ReasonCode | None
) -> None:
    floor = Floor(*crowd(1))
    floor.acts = acts
    floor.judge(ONE=DialerState.DOWN)
    assert floor.state.observed.poll is not None
    floor.state.observed.poll = msgspec.structs.replace(floor.state.observed.poll, **poll)
    moved = floor.moves()
    assert (None if floor.incident.withheld is None else floor.incident.withheld.code) == code
    assert bool(moved) == (code is None)


# --- who is moved where -----------------------------------------------------------------------------------------


def test_agents_of_a_dead_dialer_are_spread_evenly_and_each_gets_a_slot() -> None:
    floor = Floor(*crowd(10))
    floor.judge(ONE=DialerState.DOWN)
    plan = floor.plan()
    moves = [each for each in plan.records if isinstance(each, Relogin)]
    slots = [each for each in plan.records if isinstance(each, LoginSlot)]
    assert sorted(each.to_server_ip for each in moves) == [TWO] * 5 + [THREE] * 5
    assert [(each.user, each.server_ip, each.phone_login) for each in slots] == [
        (each.user, each.to_server_ip, each.phone_login) for each in moves
    ]
    assert floor.state.decided.slots.on(TWO) == floor.state.decided.slots.on(THREE) == 5
    assert (floor.incident.agents, floor.incident.moves, floor.incident.listed) == (10, 10, ())


def test_an_agent_is_moved_once() -> None:
    floor = Floor(*crowd(3))
    floor.judge(ONE=DialerState.DOWN)
    assert len(floor.moves()) == 3
    for _ in range(20):
        floor.poll()
        assert floor.moves() == []


def test_those_who_wait_for_calls_go_first_and_those_in_calls_last() -> None:
    floor = Floor(
        agent("1001", status=AgentStatus.INCALL),
        agent("1002", status=AgentStatus.PAUSED),
        agent("1003", status=AgentStatus.CLOSER),
        agent("1004", status=AgentStatus.QUEUE),
        agent("1005", status=AgentStatus.READY),
    )
    floor.judge(ONE=DialerState.DOWN)
    assert [each.user for each in floor.moves()] == ["1003", "1005", "1002", "1001", "1004"]


def test_the_pace_is_kept_over_the_whole_cluster() -> None:
    floor = Floor(*crowd(30), *crowd(30, TWO, 2001), policy=PLAIN)
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DRAINING)
    ordered = []
    for _ in range(12):
        ordered.append(len(floor.moves()))
        floor.poll()
    assert [sum(pair) for pair in zip(ordered[::2], ordered[1::2], strict=True)] == [10] * 6


@pytest.mark.parametrize(("began_ms", "moved"), [(-1, [("1001", ReloginStage.HANGING_UP)]), (1, [])])
def test_of_an_asterisk_that_started_again_only_the_calls_from_before_are_dead(
    began_ms: int, moved: list[tuple[str, ReloginStage]]
) -> None:
    in_call = msgspec.structs.replace(agent("1001", status=AgentStatus.INCALL), changed_at_ms=NOW_MS + began_ms)
    floor = Floor(in_call)
    floor.judge(ONE=DialerState.DOWN)
    dead = msgspec.structs.replace(floor.state.observed.health.dialers[ONE], life=DialerState.DOWN, confirmed=True)
    floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(
        dead, interrupted=True, phones_lost_ms=NOW_MS, phones_lost_session=in_call.live_agent_id
    )
    assert [(each.user, each.stage) for each in floor.moves()] == moved


def test_draining_waits_for_calls_to_end() -> None:
    floor = Floor(agent("1001", status=AgentStatus.INCALL), agent("1002"))
    floor.judge(ONE=DialerState.DRAINING)
    assert [each.user for each in floor.moves()] == ["1002"]
    assert floor.listed() == {"1001": NotMoved.IN_CALL}
    floor.poll(agent("1001", status=AgentStatus.PAUSED), seconds=2)
    assert [each.user for each in floor.moves()] == ["1001"]
    assert floor.listed() == {}


def test_rooms_and_max_agents_of_the_targets_are_respected() -> None:
    floor = Floor(*crowd(10), policy=msgspec.structs.replace(CALM, max_agents_of={TWO: 2}))
    floor.rooms[THREE] = 3
    floor.poll()
    floor.judge(ONE=DialerState.DOWN)
    assert sorted(each.to_server_ip for each in floor.moves()) == [TWO] * 2 + [THREE] * 3
    assert list(floor.listed().values()) == [NotMoved.NOWHERE] * 5


def test_nobody_is_moved_to_another_dialer_that_is_down() -> None:
    floor = Floor(*crowd(4))
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    assert {each.to_server_ip for each in floor.moves()} == {THREE}


def test_remote_agents_are_listed_and_not_moved() -> None:
    floor = Floor(agent("1001", remote=True), agent("1002"))
    floor.judge(ONE=DialerState.DOWN)
    assert [each.user for each in floor.moves()] == ["1002"]
    assert (floor.listed(), floor.incident.agents) == ({"1001": NotMoved.REMOTE}, 1)


def test_an_agent_whose_call_was_on_the_dead_dialer_is_listed_and_never_logged_out() -> None:
    floor = Floor(agent("1001", TWO, AgentStatus.INCALL, call_server_ip=ONE))
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    assert floor.listed() == {"1001": NotMoved.CALL_LOST}


# --- which alias ------------------------------------------------------------------------------------------------


def test_the_alias_of_the_login_wins_over_all_that_could_be_guessed() -> None:
    floor = Floor(agent("1001"))
    for alias_id in ("typed", "picked"):
        floor.state.observed.aliases[alias_id] = alias("1001", alias_id)
    floor.poll(msgspec.structs.replace(agent("1001"), typed="TYPED"))
    floor.judge(ONE=DialerState.DOWN)
    login = msgspec.structs.replace(slot("1001"), alias_id="picked", used_by=1001)
    floor.state.add_slot(login)
    assert [each.alias_id for each in floor.moves()] == ["picked"]


def test_what_was_typed_is_the_next_best() -> None:
    floor = Floor(agent("1001"))
    floor.state.observed.aliases["typed"] = alias("1001", "typed")
    floor.poll(msgspec.structs.replace(agent("1001"), typed="TYPED"))
    floor.state.add_slot(msgspec.structs.replace(slot("1001"), used_by=999))  # of an earlier session
    floor.judge(ONE=DialerState.DOWN)
    assert [each.alias_id.lower() for each in floor.moves()] == ["typed"]


def test_several_aliases_with_the_phone_are_ambiguous() -> None:
    floor = Floor(agent("1001"))
    floor.state.observed.aliases["other"] = alias("1001", "other")
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    assert floor.listed() == {"1001": NotMoved.AMBIGUOUS}


def test_an_agent_without_an_alias_is_listed() -> None:
    floor = Floor(agent("1001"))
    floor.state.observed.aliases.clear()
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    assert floor.listed() == {"1001": NotMoved.NO_ALIAS}


# --- what became of it ------------------------------------------------------------------------------------------


def test_a_move_has_succeeded_when_the_agent_is_seen_elsewhere() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.poll(gone=["1001"])
    floor.plan()
    assert [each.stage for each in floor.state.decided.relogins.values()] == [ReloginStage.ENDED]
    floor.poll(agent("1001", TWO, number=5001))
    floor.plan()
    assert [each.stage for each in floor.state.decided.relogins.values()] == [ReloginStage.MOVED]
    assert (floor.incident.agents, floor.incident.moved) == (0, 1)


def test_an_agent_who_logs_in_on_the_dead_dialer_again_is_moved_again() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.poll(agent("1001", ONE, number=5001))
    assert [each.live_agent_id for each in floor.moves()] == [5001]


def test_a_dialer_that_comes_back_withdraws_what_was_not_done_and_forgets_the_rest() -> None:
    floor = Floor(*crowd(2))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.judge(ONE=DialerState.RECOVERING)
    plan = floor.plan()
    assert (DecisionCode.MOVE_WITHDRAWN, "the dialer is recovering", "1001") in decisions(plan)
    assert [str(key) for key in plan.ended] == [f"{CLUSTER}/session/1001", f"{CLUSTER}/session/1002"]
    assert floor.state.decided.relogins == {}


# --- what is withheld -------------------------------------------------------------------------------------------


def test_while_braked_nobody_is_moved_and_it_is_said_once() -> None:
    floor = Floor(*crowd(2))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    plan = floor.plan()
    assert (DecisionCode.MOVES_WITHHELD, BRAKE.text, ONE) in decisions(plan)
    assert (floor.incident.withheld, floor.state.decided.relogins) == (BRAKE, {})
    floor.poll()
    assert floor.plan() == Plan([], [])
    floor.judge(ONE=DialerState.DOWN)
    assert len(floor.moves()) == 2


def test_while_paused_nobody_is_moved() -> None:
    floor = Floor(*crowd(2))
    floor.state.decided.orders.add(Pause(cluster=CLUSTER, ordered_at_ms=0, by="anna", why="release night"))
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    assert floor.incident.withheld == reason(ReasonCode.SUSPENDED, by="anna", because=": release night")


def test_doubt_of_the_present_withholds() -> None:
    floor = Floor(*crowd(2))
    floor.doubt = reason(ReasonCode.VIEW_STALE)
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    assert floor.incident.withheld is floor.doubt


def test_advice_takes_no_slots_and_says_what_it_is() -> None:
    floor = Floor(agent("1001"), acts=False)
    floor.judge(ONE=DialerState.DOWN)
    plan = floor.plan()
    assert [each.stage for each in plan.records if isinstance(each, Relogin)] == [ReloginStage.ADVISED]
    assert len(floor.state.decided.slots) == 0
    assert any(code is DecisionCode.MOVE_ADVISED for code, _, _ in decisions(plan))
    floor.poll()
    assert floor.plan() == Plan([], [])


def test_what_was_advised_is_ordered_once_hotdesk_may_act() -> None:
    floor = Floor(agent("1001"), acts=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.acts = True
    assert [each.stage for each in floor.moves()] == [ReloginStage.PLANNED]


# --- orders -----------------------------------------------------------------------------------------------------


def test_a_person_may_have_one_agent_moved() -> None:
    floor = Floor(*crowd(3), *crowd(2, TWO, 2001))
    floor.state.decided.orders.add(Move(cluster=CLUSTER, ordered_at_ms=0, by="anna", user="1002", live_agent_id=1002))
    (move,) = floor.moves()
    assert (move.user, move.to_server_ip, move.incident) == ("1002", THREE, "order/1002")
    floor.poll(agent("1002", THREE, number=5001))
    plan = floor.plan()
    assert [each.stage for each in plan.records if isinstance(each, Relogin)] == [ReloginStage.MOVED]
    assert floor.state.decided.relogins == {}


# --- acting -----------------------------------------------------------------------------------------------------


def told(floor: Floor, user: str) -> None:
    """Let an executor have told an agent's screen."""
    (relogin,) = [each for each in floor.state.decided.relogins.values() if each.user == user]
    said = after(relogin, Outcome(Reply.DONE, "SUCCESS"), floor.state.observed.observed_at_ms, "controller-1")
    assert said is not None
    floor.state.decided.add(said)


def test_an_agent_who_was_told_and_stays_is_told_again_twice_and_then_listed() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DOWN)
    attempts = [each.attempts for each in floor.moves()]
    for _ in range(2):
        told(floor, "1001")
        floor.poll(seconds=14.5)
        assert floor.moves() == []
        floor.poll()
        attempts += [each.attempts for each in floor.moves()]
    assert attempts == [1, 2, 3]
    told(floor, "1001")
    floor.poll(seconds=15)
    plan = floor.plan()
    assert (DecisionCode.MOVE_GIVEN_UP, "the session is still there after 3 attempts", "1001") in decisions(plan)
    assert floor.listed() == {"1001": NotMoved.STAYED}
    floor.poll(seconds=60)
    assert floor.moves() == []


def test_nobody_is_told_again_while_moves_are_withheld() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    told(floor, "1001")
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.poll(seconds=60)
    assert floor.moves() == []


# --- calls and dispositions -------------------------------------------------------------------------------------

IN_WRAPUP = agent("1001", status=AgentStatus.PAUSED, lead_id=7, changed_at_ms=NOW_MS)


def test_a_dead_call_is_hung_up_before_the_logout() -> None:
    floor = Floor(agent("1001"), agent("1002", status=AgentStatus.INCALL))
    floor.judge(ONE=DialerState.DOWN)
    assert [(each.user, each.stage) for each in floor.moves()] == [
        ("1001", ReloginStage.PLANNED),
        ("1002", ReloginStage.HANGING_UP),
    ]


def hung_up() -> Floor:
    """Return a floor with an agent whose dead call was just hung up."""
    floor = Floor(agent("1001", status=AgentStatus.INCALL))
    floor.judge(ONE=DialerState.DOWN)
    (move,) = floor.moves()
    answered = after(move, Outcome(Reply.DONE, "done"), floor.state.observed.observed_at_ms, "c")
    assert isinstance(answered, Relogin)
    assert answered.stage is ReloginStage.WRAPPING_UP
    floor.state.decided.add(answered)
    return floor


def test_the_logout_follows_when_the_agent_has_chosen_the_disposition() -> None:
    floor = hung_up()
    floor.poll(IN_WRAPUP, seconds=5)
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    floor.poll(agent("1001"), seconds=5)
    floor.judge(ONE=DialerState.DOWN)
    assert [(each.in_call, each.undisposed) for each in floor.moves()] == [(False, False)]


def test_the_logout_of_a_dead_call_waits_20_s_for_the_disposition() -> None:
    floor = hung_up()
    floor.poll(IN_WRAPUP, seconds=19)
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    floor.poll(seconds=1)
    floor.judge(ONE=DialerState.DOWN)
    assert [(each.in_call, each.undisposed) for each in floor.moves()] == [(True, True)]


@pytest.mark.parametrize(("state", "limit"), [(DialerState.DRAINING, 60), (DialerState.DOWN, 20)])
def test_an_agent_in_wrapup_is_listed_until_the_time_for_the_disposition_is_over(
    state: DialerState, limit: int
) -> None:
    floor = Floor(IN_WRAPUP)
    began_ms = floor.state.observed.observed_at_ms
    floor.state.observed.agents["1001"] = msgspec.structs.replace(IN_WRAPUP, changed_at_ms=began_ms)
    floor.poll(seconds=limit - 1)
    floor.judge(ONE=state)
    assert floor.moves() == []
    assert floor.listed() == {"1001": NotMoved.IN_WRAPUP}
    floor.poll(seconds=1)
    floor.judge(ONE=state)
    dead = state is DialerState.DOWN
    assert [(each.in_call, each.undisposed, each.dialer_lives) for each in floor.moves()] == [(dead, True, not dead)]


def test_who_was_in_wrapup_for_long_when_the_dialer_died_has_20_s_from_then() -> None:
    floor = Floor(IN_WRAPUP)
    floor.poll(seconds=40)
    floor.judge(ONE=DialerState.DOWN)
    dead = floor.state.observed.health.dialers[ONE]
    since_ms = floor.state.observed.observed_at_ms
    for seconds, listed in ((0, True), (19, True), (1, False)):
        floor.poll(seconds=seconds)
        floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(dead, life_since_ms=since_ms)
        assert (floor.moves() == []) is listed


def test_a_call_whose_browser_is_gone_does_not_keep_a_dialer_from_being_emptied() -> None:
    session = agent("1001", status=AgentStatus.INCALL)
    floor = Floor(msgspec.structs.replace(session, screen_silent_since_ms=NOW_MS))
    floor.poll(seconds=1700)
    floor.judge(ONE=DialerState.DRAINING)
    assert floor.moves() == []
    floor.poll(seconds=100)
    assert [(each.user, each.in_call, each.dialer_lives) for each in floor.moves()] == [("1001", False, True)]


JUST_DISPOSED = agent("1001", status=AgentStatus.PAUSED)


def _now(floor: Floor, session: AgentSession) -> AgentSession:
    """Return a session whose status changes with the next poll, a second from now."""
    return msgspec.structs.replace(session, changed_at_ms=floor.state.observed.observed_at_ms + 1000)


@pytest.mark.parametrize("state", [DialerState.DRAINING, DialerState.DOWN])
def test_an_agent_who_has_just_chosen_a_disposition_is_moved_as_one_who_waits(state: DialerState) -> None:
    floor = Floor(IN_WRAPUP)
    floor.poll(_now(floor, JUST_DISPOSED), seconds=1)
    floor.judge(ONE=state)
    assert floor.moves() == []
    assert floor.listed() == {}
    floor.poll(_now(floor, agent("1001")), seconds=1)
    floor.judge(ONE=state)
    assert [(each.user, each.waited) for each in floor.moves()] == [("1001", True)]


def test_one_who_stays_paused_after_it_is_moved_two_seconds_later() -> None:
    floor = Floor(IN_WRAPUP)
    floor.poll(_now(floor, JUST_DISPOSED), seconds=1)
    floor.judge(ONE=DialerState.DRAINING)
    assert floor.moves() == []
    floor.poll(seconds=2)
    assert [(each.user, each.waited) for each in floor.moves()] == [("1001", False)]


def test_so_is_one_whose_call_died() -> None:
    floor = hung_up()
    floor.poll(IN_WRAPUP, seconds=5)
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    floor.poll(_now(floor, JUST_DISPOSED), seconds=1)
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves() == []
    floor.poll(_now(floor, agent("1001")), seconds=1)
    floor.judge(ONE=DialerState.DOWN)
    assert [(each.undisposed, each.waited) for each in floor.moves()] == [(False, True)]


def test_a_logout_that_is_repeated_once_the_dialer_lives_again_ends_no_call() -> None:
    floor = Floor(IN_WRAPUP)
    floor.judge(ONE=DialerState.DOWN)
    floor.poll(seconds=20)
    floor.judge(ONE=DialerState.DOWN)
    (move,) = floor.moves()
    assert move.in_call
    sent = after(move, Outcome(Reply.DONE, "done"), floor.state.observed.observed_at_ms, "c")
    assert isinstance(sent, Relogin)
    floor.state.decided.add(sent)
    floor.poll(agent("1001", status=AgentStatus.INCALL), seconds=16)
    floor.judge(ONE=DialerState.DRAINING)
    assert [(each.attempts, each.in_call, each.dialer_lives) for each in floor.moves()] == [(2, False, True)]


@pytest.mark.parametrize("hung", [False, True])
def test_a_dialer_that_comes_back_while_it_is_drained_has_living_calls_after_all(hung: bool) -> None:
    floor = hung_up() if hung else Floor(agent("1001", status=AgentStatus.INCALL))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.poll(agent("1001", status=AgentStatus.INCALL), seconds=30)
    floor.judge(ONE=DialerState.DRAINING)
    (move,) = [each for each in floor.plan().records if isinstance(each, Relogin)]
    assert (move.stage, move.dialer_lives, move.in_call) == (ReloginStage.PLANNED, True, False)


def test_a_call_that_dies_with_its_dialer_before_a_drained_agent_is_logged_out_is_hung_up() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DRAINING)
    assert [each.dialer_lives for each in floor.moves()] == [True]
    floor.poll(agent("1001", status=AgentStatus.INCALL))
    floor.judge(ONE=DialerState.DOWN)
    assert [(each.stage, each.in_call, each.dialer_lives) for each in floor.moves()] == [
        (ReloginStage.HANGING_UP, True, False)
    ]


def test_a_death_that_only_the_heartbeat_shows_ends_no_call() -> None:
    policy = msgspec.structs.replace(CALM, act_on_heartbeat_alone=True)
    floor = Floor(agent("1001"), agent("1002", status=AgentStatus.INCALL), policy=policy)
    floor.judge(ONE=DialerState.DOWN)
    dead = floor.state.observed.health.dialers[ONE]
    floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(dead, confirmed=False)
    assert [each.user for each in floor.moves()] == ["1001"]
    assert floor.listed() == {"1002": NotMoved.IN_CALL}


def test_a_death_that_only_the_heartbeat_shows_moves_no_agent_unless_the_operator_wants_that() -> None:
    floor = Floor(*crowd(2))
    floor.judge(ONE=DialerState.DOWN)
    dead = floor.state.observed.health.dialers[ONE]
    floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(dead, confirmed=False)
    assert floor.moves() == []
    assert floor.incident.withheld == reason(ReasonCode.HEARTBEAT_ALONE)
    assert floor.state.decided.agent_pauses == {}


# --- people's orders --------------------------------------------------------------------------------------------


def ordered(*sessions: AgentSession, live_agent_id: int = 1001) -> Floor:
    """Return a floor with an order to move user 1001."""
    floor = Floor(*sessions)
    floor.state.decided.orders.add(
        Move(cluster=CLUSTER, ordered_at_ms=1, by="anna", user="1001", live_agent_id=live_agent_id)
    )
    return floor


@pytest.mark.parametrize("busy", [agent("1001", status=AgentStatus.INCALL), IN_WRAPUP])
def test_an_order_waits_for_the_call_and_its_disposition(busy: AgentSession) -> None:
    floor = ordered(busy)
    floor.state.observed.agents["1001"] = msgspec.structs.replace(
        busy, changed_at_ms=floor.state.observed.observed_at_ms
    )
    assert floor.moves() == []
    assert floor.state.decided.orders.moves
    floor.poll(agent("1001"))
    assert [each.user for each in floor.moves()] == ["1001"]


def test_an_order_ends_when_its_move_is_planned() -> None:
    floor = ordered(agent("1001"))
    plan = floor.plan()
    assert [str(each) for each in plan.orders_ended] == [f"{CLUSTER}/move/1001"]
    assert floor.state.decided.orders.moves == {}


def test_an_order_that_was_answered_with_advice_is_no_order_later() -> None:
    floor = ordered(agent("1001"))
    floor.acts = False
    assert [each.stage for each in floor.moves()] == [ReloginStage.ADVISED]
    floor.acts = True
    assert floor.moves() == []


def test_an_order_ends_with_its_session_and_says_so() -> None:
    floor = ordered(agent("1001"), live_agent_id=7)
    assert decisions(floor.plan()) == [(DecisionCode.NOT_MOVED, "the session has ended", "1001")]
    assert floor.state.decided.orders.moves == {}


def test_an_order_whose_screen_does_not_react_is_not_carried_out_anew() -> None:
    floor = ordered(agent("1001"))
    for _ in range(20):
        for move in floor.moves():
            answered = after(move, Outcome(Reply.DONE, "done"), floor.state.observed.observed_at_ms, "c")
            assert isinstance(answered, Relogin)
            floor.state.decided.add(answered)
        floor.poll(seconds=15)
    assert floor.state.decided.relogins == {}
    assert floor.moves() == []


def test_slots_that_a_login_page_makes_close_no_dialer_to_a_move() -> None:
    floor = Floor(*crowd(2))
    floor.policy = msgspec.structs.replace(CALM, max_agents=5)
    for number in range(20):
        floor.state.decided.slots.add(slot(f"visitor{number}", (TWO, THREE)[number % 2]))
    floor.judge(ONE=DialerState.DOWN)
    assert [each.to_server_ip for each in floor.moves()] == [THREE, TWO]


# --- emergency logouts -----------------------------------------------------------------------------------------


def told_until_it_is_given_up(policy: Policy) -> list[tuple[int, bool]]:
    """Let a screen never react: number and kind of each attempt."""
    floor = Floor(agent("1001"), policy=policy)
    floor.judge(ONE=DialerState.DOWN)
    attempts = []
    while not floor.state.decided.relogins or floor.state.decided.relogins[1001].stage is not ReloginStage.FAILED:
        floor.plan()
        relogin = floor.state.decided.relogins[1001]
        if relogin.stage is ReloginStage.PLANNED:
            attempts.append((relogin.attempts, relogin.forced))
            told = after(relogin, Outcome(Reply.DONE, "said"), floor.state.observed.observed_at_ms, "controller-1")
            assert isinstance(told, Relogin)
            floor.state.decided.add(told)
        floor.poll(seconds=15)
    return attempts


def test_a_session_is_ended_in_the_tables_only_where_that_is_allowed_and_after_its_screen_was_told() -> None:
    assert told_until_it_is_given_up(CALM) == [(1, False), (2, False), (3, False)]
    allowed = msgspec.structs.replace(CALM, emergency_logout=True)
    assert told_until_it_is_given_up(allowed) == [(1, False), (2, False), (3, False), (4, True), (5, True)]


def test_a_mover_s_place_names_the_screen_that_may_ask_for_the_order() -> None:
    floor = Floor(agent("1001"))
    login = LoginSlot(
        cluster=CLUSTER,
        user="1001",
        alias_id="desk1001",
        phone_login="1001a",
        server_ip=ONE,
        handed_out_at_ms=NOW_MS,
        until_ms=NOW_MS,
        used_by=1001,
        screen="a" * 64,
        handed_out_by="controller-1",
    )
    floor.state.add_slot(login)
    floor.judge(ONE=DialerState.DOWN)
    (place,) = [each for each in floor.plan().records if isinstance(each, LoginSlot)]
    assert (place.planned, place.screen, place.server_ip) == (True, "a" * 64, THREE)


def test_a_login_by_one_phone_keeps_no_agent_on_a_dead_dialer() -> None:
    floor = Floor(agent("1001"))
    by_phone = msgspec.structs.replace(slot("1001"), used_by=1001, alias_id="1001a", phone_login="1001a")
    floor.state.decided.logins["1001"] = by_phone
    floor.judge(ONE=DialerState.DOWN)
    (move,) = floor.moves()
    assert move.alias_id == "desk1001"


def test_the_screen_of_an_earlier_session_is_not_told_about_a_later_one() -> None:
    floor = Floor(agent("1001"))
    floor.judge(ONE=DialerState.DOWN)
    (place,) = [each for each in floor.plan().records if isinstance(each, LoginSlot)]
    assert place.screen == ""


def test_a_move_that_is_withdrawn_keeps_neither_place_nor_order() -> None:
    floor = Floor(*crowd(1))
    floor.state.decided.logins["1001"] = msgspec.structs.replace(slot("1001"), used_by=1001, screen="a" * 64)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert answer_relogin(floor.state, "a" * 64) is NoRelogin.NOT_YET
    floor.judge()
    plan = floor.plan()
    assert DecisionCode.MOVE_WITHDRAWN in [code for code, _, _ in decisions(plan)]
    # a supervisor who logs them out now has the last word
    assert answer_relogin(floor.state, "a" * 64) is NoRelogin.NONE
    floor.poll()
    assert len(floor.state.decided.slots) == 0


def test_who_got_a_call_before_the_logout_is_told_to_hang_up_when_the_dialer_is_dead() -> None:
    floor = Floor(*crowd(1))
    floor.judge(ONE=DialerState.DOWN)
    (order,) = floor.moves()
    assert not order.in_call
    said = after(order, Outcome(Reply.DONE, "told"), floor.state.observed.observed_at_ms, "c")
    assert said is not None
    floor.state.decided.add(said)
    floor.poll(agent("1001", status=AgentStatus.INCALL), seconds=16)
    floor.judge(ONE=DialerState.DOWN)
    (again,) = floor.moves()
    assert (again.attempts, again.in_call) == (2, True)


# --- targets must be better, and a user is moved twice in ten minutes at most ------------------------------------


def test_a_maintenance_window_for_all_dialers_moves_no_agent() -> None:
    floor = Floor(*crowd(4), policy=Policy(windows=(MaintenanceWindow(start_minute=0, minutes=1440),)))
    floor.judge(ONE=DialerState.DRAINING, TWO=DialerState.DRAINING, THREE=DialerState.DRAINING)
    for _ in range(20):
        assert floor.moves() == []
        floor.poll()
    about_one = [each for each in floor.state.decided.incidents.values() if each.server_ip == ONE]
    assert {each.why for each in about_one[0].listed} == {NotMoved.NO_BETTER}


def test_a_maintenance_window_of_one_dialer_spreads_its_agents_over_the_others() -> None:
    window = MaintenanceWindow(start_minute=0, minutes=1440, server_ips=frozenset({ONE}))
    floor = Floor(*crowd(4), policy=msgspec.structs.replace(CALM, windows=(window,)))
    floor.judge(ONE=DialerState.DRAINING)
    assert sorted(each.to_server_ip for each in floor.moves()) == [TWO, TWO, THREE, THREE]


def test_a_drain_moves_no_agent_to_a_suspect_dialer_and_a_death_does() -> None:
    for state, moved in ((DialerState.DRAINING, 0), (DialerState.DOWN, 2)):
        floor = Floor(*crowd(2))
        floor.judge(ONE=state, TWO=DialerState.DOWN, THREE=DialerState.SUSPECT)
        suspect = msgspec.structs.replace(floor.state.observed.health.dialers[THREE], life=DialerState.SUSPECT)
        floor.state.observed.health.dialers[THREE] = suspect
        assert len(floor.moves()) == moved


def test_a_drain_moves_no_agent_to_a_phone_that_is_not_registered() -> None:
    floor = Floor(agent("1001"))
    for name in ("1001b", "1001c"):
        phone = floor.state.observed.phones[name]
        floor.state.observed.phones[name] = msgspec.structs.replace(phone, peer_status="UNREGISTERED")
    floor.judge(ONE=DialerState.DRAINING)
    assert floor.moves() == []
    assert floor.listed() == {"1001": NotMoved.NO_BETTER}
    floor.judge(ONE=DialerState.DOWN)
    assert len(floor.moves()) == 1


def test_a_user_is_moved_twice_in_ten_minutes_and_then_listed() -> None:
    floor = Floor(agent("1001"))
    for number in (1, 2, 3):
        floor.judge(ONE=DialerState.DOWN)
        assert len(floor.moves()) == (number < 3)
        if number < 3:
            move = next(iter(floor.state.decided.relogins.values()))
            floor.state.decided.add(msgspec.structs.replace(move, stage=ReloginStage.SENT))
            floor.poll(gone=["1001"])
            floor.plan()
            floor.poll(agent("1001", ONE, number=2000 + number), seconds=60)
    assert floor.listed() == {"1001": NotMoved.MOVED_OFTEN}
    floor.poll(seconds=600)
    floor.judge(ONE=DialerState.DOWN)
    assert len(floor.moves()) == 1
