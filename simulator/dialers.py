"""What a simulated dialer's own scripts do to the database: its heartbeat, its remote agents, its rooms.

All of it stops when the dialer dies; that nobody else does it is why a dead dialer looks alive in VICIdial's tables.
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
_SET_ACTIVE = "UPDATE servers SET active = %s WHERE server_ip = %s"
_SET_LOGINS = "UPDATE servers SET active_agent_login_server = %s WHERE server_ip = %s"
_EXTENSIONS = "SELECT extension FROM vicidial_live_agents WHERE server_ip = %s"


@dataclass(slots=True)
class Dialer:
    """One dialer's state; its clock may be off, its Asterisk or the whole of it dead."""

    plan: DialerPlan
    remote_agents: tuple[RemoteAgentPlan, ...] = ()
    dead: bool = False
    hung: bool = False
    stalled: bool = False
    """Its heartbeat's script stands still; all else goes on."""
    skew_seconds: float = 0
    heartbeat_due: float = 0
    chores_due: float = 0
    rooms: threading.Lock = field(default_factory=threading.Lock)
    """Held from taking a room to the row that shows who is in it, lest the clean-up see an empty room."""

    @property
    def server_ip(self) -> str:
        """VICIdial's key for it."""
        return self.plan.server_ip

    @property
    def carries_calls(self) -> bool:
        """Whether its Asterisk works."""
        return not (self.dead or self.hung)


class DialerScripts:
    """The scripts that run on every dialer."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def beat(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Write the heartbeat by the dialer's own clock; where the row is missing, nothing happens."""
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(_HEARTBEAT, (vicidial_time(now + dialer.skew_seconds), dialer.server_ip))
        self._statistics.wrote(Counted.HEARTBEATS, time.perf_counter() - started)

    def do_chores(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Refresh the remote agents' rows and free the rooms that nobody sits in."""
        at = vicidial_time(now)
        with connection.cursor() as cursor:
            for agent in dialer.remote_agents:
                cursor.execute(_REFRESH_REMOTE_AGENT, (at, agent.user))
            with dialer.rooms:
                cursor.execute(_EXTENSIONS, (dialer.server_ip,))
                taken = [row[0] for row in cursor.fetchall()] or [""]
                for statement in _FREE_LEFT_ROOMS:
                    cursor.execute(statement, (dialer.server_ip, taken))

    def start_updater(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Start the heartbeat's script, which makes its row where a database restart took it."""
        with connection.cursor() as cursor:
            cursor.execute(_REGISTER_UPDATER, (dialer.server_ip, vicidial_time(now + dialer.skew_seconds)))

    def boot(self, connection: Connection, dialer: Dialer, now: float) -> None:
        """Boot: sessions left from before are deleted, rooms emptied, remote agents back, the heartbeat begins."""
        at = vicidial_time(now)
        with connection.cursor() as cursor, dialer.rooms:
            cursor.execute(_DELETE_SESSIONS, (dialer.server_ip,))
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
