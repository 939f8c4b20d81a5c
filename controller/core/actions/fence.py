"""The fence: VICIdial's own switch for new agent logins, turned off for a dead dialer and on again later."""

import msgspec

from controller.core.actions.kind import ActionKind, Outcome
from messages.codes import DecisionCode, Reply
from messages.records import Fence, FenceStage

_AFTER_TAKING = {Reply.DONE: FenceStage.TAKEN, Reply.GONE: FenceStage.NOT_TAKEN}
"""Any other reply leaves the fence unclear."""
_AFTER_RETURNING = {Reply.DONE: FenceStage.RETURNED, Reply.GONE: FenceStage.RETURNED}
_DUE = frozenset({FenceStage.PLANNED, FenceStage.LOOKING, FenceStage.RETURNING})


def _after(fence: Fence, outcome: Outcome, now_ms: int, by: str) -> Fence:
    replies = _AFTER_RETURNING if fence.stage is FenceStage.RETURNING else _AFTER_TAKING
    stage = replies.get(outcome.reply, FenceStage.UNCLEAR)
    taken = fence.taken or stage is FenceStage.TAKEN
    was_unclear = fence.was_unclear or stage is FenceStage.UNCLEAR
    return msgspec.structs.replace(
        fence, stage=stage, taken=taken, was_unclear=was_unclear, changed_at_ms=now_ms, answer=outcome.said, by=by
    )


def _done_code(fence: Fence, reply: Reply) -> DecisionCode:
    if fence.stage is FenceStage.RETURNING:
        return DecisionCode.NOT_UNFENCED if reply is Reply.REFUSED else DecisionCode.UNFENCE_SENT
    if fence.stage is FenceStage.LOOKING and reply is Reply.REFUSED:
        return DecisionCode.FENCE_UNCLEAR
    left_open = fence.stage is FenceStage.PLANNED and reply is Reply.GONE
    return DecisionCode.FENCE_NOT_TAKEN if left_open else DecisionCode.FENCE_SENT


KIND = ActionKind(
    name="fence",
    due=_DUE,
    repeatable=_DUE,  # the flag says whether it was done
    subject_of=lambda fence: fence.server_ip,
    planned_at_ms_of=lambda fence: fence.planned_at_ms,
    attempts_of=lambda _: 0,
    done_code=_done_code,
    after=_after,
)
