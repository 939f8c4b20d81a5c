"""hotdesk's processes as the simulation has them: the real core, with adapters of the simulation around it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

from collectors.collector import entry
from collectors.observer import Observer
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.picks import PickRequest, Refused
from controller.core.policy import Policy
from controller.runtime.committer import Committer
from controller.runtime.decoding import read
from controller.runtime.executor import Executor
from controller.runtime.follower import POLL_SECONDS, RETRY_SECONDS, SLICE, SURE_SECONDS, TOPICS
from controller.vicidial.ports import Actuators
from messages.codec import decode
from messages.codes import Reason, ReasonCode
from messages.records import Action, EpochClaim, Outage, Poll, Stamped
from messages.topics import Topic
from messages.words import reason
from stream.entries import entry_of
from stream.log import Entry, LogError, LogUnavailableError
from tests.simulation.hands import Hands
from tests.simulation.wire import PARTITION, Tail, Wire
from tests.simulation.world import Clock, World

CLUSTER = "west"
PARTITIONS = 1
LOCK_SECONDS = 3.0
"""The database hangs up on a collector that fell silent for so long, and the lock is free."""
SESSION_SECONDS = 6.0
"""The group gives a silent member's partitions to another one after so long."""
STANDS_STILL = 0.05
"""How often it is looked whether a stopped process goes on."""
ROUNDING = 1e-6
AGENTS_EVERY, CATALOGUE_EVERY, EVERYTHING_EVERY = 2, 60, 600


class Stoppable:
    """A process that can be stopped, killed and started."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.dead = False
        self.stopped_until = 0.0
        self.life = 0
        """Counts its starts, so that what an earlier one planned does not happen in a later one."""

    @property
    def answers(self) -> bool:
        """Tell whether it runs now."""
        return not self.dead and self.clock.now >= self.stopped_until

    def every(self, seconds: Callable[[], float], what: Callable[[], None]) -> None:
        """Have something done again and again, as long as this life lasts."""
        life = self.life

        def tick() -> None:
            if self.dead or self.life != life:
                return
            if self.clock.now < self.stopped_until:
                self.clock.after(STANDS_STILL, tick)
                return
            what()
            self.clock.after(seconds(), tick)

        self.clock.after(seconds(), tick)

    def awake(self, what: Callable[[], None]) -> None:
        """Do something as soon as the process runs, if this life lasts till then."""
        life = self.life

        def try_it() -> None:
            if self.dead or self.life != life:
                return
            if self.clock.now < self.stopped_until:
                self.clock.after(STANDS_STILL, try_it)
            else:
                what()

        try_it()


class Lock:
    """The one collector that may work."""

    def __init__(self) -> None:
        self.holder: Collector | None = None
        self.heard_at = 0.0


class Collector(Stoppable):
    """A collector: the real observer, and an outbox of the simulation's."""

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self, name: str, *, world: World, wire: Wire, lock: Lock, draw: Random, probes: bool
    ) -> None:
        super().__init__(name, world.clock)
        self._world = world
        self._wire = wire
        self._lock = lock
        self._draw = draw
        self._probes = probes
        self.wall_ahead = 0.0
        self._begin()

    def _begin(self) -> None:
        self._observer: Observer | None = None
        self._outbox: deque[Entry] = deque()
        self._failing = False
        self._again = False
        self._polls = 0
        self._since_ms = 0
        self.every(lambda: 0.5 + self._draw.uniform(-0.01, 0.02), self._poll)

    def start(self) -> None:
        """Start anew after a kill: nothing of before is left."""
        self.dead, self.life = False, self.life + 1
        self._begin()

    def kill(self) -> None:
        """End at once."""
        self.dead = True

    def _poll(self) -> None:
        now = self.clock.now
        if not self._world.database_up:
            self._lose_the_database()
        elif self._reigns(now):
            self._look(now)
        self._flush()

    def _reigns(self, now: float) -> bool:
        lock = self._lock
        if lock.holder is self and now - lock.heard_at >= LOCK_SECONDS:
            # the server hung up on us meanwhile; this connection is found to be dead
            lock.holder, self._observer = None, None
            return False
        if lock.holder is not self:
            self._observer = None
            if lock.holder is not None and now - lock.heard_at < LOCK_SECONDS:
                return False
            lock.holder = self
        lock.heard_at = now
        if self._observer is None:
            self._reign()
        return self._observer is not None

    def _reign(self) -> None:
        """Take the next epoch, by all that stands in the log."""
        seen = [decode(each.topic, each.value) for each in self._wire.topics[Topic.OBSERVATIONS] if each.value]
        stamped = [each for each in seen if isinstance(each, Stamped)]
        epoch = 1 + max((each.epoch for each in stamped), default=0)
        observed_at_ms = max((each.observed_at_ms for each in seen if isinstance(each, Poll)), default=0)
        try:
            self._wire.append([entry_of(EpochClaim(cluster=CLUSTER, epoch=epoch, sequence=0, collector=self.name))])
        except LogError:
            return
        self._outbox.clear()
        wall_ms = round((self.clock.now + self.wall_ahead) * 1000)
        self._start_ms, self._started_at = max(wall_ms, observed_at_ms + 1), self.clock.now
        self._observer, self._polls = Observer(CLUSTER, self.name, epoch), 0
        self._world.note(f"collector {self.name} reigns, epoch {epoch}")

    def _now_ms(self) -> int:
        return self._start_ms + round((self.clock.now - self._started_at) * 1000)

    def _look(self, now: float) -> None:
        assert self._observer is not None
        number, self._polls = self._polls, self._polls + 1
        again = self._again or (number > 0 and number % EVERYTHING_EVERY == 0)
        self._again = False
        if again:
            self._observer.publish_everything_again()
        reading = self._world.reading(
            agents=number % AGENTS_EVERY == 0,
            catalogue=again or number % CATALOGUE_EVERY == 1,
            probes=self._probes and number > 0,
        )
        self._since_ms = self._now_ms()
        self._outbox.extend(entry(each) for each in self._observer.observe(self._since_ms, reading))
        self._lock.heard_at = now

    def _lose_the_database(self) -> None:
        if self._observer is None:
            return
        outage = Outage(
            cluster=CLUSTER,
            epoch=self._observer.epoch,
            sequence=self._observer.sequence + 1,
            unreachable_since_ms=self._since_ms,
            collector=self.name,
            why="it does not answer",
        )
        self._outbox.append(entry_of(outage))
        self._observer = None
        if self._lock.holder is self:
            self._lock.holder = None

    def _flush(self) -> None:
        if not self._outbox:
            return
        try:
            self._wire.append(list(self._outbox))
        except LogError:
            self._failing = True
        else:
            self._outbox.clear()
            # what was stored in part may have come late, and was dropped then
            self._again, self._failing = self._again or self._failing, False


class Group:
    """Who is given the partition: a member that falls silent loses it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.members: dict[str, float] = {}
        """When each was heard last."""
        self.owner = ""

    def heard(self, name: str) -> bool:
        """Hear a member, and tell whether the partition is its own."""
        now = self._clock.now
        self.members[name] = now
        for silent in [each for each, at in self.members.items() if now - at > SESSION_SECONDS]:
            del self.members[silent]
        if self.owner not in self.members:
            self.owner = name
        return self.owner == name


class Picked(NamedTuple):
    """An answer to a login."""

    phone_login: str
    degraded: bool
    by: str


class Controller(Stoppable):
    """A controller: the real clusters, committer and executor, between a log, a group and hands of the simulation's."""

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self, name: str, *, world: World, wire: Wire, group: Group, policy: Policy, hands: Hands, draw: Random
    ) -> None:
        super().__init__(name, world.clock)
        self._called = name
        self._world = world
        self._wire = wire
        self._group = group
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
        self._begin()

    def kill(self) -> None:
        """End at once."""
        self.dead = True
        self.commits = 0

    def _begin(self) -> None:
        self.clusters = Clusters(self.name, self.name, PARTITIONS, {CLUSTER: self.policy})
        self._tail = Tail(self._wire, TOPICS)
        self._outbox: deque[Entry] = deque()
        self._assigned = False
        self._assigned_at = -1e9
        self._claim: int | None = None
        self._claimed: int | None = None
        self._claim_again_at = 0.0
        self._owned = False
        self._queue: deque[Action] = deque()
        self._executor = Executor(
            CLUSTER,
            self.name,
            Actuators(
                self._hands, self._hands, self._hands, self.policy.dead_call_status, self.policy.moves_per_second
            ),
            objection=self._objection,
            report=lambda _action, _outcome: None,
            clock=self.now,
        )
        life = self.life
        if self.life:
            self._former.append(self._committer)
        self._committer: Committer = Committer(
            self.clusters,
            lambda _, entries: self._commit(entries, life),
            {CLUSTER: self} if self.policy.acts else {},
            lambda _: self._claim is not None,
            clock=self.now,
        )
        self.every(lambda: POLL_SECONDS, self._belong)
        self.every(lambda: self._draw.uniform(0.02, 0.12), self._follow)

    def now(self) -> float:
        """Tell the time of this process's monotonic clock."""
        return self.clock.now + self._ahead

    @property
    def view(self) -> Cluster | None:
        """What it knows of the cluster."""
        return self.clusters.by_name.get(CLUSTER)

    @property
    def decides(self) -> bool:
        """Tell whether it believes to own the cluster."""
        return self.view is not None and self.view.owned

    # --- belonging, following: as controller.runtime.follower does it with threads ---

    def _belong(self) -> None:
        if self._wire.up:
            self._assigned = self._group.heard(self.name)
            self._assigned_at = self.now()

    def _follow(self) -> None:
        live = self._tail.caught_up()
        news = [read(stored) for stored in self._tail.poll()]
        if self._owned and not (self._sure and self._assigned):
            self._own(owned=False)
        for at in range(0, len(news), SLICE):
            folded = self.clusters.fold(news[at : at + SLICE], self.now(), live=live)
            self._outbox.extend(folded.entries)
            self._committer.commit_plans(folded.plans)
        self._settle()
        if self._outbox:
            try:
                self._wire.append(list(self._outbox))
            except LogError:
                return
            self._outbox.clear()

    def _settle(self) -> None:
        if not self._assigned:
            self._claim = self._claimed = None
        if self._assigned and self._claim is None and self._claimed is None and self._sure and self._acts_now():
            try:
                self._claimed = self._wire.claim()
                self._tail.mark_end()
            except LogError:
                self._claim_again_at = self.now() + RETRY_SECONDS
        ended = self._tail.caught_up()
        owned = self._assigned and ended and self._sure
        if owned != self._owned:
            self._own(owned=owned)
        if self._claimed is not None and ended:
            self._claim, self._claimed = self._claimed, None

    @property
    def _sure(self) -> bool:
        return self.now() - self._assigned_at <= SURE_SECONDS

    def _own(self, *, owned: bool) -> None:
        self._owned = owned
        self.clusters.own(frozenset({PARTITION}) if owned else frozenset())
        self._world.note(f"controller {self.name} {'owns' if owned else 'owns no longer'}")

    def _acts_now(self) -> bool:
        return self.policy.acts and self.now() >= self._claim_again_at

    def _objection(self, action: Action) -> Reason | None:
        if self.view is None:
            return reason(ReasonCode.CLUSTER_UNKNOWN)
        return self.view.permit.objection(action, self.now(), self._not_owner())

    def _not_owner(self) -> Reason | None:
        if not self._sure or not self._assigned:
            return reason(ReasonCode.NOT_OWNER)
        return reason(ReasonCode.NOT_CLAIMED) if self._claim is None else None

    # --- deciding and acting --------------------------------------------------------------------------------------

    async def _commit(self, entries: Sequence[Entry], life: int) -> None:
        claim = self._claim
        if claim is None:
            raise LogUnavailableError("not claimed")
        self.commits += 1
        done: asyncio.Future[LogError | None] = asyncio.get_running_loop().create_future()

        def arrive() -> None:
            try:
                self._wire.append_claimed(claim, entries)
            except LogError as error:
                answer(error)
            else:
                answer(None)

        def answer(error: LogError | None) -> None:
            self.clock.after(self._draw.uniform(0.001, 0.02), lambda: self.awake(lambda: done.set_result(error)))

        self.clock.after(self._draw.uniform(0.001, 0.02), arrive)
        error = await done
        self.commits -= 1
        if error is not None:
            if self._claim == claim and self.life == life:
                self._claim = None
            raise error

    def submit(self, action: Action) -> None:
        """Take an action, as an executor does."""
        self._queue.append(action)
        if len(self._queue) == 1:
            self._plan_work()

    def _plan_work(self) -> None:
        takes = self._draw.uniform(0.3, 1.5) if self._world.slow else self._draw.uniform(0.005, 0.03)
        self.clock.after(takes, partial(self._work_of, self.life))

    def _work_of(self, life: int) -> None:
        if self.life == life:
            self.awake(self._work)

    def _work(self) -> None:
        self._hands.by = self.name
        action = self._queue[0]
        if (seconds := self._executor.wait_before(action)) > 0:
            self.clock.after(seconds + ROUNDING, partial(self._work_of, self.life))
            return
        self._committer.report(action, self._executor.carry_out(action))
        self._queue.popleft()
        if self._queue:
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
        picked, entries = view.pick(PickRequest(user, alias, "CAMP"))
        self._outbox.extend(entries)
        if isinstance(picked, Refused):
            return None
        return Picked(picked.slot.phone_login, not view.owned, self.name)

    def order(self, record: Entry) -> None:
        """Take a person's order to the log."""
        self._outbox.append(record)
