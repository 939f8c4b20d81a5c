"""What VICIdial's own row says about sending, and what an outcome makes of a move."""

import msgspec
import pytest

from controller.core.acting import LOGOUT, Check, Outcome, Reply, SessionRow, after, after_check, check
from messages.records import Relogin, ReloginStage
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO

RELOGIN = Relogin(
    cluster=CLUSTER,
    live_agent_id=42,
    user="1001",
    incident="i",
    from_server_ip=ONE,
    to_server_ip=TWO,
    phone_login="1001b",
    ordered_at_ms=NOW_MS,
)
HERE = SessionRow(42, ONE, "")
NEWER = SessionRow(43, TWO, "")


@pytest.mark.parametrize(
    ("rows", "names_user", "found"),
    [
        ([HERE], True, Check.SEND),
        ([HERE._replace(external_pause="PAUSE!1700000000")], True, Check.SEND),
        ([], True, Check.GONE),
        ([NEWER], True, Check.GONE),
        ([HERE._replace(server_ip=TWO)], True, Check.ELSEWHERE),
        ([HERE._replace(external_pause=LOGOUT)], True, Check.TOLD),
        ([HERE, NEWER], True, Check.TWICE),
        ([HERE, NEWER], False, Check.SEND),
    ],
)
def test_only_the_very_session_on_the_very_dialer_is_sent_something(
    rows: list[SessionRow], found: Check, *, names_user: bool
) -> None:
    assert check(RELOGIN, rows, names_user=names_user) is found


TOLD_IN_CALL = HERE._replace(external_pause=LOGOUT, status="INCALL")


@pytest.mark.parametrize(
    ("rows", "in_call", "found"),
    [
        # its dialer died in the call after whose end the screen was to log out: nobody else ends that call
        ([TOLD_IN_CALL], True, Check.HANG_UP),
        ([TOLD_IN_CALL], False, Check.TOLD),
        ([TOLD_IN_CALL._replace(status="PAUSED")], True, Check.TOLD),
        ([TOLD_IN_CALL, NEWER], True, Check.TWICE),
    ],
)
def test_a_screen_that_was_told_and_waits_for_a_dead_call_is_told_to_hang_up(
    rows: list[SessionRow], found: Check, *, in_call: bool
) -> None:
    order = msgspec.structs.replace(RELOGIN, in_call=in_call)
    assert check(order, rows, names_user=True) is found


@pytest.mark.parametrize(
    ("found", "stage"),
    [(Check.GONE, ReloginStage.ENDED), (Check.ELSEWHERE, ReloginStage.ENDED), (Check.TOLD, ReloginStage.SENT), (Check.TWICE, ReloginStage.SENT)],
)
def test_what_was_not_sent_is_said_and_counts_as_what_it_is(found: Check, stage: ReloginStage) -> None:
    moved = after(RELOGIN, after_check(found), NOW_MS + 5, "controller-2")
    assert (moved.stage, moved.answer, moved.changed_at_ms, moved.by) == (stage, found, NOW_MS + 5, "controller-2")


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
    assert after(RELOGIN, Outcome(reply, "said"), NOW_MS, "c").stage is stage
