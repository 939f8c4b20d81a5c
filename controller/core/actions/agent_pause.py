"""The agent pause: an agent on a dead dialer is paused, so that no call is sent to them, and resumed if it returns."""

from collections.abc import Sequence

import msgspec

from controller.core.actions.kind import ActionKind, Outcome, SessionRow, row_of
from controller.core.actions.relogin import LOGOUT
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import AgentPause, AgentPauseStage, AgentStatus


def check(pause: AgentPause, rows: Sequence[SessionRow], *, names_user: bool) -> Precondition:
    """Return whether to send the screen of this very session a pause or a resume."""
    row = row_of(rows, pause.live_agent_id, pause.server_ip)
    if isinstance(row, Precondition):
        return row
    if row.external_pause == LOGOUT:
        return Precondition.TOLD
    if names_user and len(rows) > 1:
        return Precondition.TWICE
    paused = row.status == AgentStatus.PAUSED
    if pause.stage is AgentPauseStage.RESUMING:
        # a screen that has not yet obeyed the pause will do so, unless it is taken back now
        theirs = pause.seen and not paused
        return Precondition.SEND if row.external_pause == pause.mark and not theirs else Precondition.NOT_OURS
    return Precondition.PAUSED if paused else Precondition.SEND


def _after(pause: AgentPause, outcome: Outcome, now_ms: int, by: str) -> AgentPause | None:
    if pause.stage is AgentPauseStage.RESUMING:
        return None
    # a screen that obeys an earlier attempt meanwhile is paused by that one
    obeyed = outcome.reply is Reply.GONE and pause.attempts > 1
    landed = outcome.reply in {Reply.DONE, Reply.UNCLEAR} or obeyed
    stage = AgentPauseStage.PAUSED if landed else AgentPauseStage.GIVEN_UP
    mark = outcome.mark or pause.mark  # an earlier attempt's, if this one has come to nothing
    return msgspec.structs.replace(pause, stage=stage, changed_at_ms=now_ms, answer=outcome.said, mark=mark, by=by)


def _done_code(pause: AgentPause, _: Reply) -> DecisionCode:
    return DecisionCode.RESUME_SENT if pause.stage is AgentPauseStage.RESUMING else DecisionCode.PAUSE_SENT


KIND = ActionKind(
    name="agent_pause",
    due=frozenset({AgentPauseStage.PLANNED, AgentPauseStage.RESUMING}),
    repeatable=frozenset({AgentPauseStage.RESUMING}),  # a pause that is over is not taken back twice
    subject_of=lambda pause: pause.user,
    planned_at_ms_of=lambda _: 0,
    attempts_of=lambda pause: pause.attempts,
    done_code=_done_code,
    after=_after,
)
