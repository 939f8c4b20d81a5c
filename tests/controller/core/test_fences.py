"""When VICIdial itself is kept from a dead dialer, and when that is given back: only what hotdesk took."""

import pytest

from controller.core.acting import Outcome, Reply, after
from controller.core.fences import fenced
from controller.core.policy import Policy
from messages.records import DialerState, Fence, FenceStage, Unfence
from tests.support.builders import CLUSTER, NOW_MS, ONE, THREE, TWO, dialer
from tests.support.floor import Floor, agent, decisions

FENCING = Policy(fence=True)


def down(*, policy: Policy = FENCING, acts: bool = True) -> Floor:
    """Give a floor whose dialer ONE has died, with its incident open and the turn after that taken."""
    floor = Floor(agent("1001"), policy=policy, acts=acts)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    floor.turn()
    return floor


def reported(floor: Floor, reply: Reply) -> Fence:
    """Let the executor report about the fence of dialer ONE, and give it as it stands then."""
    fence = after(floor.state.fences[ONE], Outcome(reply, "said"), NOW_MS, "controller-1")
    assert isinstance(fence, Fence)
    floor.state.decided(fence)
    return fence


def test_without_the_setting_nothing_is_fenced() -> None:
    assert down(policy=Policy()).state.fences == {}


def test_a_dead_dialer_is_fenced_once_and_given_back_when_it_is_back() -> None:
    floor = down()
    assert floor.state.fences[ONE].stage is FenceStage.PLANNED
    assert reported(floor, Reply.DONE).stage is FenceStage.TAKEN
    assert not [each for each in floor.turn().records if isinstance(each, Fence)]
    floor.judge()
    turn = floor.turn()
    assert floor.state.fences[ONE].stage is FenceStage.RETURNING
    assert ("ordered a fence given back", "the dialer is back", ONE) in decisions(turn)
    assert reported(floor, Reply.DONE).stage is FenceStage.RETURNED
    floor.turn()
    assert floor.state.fences == {}


def test_what_somebody_else_had_closed_is_not_given_back() -> None:
    floor = down()
    assert reported(floor, Reply.GONE).stage is FenceStage.NOT_TAKEN
    assert fenced(floor.state) == set()
    floor.judge()
    assert not [each for each in floor.turn().records if isinstance(each, Fence)]
    assert floor.state.fences == {}


@pytest.mark.parametrize("reply", [Reply.UNCLEAR, Reply.REFUSED])
def test_an_intent_without_an_outcome_is_left_to_people_until_they_order(reply: Reply) -> None:
    floor = down()
    fence = reported(floor, reply)
    assert fence.stage is FenceStage.UNCLEAR
    assert fenced(floor.state) == set(), "a flag that may be somebody's wish is taken for one"
    floor.judge()
    floor.turn()
    assert floor.state.fences[ONE].stage is FenceStage.UNCLEAR
    order = Unfence(cluster=CLUSTER, ordered_at_ms=1, by="anna", server_ip=ONE, planned_at_ms=fence.planned_at_ms)
    floor.state.orders.take(order)
    turn = floor.turn()
    assert floor.state.fences[ONE].stage is FenceStage.RETURNING
    assert ("ordered a fence given back", "ordered by anna", ONE) in decisions(turn)


def test_an_intent_that_was_overtaken_by_the_dialers_return_is_left_to_people() -> None:
    floor = down()
    floor.judge()
    floor.turn()
    assert floor.state.fences[ONE].stage is FenceStage.UNCLEAR


def test_by_order_a_fence_is_given_back_while_the_dialer_is_down_and_not_taken_again() -> None:
    floor = down()
    fence = reported(floor, Reply.DONE)
    order = Unfence(cluster=CLUSTER, ordered_at_ms=1, by="anna", server_ip=ONE, planned_at_ms=fence.planned_at_ms)
    floor.state.orders.take(order)
    floor.turn()
    assert reported(floor, Reply.DONE).stage is FenceStage.RETURNED
    assert not [each for each in floor.turn().records if isinstance(each, Fence)]


def test_the_last_dialer_that_takes_logins_is_never_fenced() -> None:
    floor = Floor(agent("1001"), policy=FENCING)
    floor.state.dialers[TWO] = dialer(TWO, active=False)
    floor.state.dialers[THREE] = dialer(THREE, agent_logins=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.turn()
    turn = floor.turn()
    why = "it is the last dialer that VICIdial could send a login to"
    assert floor.state.fences[ONE].stage is FenceStage.NOT_TAKEN
    assert ("did not fence a dialer", why, ONE) in decisions(turn)
    assert floor.turn().records == []


def test_of_two_that_die_together_one_stays_open_if_there_is_no_third() -> None:
    floor = Floor(agent("1001"), policy=FENCING)
    floor.state.dialers[THREE] = dialer(THREE, active=False)
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    floor.turn()
    floor.turn()
    assert {each.stage for each in floor.state.fences.values()} == {FenceStage.NOT_TAKEN}


def test_advice_and_a_brake_change_nothing() -> None:
    advised = down(acts=False)
    assert advised.state.fences[ONE].stage is FenceStage.NOT_TAKEN
    assert "advises" in advised.state.fences[ONE].answer
    braked = Floor(agent("1001"), policy=FENCING)
    braked.judge("the brake", ONE=DialerState.DOWN)
    braked.turn()
    braked.turn()
    assert braked.state.fences == {}
