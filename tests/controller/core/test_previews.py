"""What an order would do, before it is given: as the plan then does it."""

from collections import Counter

import msgspec
import pytest

from controller.core.policy import Policy
from controller.core.previews import (
    PLACED_AT_MOST,
    preview_of_drain,
    preview_of_move,
    preview_of_opening,
    preview_of_pause,
    preview_of_release,
)
from messages.records import AgentStatus, DialerState, Drain, NotMoved, Unbrake
from tests.support.builders import CLUSTER, NOW_MS, ONE, THREE, TWO
from tests.support.floor import BRAKE, Floor, crowd


def busy_floor() -> Floor:
    """Return a floor with four agents on the first dialer: one in a call, one of no alias."""
    agents = list(crowd(4))
    agents[0] = msgspec.structs.replace(agents[0], status=AgentStatus.INCALL)
    floor = Floor(*agents)
    floor.judge()
    return floor


def test_a_drain_says_how_many_agents_leave_how_many_are_in_calls_and_where_they_go() -> None:
    floor = busy_floor()
    found = preview_of_drain(floor.state, floor.policy, ONE, acts=True)
    assert (found.agents, found.in_calls, sum(found.to.values())) == (4, 1, 4)
    assert found.to.keys() == {TWO, THREE}
    assert found.words.startswith(f"{ONE} gets no new logins. 4 agents, 1 in a call: 4 go to {TWO} (2), {THREE} (2)")


def test_what_a_preview_says_is_what_the_plan_then_does() -> None:
    floor = Floor(*crowd(5))
    found = preview_of_drain(floor.state, floor.policy, ONE, acts=True)
    floor.state.decided.orders.add(Drain(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna", server_ip=ONE))
    floor.judge(ONE=DialerState.DRAINING)
    assert Counter(each.to_server_ip for each in floor.moves()) == found.to


def test_of_very_many_agents_the_first_ones_say_where_they_go() -> None:
    floor = Floor(*crowd(PLACED_AT_MOST + 7))
    found = preview_of_drain(floor.state, floor.policy, ONE, acts=True)
    assert (found.agents, sum(found.to.values()), found.not_placed) == (PLACED_AT_MOST + 7, PLACED_AT_MOST, 7)
    assert "7 more go where there is room then." in found.words


def test_a_preview_changes_nothing() -> None:
    floor = busy_floor()
    before = list(floor.state.decided.slots)
    preview_of_drain(floor.state, floor.policy, ONE, acts=True)
    assert list(floor.state.decided.slots) == before
    assert not floor.state.decided.relogins


def test_an_agent_who_cannot_be_moved_is_said_with_the_reason() -> None:
    (agent,) = crowd(1)
    floor = Floor(msgspec.structs.replace(agent, remote=True))
    floor.judge()
    (remote,) = floor.state.observed.agents.values()
    found = preview_of_move(floor.state, floor.policy, remote, acts=True)
    assert found.not_moved == {NotMoved.REMOTE: 1}
    assert "none can be moved. Not moved: remote agent" in found.words


@pytest.mark.parametrize(("acts", "said"), [(True, "4 go to"), (False, "4 would go to")])
def test_where_hotdesk_only_advises_agents_would_go(acts: bool, said: str) -> None:
    floor = busy_floor()
    found = preview_of_drain(floor.state, floor.policy, ONE, acts=acts)
    assert said in found.words
    assert ("no agent is logged out" in found.words) is not acts


def test_the_release_of_a_brake_says_who_leaves_then() -> None:
    floor = busy_floor()
    assert preview_of_release(floor.state, floor.policy, acts=True).words == "No agent is moved."
    floor.judge(BRAKE, ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    found = preview_of_release(floor.state, floor.policy, acts=True)
    assert found.agents == 4
    assert found.to == {THREE: 4}
    assert found.words.startswith(f"Agents leave {ONE}, {TWO}.")


def test_a_suspension_and_an_end_say_what_comes_of_them() -> None:
    floor = busy_floor()
    assert "moves no agent until a resume" in preview_of_pause(floor.state, acts=True).words
    assert "hotdesk only advises here" in preview_of_pause(floor.state, acts=False).words
    assert preview_of_opening(floor.state, ONE).words.startswith(f"{ONE} gets new logins again")


def test_orders_that_mean_nothing_any_more_are_not_in_force() -> None:
    floor = Floor()
    floor.judge()
    assert not floor.state.is_in_force(Unbrake(cluster=CLUSTER, ordered_at_ms=1, by="anna", bad_since_ms=7))
    assert floor.state.is_in_force(Drain(cluster=CLUSTER, ordered_at_ms=1, by="anna", server_ip=ONE))


def test_a_resume_counts_the_agents_of_closed_dialers_where_those_are_moved_too() -> None:
    floor = Floor(*crowd(3), policy=Policy(move_on_closed=True))
    floor.judge(ONE=DialerState.CLOSED)
    assert preview_of_release(floor.state, floor.policy, acts=True).agents == 3
    assert preview_of_release(floor.state, Policy(), acts=True).agents == 0


def test_a_resume_counts_the_agents_of_a_dead_dialer_that_was_removed() -> None:
    floor = Floor(*crowd(3))
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    floor.plan()
    floor.remove(ONE)
    assert preview_of_release(floor.state, floor.policy, acts=True).agents == 3
