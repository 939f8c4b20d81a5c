"""The scripts of a simulated dialer, which write to the database: heartbeat, calls, remote agents, rooms.

They all stop when the dialer dies; since no other script does their work, a dead dialer looks alive in VICIdial's
tables.
"""

import threading
import time
from dataclasses import dataclass, field

from pymysql.connections import Connection

from simulator.clock import vicidial_time
from simulator.plan import DialerPlan, RemoteAgentPlan
from simulator.statistics import Counted, Statistics

_HEARTBEAT = "UPDATE server_updater SET last_update = %s WHERE server_ip = %s"
_REGISTER_UPDATER = "INSERT IGNORE INTO server_updater (server_ip, last_update) VALUES (%s, %s)"
_REFRESH_REMOTE_AGENT = "UPDATE vicidial_live_agents SET last_update_time = %s WHERE user = %s"
_INSERT_REMOTE_AGENT = """
    INSERT INTO vicidial_live_agents
    (user, server_ip, extension, status, campaign_id, last_update_time, last_state_change)
    VALUES (%s, %s, %s, 'READY', %s, %s, %s)
"""
_DELETE_SESSIONS = "DELETE FROM vicidial_live_agents WHERE server_ip = %s"
_END_CHANNELS = "DELETE FROM live_sip_channels WHERE server_ip = %s"
_EMPTY_ROOMS = (
    "UPDATE vicidial_conferences SET extension = '' WHERE server_ip = %s",
    "UPDATE vicidial_confbridges SET extension = '' WHERE server_ip = %s",
)
_FREE_LEFT_ROOMS = (
    """
    UPDATE vicidial_conferences SET extension = ''
    WHERE server_ip = %s AND extension <> '' AND extension NOT IN %s
    """,
    """
    UPDATE vicidial_confbridges SET extension = ''
    WHERE server_ip = %s AND extension <> '' AND extension NOT IN %s
    """,
)
_WRITE_CALL = """
    INSERT INTO vicidial_manager (uniqueid, entry_date, status, response, server_ip, action, callerid)
    VALUES (%s, %s, 'UPDATED', 'N', %s, 'Originate', %s)
"""
_CLEAR_CALLS = "DELETE FROM vicidial_manager WHERE server_ip = %s AND status = 'UPDATED'"
_SET_ACTIVE = "UPDATE servers SET active = %s WHERE server_ip = %s"
_SET_LOGINS = "UPDATE servers SET active_agent_login_server = %s WHERE server_ip = %s"
_EXTENSIONS = "SELECT extension FROM vicidial_live_agents WHERE server_ip = %s"


@dataclass(slots=True)
class Dialer:
    """The state of one dialer; its clock may be wrong, and its Asterisk or all of it dead."""

    plan: DialerPlan
    remote_agents: tuple[RemoteAgentPlan, ...] = ()
    dead: bool = False
    hung: bool = False
    stalled: bool = False
    """Its heartbeat script has stalled; all else goes on."""
    skew_seconds: float = 0
    heartbeat_due: float = 0
    call_due: float = 0
    chores_due: float = 0
    rooms: threading.Lock = field(default_factory=threading.Lock)
    """Locked from the reservation of a room until the row of its agent, so that the clean-up does not free it."""

    @property
    def server_ip(self) -> str:
        """VICIdial's key for it."""
        return self.plan.server_ip

    @property
    def carries_calls(self) -> bool:
        """Its Asterisk works."""
        return not (self.dead or self.hung)


class DialerScripts:
    """The scripts that run on every dialer."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def beat(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Write the heartbeat by the dialer's own clock; if the row is missing, nothing happens."""
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(_HEARTBEAT, (vicidial_time(now + dialer.skew_seconds), dialer.server_ip))
        self._statistics.wrote(Counted.HEARTBEATS, time.perf_counter() - started)

    def write_call(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Write, as the listener does, that Asterisk has announced that a call rings."""
        with connection.cursor() as cursor:
            cursor.execute(
                _WRITE_CALL, (f"{now:.3f}", vicidial_time(now), dialer.server_ip, f"V{int(now * 1000)}"[:20])
            )

    def do_chores(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Refresh the remote agents' rows, forget the calls that have ended, and free the rooms without an agent."""
        at = vicidial_time(now)
        with connection.cursor() as cursor:
            for agent in dialer.remote_agents:
                cursor.execute(_REFRESH_REMOTE_AGENT, (at, agent.user))
            cursor.execute(_CLEAR_CALLS, (dialer.server_ip,))
            with dialer.rooms:
                cursor.execute(_EXTENSIONS, (dialer.server_ip,))
                taken = [row[0] for row in cursor.fetchall()] or [""]
                for statement in _FREE_LEFT_ROOMS:
                    cursor.execute(statement, (dialer.server_ip, taken))

    def start_updater(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Start the heartbeat script, which creates its row if a database restart has removed it."""
        with connection.cursor() as cursor:
            cursor.execute(_REGISTER_UPDATER, (dialer.server_ip, vicidial_time(now + dialer.skew_seconds)))

    def boot(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Boot: delete old sessions, empty the rooms, bring remote agents back, and start the heartbeat."""
        at = vicidial_time(now)
        with connection.cursor() as cursor, dialer.rooms:
            cursor.execute(_DELETE_SESSIONS, (dialer.server_ip,))
            cursor.execute(_END_CHANNELS, (dialer.server_ip,))
            for statement in _EMPTY_ROOMS:
                cursor.execute(statement, (dialer.server_ip,))
            for agent in dialer.remote_agents:
                campaign = agent.campaign.campaign_id
                cursor.execute(
                    _INSERT_REMOTE_AGENT,
                    (agent.user, agent.server_ip, agent.extension, campaign, at, at),
                )
        self.start_updater(connection, dialer, now)

    def set_active(self, connection: Connection, server_ip: str, *, active: bool) -> None:
        """Set `servers.active`."""
        with connection.cursor() as cursor:
            cursor.execute(_SET_ACTIVE, ("Y" if active else "N", server_ip))

    def set_logins(self, connection: Connection, server_ip: str, *, taken: bool) -> None:
        """Set `servers.active_agent_login_server`."""
        with connection.cursor() as cursor:
            cursor.execute(_SET_LOGINS, ("Y" if taken else "N", server_ip))
