"""Simulated agents: the next action of an agent, as a pure function.

It depends on the agent's screen and habits, and on no database and no clock. The seeded random source is passed in, so
a seed repeats a whole day.
"""

from dataclasses import dataclass, field, replace
from enum import Enum, auto
from random import Random

Seconds = tuple[float, float]
"""The shortest and the longest of something."""

LOGOUT_ORDER = "LOGOUT"
"""The value of `vicidial_live_agents.external_pause` that logs an agent out; no other value does."""
_PAUSE_ORDER = "PAUSE"
_RESUME_ORDER = "RESUME"


class Phase(Enum):
    """The phase of an agent's work."""

    OUT = auto()
    PAUSED = auto()
    WAITING = auto()
    RINGING = auto()
    TALKING = auto()
    WRAPPING = auto()
    """After the call, before its disposition; VICIdial shows this as PAUSED."""


class Act(Enum):
    """The write that a decision of an agent needs."""

    LOG_IN = auto()
    LOG_OUT = auto()
    SHOW = auto()
    """Show the new phase in the agent's row."""


@dataclass(frozen=True, slots=True)
class Habits:
    """The times that an agent takes.

    Attributes:
        arrival: From the start of the simulation to the first login.
        settling: From a login to the first readiness.
        waiting: For a call, or for the agent to pause.
        pause_chance: Chance that waiting ends in a pause instead of a call.
        session: After this time the agent logs out of their own accord, between calls.
        away: From such a logout to the next login.
        relogin: From a logout by others, or from finding the session gone, to the next login.
        retry: From a refused login to the next attempt.
        notices_dead_call: Until the agent hangs up a call that died with its dialer; the screen does not show it.
    """

    arrival: Seconds = (0, 10)
    settling: Seconds = (1, 3)
    waiting: Seconds = (2, 15)
    ringing: Seconds = (0.5, 2)
    talking: Seconds = (10, 90)
    wrapping: Seconds = (2, 10)
    pausing: Seconds = (10, 60)
    pause_chance: float = 0.1
    session: Seconds = (900, 3600)
    away: Seconds = (5, 30)
    relogin: Seconds = (2, 6)
    retry: Seconds = (3, 8)
    notices_dead_call: Seconds = (20, 60)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent's phase, and when it ends."""

    phase: Phase
    until: float
    leaves_at: float = 0
    """When the agent will log out of their own accord."""
    told_to_leave: bool = False
    pause_due: bool = False
    """The screen was sent a pause during a call."""
    obeyed: str = ""
    """The last pause or resume from others: each is obeyed once."""
    hangs_up_at: float | None = None
    """When the agent will notice that the call is dead."""


@dataclass(frozen=True, slots=True)
class Screen:
    """The facts that the agent's screen read from the database at its last poll."""

    session_open: bool = True
    """The agent's row is still there."""
    calls_run: bool = True
    """The dialers of the agent and of the call still carry calls."""
    external_pause: str = ""
    external_hangup: str = ""
    external_status: str = ""


Decision = tuple[Agent, Act | None]


@dataclass(frozen=True, slots=True)
class Mind:
    """One agent's habits and random source."""

    habits: Habits
    draw: Random = field(repr=False)

    def arrives(self, now: float) -> Agent:
        """Start logged out, on the way in."""
        return Agent(Phase.OUT, self._after(now, self.habits.arrival))

    def begins(self, now: float) -> Agent:
        """Start logged in, somewhere in a session."""
        return Agent(Phase.PAUSED, self._after(now, self.habits.waiting), self._after(now, self.habits.session))

    def refused(self, now: float) -> Agent:
        """Retry later, since the login was refused."""
        return Agent(Phase.OUT, self._after(now, self.habits.retry))

    def decide(self, agent: Agent, screen: Screen, now: float) -> Decision:
        """Return the agent's next state and action at this poll of the screen."""
        if agent.phase is not Phase.OUT:
            if not screen.session_open:
                return self._gone(now, self.habits.relogin), None
            agent = self._obey(agent, screen, now)
            returns_after = self._leaves(agent, now)
            if returns_after is not None:
                return self._gone(now, returns_after), Act.LOG_OUT
        match agent.phase:
            case Phase.OUT:
                decision = self._arrival(agent, now)
            case Phase.PAUSED:
                decision = self._ends_pause(agent, now)
            case Phase.WAITING:
                decision = self._waits(agent, screen, now)
            case Phase.RINGING:
                done = screen.calls_run and now >= agent.until
                decision = self._to(agent, Phase.TALKING, now) if done else (agent, None)
            case Phase.TALKING:
                decision = self._talks(agent, screen, now)
            case Phase.WRAPPING:
                decision = self._wraps_up(agent, screen, now)
        return decision

    def _leaves(self, agent: Agent, now: float) -> Seconds | None:
        """Return how long the agent stays away if they log out now, or None; a call is finished first."""
        if agent.told_to_leave and agent.phase not in {Phase.TALKING, Phase.WRAPPING}:
            return self.habits.relogin
        if agent.phase in {Phase.PAUSED, Phase.WAITING} and now >= agent.leaves_at:
            return self.habits.away
        return None

    def _arrival(self, agent: Agent, now: float) -> Decision:
        if now < agent.until:
            return agent, None
        leaves_at = self._after(now, self.habits.session)
        return Agent(Phase.PAUSED, self._after(now, self.habits.settling), leaves_at), Act.LOG_IN

    def _obey(self, agent: Agent, screen: Screen, now: float) -> Agent:
        """Return the agent after what others wrote to `external_pause`."""
        order = screen.external_pause
        if order == LOGOUT_ORDER:
            return replace(agent, told_to_leave=True)
        if not order or order == agent.obeyed:
            return agent
        agent = replace(agent, obeyed=order, pause_due=order.startswith(_PAUSE_ORDER))
        if order.startswith(_RESUME_ORDER) and agent.phase is Phase.PAUSED:
            return replace(agent, until=now)
        return agent

    def _ends_pause(self, agent: Agent, now: float) -> Decision:
        if agent.pause_due:
            return replace(agent, pause_due=False, until=self._after(now, self.habits.pausing)), None
        return self._to(agent, Phase.WAITING, now) if now >= agent.until else (agent, None)

    def _waits(self, agent: Agent, screen: Screen, now: float) -> Decision:
        if agent.pause_due:
            return self._to(agent, Phase.PAUSED, now)
        if now < agent.until:
            return agent, None
        if self.draw.random() < self.habits.pause_chance:
            return self._to(agent, Phase.PAUSED, now)
        if not screen.calls_run:
            return replace(agent, until=self._after(now, self.habits.waiting)), None
        return self._to(agent, Phase.RINGING, now)

    def _talks(self, agent: Agent, screen: Screen, now: float) -> Decision:
        if screen.external_hangup:
            return self._to(agent, Phase.WRAPPING, now)
        if agent.hangs_up_at is None and not screen.calls_run:
            return replace(agent, hangs_up_at=self._after(now, self.habits.notices_dead_call)), None
        ends_at = agent.until if agent.hangs_up_at is None else agent.hangs_up_at
        return self._to(agent, Phase.WRAPPING, now) if now >= ends_at else (agent, None)

    def _wraps_up(self, agent: Agent, screen: Screen, now: float) -> Decision:
        if now < agent.until and not screen.external_status:
            return agent, None
        if agent.told_to_leave:
            return self._gone(now, self.habits.relogin), Act.LOG_OUT
        return self._to(agent, Phase.PAUSED if agent.pause_due else Phase.WAITING, now)

    def _to(self, agent: Agent, phase: Phase, now: float) -> Decision:
        lasts = {
            Phase.PAUSED: self.habits.pausing,
            Phase.WAITING: self.habits.waiting,
            Phase.RINGING: self.habits.ringing,
            Phase.TALKING: self.habits.talking,
            Phase.WRAPPING: self.habits.wrapping,
        }[phase]
        moved = replace(
            agent,
            phase=phase,
            until=self._after(now, lasts),
            pause_due=agent.pause_due and phase is not Phase.PAUSED,
            hangs_up_at=None,
        )
        return moved, Act.SHOW

    def _gone(self, now: float, until: Seconds) -> Agent:
        return Agent(Phase.OUT, self._after(now, until))

    def _after(self, now: float, lasts: Seconds) -> float:
        return now + self.draw.uniform(*lasts)
