"""The re-login: an agent's screen is sent a logout, and logs in again on another dialer."""

from collections.abc import Sequence

import msgspec

from controller.core.actions.kind import ActionKind, Outcome, SessionRow, row_of
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import AgentStatus, Relogin, ReloginStage

LOGOUT = "LOGOUT"
"""The exact value of `vicidial_live_agents.external_pause` that makes a screen log out."""

LATE_SECONDS = 600.0
"""How long a LOGOUT that was given up is expected. A web server that hangs for longer is a case for people."""

IN_CALL = frozenset({AgentStatus.INCALL, AgentStatus.QUEUE, AgentStatus.MQUEUE})
"""`vicidial_live_agents.status` of an agent whose call must not be cut off on a dialer that is up."""


def check(relogin: Relogin, rows: Sequence[SessionRow], *, names_user: bool) -> Precondition:
    """Return whether to send the screen of this very session a logout."""
    row = row_of(rows, relogin.live_agent_id, relogin.from_server_ip)
    if isinstance(row, Precondition):
        return row
    if row.status in IN_CALL and relogin.dialer_lives:
        return Precondition.IN_CALL
    if relogin.forced:
        return Precondition.SEND
    found = _what_to_send(relogin, row)
    sends = found in {Precondition.SEND, Precondition.HANG_UP}
    return Precondition.TWICE if sends and names_user and len(rows) > 1 else found


def _what_to_send(relogin: Relogin, row: SessionRow) -> Precondition:
    in_call = row.status in IN_CALL
    if relogin.stage is ReloginStage.HANGING_UP:
        return Precondition.HANG_UP if in_call else Precondition.NO_CALL
    if row.external_pause == LOGOUT:
        # a screen that was sent a logout waits for its call to end, and this call is dead with its dialer
        return Precondition.HANG_UP if in_call and relogin.in_call else Precondition.TOLD
    return Precondition.IN_WRAPUP if row.in_wrapup and not relogin.undisposed else Precondition.SEND


def _after(relogin: Relogin, outcome: Outcome, now_ms: int, by: str) -> Relogin:
    # a refused logout is retried after a while, and fails in the end; a hang-up is sent again with the logout
    hung_up = relogin.stage is ReloginStage.HANGING_UP
    stage = ReloginStage.WRAPPING_UP if hung_up else ReloginStage.SENT
    if outcome.reply is Reply.GONE:
        stage = ReloginStage.ENDED
    # an answer means that a logout was sent: the screen may ask for its re-login then
    answer = relogin.answer if hung_up else outcome.said
    sent_at_ms = now_ms if stage is ReloginStage.SENT and outcome.reply is not Reply.REFUSED else relogin.sent_at_ms
    until_ms = now_ms + round(LATE_SECONDS * 1000) if outcome.late else relogin.late_until_ms
    return msgspec.structs.replace(
        relogin,
        stage=stage,
        changed_at_ms=now_ms,
        sent_at_ms=sent_at_ms,
        late_logouts=relogin.late_logouts + outcome.late,
        late_until_ms=until_ms,
        answer=answer,
        by=by,
    )


def _done_code(relogin: Relogin, reply: Reply) -> DecisionCode:
    if relogin.stage is ReloginStage.HANGING_UP:
        return DecisionCode.HANG_UP_SENT
    if not relogin.forced:
        return DecisionCode.LOGOUT_SENT
    return DecisionCode.SESSION_NOT_ENDED if reply is Reply.REFUSED else DecisionCode.SESSION_ENDED


KIND = ActionKind(
    name="relogin",
    due=frozenset({ReloginStage.HANGING_UP, ReloginStage.PLANNED}),
    repeatable=frozenset(),
    subject_of=lambda relogin: relogin.user,
    planned_at_ms_of=lambda relogin: relogin.planned_at_ms,
    attempts_of=lambda relogin: relogin.attempts,
    done_code=_done_code,
    after=_after,
)
