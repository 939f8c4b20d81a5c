"""The connection to a cluster's database: few short statements, each with a time limit, and none that locks.

VICIdial's tables are MyISAM and MEMORY, in which a reader blocks writers. So the server completes a result before it
sends the first byte, and the table is free by then: small results by SQL_BUFFER_RESULT, large ones packed into one or
a few values (GROUP_CONCAT). Measured with 8,000 agents, packing also takes this side 7 ms instead of 45.
"""

import re
import ssl
from collections.abc import Mapping, Sequence
from importlib import resources
from types import TracebackType
from typing import Any, Self

import msgspec
import pymysql
from pymysql.converters import conversions

from collectors.catalogue import CatalogueRows
from collectors.observer import Reading
from collectors.phones_in_rooms import Room
from collectors.vicidial.rows import Row
from messages.records import ServerIp

STATEMENT_SECONDS = 1.5
"""Time limit of a statement; the longest took 0.5 s, with 288,000 phones."""

TRIED_SECONDS = 0.2
"""Time limit of the statements that a poll can do without: VICIdial's clean-up locks one of their tables for longer,
and no poll waits for it. The statements themselves have it for MySQL."""

IDLE_SECONDS = 3
"""The server closes the connection of a collector that is silent for this long, and releases its lock: so a standby
takes over from a collector that is stopped or cut off."""


class DatabaseError(Exception):
    """The database failed or refused; `str()` is one line that says what to do, without a password."""


class DatabaseUnavailableError(DatabaseError):
    """The database does not answer. Retrying helps."""


class DatabaseRefusedError(DatabaseError):
    """The database refuses: a password, a grant, an absent table. A person must mend it."""


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a cluster's database, and the login."""

    host: str = "127.0.0.1"
    port: int = 3306
    socket: str = ""
    """Path of a socket, in place of host and port."""
    user: str = "hotdesk"
    password: str = ""
    database: str = "asterisk"
    tls_ca: str = ""
    """File with the certificate authority; empty: TLS if the server offers it, without any verification."""

    def __repr__(self) -> str:
        return f"DatabaseSettings({self.where}, user={self.user!r})"

    @property
    def where(self) -> str:
        """The database's address for people."""
        return f"{self.socket or f'{self.host}:{self.port}'}/{self.database}"


OPTIONAL_COLUMNS: dict[tuple[str, str], str] = {
    ("servers", "active_agent_login_server"): "'Y'",
    ("servers", "active_twin_server_ip"): "''",
    ("servers", "conf_engine"): "'MEETME'",
    ("server_updater", "db_time"): "NULL",
    ("vicidial_live_agents", "external_pause"): "''",
    ("vicidial_live_agents", "on_hook_agent"): "'N'",
    ("vicidial_live_agents", "lead_id"): "'0'",
    ("vicidial_live_agents", "callerid"): "''",
    ("vicidial_live_agents", "last_update_time"): "NULL",
    ("phones", "is_webphone"): "'N'",
    ("phones", "peer_status"): "''",
    ("vicidial_campaigns", "pllb_grouping"): "'DISABLED'",
    ("vicidial_campaigns", "pllb_grouping_limit"): "'50'",
    ("vicidial_user_log", "phone_login"): "''",
    ("system_settings", "pllb_grouping_limit"): "'100'",
    ("system_settings", "agent_logout_link"): "'1'",
}
"""Columns that older VICIdials lack, and the value to read instead."""

OPTIONAL_TABLES = {
    "confbridges": "vicidial_confbridges",
    "weights": "vicidial_settings_containers",
    "logins": "vicidial_user_log",
    "logins_end": "vicidial_user_log",
}
"""Statements whose table an older VICIdial lacks, or the grants leave out: no rows are read then."""

TRIED: dict[str, tuple[str, Sequence[object]]] = {
    "work": ("vicidial_manager", ("",)),
    "channels": ("live_sip_channels", (("", ""),)),
    "lost_screens": ("web_client_sessions", ("",)),
}
"""Statements that a poll can do without: tried when connecting, and left out where they are refused for want of a
grant, a table or an index. Each with its table, and what to try it with."""

SECRETS = {("phones", "pass"), ("phones", "conf_secret")}
"""Columns that collectors/grants-readiness.sql grants; without it they are not compared."""

LOGINS_BACK = 20_000
"""Rows of the log of logins to read at first: some days of a large cluster."""

_STATEMENTS = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in resources.files("collectors.vicidial").joinpath("statements").iterdir()
    if file.name.endswith(".sql")
}

_ENCODERS_ONLY = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}

PACKED = {"agents": 11, "phones": 7, "aliases": 3, "secrets": 3}
"""Statements whose rows come packed, and their number of columns."""

PACKED_BYTES = 64 * 1024 * 1024
"""Most bytes of a packed value; the server's max_allowed_packet may allow less."""

ACCESS_DENIED = {1044, 1045, 1142, 1143, 1698}
ABSENT = {1049, 1054, 1146}
NO_TLS = 2026
"""The client's error for a server without TLS."""
OF_THE_CLIENT = range(2000, 3000)
PASSING = {1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1317, 1927, 1969, 3024}
"""Errors of a server that a retry may mend: too busy, shutting down, a network error, a time limit."""


class VicidialDatabase:
    """A connection to one cluster's database. It belongs to one thread; after an error it is useless."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Connect, and find out which columns there are.

        Raises:
            DatabaseUnavailableError: no answer within two seconds.
            DatabaseRefusedError: no such user, password or database.
        """
        self._settings = settings
        self.statements_run = 0
        self.rows_read = 0
        self._sums: dict[str, Sequence[Row]] = {}
        self._after_login: int | None = None
        """The last row read of the log of logins; None: none yet."""
        try:
            self._connection = _connect(settings)
        except pymysql.MySQLError as error:
            raise _explain(error, settings) from error
        except (OSError, ValueError, RuntimeError) as error:
            # not a certificate file, an impossible host name, or an authentication that needs TLS
            raise DatabaseRefusedError(
                f"{settings.where} cannot be connected to with these settings: {error}; check host, tls_ca and password"
            ) from error
        try:
            self._tried_limit = self._limit_time()
            self._statements, self.missing_columns = self._fit_statements()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection, without asking the server. Idempotent."""
        if self._connection.open:
            # A regular close would wait for a server that may be gone.
            self._connection._force_close()  # type: ignore[attr-defined] # noqa: SLF001

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take_lock(self) -> bool:
        """Try to lock this database, and return True on success; the lock ends with the connection."""
        return self._run("lock")[0][0] == b"1"

    def holds_lock(self) -> bool:
        """Return True if this connection still has the lock."""
        return self._run("lock_held")[0][0] == b"1"

    def read(  # noqa: PLR0913 # the parts of a poll, each once
        self,
        *,
        agents: bool,
        catalogue: bool,
        everything: bool = False,
        screens: bool = False,
        work: Sequence[ServerIp] = (),
        rooms: Sequence[Room] = (),
    ) -> Reading:
        """Read the rows of a poll, with a constant number of statements.

        Args:
            agents: read agents and rooms too.
            catalogue: read settings and campaigns too, and phones and aliases if their checksum has changed.
            everything: read the whole catalogue, whatever the checksums.
            screens: read which screens are silent too, together with the agents.
            work: dialers whose work to read.
            rooms: rooms in which to look for somebody, together with the agents.
        """
        return Reading(
            dialers=self._run("dialers"),
            heartbeats=self._run("heartbeats"),
            agents=self._run("agents") if agents else None,
            logins=self._read_logins() if agents else (),
            conferences=self._run("conferences") if agents else (),
            confbridges=self._run("confbridges") if agents else (),
            catalogue=self._read_catalogue(everything=everything) if catalogue else None,
            silent_screens=self._run("silent_screens") if agents and screens else None,
            lost_screens=self._try("lost_screens", ("",)) if agents and screens else None,
            work=self._try("work", work) if work else None,
            channels=self._try("channels", [tuple(each) for each in rooms]) if agents and rooms else None,
        )

    def run_each(self) -> dict[str, DatabaseError | None]:
        """Run every statement once, and return the error of each, or None: for `hotdesk check`."""
        tried: dict[str, DatabaseError | None] = {}
        for name in self._statements:
            try:
                self._run(name)
            except DatabaseError as error:
                tried[name] = error
            else:
                tried[name] = None
        return tried

    def _read_logins(self) -> Sequence[Row]:
        """Read the logins since the last time; the log is long, and read by its key."""
        if self._after_login is None:
            (end,) = self._run("logins_end") or ((None,),)
            self._after_login = max(0, int(end[0] or 0) - LOGINS_BACK)
        read = self._run("logins")
        if read:
            self._after_login = int(read[-1][0] or 0)
        return read

    def _try(self, name: str, asked: Sequence[object]) -> Sequence[Row] | None:
        """Run one of the tried statements; None: it was left out or not done in time, and the poll goes on without."""
        if name not in self._statements:
            return None
        try:
            return self._run(name, asked)
        except DatabaseUnavailableError:
            if not self._connection.open:
                raise
            return None

    def _read_catalogue(self, *, everything: bool) -> CatalogueRows:
        phones_sum, aliases_sum = self._run("phones_sum"), self._run("aliases_sum")
        phones_changed = everything or phones_sum != self._sums.get("phones")
        # The oddities of an alias depend on the phones that it lists.
        aliases_changed = phones_changed or aliases_sum != self._sums.get("aliases")
        read = CatalogueRows(
            phones=self._run("phones") if phones_changed else None,
            secrets=self._run("secrets") if phones_changed and "secrets" in self._statements else None,
            aliases=self._run("aliases") if aliases_changed else None,
            campaigns=self._run("campaigns"),
            settings=self._run("settings"),
            weights=self._run("weights"),
            missing_columns=self.missing_columns,
        )
        self._sums = {"phones": phones_sum, "aliases": aliases_sum}
        return read

    def _limit_time(self) -> str:
        """Set the time limit of every statement, and return what a tried one begins with to have its own."""
        mariadb = "MariaDB" in self._connection.get_server_info()  # type: ignore[no-untyped-call]
        limit = (
            f"max_statement_time = {STATEMENT_SECONDS}"
            if mariadb
            else f"max_execution_time = {round(STATEMENT_SECONDS * 1000)}"
        )
        self._execute(
            f"SET SESSION {limit}, SESSION wait_timeout = {IDLE_SECONDS}, SESSION group_concat_max_len = {PACKED_BYTES}"
        )
        return f"SET STATEMENT max_statement_time = {TRIED_SECONDS} FOR " if mariadb else ""

    def _fit_statements(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Return the statements fitted to this schema and account, and the columns that are missing there."""
        present = {
            ((table or b"").decode().lower(), (column or b"").decode().lower())
            for table, column in self._execute(_STATEMENTS["columns"])
        }
        fitted, missing = {}, []
        for name, statement in _STATEMENTS.items():
            table = OPTIONAL_TABLES.get(name)
            if table is not None and not any(table == of for of, _ in present):
                missing.append(f"{table}.*")
                continue
            if name == "secrets" and not present >= SECRETS:
                continue
            fitted[name] = statement
        for (table, column), instead in OPTIONAL_COLUMNS.items():
            if (table, column) in present:
                continue
            missing.append(f"{table}.{column}")
            for name, statement in fitted.items():
                if re.search(rf"\bFROM {table}\b", statement):
                    fitted[name] = re.sub(rf"\b{column}\b", instead, statement)
        for name, (table, asked) in TRIED.items():
            fitted[name] = self._tried_limit + fitted[name]
            if self._is_refused(fitted[name], asked):
                del fitted[name]
                missing.append(f"{table}.*")
        return fitted, tuple(sorted(missing))

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

    def _run(self, name: str, asked: Sequence[object] = ()) -> Sequence[Row]:
        statement = self._statements.get(name)
        if statement is None:
            return ()
        if name == "logins":
            statement = statement.format(after=self._after_login or 0)
        tried = TRIED.get(name)
        rows = self._execute(statement, None if tried is None else {"asked": tuple(asked or tried[1])})
        if name in PACKED:
            rows = self._unpack(name, rows)
        self.rows_read += len(rows)
        return rows

    def _unpack(self, name: str, packed: Sequence[Row]) -> Sequence[Row]:
        rows: list[Row] = []
        for counted, value in packed:
            found = [tuple(row.split(b"\x1f")) for row in value.split(b"\x1e")] if value is not None else []
            if len(found) < int(counted or 0):
                raise DatabaseRefusedError(
                    f"{self._settings.where} cuts the {name} off after {len(value or b'')} bytes, {len(found)} of"
                    f" {int(counted or 0)} rows: raise max_allowed_packet on the server"
                )
            rows += found
        # A text that contains a separator breaks its row: the row, or each piece of it, is read as one without a key.
        columns = PACKED[name]
        return [row if len(row) == columns else (None,) * columns for row in rows]

    def _execute(self, statement: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
                rows: Sequence[Row] = cursor.fetchall()
        except (pymysql.MySQLError, OSError) as error:
            raise _explain(error, self._settings) from error
        self.statements_run += 1
        return rows


def _connect(settings: DatabaseSettings) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=settings.host,
        port=settings.port,
        unix_socket=settings.socket or None,
        user=settings.user,
        # pymysql would take text for latin1
        password=settings.password.encode(),
        database=settings.database,
        charset="utf8mb4",
        use_unicode=False,
        conv=_ENCODERS_ONLY,  # type: ignore[arg-type] # the stubs want the decoders that are left out here
        autocommit=True,
        connect_timeout=2,
        read_timeout=IDLE_SECONDS,
        write_timeout=IDLE_SECONDS,
        ssl=ssl.create_default_context(cafile=settings.tls_ca) if settings.tls_ca else None,
        program_name="hotdesk",
    )


def _explain(error: Exception, settings: DatabaseSettings) -> DatabaseError:
    """Return our error for a client's: one line that says what the database refuses, and how to mend it."""
    code = error.args[0] if error.args else 0
    message = str(error.args[1]) if len(error.args) > 1 else str(error)
    if code in ACCESS_DENIED:
        return DatabaseRefusedError(
            f"{settings.where} refuses user {settings.user!r}: {message}; check the password, and run the GRANT"
            " statements of docs/guide/database.md"
        )
    refused = getattr(error, "original_exception", None)
    if code == NO_TLS:
        return DatabaseRefusedError(f"{settings.where} offers no TLS: {message}; set it up there, or leave tls_ca out")
    if isinstance(refused, ssl.SSLError) and not isinstance(refused, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return DatabaseRefusedError(
            f"{settings.where} and hotdesk do not agree on TLS: {getattr(refused, 'verify_message', '') or message};"
            " set tls_ca to the authority of its certificate, and host to a name in that"
        )
    if code in ABSENT:
        return DatabaseRefusedError(f"{settings.where} is not a VICIdial database that hotdesk can read: {message}")
    if isinstance(code, int) and code and code not in PASSING and code not in OF_THE_CLIENT:
        return DatabaseRefusedError(
            f"{settings.where} refuses a statement of hotdesk's: {message} ({code}); see docs/guide/database.md"
        )
    return DatabaseUnavailableError(f"{settings.where} does not answer: {message or type(error).__name__}")
