"""Actions in VICIdial: their stages, preconditions and outcomes. Pure.

Each kind of action has a module with its stages, its precondition and its rule for outcomes; the functions here find
the kind and ask it.
"""

from collections.abc import Sequence

from controller.core.actions import agent_pause, arrival, fence, relogin, screen_restore
from controller.core.actions.kind import ActionChange, ActionKind, AttemptId, Outcome, SessionRow
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import (
    Action,
    AgentPause,
    AgentPauseStage,
    Arrival,
    Fence,
    FenceStage,
    Relogin,
    ScreenRestore,
)
from messages.words import sentence

__all__ = [
    "KINDS",
    "ActionChange",
    "ActionKind",
    "AttemptId",
    "Outcome",
    "SessionRow",
    "after",
    "after_check",
    "attempt_of",
    "check",
    "done_code",
    "is_due",
    "may_be_repeated",
    "subject_of",
    "takes_back",
]

KINDS: dict[type[Action], ActionKind] = {
    Relogin: relogin.KIND,
    AgentPause: agent_pause.KIND,
    Arrival: arrival.KIND,
    Fence: fence.KIND,
    ScreenRestore: screen_restore.KIND,
}


def is_due(action: Action) -> bool:
    """Return True if an executor has to carry the action out."""
    withdrawn = isinstance(action, Relogin) and action.withdrawn
    return action.stage in KINDS[type(action)].due and not withdrawn


def may_be_repeated(action: Action) -> bool:
    """Return True if a second time does nothing: an action with an unclear outcome is then simply retried."""
    return action.stage in KINDS[type(action)].repeatable


def takes_back(action: Action) -> bool:
    """Return True if an action takes an earlier one back, or gives agents back what a move has taken from them."""
    gives_back = isinstance(action, Arrival | ScreenRestore)
    return gives_back or action.stage in {AgentPauseStage.RESUMING, FenceStage.RETURNING}


def attempt_of(action: Action) -> AttemptId:
    """Return the identity of one attempt, so that an executor gets each attempt once."""
    return KINDS[type(action)].attempt_of(action)


def subject_of(action: Action) -> str:
    """Return the agent or the dialer of an action."""
    return KINDS[type(action)].subject_of(action)


def done_code(action: Action, reply: Reply) -> DecisionCode:
    """Return the code of the decision that records an attempt and its outcome."""
    return KINDS[type(action)].done_code(action, reply)


def check(
    action: Relogin | AgentPause | Arrival | ScreenRestore, rows: Sequence[SessionRow], *, names_user: bool
) -> Precondition:
    """Return whether to act, by all rows of the user in `vicidial_live_agents`, read just before.

    `names_user`: the agent control addresses a user and not a session, so it would hit their other session too.
    """
    match action:
        case Relogin():
            return relogin.check(action, rows, names_user=names_user)
        case AgentPause():
            return agent_pause.check(action, rows, names_user=names_user)
        case Arrival():
            return arrival.check(action, rows, names_user=names_user)
        case ScreenRestore():
            return screen_restore.check(action, rows)


def after(action: Action, outcome: Outcome, now_ms: int, by: str) -> Action | None:
    """Return the action after an outcome; None: it is over, and its record may end."""
    if outcome.reply in {Reply.UNSENT, Reply.DENIED}:
        return action
    return KINDS[type(action)].after(action, outcome, now_ms, by)


def after_check(found: Precondition) -> Outcome:
    """Return the outcome of an action that was not sent because of a precondition."""
    return Outcome(_UNSENT_REPLIES.get(found, Reply.REFUSED), sentence(found))


_UNSENT_REPLIES = {
    Precondition.GONE: Reply.GONE,
    Precondition.ELSEWHERE: Reply.GONE,
    Precondition.PAUSED: Reply.GONE,
    Precondition.NOT_OURS: Reply.GONE,
    Precondition.TOLD: Reply.DONE,
    Precondition.NO_CALL: Reply.DONE,
    Precondition.IN_CALL: Reply.UNSENT,
    Precondition.IN_WRAPUP: Reply.UNSENT,
}
