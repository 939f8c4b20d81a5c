"""VICIdial's database as the executor uses it: looking at sessions, and telling a screen to log out.

An agent's screen reads its own row once a second. `external_pause='LOGOUT'` there makes it log out as the agent would;
one that believes to be in a call does so when that call is over and disposed, for which it can be told to hang up and
which status to give. One UPDATE names session and dialer, so it can hit nobody else.
"""

from collections.abc import Callable
from typing import Any, Protocol

import pymysql

from controller.acting import LOGOUT, Outcome, Reply, SessionRow
from messages.records import Relogin

LOOK = "SELECT live_agent_id, server_ip, external_pause FROM vicidial_live_agents WHERE user = %s"
LOG_OUT = """
    UPDATE vicidial_live_agents SET external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP_AND_LOG_OUT = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_status = %s, external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
REFUSED_CODES = {1044, 1045, 1142, 1143}
"""What MariaDB answers where the account may not: for the database, the login, the table, the column."""

Connect = Callable[[], "pymysql.connections.Connection[Any]"]


class VicidialError(Exception):
    """VICIdial's database could not be asked; `str()` is one line that says why."""


class Hand(Protocol):
    """A way of telling an agent's screen to log out."""

    names_user: bool
    """It names a user and not a session: it would end every session of theirs."""

    def log_out(self, relogin: Relogin, hang_up_as: str | None) -> Outcome:
        """Tell the screen; `hang_up_as`: it believes to be in a call, which is to be disposed as this."""
        ...


class _Lazy:
    """A connection that is opened when it is needed, and anew after it failed."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: pymysql.connections.Connection[Any] | None = None

    def get(self) -> "pymysql.connections.Connection[Any]":
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()


class SessionReader:
    """Reads the rows of single agents."""

    def __init__(self, connect: Connect) -> None:
        self._lazy = _Lazy(connect)

    def sessions(self, user: str) -> tuple[SessionRow, ...]:
        """Give every row of a user.

        Raises:
            VicidialError: the database does not answer or refuses.
        """
        try:
            with self._lazy.get().cursor() as cursor:
                cursor.execute(LOOK, (user,))
                return tuple(SessionRow(int(number), ip, pause or "") for number, ip, pause in cursor.fetchall())
        except (pymysql.MySQLError, OSError) as error:
            self._lazy.drop()
            raise VicidialError(f"VICIdial's database could not be asked for {user!r}: {_said(error)}") from error


class SqlHand:
    """Tells screens by one UPDATE on the agent's own row."""

    names_user = False

    def __init__(self, connect: Connect) -> None:
        self._lazy = _Lazy(connect)

    def log_out(self, relogin: Relogin, hang_up_as: str | None) -> Outcome:
        """As `Hand.log_out`; exact: it touches the session of the order, on the dialer of the order, or nothing."""
        row = (relogin.live_agent_id, relogin.user, relogin.from_server_ip, LOGOUT)
        try:
            connection = self._lazy.get()
        except (pymysql.MySQLError, OSError) as error:
            return Outcome(_kind(error, Reply.UNSENT), f"could not connect to tell the screen: {_said(error)}")
        try:
            with connection.cursor() as cursor:
                if hang_up_as:
                    touched = cursor.execute(HANG_UP_AND_LOG_OUT, (hang_up_as, LOGOUT, *row))
                else:
                    touched = cursor.execute(LOG_OUT, (LOGOUT, *row))
        except (pymysql.MySQLError, OSError) as error:
            self._lazy.drop()
            return Outcome(_kind(error, Reply.UNCLEAR), f"telling the screen failed: {_said(error)}")
        if not touched:
            return Outcome(Reply.GONE, "the row was gone or told already when it was to be written")
        return Outcome(Reply.DONE, "external_pause is LOGOUT")


def _kind(error: Exception, otherwise: Reply) -> Reply:
    return Reply.DENIED if error.args and error.args[0] in REFUSED_CODES else otherwise


def _said(error: Exception) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)
