"""When VICIdial itself is kept from a dead dialer, and when that is given back: only what hotdesk took."""

import msgspec
import pytest

from controller.core.actions import Outcome, after, done_code, is_due, may_be_repeated
from controller.core.fences import AGAIN_SECONDS, OPENED_SECONDS, fenced
from controller.core.hooks import LATELY_MS
from controller.core.policy import MaintenanceWindow, Policy
from messages.codes import DecisionCode, Reply
from messages.records import DialerState, Drain, Fence, FenceStage, HookSight, Unfence
from tests.support.builders import CLUSTER, ONE, THREE, TWO, dialer
from tests.support.floor import BRAKE, Floor, agent, decisions

FENCING = Policy(fence=True)


def down(*, policy: Policy = FENCING, acts: bool = True) -> Floor:
    """Return a floor whose dialer ONE has died, with its incident open and the plan after that taken."""
    floor = Floor(agent("1001"), policy=policy, acts=acts)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    floor.plan()
    return floor


def reported(floor: Floor, reply: Reply) -> Fence:
    """Let the executor report about the fence of dialer ONE, and give it as it stands then."""
    now_ms = floor.state.observed.observed_at_ms
    fence = after(floor.state.decided.fences[ONE], Outcome(reply, "said"), now_ms, "controller-1")
    assert isinstance(fence, Fence)
    floor.state.decided.add(fence)
    return fence


def test_without_the_setting_nothing_is_fenced() -> None:
    assert down(policy=Policy()).state.decided.fences == {}


@pytest.mark.parametrize(
    ("acts", "asked_ago_ms", "fences"),
    [(True, None, True), (True, LATELY_MS, True), (True, LATELY_MS - 60_000, False), (False, None, False)],
)
def test_by_default_a_dead_dialer_is_fenced_where_hotdesk_acts_and_no_login_hook_asked_within_a_day(
    acts: bool, asked_ago_ms: int | None, fences: bool
) -> None:
    floor = Floor(agent("1001"), policy=Policy(fence=None, acts=acts), acts=acts)
    if asked_ago_ms is not None:
        at_ms = floor.state.observed.observed_at_ms - asked_ago_ms
        floor.state.fold(HookSight(cluster=CLUSTER, web="web1", seen_at_ms=at_ms))
    floor.judge(ONE=DialerState.DOWN)
    for _ in range(2):
        floor.plan()
    assert [each.wanted for each in floor.state.decided.fences.values()] == [False] * fences


def test_a_fence_that_the_settings_want_says_so() -> None:
    assert down().state.decided.fences[ONE].wanted


def test_a_dead_dialer_is_fenced_once_and_given_back_when_it_is_back() -> None:
    floor = down()
    assert floor.state.decided.fences[ONE].stage is FenceStage.PLANNED
    assert reported(floor, Reply.DONE).stage is FenceStage.TAKEN
    assert not [each for each in floor.plan().records if isinstance(each, Fence)]
    floor.judge()
    plan = floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.RETURNING
    assert (DecisionCode.UNFENCE_PLANNED, "the dialer takes logins again", ONE) in decisions(plan)
    assert reported(floor, Reply.DONE).stage is FenceStage.RETURNED
    floor.plan()
    assert floor.state.decided.fences == {}


def draining(policy: Policy = FENCING, *, ordered: bool = True) -> Floor:
    """Return a floor whose dialer ONE drains, by order or else as the policy says."""
    floor = Floor(agent("1001"), policy=policy)
    if ordered:
        floor.state.decided.orders.add(Drain(cluster=CLUSTER, ordered_at_ms=1, by="anna", server_ip=ONE))
    floor.judge(ONE=DialerState.DRAINING)
    return floor


def closed(floor: Floor) -> Floor:
    """Let the incident of a dialer be opened, its fence planned, and the executor report that it is taken."""
    floor.plan()
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.PLANNED
    reported(floor, Reply.DONE)
    floor.state.observed.dialers[ONE] = dialer(ONE, agent_logins=False)
    return floor


def stage_when(floor: Floor, **states: DialerState) -> FenceStage:
    """Judge the dialers as said, and return the stage of the fence after the next plan."""
    floor.judge(**states)
    floor.plan()
    return floor.state.decided.fences[ONE].stage


def test_a_drained_dialer_is_fenced_and_given_back_when_the_drain_ends() -> None:
    floor = closed(draining())
    assert stage_when(floor, ONE=DialerState.DRAINING) is FenceStage.TAKEN
    floor.state.decided.orders.drains.clear()
    assert stage_when(floor) is FenceStage.RETURNING


def test_a_drained_dialer_that_dies_stays_fenced_until_the_drain_ends_too() -> None:
    floor = closed(draining())
    for state in (DialerState.DOWN, DialerState.DRAINING):
        assert stage_when(floor, ONE=state) is FenceStage.TAKEN
    floor.state.decided.orders.drains.clear()
    assert stage_when(floor) is FenceStage.RETURNING


def test_a_drained_dialer_is_opened_when_agents_could_log_in_nowhere_else() -> None:
    floor = closed(draining())
    for others in ({"TWO": DialerState.DOWN}, {"TWO": DialerState.DOWN, "THREE": DialerState.SUSPECT}):
        assert stage_when(floor, ONE=DialerState.DRAINING, **others) is FenceStage.TAKEN
    dead = {"TWO": DialerState.DOWN, "THREE": DialerState.DOWN}
    assert stage_when(floor, ONE=DialerState.DRAINING, **dead) is FenceStage.RETURNING


def test_in_a_maintenance_window_a_dialer_is_fenced_until_the_window_ends() -> None:
    day = MaintenanceWindow(start_minute=0, minutes=1440, server_ips=frozenset({ONE}))
    floor = closed(draining(Policy(fence=True, windows=(day,)), ordered=False))
    assert stage_when(floor, ONE=DialerState.DRAINING) is FenceStage.TAKEN
    floor.policy = FENCING
    assert stage_when(floor) is FenceStage.RETURNING


def test_a_drained_dialer_is_not_fenced_where_the_hook_keeps_agents_off_or_vicidial_itself() -> None:
    asked = draining(Policy(fence=None, acts=True))
    asked.state.fold(HookSight(cluster=CLUSTER, web="web1", seen_at_ms=asked.state.observed.observed_at_ms))
    switched_off = draining()
    switched_off.state.observed.dialers[ONE] = dialer(ONE, active=False)
    for floor in (asked, switched_off):
        floor.plan()
        floor.plan()
        assert floor.state.decided.fences == {}


def test_a_dialer_that_vicidial_has_no_longer_is_not_back() -> None:
    floor = down()
    reported(floor, Reply.DONE)
    known = floor.state.observed.health.dialers[ONE]
    floor.remove(ONE)
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.TAKEN
    floor.poll(gone=["1001"])
    floor.remove(ONE)
    assert ONE not in floor.state.observed.health.dialers
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.TAKEN
    unproven = msgspec.structs.replace(known, state=DialerState.UNKNOWN, life=DialerState.UNKNOWN)
    floor.state.observed.health.dialers[ONE] = unproven
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.TAKEN


def opened_again() -> Floor:
    """Return a floor whose dialer ONE hotdesk has just opened again, and a poll from before that shows it closed."""
    floor = down()
    reported(floor, Reply.DONE)
    floor.judge()
    floor.plan()
    assert reported(floor, Reply.DONE).stage is FenceStage.RETURNED
    floor.state.observed.dialers[ONE] = dialer(ONE, agent_logins=False)
    floor.plan()
    return floor


def test_a_poll_from_before_the_opening_does_not_make_the_dialer_a_closed_one() -> None:
    floor = opened_again()
    assert fenced(floor.state) == {ONE}, "the N is still hotdesk's own, and nobody is moved for it"
    floor.poll()
    floor.plan()
    assert floor.state.decided.fences == {}, "the poll shows Y: from now on an N is a person's"


def test_a_dialer_that_is_still_closed_long_after_the_opening_was_closed_by_a_person() -> None:
    floor = opened_again()
    floor.poll(seconds=OPENED_SECONDS)
    assert fenced(floor.state) == set()
    floor.state.observed.dialers[ONE] = dialer(ONE, agent_logins=False)
    floor.plan()
    assert floor.state.decided.fences == {}


@pytest.mark.parametrize("reply", [Reply.REFUSED, Reply.UNCLEAR])
def test_a_fence_that_hotdesk_could_not_open_again_is_no_persons_closing(reply: Reply) -> None:
    floor = down(policy=Policy(fence=True, move_on_closed=True))
    reported(floor, Reply.DONE)
    floor.judge()
    floor.plan()
    assert reported(floor, reply).stage is FenceStage.UNCLEAR
    assert fenced(floor.state) == {ONE}, "or its agents would be moved off a dialer that is well"


def test_a_fence_of_which_it_was_never_known_who_closed_the_dialer_may_be_a_persons() -> None:
    floor = down()
    assert reported(floor, Reply.UNCLEAR).stage is FenceStage.UNCLEAR
    assert fenced(floor.state) == frozenset()


def test_what_somebody_else_had_closed_is_not_given_back() -> None:
    floor = down()
    assert reported(floor, Reply.GONE).stage is FenceStage.NOT_TAKEN
    assert fenced(floor.state) == set()
    floor.judge()
    assert not [each for each in floor.plan().records if isinstance(each, Fence)]
    assert floor.state.decided.fences == {}


def test_a_dialer_that_the_account_may_not_close_or_open_is_said_and_not_called_closed_or_opened() -> None:
    floor = down()
    assert done_code(floor.state.decided.fences[ONE], Reply.GONE) is DecisionCode.FENCE_NOT_TAKEN
    assert done_code(floor.state.decided.fences[ONE], Reply.DONE) is DecisionCode.FENCE_SENT
    reported(floor, Reply.DONE)
    floor.judge()
    floor.plan()
    assert done_code(floor.state.decided.fences[ONE], Reply.REFUSED) is DecisionCode.NOT_UNFENCED
    assert done_code(floor.state.decided.fences[ONE], Reply.DONE) is DecisionCode.UNFENCE_SENT


def ordered(floor: Floor, fence: Fence) -> Unfence:
    """Return a person's order of this moment that a fence be opened again."""
    at = floor.state.observed.observed_at_ms
    return Unfence(cluster=CLUSTER, ordered_at_ms=at, by="anna", server_ip=ONE, planned_at_ms=fence.planned_at_ms)


def stage_after(floor: Floor, seconds: float) -> FenceStage:
    """Return the stage of the fence of dialer ONE after a poll that long later."""
    floor.poll(seconds=seconds)
    floor.judge()
    floor.plan()
    return floor.state.decided.fences[ONE].stage


def test_what_is_not_clear_is_looked_at_again_and_again_and_opened_at_once_by_order() -> None:
    floor = down()
    fence = reported(floor, Reply.REFUSED)
    assert fence.stage is FenceStage.UNCLEAR
    assert fenced(floor.state) == set(), "a flag that may be somebody's wish is taken for one"
    assert stage_after(floor, 1.0) is FenceStage.UNCLEAR
    for _ in range(3):
        assert stage_after(floor, AGAIN_SECONDS) is FenceStage.LOOKING
        assert fenced(floor.state) == set(), "or its incident would end and begin with each look"
        reported(floor, Reply.REFUSED)
    assert stage_after(floor, 86_400.0) is FenceStage.LOOKING
    reported(floor, Reply.REFUSED)
    assert stage_after(floor, AGAIN_SECONDS) is FenceStage.UNCLEAR, "a day later it is no matter of minutes"
    assert stage_after(floor, 8_640.0) is FenceStage.LOOKING
    reported(floor, Reply.REFUSED)
    floor.state.decided.orders.add(ordered(floor, fence))
    plan = floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.RETURNING
    assert (DecisionCode.UNFENCE_PLANNED, "ordered by anna", ONE) in decisions(plan)


@pytest.mark.parametrize("by_order", [False, True])
def test_a_fence_that_vicidial_refused_to_open_is_opened_once_it_may(by_order: bool) -> None:
    floor = down()
    fence = reported(floor, Reply.DONE)
    if by_order:
        floor.state.decided.orders.add(ordered(floor, fence))
    assert stage_after(floor, 1.0) is FenceStage.RETURNING
    reported(floor, Reply.REFUSED)
    assert stage_after(floor, 1.0) is FenceStage.UNCLEAR, "it is not asked twice a second"
    assert stage_after(floor, AGAIN_SECONDS) is FenceStage.RETURNING
    assert reported(floor, Reply.DONE).stage is FenceStage.RETURNED


def test_a_fence_is_not_opened_again_while_its_dialer_is_down() -> None:
    floor = down()
    reported(floor, Reply.DONE)
    assert stage_after(floor, 1.0) is FenceStage.RETURNING
    reported(floor, Reply.REFUSED)
    floor.poll(seconds=AGAIN_SECONDS)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.UNCLEAR
    assert fenced(floor.state) == {ONE}


@pytest.mark.parametrize(
    ("reply", "stage"), [(Reply.DONE, FenceStage.RETURNING), (Reply.GONE, None), (Reply.REFUSED, FenceStage.UNCLEAR)]
)
def test_an_intent_that_was_overtaken_by_the_dialers_return_is_looked_at(
    reply: Reply, stage: FenceStage | None
) -> None:
    floor = down()
    floor.judge()
    floor.plan()
    looking = floor.state.decided.fences[ONE]
    assert looking.stage is FenceStage.LOOKING
    assert is_due(looking)
    assert fenced(floor.state) == {ONE}, "meanwhile it is no person's wish"
    reported(floor, reply)
    floor.plan()
    known = floor.state.decided.fences.get(ONE)
    assert (known and known.stage) is stage


@pytest.mark.parametrize("stage", [FenceStage.PLANNED, FenceStage.LOOKING, FenceStage.RETURNING])
def test_an_answer_that_did_not_come_is_asked_for_again(stage: FenceStage) -> None:
    assert may_be_repeated(msgspec.structs.replace(down().state.decided.fences[ONE], stage=stage))


def test_a_dialer_that_the_database_refuses_to_open_is_not_taken_for_open() -> None:
    floor = down()
    reported(floor, Reply.DONE)
    floor.judge()
    floor.plan()
    assert reported(floor, Reply.REFUSED).stage is FenceStage.UNCLEAR


def test_by_order_a_fence_is_given_back_while_the_dialer_is_down_and_not_taken_again() -> None:
    floor = down()
    fence = reported(floor, Reply.DONE)
    floor.state.decided.orders.add(ordered(floor, fence))
    floor.plan()
    assert reported(floor, Reply.DONE).stage is FenceStage.RETURNED
    assert not [each for each in floor.plan().records if isinstance(each, Fence)]


def test_the_last_dialer_that_takes_logins_is_never_fenced() -> None:
    floor = Floor(agent("1001"), policy=FENCING)
    floor.state.observed.dialers[TWO] = dialer(TWO, active=False)
    floor.state.observed.dialers[THREE] = dialer(THREE, agent_logins=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    plan = floor.plan()
    why = "it is the last dialer that VICIdial could send a login to"
    assert floor.state.decided.fences[ONE].stage is FenceStage.NOT_TAKEN
    assert (DecisionCode.FENCE_NOT_TAKEN, why, ONE) in decisions(plan)
    assert floor.plan().records == []


def last_to_take_logins() -> Floor:
    """Return a floor whose dialer ONE has died, and was not fenced, since no other takes logins."""
    floor = Floor(agent("1001"), policy=FENCING)
    floor.state.observed.dialers[THREE] = dialer(THREE, agent_logins=False)
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    floor.plan()
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.NOT_TAKEN
    return floor


@pytest.mark.parametrize("state", [DialerState.UP, DialerState.RECOVERING])
def test_who_was_the_last_is_fenced_once_another_takes_logins_again(state: DialerState) -> None:
    floor = last_to_take_logins()
    assert floor.plan().records == [], "that it is the last is said once"
    floor.judge(ONE=DialerState.DOWN, TWO=state)
    plan = floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.PLANNED
    assert (DecisionCode.FENCE_PLANNED, "it is down", ONE) in decisions(plan)


def test_who_was_the_last_is_not_fenced_for_a_dialer_that_is_closed_or_once_it_is_back() -> None:
    floor = last_to_take_logins()
    floor.state.observed.dialers[TWO] = dialer(TWO, agent_logins=False)
    floor.judge(ONE=DialerState.DOWN)
    assert not [each for each in floor.plan().records if isinstance(each, Fence)]
    floor.judge()
    floor.plan()
    assert ONE not in floor.state.decided.fences


def test_a_fence_that_was_only_advised_is_taken_once_hotdesk_acts() -> None:
    floor = down(acts=False)
    assert floor.plan().records == [], "advice is given once"
    floor.acts = True
    plan = floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.PLANNED
    assert (DecisionCode.FENCE_PLANNED, "it is down", ONE) in decisions(plan)


def test_advice_of_a_fence_ends_once_hotdesk_acts_and_fences_nothing() -> None:
    floor = down(acts=False)
    floor.acts, floor.policy = True, Policy(fence=False)
    floor.plan()
    assert floor.state.decided.fences == {}


def test_of_two_that_die_together_one_stays_open_if_there_is_no_third() -> None:
    floor = Floor(agent("1001"), policy=FENCING)
    floor.state.observed.dialers[THREE] = dialer(THREE, active=False)
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.DOWN)
    floor.plan()
    floor.plan()
    assert {each.stage for each in floor.state.decided.fences.values()} == {FenceStage.NOT_TAKEN}


def test_advice_and_a_brake_change_nothing() -> None:
    advised = down(acts=False)
    assert advised.state.decided.fences[ONE].stage is FenceStage.NOT_TAKEN
    assert "advises" in advised.state.decided.fences[ONE].answer
    braked = Floor(agent("1001"), policy=FENCING)
    braked.judge(BRAKE, ONE=DialerState.DOWN)
    braked.plan()
    braked.plan()
    assert braked.state.decided.fences == {}


def test_a_fence_that_is_only_planned_is_not_taken_of_a_dialer_whose_asterisk_has_started_again() -> None:
    floor = down()
    assert floor.state.decided.fences[ONE].stage is FenceStage.PLANNED
    dialers = floor.state.observed.health.dialers
    dialers[ONE] = msgspec.structs.replace(dialers[ONE], interrupted=True)
    floor.plan()
    assert floor.state.decided.fences[ONE].stage is FenceStage.LOOKING
