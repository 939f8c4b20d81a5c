"""The parts that all kinds of actions share: attempts, preconditions, outcomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from messages.codes import DecisionCode, Precondition, Reply
from messages.keys import key_of
from messages.records import Action, ServerIp, is_wrapup
from messages.topics import Key


class AttemptId(NamedTuple):
    """The identity of one attempt: no other attempt on the same session or dialer has it."""

    key: Key
    incident: str
    planned_at_ms: int
    """0 if the incident alone identifies it."""
    stage: str
    attempt: int


class ActionChange(NamedTuple):
    """A change of one action by a plan, and why."""

    action: Action
    """The action after the change."""
    code: DecisionCode | None
    """None: no decision for people to read."""
    why: str = ""
    over: bool = False
    """The action is over, and its record may end."""


class SessionRow(NamedTuple):
    """A row of `vicidial_live_agents`, read just now."""

    live_agent_id: int
    server_ip: ServerIp
    external_pause: str
    status: str = ""
    lead_id: int = 0

    @property
    def in_wrapup(self) -> bool:
        """True if the call is over, and the agent has still to choose its disposition."""
        return is_wrapup(self.status, self.lead_id)


class Outcome(NamedTuple):
    """The outcome of an executor's attempt."""

    reply: Reply
    said: str
    """VICIdial's answer in words, without secrets."""
    mark: str = ""
    """The value of `external_pause` after an agent pause."""
    late: int = 0
    """LOGOUTs for this user that were given up, and that may still be carried out."""
    locked_out: bool = False
    """The account itself was refused, and not only what was asked."""
    look: bool = False
    """VICIdial's row may show whether it was done; if not, it may be tried again in another way."""


@dataclass(frozen=True)
class ActionKind:
    """One kind of action."""

    name: str
    """The label of a metric."""
    due: frozenset[str]
    """Stages in which an executor has to carry the action out."""
    repeatable: frozenset[str]
    """Stages in which a second time does nothing."""
    subject_of: Callable[[Any], str]
    planned_at_ms_of: Callable[[Any], int]
    attempts_of: Callable[[Any], int]
    done_code: Callable[[Any, Reply], DecisionCode]
    after: Callable[[Any, Outcome, int, str], Action | None]

    def attempt_of(self, action: Action) -> AttemptId:
        """Return the identity of one attempt."""
        planned_at_ms, attempts = self.planned_at_ms_of(action), self.attempts_of(action)
        return AttemptId(key_of(action), action.incident, planned_at_ms, action.stage, attempts)


def row_of(rows: Sequence[SessionRow], live_agent_id: int, server_ip: ServerIp) -> SessionRow | Precondition:
    """Return the row of one session on a dialer, or why there is none."""
    row = next((each for each in rows if each.live_agent_id == live_agent_id), None)
    if row is None:
        return Precondition.GONE
    return row if row.server_ip == server_ip else Precondition.ELSEWHERE
