"""Controllers as the simulation has them: the real clusters, committer and executor, and the group that assigns."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from random import Random
from typing import NamedTuple

from controller.core.actions import Outcome
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.ownership import Ownership, Progress
from controller.core.picks import PickRequest, Refused
from controller.runtime import decoding
from controller.runtime.backlog import Backlog
from controller.runtime.committer import Committer
from controller.runtime.follower import SLICE, TOPICS
from controller.runtime.owner import POLL_SECONDS
from messages.codes import Reason, ReasonCode
from messages.records import Action
from messages.topics import Topic, partition_of
from messages.words import reason
from stream.log import Entry, LogError, LogUnavailableError, Stored
from tests.simulation.executing import Threads
from tests.simulation.processes import CLUSTER, STANDS_STILL, Stoppable
from tests.simulation.setup import ClusterSetup
from tests.simulation.wire import PARTITION, Claim, Line, Tail
from tests.simulation.world import Clock

SESSION_SECONDS = 6.0
"""The group gives a silent member's partitions to another one after so long."""
PROOF_SECONDS, PROOF_WAIT_SECONDS = 5.0, 2.0
"""A member that was silent for longer than the first believes nothing before the group has answered it again, which
takes up to the second: as `stream.kafka.membership` has it."""
BUDGET = 10
"""How many records are folded in one turn: as few for this small cluster as the product's are for a large one."""
TURN, SLOW_TURN = (0.02, 0.12), (0.5, 2.5)
"""How long a turn takes: from, to."""
IDLE = (0.2, 0.3)
"""How long until the next turn if nothing new comes."""
COMMIT, SLOW_COMMIT = (0.001, 0.02), (4.0, 8.0)
"""How long a commit takes to the log: from, to."""
DECIDED = (Topic.INCIDENTS, Topic.RELOGINS)
"""What only an owner writes, through its claim."""


read = lru_cache(maxsize=10_000)(decoding.read)
"""Both controllers read the same entries, and what comes of one cannot be changed."""


class Group:
    """Who is given which partition: a member that falls silent loses all, and one that joins may get some."""

    def __init__(self, clock: Clock, draw: Random, partitions: int = 1) -> None:
        self._clock = clock
        self._draw = draw
        self.members: dict[str, float] = {}
        """When each was heard last."""
        self.owners = dict.fromkeys(range(partitions), "")
        """By partition."""
        self._given_at = dict.fromkeys(range(partitions), 0.0)
        self._lost_at: dict[tuple[int, str], float] = {}
        """By partition and member: when it was last taken from it."""

    def heard(self, name: str) -> frozenset[int]:
        """Hear a member, and return the partitions that are its own."""
        now = self._clock.now
        joins = name not in self.members
        self.members[name] = now
        for silent in [each for each, at in self.members.items() if now - at > SESSION_SECONDS]:
            del self.members[silent]
        for partition, owner in self.owners.items():
            if owner not in self.members or (joins and self._draw.random() < 0.5):
                self.give_to(name, partition)
        return frozenset(partition for partition, owner in self.owners.items() if owner == name)

    def give_to(self, name: str, partition: int = PARTITION) -> None:
        """Assign a partition to a member."""
        if name != self.owners[partition]:
            self._lost_at[partition, self.owners[partition]] = self._clock.now
            self.owners[partition], self._given_at[partition] = name, self._clock.now

    def owned_since(self, name: str, partition: int) -> float:
        """Return since when the partition has been a member's; now, if it is somebody else's."""
        return self._given_at[partition] if self.owners[partition] == name else self._clock.now

    def lost_seconds(self, name: str, partition: int = PARTITION) -> float:
        """Return for how long the partition has been somebody else's; 0 if it is this member's."""
        if self.owners[partition] == name:
            return 0.0
        return self._clock.now - self._lost_at.get((partition, name), 0.0)


class Picked(NamedTuple):
    """An answer to a login."""

    phone_login: str
    degraded: bool
    by: str


class Controller(Stoppable):
    """A controller: the real clusters, committer and executor, between a log, a group and hands of the simulation's."""

    def __init__(
        self, name: str, setups: Sequence[ClusterSetup], *, group: Group, draw: Random, budget: int = BUDGET
    ) -> None:
        super().__init__(name, setups[0].world.clock)
        self._called = name
        self._setups = {each.name: each for each in setups}
        wires = {each.wire.partition: each.wire for each in setups}
        self._partitions = frozenset(wires)
        self._note = setups[0].world.note
        self._budget = budget
        self.line = Line(*(wires[partition] for partition in sorted(wires)))
        self.is_slow = False
        """It gets little of its machine, and lags behind the log."""
        self._group = group
        self._draw = draw
        self._ahead = draw.uniform(0, 10_000)
        """Its monotonic clock has nothing in common with anybody's."""
        self._former: list[Committer] = []
        """Of earlier lives: what they had under way must not be swept up before the end."""
        self._begin()

    def start(self) -> None:
        """Start anew after a kill: all it knows is in the log."""
        self.dead, self.life = False, self.life + 1
        # as a process does, which is another one than before
        self.name = f"{self._called}-{self.life}"
        self._former.append(self._committer)
        self._begin()

    def kill(self) -> None:
        """End at once."""
        self.dead = True

    def _begin(self) -> None:
        setups = self._setups
        self.clusters = Clusters(
            self.name, self.name, len(self._partitions), {name: each.policy for name, each in setups.items()}
        )
        self._tail = Tail(self.line, TOPICS)
        self._backlog = Backlog(self._budget)
        self._known = {(partition, topic): 0 for partition in self._partitions for topic in TOPICS}
        """By partition and topic: up to where everything is folded."""
        self._outbox: dict[int, deque[Entry]] = {partition: deque() for partition in sorted(self._partitions)}
        acting = {name for name, each in setups.items() if each.policy.acts}
        self._ownership: Ownership[Claim] = Ownership(acted_for=frozenset(map(self._partition_of, acting)))
        self._claimed_last = -1
        self._asked_at = self._proven_at = self.awake_for
        """When the group was last asked, and when it answers again."""
        self._threads = {
            name: Threads(
                self,
                each,
                self._draw,
                objection=partial(self._objection, name),
                report=self._report,
                clock=self.now,
            )
            for name, each in setups.items()
            if name in acting
        }
        self._plans_wait_since: dict[str, float] = {}
        """By cluster: since when there is a plan that is not on its way to the log."""
        life = self.life
        self._committer = Committer(
            self.clusters,
            lambda name, entries: self._commit(name, entries, life),
            self._threads,
            lambda name: self._partition_of(name) in self._ownership.claims,
            clock=self.now,
        )
        self.every(lambda: self.clock.calm.asks if self.clock.calm else POLL_SECONDS, self._belong)
        self._turns = 0
        """Counts the turns that were planned: only the last one is taken."""
        self._waits = False
        """Nothing is to be done before something new is in the log, or for a while."""
        self._plan_turn()

    def now(self) -> float:
        """Return the time of this process's monotonic clock."""
        return self.awake_for + self._ahead

    @property
    def _turn(self) -> tuple[float, float]:
        if self.is_slow:
            return SLOW_TURN
        return self.clock.calm.turns if self.clock.calm else TURN

    def _partition_of(self, cluster: str) -> int:
        return partition_of(cluster, len(self._partitions))

    def view(self, cluster: str = CLUSTER) -> Cluster | None:
        """Return what it knows of a cluster."""
        return self.clusters.by_name.get(cluster)

    @property
    def commits_in_progress(self) -> bool:
        """True while this process, or an earlier life of it, waits for a commit."""
        if self._committer.in_progress:
            return True
        # asked after every event, and most processes have had one life only
        return bool(self._former) and any(each.in_progress for each in self._former)

    def decides(self, cluster: str = CLUSTER) -> bool:
        """Return True if it believes to own a cluster."""
        view = self.view(cluster)
        return view is not None and view.owned

    def may_act(self, cluster: str) -> bool:
        """Return True if it believes that it may change something in a cluster now."""
        return self._ownership.why_not(self._partition_of(cluster), self.now()) is None

    def plan_waits_since(self, cluster: str) -> float:
        """Return since when a plan for a cluster waits to be committed; now, if none does."""
        return self._plans_wait_since.get(cluster, self.clock.now)

    def action_waits_since(self, cluster: str) -> float:
        """Return since when the oldest action for a cluster that has not begun waits; now, if none does."""
        threads = self._threads.get(cluster)
        return self.clock.now if threads is None else threads.waits_since

    # --- what `controller.runtime` does with threads --------------------------------------------------------------

    def _belong(self) -> None:
        now = self.awake_for
        if not self.line.up:
            return
        if now - self._asked_at > PROOF_SECONDS:
            self._proven_at = now + self._draw.uniform(0.0, PROOF_WAIT_SECONDS)
        self._asked_at = now
        if now >= self._proven_at:
            self._own(self._ownership.assign(self._group.heard(self.name), self.now()))

    def wake(self) -> None:
        """Take a turn soon, since something new is in the log."""
        if self._waits and self.clock.calm is None:
            self._waits = False
            self._plan_turn()

    def _plan_turn(self) -> None:
        self._turns += 1
        takes = self._draw.uniform(*(IDLE if self._waits else self._turn))
        self.clock.after(takes, partial(self._take_turn, self.life, self._turns))

    def _take_turn(self, life: int, number: int) -> None:
        if self.dead or self.life != life or self._turns != number:
            return
        if not self.answers:
            self.clock.after(STANDS_STILL, partial(self._take_turn, life, number))
            return
        self._follow()
        self._waits = not (self.is_slow or self.clock.calm or self._backlog or self._tail.is_behind)
        self._plan_turn()

    def _follow(self) -> None:
        live = self._tail.read_to_end()
        batch = self._tail.poll()
        behind = [stored for stored in batch if stored.partition not in live]
        if behind or not live:
            while self._backlog:
                self._fold_turn()
        if behind:
            self._fold(behind, live=False)
        self._backlog.put(stored for stored in batch if stored.partition in live)
        if self._backlog:
            self._fold_turn()
        while self._ownership.unread and self._backlog:
            self._fold_turn()
        self._claim()
        self._own(self._ownership.settle(Progress(self._tail.read_to_end(), folded=not self._backlog), self.now()))
        for partition, waiting in self._outbox.items():
            if waiting:
                try:
                    self.line.append(list(waiting), partition)
                except LogError:
                    continue  # what one partition does not take holds up no other
                waiting.clear()

    def _fold_turn(self) -> None:
        self._own(self._ownership.stand_down(self.now()))
        batch, _ = self._backlog.turn()
        self._fold(batch, live=True)

    def _fold(self, batch: Sequence[Stored], *, live: bool) -> None:
        for at in range(0, len(batch), SLICE):
            folded = self.clusters.fold([read(stored) for stored in batch[at : at + SLICE]], self.now(), live=live)
            self._known |= {(stored.partition, stored.topic): stored.offset + 1 for stored in batch[at : at + SLICE]}
            self._put(folded.entries)
            for name, plan in folded.plans.items():
                if plan.records or plan.ended:
                    self._plans_wait_since.setdefault(name, self.clock.now)
                else:
                    self._plans_wait_since.pop(name, None)
            if folded.plans:
                self._committer.commit_plans(folded.plans)
                self.clock.commits_in_progress = True

    def _put(self, entries: Iterable[Entry]) -> None:
        """Queue entries for the log."""
        for entry in entries:
            cluster = entry.key.partition("/")[0]
            if entry.topic is Topic.RANKINGS:
                self._setups[cluster].seen.ranks(self.name)
            self._outbox[self._partition_of(cluster)].append(entry)

    def _claim(self) -> None:
        due = self._ownership.to_claim(self.now())
        if not due:
            return
        # in turn, as the product does: one that cannot be claimed holds up no other
        self._claimed_last = partition = next((each for each in due if each > self._claimed_last), due[0])
        try:
            former = self.line.wires[partition].claim
            claim = self.line.claim(self.name, partition)
            self._tail.mark_end(partition)
        except LogError:
            self._own(self._ownership.claim_failed(self.now()))
        else:
            for each in self._setups.values():
                if each.wire.partition == partition:
                    each.seen.claims(self.name, former)
            self._own(self._ownership.add_claim(partition, claim))

    def _own(self, ownership: Ownership[Claim]) -> None:
        before, self._ownership = self._ownership, ownership
        if ownership.owned != before.owned:
            self.clusters.own(ownership.owned)
            self._plans_wait_since.clear()
            which = f" {sorted(ownership.owned)}" if len(self._partitions) > 1 else ""
            self._note(f"controller {self.name} {'owns' if ownership.owned else 'owns no longer'}{which}")

    def _objection(self, cluster: str, action: Action) -> Reason | None:
        view = self.view(cluster)
        if view is None:
            return reason(ReasonCode.CLUSTER_UNKNOWN)
        not_owner = self._ownership.why_not(self._partition_of(cluster), self.now())
        return view.permit.objection(action, self.now(), not_owner)

    # --- deciding and acting --------------------------------------------------------------------------------------

    def _report(self, action: Action, outcome: Outcome) -> None:
        self._committer.report(action, outcome)
        self.clock.commits_in_progress = True

    async def _commit(self, cluster: str, entries: Sequence[Entry], life: int) -> None:
        self._plans_wait_since.pop(cluster, None)
        partition = self._partition_of(cluster)
        claim = self._ownership.claims.get(partition)
        if claim is None:
            raise LogUnavailableError("not claimed")
        known = {topic: min(claim.after[topic], self._known[partition, topic]) for topic in DECIDED}
        unknown = sum(claim.after[topic] - known[topic] for topic in DECIDED)
        done: asyncio.Future[LogError | None] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            try:
                claim.append(entries)
            except LogError as error:
                answer(error)
            else:
                self._setups[cluster].seen.decides(self.name, unknown)
                answer(None)

        def answer(error: LogError | None) -> None:
            self.clock.after(self._draw.uniform(0.001, 0.02), lambda: self.awake(lambda: done.set_result(error)))

        slow = self.line.wires[partition].slow
        self.clock.after(self._draw.uniform(*(SLOW_COMMIT if slow else COMMIT)), arrive)
        error = await done
        if error is not None:
            if self.life == life:
                self._own(self._ownership.commit_failed(partition, claim))
            raise error

    # --- the API ----------------------------------------------------------------------------------------------------

    def pick(self, user: str, alias: str, others: Sequence["Controller"], cluster: str = CLUSTER) -> Picked | None:
        """Answer a login, as controller.api.picks does: through the owner, else by oneself."""
        view = self.view(cluster)
        if view is None:
            return None
        owner = next((each for each in others if each.name == view.state.published.owner and each is not self), None)
        if not view.owned and owner is not None and owner.answers and owner.decides(cluster):
            return owner.pick(user, alias, (), cluster)
        if view.stale(self.now()):
            return None
        picked, entries = view.pick(PickRequest(user, alias, "CAMP", f"screen of {user}"))
        self._put(entries)
        if isinstance(picked, Refused):
            return None
        return Picked(picked.slot.phone_login, not view.owned, self.name)

    def order(self, record: Entry) -> None:
        """Take a person's order to the log."""
        self._put([record])
