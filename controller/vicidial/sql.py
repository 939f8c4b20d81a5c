"""VICIdial's database as the executor uses it: looking at sessions, and telling a screen to log out.

An agent's screen reads its own row once a second. `external_pause='LOGOUT'` there makes it log out as the agent would;
one that believes to be in a call does so when that call is over and disposed, for which it can be told to hang up and
which status to give. One UPDATE names session and dialer, so it can hit nobody else.
"""

from collections.abc import Callable
from typing import Any, Protocol

import pymysql

from controller.core.acting import LOGOUT, Outcome, Reply, SessionRow
from messages.records import AgentPause, Relogin

LOOK = "SELECT live_agent_id, server_ip, status, external_pause FROM vicidial_live_agents WHERE user = %s"
STATUSES = (
    "SELECT status FROM vicidial_statuses WHERE status = %s LIMIT 1",
    "SELECT status FROM vicidial_campaign_statuses WHERE status = %s LIMIT 1",
)
LOG_OUT = """
    UPDATE vicidial_live_agents SET external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP_AND_LOG_OUT = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP_DISPOSE_AND_LOG_OUT = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_status = %s, external_pause = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
HANG_UP = """
    UPDATE vicidial_live_agents SET external_hangup = '1'
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause = %s
"""
HANG_UP_AND_DISPOSE = """
    UPDATE vicidial_live_agents SET external_hangup = '1', external_status = %s
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause = %s
"""
# VICIdial's screen obeys each of these once, and knows a new one by its second
PAUSE = """
    UPDATE vicidial_live_agents SET external_pause = CONCAT('PAUSE!', UNIX_TIMESTAMP())
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause <> %s
"""
RESUME = """
    UPDATE vicidial_live_agents SET external_pause = CONCAT('RESUME!', UNIX_TIMESTAMP())
    WHERE live_agent_id = %s AND user = %s AND server_ip = %s AND external_pause = %s
"""
_NOBODY = (0, "", "")
REFUSED_CODES = {1044, 1045, 1142, 1143}
"""What MariaDB answers where the account may not: for the database, the login, the table, the column."""

Connect = Callable[[], "pymysql.connections.Connection[Any]"]


class VicidialError(Exception):
    """VICIdial's database could not be asked; `str()` is one line that says why."""


class AgentControl(Protocol):
    """A way of telling an agent's screen to log out."""

    names_user: bool
    """It names a user and not a session: it would end every session of theirs."""

    def log_out(self, relogin: Relogin, hang_up_as: str | None) -> Outcome:
        """Tell the screen; `hang_up_as`: it believes to be in a call, which is to be disposed as this.

        Empty: the agent disposes it; None: there is no call to hang up.
        """
        ...

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """Tell a screen that was told to log out, and waits for a dead call, that this call is over."""
        ...

    def pause(self, hold: AgentPause) -> Outcome:
        """Tell the screen to pause, so that no more calls are sent to it."""
        ...

    def resume(self, hold: AgentPause) -> Outcome:
        """Take the pause back."""
        ...

    def why_not(self, dead_call_status: str) -> str:
        """Try whether the account may do all of that, on nobody, and say what is missing; empty: nothing is."""
        ...


class Lazy:
    """A connection that is opened when it is needed, and anew after it failed."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: pymysql.connections.Connection[Any] | None = None

    def get(self) -> "pymysql.connections.Connection[Any]":
        """Give the connection.

        Raises:
            pymysql.MySQLError, OSError: there is none to be had.
        """
        if self._connection is None:
            try:
                self._connection = self._connect()
            except (ValueError, RuntimeError) as error:
                # a host name that cannot be one, a way to log in that needs TLS
                raise OSError(f"{error}; check host, tls_ca and password") from error
        return self._connection

    def drop(self) -> None:
        """Have the next one opened anew."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()


class SessionReader:
    """Reads the rows of single agents."""

    def __init__(self, connect: Connect) -> None:
        self._lazy = Lazy(connect)

    def sessions(self, user: str) -> tuple[SessionRow, ...]:
        """Give every row of a user.

        Raises:
            VicidialError: the database does not answer or refuses.
        """
        try:
            with self._lazy.get().cursor() as cursor:
                cursor.execute(LOOK, (user,))
                return tuple(
                    SessionRow(int(number), ip, pause or "", status or "")
                    for number, ip, status, pause in cursor.fetchall()
                )
        except (pymysql.MySQLError, OSError) as error:
            self._lazy.drop()
            raise VicidialError(f"VICIdial's database could not be asked for {user!r}: {said(error)}") from error

    def knows_status(self, status: str) -> bool:
        """Tell whether VICIdial, or one of its campaigns, has such a status.

        Raises:
            VicidialError: the database does not answer or refuses.
        """
        try:
            with self._lazy.get().cursor() as cursor:
                return any(cursor.execute(statement, (status,)) for statement in STATUSES)
        except (pymysql.MySQLError, OSError) as error:
            self._lazy.drop()
            raise VicidialError(f"VICIdial's statuses cannot be read: {said(error)}") from error


class SqlAgentControl:
    """Tells screens by one UPDATE on the agent's own row."""

    names_user = False

    def __init__(self, connect: Connect) -> None:
        self._lazy = Lazy(connect)

    def log_out(self, relogin: Relogin, hang_up_as: str | None) -> Outcome:
        """As `AgentControl.log_out`; exact: it touches the session of the order, on the dialer of the order, or nothing."""
        row = (relogin.live_agent_id, relogin.user, relogin.from_server_ip, LOGOUT)
        statement = LOG_OUT
        values: tuple[object, ...] = (LOGOUT, *row)
        if hang_up_as:
            statement, values = HANG_UP_DISPOSE_AND_LOG_OUT, (hang_up_as, *values)
        elif hang_up_as is not None:
            statement = HANG_UP_AND_LOG_OUT
        return self._tell(statement, values, "external_pause is LOGOUT")

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """As `AgentControl.hang_up`; a row that says so already is as good as one that is told."""
        row = (relogin.live_agent_id, relogin.user, relogin.from_server_ip, LOGOUT)
        statement = HANG_UP_AND_DISPOSE if hang_up_as else HANG_UP
        outcome = write(self._lazy, statement, (hang_up_as, *row) if hang_up_as else row, "external_hangup is 1")
        if outcome.reply is Reply.GONE:
            return Outcome(Reply.DONE, "the row said so already, or has changed since")
        return outcome

    def pause(self, hold: AgentPause) -> Outcome:
        """As `AgentControl.pause`; it never takes the place of a LOGOUT."""
        row = (hold.live_agent_id, hold.user, hold.server_ip, LOGOUT)
        return self._tell(PAUSE, row, "external_pause is PAUSE")

    def resume(self, hold: AgentPause) -> Outcome:
        """As `AgentControl.resume`; only where nobody has written anything else since."""
        row = (hold.live_agent_id, hold.user, hold.server_ip, hold.mark)
        return self._tell(RESUME, row, "external_pause is RESUME")

    def why_not(self, dead_call_status: str) -> str:
        """As `AgentControl.why_not`."""
        return next(
            (
                outcome.said
                for outcome in (
                    write(self._lazy, HANG_UP_DISPOSE_AND_LOG_OUT, (dead_call_status, LOGOUT, *_NOBODY, LOGOUT), ""),
                    write(self._lazy, PAUSE, (*_NOBODY, LOGOUT), ""),
                )
                if outcome.reply is not Reply.GONE
            ),
            "",
        )

    def _tell(self, statement: str, values: tuple[object, ...], done: str) -> Outcome:
        outcome = write(self._lazy, statement, values, done)
        if outcome.reply is Reply.GONE:
            return Outcome(Reply.GONE, "the row was gone or said something else by the time it was to be written")
        return outcome


def write(lazy: Lazy, statement: str, values: tuple[object, ...], done: str) -> Outcome:
    """Run one statement that changes something; `Reply.GONE` where it found no row to change."""
    try:
        connection = lazy.get()
    except (pymysql.MySQLError, OSError) as error:
        return Outcome(_kind(error, Reply.UNSENT), f"could not connect to VICIdial's database: {said(error)}")
    try:
        with connection.cursor() as cursor:
            touched = cursor.execute(statement, values)
    except (pymysql.MySQLError, OSError) as error:
        lazy.drop()
        return Outcome(_kind(error, Reply.UNCLEAR), f"writing to VICIdial's database failed: {said(error)}")
    return Outcome(Reply.DONE, done) if touched else Outcome(Reply.GONE, "there was no row to change")


def _kind(error: Exception, otherwise: Reply) -> Reply:
    return Reply.DENIED if error.args and error.args[0] in REFUSED_CODES else otherwise


def said(error: Exception) -> str:
    """Give what a database said, without its number."""
    return str(error.args[1]) if len(error.args) > 1 else str(error)
