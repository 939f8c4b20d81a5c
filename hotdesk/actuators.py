"""Build the actuators of a cluster: connections to VICIdial, and a way to control agents' screens."""

import ssl
from functools import partial
from typing import Any, NamedTuple

import msgspec
import pymysql

from collectors.vicidial.database import DatabaseSettings
from controller.vicidial.agent_api import AgentApi
from controller.vicidial.interventions import SqlInterventions
from controller.vicidial.ports import AgentControl
from controller.vicidial.sql import SqlAgentControl, SqlSessionReader

ACT_SECONDS = 2
"""Time limit of a statement, and so of the window between the check of a precondition and the effect."""


class ActuatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach VICIdial and agents' screens."""

    database: DatabaseSettings
    api_urls: tuple[str, ...] = ()
    """Addresses of VICIdial's agent API; empty: by SQL."""
    api_user: str = ""
    api_password: str = ""

    def __repr__(self) -> str:
        return f"ActuatorSettings({self.database!r}, api_urls={self.api_urls!r}, api_user={self.api_user!r})"


class Reached(NamedTuple):
    """The ports of one cluster; each connects at its first use."""

    reader: SqlSessionReader
    control: AgentControl
    interventions: SqlInterventions


def reach(settings: ActuatorSettings) -> Reached:
    """Return the session reader, the agent control and the interventions of a cluster."""
    connect = partial(_connect, settings.database)
    control: AgentControl = (
        AgentApi(settings.api_urls, settings.api_user, settings.api_password, timeout_seconds=ACT_SECONDS)
        if settings.api_urls
        else SqlAgentControl(connect)
    )
    return Reached(SqlSessionReader(connect), control, SqlInterventions(connect))


def _connect(settings: DatabaseSettings) -> "pymysql.connections.Connection[Any]":
    return pymysql.connect(
        host=settings.host,
        port=settings.port,
        unix_socket=settings.socket or None,
        user=settings.user,
        password=settings.password,
        database=settings.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=ACT_SECONDS,
        read_timeout=ACT_SECONDS,
        write_timeout=ACT_SECONDS,
        ssl=ssl.create_default_context(cafile=settings.tls_ca) if settings.tls_ca else None,
        program_name="hotdesk",
    )
