"""Incidents: one dialer's trouble, from opening to close. Pure, and in the log's time.

An incident opens when the dialer is down or is to be emptied, is reconsidered at each poll, and closes when the dialer
is back. Every decision, and everything withheld, leaves a record that says why.
"""

from collections.abc import Mapping

import msgspec

from controller.core.actions.relogin import IN_CALL
from controller.core.arrivals import Arrivals
from controller.core.calls import WAITING
from controller.core.detector import (
    began_after_restart,
    doubt_about,
    has_lost_phone,
    heard_again,
    is_seen_up,
    restart_is_inferred,
    restarted_on_hook,
)
from controller.core.moves import Moves
from controller.core.plan import PlanBuilder, trouble_of
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Reason, ReasonCode
from messages.records import (
    NOT_ARRIVED,
    AgentPauseStage,
    AgentSession,
    AgentStatus,
    DialerHealth,
    DialerState,
    Incident,
    Listed,
    NotMoved,
    Relogin,
    ReloginStage,
    ServerIp,
)
from messages.words import sentence

MOVED_FIRST = {AgentStatus.READY: 0, AgentStatus.CLOSER: 0, AgentStatus.PAUSED: 1, AgentStatus.OTHER: 1}
"""Agents who wait for calls are moved first, since calls are sent to them; then paused ones, then those in calls."""
LAST = 2


class Incidents:
    """The incidents of one plan."""

    def __init__(self, plan: PlanBuilder, moves: Moves, arrivals: Arrivals) -> None:
        self._plan = plan
        self._moves = moves
        self._arrivals = arrivals

    def reconsider(self, server_ip: ServerIp, health: DialerHealth, known: Incident | None) -> Incident | None:
        """Open, change or close a dialer's incident; return it if it is open."""
        plan, kind = self._plan, trouble_of(self._plan.policy, health)
        if kind is None and known is not None and known.kind is DialerState.DOWN and not is_seen_up(health):
            return known  # its states were lost, and what is not known is not back
        if kind is None:
            if known is not None:
                self.close(
                    known, f"the dialer is {health.state}", without_phone(plan.state, known, self._moves.relogins)
                )
            return None
        if known is None:
            return self._open(server_ip, health, kind)
        if (known.kind, known.confirmed) != (kind, health.confirmed):
            if known.kind is not kind:
                code = DecisionCode.INCIDENT_CHANGED
                plan.decide(code, health.evidence, server_ip, incident=known.incident, kind=kind)
            # what is seen once the dialer comes back is not why it was down
            weaker = known.kind is kind and known.confirmed
            why = known.why if weaker else health.evidence
            known = msgspec.structs.replace(known, kind=kind, confirmed=health.confirmed, why=why, by=plan.by)
            plan.add(known)
        return known

    def close(self, incident: Incident, why: str, left: tuple[Listed, ...] = ()) -> None:
        """Close an incident, and withdraw those of its moves that were not sent; `left`: who still needs a hand."""
        self._moves.withdraw(incident.incident, why)
        plan = self._plan
        for each in left:
            plan.decide(DecisionCode.NOT_MOVED, sentence(each.why), each.user)
        plan.add(msgspec.structs.replace(incident, closed_at_ms=plan.now_ms, withheld=None, listed=left, by=plan.by))
        plan.decide(DecisionCode.INCIDENT_CLOSED, why, incident.server_ip, incident=incident.incident)

    def move_agents(self, incident: Incident, sessions: list[AgentSession]) -> None:
        """Plan moves for the agents of a dialer as far as the pace allows, and update its incident."""
        listed = {each.live_agent_id: _listed(each, NotMoved.REMOTE) for each in sessions if each.remote}
        if incident.kind is DialerState.DOWN:
            listed |= self._calls_lost(incident.server_ip)
        doubt = self._doubt_about(incident)
        withheld = self._plan.withheld or doubt
        # an Asterisk that says itself that it has started again is no fault of the observer
        inferred = restart_is_inferred(self._plan.state, incident.server_ip)
        braked = self._plan.withheld is not None and self._plan.withheld.code is ReasonCode.FLEET_BRAKE
        uncalled = doubt if braked and not inferred else withheld
        if withheld is not None and incident.withheld is not None and withheld.code is incident.withheld.code:
            withheld = incident.withheld  # its words may change with each poll, and the reason is the same
        alone = withheld is not None and withheld.code is ReasonCode.HEARTBEAT_ALONE
        agents = sorted((each for each in sessions if not each.remote), key=_urgency)
        for session in agents:
            if self._is_called_here(incident, session, uncalled):
                continue
            why = self._moves.move(incident, session, withheld)
            if why is None and alone and session.live_agent_id not in self._moves.relogins:
                why = NotMoved.UNCONFIRMED  # for good, where no probe answers
            if why is not None:
                listed[session.live_agent_id] = _listed(session, why)
        listed = self._not_paused(agents) | listed
        listed |= self._arrivals.missing(incident) | self._moves.still_out(incident)
        moves = self._moves.of_incident(incident.incident)
        self._update(
            incident,
            msgspec.structs.replace(
                incident,
                withheld=withheld,
                agents=len(agents),
                moves=len(moves),
                sent=sum(1 for each in moves if each.sent_at_ms is not None),
                moved=sum(1 for each in moves if each.stage is ReloginStage.MOVED),
                arrived=self._arrivals.arrived(incident),
                listed=tuple(listed[number] for number in sorted(listed)),
            ),
        )

    def _not_paused(self, agents: list[AgentSession]) -> dict[int, Listed]:
        """Return the agents who wait for calls, and whose pause was given up before it was seen to be obeyed."""
        pauses = self._plan.state.decided.agent_pauses
        return {
            each.live_agent_id: _listed(each, NotMoved.NOT_PAUSED)
            for each in agents
            if each.status in WAITING and each.live_agent_id not in self._moves.relogins
            if (pause := pauses.get(each.live_agent_id)) is not None
            and pause.stage is AgentPauseStage.GIVEN_UP
            and not pause.seen
        }

    def _is_called_here(self, incident: Incident, session: AgentSession, withheld: Reason | None) -> bool:
        """Return True if an agent is not to be moved, since their phone is called again where they are, or was.

        That of an on-hook agent rings for each call anew, so they stay as well. Others with a call or a disposition are
        moved after it, as those of any dialer whose calls are dead.
        """
        if session.live_agent_id in self._moves.relogins or withheld is not None:
            return False
        if heard_again(self._plan.state, session):
            return True
        if restarted_on_hook(self._plan.state, session):
            return session.status not in IN_CALL
        waits = session.status not in IN_CALL and not session.in_wrapup
        lost_phone = not began_after_restart(self._plan.state, session)
        return waits and lost_phone and self._arrivals.call_here(incident, session)

    def _open(self, server_ip: ServerIp, health: DialerHealth, kind: DialerState) -> Incident:
        plan = self._plan
        incident = Incident(
            cluster=plan.state.cluster,
            incident=f"{server_ip}@{plan.now_ms}",
            server_ip=server_ip,
            kind=kind,
            opened_at_ms=plan.now_ms,
            why=health.evidence,
            confirmed=health.confirmed,
            in_maintenance=plan.policy.in_maintenance(server_ip, plan.state.observed.wall_ms),
            by=plan.by,
        )
        plan.add(incident)
        code = DecisionCode.INCIDENT_OPENED
        plan.decide(code, health.evidence, server_ip, incident=incident.incident, kind=kind)
        return incident

    def _doubt_about(self, incident: Incident) -> Reason | None:
        """Return why a dialer that is down may not be dead now; None: there is no doubt."""
        if incident.kind is not DialerState.DOWN:
            return None
        return doubt_about(self._plan.state, self._plan.policy, incident.server_ip)

    def _update(self, before: Incident, after: Incident) -> None:
        """Add the incident if it changed, and a decision for everything newly withheld."""
        plan = self._plan
        if after != before:
            plan.add(msgspec.structs.replace(after, by=plan.by))
        if after.withheld != before.withheld:
            if after.withheld is not None:
                plan.decide(DecisionCode.MOVES_WITHHELD, after.withheld.text, before.server_ip)
            else:
                plan.decide(DecisionCode.MOVES_RELEASED, "the reason to withhold them is over", before.server_ip)
        known = {each.live_agent_id: each.why for each in before.listed}
        for each in after.listed:
            if known.get(each.live_agent_id) is not each.why and each.why is not NotMoved.NOT_ARRIVED:
                code = DecisionCode.NOT_ARRIVED if each.why in NOT_ARRIVED else DecisionCode.NOT_MOVED
                plan.decide(code, sentence(each.why), each.user)

    def _calls_lost(self, server_ip: ServerIp) -> dict[int, Listed]:
        """Return the agents on other dialers whose call was on this one."""
        return {
            each.live_agent_id: _listed(each, NotMoved.CALL_LOST)
            for each in self._plan.state.observed.agents.values()
            if each.call_server_ip == server_ip != each.server_ip
        }


def without_phone(state: ClusterState, incident: Incident, relogins: Mapping[int, Relogin]) -> tuple[Listed, ...]:
    """Return the agents of a dialer that is back whose phones its Asterisk has lost, and who are not leaving it."""
    sent = {number for number, each in relogins.items() if each.stage is ReloginStage.SENT}
    return tuple(
        _listed(each, NotMoved.PHONE_LOST)
        for each in sorted(state.observed.agents.values(), key=lambda each: each.live_agent_id)
        if each.server_ip == incident.server_ip
        and not each.remote
        and each.live_agent_id not in sent
        and has_lost_phone(state, each, incident.opened_at_ms)
    )


def still_without_phone(state: ClusterState, closed: Incident) -> tuple[Listed, ...]:
    """Return the agents that a closed incident lists, and whose phones are not back yet."""
    if not closed.listed:
        return ()  # nearly always
    left = {each.live_agent_id for each in without_phone(state, closed, state.decided.relogins)}
    return tuple(each for each in closed.listed if each.live_agent_id in left)


def _listed(session: AgentSession, why: NotMoved) -> Listed:
    return Listed(user=session.user, live_agent_id=session.live_agent_id, why=why)


def _urgency(session: AgentSession) -> tuple[int, int]:
    return MOVED_FIRST.get(session.status, LAST), session.live_agent_id
