"""Actions: what is to be done in VICIdial, and how far each has come. Pure."""

from typing import NamedTuple

from messages.keys import key_of
from messages.records import Action, Fence, FenceStage, AgentPause, AgentPauseStage, Relogin, ReloginStage
from messages.topics import Key

_DUE = {ReloginStage.PLANNED, AgentPauseStage.PLANNED, AgentPauseStage.RESUMING, FenceStage.PLANNED, FenceStage.RETURNING}

ONLY_ADVISES = ", but only advises here"
"""Stands behind what would have been ordered where nothing is carried out."""


class AttemptId(NamedTuple):
    """What tells one thing that is to be done from the next one about the same session or dialer."""

    key: Key
    incident: str
    ordered_at_ms: int
    """Or intended; 0 where the incident says it."""
    stage: ReloginStage | AgentPauseStage | FenceStage
    attempt: int


class Step(NamedTuple):
    """One step of an action, and why."""

    action: Action
    """As it is from now on."""
    what: str
    """Empty: nothing that needs saying."""
    why: str = ""
    over: bool = False
    """It is over, and may be forgotten."""


def is_due(action: Action) -> bool:
    """Tell whether an executor has to do something about it."""
    return action.stage in _DUE


def may_be_repeated(action: Action) -> bool:
    """Tell whether doing it again does nothing where it was done: a pause is only taken back as long as it lasts."""
    return action.stage is AgentPauseStage.RESUMING


def attempt_of(action: Action) -> AttemptId:
    """AttemptId an action, so that each is given to an executor once."""
    match action:
        case Relogin():
            ordered_at_ms, attempt = action.ordered_at_ms, action.attempts
        case AgentPause():
            ordered_at_ms, attempt = 0, 0
        case Fence():
            ordered_at_ms, attempt = action.planned_at_ms, 0
    return AttemptId(key_of(action), action.incident, ordered_at_ms, action.stage, attempt)


def subject_of(action: Action) -> str:
    """Name the agent or the dialer it is about."""
    match action:
        case Relogin() | AgentPause():
            return action.user
        case Fence():
            return action.server_ip


def what_was_done(action: Action) -> str:
    """Say what an executor tried."""
    match action:
        case Relogin(forced=True):
            return "ended the agent's session in VICIdial's tables"
        case Relogin():
            return "told the agent's screen to log out"
        case AgentPause(stage=AgentPauseStage.RESUMING):
            return "told the agent's screen to resume"
        case AgentPause():
            return "told the agent's screen to pause"
        case Fence(stage=FenceStage.RETURNING):
            return "opened the dialer to logins again"
        case Fence():
            return "closed the dialer to logins"
