"""Errands: what is to be done in VICIdial, and how far each has come. Pure."""

from typing import NamedTuple

from messages.keys import key_of
from messages.records import Errand, Fence, FenceStage, Hold, HoldStage, Relogin, Stage
from messages.topics import Key

_DUE = {Stage.ORDERED, HoldStage.ORDERED, HoldStage.RELEASING, FenceStage.INTENDED, FenceStage.RETURNING}

ONLY_ADVISES = ", but only advises here"
"""Stands behind what would have been ordered where nothing is carried out."""


class Number(NamedTuple):
    """What tells one thing that is to be done from the next one about the same session or dialer."""

    key: Key
    incident: str
    ordered_at_ms: int
    """Or intended; 0 where the incident says it."""
    stage: Stage | HoldStage | FenceStage
    attempt: int


class Step(NamedTuple):
    """One step of an errand, and why."""

    errand: Errand
    """As it is from now on."""
    what: str
    """Empty: nothing that needs saying."""
    why: str = ""
    over: bool = False
    """It is over, and may be forgotten."""


def is_due(errand: Errand) -> bool:
    """Tell whether an executor has to do something about it."""
    return errand.stage in _DUE


def may_be_repeated(errand: Errand) -> bool:
    """Tell whether doing it again does nothing where it was done: a pause is only taken back as long as it lasts."""
    return errand.stage is HoldStage.RELEASING


def number_of(errand: Errand) -> Number:
    """Number an errand, so that each is given to an executor once."""
    match errand:
        case Relogin():
            ordered_at_ms, attempt = errand.ordered_at_ms, errand.attempts
        case Hold():
            ordered_at_ms, attempt = 0, 0
        case Fence():
            ordered_at_ms, attempt = errand.intended_at_ms, 0
    return Number(key_of(errand), errand.incident, ordered_at_ms, errand.stage, attempt)


def subject_of(errand: Errand) -> str:
    """Name the agent or the dialer it is about."""
    match errand:
        case Relogin() | Hold():
            return errand.user
        case Fence():
            return errand.server_ip


def what_was_done(errand: Errand) -> str:
    """Say what an executor tried."""
    match errand:
        case Relogin(forced=True):
            return "ended the agent's session in VICIdial's tables"
        case Relogin():
            return "told the agent's screen to log out"
        case Hold(stage=HoldStage.RELEASING):
            return "told the agent's screen to resume"
        case Hold():
            return "told the agent's screen to pause"
        case Fence(stage=FenceStage.RETURNING):
            return "opened the dialer to logins again"
        case Fence():
            return "closed the dialer to logins"
