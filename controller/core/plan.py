"""A plan: what one poll decides for a cluster, as data. It is true once it is stored."""

from typing import NamedTuple

from controller.core.actions import ActionChange, subject_of
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Reason, ReasonCode
from messages.keys import key_of
from messages.records import (
    AgentPause,
    Decision,
    DialerHealth,
    DialerState,
    Fence,
    Incident,
    LoginSlot,
    Record,
    Relogin,
)
from messages.topics import Key
from messages.words import reason, sentence


class Plan(NamedTuple):
    """What one poll decided."""

    records: list[Record]
    """To be stored, in this order."""
    ended: list[Key]
    """What stands under these keys is over."""


NOTHING = Plan([], [])


def apply_plan(state: ClusterState, plan: Plan) -> None:
    """Make a plan true that is stored, or will be."""
    for record in plan.records:
        match record:
            case Incident() | Relogin() | AgentPause() | Fence():
                state.decided.add(record)
            case LoginSlot():
                state.add_slot(record)
    for key in plan.ended:
        state.decided.remove_action(key)


def why_withheld(state: ClusterState, doubt: Reason | None) -> Reason | None:
    """Return why no agent may be moved in a cluster now; None: nothing withholds it.

    `doubt` is what only the present can know, such as that the latest poll is old.
    """
    pause = state.decided.orders.pause
    if pause is not None:
        return reason(ReasonCode.SUSPENDED, by=pause.by, because=f": {pause.why}" if pause.why else "")
    return doubt or state.observed.health.brake


def trouble_of(policy: Policy, health: DialerHealth) -> DialerState | None:
    """Return why a dialer's agents should leave it; None: they need not."""
    if health.state in {DialerState.DOWN, DialerState.DRAINING}:
        return health.state
    if health.state is DialerState.CLOSED and policy.move_on_closed:
        return health.state
    return None


class PlanBuilder:
    """A plan under way: the facts it is made of, and what was decided so far."""

    def __init__(self, state: ClusterState, policy: Policy, by: str, *, acts: bool, withheld: Reason | None) -> None:
        self.state = state
        self.policy = policy
        self.by = by
        self.acts = acts
        """Whether moves are carried out; else they are advice."""
        self.withheld = withheld
        self.now_ms = state.observed.observed_at_ms
        self._records: list[Record] = []
        self._ended: list[Key] = []

    @property
    def plan(self) -> Plan:
        """All that was decided."""
        return Plan(self._records, self._ended)

    def add(self, record: Record) -> None:
        """Have a record stored."""
        self._records.append(record)

    def end(self, action: Relogin | AgentPause | Fence) -> None:
        """Have an action end."""
        self._ended.append(key_of(action))

    def change(self, change: ActionChange) -> None:
        """Have an action stored as it is from now on, or end, and the decision said where there is one."""
        if change.over:
            self.end(change.action)
        else:
            self.add(change.action)
        if change.code is not None:
            self.decide(change.code, change.why, subject_of(change.action))

    def decide(self, code: DecisionCode, why: str, subject: str, **facts: object) -> None:
        """Have a decision stored for people to read; `facts` are those of its sentence."""
        self.add(
            Decision(
                cluster=self.state.cluster,
                at_ms=self.now_ms,
                actor=self.by,
                code=code,
                what=sentence(code, **facts),
                why=why,
                subject=subject,
            )
        )
