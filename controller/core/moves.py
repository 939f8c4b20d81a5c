"""Moves: choose the agent and the pace of each move, and follow it up; `targets` chooses where to. Pure, log's time."""

from dataclasses import replace

import msgspec

from controller.core.actions.relogin import IN_CALL
from controller.core.arrivals import KEPT_SECONDS, LOGIN_SECONDS, LoggedIn
from controller.core.calls import Calls
from controller.core.detector import began_after_restart, restarted_on_hook
from controller.core.move_progress import MoveProgress
from controller.core.plan import PlanBuilder
from controller.core.policy import Policy
from controller.core.ranking import RankedPhone
from controller.core.state import ClusterState
from controller.core.targets import Targets
from controller.core.withdrawals import SECOND_MS, TO_SEND, Withdrawals, slot_of_move
from messages.codes import DecisionCode, Reason
from messages.records import (
    AgentSession,
    DialerState,
    Incident,
    Listed,
    Move,
    NotMoved,
    Relogin,
    ReloginStage,
)
from messages.words import sentence

MOVES_COUNTED_SECONDS = 600
"""A user's moves are counted over this long."""
BACK_SECONDS = 30.0
"""An agent who is not back this long after the logout is listed: the login page has logged them in by then."""
_UNDER_WAY = {*TO_SEND, ReloginStage.SENT, ReloginStage.ENDED}


def is_moved_often(state: ClusterState, policy: Policy, relogin: Relogin) -> bool:
    """Return True if a move that is to be sent would be one more than the user's other sessions leave."""
    since_ms = state.observed.observed_at_ms - MOVES_COUNTED_SECONDS * SECOND_MS
    others = state.decided.moves_of(relogin.user, since_ms, apart_from=relogin.live_agent_id)
    return relogin.stage in TO_SEND and others >= policy.moves_of_a_user


class Moves:
    """The moves of one plan, and the slots as they are after those planned so far."""

    def __init__(self, plan: PlanBuilder) -> None:
        known = plan.state.decided.relogins.values()
        self._plan = plan
        # moves of this plan count at once, or they would all go to the same dialer
        ahead = replace(plan.state.decided, slots=plan.state.decided.slots.planned())
        self._ahead = replace(plan.state, decided=ahead)
        # advice given in advise mode is not an order once the mode is "act"
        self._advice = [each for each in known if plan.acts and each.stage is ReloginStage.ADVISED]
        self.relogins = {each.live_agent_id: each for each in known if each not in self._advice}
        """By session, with the changes of this plan."""
        self._left = self._moves_left()
        self._targets = Targets(plan, self._ahead)
        self._withdrawals = Withdrawals(plan)
        self._calls = Calls(plan)
        self._progress = MoveProgress(plan, self._calls)

    @property
    def logged_in(self) -> list[LoggedIn]:
        """The agents who were just seen logged in elsewhere."""
        return self._progress.logged_in

    def of_incident(self, incident: str) -> list[Relogin]:
        """Return the moves of an incident."""
        return [each for each in self.relogins.values() if each.incident == incident]

    def follow_up(self) -> None:
        """Update the known moves by the latest poll."""
        plan = self._plan
        sessions = {each.live_agent_id: each for each in plan.state.observed.agents.values()}
        for relogin in list(self.relogins.values()):
            after = self._withdrawals.expect_late_logout(self._progress.after_poll(relogin, sessions.keys()))
            if self._is_called_instead(relogin, after, sessions.get(relogin.live_agent_id)):
                self._withdrawals.release_slot(relogin)
                self._forget(relogin)
                continue
            self._keep(relogin, after)
            self._withdrawals.keep_order(after)
            if relogin.incident not in plan.state.decided.incidents and self._is_over(after):
                self._forget(after)

    def _is_called_instead(self, before: Relogin, after: Relogin, session: AgentSession | None) -> bool:
        """Return True if the agent of a dead call has chosen its disposition, and has lost only their phone beside it.

        Their Asterisk has started again: they are called where they are, as those who waited were at once. On-hook
        agents have not even lost that, and stay.
        """
        health = self._plan.state.observed.health.dialers.get(after.from_server_ip)
        chosen = before.stage is ReloginStage.WRAPPING_UP and after.stage is ReloginStage.PLANNED
        restarted = health is not None and health.interrupted
        on_hook = session is not None and restarted_on_hook(self._plan.state, session)
        return chosen and not after.undisposed and restarted and (on_hook or self._plan.policy.calls_phones)

    def move(self, incident: Incident, session: AgentSession, withheld: Reason | None) -> NotMoved | None:
        """Plan an agent's move, or return why not; also None if it only has to wait a moment."""
        known = self.relogins.get(session.live_agent_id)
        if known is not None:
            return self._why_it_stays(self._taken_over(known, incident))
        if began_after_restart(self._plan.state, session):
            return NotMoved.NEWER
        busy = self._calls.why_busy(session)
        if busy is not None:
            return busy
        if self._is_moved_often(session):
            return NotMoved.MOVED_OFTEN
        target = self._targets.choose(session, last_resort=incident.kind is DialerState.DOWN)
        if isinstance(target, NotMoved):
            return target
        if withheld is None and self._left > 0 and not self._calls.settles(session):
            self._plan_move(incident.incident, session, *target, why=incident.why)
        return None

    def move_by_order(self) -> None:
        """Move the agents whom people named, each to the least-loaded of the other dialers.

        An order ends once its move is planned or advised, or cannot be; until then it waits for the agent and the pace.
        """
        plan = self._plan
        for name, order in plan.state.decided.orders.moves.items():
            session = plan.state.observed.agents.get(name)
            if session is None or session.live_agent_id != order.live_agent_id:
                self._end_order(order, "the session has ended")
            elif session.live_agent_id in self.relogins:
                self._end_order(order, "the agent is being moved already")
            elif self._is_moved_often(session):
                self._end_order(order, sentence(NotMoved.MOVED_OFTEN))
            elif self._calls.settles(session):
                continue
            elif plan.withheld is None and self._left > 0 and self._calls.why_busy(session) is None:
                target = self._targets.choose(session, last_resort=False)
                if isinstance(target, NotMoved):
                    self._end_order(order, sentence(target))
                    continue
                self._plan_move(f"order/{order.user}", session, *target, why=f"ordered by {order.by}")
                plan.end_order(order)

    def still_out(self, incident: Incident) -> dict[int, Listed]:
        """Return the agents of an incident who have not logged in again since hotdesk ended their sessions."""
        ago_ms = range(round(BACK_SECONDS * SECOND_MS), round(KEPT_SECONDS * SECOND_MS))
        agents = self._plan.state.observed.agents
        return {
            each.live_agent_id: Listed(user=each.user, live_agent_id=each.live_agent_id, why=NotMoved.LOGGED_OUT)
            for each in self.of_incident(incident.incident)
            if each.stage is ReloginStage.ENDED and each.sent_at_ms is not None
            if self._plan.now_ms - each.changed_at_ms in ago_ms and each.user.lower() not in agents
        }

    def withdraw(self, incident: str, why: str) -> None:
        """End the moves of an incident that is over, and withdraw those that were not sent.

        Agents who are logged out just now are still to arrive.
        """
        for relogin in self.of_incident(incident):
            after = self._withdrawals.withdraw(relogin, why)
            if after is not None:
                self._keep(relogin, after)
            elif relogin.stage is not ReloginStage.ENDED:
                self._forget(relogin)

    def end_advice(self) -> None:
        """End the advice from before the mode became act, except for moves that have been planned since."""
        for each in self._advice:
            if each.live_agent_id not in self.relogins:
                self._plan.end(each)

    def _end_order(self, order: Move, why: str) -> None:
        self._plan.end_order(order)
        self._plan.decide(DecisionCode.NOT_MOVED, why, order.user)

    # --- how many, how often ----------------------------------------------------------------------------------------

    def _moves_left(self) -> int:
        """Return how many moves the pace allows now."""
        since_ms = self._plan.now_ms - SECOND_MS
        lately = sum(1 for each in self.relogins.values() if each.planned_at_ms > since_ms)
        return max(0, round(self._plan.policy.moves_per_second) - lately)

    def _is_moved_often(self, session: AgentSession) -> bool:
        """Return True if a user has been moved as often lately as is allowed, whatever the reasons were."""
        plan, since_ms = self._plan, self._plan.now_ms - MOVES_COUNTED_SECONDS * SECOND_MS
        return plan.state.decided.moves_of(session.user, since_ms) >= plan.policy.moves_of_a_user

    def _taken_over(self, known: Relogin, incident: Incident) -> Relogin:
        """Return the move of a session; one whose LOGOUT still stands since an earlier incident is this one's now."""
        if not known.withdrawn or known.stage not in {ReloginStage.SENT, ReloginStage.FAILED}:
            return known
        changes: dict[str, object] = {"incident": incident.incident, "withdrawn": False, "stage": ReloginStage.SENT}
        taken = msgspec.structs.replace(known, changed_at_ms=self._plan.now_ms, by=self._plan.by, **changes)
        self._keep(known, taken)
        return taken

    def _why_it_stays(self, relogin: Relogin) -> NotMoved | None:
        if relogin.stage is ReloginStage.FAILED:
            return NotMoved.STAYED
        return NotMoved.MOVED_OFTEN if is_moved_often(self._plan.state, self._plan.policy, relogin) else None

    # --- planning one move ------------------------------------------------------------------------------------------

    def _plan_move(
        self, incident: str, session: AgentSession, alias_id: str, phone: RankedPhone, *, why: str
    ) -> Relogin:
        plan = self._plan
        lives, in_call = self._calls.lives(session), session.status in IN_CALL
        stage = ReloginStage.HANGING_UP if in_call else ReloginStage.PLANNED
        relogin = Relogin(
            cluster=plan.state.cluster,
            live_agent_id=session.live_agent_id,
            user=session.user,
            incident=incident,
            from_server_ip=session.server_ip,
            to_server_ip=phone.server_ip,
            alias_id=alias_id,
            phone_login=phone.phone_login,
            planned_at_ms=plan.now_ms,
            stage=stage if plan.acts else ReloginStage.ADVISED,
            changed_at_ms=plan.now_ms,
            in_call=(in_call or session.in_wrapup) and not lives,
            undisposed=session.in_wrapup,
            waited=self._calls.waits(session),
            dialer_lives=lives,
            by=plan.by,
        )
        slot = slot_of_move(plan, session, alias_id, phone.phone_login, phone.server_ip)
        self.relogins[session.live_agent_id] = relogin
        self._left -= 1
        self._ahead.decided.slots.add(slot)
        plan.add(relogin)
        if plan.acts:
            plan.add(slot)
        plan.decide(
            DecisionCode.MOVE_PLANNED if plan.acts else DecisionCode.MOVE_ADVISED,
            why,
            session.user,
            from_server_ip=session.server_ip,
            to_server_ip=phone.server_ip,
            phone_login=phone.phone_login,
        )
        return relogin

    # --- keeping them -----------------------------------------------------------------------------------------------

    def _is_over(self, relogin: Relogin) -> bool:
        """Return True if nothing more can come of a move whose incident is closed."""
        if relogin.withdrawn:
            return self._withdrawals.is_over(relogin)
        if self._withdrawals.is_late_logout_expected(relogin):
            return False
        if relogin.stage is ReloginStage.ENDED:
            return self._plan.now_ms - relogin.changed_at_ms > LOGIN_SECONDS * SECOND_MS
        return relogin.stage not in _UNDER_WAY

    def _keep(self, before: Relogin, after: Relogin) -> None:
        if after is not before:
            self.relogins[after.live_agent_id] = after
            self._plan.add(after)

    def _forget(self, relogin: Relogin) -> None:
        del self.relogins[relogin.live_agent_id]
        self._plan.end(relogin)
