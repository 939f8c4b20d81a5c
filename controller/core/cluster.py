"""One cluster: folds its records, judges its dialers, makes its plan and answers its picks."""

from collections import Counter, deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from controller.core.actions import AttemptId, attempt_of, is_due, takes_back
from controller.core.decided import SlotEnd
from controller.core.detector import doubt_about, is_dead
from controller.core.freshness import Freshness
from controller.core.hooks import is_news, seen
from controller.core.judging import judge
from controller.core.moves import is_moved_often
from controller.core.news import News, Tombstone, Undecodable
from controller.core.observed import Folded
from controller.core.picks import Picked, PickRequest, Refused, answer_relogin, pick
from controller.core.plan import Plan, apply_plan, why_withheld, withholds
from controller.core.planning import make_plan
from controller.core.policy import Policy
from controller.core.ranking import imbalance, rank_dialers
from controller.core.state import ClusterState
from messages.codes import NoRelogin, Reason, ReasonCode
from messages.records import (
    Action,
    AgentPause,
    Arrival,
    Decision,
    DialerState,
    Fence,
    HookSight,
    Incident,
    LoginSlot,
    Outage,
    Poll,
    RankingSnapshot,
    Relogin,
    ScreenRestore,
    ServerIp,
    Stamped,
)
from messages.topics import Key, Topic
from messages.words import reason
from stream.entries import end_of_action, end_of_order, end_of_slot, entry_of
from stream.log import Entry

STALE_SECONDS = 5.0
"""Without a poll for this long no dialer is offered: they may have died since."""

DECISIONS_KEPT = 1000


class Process(NamedTuple):
    """This process, as it signs its decisions."""

    name: str
    url: str
    """URL of its API; empty: it has none."""


class Permit(NamedTuple):
    """The actions that may be carried out, as of the latest plan. Swapped whole: other threads may read it."""

    withheld: Reason | None = reason(ReasonCode.NOTHING_DECIDED)
    """Why no action may be carried out; None: nothing withholds them."""
    due: frozenset[AttemptId] = frozenset()
    """The attempts that stand: all others were withdrawn."""
    doubts: Mapping[str, Reason] = MappingProxyType({})
    """By incident: why its dialer may not be dead."""
    dead: frozenset[ServerIp] = frozenset()
    """The dialers that are dead now, by two signs: whatever was planned for a dead one is carried out on no other."""
    fresh_at: float | None = None
    """When the latest poll was observed, on this process's monotonic clock; None: none came in."""
    moved_often: frozenset[int] = frozenset()
    """The sessions whose users were moved as often lately as is allowed, by whichever owners."""

    def objection(self, action: Action, now: float, not_owner: Reason | None) -> Reason | None:
        """Return why an action must not be carried out now; None: it may. Asked last of all, and each time.

        It must still stand, the view be fresh, the cluster be this process's (`not_owner`), and nothing withhold it.
        """
        if attempt_of(action) not in self.due:
            return reason(ReasonCode.WITHDRAWN)
        if self.fresh_at is None or now - self.fresh_at > STALE_SECONDS:
            return reason(ReasonCode.VIEW_STALE)
        if isinstance(action, Relogin) and action.live_agent_id in self.moved_often:
            return reason(ReasonCode.MOVED_OFTEN)
        return not_owner or withholds(self.withheld, action) or self._doubt_about(action)

    def _doubt_about(self, action: Action) -> Reason | None:
        if takes_back(action):
            return None
        if isinstance(action, Relogin) and not action.dialer_lives and action.from_server_ip not in self.dead:
            return reason(ReasonCode.DEATH_IN_DOUBT, evidence="it is no longer confirmed")
        return self.doubts.get(action.incident)


Echo = Incident | Action | LoginSlot | Key
"""A record that a committed plan stores, or the key that it ends."""


def no_decisions() -> deque[Decision]:
    """Return an empty queue for the latest decisions about a cluster."""
    return deque(maxlen=DECISIONS_KEPT)


class Cluster:
    """One cluster, and whether this process decides for it. It belongs to one thread.

    Nothing here has an effect outside: entries for the log are returned.
    """

    def __init__(self, name: str, policy: Policy, me: Process, *, owned: bool, decisions: deque[Decision]) -> None:
        self.state = ClusterState(name)
        self.policy = policy
        self.owned = owned
        self.decisions = decisions
        """The latest, for people to read: nothing is decided by them."""
        self.freshness = Freshness()
        self.permit = Permit()
        """The actions that executors may carry out."""
        self.submitted: frozenset[AttemptId] = frozenset()
        """The attempts that an executor has, and has not reported."""
        self._me = me
        self._echoes: Counter[Echo] = Counter()
        """Records committed here that have not come back from the log yet. One that comes back unexpectedly was
        committed although the answer was lost."""

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self.state.cluster

    @property
    def withheld(self) -> Reason | None:
        """Why no action may be carried out, as of the latest plan; None: nothing withholds them."""
        return self.permit.withheld

    @property
    def acts(self) -> bool:
        """True if decisions are carried out: what counts is the owner's mode, which a replica need not have."""
        published = self.state.published.acts
        return self.policy.acts if self.owned or published is None else published

    def age_seconds(self, now: float) -> float | None:
        """Return the age of the latest poll in seconds; None: no poll since this process started."""
        return self.freshness.age_seconds(now)

    def stale(self, now: float) -> bool:
        """Return True if the latest poll is too old to offer any dialer."""
        age = self.age_seconds(now)
        return age is None or age > STALE_SECONDS

    def fold(self, news: News, *, live: bool) -> Folded:
        """Fold one record. `live`: this process has caught up with the log."""
        if isinstance(news, Decision):
            # a tail that starts again after an error of the log delivers the latest decisions once more
            if live or news not in self.decisions:
                self.decisions.append(news)
            return Folded.RECORDED
        if isinstance(news, Undecodable) or self._is_echo(news, live=live):
            return Folded.RECORDED
        if isinstance(news, RankingSnapshot) and live and self.owned:
            news = msgspec.structs.replace(news, health=None)  # the owner judges by itself
        return self.state.fold(news)

    def record_arrival(self, news: News, folded: Folded, now: float) -> None:
        """Record when a record came in from the live log, in seconds of this process's monotonic clock."""
        if isinstance(news, Poll | Outage):
            self.freshness.heard_at = now
        if isinstance(news, Poll) and folded is Folded.STALE:
            self.freshness.record_older_poll(now)
        if folded is Folded.POLL:
            observed = self.state.observed
            waited_ms = 0 if observed.poll is None else observed.poll.waited_ms
            self.freshness.record_poll(observed.stamp, observed.observed_at_ms, waited_ms, now)

    def judge(self) -> list[Entry]:
        """Judge the dialers by the poll just folded; return the entries of slots that ended or became logins."""
        observed, decided = self.state.observed, self.state.decided
        if observed.poll is not None:
            observed.health = judge(self.state, observed.poll, self.policy)
        ended = list(map(self._entry_of, decided.slots_ended.values()))
        decided.slots_ended.clear()
        return ended

    def make_plan(self, now: float) -> Plan:
        """Return the plan of the latest poll. It takes effect once it is stored, and `committed` is called."""
        doubt = reason(ReasonCode.VIEW_STALE) if self.stale(now) else None
        self.publish(doubt)
        return make_plan(
            self.state, self.policy, self._me.name, acts=self.policy.acts, doubt=doubt, submitted=self.submitted
        )

    def committed(self, plan: Plan) -> None:
        """Apply a plan that was just committed."""
        apply_plan(self.state, plan)
        self._echoes.update(each for each in plan.records if isinstance(each, Echo))
        self._echoes.update(plan.ended)
        self.permit = self.permit._replace(
            due=self._due(), doubts=self._doubts(), dead=self._dead(), moved_often=self._moved_often()
        )

    def publish(self, doubt: Reason | None = None) -> None:
        """Publish what may be carried out now; `doubt` is what only the present can know."""
        self.permit = Permit(
            why_withheld(self.state, doubt, acts=self.policy.acts),
            self._due(),
            self._doubts(),
            self._dead(),
            self.freshness.fresh_at,
            self._moved_often(),
        )

    def _due(self) -> frozenset[AttemptId]:
        return frozenset(attempt_of(each) for each in self.state.decided.actions if is_due(each))

    def _doubts(self) -> dict[str, Reason]:
        return {
            each.incident: doubt
            for each in self.state.decided.incidents.values()
            if each.kind is DialerState.DOWN
            and (doubt := doubt_about(self.state, self.policy, each.server_ip)) is not None
        }

    def _dead(self) -> frozenset[ServerIp]:
        dialers = self.state.observed.health.dialers
        return frozenset(server_ip for server_ip, health in dialers.items() if is_dead(health))

    def _moved_often(self) -> frozenset[int]:
        state, policy = self.state, self.policy
        return frozenset(
            number for number, each in state.decided.relogins.items() if is_moved_often(state, policy, each)
        )

    def advise(self, plan: Plan) -> list[Entry]:
        """Apply a plan of advice at once; return the entries that store it."""
        apply_plan(self.state, plan)
        return entries_of(plan, self._me.name)

    def snapshot(self) -> RankingSnapshot:
        """Return the ranking for readers."""
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
            acts=self.acts,
        )

    def pick(self, request: PickRequest) -> tuple[Picked | Refused, list[Entry]]:
        """Return the pick for a login, with its slot reserved, and the entries for the log."""
        picked = pick(self.state, self.policy, request, self._me.name)
        if isinstance(picked, Refused):
            return picked, [] if picked.ended is None else [self._entry_of(picked.ended)]
        if picked.stored is None:
            return picked, []
        if picked.stored.planned:
            self._echoes[picked.stored] += 1
        return picked, [entry_of(picked.stored)]

    def answer_relogin(self, screens: frozenset[str]) -> LoginSlot | NoRelogin:
        """Return the slot for the re-login of a screen, which may be kept as any of these."""
        return answer_relogin(self.state, *screens)

    def release(self, user: str) -> list[Entry]:
        """Release a user's slot, if a login asked for it, and return the entries for the log."""
        end = self.state.decided.release(user)
        return [] if end is None else [self._entry_of(end)]

    def see_hook(self, web: str) -> list[Entry]:
        """Record that the login hook of a web server asks, and return the entries for the log."""
        hooks, now_ms = self.state.decided.hooks, self.state.observed.observed_at_ms
        if not now_ms or not is_news(hooks, web, now_ms):
            return []
        sight = HookSight(cluster=self.name, web=web, seen_at_ms=now_ms)
        self.state.decided.hooks = seen(hooks, sight)
        return [entry_of(sight)]

    def _entry_of(self, end: SlotEnd) -> Entry:
        if end.over:
            return end_of_slot(end.slot, self._me.name)
        login = msgspec.structs.replace(end.slot, handed_out_by=self._me.name)
        self.state.decided.logins[login.user.lower()] = login
        return entry_of(login)

    def _is_release(self, slot: LoginSlot) -> bool:
        """Return True if a slot ends the reservation that is known: the answer to our own commit of it was lost."""
        known = self.state.decided.slots.of(slot.user)
        reserved = known is not None and known.planned and known.handed_out_at_ms == slot.handed_out_at_ms
        return reserved and not slot.planned

    def _is_echo(self, news: News, *, live: bool) -> bool:
        """Return True if this record is the echo of our own commit: it is known, and may be out of date."""
        if not live or isinstance(news, Stamped):  # nearly all records are a collector's
            return False
        match news:
            case LoginSlot():
                asked_for = not news.planned or news.used_by is not None
                mine = news.handed_out_by == self._me.name
                return self._knows(news, news.handed_out_by) or (mine and asked_for and not self._is_release(news))
            case Incident() | Relogin() | AgentPause() | Arrival() | Fence() | ScreenRestore():
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
    """Return the entries that store a plan of the process `by`."""
    return [
        *map(entry_of, plan.records),
        *(end_of_action(key, by) for key in plan.ended),
        *(end_of_order(key, by) for key in plan.orders_ended),
    ]
