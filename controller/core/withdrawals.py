"""Moves whose reason is over, and logouts that may come late: what is said of them, and which screens keep an order.

An executor may have begun with a move that is withdrawn, and a web server may carry out later what was given up. In
both cases a screen may be logged out after all, and then it must find the order by which it logs in again. Pure.
"""

import msgspec

from controller.core.actions import attempt_of
from controller.core.actions.relogin import LATE_SECONDS, LOGOUT
from controller.core.decided import NOT_SENT
from controller.core.plan import PlanBuilder
from messages.codes import DecisionCode
from messages.records import AgentSession, LoginSlot, Relogin, ReloginStage, ServerIp

PLANNED_SLOT_SECONDS = 60.0
"""How long the slot of a move is reserved: the time for all attempts, and for the agent to log in after that."""
SECOND_MS = 1000
TO_SEND = NOT_SENT - {ReloginStage.ADVISED}
"""Stages of a move of which something is still to be sent."""
KEPT_AHEAD_MS = 30 * SECOND_MS
"""A slot whose LOGOUT stands is kept on when this is left of its time: a screen that obeys just then has this long."""
GIVEN_BACK_MS = 10 * SECOND_MS
"""Longer than the time between two polls: a slot that was reserved for nothing becomes a login again before it ends."""
OVER = "what it was planned for is over"


def slot_of_move(
    plan: PlanBuilder, session: AgentSession, alias_id: str, phone_login: str, server_ip: ServerIp
) -> LoginSlot:
    """Return the slot of a move of this session to that phone and dialer."""
    login = plan.state.decided.logins.get(session.user.lower())
    if login is not None and login.used_by != session.live_agent_id:
        login = None
    asked = plan.state.decided.slots.of(session.user)
    return LoginSlot(
        cluster=plan.state.cluster,
        user=session.user,
        alias_id=alias_id,
        campaign_id=session.campaign_id,
        phone_login=phone_login,
        server_ip=server_ip,
        handed_out_at_ms=plan.now_ms,
        until_ms=plan.now_ms + round(PLANNED_SLOT_SECONDS * SECOND_MS),
        replaces=session.live_agent_id,
        planned=True,
        claims=() if asked is None else asked.claims,
        login=login,
        screen="" if login is None else login.screen,
        handed_out_by=plan.by,
    )


class Withdrawals:
    """The withdrawals of one plan."""

    def __init__(self, plan: PlanBuilder) -> None:
        self._plan = plan

    def withdraw(self, relogin: Relogin, why: str) -> Relogin | None:
        """Return the move as it stands now that its reason is over; None: it ends."""
        plan = self._plan
        to_send = relogin.stage in TO_SEND
        if relogin.withdrawn or (to_send and attempt_of(relogin) in plan.submitted):
            return self._changed(relogin, withdrawn=True)
        late = self.is_late_logout_expected(relogin)
        if to_send and not self._may_have_been_sent(relogin):
            plan.decide(DecisionCode.MOVE_WITHDRAWN, why, relogin.user)
            if not late:
                self.release_slot(relogin)
        return self._changed(relogin, withdrawn=True, stage=_sent(relogin)) if late else None

    def is_over(self, relogin: Relogin) -> bool:
        """Return True if nothing more can come of a move that was withdrawn; say so, if nothing was sent."""
        plan = self._plan
        if self.is_late_logout_expected(relogin):
            return False
        if relogin.stage not in TO_SEND:
            return plan.now_ms - relogin.changed_at_ms >= PLANNED_SLOT_SECONDS * SECOND_MS
        if attempt_of(relogin) in plan.submitted:
            return False
        if not self._may_have_been_sent(relogin):
            plan.decide(DecisionCode.MOVE_WITHDRAWN, OVER, relogin.user)
            self.release_slot(relogin)
        return True

    def _may_have_been_sent(self, relogin: Relogin) -> bool:
        """Return True if an earlier owner may have sent a move of which nothing was reported, as its row may show.

        Then nothing is said of it, and its slot stays until its time is over.
        """
        session = self._session_of(relogin)
        return relogin.by != self._plan.by or (session is not None and session.external_pause == LOGOUT)

    def is_late_logout_expected(self, relogin: Relogin) -> bool:
        """Return True if a screen may still obey a LOGOUT: one that was given up, or one that stands in its row."""
        given_up = relogin.late_logouts > 0 and self._plan.now_ms < relogin.late_until_ms
        return given_up or self._stands(relogin)

    def keep_order(self, relogin: Relogin) -> None:
        """Keep the slot of a move whose LOGOUT stands: screens in hidden tabs, or at slow web servers, obey late."""
        plan, session = self._plan, self._session_of(relogin)
        if session is None or not self._stands(relogin):
            return
        login = plan.state.decided.logins.get(relogin.user.lower())
        slot = plan.state.decided.slots.of(relogin.user)
        if slot is None or not slot.planned or slot.replaces != relogin.live_agent_id:
            slot = slot_of_move(plan, session, relogin.alias_id, relogin.phone_login, relogin.to_server_ip)
        elif slot.until_ms - plan.now_ms > KEPT_AHEAD_MS:
            return
        if not (slot.screen or login):
            return  # no screen could ask for it
        until_ms = plan.now_ms + round(PLANNED_SLOT_SECONDS * SECOND_MS)
        plan.add(msgspec.structs.replace(slot, until_ms=until_ms, handed_out_by=plan.by))

    def _stands(self, relogin: Relogin) -> bool:
        """Return True if the LOGOUT of a move is in the row of its session, and may soon be obeyed.

        Later the browser is gone rather than asleep, and its slot would only take an agent's place.
        """
        session, sent_ms = self._session_of(relogin), relogin.sent_at_ms
        late = sent_ms is None or self._plan.now_ms - sent_ms >= LATE_SECONDS * SECOND_MS
        return session is not None and session.external_pause == LOGOUT and not late

    def _session_of(self, relogin: Relogin) -> AgentSession | None:
        session = self._plan.state.observed.agents.get(relogin.user.lower())
        return session if session is not None and session.live_agent_id == relogin.live_agent_id else None

    def expect_late_logout(self, relogin: Relogin) -> Relogin:
        """Reserve a slot for the screen of the user's next session while a late LOGOUT may end that session.

        One for each LOGOUT: an agent who then leaves by themselves is not logged in again and again.
        """
        if relogin.late_logouts == 0:
            return relogin
        decided = self._plan.state.decided
        slot, login = decided.slots.of(relogin.user), decided.logins.get(relogin.user.lower())
        if not self.is_late_logout_expected(relogin):
            self._give_login_back(relogin, slot)
            return msgspec.structs.replace(relogin, late_logouts=0)
        if slot is not None or login is None or not login.screen:
            return relogin
        if login.used_by in {relogin.live_agent_id, relogin.late_session}:
            return relogin
        left = relogin.late_logouts - (relogin.late_session is not None)
        if left > 0:
            self._reserve(login, relogin.late_until_ms)
        return msgspec.structs.replace(relogin, late_logouts=left, late_session=login.used_by)

    def _reserve(self, login: LoginSlot, until_ms: int) -> None:
        plan = self._plan
        reserved = msgspec.structs.replace(
            login,
            handed_out_at_ms=plan.now_ms,
            until_ms=until_ms + GIVEN_BACK_MS,
            replaces=login.used_by,
            planned=True,
            used_by=None,
            handed_out_by=plan.by,
        )
        plan.add(reserved)

    def _give_login_back(self, relogin: Relogin, slot: LoginSlot | None) -> None:
        """Make the slot the login again that it was: the log has one of them for each user."""
        session = self._plan.state.observed.agents.get(relogin.user.lower())
        if slot is None or session is None or not slot.replaces == relogin.late_session == session.live_agent_id:
            return
        login = msgspec.structs.replace(
            slot, planned=False, used_by=session.live_agent_id, asked_by="", handed_out_by=self._plan.by
        )
        self._plan.add(login)

    def release_slot(self, relogin: Relogin) -> None:
        """Release the slot of a withdrawn move, so that a later logout of that screen starts no re-login."""
        plan = self._plan
        slot = plan.state.decided.slots.of(relogin.user)
        if slot is not None and slot.planned and slot.replaces == relogin.live_agent_id:
            plan.add(
                msgspec.structs.replace(slot, planned=False, screen="", until_ms=plan.now_ms, handed_out_by=plan.by)
            )

    def _changed(self, relogin: Relogin, **changes: object) -> Relogin:
        return msgspec.structs.replace(relogin, changed_at_ms=self._plan.now_ms, by=self._plan.by, **changes)


def _sent(relogin: Relogin) -> ReloginStage:
    """Return the stage of a move of which an earlier attempt may still be carried out."""
    return ReloginStage.SENT if relogin.stage in TO_SEND else relogin.stage
