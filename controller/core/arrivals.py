"""Arrivals: what is left to do once an agent who was moved is logged in again. Pure, and in the log's time.

A new session is not yet an agent who hears: VICIdial writes its row, and calls the phone then. An agent has arrived
once their phone is in the room of that session. One who waited for calls before the move waits again from then on,
unless they have done something meanwhile. A phone that does not come is called again, and then listed. Where it
cannot be known whether a phone is in its room, an agent counts as logged in, and never as arrived; a phone that was
seen to be absent is absent until it is seen. The phone of an on-hook agent rings for calls only: such an agent has
arrived once their screen has settled.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from controller.core.detector import began_after_restart, is_down
from controller.core.plan import PlanBuilder
from messages.codes import DecisionCode
from messages.names import compared
from messages.records import (
    AgentSession,
    AgentStatus,
    Arrival,
    ArrivalStage,
    Incident,
    Listed,
    NotMoved,
    Relogin,
    ServerIp,
)
from messages.words import NOTICES, sentence

UNKNOWN_SECONDS = 5.0
"""If by then nothing is known of a phone, nothing will be: by then a phone that works has answered, and a screen has
settled."""
TOLD_SECONDS = 3.0
"""An agent who could not be told by then is told nothing: all else waits for it."""
HERE_SECONDS = 10.0
"""An agent whose Asterisk has started again, and whose phone has not come by then, is moved."""
MOST_STARTS = 2
"""New starts of an Asterisk in one incident, after each of which agents are called again where they are."""
CALL_SECONDS = 15.0
"""A phone that has not come by then is called again."""
MISSING_SECONDS = 30.0
"""A phone that has not come by then is listed."""
RESUME_SECONDS = 60.0
"""Later than this after the login no agent is made ready any more: they are at work on something else by then."""
LOGIN_SECONDS = 180.0
"""An agent who comes back later than this after their logout did not come back because of it."""
KEPT_SECONDS = 600.0
"""How long a missing phone is listed after its incident has closed, and an agent who is not back after a logout."""
UNTOLD = re.compile(r"[^-.A-Za-z0-9 ]")
"""Signs of a dialer's name that VICIdial's notifications do not bear."""
_SETTLED = {ArrivalStage.ARRIVED, ArrivalStage.LOGGED_IN}


class LoggedIn(NamedTuple):
    """An agent of a move who was just seen in a session elsewhere."""

    relogin: Relogin
    """The move, as it was before."""
    session: AgentSession


class Arrivals:
    """The arrivals of one plan."""

    def __init__(self, plan: PlanBuilder, logged_in: Iterable[LoggedIn]) -> None:
        self._plan = plan
        self._known = dict(plan.state.decided.arrivals)
        self._sessions = {each.live_agent_id: each for each in plan.state.observed.agents.values()}
        for each in logged_in:
            if plan.acts and not each.session.remote:
                self._begin(each)

    def follow_up(self) -> None:
        """Update the arrivals by the latest poll."""
        for arrival in list(self._known.values()):
            session = self._sessions.get(arrival.live_agent_id)
            if self._is_over(arrival, session):
                del self._known[arrival.live_agent_id]
                self._plan.end(arrival)
            elif session is not None:
                self._update(arrival, self._next(arrival, session), session)

    def call_here(self, incident: Incident, session: AgentSession) -> bool:
        """Return True if an agent is called again where they are, or has been; False: they are to be moved.

        For that only their phone may be lost, since Asterisk has started again, and there must be a way to call it. One
        that starts again and again is left.
        """
        plan, arrival = self._plan, self._known.get(session.live_agent_id)
        health = plan.state.observed.health.dialers.get(session.server_ip)
        if health is None or not health.interrupted:
            return False
        if arrival is not None and arrival.here and arrival.since_ms >= (health.interrupted_at_ms or 0):
            return arrival.stage is not ArrivalStage.MISSING
        if not plan.acts or not plan.policy.calls_phones or session.on_hook:
            return False
        same = arrival is not None and arrival.here and arrival.incident == incident.incident
        starts = 1 + (arrival.starts if arrival is not None and same else 0)
        if starts > MOST_STARTS:
            return False
        arrival = Arrival(
            cluster=plan.state.cluster,
            live_agent_id=session.live_agent_id,
            user=session.user,
            incident=incident.incident,
            server_ip=session.server_ip,
            since_ms=plan.now_ms,
            here=True,
            starts=starts,
            stage=ArrivalStage.CALLING,
            changed_at_ms=plan.now_ms,
            by=plan.by,
        )
        self._known[arrival.live_agent_id] = arrival
        plan.add(arrival)
        plan.decide(DecisionCode.CALL_PLANNED, incident.why, session.user)
        return True

    def arrived(self, incident: Incident) -> int:
        """Return how many agents of an incident have arrived."""
        return len({each.user.lower() for each in self._of(incident) if each.arrived_at_ms is not None})

    def missing(self, incident: Incident) -> dict[int, Listed]:
        """Return the agents of an incident whose phones have not come, with what is known of those."""
        phones = self._plan.state.observed.phones
        listed = {}
        for each in self._of(incident):
            if each.stage is ArrivalStage.MISSING and not each.here and each.live_agent_id in self._sessions:
                phone = phones.get(compared(each.phone_login))
                listed[each.live_agent_id] = Listed(
                    user=each.user,
                    live_agent_id=each.live_agent_id,
                    why=NotMoved.NOT_ARRIVED,
                    phone_login=each.phone_login,
                    server_ip=each.server_ip,
                    peer_status="" if phone is None else phone.peer_status,
                )
        return listed

    def _of(self, incident: Incident) -> Iterable[Arrival]:
        return (each for each in self._known.values() if each.incident == incident.incident)

    def _begin(self, logged_in: LoggedIn) -> None:
        plan, (relogin, session) = self._plan, logged_in
        decided, sent_ms = plan.state.decided, relogin.sent_at_ms
        login = decided.logins.get(session.user.lower())
        by_move = sent_ms is not None and plan.now_ms - sent_ms <= LOGIN_SECONDS * 1000
        arrival = Arrival(
            cluster=plan.state.cluster,
            live_agent_id=session.live_agent_id,
            user=session.user,
            incident=relogin.incident,
            server_ip=session.server_ip,
            phone_login="" if login is None or login.used_by != session.live_agent_id else login.phone_login,
            since_ms=plan.now_ms,
            stage=ArrivalStage.TELLING if plan.policy.tells_agents else ArrivalStage.AWAITED,
            changed_at_ms=plan.now_ms,
            notice=_notice(plan, relogin, session) if plan.policy.tells_agents else "",
            resume=relogin.waited and by_move and plan.policy.restore_state,
            by=plan.by,
        )
        self._known[arrival.live_agent_id] = arrival
        plan.add(arrival)

    def _is_over(self, arrival: Arrival, session: AgentSession | None) -> bool:
        """Return True if an arrival has nothing left to do and to count."""
        if arrival.incident in self._plan.state.decided.incidents:
            return False
        old = self._plan.now_ms - arrival.since_ms > KEPT_SECONDS * 1000
        return session is None or session.server_ip != arrival.server_ip or arrival.stage in _SETTLED or old

    def _is_touched(self, arrival: Arrival, session: AgentSession) -> bool:
        """Return True if an agent has done something since the login, or a person has sent their screen something."""
        touched = session.status is not AgentStatus.PAUSED or session.in_wrapup or session.external_pause != ""
        return touched or self._plan.state.observed.began_ms(session) > arrival.since_ms

    def _next(self, arrival: Arrival, session: AgentSession) -> Arrival:
        """Return an arrival after a poll."""
        if arrival.here:
            return self._next_here(arrival, session)
        seconds = (self._plan.now_ms - arrival.since_ms) / 1000
        absent = arrival.absent or session.phone_in_room is False
        if arrival.stage is ArrivalStage.TELLING and seconds < TOLD_SECONDS:
            return msgspec.structs.replace(arrival, absent=absent)
        # a new collector knows nothing of phones at first
        steady_ms = self._plan.state.observed.health.steady_since_ms
        looked = (self._plan.now_ms - max(arrival.since_ms, steady_ms)) / 1000
        may_be_known = looked < UNKNOWN_SECONDS and seconds < MISSING_SECONDS
        arrived_ms = arrival.arrived_at_ms
        if arrived_ms is None and (session.phone_in_room or (session.on_hook and seconds >= UNKNOWN_SECONDS)):
            arrived_ms = self._plan.now_ms
        stage = arrival.stage
        # what is being sent may show in the row already, and that row is read just before
        undone = stage is ArrivalStage.RESUMING or not self._is_touched(arrival, session)
        resume = arrival.resume and undone and seconds < RESUME_SECONDS
        if arrived_ms is not None:
            stage = ArrivalStage.RESUMING if resume else ArrivalStage.ARRIVED
        elif session.phone_in_room is None and not absent:
            if not may_be_known and stage is not ArrivalStage.MISSING and not self._is_unheard(session):
                stage = ArrivalStage.RESUMING if resume else ArrivalStage.LOGGED_IN
        elif seconds >= MISSING_SECONDS:
            stage = ArrivalStage.MISSING
        else:
            due = seconds >= CALL_SECONDS and session.phone_in_room is False
            calls = due and self._plan.policy.calls_phones and not arrival.called
            stage = ArrivalStage.CALLING if calls else ArrivalStage.AWAITED
        return msgspec.structs.replace(
            arrival, stage=stage, arrived_at_ms=arrived_ms, absent=absent and arrived_ms is None, resume=resume
        )

    def _is_unheard(self, session: AgentSession) -> bool:
        """Return True if an agent hears nothing, wherever their phone is: their dialer has died as well."""
        state = self._plan.state
        down = is_down(state.observed.health.dialers.get(session.server_ip))
        return down and not began_after_restart(state, session)

    def _next_here(self, arrival: Arrival, session: AgentSession) -> Arrival:
        """Return an arrival after a poll, of an agent who is called where they are."""
        if arrival.arrived_at_ms is not None:
            return arrival
        now_ms = self._plan.now_ms
        if session.phone_in_room:
            return msgspec.structs.replace(arrival, stage=ArrivalStage.ARRIVED, arrived_at_ms=now_ms)
        late = now_ms - arrival.since_ms >= HERE_SECONDS * 1000
        return msgspec.structs.replace(arrival, stage=ArrivalStage.MISSING) if late else arrival

    def _update(self, before: Arrival, after: Arrival, session: AgentSession) -> None:
        """Add an arrival if it changed, and the decisions that this means."""
        plan = self._plan
        if after == before:
            return
        changed = msgspec.structs.replace(after, changed_at_ms=plan.now_ms, by=plan.by)
        self._known[changed.live_agent_id] = changed
        plan.add(changed)
        if before.resume and not after.resume:
            why = "they have done something since the login, or the phone came too late"
            plan.decide(DecisionCode.NOT_RESUMED, why, after.user)
        if before.arrived_at_ms is None and after.arrived_at_ms is not None:
            seconds = (after.arrived_at_ms - after.since_ms) / 1000
            what = "call" if after.here else f"login on {after.server_ip}"
            why = "on-hook: their phone rings for calls only" if session.on_hook else "their phone is in its room"
            plan.decide(DecisionCode.ARRIVED, f"{why}, {seconds:.1f} s after the {what}", after.user)
        decided = _DECIDED.get(after.stage)
        if decided is not None and after.stage is not before.stage and not after.here:
            code, words = decided
            plan.decide(code, words, after.user)


def _notice(plan: PlanBuilder, relogin: Relogin, session: AgentSession) -> str:
    """Return the words for an agent who was moved, in signs that VICIdial's notifications bear."""
    incident = plan.state.decided.incidents.get(relogin.incident)
    before, after = (_plain_name(plan, ip) for ip in (relogin.from_server_ip, session.server_ip))
    return NOTICES[None if incident is None else incident.kind].format(before=before, after=after)


def _plain_name(plan: PlanBuilder, server_ip: ServerIp) -> str:
    dialer = plan.state.observed.dialers.get(server_ip)
    name = "" if dialer is None else UNTOLD.sub("", dialer.server_id)
    return name or server_ip


_DECIDED: dict[ArrivalStage, tuple[DecisionCode, str]] = {
    ArrivalStage.CALLING: (
        DecisionCode.CALL_PLANNED,
        f"their phone is not in its room {CALL_SECONDS:.0f} s after the login",
    ),
    ArrivalStage.RESUMING: (DecisionCode.RESUME_PLANNED, "they waited for calls before they were moved"),
    ArrivalStage.MISSING: (DecisionCode.NOT_ARRIVED, sentence(NotMoved.NOT_ARRIVED)),
}
"""The decision that a stage is, and why."""
