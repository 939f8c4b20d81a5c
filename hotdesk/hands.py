"""How a controller reaches VICIdial to act: one connection and one way of telling screens for each cluster."""

import ssl
from functools import partial
from typing import Any

import pymysql

from collectors.database import DatabaseSettings
from controller.vicidial import Hand, SessionReader, SqlHand

ACT_SECONDS = 2
"""What a statement may take; the window between looking and acting is no longer than such limits."""


def reach(settings: DatabaseSettings) -> tuple[SessionReader, Hand]:
    """Give what reads sessions and what tells screens; both connect when they are first used."""
    connect = partial(_connect, settings)
    return SessionReader(connect), SqlHand(connect)


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
