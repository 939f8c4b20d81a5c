"""One cluster: its records are folded, its dialers judged, its plan made and its picks answered here."""

from collections import Counter, deque
from typing import NamedTuple

import msgspec

from controller.core.actions import AttemptId, attempt_of, is_due
from controller.core.detector import judge_fleet
from controller.core.fences import fenced
from controller.core.news import News, Stamp, Tombstone, Undecodable
from controller.core.observed import Folded
from controller.core.picks import Picked, PickRequest, Refused, pick, take_relogin
from controller.core.plan import Plan, apply_plan, why_withheld
from controller.core.planning import make_plan
from controller.core.policy import Policy
from controller.core.ranking import imbalance, rank_dialers
from controller.core.state import ClusterState
from messages.codes import NoRelogin, Reason, ReasonCode
from messages.records import (
    Action,
    AgentPause,
    Decision,
    Fence,
    Incident,
    LoginSlot,
    Outage,
    Poll,
    RankingSnapshot,
    Relogin,
)
from messages.topics import Key, Topic
from messages.words import reason
from stream.entries import end_of_action, end_of_slot, entry_of
from stream.log import Entry

STALE_SECONDS = 5.0
"""Without a poll for this long nothing is offered: the dialers may have died since."""

CLOCK_DRIFT = 0.02
"""How far two machines' clocks may run apart, seconds a second. Real clocks do by a hundredth of it; but a machine that
is stopped for seconds (a snapshot, a migration) loses them on its monotonic clock, and is believed again this fast."""

DECISIONS_KEPT = 1000


class Process(NamedTuple):
    """This process, as it signs what it decides."""

    name: str
    url: str
    """Where its API answers; empty: nowhere."""


class Freshness(msgspec.Struct):
    """How old the latest poll is, on this process's monotonic clock; all times are its seconds.

    The log's clock and this one have nothing in common, but a poll that took longer than the quickest one is older by
    as much: it waited, while the log or its collector could not go on.
    """

    fresh_at: float | None = None
    """When the latest poll was observed; None: none came in since the log was caught up with."""
    heard_at: float | None = None
    """When a collector was last heard of, by a poll or an outage; None as above."""
    quickest_way: float | None = None
    """The least time between an observation (the log's clock) and its arrival here, in this epoch."""
    quickest_at: float = 0.0
    epoch: int = -1

    def note_poll(self, stamp: Stamp, observed_at_ms: int, now: float) -> None:
        """Record that a poll came in, and how old it was by then."""
        way = now - observed_at_ms / 1000
        if self.quickest_way is None or stamp[0] != self.epoch:
            self.epoch, self.quickest_way = stamp[0], way
        # The least way may grow as the clocks drift, and no faster.
        self.quickest_way = min(way, self.quickest_way + CLOCK_DRIFT * (now - self.quickest_at))
        self.quickest_at = now
        self.fresh_at = now - (way - self.quickest_way)

    def age_seconds(self, now: float) -> float | None:
        """Return how old the latest poll is; None: nothing came in since this process started."""
        return None if self.fresh_at is None else max(0.0, now - self.fresh_at)


class Permit(NamedTuple):
    """What may be carried out for a cluster, as of its latest plan. Swapped whole: other threads may read it."""

    withheld: Reason | None = reason(ReasonCode.NOTHING_DECIDED)
    """Why no action may be carried out; None: nothing withholds them."""
    due: frozenset[AttemptId] = frozenset()
    """The attempts that stand: all others were withdrawn."""
    fresh_at: float | None = None
    """When the latest poll was observed, on this process's monotonic clock; None: none came in."""

    def objection(self, action: Action, now: float, not_owner: Reason | None) -> Reason | None:
        """Return why an action must not be carried out now; None: it may. Asked last of all, and each time.

        It must still stand, the view be fresh, the cluster be this process's (`not_owner`), and nothing withhold it.
        """
        if attempt_of(action) not in self.due:
            return reason(ReasonCode.WITHDRAWN)
        if self.fresh_at is None or now - self.fresh_at > STALE_SECONDS:
            return reason(ReasonCode.VIEW_STALE)
        return not_owner or self.withheld


Echo = Incident | Action | LoginSlot | Key
"""What is decided by committing it, and the key of what is ended so."""


def no_decisions() -> deque[Decision]:
    """Return room for the latest decisions about a cluster."""
    return deque(maxlen=DECISIONS_KEPT)


class Cluster:
    """One cluster, and what this process may decide about it. It belongs to one thread.

    Nothing here does anything to the outside: what is to be written to the log is returned as entries.
    """

    def __init__(self, name: str, policy: Policy, me: Process, *, owned: bool, decisions: deque[Decision]) -> None:
        self.state = ClusterState(name)
        self.policy = policy
        self.owned = owned
        self.decisions = decisions
        """The latest, for people to read: nothing is decided by them."""
        self.freshness = Freshness()
        self.permit = Permit()
        """What executors may carry out."""
        self._me = me
        self._echoes: Counter[Echo] = Counter()
        """What was committed here and has not come back from the log yet. What comes back unexpected was committed
        although the answer was lost."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.state.cluster

    @property
    def withheld(self) -> Reason | None:
        """Why no action may be carried out, as of the latest plan; None: nothing withholds them."""
        return self.permit.withheld

    def age_seconds(self, now: float) -> float | None:
        """Return how old the latest poll is; None: nothing came in since this process started."""
        return self.freshness.age_seconds(now)

    def stale(self, now: float) -> bool:
        """Return whether nothing should be offered from this any more."""
        age = self.age_seconds(now)
        return age is None or age > STALE_SECONDS

    def fold(self, news: News, *, live: bool) -> Folded:
        """Fold one record. `live`: the log has been caught up with."""
        if isinstance(news, Decision):
            # a tail that begins anew after trouble with the log delivers the latest once more
            if live or news not in self.decisions:
                self.decisions.append(news)
            return Folded.RECORDED
        if isinstance(news, Undecodable) or self._is_echo(news, live=live):
            return Folded.RECORDED
        if isinstance(news, RankingSnapshot) and live and self.owned:
            news = msgspec.structs.replace(news, health=None)  # the owner judges by itself
        return self.state.fold(news)

    def note_arrival(self, news: News, folded: Folded, now: float) -> None:
        """Record when news came in from the live log, in seconds of this process's monotonic clock."""
        if isinstance(news, Poll | Outage):
            self.freshness.heard_at = now
        if folded is Folded.POLL:
            observed = self.state.observed
            self.freshness.note_poll(observed.stamp, observed.observed_at_ms, now)

    def judge(self) -> list[Entry]:
        """Judge the dialers by the poll that was just folded; return what became of slots, for the log."""
        observed, decided = self.state.observed, self.state.decided
        if observed.poll is not None:
            observed.health = judge_fleet(
                observed.health, observed.poll, self.policy, decided.orders, fenced=fenced(self.state)
            )
        ended = [
            end_of_slot(slot, self._me.name) if over else entry_of(slot) for slot, over in decided.slots_ended.values()
        ]
        decided.slots_ended.clear()
        return ended

    def make_plan(self, now: float) -> Plan:
        """Decide about incidents and moves. It is true once it was stored, and `committed` was called."""
        doubt = reason(ReasonCode.VIEW_STALE) if self.stale(now) else None
        self.publish(doubt)
        return make_plan(self.state, self.policy, self._me.name, acts=self.policy.acts, doubt=doubt)

    def committed(self, plan: Plan) -> None:
        """Make a plan true that was committed just now."""
        apply_plan(self.state, plan)
        self._echoes.update(each for each in plan.records if isinstance(each, Echo))
        self._echoes.update(plan.ended)
        self.permit = self.permit._replace(due=self._due())

    def publish(self, doubt: Reason | None = None) -> None:
        """Publish what may be carried out now; `doubt` is what only the present can know."""
        self.permit = Permit(why_withheld(self.state, doubt), self._due(), self.freshness.fresh_at)

    def _due(self) -> frozenset[AttemptId]:
        return frozenset(attempt_of(each) for each in self.state.decided.actions if is_due(each))

    def advise(self, plan: Plan) -> list[Entry]:
        """Make a plan of advice true at once; return the entries that store it."""
        apply_plan(self.state, plan)
        return entries_of(plan, self._me.name)

    def snapshot(self) -> RankingSnapshot:
        """Return the ranking that readers get."""
        state = self.state
        ranked = rank_dialers(state, self.policy)
        epoch, sequence = state.observed.stamp
        return RankingSnapshot(
            cluster=state.cluster,
            epoch=epoch,
            sequence=sequence,
            observed_at_ms=state.observed.observed_at_ms,
            owner=self._me.name if self.owned else state.published.owner,
            owner_url=self._me.url if self.owned else state.published.owner_url,
            dialers=ranked,
            imbalance=imbalance(ranked),
            outage_since_ms=None if state.observed.outage is None else state.observed.outage.unreachable_since_ms,
            health=state.observed.health,
        )

    def pick(self, request: PickRequest) -> tuple[Picked | Refused, list[Entry]]:
        """Answer a login and reserve its slot; the entries are for the log."""
        slots = self.state.decided.slots
        held = slots.of(request.user)
        picked = pick(self.state, self.policy, request, self._me.name)
        if isinstance(picked, Refused):
            given_up = held is not None and slots.of(request.user) is None
            return picked, [end_of_slot(held, self._me.name)] if held is not None and given_up else []
        return picked, [entry_of(picked.slot)] if picked.is_new else []

    def take_relogin(self, screen: str) -> tuple[LoginSlot | NoRelogin, list[Entry]]:
        """Hand a screen its order to log in again, once; the entries are for the log."""
        slot = take_relogin(self.state, screen)
        return slot, [] if isinstance(slot, NoRelogin) else [entry_of(slot)]

    def release(self, user: str) -> tuple[LoginSlot | None, list[Entry]]:
        """Release a user's slot; the entries are for the log."""
        slot = self.state.decided.slots.release(user)
        return slot, [] if slot is None else [end_of_slot(slot, self._me.name)]

    def _is_echo(self, news: News, *, live: bool) -> bool:
        """Return whether news is what this very process decided, come back: it is known, and maybe out of date."""
        if not live:
            return False
        match news:
            case LoginSlot():
                asked_for = not news.planned or news.used_by is not None
                mine = news.handed_out_by == self._me.name
                return (mine and asked_for) or self._knows(news, news.handed_out_by)
            case Incident() | Relogin() | AgentPause() | Fence():
                return self._knows(news, news.by)
            case Tombstone(topic=Topic.RELOGINS):
                return self._knows(news.key, news.by)
            case Tombstone(topic=Topic.LOGINS):
                return news.by == self._me.name
        return False

    def _knows(self, news: Echo, by: str) -> bool:
        if by != self._me.name:
            return False
        if not self.policy.acts:
            return True
        left = self._echoes.pop(news, 0) - 1
        if left > 0:
            self._echoes[news] = left
        return left >= 0


def entries_of(plan: Plan, by: str) -> list[Entry]:
    """Return what stores a plan of the process `by`."""
    return [*map(entry_of, plan.records), *(end_of_action(key, by) for key in plan.ended)]
