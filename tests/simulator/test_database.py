"""The private MariaDB server: comes up, comes back, and never stays behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from simulator import schema
from simulator.database import Database, DatabaseError, DatabaseStartError, MariadbMissingError

STARTS_AND_WAITS = """
import pathlib, sys
from simulator.database import Database
with Database(pathlib.Path(sys.argv[1])) as server:
    print(server.port, flush=True)
    sys.stdin.read()
"""


def rows(server: Database, statement: str) -> tuple[tuple[object, ...], ...]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return tuple(cursor.fetchall())


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def folder(server_folder: Path, request: pytest.FixtureRequest) -> Path:
    """Return a folder of the test's own, short enough for a socket."""
    return server_folder / str(abs(hash(request.node.nodeid)) % 10**8)


def test_behaves_like_vicidials_server(database: Database) -> None:
    assert rows(database, "SELECT @@sql_mode, @@log_bin, @@skip_name_resolve") == (("NO_ENGINE_SUBSTITUTION", 0, 1),)


def test_nobody_comes_in_without_a_password(database: Database) -> None:
    with database.connect() as administrator, administrator.cursor() as cursor:
        cursor.execute("CREATE USER watcher@'127.0.0.1' IDENTIFIED BY 'right'")
    with database.connect(user="watcher", password="right") as watcher:
        assert watcher.host == database.host
        assert watcher.port == database.port
    with pytest.raises(pymysql.OperationalError):
        database.connect(user="watcher", password="wrong")
    for user in ("root", "", "nobody"):
        with pytest.raises(pymysql.OperationalError):
            database.connect(user=user, password="")
    with pymysql.connect(unix_socket=str(database.socket), password=database.password, user="root") as root:
        root.ping()


@pytest.mark.parametrize("end", [Database.stop, Database.kill])
def test_comes_back_with_its_port_and_data_but_without_what_was_in_memory(
    folder: Path, end: Callable[[Database], None]
) -> None:
    with Database(folder) as server:
        port = server.port
        with server.connect() as connection, connection.cursor() as cursor:
            schema.create(connection, "asterisk")
            cursor.execute("INSERT INTO servers (server_id, server_ip) VALUES ('one', '10.0.0.1')")
            cursor.execute("INSERT INTO server_updater VALUES ('10.0.0.1', NOW(), NULL)")
            cursor.execute("FLUSH TABLES")
        end(server)
        assert not server.running
        with pytest.raises(pymysql.OperationalError):
            server.connect()
        server.restart()
        assert server.port == port
        assert rows(server, "SELECT server_id FROM asterisk.servers") == (("one",),)
        assert rows(server, "SELECT * FROM asterisk.server_updater") == ()
    assert not server.running


def test_ends_with_the_process_that_started_it_however_that_ends(
    folder: Path, eventually: Callable[[Callable[[], bool]], bool]
) -> None:
    with subprocess.Popen(  # noqa: S603 (this very interpreter)
        [sys.executable, "-c", STARTS_AND_WAITS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        assert listening(port)
        os.kill(starter.pid, signal.SIGKILL)
    assert eventually(lambda: not listening(port))


def test_shares_no_folder_with_another_server(folder: Path, database: Database) -> None:
    # one that starts deletes every temporary table it finds in its folder
    with Database(folder) as other:
        assert rows(other, "SELECT @@tmpdir") != rows(database, "SELECT @@tmpdir")


def test_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MariadbMissingError, match="install the package mariadb-server-core"):
        Database(folder).start()


def test_quotes_its_log_when_it_does_not_start(folder: Path) -> None:
    with Database(folder) as server:
        server.stop()
        for table in (folder / "data" / "mysql").glob("global_priv.*"):
            table.unlink()
        with pytest.raises(DatabaseStartError, match=r"(?s)its log ends with:.*\[ERROR\]"):
            server.start()
        assert not server.running


def test_refuses_a_folder_it_cannot_use(folder: Path) -> None:
    with pytest.raises(DatabaseError, match="shorter folder"):
        Database(folder / ("x" * 100))
    with Database(folder), pytest.raises(DatabaseError, match="exists already"):
        Database(folder)
