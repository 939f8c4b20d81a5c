"""What follows from the judgement: incidents, and which agent is moved where. Pure, and in the log's time.

An incident is one dialer's trouble. It opens when the dialer is down or is to be emptied, is looked at again with each
poll, and closes when the dialer is back. Whatever is decided leaves a record that says why, and so does whatever is
withheld.
"""

from dataclasses import replace
from typing import NamedTuple

import msgspec

from controller.core.actions import ONLY_ADVISES, Step, subject_of
from controller.core.agent_pauses import Holding
from controller.core.detector import doubt_about
from controller.core.fences import fence_steps
from controller.core.picks import resolve
from controller.core.policy import Policy
from controller.core.ranking import RankedPhone, rank_phones
from controller.core.state import ClusterState
from messages.keys import key_of
from messages.records import (
    AgentSession,
    AgentStatus,
    Decision,
    DialerHealth,
    DialerState,
    Fence,
    AgentPause,
    Incident,
    Listed,
    LoginSlot,
    NotMoved,
    Record,
    Relogin,
    ServerIp,
    ReloginStage,
)
from messages.topics import Key

IN_CALL = {AgentStatus.INCALL, AgentStatus.QUEUE, AgentStatus.MQUEUE}
_FIRST = {AgentStatus.READY: 0, AgentStatus.CLOSER: 0, AgentStatus.PAUSED: 1, AgentStatus.OTHER: 1}
"""Those who wait for calls go first, since calls are sent to them; then those who pause, then those in calls."""
LAST = 2

PLANNED_SLOT_SECONDS = 60.0
"""How long a mover's place is kept: as long as the screen may be told again, and then the agent logs in."""
SECOND_MS = 1000
RETRY_SECONDS = 15.0
"""A screen polls every second; one that was told so long ago, and is still there, is told again."""
MOST_ATTEMPTS = 3
FORCED_ATTEMPTS = 2
"""An emergency logout is several statements without a transaction; it can be begun again where it broke off."""
UNDER_WAY = {ReloginStage.PLANNED, ReloginStage.SENT, ReloginStage.ENDED}


class Plan(NamedTuple):
    """What one look at a cluster decided."""

    records: list[Record]
    """To be stored, in this order."""
    ended: list[Key]
    """What stands under these keys is over."""


NOTHING = Plan([], [])


def make_plan(state: ClusterState, policy: Policy, by: str, *, acts: bool, doubt: str = "") -> Plan:
    """Decide what a cluster's incidents are now, and who is moved.

    Args:
        state: as of the latest poll, judged. It is not changed; `ClusterState.decided` takes in the records.
        policy: the cluster's.
        by: the process that decides.
        acts: whether moves are carried out; else they are advice.
        doubt: what only the present can know, such as that the polls are old; it only ever withholds.
    """
    under_way = state.incidents or state.relogins or state.holds or state.fences
    if not (under_way or state.orders.moves or _trouble_anywhere(state, policy)):
        return NOTHING
    return _Deciding(state, policy, by, acts=acts, doubt=doubt).turn()


def apply_plan(state: ClusterState, turn: Plan) -> None:
    """Make a turn true, which is stored or will be."""
    for record in turn.records:
        match record:
            case Incident() | Relogin() | AgentPause() | Fence():
                state.decided(record)
            case LoginSlot():
                state.take_slot(record)
    for key in turn.ended:
        state.remove_action(key)


def why_withheld(state: ClusterState, doubt: str) -> str:
    """Say why nobody may be moved in a cluster now; empty: nothing keeps anybody."""
    pause = state.orders.pause
    if pause is not None:
        return f"paused by {pause.by}" + (f": {pause.why}" if pause.why else "")
    return doubt or state.health.brake


def _trouble_anywhere(state: ClusterState, policy: Policy) -> bool:
    return any(_trouble(policy, each) is not None for each in state.health.dialers.values())


def _trouble(policy: Policy, health: DialerHealth) -> DialerState | None:
    """Tell why a dialer's agents should leave it; None: they need not."""
    if health.state in {DialerState.DOWN, DialerState.DRAINING}:
        return health.state
    if health.state is DialerState.CLOSED and policy.move_on_closed:
        return health.state
    return None


class _Deciding:
    """One turn under way: what was decided, and the slots as they are after that."""

    def __init__(self, state: ClusterState, policy: Policy, by: str, *, acts: bool, doubt: str) -> None:
        self._state = state
        self._policy = policy
        self._by = by
        self._acts = acts
        self._withheld = why_withheld(state, doubt)
        self._now_ms = state.observed_at_ms
        self._records: list[Record] = []
        self._ended: list[Key] = []
        # moves of this turn are counted at once, or they would all go to the same dialer
        self._ahead = replace(state, slots=state.slots.copy())
        # what was advice before it was allowed to act is no order
        self._advice = [each for each in state.relogins.values() if acts and each.stage is ReloginStage.ADVISED]
        self._relogins = {each.live_agent_id: each for each in state.relogins.values() if each not in self._advice}
        self._left = self._moves_left()
        self._aliases_of: dict[str, set[str]] | None = None

    def turn(self) -> Plan:
        """Decide."""
        self._follow_up()
        on_dialer = self._agents_by_dialer()
        open_by_dialer = {each.server_ip: each for each in self._state.incidents.values()}
        dead: dict[str, Incident] = {}
        for server_ip, health in self._state.health.dialers.items():
            incident = self._reconsider(server_ip, health, open_by_dialer.pop(server_ip, None))
            if incident is not None:
                self._empty(incident, on_dialer.get(server_ip, []))
                if incident.kind is DialerState.DOWN:
                    dead[incident.incident] = incident
        for incident in open_by_dialer.values():
            self._close(incident, "the dialer is no more")
        self._move_by_order()
        acts, withheld = self._acts, self._withheld
        for step in fence_steps(self._state, self._policy, self._by, acts=acts, withheld=withheld):
            self._take(step)
        holding = Holding(self._state, self._relogins, dead, self._by)
        for step in holding.steps(acts=acts, withheld=withheld):
            self._take(step)
        self._ended += [key_of(each) for each in self._advice if each.live_agent_id not in self._relogins]
        return Plan(self._records, self._ended)

    def _take(self, step: Step) -> None:
        if step.over:
            self._ended.append(key_of(step.action))
        else:
            self._records.append(step.action)
        if step.what:
            self._decide(step.what, step.why, subject_of(step.action))

    def _moves_left(self) -> int:
        """Tell how many moves the pace allows now."""
        lately = sum(1 for each in self._relogins.values() if each.ordered_at_ms > self._now_ms - SECOND_MS)
        return max(0, round(self._policy.moves_per_second) - lately)

    def _agents_by_dialer(self) -> dict[ServerIp, list[AgentSession]]:
        found: dict[ServerIp, list[AgentSession]] = {}
        for session in self._state.agents.values():
            found.setdefault(session.server_ip, []).append(session)
        return found

    # --- incidents --------------------------------------------------------------------------------------------

    def _reconsider(self, server_ip: ServerIp, health: DialerHealth, known: Incident | None) -> Incident | None:
        """Open, change or close a dialer's incident, and give it if it is open."""
        kind = _trouble(self._policy, health)
        if kind is None:
            if known is not None:
                self._close(known, f"the dialer is {health.state}")
            return None
        if known is None:
            known = Incident(
                cluster=self._state.cluster,
                incident=f"{server_ip}@{self._now_ms}",
                server_ip=server_ip,
                kind=kind,
                opened_at_ms=self._now_ms,
                why=health.evidence,
                confirmed=health.confirmed,
                planned=self._policy.in_maintenance(server_ip, self._now_ms),
                by=self._by,
            )
            self._records.append(known)
            self._decide(f"opened incident {known.incident}: {kind}", health.evidence, server_ip)
        elif (known.kind, known.confirmed) != (kind, health.confirmed):
            if known.kind is not kind:
                self._decide(f"incident {known.incident} is now: {kind}", health.evidence, server_ip)
            known = msgspec.structs.replace(
                known, kind=kind, confirmed=health.confirmed, why=health.evidence, by=self._by
            )
            self._records.append(known)
        return known

    def _close(self, incident: Incident, why: str) -> None:
        for relogin in [each for each in self._relogins.values() if each.incident == incident.incident]:
            if relogin.stage is ReloginStage.PLANNED:
                self._decide("withdrew a move", why, relogin.user)
                self._give_place_back(relogin)
            self._forget(relogin)
        self._records.append(
            msgspec.structs.replace(incident, closed_at_ms=self._now_ms, withheld="", listed=(), by=self._by)
        )
        self._decide(f"closed incident {incident.incident}", why, incident.server_ip)

    def _give_place_back(self, relogin: Relogin) -> None:
        """Keep no place for an agent who is not moved after all, nor an order that another logout could call up."""
        slot = self._state.slots.of(relogin.user)
        if slot is not None and slot.planned and slot.replaces == relogin.live_agent_id:
            self._records.append(
                msgspec.structs.replace(slot, planned=False, screen="", until_ms=self._now_ms, handed_out_by=self._by)
            )

    def _empty(self, incident: Incident, sessions: list[AgentSession]) -> None:
        """Move the agents of a dialer as far as that is right now, and bring its incident up to date."""
        listed = {each.live_agent_id: _listed(each, NotMoved.REMOTE) for each in sessions if each.remote}
        if incident.kind is DialerState.DOWN:
            listed |= self._calls_lost(incident.server_ip)
        withheld = self._withheld or self._doubt_about(incident)
        agents = sorted((each for each in sessions if not each.remote), key=_urgency)
        for session in agents:
            relogin = self._relogins.get(session.live_agent_id)
            if relogin is None or relogin.stage is ReloginStage.FAILED:
                why = NotMoved.STAYED if relogin is not None else self._move(incident, session, withheld)
                if why is not None:
                    listed[session.live_agent_id] = _listed(session, why)
        moved = [each for each in self._relogins.values() if each.incident == incident.incident]
        self._update(
            incident,
            msgspec.structs.replace(
                incident,
                withheld=withheld,
                agents=len(agents),
                ordered=len(moved),
                home=sum(1 for each in moved if each.stage is ReloginStage.MOVED),
                listed=tuple(listed[number] for number in sorted(listed)),
            ),
        )

    def _doubt_about(self, incident: Incident) -> str:
        """Say why a dialer that is down may not be dead now; empty: nothing speaks for it."""
        if incident.kind is not DialerState.DOWN:
            return ""
        return doubt_about(self._state, incident.server_ip)

    def _update(self, before: Incident, after: Incident) -> None:
        """Store an incident that changed, and a decision for everything newly withheld."""
        if after != before:
            self._records.append(msgspec.structs.replace(after, by=self._by))
        if after.withheld != before.withheld:
            what = "withholding moves" if after.withheld else "withholding moves no longer"
            self._decide(what, after.withheld or "what kept them is over", before.server_ip)
        known = {each.live_agent_id: each.why for each in before.listed}
        for each in after.listed:
            if known.get(each.live_agent_id) is not each.why:
                self._decide("did not move an agent", each.why, each.user)

    def _calls_lost(self, server_ip: ServerIp) -> dict[int, Listed]:
        """Find the agents of living dialers whose call was on this one."""
        return {
            each.live_agent_id: _listed(each, NotMoved.CALL_LOST)
            for each in self._state.agents.values()
            if each.call_server_ip == server_ip != each.server_ip
        }

    def _move(self, incident: Incident, session: AgentSession, withheld: str) -> NotMoved | None:
        """Order an agent's move, or say why not; None too where it only has to wait for its turn."""
        if session.status in IN_CALL and incident.kind is not DialerState.DOWN:
            return NotMoved.IN_CALL
        target = self._target(session)
        if isinstance(target, NotMoved):
            return target
        if not withheld and self._left > 0:
            self._order(incident.incident, session, *target, why=incident.why)
        return None

    # --- moves ------------------------------------------------------------------------------------------------

    def _move_by_order(self) -> None:
        """Move whom people named, to the least-loaded of the other dialers."""
        for name, order in self._state.orders.moves.items():
            session = self._state.agents.get(name)
            if session is None or session.live_agent_id != order.live_agent_id or self._withheld or self._left <= 0:
                continue
            if session.live_agent_id in self._relogins:
                continue
            target = self._target(session)
            if not isinstance(target, NotMoved):
                self._order(f"order/{order.user}", session, *target, why=f"ordered by {order.by}")

    def _target(self, session: AgentSession) -> tuple[str, RankedPhone] | NotMoved:
        """Choose the alias and the phone an agent is moved to, or say why there is none."""
        if session.remote:
            return NotMoved.REMOTE
        alias_id = self._alias_of(session)
        if isinstance(alias_id, NotMoved):
            return alias_id
        logins = resolve(self._state, alias_id)
        for phone in rank_phones(self._ahead, self._policy, logins, session.campaign_id).phones:
            if phone.rank is not None and phone.server_ip != session.server_ip:
                return alias_id, phone
        return NotMoved.NOWHERE

    def _alias_of(self, session: AgentSession) -> str | NotMoved:
        """Tell the alias an agent logged in with: what is known of the login, else the only one with that phone."""
        login = self._state.logins.get(session.user.lower())
        if login is not None and login.used_by == session.live_agent_id and resolve(self._state, login.alias_id):
            return login.alias_id
        if session.typed.lower() in self._state.aliases:
            return session.typed
        found = self._aliases_with(session)
        if len(found) == 1:
            return next(iter(found))
        return NotMoved.AMBIGUOUS if found else NotMoved.NO_ALIAS

    def _aliases_with(self, session: AgentSession) -> set[str]:
        """Find the aliases that hold the phone an agent's session is on."""
        if self._aliases_of is None:
            self._aliases_of = {}
            for alias in self._state.aliases.values():
                for login in alias.logins:
                    phone = self._state.phones.get(login.lower())
                    if phone is not None:
                        place = f"{phone.server_ip}/{phone.protocol}/{phone.extension}".lower()
                        self._aliases_of.setdefault(place, set()).add(alias.alias_id)
        return self._aliases_of.get(f"{session.server_ip}/{session.extension}".lower(), set())

    def _order(self, incident: str, session: AgentSession, alias_id: str, phone: RankedPhone, *, why: str) -> Relogin:
        # on a dialer that lives a call is only waited for
        lives = self._lives(session.server_ip)
        relogin = Relogin(
            cluster=self._state.cluster,
            live_agent_id=session.live_agent_id,
            user=session.user,
            incident=incident,
            from_server_ip=session.server_ip,
            to_server_ip=phone.server_ip,
            alias_id=alias_id,
            phone_login=phone.phone_login,
            ordered_at_ms=self._now_ms,
            stage=ReloginStage.PLANNED if self._acts else ReloginStage.ADVISED,
            changed_at_ms=self._now_ms,
            in_call=session.status in IN_CALL and not lives,
            dialer_lives=lives,
            by=self._by,
        )
        slot = LoginSlot(
            cluster=self._state.cluster,
            user=session.user,
            alias_id=alias_id,
            campaign_id=session.campaign_id,
            phone_login=phone.phone_login,
            server_ip=phone.server_ip,
            handed_out_at_ms=self._now_ms,
            until_ms=self._now_ms + round(PLANNED_SLOT_SECONDS * SECOND_MS),
            replaces=session.live_agent_id,
            planned=True,
            screen=self._screen_of(session),
            handed_out_by=self._by,
        )
        self._relogins[session.live_agent_id] = relogin
        self._left -= 1
        self._ahead.slots.take(slot)
        self._records.append(relogin)
        if self._acts:
            self._records.append(slot)
        what = "ordered a move" if self._acts else f"would have ordered a move{ONLY_ADVISES}"
        self._decide(f"{what} from {session.server_ip} to {phone.server_ip} as {phone.phone_login}", why, session.user)
        return relogin

    def _screen_of(self, session: AgentSession) -> str:
        login = self._state.logins.get(session.user.lower())
        return "" if login is None or login.used_by != session.live_agent_id else login.screen

    def _lives(self, server_ip: ServerIp) -> bool:
        health = self._state.health.dialers.get(server_ip)
        return health is not None and health.life is not DialerState.DOWN

    def _follow_up(self) -> None:
        """See what became of the moves."""
        sessions = {each.live_agent_id for each in self._state.agents.values()}
        for relogin in list(self._relogins.values()):
            now = self._state.agents.get(relogin.user.lower())
            elsewhere = (
                now is not None
                and now.live_agent_id != relogin.live_agent_id
                and now.server_ip != relogin.from_server_ip
            )
            after = relogin
            if elsewhere:
                after = self._changed(relogin, stage=ReloginStage.MOVED)
            elif relogin.stage in {ReloginStage.PLANNED, ReloginStage.SENT} and relogin.live_agent_id not in sessions:
                after = self._changed(relogin, stage=ReloginStage.ENDED)
            elif relogin.stage is ReloginStage.SENT and self._now_ms - relogin.changed_at_ms >= RETRY_SECONDS * SECOND_MS:
                after = self._tell_again(relogin)
            if after is not relogin:
                self._relogins[relogin.live_agent_id] = after
                self._records.append(after)
            if relogin.incident not in self._state.incidents and after.stage not in UNDER_WAY:
                self._forget(after)

    def _tell_again(self, relogin: Relogin) -> Relogin:
        """Order a move once more, or say that it failed; while moves are withheld, wait."""
        if self._withheld:
            return relogin
        forced = relogin.attempts >= MOST_ATTEMPTS
        if relogin.attempts >= MOST_ATTEMPTS + (FORCED_ATTEMPTS if self._policy.emergency_logout else 0):
            self._decide("gave a move up", f"tried {relogin.attempts} times, and still there", relogin.user)
            return self._changed(relogin, stage=ReloginStage.FAILED)
        what = "ordered an emergency logout" if forced else "ordered a move again"
        self._decide(what, relogin.answer or "the session is still there", relogin.user)
        # a call may have come between the poll that was decided on and the LOGOUT, and has died with its dialer since
        session = self._state.agents.get(relogin.user.lower())
        in_call = (
            session is not None
            and session.live_agent_id == relogin.live_agent_id
            and session.status in IN_CALL
            and not self._lives(session.server_ip)
        )
        return self._changed(
            relogin,
            stage=ReloginStage.PLANNED,
            attempts=relogin.attempts + 1,
            forced=forced,
            in_call=relogin.in_call or in_call,
            dialer_lives=relogin.dialer_lives and self._lives(relogin.from_server_ip),
        )

    def _changed(self, relogin: Relogin, **changes: object) -> Relogin:
        return msgspec.structs.replace(relogin, changed_at_ms=self._now_ms, by=self._by, **changes)

    def _forget(self, relogin: Relogin) -> None:
        del self._relogins[relogin.live_agent_id]
        self._ended.append(key_of(relogin))

    def _decide(self, what: str, why: str, subject: str) -> None:
        self._records.append(
            Decision(
                cluster=self._state.cluster, at_ms=self._now_ms, actor=self._by, what=what, why=why, subject=subject
            )
        )


def _listed(session: AgentSession, why: NotMoved) -> Listed:
    return Listed(user=session.user, live_agent_id=session.live_agent_id, why=why)


def _urgency(session: AgentSession) -> tuple[int, int]:
    return _FIRST.get(session.status, LAST), session.live_agent_id
