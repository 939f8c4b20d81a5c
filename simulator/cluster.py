"""A simulated VICIdial cluster: dialers and agents that write VICIdial's tables at VICIdial's pace, and can fail.

It behaves as VICIdial's own parts do where hotdesk can see them, in the database, even where that is unhelpful: a
dead dialer's rows stay and stay fresh, a hung one's heartbeat steps, and an unanswered pick falls back to
VICIdial's own choice. `agents` has the agents' decisions, `desks` their writes; this module has the threads, and the
commands that break things.
"""

import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType
from typing import Self

import pymysql
from pymysql.connections import Connection

from simulator.agents import Habits, Mind
from simulator.desks import Desks, Pick, Seat
from simulator.dialers import Dialer, DialerScripts
from simulator.phones import Phones, PhonesThatAnswer
from simulator.plan import ClusterPlan
from simulator.sessions import AgentPage, spread
from simulator.sip import SipPorts
from simulator.statistics import Counted, Statistics

HEARTBEAT_SECONDS = 0.4
HUNG_SECONDS = 11.0
"""How often the real updater writes while its Asterisk hangs: it waits ten seconds for an answer, and then one more."""
CALL_SECONDS = 2.0
"""How often a call rings on a dialer, as far as its listener writes it down: real ones do so more often."""
CHORES_SECONDS = 20.0
"""How often a dialer's slower scripts run."""

_RETRY_SECONDS = 0.2
"""How long a thread waits after a failed statement."""
_JOIN_SECONDS = 30.0
_LOST_CONNECTION = (pymysql.OperationalError, pymysql.InterfaceError, pymysql.InternalError)
"""The errors of pymysql for a server that is away or goes away; any other error is a bug of ours."""

Work = Callable[[Connection, float], float]
"""Does the work that is due now, and returns when to call it again."""


class ClusterStuckError(Exception):
    """A thread of the simulated cluster did not end when asked to."""


def vicidial_chooses(_user: str, _alias: str, _campaign: str) -> None:
    """Return no pick, so that VICIdial itself chooses: a cluster without hotdesk."""


class SimulatedCluster:
    """The dialers and agents of a plan, whose rows `populate` has inserted already.

    Start it and stop it, or use it as a context manager, and it runs in threads of its own; or call `step` at times
    of the caller's own clock, and it does the same in the caller's thread. While the database is away, it waits.
    """

    def __init__(  # noqa: PLR0913 (the variations of a run, each once)
        self,
        connect: Callable[[], Connection],
        plan: ClusterPlan,
        pick: Pick = vicidial_chooses,
        *,
        habits: Habits | None = None,
        refresh_seconds: float = 1.0,
        threads: int = 2,
        sip_port: int | None = None,
        phones: Phones | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create the agents; nothing is written yet.

        Args:
            connect: Opens a connection with autocommit that uses the cluster's database. Called in each thread, and
                again after a failure.
            plan: The plan of the database's rows.
            pick: Called at each login.
            habits: The times that agents take.
            refresh_seconds: How often each agent's browser writes `last_update_time`. VICIdial's writes every
                second, which one Python process can do for about 5,000 agents. Screens are read every second anyway.
            threads: Number of threads for the agents; one more writes for the dialers.
            sip_port: The UDP port at which the dialers with loopback addresses answer SIP while the threads run;
                None: nowhere.
            phones: The agents' phones; None: each answers at once.
            clock: Seconds since 1970.
        """
        self.statistics = Statistics()
        self._connect = connect
        self._clock = clock
        now = clock()
        self._dialers = {
            dialer.server_ip: Dialer(
                plan=dialer,
                remote_agents=tuple(agent for agent in plan.remote_agent_plans if agent.server_ip == dialer.server_ip),
                # one after the other: real dialers do not hold up each other's heartbeats
                chores_due=now + CHORES_SECONDS * number / plan.dialers,
            )
            for number, dialer in enumerate(plan.dialer_plans)
        }
        self._scripts = DialerScripts(self.statistics)
        self._plan = plan
        self._refresh_seconds = refresh_seconds
        self._phones = phones or PhonesThatAnswer()
        self._page = AgentPage(self._dialers, self._phones, self.statistics)
        self._seats = _seats(plan, habits or Habits(), now)
        desks = [
            Desks(
                self._seats[number::threads],
                dialers=self._dialers,
                page=self._page,
                pick=pick,
                refresh_seconds=refresh_seconds,
                statistics=self.statistics,
                now=now,
            )
            for number in range(threads)
        ]
        self._loops = [
            _Loop(work, connect, self.statistics) for work in (self._run_dialers, *(desk.work for desk in desks))
        ]
        self._sip = None if sip_port is None else SipPorts(self._dialers, sip_port)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def logged_in(self) -> int:
        """The number of agents with a session on their screen."""
        return sum(seat.session is not None for seat in self._seats)

    def agents_on(self, server_ip: str) -> list[str]:
        """The users whose sessions are on a dialer."""
        return [
            seat.plan.user
            for seat in self._seats
            if (session := seat.session) is not None and session.dialer.server_ip == server_ip
        ]

    def begin_mid_shift(self) -> None:
        """Log all agents in at once, before the start, evenly spread over the dialers.

        Thousands of single logins take minutes, in VICIdial and here. These are not counted as logins. All rooms must
        be free; an agent whose dialers have none left logs in later.
        """
        now = self._clock()
        waiting = [seat for seat in self._seats if seat.session is None]
        phones = spread([seat.plan for seat in waiting], self._plan.rooms)

        def log_in(connection: Connection) -> None:
            sessions = self._page.log_in_all(connection, phones, self._plan.room_numbers, now)
            for number, seat in enumerate(waiting):
                if seat.plan.user in sessions:
                    seat.session = sessions[seat.plan.user]
                    seat.agent = seat.mind.begins(now)
                    seat.refresh_due = now + self._refresh_seconds * number / len(waiting)

        self._execute(log_in)

    def start(self) -> None:
        """Start the threads."""
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._run, args=(loop,), name=f"cluster-{number}", daemon=True)
            for number, loop in enumerate(self._loops)
        ]
        for thread in self._threads:
            thread.start()
        if self._sip is not None:
            self._sip.start()

    def stop(self) -> None:
        """Stop running and close all connections; agents stay logged in, as a power cut would leave them.

        Raises:
            ClusterStuckError: A thread did not end.
        """
        self._stopping.set()
        if self._sip is not None:
            self._sip.stop()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise ClusterStuckError(f"{thread.name} did not end within {_JOIN_SECONDS:.0f} s")
        self._threads = []
        for loop in self._loops:
            loop.drop_connection()

    def step(self) -> None:
        """Do all the work that is due by the clock, in the caller's thread; not while the threads run."""
        now = self._clock()
        for loop in self._loops:
            while loop.step(now) <= now:
                pass  # each call does a part of the due work, and sets that part's next time in the future

    # --- faults and repairs -------------------------------------------------------------------------------------

    def kill(self, server_ip: str) -> None:
        """Power off a dialer: heartbeat, scripts and calls end; its rows stay, and browsers keep them fresh."""
        self._dialers[server_ip].dead = True
        if self._sip is not None:
            self._sip.close(server_ip)

    def hang(self, server_ip: str) -> None:
        """Hang a dialer's Asterisk: its calls end, its scripts go on, and its heartbeat steps."""
        self._dialers[server_ip].hung = True
        if self._sip is not None:
            self._sip.fall_silent(server_ip)

    def stall(self, server_ip: str) -> None:
        """Stall a dialer's heartbeat; its calls and its other scripts go on."""
        self._dialers[server_ip].stalled = True

    def unstall(self, server_ip: str) -> None:
        """Let the heartbeat advance again."""
        self._dialers[server_ip].stalled = False

    def cut_off(self, server_ip: str) -> None:
        """Cut a dialer's network: no heartbeat of it arrives and it answers nothing; its calls go on."""
        self.stall(server_ip)
        if self._sip is not None:
            self._sip.fall_silent(server_ip)

    def reconnect(self, server_ip: str) -> None:
        """Mend a dialer's network: it answers at once, with the sessions that it had; its updater is yet to start."""
        if self._sip is not None:
            self._sip.answer(server_ip)

    def bring_back(self, server_ip: str) -> None:
        """Boot a dialer, dead or not: its sessions are deleted, and its heartbeat starts again."""
        dialer = self._dialers[server_ip]
        self._execute(lambda connection: self._scripts.boot(connection, dialer, self._clock()))
        dialer.dead = dialer.hung = dialer.stalled = False
        dialer.heartbeat_due = 0
        if self._sip is not None:
            self._sip.answer(server_ip)

    def restart_updater(self, server_ip: str) -> None:
        """Restart a dialer's heartbeat script, which a database restart makes necessary."""
        dialer = self._dialers[server_ip]
        self._execute(lambda connection: self._scripts.start_updater(connection, dialer, self._clock()))

    def skew(self, server_ip: str, seconds: float) -> None:
        """Set a dialer's clock ahead by `seconds`, or behind if negative."""
        self._dialers[server_ip].skew_seconds = seconds

    def switch_off(self, server_ip: str) -> None:
        """Set `servers.active` to N, as an operator does."""
        self._execute(lambda connection: self._scripts.set_active(connection, server_ip, active=False))

    def switch_on(self, server_ip: str) -> None:
        """Set `servers.active` to Y."""
        self._execute(lambda connection: self._scripts.set_active(connection, server_ip, active=True))

    def close_logins(self, server_ip: str) -> None:
        """Set `servers.active_agent_login_server` to N."""
        self._execute(lambda connection: self._scripts.set_logins(connection, server_ip, taken=False))

    def open_logins(self, server_ip: str) -> None:
        """Set `servers.active_agent_login_server` to Y."""
        self._execute(lambda connection: self._scripts.set_logins(connection, server_ip, taken=True))

    # --- threads ------------------------------------------------------------------------------------------------

    def _run(self, loop: "_Loop") -> None:
        while not self._stopping.is_set():
            due = loop.step(self._clock())
            self._stopping.wait(max(0.0, due - self._clock()))

    def _run_dialers(self, connection: Connection, now: float) -> float:
        alive = [dialer for dialer in self._dialers.values() if not dialer.dead]
        for dialer in alive:
            if now >= dialer.heartbeat_due:
                if not dialer.stalled:
                    self._scripts.beat(connection, dialer, now)
                    if not dialer.hung:
                        self._phones.show(connection, dialer.server_ip)
                dialer.heartbeat_due = now + (HUNG_SECONDS if dialer.hung else HEARTBEAT_SECONDS)
            if dialer.carries_calls and now >= dialer.call_due:
                self._scripts.write_call(connection, dialer, now)
                dialer.call_due = now + CALL_SECONDS
            if now >= dialer.chores_due:
                self._scripts.do_chores(connection, dialer, now)
                dialer.chores_due = now + CHORES_SECONDS
        return min((now + HEARTBEAT_SECONDS, *(dialer.heartbeat_due for dialer in alive)))

    def _execute(self, act: Callable[[Connection], None]) -> None:
        with self._connect() as connection:
            act(connection)


class _Loop:
    """One thread's work, and its connection: opened when needed, dropped after a failure."""

    def __init__(self, work: Work, connect: Callable[[], Connection], statistics: Statistics) -> None:
        self._work = work
        self._connect = connect
        self._statistics = statistics
        self._connection: Connection | None = None

    def step(self, now: float) -> float:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return self._work(self._connection, now)
        except _LOST_CONNECTION:
            self._statistics.count(Counted.FAILED_STATEMENTS)
            self.drop_connection()
            return now + _RETRY_SECONDS

    def drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()


def _seats(plan: ClusterPlan, habits: Habits, now: float) -> Sequence[Seat]:
    seats = []
    for agent in plan.agent_plans:
        mind = Mind(habits, Random(f"{plan.seed}/{agent.user}"))
        seats.append(Seat(plan=agent, mind=mind, agent=mind.arrives(now)))
    return seats
