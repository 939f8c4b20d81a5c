"""Screen restores: each lost screen once, whatever is known of the dialers, and only where hotdesk acts."""

import msgspec
import pytest

from controller.core.actions import Outcome, SessionRow, after, check
from controller.core.plan import withholds
from messages.codes import DecisionCode, Precondition, Reason, ReasonCode, Reply
from messages.records import AgentSession, DialerState, Pause, ScreenRestore, ScreenRestoreStage
from tests.support.builders import CLUSTER, NOW_MS, ONE
from tests.support.floor import BRAKE, Floor, crowd, decisions


def lost(floor: Floor, *users: str, is_lost: bool = True) -> None:
    """Let a poll find that VICIdial does not know the screens of these users."""
    floor.poll(*(_changed(floor.sessions[user], is_lost=is_lost) for user in users))
    on_one = floor.state.observed.dialers[ONE]
    floor.state.observed.dialers[ONE] = msgspec.structs.replace(on_one, lost_screens=len(users) if is_lost else 0)


def _changed(session: AgentSession, *, is_lost: bool) -> AgentSession:
    return msgspec.structs.replace(session, screen_lost=is_lost)


def planned(floor: Floor) -> list[str]:
    return [each.user for each in floor.plan().records if isinstance(each, ScreenRestore)]


def _done(floor: Floor, reply: Reply) -> None:
    (restore,) = floor.state.decided.screen_restores.values()
    done = after(restore, Outcome(reply, "said"), floor.state.observed.observed_at_ms, "me")
    assert isinstance(done, ScreenRestore)
    floor.state.decided.add(done)


def test_each_lost_screen_is_restored_once() -> None:
    floor = Floor(*crowd(3))
    lost(floor, "1001", "1003")
    plan = floor.plan()
    assert [each.user for each in plan.records if isinstance(each, ScreenRestore)] == ["1001", "1003"]
    assert {code for code, *_ in decisions(plan)} == {DecisionCode.SCREEN_RESTORE_PLANNED}
    lost(floor, "1001", "1003")
    assert planned(floor) == []


@pytest.mark.parametrize(("reply", "stage"), [(Reply.DONE, "done"), (Reply.REFUSED, "failed")])
def test_it_is_over_once_vicidial_knows_the_screen_again(reply: Reply, stage: str) -> None:
    floor = Floor(*crowd(1))
    lost(floor, "1001")
    floor.plan()
    _done(floor, reply)
    lost(floor, "1001")
    assert planned(floor) == []
    assert floor.state.decided.screen_restores[1001].stage == ScreenRestoreStage(stage)
    lost(floor, "1001", is_lost=False)
    floor.plan()
    assert floor.state.decided.screen_restores == {}


def test_after_the_next_restart_it_is_restored_again() -> None:
    floor = Floor(*crowd(1))
    for _ in range(2):
        lost(floor, "1001")
        assert planned(floor) == ["1001"]
        _done(floor, Reply.DONE)
        lost(floor, "1001", is_lost=False)
        floor.plan()


def test_no_doubt_about_dialers_keeps_a_screen_from_being_restored() -> None:
    floor = Floor(*crowd(1))
    floor.judge(BRAKE, ONE=DialerState.UNKNOWN)
    floor.doubt = Reason(ReasonCode.WATCHING_ANEW, "polls were missing")
    lost(floor, "1001")
    assert planned(floor) == ["1001"]
    restore = floor.state.decided.screen_restores[1001]
    assert withholds(BRAKE, restore) is withholds(floor.doubt, restore) is None
    suspended = Reason(ReasonCode.SUSPENDED, "suspended by anna")
    assert withholds(suspended, restore) is suspended


def test_a_person_can_forbid_it_and_advice_changes_nothing() -> None:
    floor = Floor(*crowd(1))
    floor.state.decided.orders.add(Pause(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna", why="tests"))
    lost(floor, "1001")
    assert planned(floor) == []
    advising = Floor(*crowd(1), acts=False)
    lost(advising, "1001")
    assert planned(advising) == []


def test_a_session_that_has_ended_meanwhile_is_left_alone() -> None:
    restore = ScreenRestore(cluster=CLUSTER, live_agent_id=1001, user="1001", server_ip=ONE, planned_at_ms=NOW_MS)
    assert check(restore, [SessionRow(1001, ONE, "", "INCALL")], names_user=True) is Precondition.SEND
    assert check(restore, [SessionRow(2001, ONE, "", "PAUSED")], names_user=True) is Precondition.GONE
