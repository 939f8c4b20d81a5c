"""The arrival: an agent who was moved is heard on the new dialer, and waits for calls again if they did before."""

from collections.abc import Sequence

import msgspec

from controller.core.actions.kind import ActionKind, Outcome, SessionRow, row_of
from controller.core.actions.relogin import LOGOUT
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import AgentStatus, Arrival, ArrivalStage


def check(arrival: Arrival, rows: Sequence[SessionRow], *, names_user: bool) -> Precondition:
    """Return whether to tell the agent of this very session, have their phone called, or send their screen a resume.

    A resume is for an agent who has done nothing since the login, and to whom no one has sent anything.
    """
    row = row_of(rows, arrival.live_agent_id, arrival.server_ip)
    if isinstance(row, Precondition):
        return row
    if row.external_pause == LOGOUT:
        return Precondition.TOLD
    untouched = row.status == AgentStatus.PAUSED and not row.lead_id and not row.external_pause
    if arrival.stage is ArrivalStage.RESUMING and not untouched:
        return Precondition.NOT_OURS
    return Precondition.TWICE if names_user and len(rows) > 1 else Precondition.SEND


def _after(arrival: Arrival, outcome: Outcome, now_ms: int, by: str) -> Arrival:
    # each is sent once, whatever comes of it: a second call would ring in the agent's ear
    changes: dict[str, object] = {"changed_at_ms": now_ms, "answer": outcome.said, "by": by}
    if arrival.stage is ArrivalStage.TELLING:
        return msgspec.structs.replace(arrival, stage=ArrivalStage.AWAITED, **changes)
    if arrival.stage is ArrivalStage.CALLING:
        failed = arrival.here and outcome.reply not in {Reply.DONE, Reply.UNCLEAR}
        stage = ArrivalStage.MISSING if failed else ArrivalStage.AWAITED
        return msgspec.structs.replace(arrival, stage=stage, called=True, **changes)
    stage = ArrivalStage.LOGGED_IN if arrival.arrived_at_ms is None else ArrivalStage.ARRIVED
    return msgspec.structs.replace(arrival, stage=stage, resume=False, **changes)


_DONE = {
    ArrivalStage.TELLING: DecisionCode.TOLD,
    ArrivalStage.CALLING: DecisionCode.CALL_SENT,
    ArrivalStage.RESUMING: DecisionCode.RESUME_SENT,
}

KIND = ActionKind(
    name="arrival",
    due=frozenset(_DONE),
    repeatable=frozenset(),
    subject_of=lambda arrival: arrival.user,
    planned_at_ms_of=lambda arrival: arrival.since_ms,
    attempts_of=lambda _: 0,
    done_code=lambda arrival, _: _DONE[arrival.stage],
    after=_after,
)
