"""The plan: the decisions of one poll for a cluster, as data. It takes effect once it is stored."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from controller.core.actions import ActionChange, AttemptId, subject_of
from controller.core.observed import Observed, unread_of
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Reason, ReasonCode
from messages.keys import key_of
from messages.records import (
    Action,
    AgentPause,
    Arrival,
    Decision,
    DialerHealth,
    DialerState,
    Fence,
    Incident,
    LoginSlot,
    Move,
    Record,
    Relogin,
    ScreenRestore,
)
from messages.topics import Key
from messages.words import reason, sentence


class Plan(NamedTuple):
    """The decisions of one poll."""

    records: list[Record]
    """The records to store, in this order."""
    ended: list[Key]
    """The keys of actions to end with a tombstone."""
    orders_ended: Sequence[Key] = ()
    """The keys of orders that are done, or cannot be done."""


NOTHING = Plan([], [])
_COLLECTORS = {ReasonCode.ANOTHER_INSTALLATION, ReasonCode.REPLICA}
"""Reasons that a collector can know."""
AGENTS_TABLE = "vicidial_live_agents"
AGENTS_UNREAD_SECONDS = 5.0
"""While the agents' sessions have not been read for longer, they are not acted on: who was free may be in a call."""
_OF_DIALERS = {ReasonCode.FLEET_BRAKE, ReasonCode.WATCHING_ANEW, ReasonCode.PROBES_BLIND}
"""Reasons for which it is not known how the dialers are."""


def apply_plan(state: ClusterState, plan: Plan) -> None:
    """Apply a plan to the state, once it is stored or queued."""
    for record in plan.records:
        match record:
            case Incident() | Relogin() | AgentPause() | Arrival() | Fence() | ScreenRestore():
                state.decided.add(record)
            case LoginSlot():
                state.add_slot(record)
    for key in plan.ended:
        state.decided.remove_action(key)
    for key in plan.orders_ended:
        state.decided.orders.remove(key)


def why_withheld(state: ClusterState, doubt: Reason | None, *, acts: bool) -> Reason | None:
    """Return why no agent may be moved in a cluster now; None: moves are not withheld.

    Args:
        state: the cluster.
        doubt: a reason that the records cannot have, such as that the latest poll is old.
        acts: agents are moved, and not only spoken of.
    """
    pause = state.decided.orders.pause
    if pause is not None:
        return reason(ReasonCode.SUSPENDED, by=pause.by, because=f": {pause.why}" if pause.why else "")
    return doubt or collectors_doubt(state.observed, acts=acts) or state.observed.health.brake


def collectors_doubt(observed: Observed, *, acts: bool = True) -> Reason | None:
    """Return why a collector's polls must not be acted on; what is only spoken of may come from a replica."""
    poll = observed.poll
    if poll is None:
        return None
    for code in poll.doubts:
        if (code in _COLLECTORS or not code.known) and (acts or code is not ReasonCode.REPLICA):
            return reason(code)
    unread = unread_of(poll, AGENTS_TABLE)
    seconds = 0.0 if unread is None else (poll.observed_at_ms - unread.since_ms) / 1000
    if unread is None or seconds <= AGENTS_UNREAD_SECONDS:
        return None
    return reason(ReasonCode.AGENTS_UNREAD, seconds=round(seconds), why=f"{AGENTS_TABLE} is {sentence(unread.why)}")


def withholds(withheld: Reason | None, action: Action) -> Reason | None:
    """Return the part of `withheld` that concerns an action; None: it may be carried out.

    The fleet brake does not keep hotdesk from pausing an agent on a dialer that is confirmed dead, since a pause can be
    taken back; nor from what is left to do for agents who were moved. To restore a screen only a person can forbid:
    right after a restart of the database nothing is sure of any dialer.
    """
    if isinstance(action, ScreenRestore) and withheld is not None and withheld.code in _OF_DIALERS:
        return None
    braked = withheld is not None and withheld.code is ReasonCode.FLEET_BRAKE
    return None if braked and isinstance(action, AgentPause | Arrival) else withheld


def trouble_of(policy: Policy, health: DialerHealth) -> DialerState | None:
    """Return the state for which a dialer's agents should leave it; None: they need not."""
    if health.state in {DialerState.DOWN, DialerState.DRAINING}:
        return health.state
    if health.state is DialerState.CLOSED and policy.move_on_closed:
        return health.state
    return None


class PlanBuilder:
    """Builds a plan from the facts, decision by decision."""

    def __init__(  # noqa: PLR0913 # its facts, each once
        self,
        state: ClusterState,
        policy: Policy,
        by: str,
        *,
        acts: bool,
        withheld: Reason | None,
        submitted: AbstractSet[AttemptId] = frozenset(),
    ) -> None:
        self.state = state
        self.policy = policy
        self.by = by
        self.acts = acts
        """The mode is act: actions are carried out; otherwise they are advice."""
        self.withheld = withheld
        self.submitted = submitted
        """The attempts that an executor has, and has not reported."""
        self.now_ms = state.observed.observed_at_ms
        self._records: list[Record] = []
        self._ended: list[Key] = []
        self._orders_ended: list[Key] = []

    @property
    def plan(self) -> Plan:
        """The plan with all decisions so far."""
        return Plan(self._records, self._ended, tuple(self._orders_ended))

    def add(self, record: Record) -> None:
        """Add a record to store; an action that ends and begins again in one plan does not end."""
        if self._ended and (key := key_of(record)) in self._ended:
            self._ended.remove(key)
        self._records.append(record)

    def end(self, action: Action) -> None:
        """Add the end of an action."""
        self._ended.append(key_of(action))

    def end_order(self, order: Move) -> None:
        """Add the end of an order."""
        self._orders_ended.append(key_of(order))

    def change(self, change: ActionChange) -> None:
        """Add the change or the end of an action, and its decision if it has one."""
        if change.over:
            self.end(change.action)
        else:
            self.add(change.action)
        if change.code is not None:
            self.decide(change.code, change.why, subject_of(change.action))

    def decide(self, code: DecisionCode, why: str, subject: str, **facts: object) -> None:
        """Add a decision for people to read; `facts` fill in its sentence."""
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
