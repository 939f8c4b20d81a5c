"""The writes of VICIdial's agent page: a login, a poll of the screen, a change of state, a logout.

Nothing here decides; `agents` does. The order of the statements is that of the page, and so are the gaps between them:
the tables have no transactions.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from pymysql.connections import Connection

from simulator.agents import Phase, Screen
from simulator.clock import vicidial_time
from simulator.dialers import Dialer
from simulator.phones import PhoneCall, Phones
from simulator.plan import AgentPlan, PhonePlan
from simulator.statistics import Counted, Statistics

ROOM_TABLES = {"MEETME": "vicidial_conferences", "CONFBRIDGE": "vicidial_confbridges"}

_PHONE = """
    SELECT phones.server_ip, CONCAT(phones.protocol, '/', phones.extension), servers.conf_engine
    FROM phones JOIN servers USING (server_ip)
    WHERE phones.login = %s AND phones.active = 'Y' AND servers.active_agent_login_server = 'Y'
    LIMIT 1
"""
_ROOM_OF = {
    engine: f"SELECT conf_exten FROM {table} WHERE server_ip = %s AND extension = %s LIMIT 1"  # noqa: S608
    for engine, table in ROOM_TABLES.items()
}
_TAKE_ROOM = {
    engine: f"""
        UPDATE {table} SET extension = %s
        WHERE server_ip = %s AND (extension = '' OR extension IS NULL) LIMIT 1
    """  # noqa: S608 (a table of ours)
    for engine, table in ROOM_TABLES.items()
}
_FREE_ROOM = {
    engine: f"UPDATE {table} SET extension = '' WHERE server_ip = %s AND conf_exten = %s"  # noqa: S608
    for engine, table in ROOM_TABLES.items()
}
_TAKE_ROOMS = {
    engine: f"""
        INSERT INTO {table} (conf_exten, server_ip, extension) VALUES (%s, %s, %s)
        ON DUPLICATE KEY UPDATE extension = VALUES(extension)
    """  # noqa: S608 (a table of ours)
    for engine, table in ROOM_TABLES.items()
}
_ENGINES = "SELECT server_ip, conf_engine FROM servers"
_LOG_IDS = "SELECT user, MAX(agent_log_id) FROM vicidial_agent_log GROUP BY user"
_SESSION_IDS = "SELECT user, live_agent_id FROM vicidial_live_agents"
_END_OLD_SESSIONS = "DELETE FROM vicidial_live_agents WHERE user = %s"
_BEGIN_LOG = """
    INSERT INTO vicidial_agent_log (user, server_ip, event_time, campaign_id, pause_epoch, pause_type)
    VALUES (%s, %s, %s, %s, %s, 'AGENT')
"""
_BEGIN_SESSION = """
    INSERT INTO vicidial_live_agents
    (user, server_ip, conf_exten, extension, status, campaign_id, last_update_time, last_state_change,
     call_server_ip, uniqueid, callerid, comments, agent_log_id)
    VALUES (%s, %s, %s, %s, 'PAUSED', %s, %s, %s, '', '', '', '', %s)
"""
_LOG_EVENT = """
    INSERT INTO vicidial_user_log
    (user, event, campaign_id, event_date, event_epoch, session_id, server_ip, extension, phone_login, server_phone)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_END_SESSION = "DELETE FROM vicidial_live_agents WHERE live_agent_id = %s"
_READ_SCREENS = """
    SELECT live_agent_id, external_pause, external_hangup, external_status
    FROM vicidial_live_agents WHERE user IN %s
"""
_REFRESH = "UPDATE vicidial_live_agents SET last_update_time = %s WHERE live_agent_id = %s"
_SHOW = """
    UPDATE vicidial_live_agents
    SET status = %s, last_state_change = %s, last_update_time = %s,
        lead_id = %s, uniqueid = %s, callerid = %s, call_server_ip = %s
    WHERE live_agent_id = %s
"""
_HANGUP_DONE = "UPDATE vicidial_live_agents SET external_hangup = '' WHERE live_agent_id = %s"
_STATUS_DONE = "UPDATE vicidial_live_agents SET external_status = '' WHERE live_agent_id = %s"


@dataclass(frozen=True, slots=True)
class Call:
    """The call of an agent; without a call, all its fields are empty."""

    lead_id: int = 0
    uniqueid: str = ""
    callerid: str = ""
    server_ip: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """An agent's login in the tables."""

    live_agent_id: int
    phone_login: str
    extension: str
    dialer: Dialer
    conf_engine: str
    conf_exten: int
    call: Call = Call()


class AgentPage:
    """VICIdial's agent page, as far as it concerns the tables. Each call needs an autocommit connection."""

    def __init__(self, dialers: dict[str, Dialer], phones: Phones, statistics: Statistics) -> None:
        self._dialers = dialers
        self._phones = phones
        self._statistics = statistics

    def log_in(self, connection: Connection, agent: AgentPlan, phone_login: str, now: float) -> Session | None:
        """Log the agent in to one phone; None: the phone or its dialer takes no login, or has no free room."""
        with connection.cursor() as cursor:
            cursor.execute(_PHONE, (phone_login,))
            phone = cursor.fetchone()
            if phone is None:
                return None
            server_ip, extension, engine = phone
            dialer = self._dialers[server_ip]
            at = vicidial_time(now)
            with dialer.rooms:
                cursor.execute(_ROOM_OF[engine], (server_ip, extension))
                room = cursor.fetchone()
                if room is None:
                    cursor.execute(_TAKE_ROOM[engine], (extension, server_ip))
                    cursor.execute(_ROOM_OF[engine], (server_ip, extension))
                    room = cursor.fetchone()
                if room is None:
                    return None
                cursor.execute(_END_OLD_SESSIONS, (agent.user,))
                campaign = agent.campaign.campaign_id
                cursor.execute(_BEGIN_LOG, (agent.user, server_ip, at, campaign, int(now)))
                cursor.execute(
                    _BEGIN_SESSION,
                    (agent.user, server_ip, room[0], extension, campaign, at, at, cursor.lastrowid),
                )
                session = Session(cursor.lastrowid, phone_login, extension, dialer, engine, room[0])
            self._log(connection, agent, session, "LOGIN", now)
            if dialer.carries_calls:
                self._phones.call(connection, [_phone_call(session)])
        self._statistics.count(Counted.LOGINS)
        return session

    def log_in_all(
        self, connection: Connection, phones: Mapping[AgentPlan, PhonePlan], rooms: range, now: float
    ) -> dict[str, Session]:
        """Log many agents in with few statements, into rooms that must be free; return their sessions by user."""
        at = vicidial_time(now)
        free = {server_ip: iter(rooms) for server_ip in self._dialers}
        placed = [(agent, phone, next(free[phone.server_ip])) for agent, phone in phones.items()]
        with connection.cursor() as cursor:
            cursor.execute(_ENGINES)
            engines = dict(cursor.fetchall())
            for engine, statement in _TAKE_ROOMS.items():
                taken = [
                    (room, phone.server_ip, _sip(phone))
                    for _, phone, room in placed
                    if engines[phone.server_ip] == engine
                ]
                cursor.executemany(statement, taken)
            logs = [
                (agent.user, phone.server_ip, at, agent.campaign.campaign_id, int(now)) for agent, phone, _ in placed
            ]
            cursor.executemany(_BEGIN_LOG, logs)
            cursor.execute(_LOG_IDS)
            log_ids = dict(cursor.fetchall())
            begun = [
                (
                    agent.user,
                    phone.server_ip,
                    room,
                    _sip(phone),
                    agent.campaign.campaign_id,
                    at,
                    at,
                    log_ids[agent.user],
                )
                for agent, phone, room in placed
            ]
            cursor.executemany(_BEGIN_SESSION, begun)
            cursor.execute(_SESSION_IDS)
            ids = dict(cursor.fetchall())
            sessions = {}
            for agent, phone, room in placed:
                dialer = self._dialers[phone.server_ip]
                engine = engines[phone.server_ip]
                sessions[agent.user] = Session(ids[agent.user], phone.login, _sip(phone), dialer, engine, room)
            cursor.executemany(_LOG_EVENT, [_event(agent, sessions[agent.user], "LOGIN", now) for agent in phones])
            self._phones.call(connection, [_phone_call(session) for session in sessions.values()])
        return sessions

    def log_out(
        self, connection: Connection, agent: AgentPlan, session: Session, now: float, *, keeps_room: bool
    ) -> None:
        """End the session; the room may stay taken, as VICIdial often leaves it."""
        with connection.cursor() as cursor:
            with session.dialer.rooms:
                cursor.execute(_END_SESSION, (session.live_agent_id,))
                self._phones.hang_up(connection, _phone_call(session))
                if not keeps_room:
                    cursor.execute(_FREE_ROOM[session.conf_engine], (session.dialer.server_ip, session.conf_exten))
            self._log(connection, agent, session, "LOGOUT", now)
        self._statistics.count(Counted.LOGOUTS)

    def read(self, connection: Connection, users: list[str]) -> dict[int, tuple[str, str, str]]:
        """Return the fields that the users' screens read: `external_` pause, hangup and status by `live_agent_id`."""
        if not users:
            return {}
        with connection.cursor() as cursor:
            cursor.execute(_READ_SCREENS, (users,))
            return {row[0]: (row[1] or "", row[2] or "", row[3] or "") for row in cursor.fetchall()}

    def refresh(self, connection: Connection, session: Session, at: str) -> None:
        """Record that the browser is still there; `at` is in VICIdial's form."""
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(_REFRESH, (at, session.live_agent_id))
        self._statistics.wrote(Counted.REFRESHES, time.perf_counter() - started)

    def show(self, connection: Connection, agent: AgentPlan, session: Session, phase: Phase, now: float) -> None:
        """Show the agent's new phase, and the session's call."""
        at = vicidial_time(now)
        call = session.call
        if phase is Phase.WRAPPING:  # as VICIdial does, what is left of a call that is over is its lead
            call = Call(call.lead_id)
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(
                _SHOW,
                (
                    _status(phase, inbound=agent.campaign.inbound),
                    at,
                    at,
                    call.lead_id,
                    call.uniqueid,
                    call.callerid,
                    call.server_ip,
                    session.live_agent_id,
                ),
            )
        self._statistics.wrote(Counted.STATE_CHANGES, time.perf_counter() - started)

    def clear_orders(self, connection: Connection, session: Session, screen: Screen, was: Phase) -> None:
        """Clear requests of the agent API that the screen has obeyed, or could not obey."""
        with connection.cursor() as cursor:
            if screen.external_hangup:
                cursor.execute(_HANGUP_DONE, (session.live_agent_id,))
            if screen.external_status and was is not Phase.TALKING:  # a talking agent keeps it for afterwards
                cursor.execute(_STATUS_DONE, (session.live_agent_id,))

    def _log(self, connection: Connection, agent: AgentPlan, session: Session, event: str, now: float) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LOG_EVENT, _event(agent, session, event, now))


def spread(agents: Sequence[AgentPlan], rooms: int) -> dict[AgentPlan, PhonePlan]:
    """Return a phone for each agent, on their least loaded dialer, while that has a free room."""
    load: Counter[str] = Counter()
    phones = {}
    for agent in agents:
        phone = min(agent.phones, key=lambda phone: load[phone.server_ip])
        if load[phone.server_ip] < rooms:
            load[phone.server_ip] += 1
            phones[agent] = phone
    return phones


def new_call(draw: Random, now: float, server_ip: str) -> Call:
    """Return a made-up call on a dialer."""
    lead_id = draw.randrange(1, 1_000_000)
    return Call(lead_id, f"{now:.3f}.{lead_id % 1000}", f"V{int(now) % 10**9:09d}{lead_id:010d}"[:20], server_ip)


def _status(phase: Phase, *, inbound: bool) -> str:
    """Return the value of `vicidial_live_agents.status` in a phase."""
    match phase:
        case Phase.WAITING:
            return "CLOSER" if inbound else "READY"
        case Phase.RINGING:
            return "QUEUE"
        case Phase.TALKING:
            return "INCALL"
        case Phase.PAUSED | Phase.WRAPPING | Phase.OUT:
            return "PAUSED"


def _sip(phone: PhonePlan) -> str:
    """Return a planned phone in the form of `vicidial_live_agents.extension`: populated phones are SIP."""
    return f"SIP/{phone.extension}"


def _phone_call(session: Session) -> PhoneCall:
    return PhoneCall(session.dialer.server_ip, session.extension, str(session.conf_exten))


def _event(agent: AgentPlan, session: Session, event: str, now: float) -> tuple[object, ...]:
    """Return the values of `_LOG_EVENT`."""
    return (
        agent.user,
        event,
        agent.campaign.campaign_id,
        vicidial_time(now),
        int(now),
        session.conf_exten,
        session.dialer.server_ip,
        session.extension,
        agent.alias,
        session.phone_login,
    )
