"""What a scenario did to people, counted by what is true in the cluster and not by what hotdesk knows."""

from collections import Counter
from collections.abc import Sequence

from controller.core.policy import Policy
from messages.codec import decode
from messages.codes import DecisionCode
from messages.records import AgentPause, Arrival, Decision, DialerState, Fence, FenceStage, Relogin
from messages.topics import Topic
from tests.simulation.controlling import Controller
from tests.simulation.processes import CLUSTER
from tests.simulation.wire import Claim, Wire
from tests.simulation.world import Agent, Live, World

KNOWN_AFTER_SECONDS = 20.0
"""A dialer that has been dead for longer than this is offered by mistake."""
NEVER = float("inf")
LISTED = {DecisionCode.NOT_MOVED, DecisionCode.MOVE_GIVEN_UP, DecisionCode.NOT_ARRIVED}


class Measure:
    """Counts. It is what the simulation's processes show their acts to."""

    def __init__(self, world: World, wire: Wire, policy: Policy) -> None:
        self._world = world
        self._wire = wire
        self._policy = policy
        self.controllers: Sequence[Controller] = ()
        self.logouts: list[tuple[float, str]] = []
        """When which user's screen was told to log out."""
        self._ended: set[int] = set()
        """The sessions that were told to log out, or ended."""
        self.false_logouts = 0
        self._calls: set[int] = set()
        """Calls that hotdesk ended; it may do that twice before a screen hears of it."""
        self.logins_lost = 0
        self.judged_down: set[str] = set()
        self.fenced: set[str] = set()
        self.paused: set[str] = set()
        self.braked = False
        self.silence = 0.0
        self.ready_unheard = 0.0
        self.undecided = 0.0
        self.calls_unheard = 0
        self.told: dict[str, str] = {}
        """By user who was told to log out: the dialer that they were to leave."""
        self.arrived_at: dict[str, float] = {}
        self._heard_at: dict[str, float] = {}
        """By agent who has heard something once: when that was last."""
        self._unready_at: dict[str, float] = {}
        self._decided_at = world.clock.now
        self._called_at: dict[int, float] = {}
        """By session: when VICIdial last sent it a call."""

    # --- `hands.Sees` and `processes.Sees` ---------------------------------------------------------------------------

    def claims(self, name: str, former: Claim | None) -> None:
        """Ignore a claim."""

    def ranks(self, name: str) -> None:
        """Ignore a ranking."""

    def decides(self, name: str, unknown: int) -> None:
        """Ignore decisions."""

    def polls(self, name: str, stamp: tuple[int, int], *, holds_lock: bool) -> None:
        """Ignore a poll."""

    def acts(self, name: str) -> None:
        """Ignore who acts."""

    def sending(self, relogin: Relogin) -> None:
        """Ignore what is only sent."""

    def logs_out(self, row: Live, relogin: Relogin, sent_at: float, *, hangs_up: bool) -> None:
        """Count a LOGOUT that reaches a session."""
        self.logged_out(row)
        if hangs_up:
            self.hangs_up(row)

    def logged_out(self, row: Live) -> None:
        """Count the end of a session, by whichever ways it came."""
        if row.live_agent_id in self._ended:
            return
        self._ended.add(row.live_agent_id)
        dialer, now = self._world.dialers[row.server_ip], self._world.clock.now
        self.logouts.append((now, row.user))
        self.told[row.user] = row.server_ip
        self.arrived_at.pop(row.user, None)
        wanted = not dialer.active or dialer.wanted_empty or (self._policy.move_on_closed and not dialer.logins)
        wanted = wanted or self._policy.in_maintenance(dialer.server_ip, round(self._world.clock.wall * 1000))
        heard = dialer.carries_calls and row.phone_at is not None
        self.false_logouts += heard and not wanted

    def hangs_up(self, row: Live) -> None:
        """Count a call that hotdesk ends."""
        if row.status == "INCALL":
            self._calls.add(row.lead_id)

    def pauses(self, row: Live, pause: AgentPause, sent_at: float) -> None:
        """Count an agent who is paused."""
        self.paused.add(row.user)

    def resumes(self, row: Live, action: AgentPause | Arrival, sent_at: float) -> None:
        """Ignore a pause that is taken back, and an agent who is to wait again."""

    def calls(self, row: Live, arrival: Arrival) -> None:
        """Ignore a phone that is called again."""

    def fences(self, fence: Fence) -> None:
        """Record a dialer that is closed to VICIdial's own logins, or opened again."""
        if fence.stage is FenceStage.PLANNED:
            self.fenced.add(fence.server_ip)
        self._world.dialers[fence.server_ip].fenced = fence.stage is FenceStage.PLANNED

    def ends(self, row: Live, relogin: Relogin) -> None:
        """Count an emergency logout."""
        self.logged_out(row)
        self.hangs_up(row)

    def picked(self, server_ip: str) -> None:
        """Count a login that hotdesk sends to a dead dialer."""
        dead_since = self._world.dialers[server_ip].dead_since
        if dead_since is not None and self._world.clock.now - dead_since > KNOWN_AFTER_SECONDS:
            self.logins_lost += 1

    # --- from time to time -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Record what hotdesk believes, and what each agent hears."""
        for controller in self.controllers:
            if controller.decides() and (view := controller.view()) is not None:
                health = view.state.observed.health
                self.braked |= health.brake is not None and health.bad_since_ms is not None
                down = {ip for ip, each in health.dialers.items() if DialerState.DOWN in (each.state, each.life)}
                self.judged_down |= down
        for agent in self._world.agents.values():
            self._look_at(agent)
        if any(each.answers and each.decides() and each.may_act(CLUSTER) for each in self.controllers):
            self._decided_at = self._world.clock.now
        self.undecided = max(self.undecided, self._world.clock.now - self._decided_at)

    def send_call(self) -> None:
        """Count a call, as VICIdial sends it: to the session that waits and was longest without one, heard or not."""
        ready = [row for row in self._world.rows.values() if row.status == "READY"]
        if not ready:
            return
        row = min(ready, key=lambda row: self._called_at.get(row.live_agent_id, 0.0))
        self._called_at[row.live_agent_id] = self._world.clock.now
        self.calls_unheard += not self._world.phone_is_there(row)

    def _look_at(self, agent: Agent) -> None:
        world, now, user = self._world, self._world.clock.now, agent.user
        row = None if agent.row_id is None else world.rows.get(agent.row_id)
        hears = world.hears(agent)
        if agent.back_at == NEVER:
            # they have gone home
            self._heard_at.pop(user, None)
        elif hears:
            self._heard_at[user] = now
            if row is not None and user in self.told and row.server_ip != self.told[user]:
                self.arrived_at.setdefault(user, now)
        elif user in self._heard_at:
            self.silence = max(self.silence, now - self._heard_at[user])
        if row is None or row.status != "READY" or user not in self._heard_at or hears:
            self._unready_at[user] = now
        self.ready_unheard = max(self.ready_unheard, now - self._unready_at.setdefault(user, now))

    # --- at the end --------------------------------------------------------------------------------------------------

    def calls_ended(self) -> int:
        """Return how many calls hotdesk ended."""
        return len(self._calls)

    def dispositions_lost(self) -> int:
        """Return how many dispositions no agent could choose any more."""
        return len(self._world.lost)

    def most_moves(self) -> int:
        """Return how often the user was logged out whom it hit most."""
        return max(Counter(user for _, user in self.logouts).values(), default=0)

    def arrived_seconds(self) -> float | None:
        """Return the time from the first logout to the last arrival; None: some have not arrived."""
        if not self.logouts:
            return 0.0
        if self.told.keys() - self.arrived_at.keys():
            return None
        return max(self.arrived_at.values()) - self.logouts[0][0]

    def still_unheard(self) -> int:
        """Return how many agents are on no dialer that works, or their phones in no room."""
        there = [each for each in self._world.agents.values() if each.back_at != NEVER]
        return sum(not self._world.hears(each) for each in there)

    def still_ready(self) -> int:
        """Return how many agents wait for calls."""
        return sum(each.status == "READY" for each in self._world.rows.values())

    def said(self, codes: set[DecisionCode]) -> int:
        """Return of how many agents or dialers the audit has one of these decisions."""
        audit = [decode(each.topic, each.value) for each in self._wire.topics[Topic.AUDIT] if each.value is not None]
        return len({each.subject for each in audit if isinstance(each, Decision) and each.code in codes})
