"""The connection to a cluster's database: few short statements, each with a time limit, and none that locks.

VICIdial's tables are MyISAM and MEMORY, in which a reader blocks writers. So the server completes a result before it
sends the first byte, and the table is free by then: small results by SQL_BUFFER_RESULT, large ones packed into one or
a few values (GROUP_CONCAT). Measured with 8,000 agents, packing also takes this side 7 ms instead of 45.
"""

import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import pymysql
from pymysql.converters import conversions

from collectors.observer import Reading
from collectors.vicidial.connection import BoundedConnection, UnsafeLoginError
from collectors.vicidial.parts import Rest, Wanted
from collectors.vicidial.rows import Row, unpacked
from collectors.vicidial.schema import COLUMNS, OPTIONAL_TABLES, TABLES, TRIED, Schema, fit
from collectors.vicidial.settings import DatabaseSettings
from messages.codes import ReasonCode, Unreadable
from messages.shown import one_line

STATEMENT_SECONDS = 1.5
"""Time limit of a statement; the longest took 0.5 s, with 288,000 phones."""

TRIED_SECONDS = 0.2
"""Time limit of the statements that a poll can do without: VICIdial's clean-up locks one of their tables for longer,
and no poll waits for it. The statements themselves have it for MySQL."""

LOGIN_SECONDS = 5.0
"""Time limit from the connection to the end of the login."""

ANSWER_SECONDS, CATALOGUE_SECONDS = 3.0, 10.0
"""Time limits of a statement and its whole answer. The catalogue's has megabytes; with any other a view would be stale
before a silent server is noticed."""

IDLE_SECONDS = 3
"""The server closes the connection of a collector that is silent for this long, and releases its lock: so a standby
takes over from a collector that is stopped or cut off."""


class DatabaseError(Exception):
    """The database failed or refused; `str()` is one line that says what to do, without a password."""

    why = Unreadable.UNREACHABLE
    """The meaning for the table that was asked for."""


class DatabaseUnavailableError(DatabaseError):
    """The database does not answer. Retrying helps."""


class TableLockedError(DatabaseUnavailableError):
    """A table did not answer within the time limit. The connection is of use still."""

    why = Unreadable.LOCKED


class TableCrashedError(DatabaseUnavailableError):
    """A table's file is damaged, as after a power cut. The connection is of use still."""

    why = Unreadable.CRASHED


class DatabaseRefusedError(DatabaseError):
    """The database refuses: a password, a grant, an absent table. A person must mend it."""

    why = Unreadable.REFUSED


class TableAbsentError(DatabaseRefusedError):
    """There is no such database, table or column."""

    why = Unreadable.ABSENT


_ENCODERS_ONLY = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}

PACKED = {"agents": None, "phones": 7, "aliases": 3, "secrets": 3}
"""Statements whose rows come packed, and the number of columns to split each into; None: they stay packed. An agent's
row is split once it has changed (`collectors.sessions`)."""

OF_CATALOGUE = frozenset({"phones", "phones_sum", "aliases", "aliases_sum", "secrets"})
"""Statements about all phones or aliases."""

PACKED_BYTES = 64 * 1024 * 1024
"""Most bytes of a packed value; the server's max_allowed_packet may allow less."""

ACCESS_DENIED = {1044, 1045, 1142, 1143, 1698, 3118, 4151}
ABSENT = {1049, 1054, 1146}
TIMED_OUT = {1205, 1317, 1969, 3024}
"""A statement that took too long, in the words of each kind of server."""
CRASHED = {126, 127, 130, 134, 144, 145, 1030, 1034, 1035, 1194, 1195}
UNKNOWN_VARIABLE = 1193
NO_TLS = 2026
"""The client's error for a server without TLS."""
OF_THE_CLIENT = range(2000, 3000)
PASSING = {1040, 1053, 1158, 1159, 1160, 1161, 1203, 1226, 1927}
"""Errors of a server that a retry may mend: too busy, too many connections, shutting down, a network error."""


class VicidialDatabase:
    """A connection to one cluster's database. It belongs to one thread; after an error it is useless."""

    def __init__(self, settings: DatabaseSettings, like: "VicidialDatabase | None" = None) -> None:
        """Connect, and find out which columns there are; with `like` the schema is as on that connection.

        Raises:
            DatabaseUnavailableError: no answer, or none in time.
            DatabaseRefusedError: no such user, password or database.
        """
        self.settings = settings
        self.statements_run = 0
        self.rows_read = 0
        self.keeps_limits = True
        """The server gives up a statement that takes too long; False: it is older than such limits."""
        try:
            self._connection = _connect(settings)
        except pymysql.MySQLError as error:
            raise _explain(error, settings) from error
        except (OSError, ValueError, RuntimeError) as error:
            # not a certificate file, an impossible host name, or an authentication that needs TLS
            raise DatabaseRefusedError(
                f"{settings.where} cannot be connected to with these settings: {one_line(error)};"
                " check host, tls_ca and password"
            ) from error
        try:
            self._tried_limit = self._limit_time()
            self._schema: Schema = self._read_schema() if like is None else like._schema  # noqa: SLF001 # its own kind
        except BaseException:
            self.close()
            raise
        self._rest = Rest()

    def close(self) -> None:
        """Close the connection, without asking the server. Idempotent."""
        if self._connection.open:
            # A regular close would wait for a server that may be gone.
            self._connection._force_close()  # noqa: SLF001

    def interrupt(self) -> None:
        """End what the connection waits for, with an error; it is of no use then. Any thread may."""
        connected = self._connection._sock  # noqa: SLF001
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open(self) -> bool:
        """False once an error has ended the connection."""
        return bool(self._connection.open)

    def take_lock(self) -> bool:
        """Try to lock this database, and return True on success; the lock ends with the connection."""
        return self.run("lock")[0][0] == b"1"

    def holds_lock(self) -> bool:
        """Return True if this connection still has the lock."""
        return self.run("lock_held")[0][0] == b"1"

    def is_where(self, another: "VicidialDatabase") -> bool:
        """Return True if this connection sees the lock that another one holds: both reach the same server."""
        holder, _ = self.run("lock_holder")[0]
        _, other = another.run("lock_holder")[0]
        return holder == other

    def leader_host(self) -> str | None:
        """Return the host of another connection that has the lock, empty if it is not to be seen; None: none has it."""
        holder, own = self.run("lock_holder")[0]
        if holder is None or holder == own:
            return None
        # one of another account is only seen with the right PROCESS
        hosts = {row[0]: (row[2] or b"").decode() for row in self.run("processes")}
        return hosts.get(holder, "").rpartition(":")[0] or hosts.get(holder, "")

    def clock_ms(self) -> int:
        """Return the server's wall clock, to a second."""
        return int(self.run("clock")[0][0] or 0) * 1000

    def say_that_another_waits(self, *, waits: bool) -> None:
        """Show the leader, by a second lock, that a collector with another log stands by, or does no longer."""
        self.run("lock_other" if waits else "lock_other_free")

    def doubts(self) -> tuple[ReasonCode, ...]:
        """Return the reasons for which nothing should be written here.

        A server that replicates and is replicated from may well be the one that VICIdial writes to.
        """
        other, read_only = self.run("doubts")[0]
        status = {str(name, "ascii").lower(): value for name, value in self.run("replication") if name is not None}
        # MariaDB's first is that of the connection without a name alone; the second counts all
        follows = status.get("slave_running") == b"ON" or int(status.get("slaves_running") or 0) > 0
        replicates = follows and int(status.get("slaves_connected") or 0) == 0
        is_replica = replicates or read_only not in {b"0", b"OFF"}
        found = {ReasonCode.ANOTHER_INSTALLATION: other == b"1", ReasonCode.REPLICA: is_replica}
        return tuple(code for code, is_so in found.items() if is_so)

    def vital(self) -> Reading:
        """Read flags and heartbeats, and nothing else."""
        return Reading(dialers=self.run("dialers"), heartbeats=self.run("heartbeats"))

    def read(self, wanted: Wanted) -> Reading:
        """Read a poll's rows, one statement after the other: for who has no second connection.

        Raises:
            DatabaseError: of any statement but those that a poll can do without.
        """
        return self.vital()._replace(rest=self._rest.read(self._run_or_leave, wanted, self.missing_columns))

    def run_each(self) -> dict[str, DatabaseError | None]:
        """Run every statement once, and return the error of each, or None: for `hotdesk check`."""
        tried: dict[str, DatabaseError | None] = {}
        for name in self._schema.statements.keys() - {
            "lock_other"
        }:  # a leader would take this for another installation
            try:
                self.run(name)
            except DatabaseError as error:
                tried[name] = error
            else:
                tried[name] = None
        return tried

    def run(self, name: str, asked: Sequence[object] = (), *, after: int = 0) -> Sequence[Row]:
        """Run a statement, and return its rows; none if this schema or account has no such table.

        Those of `agents` are packed, as `rows.SessionRow` has them.

        Args:
            name: its file's name.
            asked: what it asks for, if it asks for something.
            after: the last row read of a log.

        Raises:
            DatabaseError: it failed. `open` says whether this connection is of use still.
        """
        statement = self._schema.statements.get(name)
        if statement is None:
            return ()
        if name == "logins":
            statement = statement.format(after=after)
        values = {"asked": tuple(asked or TRIED[name])} if name in TRIED else None
        self._connection.statement_seconds = CATALOGUE_SECONDS if name in OF_CATALOGUE else ANSWER_SECONDS
        rows = self._execute(statement, values, TABLES.get(name, ""))
        if name in PACKED:
            rows = self._unpack(name, rows)
        self.rows_read += len(rows)
        return rows

    def reads(self, name: str) -> bool:
        """Return False for a statement that was left out here, and whose rows are therefore not known."""
        return name in self._schema.statements or name in OPTIONAL_TABLES

    def _run_or_leave(self, name: str, asked: Sequence[object] = (), *, after: int = 0) -> Sequence[Row] | None:
        """Run a statement; None: a poll can do without it, and it was left out or not done in time."""
        if not self.reads(name):
            return None
        try:
            return self.run(name, asked, after=after)
        except DatabaseUnavailableError:
            if name not in TRIED or not self.open:
                raise
            return None

    def _limit_time(self) -> str:
        """Set the time limit of every statement, and return what a tried one begins with to have its own.

        A server that does not know its variable is asked without: what it does not answer the client gives up.
        """
        self._execute(
            f"SET SESSION wait_timeout = {IDLE_SECONDS}, SESSION net_write_timeout = {IDLE_SECONDS},"
            f" SESSION group_concat_max_len = {PACKED_BYTES}"
        )
        mariadb = "MariaDB" in self._connection.get_server_info()  # type: ignore[no-untyped-call]
        limit = (
            f"max_statement_time = {STATEMENT_SECONDS}"
            if mariadb
            else f"max_execution_time = {round(STATEMENT_SECONDS * 1000)}"
        )
        try:
            self._execute(f"SET SESSION {limit}")
        except DatabaseRefusedError as error:
            if error.__cause__ is None or error.__cause__.args[:1] != (UNKNOWN_VARIABLE,):
                raise
            self.keeps_limits = False
            return ""
        return f"SET STATEMENT max_statement_time = {TRIED_SECONDS} FOR " if mariadb else ""

    @property
    def missing_columns(self) -> tuple[str, ...]:
        """The columns that this schema lacks, or that are not granted."""
        return self._schema.missing_columns

    def _read_schema(self) -> Schema:
        columns = (((table or b"").decode(), (column or b"").decode()) for table, column in self._execute(COLUMNS))
        present = [(table.lower(), column.lower()) for table, column in columns]
        return fit(present, self._is_refused, tried_limit=self._tried_limit)

    def _is_refused(self, statement: str, asked: Sequence[object]) -> bool:
        """Try a statement with what is nowhere to be found."""
        try:
            self._execute(statement, {"asked": tuple(asked)})
        except DatabaseRefusedError:
            return True
        except DatabaseUnavailableError:
            if not self._connection.open:
                raise
        return False

    def _unpack(self, name: str, packed: Sequence[Row]) -> Sequence[Any]:
        rows: list[bytes | Row] = []
        columns = PACKED[name]
        for counted, value in packed:
            found = value.split(b"\x1e") if value is not None else []
            if len(found) < int(counted or 0):
                raise DatabaseRefusedError(
                    f"{self.settings.where} cuts the {name} off after {len(value or b'')} bytes, {len(found)} of"
                    f" {int(counted or 0)} rows: raise max_allowed_packet on the server"
                )
            rows += found if columns is None else [unpacked(line, columns) for line in found]
        return rows

    def _execute(self, statement: str, values: Mapping[str, object] | None = None, table: str = "") -> Sequence[Row]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
                rows: Sequence[Row] = cursor.fetchall()
        except (pymysql.MySQLError, OSError) as error:
            raise _explain(error, self.settings, table) from error
        self.statements_run += 1
        return rows


def _connect(settings: DatabaseSettings) -> BoundedConnection:
    return BoundedConnection(
        login_seconds=LOGIN_SECONDS,
        statement_seconds=ANSWER_SECONDS,
        # nobody is in between on a socket of this machine
        trusted=bool(settings.tls_ca or settings.socket),
        host=settings.host,
        port=settings.port,
        unix_socket=settings.socket or None,
        user=settings.user,
        password=settings.password.encode(),
        database=settings.database,
        charset="utf8mb4",
        use_unicode=False,
        conv=_ENCODERS_ONLY,
        autocommit=True,
        connect_timeout=2,
        ssl=ssl.create_default_context(cafile=settings.tls_ca) if settings.tls_ca else None,
        program_name="hotdesk",
    )


def _explain(error: Exception, settings: DatabaseSettings, table: str = "") -> DatabaseError:  # noqa: PLR0911 # one each
    """Return our error for a client's: one line that says what the database refuses, and how to mend it."""
    code = error.args[0] if error.args else 0
    message = one_line(error.args[1] if len(error.args) > 1 else error)
    if isinstance(error, UnsafeLoginError):
        return DatabaseRefusedError(f"{settings.where} is told no password: {message}")
    if code in ACCESS_DENIED:
        return DatabaseRefusedError(
            f"{settings.where} refuses user {settings.user!r}: {message}; check the password, and run the GRANT"
            " statements of docs/guide/database.md"
        )
    if code in TIMED_OUT:
        about = f" about {table}" if table else ""
        return TableLockedError(
            f"{settings.where} does not answer{about} in time: locked, or being read for long ({message});"
            " SHOW FULL PROCESSLIST says by whom"
        )
    if code in CRASHED:
        return TableCrashedError(f"{settings.where} cannot read {table}: {message} ({code}); REPAIR TABLE mends it")
    refused = getattr(error, "original_exception", None)
    if code == NO_TLS:
        return DatabaseRefusedError(f"{settings.where} offers no TLS: {message}; set it up there, or leave tls_ca out")
    if isinstance(refused, ssl.SSLError) and not isinstance(refused, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return DatabaseRefusedError(
            f"{settings.where} and hotdesk do not agree on TLS: {getattr(refused, 'verify_message', '') or message};"
            " set tls_ca to the authority of its certificate, and host to a name in that"
        )
    if code in ABSENT:
        return TableAbsentError(f"{settings.where} is not a VICIdial database that hotdesk can read: {message}")
    if isinstance(code, int) and code and code not in PASSING and code not in OF_THE_CLIENT:
        return DatabaseRefusedError(
            f"{settings.where} refuses a statement of hotdesk's: {message} ({code}); see docs/guide/database.md"
        )
    return DatabaseUnavailableError(f"{settings.where} does not answer: {message or type(error).__name__}")
