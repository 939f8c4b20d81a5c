"""All clusters this process knows, as the loop folds them and the API reads them. It belongs to one thread.

Nothing here does anything to the outside: what is to be written to the log is handed back as entries.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from controller.core.detector import judge_fleet
from controller.core.fences import fenced
from controller.core.incidents import Plan, apply_plan, make_plan, why_withheld
from controller.core.picks import NoOrder, Picked, PickRequest, Refused, pick, take_order
from controller.core.policy import Policy
from controller.core.ranking import imbalance, rank_dialers
from controller.core.state import NEVER, ClusterState, Folded, Stamp
from messages.keys import key_of
from messages.records import (
    AgentSession,
    AnyOrder,
    AnyRecord,
    Campaign,
    SystemSettings,
    DeadLetter,
    Decision,
    Action,
    Fence,
    FleetHealth,
    AgentPause,
    Incident,
    LoginSlot,
    Outage,
    Phone,
    PhoneAlias,
    Poll,
    RankingSnapshot,
    EpochClaim,
    Relogin,
)
from messages.topics import Key, Topic, partition_of
from stream.entries import end_of_action, end_of_slot, entry_of, topic_of
from stream.log import Entry

STALE_SECONDS = 5.0
"""Without a poll for so long nothing is offered: nobody knows what became of the dialers since."""

CLOCK_DRIFT = 0.02
"""How far two machines' clocks may run apart, seconds a second. Real clocks do by a hundredth of it; but a machine that
is stopped for seconds (a snapshot, a migration) loses them on its monotonic clock, and is believed again this fast."""

DECISIONS_KEPT = 1000

DEFAULT_POLICY = Policy()


class Tombstone(msgspec.Struct, frozen=True, gc=False):
    """A tombstone."""

    topic: Topic
    key: Key
    stamp: Stamp
    """Of an observation; `NEVER` elsewhere."""
    by: str
    """Which process wrote it, where that was said."""


class Undecodable(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no record."""

    letter: DeadLetter
    newer: bool = False
    """A newer hotdesk wrote it."""


Decided = AnyOrder | LoginSlot | RankingSnapshot | Incident | Action

News = AnyRecord | Tombstone | Undecodable
"""What comes from the log."""

FORGOTTEN = "ordered: forget"
"""What the decision says by which a cluster was forgotten."""

DECIDED = frozenset({Topic.ORDERS, Topic.RANKINGS, Topic.INCIDENTS, Topic.RELOGINS})
"""Topics that tell what was decided and asked for. Who cannot read all that stands there must decide nothing: it could
move agents again, or against an order."""

Place = tuple[Topic, int, int]
"""Topic, partition and offset of a record that could not be decoded."""


class Result(StrEnum):
    """What became of a record, for the metrics."""

    FOLDED = "folded"
    STALE = "stale"
    SUPERSEDED = "superseded"
    DEAD = "dead"


class FoldedBatch(NamedTuple):
    """What folding some records brought."""

    entries: list[Entry]
    """For the log."""
    results: dict[tuple[str, Result], int]
    """Records by cluster and result."""
    polled: set[str]
    """Clusters with a new poll."""
    plans: dict[str, Plan]
    """What was decided for the clusters that act: true only once it is committed."""


Echo = Incident | Action | LoginSlot | Key
"""What is decided by committing it, and the key of what is ended so."""


def _no_decisions() -> deque[Decision]:
    return deque(maxlen=DECISIONS_KEPT)


class Cluster(msgspec.Struct):
    """One cluster: what is known, how it is judged, and whose it is."""

    state: ClusterState
    policy: Policy
    owned: bool = False
    fresh_at: float | None = None
    """When the latest poll was observed, on this process's monotonic clock; None: none came in since the log was
    caught up with."""
    heard_at: float | None = None
    """When a collector was last heard of, polls or that its database is away, on the same clock; None as above."""
    quickest_way: float | None = None
    """The least time between an observation (the log's clock) and its arrival here (this process's) in this epoch, in
    seconds. The two clocks have nothing in common, but a poll that took longer is older by as much: it waited, while
    the log or its collector could not go on."""
    quickest_at: float = 0.0
    epoch: int = -1
    why_withheld: str = "nothing was decided yet"
    """Why nobody may be moved now, as of the latest turn; empty: nothing keeps anybody. Read by executors, too."""
    owner: str = ""
    owner_url: str = ""
    echoes: Counter[Echo] = msgspec.field(default_factory=Counter)
    """What was committed here and has not come back from the log yet. What comes back without having been expected was
    committed although nobody could say so."""
    decisions: deque[Decision] = msgspec.field(default_factory=_no_decisions)
    """The latest, for people to read: nothing is decided by them."""
    ranked: Stamp = NEVER
    """Of which poll the latest ranking is that came from the log."""

    def age_seconds(self, now: float) -> float | None:
        """Tell how old the latest poll is; None: nothing came in since this process started."""
        return None if self.fresh_at is None else max(0.0, now - self.fresh_at)

    def polled(self, now: float) -> None:
        """Note that a poll came in, and how old it was by then."""
        way = now - self.state.observed_at_ms / 1000
        if self.quickest_way is None or self.state.stamp[0] != self.epoch:
            self.epoch, self.quickest_way = self.state.stamp[0], way
        # The least way may grow as the clocks drift, and no faster.
        self.quickest_way = min(way, self.quickest_way + CLOCK_DRIFT * (now - self.quickest_at))
        self.quickest_at = now
        self.fresh_at = now - (way - self.quickest_way)

    def stale(self, now: float) -> bool:
        """Tell whether nothing should be offered from this any more."""
        age = self.age_seconds(now)
        return age is None or age > STALE_SECONDS


class Clusters:
    """The clusters, and what this process may decide about them."""

    def __init__(self, name: str, url: str, partitions: int, policies: Mapping[str, Policy]) -> None:
        """Begin with nothing known; `name` and `url` say who answers for what this process owns."""
        self.name = name
        self._url = url
        self._partitions = partitions
        self._policies = policies
        self._owned: frozenset[int] = frozenset()
        self.by_name: dict[str, Cluster] = {}
        self._ahead: dict[str, deque[Decision]] = {}
        """The latest decisions about clusters of which nothing else is known: not yet, or not any more."""
        self._dead: dict[Place, DeadLetter] = {}
        self._reported: set[Place] = set()
        self._newer: dict[tuple[Topic, str], int] = {}
        """Topic and key of what a newer hotdesk decided, and the partition."""

    def own(self, partitions: frozenset[int]) -> None:
        """Decide for the clusters of these partitions from now on, and for no others."""
        self._owned = partitions
        for name, view in self.by_name.items():
            view.owned = partition_of(name, self._partitions) in partitions

    def judge_by(self, policies: Mapping[str, Policy]) -> None:
        """Judge by other policies from the next poll on."""
        self._policies = policies
        for name, view in self.by_name.items():
            view.policy = policies.get(name, DEFAULT_POLICY)

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop what is known of the clusters of these partitions."""
        gone = set(partitions)
        for known in (self.by_name, self._ahead):
            for name in [name for name in known if partition_of(name, self._partitions) in gone]:
                del known[name]
        self._newer = {of: partition for of, partition in self._newer.items() if partition not in gone}

    @property
    def forgotten(self) -> list[str]:
        """Name the clusters of which the last that is known is that somebody had them forgotten."""
        return [name for name, decisions in self._ahead.items() if decisions and decisions[-1].what == FORGOTTEN]

    def outdated_in(self, partitions: frozenset[int]) -> bool:
        """Tell whether what holds in these partitions was decided, or asked for, by a newer hotdesk in part."""
        return not partitions.isdisjoint(self._newer.values())

    def fold(self, batch: Sequence[News], now: float, *, live: bool) -> FoldedBatch:
        """Take in records.

        Args:
            batch: in the log's order.
            now: this process's monotonic clock, in seconds.
            live: the log has been caught up with; before that, nothing is decided and nothing is fresh.
        """
        folded = FoldedBatch([], {}, set(), {})
        for news in batch:
            cluster, result = self._fold_one(news, folded, live=live)
            counted = (cluster, result)
            folded.results[counted] = folded.results.get(counted, 0) + 1
            if live and isinstance(news, Poll | Outage) and cluster in self.by_name:
                self.by_name[cluster].heard_at = now
        for name in folded.polled & self.by_name.keys():
            view = self.by_name[name]
            if live:
                view.polled(now)
            if live and view.owned and not self.outdated_in(frozenset({partition_of(name, self._partitions)})):
                turn = self._make_plan(view, now)
                if view.policy.acts:
                    folded.plans[name] = turn
                else:
                    apply_plan(view.state, turn)
                    folded.entries.extend(entries_of(turn, self.name))
                folded.entries.append(entry_of(self.snapshot(view)))
        if live:
            folded.entries.extend(self._dead_letters())
        return folded

    def pick(self, view: Cluster, request: PickRequest) -> tuple[Picked | Refused, list[Entry]]:
        """AgentControl out a slot; the entries tell the log."""
        held = view.state.slots.of(request.user)
        picked = pick(view.state, view.policy, request, self.name)
        if isinstance(picked, Refused):
            given_up = held is not None and view.state.slots.of(request.user) is None
            return picked, [end_of_slot(held, self.name)] if held is not None and given_up else []
        return picked, [entry_of(picked.slot)] if picked.is_new else []

    def take_order(self, view: Cluster, screen: str) -> tuple[LoginSlot | NoOrder, list[Entry]]:
        """Give a screen its order to log in again, once; the entries tell the log."""
        slot = take_order(view.state, screen)
        return slot, [] if isinstance(slot, NoOrder) else [entry_of(slot)]

    def release(self, view: Cluster, user: str) -> tuple[LoginSlot | None, list[Entry]]:
        """Take a slot back; the entries tell the log."""
        slot = view.state.slots.release(user)
        return slot, [] if slot is None else [end_of_slot(slot, self.name)]

    def snapshot(self, view: Cluster) -> RankingSnapshot:
        """Make the ranking that readers get."""
        state = view.state
        ranked = rank_dialers(state, view.policy)
        epoch, sequence = state.stamp
        return RankingSnapshot(
            cluster=state.cluster,
            epoch=epoch,
            sequence=sequence,
            observed_at_ms=state.observed_at_ms,
            owner=self.name if view.owned else view.owner,
            owner_url=self._url if view.owned else view.owner_url,
            dialers=ranked,
            imbalance=imbalance(ranked),
            outage_since_ms=None if state.outage is None else state.outage.unreachable_since_ms,
            health=state.health,
        )

    def _view(self, cluster: str) -> Cluster:
        view = self.by_name.get(cluster)
        if view is None:
            view = self.by_name[cluster] = Cluster(
                state=ClusterState(cluster),
                policy=self._policies.get(cluster, DEFAULT_POLICY),
                owned=partition_of(cluster, self._partitions) in self._owned,
                decisions=self._ahead.pop(cluster, _no_decisions()),
            )
        return view

    def _fold_one(self, news: News, folded: FoldedBatch, *, live: bool) -> tuple[str, Result]:
        if self._newer and not isinstance(news, Undecodable):
            # the newest of a key is what holds
            of = (news.topic, str(news.key)) if isinstance(news, Tombstone) else (topic_of(news), str(key_of(news)))
            self._newer.pop(of, None)
        match news:
            case Poll() | AgentSession() | Phone() | PhoneAlias() | Campaign() | SystemSettings() | Outage() | EpochClaim():
                view = self._view(news.cluster)
                return news.cluster, self._note(view, view.state.fold(news), folded, live=live)
            case Tombstone():
                return news.key.cluster, self._fold_end(news, folded, live=live)
            case Undecodable(letter, newer):
                self._dead[_place(letter)] = letter
                if newer and letter.topic in DECIDED:
                    self._newer[Topic(letter.topic), letter.key] = letter.partition
                # what is unreadable may name anything as its cluster
                return letter.cluster if letter.cluster in self.by_name else "", Result.DEAD
            case DeadLetter():
                self._reported.add(_place(news))
                self._dead.pop(_place(news), None)
            case Decision():
                # a tail that begins anew after trouble with the log gives the latest once more
                known = self.by_name.get(news.cluster)
                decisions = self._ahead.setdefault(news.cluster, _no_decisions()) if known is None else known.decisions
                if live or news not in decisions:
                    decisions.append(news)
            case _:
                self._fold_decided(self._view(news.cluster), news, live=live)
        return news.cluster, Result.FOLDED

    def _fold_decided(self, view: Cluster, news: Decided, *, live: bool) -> None:
        """Take in what was decided; what this very process did it knows already, and maybe better."""
        match news:
            case LoginSlot():
                mine = live and news.handed_out_by == self.name
                asked_for = not news.planned or news.used_by is not None
                if not (mine and asked_for) and not self._knows(view, news, news.handed_out_by, live=live):
                    view.state.take_slot(news)
            case RankingSnapshot() if (news.epoch, news.sequence) < view.ranked:
                pass  # a former owner's last word, come late
            case RankingSnapshot():
                view.ranked = news.epoch, news.sequence
                view.owner, view.owner_url = news.owner, news.owner_url
                # whoever takes over goes on from there
                if news.health is not None and not (live and view.owned):
                    view.state.health = news.health
            case Incident() | Relogin() | AgentPause() | Fence():
                if not self._knows(view, news, news.by, live=live):
                    view.state.decided(news)
            case _:
                view.state.orders.take(news)

    def _fold_end(self, ended: Tombstone, folded: FoldedBatch, *, live: bool) -> Result:
        view = self.by_name.get(ended.key.cluster)
        if view is None:
            return Result.FOLDED
        if ended.topic is Topic.OBSERVATIONS and ended.key.kind:
            return self._note(view, view.state.fold_end(ended.key, ended.stamp), folded, live=live)
        if ended.topic is Topic.OBSERVATIONS and ended.stamp < view.state.stamp:
            return Result.STALE  # a collector has come back since it was forgotten
        self._end(view, ended, live=live)
        # topics come on different ways: only once all of them say so is a cluster forgotten
        if view.state.poll is None and view.ranked == NEVER and view.state == ClusterState(view.state.cluster):
            self._ahead[view.state.cluster] = self.by_name.pop(view.state.cluster).decisions
        return Result.FOLDED

    def _end(self, view: Cluster, ended: Tombstone, *, live: bool) -> None:
        match ended.topic:
            case Topic.OBSERVATIONS:
                view.state.observed_no_more()
            case Topic.RANKINGS:
                view.ranked, view.owner, view.owner_url = NEVER, "", ""
                if view.state.poll is None:
                    view.state.health = FleetHealth()
            case Topic.ORDERS:
                view.state.orders.take_back(ended.key)
            case Topic.INCIDENTS:
                view.state.incident_forgotten(ended.key.name)
            case Topic.RELOGINS if not self._knows(view, ended.key, ended.by, live=live):
                view.state.remove_action(ended.key)
            case Topic.LOGINS if not (live and ended.by == self.name):
                view.state.release_slot(ended.key.name)

    def committed(self, view: Cluster, turn: Plan) -> None:
        """Make a turn true that was committed just now."""
        apply_plan(view.state, turn)
        view.echoes.update(each for each in turn.records if isinstance(each, Echo))
        view.echoes.update(turn.ended)

    def _knows(self, view: Cluster, news: Echo, by: str, *, live: bool) -> bool:
        """Tell whether something decided only comes back to where it was decided, and maybe is out of date there."""
        if not live or by != self.name:
            return False
        if not view.policy.acts:
            return True
        left = view.echoes.pop(news, 0) - 1
        if left > 0:
            view.echoes[news] = left
        return left >= 0

    def _note(self, view: Cluster, what: Folded, folded: FoldedBatch, *, live: bool) -> Result:
        if what is Folded.STALE:
            return Result.STALE
        if what is Folded.POLL:
            folded.polled.add(view.state.cluster)
            if live and view.owned:
                self._judge(view)
                ended = view.state.slots_ended
                folded.entries.extend(
                    end_of_slot(slot, self.name) if over else entry_of(slot) for slot, over in ended.values()
                )
                ended.clear()
        return Result.FOLDED

    def _judge(self, view: Cluster) -> None:
        state = view.state
        if state.poll is not None:
            state.health = judge_fleet(state.health, state.poll, view.policy, state.orders, fenced=fenced(state))

    def _make_plan(self, view: Cluster, now: float) -> Plan:
        """Decide about a cluster's incidents."""
        age = view.age_seconds(now)
        doubt = "" if age is not None and age <= STALE_SECONDS else "what is known is old: the log or its readers lag"
        view.why_withheld = why_withheld(view.state, doubt)
        return make_plan(view.state, view.policy, self.name, acts=view.policy.acts, doubt=doubt)

    def _dead_letters(self) -> list[Entry]:
        """Report what could not be decoded, each once, if its partition is owned."""
        mine = [place for place in self._dead if place[1] in self._owned]
        fresh = [self._dead[place] for place in mine if place not in self._reported]
        for place in mine:
            self._reported.add(place)
            del self._dead[place]
        return [entry_of(dead) for dead in fresh]


def entries_of(turn: Plan, by: str) -> list[Entry]:
    """Give what stores a turn of the process `by`."""
    return [*map(entry_of, turn.records), *(end_of_action(key, by) for key in turn.ended)]


def _place(letter: DeadLetter) -> Place:
    return letter.topic, letter.partition, letter.offset
