"""`hotdesk grants`: the grants that fit a database's schema, as SQL to look at and to run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import pymysql
from cyclopts import Parameter

from hotdesk.cli.terminal import say
from hotdesk.errors import DatabaseFailure, SettingsError
from hotdesk.grants import COLUMNS, Account, Column, Purpose
from hotdesk.grants import grants as grants_for
from hotdesk.settings import read_secret
from messages.shown import reason_of

BY_HAND = COLUMNS % "'asterisk'"
CONNECT_SECONDS = 5
SOCKETS = ("/run/mysqld/mysqld.sock", "/run/mysql/mysql.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108
"""Where Debian, openSUSE, EL and a server that was built by hand have theirs."""
OPTION_FILE = Path("~/.my.cnf")
PLACEHOLDER = "choose-a-password"
KNOWS_IF_NOT_EXISTS = {True: (10, 1, 3), False: (5, 7, 8)}
"""From which version on MariaDB (True) and MySQL create a user only if there is none."""


class Schema(NamedTuple):
    """The columns of a database, and what its server knows."""

    columns: frozenset[Column]
    creates_if_absent: bool


@Parameter(name="*")
@dataclass(frozen=True)
class Administrator:
    """How to connect as an administrator, to read the names of the columns and nothing else."""

    host: Annotated[str, Parameter(help="Its address; default: this machine's socket.")] = ""
    port: Annotated[int, Parameter(help="Its port.")] = 3306
    socket: Annotated[Path | None, Parameter(help="Its socket; default: where distributions have it.")] = None
    option_file: Annotated[
        Path | None, Parameter(help="A MySQL option file with user and password; default: ~/.my.cnf if it exists.")
    ] = None


THIS_MACHINE = Administrator()


def grants(  # noqa: PLR0913 # each a choice of the operator's
    *,
    act: Annotated[bool, Parameter(negative="", help="To move agents (mode = act).")] = False,
    fence: Annotated[bool, Parameter(negative="", help="To close dead dialers to VICIdial's own logins.")] = False,
    screens: Annotated[bool, Parameter(negative="", help="To restore screens after a database restart.")] = False,
    readiness: Annotated[bool, Parameter(negative="", help="To compare phones' passwords.")] = False,
    emergency: Annotated[bool, Parameter(negative="", help="To end sessions whose screens do not react.")] = False,
    account: Annotated[str, Parameter(help="The account's name.")] = "hotdesk",
    comes_from: Annotated[str, Parameter(name="--from", help="The machine it comes from; % for any.")] = "%",
    database: Annotated[str, Parameter(help="VICIdial's database.")] = "asterisk",
    password_file: Annotated[Path | None, Parameter(help="The account's password; default: a placeholder.")] = None,
    columns: Annotated[Path | None, Parameter(help="Table and column a line, in place of a connection.")] = None,
    administrator: Administrator = THIS_MACHINE,
) -> None:
    """Print the grants that hotdesk's account needs, without what this VICIdial's schema lacks; nothing is changed.

    Run it on the database's machine as root, look at it, then pipe it: `hotdesk grants --act | mysql`. It may be run
    again, after an upgrade of VICIdial or with more choices.
    """
    chosen = {
        Purpose.ACT: act or emergency,
        Purpose.FENCE: fence,
        Purpose.SCREENS: screens,
        Purpose.READINESS: readiness,
        Purpose.EMERGENCY: emergency,
    }
    schema = _from_file(columns) if columns is not None else schema_of(administrator, database)
    if not schema.columns:
        raise DatabaseFailure(f"there is no database {database} with tables: name VICIdial's with --database")
    password = PLACEHOLDER if password_file is None else read_secret(str(password_file), "password")
    wanted = [purpose for purpose, is_chosen in chosen.items() if is_chosen]
    of = Account(account, comes_from, password, database)
    for line in grants_for(of, wanted, schema.columns, creates_if_absent=schema.creates_if_absent):
        say(line)


def _from_file(file: Path) -> Schema:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {reason_of(error)}") from error
    pairs = [line.lower().split() for line in lines if line.strip()]
    if any(len(pair) != 2 for pair in pairs):  # noqa: PLR2004 # table and column
        raise SettingsError(f"{file}: a line is a table and a column, as `mysql -N` prints them")
    return Schema(frozenset((table, column) for table, column in pairs), creates_if_absent=True)


def schema_of(administrator: Administrator, database: str) -> Schema:
    """Return what a database has.

    Raises:
        DatabaseFailure: it cannot be read.
    """
    with connected(administrator) as connection:
        return read_schema(connection, database)


def read_schema(connection: "pymysql.Connection[pymysql.cursors.Cursor]", database: str) -> Schema:
    """Return what a database has, as this account sees it."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS, (database,))
        found = frozenset((str(table).lower(), str(column).lower()) for table, column in cursor.fetchall())
        version = str(connection.get_server_info())  # type: ignore[no-untyped-call]
    numbers = tuple(int(each) for each in version.removeprefix("5.5.5-").partition("-")[0].split(".") if each.isdigit())
    return Schema(found, creates_if_absent=numbers >= KNOWS_IF_NOT_EXISTS["MariaDB" in version])


@contextmanager
def connected(administrator: Administrator) -> "Iterator[pymysql.Connection[pymysql.cursors.Cursor]]":
    """Yield a connection as an administrator.

    Raises:
        SettingsError: the option file that was named is not there: the client would go on without it, as someone else.
        DatabaseFailure: there is none; or a statement failed.
    """
    host, port = administrator.host, administrator.port
    socket, option_file = administrator.socket, administrator.option_file
    if option_file is not None and not option_file.is_file():
        raise SettingsError(f"--option-file {option_file}: there is no such file")
    if option_file is None and OPTION_FILE.expanduser().exists():
        option_file = OPTION_FILE.expanduser()
    if socket is None and not host:
        socket = next((Path(each) for each in SOCKETS if Path(each).exists()), None)
    try:
        with pymysql.connect(
            host=host or "127.0.0.1",
            port=port,
            unix_socket=None if socket is None else str(socket),
            user="root" if option_file is None else None,
            read_default_file=None if option_file is None else str(option_file),
            connect_timeout=CONNECT_SECONDS,
            read_timeout=CONNECT_SECONDS,
        ) as connection:
            yield connection
    except (pymysql.MySQLError, OSError, ValueError) as error:
        said = error.args[-1] if error.args else error
        raise DatabaseFailure(
            f"the schema cannot be read: {said}; give --option-file with an administrator's user and password, or"
            f' --columns with what this prints: mysql -N -e "{BY_HAND}"'
        ) from error
