"""Who is kept from calls on a dead dialer, until when, and what is never touched."""

import msgspec
import pytest

from controller.core.actions import Outcome, SessionRow, after, after_check, attempt_of, check
from controller.core.actions.relogin import LOGOUT
from controller.core.agent_pauses import MOST_ATTEMPTS, REPEAT_SECONDS
from controller.core.detector import began_after_restart, has_lost_phone
from controller.core.plan import apply_plan
from controller.core.policy import Policy
from messages.codes import DecisionCode, Precondition, ReasonCode, Reply
from messages.records import (
    AgentPause,
    AgentPauseStage,
    AgentSession,
    AgentStatus,
    DialerState,
    NotMoved,
    Relogin,
    ReloginStage,
)
from messages.words import reason
from tests.support.builders import CLUSTER, NOW_MS, ONE, THREE, TWO
from tests.support.floor import BRAKE, CALM, Floor, agent, crowd, decisions

SLOW = Policy(moves_per_second=1)
MARK = "PAUSE!1800000000"
HOLD = AgentPause(cluster=CLUSTER, live_agent_id=42, user="1001", incident="i", server_ip=ONE, mark=MARK)
ROW = SessionRow(42, ONE, "", "READY")


def held(floor: Floor, user: str, reply: Reply = Reply.DONE) -> None:
    """Let the executor report that it has paused somebody."""
    hold = floor.state.decided.agent_pauses[int(user)]
    paused = after(hold, Outcome(reply, "said", MARK), floor.state.observed.observed_at_ms, "controller-1")
    assert isinstance(paused, AgentPause)
    floor.state.decided.add(paused)


def stages(floor: Floor) -> dict[str, AgentPauseStage]:
    return {each.user: each.stage for each in floor.state.decided.agent_pauses.values()}


def stranded(*on_one: AgentSession, policy: Policy = CALM) -> Floor:
    """Return a floor whose dialer ONE has died, and whose agents have nowhere to go."""
    floor = Floor(*on_one, policy=policy)
    floor.rooms.update({TWO: 0, THREE: 0})
    floor.poll()
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    return floor


def test_who_waits_for_calls_and_is_not_moved_at_once_is_paused() -> None:
    floor = Floor(
        *crowd(3), agent("1004", status=AgentStatus.PAUSED), agent("1005", status=AgentStatus.INCALL), policy=SLOW
    )
    floor.judge(ONE=DialerState.DOWN)
    plan = floor.plan()
    assert set(floor.state.decided.relogins) == {1001}
    assert stages(floor) == {"1002": AgentPauseStage.PLANNED, "1003": AgentPauseStage.PLANNED}
    assert (
        DecisionCode.PAUSE_PLANNED,
        "VICIdial sends calls to an agent on a dead dialer: it is down",
        "1002",
    ) in decisions(plan)
    assert floor.plan().records == []


def test_who_has_nowhere_to_go_is_paused_too_and_remote_agents_are_not() -> None:
    floor = stranded(agent("1001"), agent("1002", remote=True))
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED}


@pytest.mark.parametrize("silent_since_ms", [None, NOW_MS])
def test_on_a_dialer_that_is_removed_while_it_is_down_nobody_is_made_ready(silent_since_ms: int | None) -> None:
    floor = stranded(msgspec.structs.replace(agent("1001"), screen_silent_since_ms=silent_since_ms))
    held(floor, "1001")
    floor.poll(agent("1001", status=AgentStatus.PAUSED))
    floor.remove(ONE)
    plan = floor.plan()
    assert DecisionCode.RESUME_PLANNED not in [code for code, _, _ in decisions(plan)]
    assert stages(floor) == {"1001": AgentPauseStage.PAUSED}


def test_who_was_paused_long_after_the_death_is_not_made_ready_once_asterisk_has_started_anew() -> None:
    floor = stranded(agent("1001", status=AgentStatus.PAUSED))
    died_ms = floor.state.observed.observed_at_ms
    floor.poll(agent("1001"), seconds=600)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1001")
    floor.poll(agent("1001", status=AgentStatus.PAUSED))
    floor.judge(ONE=DialerState.RECOVERING)
    restarted = msgspec.structs.replace(
        floor.state.observed.health.dialers[ONE], phones_lost_ms=died_ms, phones_lost_session=1001
    )
    floor.state.observed.health.dialers[ONE] = restarted
    codes = [code for code, _, _ in decisions(floor.plan())]
    assert DecisionCode.RESUME_PLANNED not in codes
    assert DecisionCode.PAUSE_NOT_TAKEN_BACK in codes


@pytest.mark.parametrize(("steady_seconds", "resumes"), [(9, False), (10, True)])
def test_a_collector_that_has_just_begun_does_not_make_an_agent_wait_whose_phone_it_has_not_looked_for(
    steady_seconds: float, *, resumes: bool
) -> None:
    floor = stranded(agent("1001"))
    held(floor, "1001")
    floor.poll(agent("1001", status=AgentStatus.PAUSED))
    floor.judge(ONE=DialerState.RECOVERING)
    observed = floor.state.observed
    steady_ms = observed.observed_at_ms - round(steady_seconds * 1000)
    observed.health = msgspec.structs.replace(observed.health, steady_since_ms=steady_ms)
    assert (DecisionCode.RESUME_PLANNED in [code for code, _, _ in decisions(floor.plan())]) == resumes


def test_what_the_phones_have_shown_after_a_long_silence_is_lost_for_its_incident() -> None:
    session = msgspec.structs.replace(agent("1001", number=1001), phone_in_room=False)
    floor = Floor(session)
    floor.judge(ONE=DialerState.DOWN)
    now_ms = floor.state.observed.observed_at_ms
    silent_ms = now_ms - 240_000
    dialers = floor.state.observed.health.dialers
    dialers[ONE] = msgspec.structs.replace(
        dialers[ONE],
        interrupted=True,
        interrupted_at_ms=now_ms - 10_000,
        phones_lost_ms=silent_ms,
        restarted_after_ms=silent_ms,
        restart_seen_ms=now_ms - 10_000,
        restart_known_session=1001,
    )
    assert has_lost_phone(floor.state, session, now_ms - 10_000)
    unknown = msgspec.structs.replace(session, phone_in_room=None)
    assert not has_lost_phone(floor.state, unknown, now_ms - 10_000), (
        "the phones decide, and of this one nothing is known"
    )


@pytest.mark.parametrize(
    ("number", "in_room", "seconds", "lost"),
    [
        (1001, True, 20, True),  # from before the last sight of the earlier Asterisk
        (1002, True, 20, False),
        (1002, False, 9, False),
        (1002, False, 10, True),
        (1002, None, 10, True),  # what was absent is absent also while it cannot be looked at
        (1003, False, 20, False),  # from after the first sight of the new one
    ],
)
def test_who_logged_in_between_two_asterisks_is_judged_by_their_phone(
    number: int, in_room: bool | None, seconds: float, *, lost: bool
) -> None:
    session = msgspec.structs.replace(agent("1001", number=number), phone_in_room=in_room)
    floor = Floor(session)
    floor.judge(ONE=DialerState.DOWN)
    now_ms = floor.state.observed.observed_at_ms
    seen_ms = now_ms - round(seconds * 1000)
    dialers = floor.state.observed.health.dialers
    dialers[ONE] = msgspec.structs.replace(
        dialers[ONE],
        interrupted=True,
        interrupted_at_ms=seen_ms,
        phones_lost_ms=seen_ms,
        phones_lost_session=1001,
        restart_known_session=1002,
    )
    assert began_after_restart(floor.state, session) is not lost
    assert has_lost_phone(floor.state, session, seen_ms) is (lost and not in_room)
    health = floor.state.observed.health
    floor.state.observed.health = msgspec.structs.replace(health, steady_since_ms=now_ms)
    if number == 1002 and in_room is None:
        assert began_after_restart(floor.state, session), "a new collector has not looked yet"


@pytest.mark.parametrize("state", [DialerState.DRAINING, DialerState.SUSPECT, DialerState.UP])
def test_on_a_dialer_that_is_not_down_nobody_is_paused(state: DialerState) -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge(ONE=state)
    floor.plan()
    assert stages(floor) == {}


def test_the_fleet_brake_moves_no_agent_and_pauses_those_on_a_confirmed_dead_dialer() -> None:
    floor = Floor(*crowd(2), agent("1003", TWO))
    floor.judge(BRAKE, ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    dead = floor.state.observed.health.dialers[TWO]
    floor.state.observed.health.dialers[TWO] = msgspec.structs.replace(dead, confirmed=False)
    assert floor.moves() == []
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED, "1002": AgentPauseStage.PLANNED}


def test_a_move_that_the_brake_holds_back_leaves_its_agent_to_be_paused() -> None:
    floor = Floor(*crowd(1))
    floor.judge(ONE=DialerState.DOWN)
    assert floor.moves()
    floor.poll()
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED}


def test_a_pause_is_not_taken_back_from_an_agent_whose_phone_was_lost_with_the_old_asterisk() -> None:
    floor = Floor(*crowd(1), policy=Policy(moves_of_a_user=0))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1001")
    floor.poll(agent("1001", status=AgentStatus.PAUSED))
    floor.judge()
    up = floor.state.observed.health.dialers[ONE]
    lost = msgspec.structs.replace(up, phones_lost_ms=floor.state.observed.observed_at_ms, phones_lost_session=1001)
    floor.state.observed.health.dialers[ONE] = lost
    assert DecisionCode.PAUSE_NOT_TAKEN_BACK in [code for code, _, _ in decisions(floor.plan())]
    assert stages(floor) == {}


def test_a_pause_is_taken_back_only_once_a_phone_that_is_known_to_be_missing_is_in_its_room() -> None:
    floor = Floor(*crowd(1), policy=Policy(moves_of_a_user=0))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1001")
    missing = msgspec.structs.replace(agent("1001", status=AgentStatus.PAUSED), phone_in_room=False)
    floor.poll(missing)
    floor.judge()
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PAUSED}
    floor.poll(msgspec.structs.replace(missing, phone_in_room=True))
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.RESUMING}


def test_a_pause_of_an_on_hook_agent_is_taken_back_since_a_new_start_of_asterisk_took_nothing_from_them() -> None:
    on_hook = msgspec.structs.replace(agent("1001"), on_hook=True)
    floor = Floor(on_hook, policy=Policy(moves_of_a_user=0))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1001")
    floor.poll(msgspec.structs.replace(on_hook, status=AgentStatus.PAUSED))
    floor.judge()
    up = floor.state.observed.health.dialers[ONE]
    lost = msgspec.structs.replace(up, phones_lost_ms=floor.state.observed.observed_at_ms, phones_lost_session=1001)
    floor.state.observed.health.dialers[ONE] = lost
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.RESUMING}


@pytest.mark.parametrize(("seconds", "resumed"), [(60, False), (130, True)])
def test_an_on_hook_agent_waits_again_though_only_the_updater_stays_away_after_a_new_start(
    seconds: float, *, resumed: bool
) -> None:
    on_hook = msgspec.structs.replace(agent("1001"), on_hook=True)
    floor = Floor(on_hook, agent("1002"), policy=Policy(moves_of_a_user=0))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    restarted_ms = floor.state.observed.observed_at_ms
    for user in ("1001", "1002"):
        held(floor, user)
    floor.poll(
        msgspec.structs.replace(on_hook, status=AgentStatus.PAUSED),
        agent("1002", status=AgentStatus.PAUSED),
        seconds=0.5,
    )
    floor.plan()
    floor.poll(seconds=seconds)
    floor.judge(ONE=DialerState.DOWN)
    down = floor.state.observed.health.dialers[ONE]
    floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(
        down, interrupted=True, interrupted_at_ms=restarted_ms, phones_lost_ms=restarted_ms, phones_lost_session=1002
    )
    floor.plan()
    expected = AgentPauseStage.RESUMING if resumed else AgentPauseStage.PAUSED
    assert stages(floor) == {"1001": expected, "1002": AgentPauseStage.PAUSED}


def test_a_pause_that_is_planned_again_and_was_obeyed_meanwhile_is_not_sent_once_a_person_made_them_ready() -> None:
    floor = Floor(*crowd(1), policy=Policy(moves_of_a_user=0))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1001")
    floor.poll(agent("1001", external_pause=MARK), seconds=16)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert floor.state.decided.agent_pauses[1001].attempts == 2
    floor.poll(agent("1001", status=AgentStatus.PAUSED, external_pause=MARK))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED}, "it may be on its way"
    floor.poll(agent("1001", external_pause=MARK))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.GIVEN_UP}


def test_while_the_cluster_is_suspended_no_agent_is_paused() -> None:
    floor = Floor(*crowd(2))
    floor.judge(reason(ReasonCode.WATCHING_ANEW), ONE=DialerState.DOWN)
    floor.plan()
    assert stages(floor) == {}


def test_in_advise_mode_a_pause_is_only_advice() -> None:
    advising = Floor(*crowd(2), policy=SLOW, acts=False)
    advising.judge(ONE=DialerState.DOWN)
    plan = advising.plan()
    assert stages(advising) == {"1002": AgentPauseStage.ADVISED}
    assert DecisionCode.PAUSE_ADVISED in [code for code, _, _ in decisions(plan)]


def test_a_pause_that_was_only_advised_is_planned_once_hotdesk_acts() -> None:
    floor = Floor(*crowd(2), policy=SLOW, acts=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.acts = True
    plan = floor.plan()
    assert stages(floor) == {"1002": AgentPauseStage.PLANNED}
    assert (
        DecisionCode.PAUSE_PLANNED,
        "VICIdial sends calls to an agent on a dead dialer: it is down",
        "1002",
    ) in decisions(plan)


def test_advice_of_a_pause_ends_once_hotdesk_acts_though_nobody_may_be_paused_now() -> None:
    floor = Floor(*crowd(2), policy=SLOW, acts=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.acts, floor.doubt = True, reason(ReasonCode.VIEW_STALE)
    floor.plan()
    assert stages(floor) == {}


def test_a_pause_is_taken_back_where_the_dialer_comes_back_with_the_agent_still_there() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1002")
    floor.poll(agent("1002", status=AgentStatus.PAUSED))
    floor.plan()
    assert floor.state.decided.agent_pauses[1002].seen
    floor.state.decided.relogins.clear()
    floor.judge()
    plan = floor.plan()
    assert stages(floor) == {"1002": AgentPauseStage.RESUMING}
    why = "the dialer is no longer down, and the agent is still there"
    assert (DecisionCode.RESUME_PLANNED, why, "1002") in decisions(plan)
    assert after(floor.state.decided.agent_pauses[1002], Outcome(Reply.DONE, "said"), NOW_MS, "c") is None
    floor.poll(gone=["1002"])
    floor.plan()
    assert stages(floor) == {}


def test_who_was_moved_or_is_leaving_has_no_pause_taken_back() -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1002")
    held(floor, "1003")
    floor.poll(agent("1002", TWO, number=2002), seconds=1.5)
    floor.plan()
    assert set(stages(floor)) == {"1003"}, "the session that was paused is no more"
    assert floor.state.decided.relogins[1003].stage is ReloginStage.PLANNED
    told = after(
        floor.state.decided.relogins[1003],
        Outcome(Reply.DONE, "said"),
        floor.state.observed.observed_at_ms,
        "controller-1",
    )
    assert isinstance(told, Relogin)
    floor.state.decided.add(told)
    floor.judge()
    plan = floor.plan()
    assert DecisionCode.RESUME_PLANNED not in [code for code, _, _ in decisions(plan)]
    floor.poll(gone=["1003"])
    floor.plan()
    assert stages(floor) == {}


def test_a_pause_outlives_a_logout_that_was_lost_so_that_it_is_taken_back() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1002")
    floor.poll(seconds=1.5)
    floor.plan()
    lost = after(
        floor.state.decided.relogins[1002],
        Outcome(Reply.UNCLEAR, "no answer"),
        floor.state.observed.observed_at_ms,
        "controller-1",
    )
    assert isinstance(lost, Relogin)
    floor.state.decided.add(lost)
    floor.judge()
    floor.plan()
    assert stages(floor) == {"1002": AgentPauseStage.PAUSED}
    floor.state.decided.relogins.clear()
    floor.plan()
    assert stages(floor) == {"1002": AgentPauseStage.RESUMING}


def test_an_agent_whom_somebody_made_ready_again_is_left_alone() -> None:
    floor = stranded(*crowd(2), policy=SLOW)
    held(floor, "1002")
    floor.poll(agent("1002", status=AgentStatus.PAUSED))
    floor.plan()
    floor.poll(agent("1002"))
    plan = floor.plan()
    assert stages(floor)["1002"] is AgentPauseStage.GIVEN_UP
    assert (DecisionCode.PAUSE_GIVEN_UP, "a person made the agent ready again", "1002") in decisions(plan)
    floor.judge()
    floor.plan()
    assert "1002" not in stages(floor)


def unheard(reply: Reply = Reply.UNCLEAR) -> Floor:
    """Return a floor with nowhere to go, whose agent was sent a pause that nothing has come of, 15 s ago."""
    floor = stranded(agent("1001"))
    sent(floor, reply)
    floor.poll(seconds=REPEAT_SECONDS - 1)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PAUSED}, "it may yet be obeyed"
    floor.poll(seconds=1)
    return floor


def sent(floor: Floor, reply: Reply) -> None:
    """Let the executor report about the pause of 1001; what had an answer has left its mark."""
    mark = MARK if reply is Reply.DONE else ""
    pause = after(
        floor.state.decided.agent_pauses[1001],
        Outcome(reply, "no answer", mark),
        floor.state.observed.observed_at_ms,
        "controller-1",
    )
    assert isinstance(pause, AgentPause)
    floor.state.decided.add(pause)
    if mark:
        floor.poll(agent("1001", external_pause=mark), seconds=0)


@pytest.mark.parametrize("reply", [Reply.UNCLEAR, Reply.DONE])
def test_a_pause_that_nothing_comes_of_is_sent_again_twice_and_then_given_up_and_listed(reply: Reply) -> None:
    floor = unheard(reply)
    attempts = {attempt_of(floor.state.decided.agent_pauses[1001])}
    for _ in range(MOST_ATTEMPTS - 1):
        why = "the agent still waits for calls: no answer"
        assert (DecisionCode.PAUSE_REPEATED, why, "1001") in decisions(floor.plan())
        assert stages(floor) == {"1001": AgentPauseStage.PLANNED}
        attempts.add(attempt_of(floor.state.decided.agent_pauses[1001]))
        sent(floor, reply)
        floor.poll(seconds=REPEAT_SECONDS)
    assert len(attempts) == MOST_ATTEMPTS, "an executor gets each once"
    why = "the agent still waits for calls after 3 pauses: no answer"
    assert (DecisionCode.PAUSE_GIVEN_UP, why, "1001") in decisions(floor.plan())
    floor.poll(seconds=REPEAT_SECONDS)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.GIVEN_UP}


def test_a_pause_is_not_sent_again_in_doubt_nor_to_who_leaves_nor_over_what_somebody_else_has_sent() -> None:
    doubted = unheard()
    dead = doubted.state.observed.health.dialers[ONE]
    doubted.state.observed.health.dialers[ONE] = msgspec.structs.replace(dead, verdict=DialerState.SUSPECT)
    doubted.plan()
    assert stages(doubted) == {"1001": AgentPauseStage.PAUSED}
    stale = unheard()
    stale.doubt = reason(ReasonCode.VIEW_STALE)
    stale.plan()
    assert stages(stale) == {"1001": AgentPauseStage.PAUSED}
    leaving = unheard()
    leaving.poll(agent("1001", external_pause=LOGOUT))
    leaving.plan()
    assert stages(leaving) == {"1001": AgentPauseStage.PAUSED}
    advising = unheard()
    advising.acts = False
    advising.plan()
    assert stages(advising) == {"1001": AgentPauseStage.PAUSED}
    resumed = unheard(Reply.DONE)
    resumed.poll(agent("1001", external_pause="RESUME!1800000001"))
    why = "somebody else has paused or resumed the agent since"
    assert (DecisionCode.PAUSE_GIVEN_UP, why, "1001") in decisions(resumed.plan())


def test_a_pause_that_is_sent_again_is_taken_back_all_the_same_if_the_first_one_landed() -> None:
    floor = unheard(Reply.DONE)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED}
    floor.poll(agent("1001", status=AgentStatus.PAUSED, external_pause=MARK))
    floor.judge()
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED}, "the second one may be under way"
    floor.poll(seconds=11)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.RESUMING}


def test_a_pause_that_was_obeyed_before_it_was_sent_again_is_still_hotdesks() -> None:
    floor = unheard(Reply.DONE)
    floor.plan()
    again = floor.state.decided.agent_pauses[1001]
    assert check(again, [SessionRow(1001, ONE, MARK, "PAUSED")], names_user=False) is Precondition.PAUSED
    paused = after(again, after_check(Precondition.PAUSED), NOW_MS, "c")
    assert isinstance(paused, AgentPause)
    assert (paused.stage, paused.mark) == (AgentPauseStage.PAUSED, MARK)


@pytest.mark.parametrize(("reply", "stage"), [(Reply.DONE, {"1001": AgentPauseStage.RESUMING}), (Reply.UNCLEAR, {})])
def test_what_was_given_up_and_may_yet_be_obeyed_is_taken_back_when_the_dialer_is_back(
    reply: Reply, stage: dict[str, AgentPauseStage]
) -> None:
    floor = unheard(reply)
    for _ in range(MOST_ATTEMPTS - 1):
        floor.plan()
        sent(floor, reply)
        floor.poll(seconds=REPEAT_SECONDS)
    floor.plan()
    floor.judge()
    plan = floor.plan()
    assert stages(floor) == stage
    assert {DecisionCode.RESUME_PLANNED, DecisionCode.PAUSE_NOT_TAKEN_BACK} & {code for code, _, _ in decisions(plan)}


def test_who_waits_on_though_the_pause_was_given_up_is_listed_until_they_do_so_no_more() -> None:
    floor = Floor(agent("1001"))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    sent(floor, Reply.REFUSED)
    floor.plan()
    assert floor.listed() == {"1001": NotMoved.NOT_PAUSED}
    floor.poll(agent("1001", status=AgentStatus.PAUSED))
    floor.plan()
    assert floor.listed() == {}


def test_who_was_made_ready_again_by_a_person_is_not_listed_for_that() -> None:
    floor = Floor(agent("1001"))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    held(floor, "1001")
    floor.poll(agent("1001", status=AgentStatus.PAUSED))
    floor.plan()
    floor.poll(agent("1001"))
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.GIVEN_UP}
    floor.plan()
    assert floor.listed() == {}


def test_a_mark_is_kept_when_the_next_pause_leaves_none() -> None:
    kept = after(HOLD, Outcome(Reply.UNCLEAR, "no answer"), NOW_MS, "c")
    assert isinstance(kept, AgentPause)
    assert kept.mark == MARK


def test_a_pause_that_is_obeyed_once_it_was_given_up_is_taken_back_all_the_same() -> None:
    floor = unheard(Reply.DONE)
    for _ in range(MOST_ATTEMPTS - 1):
        floor.plan()
        sent(floor, Reply.DONE)
        floor.poll(seconds=REPEAT_SECONDS)
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.GIVEN_UP}
    floor.poll(agent("1001", status=AgentStatus.PAUSED, external_pause=MARK))
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.PAUSED}
    floor.judge()
    floor.plan()
    assert stages(floor) == {"1001": AgentPauseStage.RESUMING}


def test_a_pause_that_nobody_knows_to_be_ours_is_not_taken_back() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    unknown = after(floor.state.decided.agent_pauses[1002], Outcome(Reply.UNCLEAR, "no answer"), NOW_MS, "controller-1")
    assert isinstance(unknown, AgentPause)
    floor.state.decided.add(unknown)
    floor.judge()
    plan = floor.plan()
    assert (DecisionCode.PAUSE_NOT_TAKEN_BACK, "it is not known whether the pause is hotdesk's", "1002") in decisions(
        plan
    )
    assert "1002" not in stages(floor)


@pytest.mark.parametrize(
    ("stage", "row", "found"),
    [
        (AgentPauseStage.PLANNED, ROW, Precondition.SEND),
        (AgentPauseStage.PLANNED, ROW._replace(external_pause="RESUME!17"), Precondition.SEND),
        (AgentPauseStage.PLANNED, ROW._replace(status="PAUSED"), Precondition.PAUSED),
        (AgentPauseStage.PLANNED, ROW._replace(external_pause=LOGOUT), Precondition.TOLD),
        (AgentPauseStage.PLANNED, ROW._replace(server_ip=TWO), Precondition.ELSEWHERE),
        (AgentPauseStage.PLANNED, ROW._replace(live_agent_id=43), Precondition.GONE),
        (AgentPauseStage.RESUMING, ROW._replace(status="PAUSED", external_pause=MARK), Precondition.SEND),
        (AgentPauseStage.RESUMING, ROW._replace(status="PAUSED", external_pause="PAUSE!17"), Precondition.NOT_OURS),
        (AgentPauseStage.RESUMING, ROW._replace(status="READY", external_pause=MARK), Precondition.SEND),
        (AgentPauseStage.RESUMING, ROW._replace(status="PAUSED", external_pause=LOGOUT), Precondition.TOLD),
    ],
)
def test_a_pause_never_overwrites_a_logout_nor_somebody_elses_pause(
    stage: AgentPauseStage, row: SessionRow, found: Precondition
) -> None:
    hold = AgentPause(
        cluster=CLUSTER, live_agent_id=42, user="1001", incident="i", server_ip=ONE, mark=MARK, stage=stage
    )
    assert check(hold, [row], names_user=False) is found


def test_who_was_seen_paused_and_is_ready_again_is_not_resumed() -> None:
    hold = msgspec.structs.replace(HOLD, stage=AgentPauseStage.RESUMING, seen=True)
    assert check(hold, [ROW._replace(external_pause=MARK)], names_user=False) is Precondition.NOT_OURS


def test_a_pause_that_may_be_under_way_is_waited_for_when_the_dialer_comes_back() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.judge()
    floor.plan()
    assert stages(floor)["1002"] is AgentPauseStage.PLANNED
    held(floor, "1002")
    floor.plan()
    assert stages(floor)["1002"] is AgentPauseStage.RESUMING


def test_one_that_nobody_carried_out_is_withdrawn() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.judge()
    floor.poll(seconds=11)
    assert (DecisionCode.PAUSE_WITHDRAWN, "the dialer is no longer down", "1002") in decisions(floor.plan())
    assert "1002" not in stages(floor)


def test_what_was_decided_is_the_same_for_the_next_owner() -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    plan = floor.plan()
    successor = Floor(*crowd(3), policy=SLOW)
    apply_plan(successor.state, plan)
    successor.judge(ONE=DialerState.DOWN)
    assert successor.state.decided.agent_pauses == floor.state.decided.agent_pauses
    successor.poll(seconds=0.1)
    assert not [each for each in successor.plan().records if isinstance(each, AgentPause)]
