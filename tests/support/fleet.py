"""One fleet of dialers, judged poll by poll on a clock that the test turns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.core.detector import judge_fleet
from controller.core.orders import Orders
from controller.core.policy import Policy
from messages.beats import advances, beats
from messages.records import (
    AgentSession,
    DialerHealth,
    DialerReading,
    FleetHealth,
    Heartbeat,
    Poll,
    ProbeResult,
)
from tests.support.builders import CLUSTER, NOW_MS

TICK_MS = 500
SEEN_TO_WORK_MS = 2500
"""From the last advance of a heartbeat until work can first be seen: the doubt, a first count and a second one."""
FOUR = "10.0.0.4"
ALIVE, MUTE, REFUSED, CUT, DENIED = (
    ProbeResult.ALIVE,
    ProbeResult.MUTE,
    ProbeResult.REFUSED,
    ProbeResult.UNREACHABLE,
    ProbeResult.DENIED,
)


@dataclass
class Sim:
    """One dialer as the tests turn it."""

    beats: bool = True
    steps_seconds: float | None = None
    """How often the heartbeat advances; None: at each poll."""
    row: bool = True
    listed: bool = True
    """It has a row in `servers`."""
    asterisk: bool = True
    started: str = ""
    restarted_after_ms: int | None = None
    works_seconds: float | None = None
    """How often it is seen to work once its heartbeat is in doubt; None: never."""
    worked_at_ms: int | None = None
    active: bool = True
    agent_logins: bool = True
    probes: dict[str, ProbeResult] = field(default_factory=dict)
    progressed_at_ms: int | None = None
    watched_since_ms: int | None = None
    advances: tuple[int, ...] = ()
    doubted: bool = False
    """As a collector doubts it: until it beats again."""


class Fleet:
    """A cluster whose time the test turns on, half a second a poll."""

    def __init__(self, *server_ips: str, probes: Mapping[str, ProbeResult] | None = None) -> None:
        self.sims = {server_ip: Sim(probes=dict(probes or {})) for server_ip in server_ips}
        self.orders = Orders()
        self.policy = Policy()
        self.health = FleetHealth()
        self.sessions: list[AgentSession] = []
        self.now_ms = NOW_MS
        self.epoch = 1

    def __getitem__(self, server_ip: str) -> Sim:
        return self.sims[server_ip]

    def poll(self) -> None:
        """Let one more poll be judged."""
        self.now_ms += TICK_MS
        dialers = tuple(self._reading(server_ip, sim) for server_ip, sim in self.sims.items() if sim.listed)
        poll = Poll(
            cluster=CLUSTER,
            epoch=self.epoch,
            sequence=1,
            observed_at_ms=self.now_ms,
            full_sequence=None,
            collector="c",
            dialers=dialers,
        )
        self.health = judge_fleet(self.health, poll, self.policy, self.orders, sessions=self.sessions)

    def run(self, seconds: float) -> "Fleet":
        """Let the polls of so many seconds be judged."""
        for _ in range(round(seconds * 1000 / TICK_MS)):
            self.poll()
        return self

    def sleep(self, seconds: float) -> None:
        """Let time go by without polls, as when the collector is stopped; living dialers go on."""
        self.now_ms += round(seconds * 1000)

    def take_over(self) -> None:
        """Let another collector begin a new epoch: it has seen no heartbeat yet."""
        self.epoch += 1
        for sim in self.sims.values():
            sim.progressed_at_ms = sim.watched_since_ms = None

    def of(self, server_ip: str) -> DialerHealth:
        """Return how a dialer is judged."""
        return self.health.dialers[server_ip]

    def state(self, server_ip: str) -> str:
        """Return a dialer's state."""
        return self.of(server_ip).state.value

    def seconds_until(self, server_ip: str, state: str, at_most: float = 60) -> float:
        """Return after how many seconds of polls a dialer is in a state."""
        for polls in range(round(at_most * 1000 / TICK_MS) + 1):
            if self.state(server_ip) == state:
                return polls * TICK_MS / 1000
            self.poll()
        raise AssertionError(f"{server_ip} is {self.state(server_ip)}, not {state}, after {at_most:g} s")

    def _reading(self, server_ip: str, sim: Sim) -> DialerReading:
        heartbeat = None
        if sim.row:
            if sim.watched_since_ms is None:
                sim.watched_since_ms = self.now_ms
            elif sim.beats and self.now_ms - (sim.progressed_at_ms or 0) >= (sim.steps_seconds or 0) * 1000:
                sim.progressed_at_ms = self.now_ms
            heartbeat = Heartbeat(
                progressed_at_ms=sim.progressed_at_ms, watched_since_ms=sim.watched_since_ms, age_seconds=0.5
            )
        sim.advances = advances(sim.advances, sim.progressed_at_ms, self.now_ms)
        still = sim.progressed_at_ms is None or self.now_ms - sim.progressed_at_ms >= SEEN_TO_WORK_MS
        sim.doubted = still or (sim.doubted and not beats(sim.advances))
        if not sim.doubted:
            sim.worked_at_ms = None
        elif sim.works_seconds is not None and self.now_ms - (sim.worked_at_ms or 0) >= sim.works_seconds * 1000:
            sim.worked_at_ms = self.now_ms
        return DialerReading(
            server_ip=server_ip,
            active=sim.active,
            agent_logins=sim.agent_logins,
            asterisk=sim.asterisk,
            heartbeat=heartbeat,
            rooms=10,
            rooms_free=10,
            probes=sim.probes,
            started=sim.started,
            restarted_after_ms=sim.restarted_after_ms,
            worked_at_ms=sim.worked_at_ms,
        )


def healthy(*server_ips: str, **probes: ProbeResult) -> Fleet:
    """Return a fleet that has been up for ten seconds, with these probes on each dialer."""
    return Fleet(*server_ips, probes=probes).run(10)


def die(fleet: Fleet, server_ip: str) -> None:
    """Let a dialer die, and be judged down."""
    for sim in fleet.sims.values():
        sim.probes = sim.probes or {"sip": ALIVE}
    fleet.poll()
    fleet[server_ip].beats, fleet[server_ip].probes = False, {"sip": CUT}
    fleet.seconds_until(server_ip, "down")


def come_back(fleet: Fleet, server_ip: str) -> None:
    """Let it work again."""
    fleet[server_ip].beats, fleet[server_ip].probes = True, {"sip": ALIVE}
