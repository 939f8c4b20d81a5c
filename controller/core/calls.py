"""Agents' calls: may a call be alive, and has its agent still to choose a disposition? Pure.

A call that may be alive is never ended, and no disposition is lost that its agent would have chosen.
"""

from controller.core.actions.relogin import IN_CALL, LOGOUT
from controller.core.detector import began_after_restart, call_began_after_restart, heard_again, is_dead
from controller.core.plan import PlanBuilder
from messages.records import AgentPauseStage, AgentSession, AgentStatus, NotMoved, ServerIp

WAITING = {AgentStatus.READY, AgentStatus.CLOSER}
"""Statuses of agents to whom VICIdial sends calls."""
NO_SCREEN_SECONDS = 1800.0
"""A screen that has been silent for this long will not end the call that VICIdial shows there: its browser is gone."""
SETTLED_SECONDS = 2.0
"""VICIdial's screen makes an agent ready within this time of a disposition, unless they wanted to be paused."""
DEAD_WRAPUP_SECONDS = 20.0
"""How long an agent may take to choose a disposition once the call is over, or the dialer dead."""


class Calls:
    """The calls of a cluster's agents, as one plan sees them."""

    def __init__(self, plan: PlanBuilder) -> None:
        self._plan = plan

    def waits(self, session: AgentSession) -> bool:
        """Return True if an agent waits for calls, or does not do so only because hotdesk has yet to give that back."""
        decided = self._plan.state.decided
        pause, arrival = decided.agent_pauses.get(session.live_agent_id), decided.arrivals.get(session.live_agent_id)
        paused = pause is not None and pause.stage in {AgentPauseStage.PLANNED, AgentPauseStage.PAUSED}
        return session.status in WAITING or paused or (arrival is not None and arrival.resume)

    def why_busy(self, session: AgentSession) -> NotMoved | None:
        """Return why an agent must not be logged out yet: a call that may be alive, or a disposition to choose."""
        if session.status in IN_CALL:
            return NotMoved.IN_CALL if self.lives(session) and not self._has_no_screen(session) else None
        if session.external_pause == LOGOUT:
            return NotMoved.LEAVING
        return NotMoved.IN_WRAPUP if session.in_wrapup and not self.wrapup_is_over(session) else None

    def _has_no_screen(self, session: AgentSession) -> bool:
        """Return True if the screen of a call has been silent for so long that its agent cannot end the call there."""
        since_ms = session.screen_silent_since_ms
        return since_ms is not None and self._plan.now_ms - since_ms >= NO_SCREEN_SECONDS * 1000

    def settles(self, session: AgentSession) -> bool:
        """Return True if an agent became paused just now, and may be ready in a moment: they would come back paused."""
        young = self._plan.now_ms - self._plan.state.observed.began_ms(session) < SETTLED_SECONDS * 1000
        paused = session.status is AgentStatus.PAUSED and not session.in_wrapup
        return young and paused and not self.waits(session)

    def wrapup_is_over(self, session: AgentSession) -> bool:
        """Return True if an agent has had their time to choose a disposition."""
        plan, since_ms = self._plan, self._plan.state.observed.began_ms(session)
        if self.lives(session):
            return plan.now_ms - since_ms >= plan.policy.wrapup_seconds * 1000
        health = plan.state.observed.health.dialers.get(session.server_ip)
        died_ms = since_ms if health is None else health.life_since_ms
        return plan.now_ms - max(since_ms, died_ms) >= DEAD_WRAPUP_SECONDS * 1000

    def lives(self, session: AgentSession) -> bool:
        """Return True if an agent's call may be alive."""
        state = self._plan.state
        if self.dialer_lives(session.server_ip) or began_after_restart(state, session) or heard_again(state, session):
            return True
        return session.status in IN_CALL and call_began_after_restart(state, session)

    def dialer_lives(self, server_ip: ServerIp) -> bool:
        """Return True if calls on a dialer may be alive: a stalled heartbeat alone does not show that they are not.

        Nor does it that the dialer was down a moment ago, and is not up yet.
        """
        health = self._plan.state.observed.health.dialers.get(server_ip)
        return health is None or not is_dead(health)
