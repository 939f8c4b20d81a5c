"""What VICIdial's own row says about sending, and what an outcome makes of a move."""

import msgspec
import pytest

from controller.core.actions import Outcome, SessionRow, after, after_check, check, done_code
from controller.core.actions.relogin import LOGOUT
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import Relogin, ReloginStage
from messages.words import sentence
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO

RELOGIN = Relogin(
    cluster=CLUSTER,
    live_agent_id=42,
    user="1001",
    incident="i",
    from_server_ip=ONE,
    to_server_ip=TWO,
    phone_login="1001b",
    planned_at_ms=NOW_MS,
)
HERE = SessionRow(42, ONE, "")
NEWER = SessionRow(43, TWO, "")


@pytest.mark.parametrize(
    ("rows", "names_user", "found"),
    [
        ([HERE], True, Precondition.SEND),
        ([HERE._replace(external_pause="PAUSE!1700000000")], True, Precondition.SEND),
        ([], True, Precondition.GONE),
        ([NEWER], True, Precondition.GONE),
        ([HERE._replace(server_ip=TWO)], True, Precondition.ELSEWHERE),
        ([HERE._replace(external_pause=LOGOUT)], True, Precondition.TOLD),
        ([HERE, NEWER], True, Precondition.TWICE),
        ([HERE, NEWER], False, Precondition.SEND),
    ],
)
def test_only_the_very_session_on_the_very_dialer_is_sent_something(
    rows: list[SessionRow], found: Precondition, *, names_user: bool
) -> None:
    assert check(RELOGIN, rows, names_user=names_user) is found


TOLD_IN_CALL = HERE._replace(external_pause=LOGOUT, status="INCALL")


@pytest.mark.parametrize(
    ("rows", "in_call", "found"),
    [
        # its dialer died in the call after whose end the screen was to log out: nobody else ends that call
        ([TOLD_IN_CALL], True, Precondition.HANG_UP),
        ([TOLD_IN_CALL], False, Precondition.TOLD),
        ([TOLD_IN_CALL._replace(status="PAUSED")], True, Precondition.TOLD),
        ([TOLD_IN_CALL, NEWER], True, Precondition.TWICE),
    ],
)
def test_a_screen_that_was_told_and_waits_for_a_dead_call_is_told_to_hang_up(
    rows: list[SessionRow], found: Precondition, *, in_call: bool
) -> None:
    order = msgspec.structs.replace(RELOGIN, in_call=in_call)
    assert check(order, rows, names_user=True) is found


@pytest.mark.parametrize(
    ("found", "stage"),
    [
        (Precondition.GONE, ReloginStage.ENDED),
        (Precondition.ELSEWHERE, ReloginStage.ENDED),
        (Precondition.TOLD, ReloginStage.SENT),
        (Precondition.TWICE, ReloginStage.SENT),
    ],
)
def test_what_was_not_sent_is_said_and_counts_as_what_it_is(found: Precondition, stage: ReloginStage) -> None:
    moved = after(RELOGIN, after_check(found), NOW_MS + 5, "controller-2")
    assert moved is not None
    assert (moved.stage, moved.answer, moved.changed_at_ms, moved.by) == (
        stage,
        sentence(found),
        NOW_MS + 5,
        "controller-2",
    )


@pytest.mark.parametrize(
    ("reply", "stage"),
    [
        (Reply.DONE, ReloginStage.SENT),
        (Reply.UNCLEAR, ReloginStage.SENT),
        (Reply.REFUSED, ReloginStage.SENT),
        (Reply.GONE, ReloginStage.ENDED),
        (Reply.UNSENT, ReloginStage.PLANNED),
        (Reply.DENIED, ReloginStage.PLANNED),
    ],
)
def test_an_answer_that_did_not_come_counts_as_told(reply: Reply, stage: ReloginStage) -> None:
    moved = after(RELOGIN, Outcome(reply, "said"), NOW_MS, "c")
    assert moved is not None
    assert moved.stage is stage


def test_a_session_that_the_account_may_not_end_is_not_called_ended_and_the_move_goes_on() -> None:
    forced = msgspec.structs.replace(RELOGIN, forced=True, attempts=4)
    assert done_code(forced, Reply.REFUSED) is DecisionCode.SESSION_NOT_ENDED
    assert done_code(forced, Reply.DONE) is DecisionCode.SESSION_ENDED
    refused = after(forced, Outcome(Reply.REFUSED, "command denied"), NOW_MS, "c")
    assert refused is not None
    assert (refused.stage, refused.answer) == (ReloginStage.SENT, "command denied")
