"""How moves go on: what each poll shows of them, when a logout is repeated, and when a move has failed. Pure."""

from collections.abc import Set as AbstractSet

import msgspec

from controller.core.actions import attempt_of
from controller.core.actions.relogin import IN_CALL
from controller.core.arrivals import LoggedIn
from controller.core.calls import DEAD_WRAPUP_SECONDS, WAITING, Calls
from controller.core.plan import PlanBuilder
from controller.core.withdrawals import SECOND_MS, TO_SEND
from messages.codes import DecisionCode
from messages.records import AgentSession, Relogin, ReloginStage

RETRY_SECONDS = 15.0
"""A screen polls every second; a session that is still there this long after its logout is sent another."""
MOST_ATTEMPTS = 3
FORCED_ATTEMPTS = 2
"""An emergency logout is several statements without a transaction; a second attempt finishes the first."""


class MoveProgress:
    """The progress of the moves of one plan."""

    def __init__(self, plan: PlanBuilder, calls: Calls) -> None:
        self._plan = plan
        self._calls = calls
        self.logged_in: list[LoggedIn] = []
        """The agents who were just seen logged in elsewhere."""

    def after_poll(self, relogin: Relogin, sessions: AbstractSet[int]) -> Relogin:
        """Return a move as it is after the latest poll; `sessions`: those that are there."""
        now = self._plan.state.observed.agents.get(relogin.user.lower())
        stage = self._stage_seen(relogin, now, sessions)
        if stage is not relogin.stage:
            if stage is ReloginStage.MOVED and now is not None:
                self.logged_in.append(LoggedIn(relogin, now))
            return self._changed(relogin, stage=stage)
        if relogin.withdrawn:
            return relogin
        if relogin.stage in TO_SEND and now is not None and now.live_agent_id == relogin.live_agent_id:
            return self._wait_for_disposition(relogin, now)
        late = self._plan.now_ms - relogin.changed_at_ms >= RETRY_SECONDS * SECOND_MS
        return self._repeat(relogin, now) if relogin.stage is ReloginStage.SENT and late else relogin

    def _stage_seen(self, relogin: Relogin, now: AgentSession | None, sessions: AbstractSet[int]) -> ReloginStage:
        """Return the stage of a move after what the latest poll shows of its agent."""
        gone = relogin.live_agent_id not in sessions
        if gone and relogin.stage in TO_SEND and attempt_of(relogin) in self._plan.submitted:
            return relogin.stage  # what the executor reports says whether hotdesk ended the session
        # back on the dialer that they left they have arrived, too, once its trouble is over
        left = now is not None and (
            now.server_ip != relogin.from_server_ip or relogin.incident not in self._plan.state.decided.incidents
        )
        if now is not None and now.live_agent_id != relogin.live_agent_id and left:
            return ReloginStage.MOVED
        # a move that failed may have been obeyed late
        sent = relogin.stage in {*TO_SEND, ReloginStage.SENT} or relogin.sent_at_ms is not None
        if gone and sent and relogin.stage is not ReloginStage.MOVED:
            return ReloginStage.ENDED
        return relogin.stage

    def _wait_for_disposition(self, relogin: Relogin, session: AgentSession) -> Relogin:
        """Plan the logout once the agent has chosen the disposition, or once the time for it is over.

        A dialer may come back or die before anything was sent: then a call lives, or has died, after all.
        """
        lives, in_call = self._calls.lives(session), session.status in IN_CALL
        if lives is not relogin.dialer_lives:
            if relogin.stage is ReloginStage.WRAPPING_UP and not in_call:
                return self._changed(relogin, dialer_lives=lives)  # the call is over either way
            dead_call = in_call and not lives
            stage = ReloginStage.HANGING_UP if dead_call else ReloginStage.PLANNED
            return self._changed(relogin, stage=stage, dialer_lives=lives, in_call=dead_call, undisposed=False)
        if relogin.stage is ReloginStage.WRAPPING_UP:
            return self._after_wrapup(relogin, session)
        if relogin.stage is not ReloginStage.PLANNED:
            return relogin
        if session.in_wrapup and not relogin.undisposed and self._calls.wrapup_is_over(session):
            return self._changed(relogin, undisposed=True)
        # who chose a disposition while their dialer was in doubt waits for calls by now
        return self._changed(relogin, waited=True) if session.status in WAITING and not relogin.waited else relogin

    def _after_wrapup(self, relogin: Relogin, session: AgentSession) -> Relogin:
        pending = session.status in IN_CALL or session.in_wrapup
        late = self._plan.now_ms - relogin.changed_at_ms >= DEAD_WRAPUP_SECONDS * SECOND_MS
        over = late and (not relogin.dialer_lives or self._calls.wrapup_is_over(session))
        if (pending or self._calls.settles(session)) and not over:
            return relogin
        waited = session.status in WAITING
        return self._changed(relogin, stage=ReloginStage.PLANNED, in_call=pending, undisposed=pending, waited=waited)

    def _repeat(self, relogin: Relogin, now: AgentSession | None) -> Relogin:
        """Plan another attempt, or record that the move failed; while moves are withheld, wait.

        `now`: the user's latest session. If that is another one on the same dialer, the call is as it was.
        """
        plan = self._plan
        if plan.withheld is not None:
            return relogin
        same = now if now is not None and now.live_agent_id == relogin.live_agent_id else None
        lives = self._calls.dialer_lives(relogin.from_server_ip) if same is None else self._calls.lives(same)
        forced = relogin.attempts >= MOST_ATTEMPTS
        if relogin.attempts >= MOST_ATTEMPTS + (FORCED_ATTEMPTS if plan.policy.emergency_logout else 0):
            why = f"the session is still there after {relogin.attempts} attempts"
            plan.decide(DecisionCode.MOVE_GIVEN_UP, why, relogin.user)
            return self._changed(relogin, stage=ReloginStage.FAILED)
        code = DecisionCode.MOVE_FORCED if forced else DecisionCode.MOVE_REPEATED
        plan.decide(code, relogin.answer or "the session is still there", relogin.user)
        return self._changed(
            relogin,
            stage=ReloginStage.PLANNED,
            attempts=relogin.attempts + 1,
            forced=forced,
            in_call=not lives and (relogin.in_call or (same is not None and same.status in IN_CALL)),
            dialer_lives=lives,
        )

    def _changed(self, relogin: Relogin, **changes: object) -> Relogin:
        return msgspec.structs.replace(relogin, changed_at_ms=self._plan.now_ms, by=self._plan.by, **changes)
