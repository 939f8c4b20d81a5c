"""Build the actuators of a cluster: connections to VICIdial, and a way to control agents' screens."""

import socket
import ssl
import struct
from functools import partial
from typing import Any, NamedTuple

import pymysql

from collectors.vicidial.connection import BoundedConnection
from collectors.vicidial.settings import DatabaseSettings
from controller.vicidial.agent_api import AgentApi
from controller.vicidial.connections import Statements
from controller.vicidial.interventions import SqlInterventions
from controller.vicidial.names import Names, connect
from controller.vicidial.ports import AgentControl
from controller.vicidial.sql import SqlAgentControl, SqlSessionReader
from hotdesk.actuator_settings import ActuatorSettings

ACT_SECONDS = 2.0
"""Time limit of a connection, and of a request to the agent API."""
ANSWER_SECONDS = 3.0
"""How long the answer to a statement is waited for: longer than the server works on it, so that its outcome is known
unless the network fails."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""A closed connection forgets what it has not sent, or a statement would get through when the network is back."""

_NAMES = Names()


class Reached(NamedTuple):
    """The ports of one cluster; each connects at its first use."""

    reader: SqlSessionReader
    control: AgentControl
    interventions: SqlInterventions


def reach(settings: ActuatorSettings) -> Reached:
    """Return the session reader, the agent control and the interventions of a cluster."""
    statements = Statements(partial(_connect, settings.database))
    control: AgentControl = (
        AgentApi(settings.api_urls, settings.api_user, settings.api_password, timeout_seconds=ACT_SECONDS)
        if settings.api_urls
        else SqlAgentControl(statements)
    )
    return Reached(SqlSessionReader(statements), control, SqlInterventions(statements))


def _connect(settings: DatabaseSettings) -> "pymysql.connections.Connection[Any]":
    connection = BoundedConnection(
        login_seconds=ANSWER_SECONDS,
        statement_seconds=ANSWER_SECONDS,
        trusted=bool(settings.tls_ca or settings.socket),
        host=settings.host,
        port=settings.port,
        unix_socket=settings.socket or None,
        user=settings.user,
        password=settings.password.encode(),
        database=settings.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=ACT_SECONDS,
        ssl=ssl.create_default_context(cafile=settings.tls_ca) if settings.tls_ca else None,
        program_name="hotdesk",
        defer_connect=True,
    )
    sock = None
    if not settings.socket:
        # pymysql's own connection looks the name up without a bound
        sock = connect(_NAMES, settings.host, settings.port, ACT_SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    connection.connect(sock)
    return connection
