"""How a controller reaches VICIdial to act: connections of its own and a way of telling screens, for each cluster."""

import ssl
from functools import partial
from typing import Any, NamedTuple

import msgspec
import pymysql

from collectors.vicidial.database import DatabaseSettings
from controller.vicidial.agent_api import AgentApi
from controller.vicidial.interventions import Interventions
from controller.vicidial.sql import AgentControl, SessionReader, SqlAgentControl

ACT_SECONDS = 2
"""What a statement may take; the window between looking and acting is no longer than such limits."""


class ActuatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How agents' screens are told."""

    database: DatabaseSettings
    api_urls: tuple[str, ...] = ()
    """Addresses of VICIdial's agent API; empty: by SQL."""
    api_user: str = ""
    api_password: str = ""

    def __repr__(self) -> str:
        return f"ActuatorSettings({self.database!r}, api_urls={self.api_urls!r}, api_user={self.api_user!r})"


class Reached(NamedTuple):
    """A cluster within reach; everything connects when it is first used."""

    reader: SessionReader
    hand: AgentControl
    interventions: Interventions


def reach(settings: ActuatorSettings) -> Reached:
    """Give what reads sessions, what tells screens, and what changes tables."""
    connect = partial(_connect, settings.database)
    hand: AgentControl = (
        AgentApi(settings.api_urls, settings.api_user, settings.api_password, timeout_seconds=ACT_SECONDS)
        if settings.api_urls
        else SqlAgentControl(connect)
    )
    return Reached(SessionReader(connect), hand, Interventions(connect))


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
