"""What all kinds of actions share: attempts, preconditions, outcomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from messages.codes import DecisionCode, Reply
from messages.keys import key_of
from messages.records import Action, ServerIp
from messages.topics import Key


class AttemptId(NamedTuple):
    """Identifies one attempt: another one about the same session or dialer has another."""

    key: Key
    incident: str
    planned_at_ms: int
    """0 where the incident alone identifies it."""
    stage: str
    attempt: int


class ActionChange(NamedTuple):
    """One action as a plan changes it, and why."""

    action: Action
    """As it is from now on."""
    code: DecisionCode | None
    """None: nothing that people need to read."""
    why: str = ""
    over: bool = False
    """It is over, and may be forgotten."""


class SessionRow(NamedTuple):
    """A row of `vicidial_live_agents`, as it is now."""

    live_agent_id: int
    server_ip: ServerIp
    external_pause: str
    status: str = ""


class Outcome(NamedTuple):
    """What an executor did about an action."""

    reply: Reply
    said: str
    """In words, without secrets."""
    mark: str = ""
    """What `external_pause` holds after an agent pause."""


@dataclass(frozen=True)
class ActionKind:
    """One kind of action."""

    name: str
    """The label of a metric."""
    due: frozenset[str]
    """Stages in which an executor has to carry it out."""
    repeatable: frozenset[str]
    """Stages in which carrying it out twice does nothing."""
    subject_of: Callable[[Any], str]
    planned_at_ms_of: Callable[[Any], int]
    attempts_of: Callable[[Any], int]
    done_code: Callable[[Any], DecisionCode]
    after: Callable[[Any, Outcome, int, str], Action | None]

    def attempt_of(self, action: Action) -> AttemptId:
        """Identify one attempt."""
        planned_at_ms, attempts = self.planned_at_ms_of(action), self.attempts_of(action)
        return AttemptId(key_of(action), action.incident, planned_at_ms, action.stage, attempts)


def row_of(rows: Sequence[SessionRow], live_agent_id: int) -> SessionRow | None:
    """Return the row of one session."""
    return next((each for each in rows if each.live_agent_id == live_agent_id), None)
