"""Who is kept from calls on a dead dialer, until when, and what is never touched."""

import msgspec
import pytest

from controller.core.acting import LOGOUT, Check, Outcome, Reply, SessionRow, after, check
from controller.core.incidents import apply_plan
from controller.core.policy import Policy
from messages.records import AgentStatus, DialerState, AgentPause, AgentPauseStage, Relogin, ReloginStage
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO
from tests.support.floor import Floor, agent, crowd, decisions

SLOW = Policy(moves_per_second=1)
MARK = "PAUSE!1800000000"
HOLD = AgentPause(cluster=CLUSTER, live_agent_id=42, user="1001", incident="i", server_ip=ONE, mark=MARK)
ROW = SessionRow(42, ONE, "", "READY")


def held(floor: Floor, user: str, reply: Reply = Reply.DONE) -> None:
    """Let the executor report that it has paused somebody."""
    hold = floor.state.agent_pauses[int(user)]
    paused = after(hold, Outcome(reply, "said", MARK), floor.state.observed_at_ms, "controller-1")
    assert isinstance(paused, AgentPause)
    floor.state.decided(paused)


def stages(floor: Floor) -> dict[str, AgentPauseStage]:
    return {each.user: each.stage for each in floor.state.agent_pauses.values()}


def test_who_waits_for_calls_and_is_not_moved_at_once_is_paused() -> None:
    floor = Floor(
        *crowd(3), agent("1004", status=AgentStatus.PAUSED), agent("1005", status=AgentStatus.INCALL), policy=SLOW
    )
    floor.judge(ONE=DialerState.DOWN)
    turn = floor.turn()
    assert set(floor.state.relogins) == {1001}
    assert stages(floor) == {"1002": AgentPauseStage.PLANNED, "1003": AgentPauseStage.PLANNED}
    assert ("ordered a pause", "calls are sent to an agent on a dead dialer: it is down", "1002") in decisions(turn)
    assert floor.turn().records == []


def test_who_has_nowhere_to_go_is_paused_too_and_remote_agents_are_not() -> None:
    floor = Floor(agent("1001"), agent("1002", remote=True))
    floor.rooms.update({TWO: 0, "10.0.0.3": 0})
    floor.poll()
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    assert stages(floor) == {"1001": AgentPauseStage.PLANNED}


@pytest.mark.parametrize("state", [DialerState.DRAINING, DialerState.SUSPECT, DialerState.UP])
def test_on_a_dialer_that_is_not_down_nobody_is_paused(state: DialerState) -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge(ONE=state)
    floor.turn()
    assert stages(floor) == {}


def test_while_moves_are_withheld_nobody_is_paused_and_advice_is_only_advice() -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge("the brake", ONE=DialerState.DOWN)
    floor.turn()
    assert stages(floor) == {}
    advising = Floor(*crowd(2), policy=SLOW, acts=False)
    advising.judge(ONE=DialerState.DOWN)
    turn = advising.turn()
    assert stages(advising) == {"1002": AgentPauseStage.ADVISED}
    assert "would have ordered a pause, but only advises here" in [what for what, _, _ in decisions(turn)]


def test_a_pause_is_taken_back_where_the_dialer_comes_back_with_the_agent_still_there() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    held(floor, "1002")
    floor.poll(agent("1002", status=AgentStatus.PAUSED))
    floor.turn()
    assert floor.state.agent_pauses[1002].seen
    floor.state.relogins.clear()
    floor.judge()
    turn = floor.turn()
    assert stages(floor) == {"1002": AgentPauseStage.RESUMING}
    why = "the dialer is not down any more, and the agent is still there"
    assert ("ordered a pause taken back", why, "1002") in decisions(turn)
    assert after(floor.state.agent_pauses[1002], Outcome(Reply.DONE, "said"), NOW_MS, "c") is None
    floor.poll(gone=["1002"])
    floor.turn()
    assert stages(floor) == {}


def test_who_was_moved_or_is_leaving_has_no_pause_taken_back() -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    held(floor, "1002")
    held(floor, "1003")
    floor.poll(agent("1002", TWO, number=2002), seconds=1.5)
    floor.turn()
    assert set(stages(floor)) == {"1003"}, "the session that was paused is no more"
    assert floor.state.relogins[1003].stage is ReloginStage.PLANNED
    told = after(floor.state.relogins[1003], Outcome(Reply.DONE, "said"), floor.state.observed_at_ms, "controller-1")
    assert isinstance(told, Relogin)
    floor.state.decided(told)
    floor.judge()
    turn = floor.turn()
    assert "ordered a pause taken back" not in [what for what, _, _ in decisions(turn)]
    assert stages(floor) == {}


def test_an_agent_whom_somebody_made_ready_again_is_left_alone() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.rooms.update({TWO: 0, "10.0.0.3": 0})
    floor.poll()
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    held(floor, "1002")
    floor.poll(agent("1002", status=AgentStatus.PAUSED))
    floor.turn()
    floor.poll(agent("1002"))
    turn = floor.turn()
    assert stages(floor)["1002"] is AgentPauseStage.GIVEN_UP
    assert ("gave a pause up", "somebody made the agent ready again", "1002") in decisions(turn)
    floor.judge()
    floor.turn()
    assert "1002" not in stages(floor)


def test_a_pause_that_nobody_knows_to_be_ours_is_not_taken_back() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    unknown = after(floor.state.agent_pauses[1002], Outcome(Reply.UNCLEAR, "no answer"), NOW_MS, "controller-1")
    assert isinstance(unknown, AgentPause)
    floor.state.decided(unknown)
    floor.judge()
    turn = floor.turn()
    assert ("did not take a pause back", "it is not known whether the pause is hotdesk's", "1002") in decisions(turn)
    assert "1002" not in stages(floor)


@pytest.mark.parametrize(
    ("stage", "row", "found"),
    [
        (AgentPauseStage.PLANNED, ROW, Check.SEND),
        (AgentPauseStage.PLANNED, ROW._replace(external_pause="RESUME!17"), Check.SEND),
        (AgentPauseStage.PLANNED, ROW._replace(status="PAUSED"), Check.PAUSED),
        (AgentPauseStage.PLANNED, ROW._replace(external_pause=LOGOUT), Check.TOLD),
        (AgentPauseStage.PLANNED, ROW._replace(server_ip=TWO), Check.ELSEWHERE),
        (AgentPauseStage.PLANNED, ROW._replace(live_agent_id=43), Check.GONE),
        (AgentPauseStage.RESUMING, ROW._replace(status="PAUSED", external_pause=MARK), Check.SEND),
        (AgentPauseStage.RESUMING, ROW._replace(status="PAUSED", external_pause="PAUSE!17"), Check.NOT_OURS),
        (AgentPauseStage.RESUMING, ROW._replace(status="READY", external_pause=MARK), Check.SEND),
        (AgentPauseStage.RESUMING, ROW._replace(status="PAUSED", external_pause=LOGOUT), Check.TOLD),
    ],
)
def test_a_pause_never_overwrites_a_logout_nor_somebody_elses_pause(
    stage: AgentPauseStage, row: SessionRow, found: Check
) -> None:
    hold = AgentPause(cluster=CLUSTER, live_agent_id=42, user="1001", incident="i", server_ip=ONE, mark=MARK, stage=stage)
    assert check(hold, [row], names_user=False) is found


def test_who_was_seen_paused_and_is_ready_again_is_not_resumed() -> None:
    hold = msgspec.structs.replace(HOLD, stage=AgentPauseStage.RESUMING, seen=True)
    assert check(hold, [ROW._replace(external_pause=MARK)], names_user=False) is Check.NOT_OURS


def test_a_pause_that_may_be_under_way_is_waited_for_when_the_dialer_comes_back() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    floor.judge()
    floor.turn()
    assert stages(floor)["1002"] is AgentPauseStage.PLANNED
    held(floor, "1002")
    floor.turn()
    assert stages(floor)["1002"] is AgentPauseStage.RESUMING


def test_one_that_nobody_carried_out_is_withdrawn() -> None:
    floor = Floor(*crowd(2), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    floor.judge()
    floor.poll(seconds=11)
    assert ("withdrew a pause", "the dialer is not down any more", "1002") in decisions(floor.turn())
    assert "1002" not in stages(floor)


def test_what_was_decided_is_the_same_for_the_next_owner() -> None:
    floor = Floor(*crowd(3), policy=SLOW)
    floor.judge(ONE=DialerState.DOWN)
    turn = floor.turn()
    heir = Floor(*crowd(3), policy=SLOW)
    apply_plan(heir.state, turn)
    heir.judge(ONE=DialerState.DOWN)
    assert heir.state.agent_pauses == floor.state.agent_pauses
    heir.poll(seconds=0.1)
    assert not [each for each in heir.turn().records if isinstance(each, AgentPause)]
