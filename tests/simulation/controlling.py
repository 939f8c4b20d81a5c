"""Controllers as the simulation has them: the real clusters, committer and executor, and the group that assigns."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial
from random import Random
from typing import NamedTuple

from controller.core.actions import AttemptId, Outcome
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.ownership import Ownership, Progress
from controller.core.picks import PickRequest, Refused
from controller.core.policy import Policy
from controller.runtime import decoding
from controller.runtime.backlog import Backlog
from controller.runtime.committer import Committer
from controller.runtime.executor import AT_ONCE, Executor
from controller.runtime.follower import SLICE, TOPICS
from controller.runtime.owner import POLL_SECONDS
from controller.vicidial.ports import Actuators
from messages.codes import Reason, ReasonCode
from messages.records import Action
from messages.topics import Topic
from messages.words import reason
from stream.log import Entry, LogError, LogUnavailableError, Stored
from tests.simulation.hands import Hands
from tests.simulation.processes import CLUSTER, STANDS_STILL, Sees, Stoppable
from tests.simulation.wire import PARTITION, Claim, Line, Tail, Wire
from tests.simulation.world import Clock, World

PARTITIONS = 1
OURS = frozenset({PARTITION})
NONE: frozenset[int] = frozenset()
SESSION_SECONDS = 6.0
"""The group gives a silent member's partitions to another one after so long."""
PROOF_SECONDS, PROOF_WAIT_SECONDS = 5.0, 2.0
"""A member that was silent for longer than the first believes nothing before the group has answered it again, which
takes up to the second: as `stream.kafka.membership` has it."""
BUDGET = 10
"""How many records are folded in one turn: as few for this small cluster as the product's are for a large one."""
ROUNDING = 1e-6
TURN, SLOW_TURN, TURN_IN_A_LULL = (0.02, 0.12), (0.5, 2.5), (0.8, 1.2)
"""How long a turn takes: from, to."""
IDLE = (0.2, 0.3)
"""How long until the next turn if nothing new comes."""
BELONGS_IN_A_LULL = 1.0
"""How often the group is asked in a lull, in seconds."""
DECIDED = (Topic.INCIDENTS, Topic.RELOGINS)
"""What only an owner writes, through its claim."""


read = lru_cache(maxsize=10_000)(decoding.read)
"""Both controllers read the same entries, and what comes of one cannot be changed."""


class Group:
    """Who is given the partition: a member that falls silent loses it, and a member that joins may get it."""

    def __init__(self, clock: Clock, draw: Random) -> None:
        self._clock = clock
        self._draw = draw
        self.members: dict[str, float] = {}
        """When each was heard last."""
        self.owner = ""
        self._lost_at: dict[str, float] = {}
        """By member: when the partition was last taken from it."""

    def heard(self, name: str) -> bool:
        """Hear a member, and return True if the partition is its own."""
        now = self._clock.now
        joins = name not in self.members
        self.members[name] = now
        for silent in [each for each, at in self.members.items() if now - at > SESSION_SECONDS]:
            del self.members[silent]
        if self.owner not in self.members or (joins and self._draw.random() < 0.5):
            self.give_to(name)
        return self.owner == name

    def give_to(self, name: str) -> None:
        """Assign the partition to a member."""
        if name != self.owner:
            self._lost_at[self.owner] = self._clock.now
            self.owner = name

    def lost_seconds(self, name: str) -> float:
        """Return for how long the partition has been somebody else's; 0 if it is this member's."""
        return 0.0 if self.owner == name else self._clock.now - self._lost_at.get(name, 0.0)


class Picked(NamedTuple):
    """An answer to a login."""

    phone_login: str
    degraded: bool
    by: str


class Controller(Stoppable):
    """A controller: the real clusters, committer and executor, between a log, a group and hands of the simulation's."""

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        name: str,
        *,
        world: World,
        wire: Wire,
        group: Group,
        policy: Policy,
        hands: Hands,
        draw: Random,
        seen: Sees,
        budget: int = BUDGET,
    ) -> None:
        super().__init__(name, world.clock)
        self._called = name
        self._world = world
        self._budget = budget
        self.line = Line(wire)
        self.is_slow = False
        """It gets little of its machine, and lags behind the log."""
        self._group = group
        self._seen = seen
        self.policy = policy
        self._hands = hands
        self._draw = draw
        self.commits = 0
        """Under way."""
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
        self.commits = 0

    def _begin(self) -> None:
        self.clusters = Clusters(self.name, self.name, PARTITIONS, {CLUSTER: self.policy})
        self._tail = Tail(self.line, TOPICS)
        self._backlog = Backlog(self._budget)
        self._known = dict.fromkeys(TOPICS, 0)
        """By topic: up to where everything is folded."""
        self._outbox: deque[Entry] = deque()
        self._ownership: Ownership[Claim] = Ownership(acted_for=OURS if self.policy.acts else NONE)
        self._asked_at = self._proven_at = self.awake_for
        """When the group was last asked, and when it answers again."""
        self._free = AT_ONCE
        """Threads of the executor that have nothing to do."""
        self._executor = Executor(
            CLUSTER,
            self.name,
            Actuators(
                self._hands,
                self._hands.control,
                self._hands,
                self.policy.dead_call_status,
                self.policy.moves_per_second,
            ),
            objection=self._objection,
            report=lambda _action, _outcome: None,
            clock=self.now,
        )
        life = self.life
        self._committer = Committer(
            self.clusters,
            lambda _, entries: self._commit(entries, life),
            {CLUSTER: self} if self.policy.acts else {},
            lambda _: PARTITION in self._ownership.claims,
            clock=self.now,
        )
        self.every(lambda: BELONGS_IN_A_LULL if self.clock.lull else POLL_SECONDS, self._belong)
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
        return TURN_IN_A_LULL if self.clock.lull else TURN

    @property
    def view(self) -> Cluster | None:
        """What it knows of the cluster."""
        return self.clusters.by_name.get(CLUSTER)

    @property
    def commits_in_progress(self) -> bool:
        """True while this process, or an earlier life of it, waits for a commit."""
        if self._committer.in_progress:
            return True
        # asked after every event, and most processes have had one life only
        return bool(self._former) and any(each.in_progress for each in self._former)

    @property
    def decides(self) -> bool:
        """Return True if it believes to own the cluster."""
        return self.view is not None and self.view.owned

    # --- what `controller.runtime` does with threads --------------------------------------------------------------

    def _belong(self) -> None:
        now = self.awake_for
        if not self.line.up:
            return
        if now - self._asked_at > PROOF_SECONDS:
            self._proven_at = now + self._draw.uniform(0.0, PROOF_WAIT_SECONDS)
        self._asked_at = now
        if now >= self._proven_at:
            self._own(self._ownership.assign(OURS if self._group.heard(self.name) else NONE, self.now()))

    def wake(self) -> None:
        """Take a turn soon, since something new is in the log."""
        if self._waits and not self.clock.lull:
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
        self._waits = not (self.is_slow or self.clock.lull or self._backlog or self._tail.is_behind)
        self._plan_turn()

    def _follow(self) -> None:
        live = self._tail.caught_up()
        batch = self._tail.poll()
        if live:
            self._backlog.put(batch)
            if self._backlog:
                self._fold_turn()
        else:
            while self._backlog:
                self._fold_turn()
            self._fold(batch, live=False)
        while self._ownership.unread and self._backlog:
            self._fold_turn()
        self._claim()
        ended = OURS if self._tail.caught_up() else NONE
        self._own(self._ownership.settle(Progress(ended, folded=not self._backlog), self.now()))
        if self._outbox:
            try:
                self.line.append(list(self._outbox))
            except LogError:
                return
            self._outbox.clear()

    def _fold_turn(self) -> None:
        self._own(self._ownership.stand_down(self.now()))
        batch, _ = self._backlog.turn()
        self._fold(batch, live=True)

    def _fold(self, batch: Sequence[Stored], *, live: bool) -> None:
        for at in range(0, len(batch), SLICE):
            folded = self.clusters.fold([read(stored) for stored in batch[at : at + SLICE]], self.now(), live=live)
            self._known |= {stored.topic: stored.offset + 1 for stored in batch[at : at + SLICE]}
            self._outbox.extend(folded.entries)
            self._committer.commit_plans(folded.plans)

    def _claim(self) -> None:
        for partition in self._ownership.to_claim(self.now()):
            try:
                claim = self.line.claim()
                self._tail.mark_end()
            except LogError:
                self._own(self._ownership.claim_failed(self.now()))
            else:
                self._seen.claims(self.name)
                self._own(self._ownership.add_claim(partition, claim))

    def _own(self, ownership: Ownership[Claim]) -> None:
        before, self._ownership = self._ownership, ownership
        if ownership.owned != before.owned:
            self.clusters.own(ownership.owned)
            self._world.note(f"controller {self.name} {'owns' if ownership.owned else 'owns no longer'}")

    def _objection(self, action: Action) -> Reason | None:
        if self.view is None:
            return reason(ReasonCode.CLUSTER_UNKNOWN)
        return self.view.permit.objection(action, self.now(), self._ownership.why_not(PARTITION, self.now()))

    # --- deciding and acting --------------------------------------------------------------------------------------

    async def _commit(self, entries: Sequence[Entry], life: int) -> None:
        claim = self._ownership.claims.get(PARTITION)
        if claim is None:
            raise LogUnavailableError("not claimed")
        self.commits += 1
        unknown = sum(claim.after[topic] - min(claim.after[topic], self._known[topic]) for topic in DECIDED)
        done: asyncio.Future[LogError | None] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            try:
                claim.append(entries)
            except LogError as error:
                answer(error)
            else:
                self._seen.decides(self.name, unknown)
                answer(None)

        def answer(error: LogError | None) -> None:
            self.clock.after(self._draw.uniform(0.001, 0.02), lambda: self.awake(lambda: done.set_result(error)))

        self.clock.after(self._draw.uniform(0.001, 0.02), arrive)
        error = await done
        self.commits -= 1
        if error is not None:
            if self.life == life:
                self._own(self._ownership.commit_failed(PARTITION, claim))
            raise error

    def submit(self, action: Action) -> None:
        """Take an action, as an executor does."""
        self._executor.submit(action)
        self._plan_work()

    def withdraw(self, attempts: Collection[AttemptId]) -> list[Action]:
        """Take back what has not begun, as an executor does."""
        return self._executor.withdraw(attempts)

    def _plan_work(self) -> None:
        """Let each free thread begin with an action; where the pace holds moves up, look again later."""
        while self._free > 0 and (action := self._executor.begin()) is not None:
            self._free -= 1
            takes = self._draw.uniform(0.3, 1.5) if self._world.slow else self._draw.uniform(0.005, 0.03)
            self.clock.after(takes, partial(self._in_life, self.life, partial(self._work, action)))
        if self._free > 0 and (seconds := self._executor.seconds_until_paced()) is not None:
            self.clock.after(seconds + ROUNDING, partial(self._in_life, self.life, self._plan_work))

    def _in_life(self, life: int, what: Callable[[], None]) -> None:
        if self.life == life:
            self.awake(what)

    def _work(self, action: Action) -> None:
        self._hands.by = self.name
        outcome = self._executor.carry_out(action)
        if (seconds := self._hands.waited()) > 0:
            self.clock.after(seconds, partial(self._in_life, self.life, partial(self._done, action, outcome)))
        else:
            self._done(action, outcome)

    def _done(self, action: Action, outcome: Outcome) -> None:
        self._free += 1
        self._executor.end(action)
        self._committer.report(action, outcome)
        self._plan_work()

    # --- the API ----------------------------------------------------------------------------------------------------

    def pick(self, user: str, alias: str, others: Sequence["Controller"]) -> Picked | None:
        """Answer a login, as controller.api.picks does: through the owner, else by oneself."""
        view = self.view
        if view is None:
            return None
        owner = next((each for each in others if each.name == view.state.published.owner and each is not self), None)
        if not view.owned and owner is not None and owner.answers and owner.decides:
            return owner.pick(user, alias, ())
        if view.stale(self.now()):
            return None
        picked, entries = view.pick(PickRequest(user, alias, "CAMP", f"screen of {user}"))
        self._outbox.extend(entries)
        if isinstance(picked, Refused):
            return None
        return Picked(picked.slot.phone_login, not view.owned, self.name)

    def order(self, record: Entry) -> None:
        """Take a person's order to the log."""
        self._outbox.append(record)
