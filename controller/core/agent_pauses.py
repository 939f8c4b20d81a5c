"""Keeping calls away from agents who cannot hear them. Pure.

VICIdial's routing goes on choosing agents who wait for calls on a dead dialer. Who is not logged out at once, because
moves are paced or because there is nowhere to go, is paused until they are moved, or until the dialer is back; then
the pause is taken back, unless somebody has paused or resumed them since.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from controller.core.actions import ONLY_ADVISES, Step
from controller.core.detector import doubt_about
from controller.core.state import ClusterState
from messages.records import AgentSession, AgentStatus, AgentPause, AgentPauseStage, Incident, Relogin, ReloginStage

WAITING = {AgentStatus.READY, AgentStatus.CLOSER}
"""Calls are sent to agents with these."""
UNDER_WAY_SECONDS = 10.0
"""What an executor was given it has done by then, or it was kept from it."""
_LEAVING = {ReloginStage.ADVISED, ReloginStage.PLANNED, ReloginStage.SENT}


@dataclass(frozen=True, slots=True)
class Holding:
    """Decides who is kept from calls, and who no longer.

    Attributes:
        state: As of the latest poll.
        relogins: The moves, with those that were decided just now.
        dead: The open incidents of dialers that are down, by id.
        by: The process that decides.
    """

    state: ClusterState
    relogins: Mapping[int, Relogin]
    dead: Mapping[str, Incident]
    by: str

    def steps(self, *, acts: bool, withheld: str) -> Iterator[Step]:
        """Decide; `acts`: it is done, and not only advised; `withheld`: why nothing may be done now."""
        sessions = {each.live_agent_id: each for each in self.state.agents.values()}
        for hold in self.state.agent_pauses.values():
            step = self._reconsider(hold, sessions.get(hold.live_agent_id))
            if step is not None:
                yield step
        if withheld:
            return
        for incident in self.dead.values():
            if doubt_about(self.state, incident.server_ip):
                continue
            for session in sessions.values():
                if session.server_ip == incident.server_ip and self._is_to_be_held(session):
                    yield self._new(session, incident, acts=acts)

    def _is_to_be_held(self, session: AgentSession) -> bool:
        return (
            session.status in WAITING
            and not session.remote
            and session.live_agent_id not in self.state.agent_pauses
            and not self._is_leaving(session.live_agent_id)
        )

    def _is_leaving(self, live_agent_id: int) -> bool:
        move, before = self.relogins.get(live_agent_id), self.state.relogins.get(live_agent_id)
        # a move that was only ordered can be withdrawn; a screen that was told to log out will
        told = before is not None and before.stage is ReloginStage.SENT
        return told or (move is not None and move.stage in _LEAVING)

    def _new(self, session: AgentSession, incident: Incident, *, acts: bool) -> Step:
        hold = AgentPause(
            cluster=self.state.cluster,
            live_agent_id=session.live_agent_id,
            user=session.user,
            incident=incident.incident,
            server_ip=session.server_ip,
            stage=AgentPauseStage.PLANNED if acts else AgentPauseStage.ADVISED,
            changed_at_ms=self.state.observed_at_ms,
            by=self.by,
        )
        what = "ordered a pause" if acts else f"would have ordered a pause{ONLY_ADVISES}"
        return Step(hold, what, f"calls are sent to an agent on a dead dialer: {incident.why}")

    def _reconsider(self, hold: AgentPause, session: AgentSession | None) -> Step | None:
        if session is None or session.server_ip != hold.server_ip:
            return Step(hold, "", over=True)
        if hold.stage is AgentPauseStage.RESUMING:
            return None
        if hold.incident not in self.dead:
            return self._release(hold)
        if hold.stage is AgentPauseStage.PAUSED:
            if session.status is AgentStatus.PAUSED and not hold.seen:
                return Step(self._changed(hold, seen=True), "")
            if hold.seen and session.status in WAITING:
                # whoever did that knows better; pausing them again would be a quarrel
                why = "somebody made the agent ready again"
                return Step(self._changed(hold, stage=AgentPauseStage.GIVEN_UP), "gave a pause up", why)
        return None

    def _release(self, hold: AgentPause) -> Step | None:
        if hold.stage in {AgentPauseStage.ADVISED, AgentPauseStage.GIVEN_UP} or self._is_leaving(hold.live_agent_id):
            return Step(hold, "", over=True)
        if hold.stage is AgentPauseStage.PLANNED:
            # it may be under way: what became of it decides whether there is something to take back
            late = self.state.observed_at_ms - hold.changed_at_ms > UNDER_WAY_SECONDS * 1000
            return Step(hold, "withdrew a pause", "the dialer is not down any more", over=True) if late else None
        if hold.stage is AgentPauseStage.PAUSED and not hold.mark:
            return Step(hold, "did not take a pause back", "it is not known whether the pause is hotdesk's", over=True)
        why = "the dialer is not down any more, and the agent is still there"
        return Step(self._changed(hold, stage=AgentPauseStage.RESUMING), "ordered a pause taken back", why)

    def _changed(self, hold: AgentPause, **changes: object) -> AgentPause:
        return msgspec.structs.replace(hold, changed_at_ms=self.state.observed_at_ms, by=self.by, **changes)
