"""The re-login: an agent's screen is sent a logout, and logs in again on another dialer."""

from collections.abc import Sequence

import msgspec

from controller.core.actions.kind import ActionKind, Outcome, SessionRow, row_of
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import AgentStatus, Relogin, ReloginStage

LOGOUT = "LOGOUT"
"""The exact value of `vicidial_live_agents.external_pause` that makes a screen log out."""

IN_CALL = frozenset({AgentStatus.INCALL, AgentStatus.QUEUE, AgentStatus.MQUEUE})
"""`vicidial_live_agents.status` of an agent whose call must not be cut off on a dialer that is up."""


def check(relogin: Relogin, rows: Sequence[SessionRow], *, names_user: bool) -> Precondition:
    """Return whether to send the screen of this very session a logout."""
    row = row_of(rows, relogin.live_agent_id)
    if row is None:
        return Precondition.GONE
    if row.server_ip != relogin.from_server_ip:
        return Precondition.ELSEWHERE
    in_call = row.status in IN_CALL
    if relogin.forced:
        return Precondition.IN_CALL if relogin.dialer_lives and in_call else Precondition.SEND
    told = row.external_pause == LOGOUT
    # a screen that was sent a logout waits for its call to end, and this call is dead with its dialer
    if told and not (relogin.in_call and in_call):
        return Precondition.TOLD
    if names_user and len(rows) > 1:
        return Precondition.TWICE
    return Precondition.HANG_UP if told else Precondition.SEND


def _after(relogin: Relogin, outcome: Outcome, now_ms: int, by: str) -> Relogin:
    # a refused logout is retried after a while, and fails in the end
    stage = ReloginStage.ENDED if outcome.reply is Reply.GONE else ReloginStage.SENT
    return msgspec.structs.replace(relogin, stage=stage, changed_at_ms=now_ms, answer=outcome.said, by=by)


KIND = ActionKind(
    name="relogin",
    due=frozenset({ReloginStage.PLANNED}),
    repeatable=frozenset(),
    subject_of=lambda relogin: relogin.user,
    planned_at_ms_of=lambda relogin: relogin.planned_at_ms,
    attempts_of=lambda relogin: relogin.attempts,
    done_code=lambda relogin: DecisionCode.SESSION_ENDED if relogin.forced else DecisionCode.LOGOUT_SENT,
    after=_after,
)
