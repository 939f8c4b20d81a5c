"""Connections to VICIdial's database, on which each statement has a time limit that the server itself keeps.

What is written is in `sql` (agents' screens) and `interventions` (its tables).

What hotdesk has given up must not be carried out later, once a dump has released its tables. Only the server can
promise that. MariaDB takes the limit with the statement, in one packet, so that no proxy can take one for another
session or lose it; MySQL has none for writes, and limits their waits for locks, for the session. A server or proxy that
takes neither is sent nothing.
"""

import select
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pymysql

from controller.core.actions import Outcome
from messages.codes import Reply
from messages.shown import one_line

STATEMENT_SECONDS = 1.5
"""The server gives up a statement after this time, and none of it is done."""
FRESH_SECONDS = 10.0
"""A connection that was not used for longer is replaced: a firewall may have forgotten it, without a word."""
MOST_SPARE = 4

MARIADB_LIMIT = f"SET STATEMENT max_statement_time = {STATEMENT_SECONDS} FOR "
LOCK_WAIT = "lock_wait_timeout"
MYSQL_LIMITS = {LOCK_WAIT: 1, "innodb_lock_wait_timeout": 1, "max_execution_time": round(STATEMENT_SECONDS * 1000)}
"""In seconds for the waits, in milliseconds for reads. A server without InnoDB lacks the second."""

SYNTAX_ERROR, UNKNOWN_VARIABLE = 1064, 1193
COLUMN_DENIED = 1143
LOCKED_OUT = {1698, 3118, 4151}
"""Errors for a login without a password, and for an account that an administrator has locked: MySQL's, MariaDB's."""
DENIED_CODES = {1044, 1045, 1142, COLUMN_DENIED} | LOCKED_OUT
"""Errors for a missing permission: for the database, the login, the table, the column; and those."""
READ_ONLY_CODES = {1290, 1792, 1836}
NOT_DONE_CODES = {1053, 1205, 1213, 1223, 1317, 1927, 1969, 2006, 3024, 4031}
"""Errors after which nothing was done: the server gave up, or the connection ended before the statement was sent."""
READ_ONLY = (
    "VICIdial's database is read-only, so nothing can be written: it is a replica, or another server is the primary"
    " now; point host, or the name in it, to the primary"
)

Connect = Callable[[], "pymysql.connections.Connection[Any]"]


class _Link(NamedTuple):
    """A connection, what each statement on it begins with, and when it was used last."""

    connection: "pymysql.connections.Connection[Any]"
    limit: str
    used_at: float


class Statements:
    """Connections to one database, opened when needed; for several threads, each statement on one of its own."""

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._spare: list[_Link] = []
        """Not in use, the latest last; at most MOST_SPARE."""

    def read(self, statement: str, values: Sequence[object] = ()) -> tuple[tuple[Any, ...], ...]:
        """Run a statement that reads, and return its rows.

        Raises:
            pymysql.MySQLError, OSError: the database does not answer or refuses.
        """
        link = self._take()
        try:
            with link.connection.cursor() as cursor:
                cursor.execute(link.limit + statement, values)
                rows = tuple(cursor.fetchall())
        except BaseException:
            _abandon(link)
            raise
        self._give_back(link)
        return rows

    def write(self, statement: str, values: Sequence[object], done: str) -> Outcome:
        """Run one statement that changes a row; `Reply.GONE` if it found no row to change."""
        try:
            link = self._take()
        except (pymysql.MySQLError, OSError) as error:
            why = f"could not connect to VICIdial's database: {error_text(error)}"
            denied = _code(error) in DENIED_CODES
            return Outcome(Reply.DENIED if denied else Reply.UNSENT, why, locked_out=denied)
        try:
            with link.connection.cursor() as cursor:
                touched = cursor.execute(link.limit + statement, values)
        except (pymysql.MySQLError, OSError) as error:
            _abandon(link)
            return _failed(error)
        self._give_back(link)
        return Outcome(Reply.DONE, done) if touched else Outcome(Reply.GONE, "there was no row to change")

    def _take(self) -> _Link:
        """Return a connection that works as far as can be known without asking.

        Raises:
            pymysql.MySQLError, OSError: none can be opened.
        """
        while (link := self._pop()) is not None:
            if self._clock() - link.used_at <= FRESH_SECONDS and not _has_ended(link):
                return link
            _abandon(link)
        try:
            connection = self._connect()
        except (ValueError, RuntimeError) as error:
            # an impossible host name, or an authentication that needs TLS
            raise OSError(f"{error_text(error)}; check host, tls_ca and password") from error
        try:
            return _Link(connection, _limit(connection), self._clock())
        except BaseException:
            _abandon(_Link(connection, "", 0.0))
            raise

    def _pop(self) -> _Link | None:
        with self._lock:
            return self._spare.pop() if self._spare else None

    def _give_back(self, link: _Link) -> None:
        with self._lock:
            if len(self._spare) < MOST_SPARE:
                self._spare.append(link._replace(used_at=self._clock()))
                return
        _abandon(link)


def _limit(connection: "pymysql.connections.Connection[Any]") -> str:
    """Make the server keep the time limit, and return what each statement begins with.

    It is tried, since a proxy tells its own version and not its server's.

    Raises:
        pymysql.MySQLError, OSError: the server keeps no limit, or the connection failed.
    """
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"{MARIADB_LIMIT}SELECT 1")
        except pymysql.MySQLError as error:
            if _code(error) not in {SYNTAX_ERROR, UNKNOWN_VARIABLE}:
                raise
        else:
            return MARIADB_LIMIT
        for name, value in MYSQL_LIMITS.items():
            try:
                cursor.execute(f"SET SESSION {name} = {value}")
                cursor.execute(f"SELECT @@SESSION.{name}")
                kept = cursor.fetchone()
            except pymysql.MySQLError as error:
                if name == LOCK_WAIT or _code(error) != UNKNOWN_VARIABLE:
                    raise
                continue
            if kept is None or int(kept[0]) != value:
                raise OSError(f"it, or a proxy before it, does not keep {name} = {value}, so no statement is sent")
    return ""


def _has_ended(link: _Link) -> bool:
    """Return True if the server has closed a connection that nothing was asked on: there is something to read."""
    sock = link.connection._sock  # type: ignore[attr-defined] # noqa: SLF001
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _abandon(link: _Link) -> None:
    """Close a connection without asking the server, which may be gone."""
    link.connection._force_close()  # type: ignore[attr-defined] # noqa: SLF001


def _failed(error: Exception) -> Outcome:
    """Return the outcome of a statement that failed."""
    code, said = _code(error), error_text(error)
    if code in READ_ONLY_CODES:
        return Outcome(Reply.REFUSED, f"{READ_ONLY} ({said})")
    if code in DENIED_CODES:
        return Outcome(Reply.DENIED, f"VICIdial's database refuses a write: {said}")
    if code in NOT_DONE_CODES:
        return Outcome(Reply.UNSENT, f"VICIdial's database did not carry it out: {said}")
    return Outcome(Reply.UNCLEAR, f"writing to VICIdial's database failed: {said}")


def _code(error: Exception) -> object:
    return error.args[0] if error.args else None


def error_text(error: Exception) -> str:
    """Return a database's error message, without its number."""
    return one_line(error.args[1] if len(error.args) > 1 else error)
