"""One seed: a cluster or two, hotdesk, some faults, and whether everything that must hold has held."""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import NamedTuple

from controller.core.policy import Policy
from messages.records import Grouping
from messages.topics import partition_of
from tests.simulation.apart import Apart
from tests.simulation.calm import NIGHT, Calm, calm_of
from tests.simulation.collecting import Collector, Database
from tests.simulation.controlling import Controller, Group
from tests.simulation.faults import Stage
from tests.simulation.hands import Hands
from tests.simulation.processes import CLUSTER
from tests.simulation.running import end_tasks, pass_until, run_silently, two_collectors, two_controllers
from tests.simulation.setup import ClusterSetup
from tests.simulation.watch import BrokenError, Watch
from tests.simulation.wire import Wire
from tests.simulation.world import Agent, Clock, Dialer, World
from tests.support.invariants import Invariant

CALM_SECONDS = 12.0
"""Before the first fault: everybody logs in, and every heartbeat is seen to advance."""
FAULT_SECONDS = 35.0
HOME_SECONDS = 190.0
"""After the last fault has ended: longest of all takes an agent whose screen was told three times and did not hear."""
LAST_LINES = 60
REMOTE_AGENTS = ("9001", "9002")
OTHER = "east"
NETWORK, OTHER_NETWORK = "10.0.0.", "10.1.0."
EVERY_SEVERAL, SEVERAL = 11, 6
"""Of so many seeds, the one with two clusters, if it has no calm."""
PHONES, PHONE_DEAD, PHONE_REFUSES = 4, 1, 3
"""Of so many seeds, the one in which an agent's phone is off, and the one in which it refuses a call."""
EVERY_GROUPED, GROUPED = 13, 9
"""Of so many seeds, the one whose campaign gathers its agents on a dialer, or on one after the other."""
ONE_BY_ONE = 3
"""Of seven seeds, the one in which heartbeats come back one by one."""
SETTLES_SECONDS = 60.0
"""How long before a calm, and after it."""


class Report(NamedTuple):
    """How a seed went."""

    seed: int
    faults: int
    seconds: float
    """How long it lasted on the virtual clock."""
    moves: int
    """LOGOUTs that reached a screen."""
    broken: str
    """What invariant does not hold, and why; empty: all hold."""
    timeline: list[str]

    def story(self) -> str:
        """Return its story, for people."""
        return "\n".join([*self.timeline, "" if self.broken else "nothing is broken"])


KINDS = (("ami",), ("ami", "sip"), ("sip",))
"""The probes of one seed after the other, where there are any."""


def simulate(seed: int) -> Report:
    """Run one seed to its end, or until something is broken."""
    return run_silently(_Simulation(seed).run)


class _Cluster(NamedTuple):
    """A cluster, and what is needed to play it."""

    setup: ClusterSetup
    watch: Watch
    database: Database
    probes: bool
    one_by_one: bool


class _Simulation:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._draw = draw = Random(seed)  # noqa: S311 # it must repeat
        self._clock = Clock()
        self._timeline: list[str] = []
        self._faults = 0
        self._calm = calm_of(seed)
        several = seed % EVERY_SEVERAL == SEVERAL and self._calm is None
        partitions = draw.choice([1, 2, 2, 2]) if several else 1
        twins = several and draw.random() < 0.5
        wires = [Wire(self._clock, draw, partition=each) for each in range(partitions)]
        group = Group(self._clock, draw, partitions)
        few = several or self._calm is NIGHT
        clusters = [self._build(CLUSTER, seed, wires, group, few=few)]
        if several:
            clusters.append(self._build(OTHER, seed // EVERY_SEVERAL, wires, group, few=True, twin=twins))
        setups, watches = [each.setup for each in clusters], [each.watch for each in clusters]
        collectors = [
            two_collectors(
                each.setup,
                each.database,
                draw,
                probes=each.probes,
                prefix="" if each.setup.name == CLUSTER else f"{each.setup.name}-",
            )
            for each in clusters
        ]
        self._controllers = two_controllers(setups, group, draw)
        self._stages = [
            Stage(
                each.setup.world,
                each.setup.wire,
                group,
                each.database,
                each.watch,
                of_cluster,
                self._controllers,
                draw,
                probes=each.probes,
                hands=each.setup.hands,
                watches=watches,
                one_by_one=each.one_by_one,
            )
            for each, of_cluster in zip(clusters, collectors, strict=True)
        ]
        self._apart: Apart | None = None
        if several:
            marks = {CLUSTER: [CLUSTER], OTHER: [OTHER]}
            if not twins:
                marks = {CLUSTER: [CLUSTER, NETWORK], OTHER: [OTHER, OTHER_NETWORK]}
            self._apart = Apart(self._stages, wires, marks)
        for watch in watches:
            watch.controllers = self._controllers
        for each in clusters:
            world, policy = each.setup.world, each.setup.policy
            of = f"{len(world.dialers)} dialers, {len(world.agents)} agents"
            by_name = each.setup.hands.names_user
            world.note(f"seed {seed}: {of}, probes {each.probes}, by name {by_name}")
            world.note(f"{policy}")

    def _build(  # noqa: PLR0913 # what it is made of, each once
        self, name: str, seed: int, wires: Sequence[Wire], group: Group, *, few: bool, twin: bool = True
    ) -> _Cluster:
        """Build a cluster. One that is a twin has the addresses and users of the first."""
        draw = self._draw
        network, first_name = (NETWORK, "") if twin else (OTHER_NETWORK, name)
        ips = [f"{network}{number}" for number in range(1, draw.choice([3, 3, 4] if few else [3, 4, 4, 5]) + 1)]
        agents = draw.randint(3, 6) if few else draw.randint(6, 14)
        users = [f"{first_name}{number}" for number in range(1001, 1001 + agents)]
        world = World(
            clock=self._clock,
            draw=draw,
            dialers={ip: Dialer(ip, born=self._clock.now) for ip in ips},
            agents={user: Agent(user, f"desk{user}") for user in users},
            note=self._note if name == CLUSTER else lambda what: self._note(f"{name}: {what}"),
            choose=partial(self._choose, name),
        )
        for user, server_ip in zip(REMOTE_AGENTS, ips, strict=False):
            world.add_remote(f"{first_name}{user}", server_ip)
        first = next(iter(world.agents.values()))
        first.phone_dead, first.one_line = seed % PHONES == PHONE_DEAD, seed % PHONES == PHONE_REFUSES
        if seed % EVERY_GROUPED == GROUPED:
            world.grouping = (Grouping.ONE_SERVER_ONLY, Grouping.CASCADING)[seed % 2]
            world.grouping_limit = agents // 2
        world.older_updaters = seed % 2 == 0
        probes = draw.random() < 0.5
        kinds = KINDS[seed % len(KINDS)]
        world.kinds, world.sip_is_paced = kinds, "sip" in kinds
        world.tells_start = probes and "ami" in kinds
        policy = Policy(
            acts=draw.random() < 0.93,
            dead_call_status="DROP",
            moves_per_second=draw.choice([10.0, 10.0, 2.0]),
            max_agents=draw.choice([None, None, agents // (len(ips) - 1) + 1]),
            emergency_logout=draw.random() < 0.3,
            fence=draw.random() < 0.3,
            act_on_heartbeat_alone=not probes,
            calls_phones=seed % 2 == 1,
        )
        wire = wires[partition_of(name, len(wires))]
        watch = Watch(world, wire, group, policy, probes=probes, cluster=name)
        hands = Hands(world, draw, watch, names_user=draw.random() < 0.4)
        setup = ClusterSetup(world, wire, policy, hands, seen=watch, name=name)
        return _Cluster(setup, watch, Database(world), probes, one_by_one=seed % 7 == ONE_BY_ONE)

    async def run(self) -> Report:
        """Calm, faults, calm again."""
        broken, began = "", self._clock.now
        try:
            for each in self._stages:
                each.world.start()
            await self._until(CALM_SECONDS)
            await self._go_wrong()
            if self._calm is not None:
                await self._until(SETTLES_SECONDS)
                await self._rest(self._calm)
                await self._until(SETTLES_SECONDS)
                await self._go_wrong()
            for each in self._stages:
                each.heal()
                each.world.look()
            self._note("-- everything heals")
            await self._come_home()
            await self._come_to_rest()
        except BrokenError as error:
            broken = str(error)
            self._note(f"-- broken: {error}")
        await end_tasks()
        moves = sum("LOGOUT" in line for line in self._timeline)
        return Report(self._seed, self._faults, self._clock.now - began, moves, broken, self._timeline)

    async def _go_wrong(self) -> None:
        moments = sorted(self._draw.uniform(0, FAULT_SECONDS) for _ in range(self._draw.randint(2, 7)))
        began = self._clock.now
        for moment in moments:
            await self._until(began + moment - self._clock.now)
            stage = self._stages[0] if len(self._stages) == 1 else self._draw.choice(self._stages)
            stage.begin()
            self._faults += 1
        await self._until(began + FAULT_SECONDS - self._clock.now)

    async def _rest(self, calm: Calm) -> None:
        away: list[Collector | Controller] = []
        if calm.alone:
            away.append(self._draw.choice(self._controllers))
            away += [self._draw.choice(each.collectors) for each in self._stages]
        for each in away:
            each.kill()
        self._clock.calm = calm
        await self._until(calm.seconds)
        self._clock.calm = None
        for each in away:
            each.start()

    async def _come_home(self) -> None:
        until = self._clock.now + HOME_SECONDS
        while (missing := self._missing()) and self._clock.now < until:
            await self._until(1.0)
        if missing:
            raise BrokenError(Invariant.STRANDED, f"{HOME_SECONDS:.0f} s after everything healed, {missing}")

    async def _come_to_rest(self) -> None:
        # a slot that was released by the last decision ends with the poll after it
        await self._until(1.0)
        for stage in self._stages:
            for collector in stage.collectors:
                collector.kill()
        if self._apart is not None:
            self._apart.over = True
        await self._until(3.0)
        for stage in self._stages:
            stage.watch.at_rest()
        if self._apart is not None:
            self._apart.at_rest()

    def _missing(self) -> str:
        """Return what keeps a cluster from being as it should be; empty: nothing."""
        return next(filter(None, (each.watch.home() for each in self._stages)), "")

    def _look(self) -> None:
        for each in self._stages:
            each.watch.look()
        if self._apart is not None:
            self._apart.look()

    async def _until(self, seconds: float) -> None:
        """Let that much time pass."""
        await pass_until(self._clock.now + seconds, self._clock, self._controllers, self._look)

    def _choose(self, cluster: str, user: str, alias: str) -> str | None:
        """Ask hotdesk as the login hook does: any of its processes, once."""
        asked = self._draw.choice(self._controllers)
        if not asked.answers:
            return None
        picked = asked.pick(user, alias, self._controllers, cluster)
        if picked is None:
            return None
        next(each.watch for each in self._stages if each.watch.cluster == cluster).picked(user, picked)
        return picked.phone_login

    def _note(self, what: str) -> None:
        self._timeline.append(f"{self._clock.now - 1000:8.2f}  {what}")
