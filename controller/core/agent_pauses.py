"""Agent pauses: keep calls away from agents who cannot hear them. Pure.

VICIdial's routing goes on choosing agents who wait for calls on a dead dialer. An agent who is not logged out at once,
because moves are paced, because there is nowhere to go or because the fleet brake holds, is paused until they are
moved, or until the dialer is back; then the pause is taken back, unless a person has paused or resumed them since.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from controller.core.actions import ActionChange
from controller.core.calls import WAITING
from controller.core.decided import NOT_SENT
from controller.core.detector import began_after_restart, doubt_about, heard_again
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Reason, ReasonCode
from messages.records import AgentPause, AgentPauseStage, AgentSession, AgentStatus, Incident, Relogin, ReloginStage

UNDER_WAY_SECONDS = 10.0
"""By then an executor has carried an action out, or something has prevented it."""
RESTART_SECONDS = 120.0
"""An Asterisk that started again this long before a pause, or after it, is the one for which the agent was paused."""
_LEAVING = {*NOT_SENT, ReloginStage.SENT}


@dataclass(frozen=True, slots=True)
class AgentPausePlanner:
    """Plans agent pauses, and their end.

    Attributes:
        state: As of the latest poll.
        policy: The cluster's.
        relogins: The moves, with those just planned.
        dead: The open incidents of dialers that are down, by id.
        by: Name of the process that decides.
    """

    state: ClusterState
    policy: Policy
    relogins: Mapping[int, Relogin]
    dead: Mapping[str, Incident]
    by: str

    def changes(self, *, acts: bool, withheld: Reason | None) -> Iterator[ActionChange]:
        """Yield the changes of this poll; `acts`: they are carried out, not only advised; `withheld`: why none may."""
        sessions = {each.live_agent_id: each for each in self.state.observed.agents.values()}
        for pause in self.state.decided.agent_pauses.values():
            change = self._reconsider(pause, sessions.get(pause.live_agent_id))
            if change is not None:
                yield change
        if withheld is not None and withheld.code is not ReasonCode.FLEET_BRAKE:
            return
        for incident in self.dead.values():
            if doubt_about(self.state, self.policy, incident.server_ip) is not None:
                continue
            if withheld is not None and not incident.confirmed:
                continue
            for session in sessions.values():
                if session.server_ip == incident.server_ip and self._needs_pause(session, held=withheld is not None):
                    yield self._new(session, incident, acts=acts)

    def _needs_pause(self, session: AgentSession, *, held: bool) -> bool:
        return (
            session.status in WAITING
            and not session.remote
            and not began_after_restart(self.state, session)
            and not heard_again(self.state, session)
            and session.live_agent_id not in self.state.decided.agent_pauses
            and not self._is_leaving(session.live_agent_id, held=held)
        )

    def _is_leaving(self, live_agent_id: int, *, held: bool = False) -> bool:
        """Return True if an agent is about to be logged out; `held`: what was not yet sent is not sent now."""
        move, before = self.relogins.get(live_agent_id), self.state.decided.relogins.get(live_agent_id)
        # a planned move can still be withdrawn; a screen that was sent a logout will log out
        sent = before is not None and before.stage is ReloginStage.SENT
        return sent or (move is not None and move.stage in (_LEAVING - NOT_SENT if held else _LEAVING))

    def _new(self, session: AgentSession, incident: Incident, *, acts: bool) -> ActionChange:
        pause = AgentPause(
            cluster=self.state.cluster,
            live_agent_id=session.live_agent_id,
            user=session.user,
            incident=incident.incident,
            server_ip=session.server_ip,
            stage=AgentPauseStage.PLANNED if acts else AgentPauseStage.ADVISED,
            changed_at_ms=self.state.observed.observed_at_ms,
            by=self.by,
        )
        code = DecisionCode.PAUSE_PLANNED if acts else DecisionCode.PAUSE_ADVISED
        return ActionChange(pause, code, f"VICIdial sends calls to an agent on a dead dialer: {incident.why}")

    def _reconsider(self, pause: AgentPause, session: AgentSession | None) -> ActionChange | None:
        if session is None or session.server_ip != pause.server_ip:
            return ActionChange(pause, None, over=True)
        if pause.stage is AgentPauseStage.RESUMING:
            return None
        if pause.incident not in self.dead or heard_again(self.state, session):
            return self._release(pause, session)
        if pause.stage is AgentPauseStage.PAUSED:
            if session.status is AgentStatus.PAUSED and not pause.seen:
                return ActionChange(self._changed(pause, seen=True), None)
            if pause.seen and session.status in WAITING:
                # do not fight the person who made them ready
                why = "a person made the agent ready again"
                given_up = self._changed(pause, stage=AgentPauseStage.GIVEN_UP)
                return ActionChange(given_up, DecisionCode.PAUSE_GIVEN_UP, why)
        return None

    def _has_lost_phone(self, pause: AgentPause, session: AgentSession) -> bool:
        """Return True if Asterisk started again about when the agent was paused: it rings no more."""
        health = self.state.observed.health.dialers.get(session.server_ip)
        if health is None or session.on_hook or session.live_agent_id > health.phones_lost_session:
            return False
        return health.phones_lost_ms >= pause.changed_at_ms - RESTART_SECONDS * 1000

    def _release(self, pause: AgentPause, session: AgentSession) -> ActionChange | None:
        never_sent = pause.stage in {AgentPauseStage.ADVISED, AgentPauseStage.GIVEN_UP}
        if never_sent:
            return ActionChange(pause, None, over=True)
        if pause.stage is AgentPauseStage.PLANNED:
            # it may be in progress: its outcome decides whether there is a pause to take back
            late = self.state.observed.observed_at_ms - pause.changed_at_ms > UNDER_WAY_SECONDS * 1000
            why = "the dialer is no longer down"
            return ActionChange(pause, DecisionCode.PAUSE_WITHDRAWN, why, over=True) if late else None
        gone = session.server_ip not in self.state.observed.health.dialers
        if gone or self._is_leaving(pause.live_agent_id):
            # a dialer that VICIdial has no longer, or as no Asterisk, is not back; and a logout may get lost, and then
            # the pause is still to be taken back
            return None
        if pause.stage is AgentPauseStage.PAUSED and not pause.mark:
            why = "it is not known whether the pause is hotdesk's"
            return ActionChange(pause, DecisionCode.PAUSE_NOT_TAKEN_BACK, why, over=True)
        heard = heard_again(self.state, session)
        if self._has_lost_phone(pause, session) and not heard:
            why = "Asterisk has started again, so the agent's phone is no longer in the call with their screen"
            return ActionChange(pause, DecisionCode.PAUSE_NOT_TAKEN_BACK, why, over=True)
        why = (
            "their phone is in its room again"
            if heard
            else "the dialer is no longer down, and the agent is still there"
        )
        resuming = self._changed(pause, stage=AgentPauseStage.RESUMING)
        return ActionChange(resuming, DecisionCode.RESUME_PLANNED, why)

    def _changed(self, pause: AgentPause, **changes: object) -> AgentPause:
        return msgspec.structs.replace(pause, changed_at_ms=self.state.observed.observed_at_ms, by=self.by, **changes)
