"""Agents at their desks: poll their screens, and carry out their decisions."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from pymysql.connections import Connection

from simulator import vicidial_login
from simulator.agents import LOGOUT_ORDER, Act, Agent, Mind, Phase, Screen
from simulator.clock import vicidial_time
from simulator.dialers import Dialer
from simulator.plan import AgentPlan
from simulator.sessions import AgentPage, Call, Session, new_call
from simulator.statistics import Counted, Statistics

Pick = Callable[[str, str, str], str | None]
"""Returns the phone to log in to for a user, alias and campaign; None or an exception: VICIdial chooses."""

POLL_SECONDS = 1.0
"""How often an agent's browser polls."""

_SLICE = 50
"""Agents whose screens one statement reads."""
_CALL_ELSEWHERE_CHANCE = 0.2
"""Chance that a call is on another dialer than its agent."""
_KEEPS_ROOM_CHANCE = 0.5

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seat:
    """One agent, and the session on their screen."""

    plan: AgentPlan
    mind: Mind
    agent: Agent
    session: Session | None = None
    refresh_due: float = 0


@dataclass(slots=True)
class _Slice:
    """Agents polled together."""

    seats: Sequence[Seat]
    due: float


class Desks:
    """Some of the cluster's agents; not to be used by two threads at once."""

    def __init__(  # noqa: PLR0913 (an agent's surroundings, each once)
        self,
        seats: Sequence[Seat],
        *,
        dialers: Mapping[str, Dialer],
        page: AgentPage,
        pick: Pick,
        refresh_seconds: float,
        statistics: Statistics,
        now: float,
    ) -> None:
        """Start with these agents; their polls are spread over the first second."""
        starts = range(0, len(seats), _SLICE)
        self._slices = [
            _Slice(seats[start : start + _SLICE], now + POLL_SECONDS * start / len(seats)) for start in starts
        ]
        self._dialers = dialers
        self._page = page
        self._pick = pick
        self._refresh_seconds = refresh_seconds
        self._statistics = statistics

    def work(self, connection: Connection, now: float) -> float:
        """Poll the agents that have waited longest, if they are due; return when the next poll is due."""
        if not self._slices:
            return now + POLL_SECONDS
        part = min(self._slices, key=attrgetter("due"))
        if now >= part.due:
            self._poll(connection, part.seats, now)
            late = now >= part.due + POLL_SECONDS
            part.due = (now if late else part.due) + POLL_SECONDS
        return min(part.due for part in self._slices)

    def _poll(self, connection: Connection, seats: Sequence[Seat], now: float) -> None:
        orders = self._page.read(connection, [seat.plan.user for seat in seats if seat.session])
        for seat in seats:
            if seat.agent.phase is not Phase.OUT or now >= seat.agent.until:
                self._advance(connection, seat, orders, now)

    def _advance(
        self, connection: Connection, seat: Seat, orders: Mapping[int, tuple[str, str, str]], now: float
    ) -> None:
        """Let one agent decide and act. If a statement fails, the agent decides again at the next poll."""
        screen = self._screen(seat.session, orders)
        agent, act = seat.mind.decide(seat.agent, screen, now)
        session = seat.session
        if act is Act.LOG_IN:
            session = self._log_in(connection, seat.plan, now)
            if session is None:
                self._statistics.count(Counted.REFUSED_LOGINS)
                agent = seat.mind.refused(now)
            seat.refresh_due = now + self._refresh_seconds
        elif session is not None and act is Act.LOG_OUT:
            keeps_room = seat.mind.draw.random() < _KEEPS_ROOM_CHANCE
            self._page.log_out(connection, seat.plan, session, now, keeps_room=keeps_room)
            if screen.external_pause == LOGOUT_ORDER:
                self._statistics.count(Counted.ORDERED_LOGOUTS)
            session = None
        elif session is not None and agent.phase is Phase.OUT:
            self._statistics.count(Counted.LOST_SESSIONS)
            session = None
        elif session is not None and act is Act.SHOW:
            session = replace(session, call=self._call(seat, session, agent.phase, now))
            self._page.show(connection, seat.plan, session, agent.phase, now)
        if session is not None:
            self._keep_up(connection, seat, session, screen, now)
        seat.agent, seat.session = agent, session

    def _keep_up(self, connection: Connection, seat: Seat, session: Session, screen: Screen, now: float) -> None:
        """Do the browser's own work, whatever the agent does."""
        if screen.external_hangup or screen.external_status:
            self._page.clear_orders(connection, session, screen, seat.agent.phase)
        if now >= seat.refresh_due - POLL_SECONDS / 2:  # the poll nearest to when it is due
            self._page.refresh(connection, session, vicidial_time(now))
            seat.refresh_due = now + self._refresh_seconds

    def _screen(self, session: Session | None, orders: Mapping[int, tuple[str, str, str]]) -> Screen:
        if session is None:
            return Screen(session_open=False)
        if session.live_agent_id not in orders:
            return Screen(session_open=False)
        dialers = [session.dialer]
        if session.call.server_ip:
            dialers.append(self._dialers[session.call.server_ip])
        pause, hangup, status = orders[session.live_agent_id]
        return Screen(
            calls_run=all(dialer.carries_calls for dialer in dialers),
            external_pause=pause,
            external_hangup=hangup,
            external_status=status,
        )

    def _log_in(self, connection: Connection, plan: AgentPlan, now: float) -> Session | None:
        campaign = plan.campaign.campaign_id
        phone_login = None
        try:
            phone_login = self._pick(plan.user, plan.alias, campaign)
        except Exception:  # noqa: BLE001 (the login page fails open, whatever the error)
            _log.debug("pick failed for user %s", plan.user, exc_info=True)
        if phone_login is None:
            self._statistics.count(Counted.OWN_CHOICES)
            phone_login = vicidial_login.choose(connection, plan.alias, campaign, now=now)
        if phone_login is None:
            return None
        return self._page.log_in(connection, plan, phone_login, now)

    def _call(self, seat: Seat, session: Session, phase: Phase, now: float) -> Call:
        """Return the session's call in its new phase."""
        match phase:
            case Phase.RINGING:
                draw = seat.mind.draw
                elsewhere = [dialer for dialer in self._dialers.values() if dialer.carries_calls]
                moved = elsewhere and draw.random() < _CALL_ELSEWHERE_CHANCE
                dialer = draw.choice(elsewhere) if moved else session.dialer
                return new_call(draw, now, dialer.server_ip)
            case Phase.TALKING | Phase.WRAPPING:
                return session.call
            case Phase.PAUSED | Phase.WAITING | Phase.OUT:
                return Call()
