"""Actions: what is done in VICIdial, how far each has come, and what its outcome means. Pure.

Each kind of action has a module with its stages, its precondition and its rule for outcomes; the functions here find
the kind and ask it.
"""

from collections.abc import Sequence

from controller.core.actions import agent_pause, fence, relogin
from controller.core.actions.kind import ActionChange, ActionKind, AttemptId, Outcome, SessionRow
from messages.codes import DecisionCode, Precondition, Reply
from messages.records import Action, AgentPause, Fence, Relogin
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
]

KINDS: dict[type[Action], ActionKind] = {Relogin: relogin.KIND, AgentPause: agent_pause.KIND, Fence: fence.KIND}


def is_due(action: Action) -> bool:
    """Return whether an executor has to carry it out."""
    return action.stage in KINDS[type(action)].due


def may_be_repeated(action: Action) -> bool:
    """Return whether carrying it out a second time does nothing: then an unclear outcome is simply tried again."""
    return action.stage in KINDS[type(action)].repeatable


def attempt_of(action: Action) -> AttemptId:
    """Identify one attempt, so that each is given to an executor once."""
    return KINDS[type(action)].attempt_of(action)


def subject_of(action: Action) -> str:
    """Return the agent or the dialer it is about."""
    return KINDS[type(action)].subject_of(action)


def done_code(action: Action) -> DecisionCode:
    """Return what an executor tried."""
    return KINDS[type(action)].done_code(action)


def check(action: Relogin | AgentPause, rows: Sequence[SessionRow], *, names_user: bool) -> Precondition:
    """Return whether to act, from all rows of the user in `vicidial_live_agents`, read just before.

    `names_user`: the means name a user and not a session, so another session of that user would be hit too.
    """
    if isinstance(action, Relogin):
        return relogin.check(action, rows, names_user=names_user)
    return agent_pause.check(action, rows, names_user=names_user)


def after(action: Action, outcome: Outcome, now_ms: int, by: str) -> Action | None:
    """Return an action as it stands after an outcome; None: it is over, and may be forgotten."""
    if outcome.reply in {Reply.UNSENT, Reply.DENIED}:
        return action
    return KINDS[type(action)].after(action, outcome, now_ms, by)


def after_check(found: Precondition) -> Outcome:
    """Return what it means that nothing was sent."""
    return Outcome(_UNSENT_REPLIES.get(found, Reply.REFUSED), sentence(found))


_UNSENT_REPLIES = {
    Precondition.GONE: Reply.GONE,
    Precondition.ELSEWHERE: Reply.GONE,
    Precondition.PAUSED: Reply.GONE,
    Precondition.NOT_OURS: Reply.GONE,
    Precondition.TOLD: Reply.DONE,
}
