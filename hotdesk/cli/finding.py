"""Facts that `hotdesk setup` finds by itself: on this machine, and in VICIdial's database."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pymysql

from hotdesk.cli.grants import CONNECT_SECONDS, Administrator, connected, read_schema
from hotdesk.errors import DatabaseFailure, HotdeskError, LogFailure
from hotdesk.grants import RIGHTS, Account, Right
from hotdesk.settings import FromFile, LogOptions, read_file
from hotdesk.setup.facts import (
    ASTGUICLIENT,
    Dialer,
    Firewall,
    InDatabase,
    InKafka,
    Machine,
    Vicidial,
    WebServer,
    input_chain,
    interface_of,
    read_vicidial,
    settled_in,
    systemd_version,
)
from hotdesk.setup.known import SERVICE, Answers
from hotdesk.setup.machine import run, this_owner
from hotdesk.setup.units import PROGRAM, SHIPPED
from hotdesk.shipped import shipped
from stream.kafka.topics import brokers_and_absent
from stream.log import LogError

PACKAGED = ("/usr/lib/systemd/system/hotdesk.service", "/lib/systemd/system/hotdesk.service")
RUNS_SYSTEMD = Path("/run/systemd/system")
"""There while systemd is this machine's first process."""
SOMEWHERE = "192.0.2.1"
"""An address of nobody's: the way there is the default one. Nothing is sent."""
MOST_WEB_SERVERS = 50
"""Of those that VICIdial names: it forgets none."""


class Where(NamedTuple):
    """Where VICIdial's database is."""

    host: str
    port: int
    database: str
    option_file: Path | None
    """With an administrator's user and password; None: root at this machine's socket, or ~/.my.cnf."""


def vicidial() -> Vicidial:
    """Return what this machine's VICIdial says of itself; of a machine without one, nothing."""
    try:
        return read_vicidial(Path(ASTGUICLIENT).read_text(errors="replace"))
    except OSError:
        return Vicidial()


def settings_there(file: Path, cluster: str) -> dict[str, str | int]:
    """Return what a settings file that is there already says of what setup asks.

    Raises:
        SettingsError: it cannot be used as it is.
    """
    if not file.exists():
        return {}
    tables: FromFile = read_file(file, must_exist=True)
    return settled_in({"clusters": tables.clusters, **tables.tables}, cluster)


def address_towards(host: str) -> str:
    """Return this machine's address on the way to another one; empty: it is not known. Nothing is sent."""
    for there in (host, SOMEWHERE):
        with suppress(OSError, UnicodeError):
            family, kind, _, _, place = socket.getaddrinfo(there, 9, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind) as probe:
                probe.connect(place)
                return str(probe.getsockname()[0])
    return ""


def is_this_machine(host: str) -> bool:
    """Return True if a host's address is one of this machine's."""
    with suppress(OSError, UnicodeError):
        family, _, _, _, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((place[0], 0))
            return True
    return False


def this_machine(answers: Answers) -> Machine:
    """Return what is found on this machine; nothing of its services and its firewall, if it is to have none."""
    texts = {name: _shipped(f"packaging/systemd/{name}") for name in SHIPPED}
    found = Machine(owner=this_owner(), vicidial=vicidial(), program=_program(), shipped=texts)
    if not answers.serves:
        return found
    systemd = systemd_version(run(("systemctl", "--version")).said) if RUNS_SYSTEMD.is_dir() else 0
    return found._replace(
        systemd=systemd,
        has_user=run(("getent", "passwd", "hotdesk")).code == 0,
        packaged=any(Path(each).exists() for each in PACKAGED),
        active=all(
            run(("systemctl", each, name)).code == 0
            for each in ("is-active", "is-enabled")
            for name in answers.services
        ),
        alone=run(("systemctl", "is-enabled", SERVICE)).code == 0,
        firewall=_firewall(answers.address),
    )


def _shipped(path: str) -> str:
    file = shipped(path)
    try:
        return file.read_text()
    except OSError as error:
        raise HotdeskError(f"{file} cannot be read: {error.strerror}; install hotdesk anew") from error


def _program() -> str:
    """Return the command that runs now, by the path that outlives an upgrade if it has one."""
    here = Path(sys.argv[0]).absolute()
    if here.suffix == ".py" or not here.exists():  # a module, run by Python
        here = Path(sys.prefix) / "bin" / "hotdesk"
    with suppress(OSError):
        if Path(PROGRAM).samefile(here):
            return PROGRAM
    return str(here)


def _firewall(address: str) -> Firewall:
    if run(("firewall-cmd", "--state")).code == 0:
        interface = interface_of(address, run(("ip", "-o", "addr")).said)
        asked = run(("firewall-cmd", f"--get-zone-of-interface={interface}")) if interface else None
        zone = asked.said.strip() if asked is not None and asked.code == 0 else ""
        of_zone = (f"--zone={zone}",) if zone else ()
        return Firewall("firewalld", zone, run(("firewall-cmd", "--permanent", *of_zone, "--list-rich-rules")).said)
    status = run(("ufw", "status"))
    if status.code == 0 and "Status: active" in status.said:
        return Firewall("ufw", "", run(("ufw", "show", "added")).said)
    ruleset = run(("nft", "list", "ruleset"))
    chain = input_chain(ruleset.said) if ruleset.code == 0 else ""
    return Firewall("nftables", chain, ruleset.said) if chain else Firewall()


def in_kafka(options: LogOptions) -> InKafka:
    """Return what is found in Kafka.

    Raises:
        SettingsError: an address does not fit, or a secret cannot be read.
        LogFailure: it does not answer, or refuses.
    """
    try:
        found = brokers_and_absent(options.kafka())
    except LogError as error:
        raise LogFailure(str(error)) from error
    return InKafka(*found)


@contextmanager
def administrator(where: Where) -> "Iterator[pymysql.Connection[pymysql.cursors.Cursor]]":
    """Yield a connection to VICIdial's database as an administrator.

    Raises:
        DatabaseFailure: there is none, or a statement failed.
    """
    by_socket = where.option_file is None and is_this_machine(where.host)
    host = "" if by_socket else where.host
    with connected(Administrator(host, where.port, None, where.option_file)) as connection:
        yield connection


def in_database(where: Where, account: Account, of_vicidial: Vicidial) -> InDatabase:
    """Return what is read in VICIdial's database: as an administrator, or else by VICIdial's own account.

    Raises:
        SettingsError: the option file that was named is not there.
    """
    held, refused = _held(where, account), ""
    try:
        with administrator(where) as connection:
            found = _read(connection, where.database)
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s", (account.name, account.host))
                has_account = cursor.fetchone() is not None
            return found._replace(administers=bool(found.columns), has_account=has_account, held=held)
    except DatabaseFailure as error:
        if where.option_file is not None and error.__cause__ is not None and error.__cause__.args:
            refused = f"by {where.option_file}: {error.__cause__.args[-1]}"
    for user, password in ((of_vicidial.user, of_vicidial.password), (account.name, account.password)):
        if not user:
            continue
        try:
            with _connected(where, user, password) as connection:
                of_its_own = (user, password) == (account.name, account.password)
                return _read(connection, where.database)._replace(held=held, by_account=of_its_own)
        except (pymysql.MySQLError, OSError) as error:
            unread = str(error.args[-1] if error.args else error)
    return InDatabase(unread=refused or unread, held=held)


def _connected(where: Where, user: str, password: str) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(
        host=where.host,
        port=where.port,
        user=user,
        password=password,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=CONNECT_SECONDS,
    )


def _held(where: Where, account: Account) -> frozenset[Right] | None:
    try:
        with _connected(where, account.name, account.password) as connection, connection.cursor() as cursor:
            cursor.execute(RIGHTS, (where.database,))
            return frozenset(
                (str(table).lower(), str(column).lower(), right.strip().lower())
                for table, column, rights in cursor.fetchall()
                for right in str(rights).split(",")
            )
    except (pymysql.MySQLError, OSError):
        return None


def _read(connection: "pymysql.Connection[pymysql.cursors.Cursor]", database: str) -> InDatabase:
    schema = read_schema(connection, database)
    name = database.replace("`", "``")
    dialers: list[Dialer] = []
    web_servers: list[WebServer] = []
    if {("servers", each) for each in ("server_ip", "server_id", "active_asterisk_server")} <= schema.columns:
        statement = (
            f"SELECT server_ip, server_id FROM `{name}`.servers"  # noqa: S608
            " WHERE active_asterisk_server = 'Y' ORDER BY server_id"
        )
        rows = _rows(connection, statement)
        dialers = [Dialer(str(ip), str(called)) for ip, called in rows]
    if ("vicidial_webservers", "webserver") in schema.columns:
        statement = (
            f"SELECT webserver FROM `{name}`.vicidial_webservers"  # noqa: S608
            " GROUP BY webserver ORDER BY MAX(webserver_id) DESC LIMIT %s"
        )
        rows = _rows(connection, statement, MOST_WEB_SERVERS)
        web_servers = [WebServer(str(called), _resolved(str(called))) for (called,) in rows if called]
    return InDatabase(
        columns=schema.columns,
        creates_if_absent=schema.creates_if_absent,
        dialers=tuple(dialers),
        web_servers=tuple(web_servers),
    )


def _rows(
    connection: "pymysql.Connection[pymysql.cursors.Cursor]", statement: str, *values: object
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _resolved(name: str) -> str:
    with suppress(OSError, UnicodeError):
        return str(socket.getaddrinfo(name, 0, socket.AF_INET)[0][4][0])
    return ""
