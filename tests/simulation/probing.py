"""Probes by SIP as a collector sends them: the real pacing decides when, and each answer takes a while."""

from collections.abc import Callable, Collection, Mapping
from random import Random

from collectors.probes.pacing import Pacing, wavering
from collectors.probes.prober import FAILS, KIND_AMI, KIND_SIP, TIMEOUT_SECONDS
from messages.records import ProbeResult, ServerIp
from tests.simulation.world import World

ANSWER = (0.001, 0.05)
"""How long an answer takes, and a refusal: from, to."""

Probes = Mapping[ServerIp, Mapping[str, ProbeResult]]


class SipProbes:
    """What one collector's process knows by SIP. It outlives the terms, as the real one's counts do."""

    def __init__(self, world: World, draw: Random, clock: Callable[[], float]) -> None:
        self._world = world
        self._draw = draw
        self._clock = clock
        self._pacing = Pacing()
        self._still: frozenset[ServerIp] = frozenset()
        self._once_alive: set[ServerIp] = set()
        """The dialers whose AMI has been alive: only those can waver."""

    def begin_term(self) -> None:
        """Doubt anew what was doubted in an earlier term."""
        self._still, self._once_alive = frozenset(), set()
        self._pacing.doubt(self._clock(), {})

    def add_to(self, probes: Probes) -> Probes:
        """Return the results of the other probes, and what stands by SIP."""
        now = self._clock()
        self._pacing.watch(self._world.dialers)
        self._once_alive |= {ip for ip, each in probes.items() if each.get(KIND_AMI) is ProbeResult.ALIVE}
        self._note_doubts(probes)
        self._ask()
        found = self._pacing.results(now)
        by_sip = {ip: {KIND_SIP: found[ip]} if ip in found else {} for ip in self._world.dialers}
        return {ip: {**probes.get(ip, {}), **by_sip[ip]} for ip in by_sip}

    def doubt(self, still: Collection[ServerIp], probes: Probes) -> None:
        """Record the dialers whose heartbeat stands still now."""
        self._still = frozenset(still)
        self._note_doubts(probes)
        self._ask()

    def _note_doubts(self, probes: Probes) -> None:
        found = {ip: probes.get(ip, {}).get(KIND_AMI) for ip in self._once_alive}
        alive = {ip for ip, result in found.items() if result is ProbeResult.ALIVE}
        fails = {ip for ip, result in found.items() if result in FAILS}
        self._pacing.doubt(self._clock(), wavering(self._still, ami_alive=alive, ami_fails=fails))

    def _ask(self) -> None:
        for server_ip in self._pacing.ask(self._clock()):
            result = self._world.by_sip(server_ip)
            seconds = TIMEOUT_SECONDS if result is ProbeResult.MUTE else self._draw.uniform(*ANSWER)
            self._world.clock.after(seconds, lambda ip=server_ip, says=result: self._hear(ip, says))  # type: ignore[misc]

    def _hear(self, server_ip: ServerIp, result: ProbeResult) -> None:
        self._pacing.heard(self._clock(), server_ip, result)
