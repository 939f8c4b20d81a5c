"""The screen restore: VICIdial is told again which session a screen has, as it kept that in memory and has lost it.

Of each login VICIdial keeps the screen's session a second time, in a table that outlives the restart. What is put back
is what was there: a screen's next poll works, with its call and the disposition that is still to be chosen.
"""

from collections.abc import Sequence

import msgspec

from controller.core.actions.kind import ActionKind, Outcome, SessionRow, row_of
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import ScreenRestore, ScreenRestoreStage


def check(restore: ScreenRestore, rows: Sequence[SessionRow]) -> Precondition:
    """Return whether the agent still has this very session."""
    row = row_of(rows, restore.live_agent_id, restore.server_ip)
    return row if isinstance(row, Precondition) else Precondition.SEND


def _after(restore: ScreenRestore, outcome: Outcome, now_ms: int, by: str) -> ScreenRestore:
    done = outcome.reply in {Reply.DONE, Reply.GONE}
    stage = ScreenRestoreStage.DONE if done else ScreenRestoreStage.FAILED
    return msgspec.structs.replace(restore, stage=stage, changed_at_ms=now_ms, answer=outcome.said, by=by)


KIND = ActionKind(
    name="screen_restore",
    due=frozenset({ScreenRestoreStage.PLANNED}),
    repeatable=frozenset({ScreenRestoreStage.PLANNED}),  # a session that is there is not put there again
    subject_of=lambda restore: restore.user,
    planned_at_ms_of=lambda restore: restore.planned_at_ms,
    attempts_of=lambda _: 0,
    done_code=lambda *_: DecisionCode.SCREEN_RESTORED,
    after=_after,
)
