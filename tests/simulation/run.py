"""One seed: a cluster, hotdesk, some faults, and whether everything that must hold has held."""

from random import Random
from typing import NamedTuple

from controller.core.policy import Policy
from tests.simulation.collecting import Database
from tests.simulation.controlling import Group
from tests.simulation.faults import Stage
from tests.simulation.hands import Hands
from tests.simulation.running import end_tasks, pass_until, run_silently, two_of_each
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
PHONE_DEAD = 4
"""Of so many seeds, the one in which an agent's phone is off."""
ONE_BY_ONE = 3
"""Of seven seeds, the one in which heartbeats come back one by one."""
EVERY, LONG, QUIET_SECONDS = 200, 20, 10_800.0
"""Of so many seeds, the one with a second round of faults after this time: what hotdesk remembers for ten minutes is
forgotten by then, and what it must not forget is not."""
SETTLES_SECONDS = 60.0
"""How long before the lull."""


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


class _Simulation:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._draw = draw = Random(seed)  # noqa: S311 # it must repeat
        self._clock = Clock()
        self._timeline: list[str] = []
        self._faults = 0
        ips = [f"10.0.0.{number}" for number in range(1, draw.choice([3, 4, 4, 5]) + 1)]
        agents = draw.randint(6, 14)
        self._world = World(
            clock=self._clock,
            draw=draw,
            dialers={ip: Dialer(ip, born=self._clock.now) for ip in ips},
            agents={str(user): Agent(str(user), f"desk{user}") for user in range(1001, 1001 + agents)},
            note=self._note,
            choose=self._choose,
        )
        for user, server_ip in zip(REMOTE_AGENTS, ips, strict=False):
            self._world.add_remote(user, server_ip)
        if seed % PHONE_DEAD == 1:
            next(iter(self._world.agents.values())).phone_dead = True
        probes = draw.random() < 0.5
        kinds = KINDS[seed % len(KINDS)]
        self._world.kinds, self._world.sip_is_paced = kinds, "sip" in kinds
        self._world.tells_start = probes and "ami" in kinds
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
        wire, group, database = Wire(self._clock, draw), Group(self._clock, draw), Database(self._world)
        self._watch = Watch(self._world, wire, group, policy, probes=probes)
        names_user = draw.random() < 0.4
        hands = Hands(self._world, draw, self._watch, names_user=names_user)
        collectors, self._controllers = two_of_each(
            self._world, wire, group, database, draw, policy=policy, hands=hands, seen=self._watch, probes=probes
        )
        self._watch.controllers = self._controllers
        self._stage = Stage(
            self._world,
            wire,
            group,
            database,
            self._watch,
            collectors,
            self._controllers,
            draw,
            probes=probes,
            one_by_one=seed % 7 == ONE_BY_ONE,
        )
        self._note(f"seed {seed}: {len(ips)} dialers, {agents} agents, probes {probes}, by name {names_user}")
        self._note(f"{policy}")

    async def run(self) -> Report:
        """Calm, faults, calm again."""
        broken, began = "", self._clock.now
        try:
            self._world.start()
            await self._until(CALM_SECONDS)
            await self._go_wrong()
            if self._seed % EVERY == LONG:
                await self._until(SETTLES_SECONDS)
                self._clock.lull = True
                await self._until(QUIET_SECONDS)
                self._clock.lull = False
                await self._until(SETTLES_SECONDS)
                await self._go_wrong()
            self._stage.heal()
            self._world.look()
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
            self._stage.begin()
            self._faults += 1
        await self._until(began + FAULT_SECONDS - self._clock.now)

    async def _come_home(self) -> None:
        until = self._clock.now + HOME_SECONDS
        while (missing := self._watch.home()) and self._clock.now < until:
            await self._until(1.0)
            self._stage.people_look_at_fences()
        if missing:
            raise BrokenError(Invariant.STRANDED, f"{HOME_SECONDS:.0f} s after everything healed, {missing}")

    async def _come_to_rest(self) -> None:
        # a slot that was released by the last decision ends with the poll after it
        await self._until(1.0)
        for collector in self._stage.collectors:
            collector.kill()
        await self._until(3.0)
        self._watch.at_rest()

    async def _until(self, seconds: float) -> None:
        """Let that much time pass."""
        await pass_until(self._clock.now + seconds, self._clock, self._controllers, self._watch.look)

    def _choose(self, user: str, alias: str) -> str | None:
        """Ask hotdesk as the login hook does: any of its processes, once."""
        asked = self._draw.choice(self._controllers)
        if not asked.answers:
            return None
        picked = asked.pick(user, alias, self._controllers)
        if picked is None:
            return None
        self._watch.picked(user, picked)
        return picked.phone_login

    def _note(self, what: str) -> None:
        self._timeline.append(f"{self._clock.now - 1000:8.2f}  {what}")
