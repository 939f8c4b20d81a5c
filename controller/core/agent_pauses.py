"""Agent pauses: keep calls away from agents who cannot hear them. Pure.

VICIdial's routing goes on choosing agents who wait for calls on a dead dialer. An agent who is not logged out at once,
because moves are paced, because there is nowhere to go or because the fleet brake holds, is paused until they are
moved, or until the dialer is back; then the pause is taken back, unless a person has paused or resumed them since.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from controller.core.actions import ActionChange
from controller.core.actions.relogin import LOGOUT
from controller.core.calls import WAITING
from controller.core.decided import NOT_SENT
from controller.core.detector import (
    PHONE_COMES_MS,
    began_after_restart,
    doubt_about,
    has_lost_phone,
    heard_again,
    is_seen_up,
    restart_is_inferred,
    rings_again,
)
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Reason, ReasonCode
from messages.records import AgentPause, AgentPauseStage, AgentSession, AgentStatus, Incident, Relogin, ReloginStage

UNDER_WAY_SECONDS = 10.0
"""By then an executor has carried an action out, or something has prevented it."""
REPEAT_SECONDS = 15.0
"""A screen polls every second; an agent who still waits this long after a pause is sent another."""
MOST_ATTEMPTS = 3
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
            change = self._reconsider(pause, sessions.get(pause.live_agent_id), acts=acts, withheld=withheld)
            if change is not None:
                yield change
        for incident in self.dead.values():
            if not self._may_pause(incident, withheld):
                continue
            for session in sessions.values():
                if session.server_ip == incident.server_ip and self._needs_pause(
                    session, acts=acts, held=withheld is not None
                ):
                    yield self._new(session, incident, acts=acts)

    def _may_pause(self, incident: Incident, withheld: Reason | None) -> bool:
        """Return True if agents of a dead dialer may be paused: under the fleet brake if its death is confirmed.

        Not then if only the phones show it, since one table may mislead about all dialers.
        """
        if withheld is not None:
            by_phones = restart_is_inferred(self.state, incident.server_ip)
            if withheld.code is not ReasonCode.FLEET_BRAKE or not incident.confirmed or by_phones:
                return False
        return doubt_about(self.state, self.policy, incident.server_ip) is None

    def _needs_pause(self, session: AgentSession, *, acts: bool, held: bool) -> bool:
        known = self.state.decided.agent_pauses.get(session.live_agent_id)
        return (
            session.status in WAITING
            and not session.remote
            and not began_after_restart(self.state, session)
            and not self._hears(session)
            and (known is None or _is_mere_advice(known, acts=acts))
            and not self._is_leaving(session.live_agent_id, held=held)
        )

    def _hears(self, session: AgentSession) -> bool:
        """Return True if an agent hears callers, though their dialer is not back."""
        return heard_again(self.state, session) or rings_again(self.state, session)

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

    def _reconsider(
        self, pause: AgentPause, session: AgentSession | None, *, acts: bool, withheld: Reason | None
    ) -> ActionChange | None:
        if session is None or session.server_ip != pause.server_ip or _is_mere_advice(pause, acts=acts):
            return ActionChange(pause, None, over=True)
        if pause.stage is AgentPauseStage.RESUMING:
            return None
        incident = self.dead.get(pause.incident)
        if incident is None or self._hears(session):
            return self._release(pause, session)
        if session.status is AgentStatus.PAUSED and not pause.seen and _may_be_obeyed(pause):
            # one that is to be sent again may be on its way: its outcome decides
            stage = pause.stage if pause.stage is AgentPauseStage.PLANNED else AgentPauseStage.PAUSED
            return ActionChange(self._changed(pause, stage=stage, seen=True), None)
        may_pause = acts and self._may_pause(incident, withheld)
        return self._follow_up(pause, session, may_pause=may_pause, held=withheld is not None)

    def _follow_up(
        self, pause: AgentPause, session: AgentSession, *, may_pause: bool, held: bool
    ) -> ActionChange | None:
        """Return what becomes of a pause that was sent, while its dialer is dead: its agent may wait for calls."""
        if pause.stage is AgentPauseStage.GIVEN_UP or session.status not in WAITING:
            return None
        if pause.seen:
            return self._give_up(pause, "a person made the agent ready again")  # whom hotdesk does not fight
        if pause.stage is not AgentPauseStage.PAUSED:
            return None
        late = self.state.observed.observed_at_ms - pause.changed_at_ms >= REPEAT_SECONDS * 1000
        leaving = session.external_pause == LOGOUT or self._is_leaving(pause.live_agent_id, held=held)
        return self._repeat(pause, session) if late and may_pause and not leaving else None

    def _repeat(self, pause: AgentPause, session: AgentSession) -> ActionChange:
        """Plan another attempt, or give the pause up: nothing has come of it."""
        if pause.mark and session.external_pause != pause.mark:
            return self._give_up(pause, "somebody else has paused or resumed the agent since")
        if pause.attempts >= MOST_ATTEMPTS:
            return self._give_up(
                pause, f"the agent still waits for calls after {pause.attempts} pauses: {pause.answer}"
            )
        again = self._changed(pause, stage=AgentPauseStage.PLANNED, attempts=pause.attempts + 1)
        return ActionChange(again, DecisionCode.PAUSE_REPEATED, f"the agent still waits for calls: {pause.answer}")

    def _give_up(self, pause: AgentPause, why: str) -> ActionChange:
        given_up = self._changed(pause, stage=AgentPauseStage.GIVEN_UP)
        return ActionChange(given_up, DecisionCode.PAUSE_GIVEN_UP, why)

    def _release(self, pause: AgentPause, session: AgentSession) -> ActionChange | None:
        given_up = pause.stage is AgentPauseStage.GIVEN_UP and not _may_be_obeyed(pause)
        if given_up or pause.stage is AgentPauseStage.ADVISED:
            return ActionChange(pause, None, over=True)
        if pause.stage is AgentPauseStage.PLANNED:
            # it may be in progress: its outcome decides whether there is a pause to take back
            if self.state.observed.observed_at_ms - pause.changed_at_ms <= UNDER_WAY_SECONDS * 1000:
                return None
            if pause.attempts == 1:
                return ActionChange(pause, DecisionCode.PAUSE_WITHDRAWN, "the dialer is no longer down", over=True)
        heard = self._hears(session)
        back = heard or is_seen_up(self.state.observed.health.dialers.get(session.server_ip))
        unheard = session.phone_in_room is False or self._may_have_no_phone(session)
        if not back or unheard or self._is_leaving(pause.live_agent_id):
            # calls would go to an agent whose phone is known not to be there; a dialer that VICIdial has no longer is
            # not back; and a logout may get lost, and then the pause is still to be taken back
            return None
        why_not = self._why_not_taken_back(pause, session)
        if why_not is not None:
            return ActionChange(pause, DecisionCode.PAUSE_NOT_TAKEN_BACK, why_not, over=True)
        still_there = "the dialer is no longer down, and the agent is still there"
        resuming = self._changed(pause, stage=AgentPauseStage.RESUMING)
        why = "their phone is in its room again, or rings for calls" if heard else still_there
        return ActionChange(resuming, DecisionCode.RESUME_PLANNED, why)

    def _may_have_no_phone(self, session: AgentSession) -> bool:
        """Return True if a collector that has just begun has not looked for the phone yet."""
        observed = self.state.observed
        steady_ms = observed.observed_at_ms - observed.health.steady_since_ms
        return session.phone_in_room is None and steady_ms < PHONE_COMES_MS

    def _why_not_taken_back(self, pause: AgentPause, session: AgentSession) -> str | None:
        """Return why a pause is left as it is; None: it is taken back."""
        if not pause.mark:
            return "it is not known whether the pause is hotdesk's"
        if self._has_lost_phone(pause, session) and not self._hears(session):
            return "Asterisk has started again, so the agent's phone is no longer in the call with their screen"
        return None

    def _has_lost_phone(self, pause: AgentPause, session: AgentSession) -> bool:
        """Return True if Asterisk has started again since the death for which the agent was paused."""
        decided = self.state.decided
        its_own = [each for each in (*decided.incidents.values(), *decided.closed) if each.incident == pause.incident]
        return has_lost_phone(self.state, session, its_own[0].opened_at_ms if its_own else pause.changed_at_ms)

    def _changed(self, pause: AgentPause, **changes: object) -> AgentPause:
        return msgspec.structs.replace(pause, changed_at_ms=self.state.observed.observed_at_ms, by=self.by, **changes)


def _is_mere_advice(pause: AgentPause, *, acts: bool) -> bool:
    """Return True for advice from before the mode became act: it is no order, and ends."""
    return acts and pause.stage is AgentPauseStage.ADVISED


def _may_be_obeyed(pause: AgentPause) -> bool:
    """Return True if a screen may yet obey a pause; in a hidden tab it takes up to a minute to do so.

    One that was sent more than once had landed, or may have, before it was given up or planned again.
    """
    sent_before = pause.stage is not AgentPauseStage.ADVISED and pause.attempts > 1 and not pause.seen
    return pause.stage is AgentPauseStage.PAUSED or sent_before
