"""A private MariaDB server for tests, benchmarks and the demo.

VICIdial is its database: what was not tried on the real engines, MyISAM and MEMORY, cannot be trusted. So nothing
here stands in for MariaDB; it is only made quick to start, alone, and impossible to leave behind.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql
from mirakuru import TCPExecutor
from mirakuru.exceptions import ExecutorError
from pymysql.connections import Connection

from simulator.ports import free_port

HOST = "127.0.0.1"
ADMINISTRATOR = "root"

_START_OR_STOP_SECONDS = 60.0
"""A start takes half a second; a busy machine may take long."""
_CONNECT_SECONDS = 10
_ERROR_LOG_LINES = 12
_LONGEST_SOCKET_PATH = 107
"""`sun_path` of a Unix socket's address, less its closing zero."""

_SETTINGS = (
    "--no-defaults",
    f"--bind-address={HOST}",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--sql-mode=NO_ENGINE_SUBSTITUTION",
    # VICIdial's tables are MyISAM and MEMORY: without InnoDB a data directory takes 1 MB and a start 0.3 s.
    "--innodb=OFF",
    "--default-storage-engine=MyISAM",
    "--aria-log-file-size=8M",
    "--aria-pagecache-buffer-size=8M",
    "--key-buffer-size=32M",
    "--max-heap-table-size=32M",
    "--query-cache-type=OFF",
    "--performance-schema=OFF",
    "--max-connections=500",
    "--open-files-limit=8192",
    "--table-open-cache=1000",
    "--thread-cache-size=32",
    "--connect-timeout=30",
)

# Runs the server, and kills it as soon as the pipe on standard input closes: the kernel does that when the process
# that started us ends, however it ends. A signal to the group stops the server; the shell outlives it to tell how.
_GUARD = """
exec 3<&0
trap : TERM
"$@" </dev/null 3<&- &
server=$!
( while read -r _; do :; done; kill -KILL $server ) <&3 2>/dev/null &
watch=$!
exec 3<&-
wait $server
code=$?
while kill -0 $server 2>/dev/null; do wait $server; code=$?; done
kill -KILL $watch 2>/dev/null
exit $code
"""


class DatabaseError(Exception):
    """A failure to run a private MariaDB server."""


class MariadbMissingError(DatabaseError):
    """The machine has no MariaDB server."""


class DatabaseStartError(DatabaseError):
    """The server did not start; the message ends with the last lines of its own log."""


class Database:
    """One MariaDB server with a data directory, a socket and a TCP port of its own.

    A context manager: it runs inside, and is gone after, also when the process that started it is killed.
    The administrator has all rights and may make more accounts; nobody comes in without a password.
    """

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        """Choose where the server will live: `folder` is made when missing, and must hold no earlier server.

        With a certificate and its key, both PEM, it speaks TLS to whoever asks for it.

        Raises:
            DatabaseError: The folder's path is too long for a socket, or an earlier server's data lies there.
        """
        self._folder = folder.absolute()
        self.host = HOST
        self.port = free_port()
        self.socket = self._folder / "mariadb.sock"
        self.password = secrets.token_urlsafe(12)
        """The administrator's."""
        if len(os.fsencode(self.socket)) > _LONGEST_SOCKET_PATH:
            raise DatabaseError(f"{self.socket} is too long for the name of a socket: choose a shorter folder")
        self._data = self._folder / "data"
        self._temporary = self._folder / "tmp"
        if self._data.exists():
            raise DatabaseError(f"{self._data} exists already: another server may be using it")
        self._certificate = certificate
        self._executor: TCPExecutor | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def connect(self, user: str | None = None, password: str | None = None, database: str | None = None) -> Connection:
        """Connect by TCP, with autocommit; as the administrator unless told otherwise.

        Raises:
            pymysql.MySQLError: Not running, or refused.
        """
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=user or ADMINISTRATOR,
            password=password if password is not None else self.password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
        )

    @property
    def running(self) -> bool:
        """True while the server's process lives."""
        return self._executor is not None and self._executor.running()

    def start(self) -> None:
        """Start the server and wait until it answers; what runs already is left alone.

        Raises:
            MariadbMissingError: No MariaDB server is installed.
            DatabaseStartError: It did not start.
        """
        if self.running:
            return
        server = _mariadbd()
        if not self._data.exists():
            self._create(server)
        self._executor = TCPExecutor(
            ["/bin/sh", "-c", _GUARD, "guard", *self._command(server)],
            host=self.host,
            port=self.port,
            timeout=_START_OR_STOP_SECONDS,
            sleep=0.02,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._executor.start()
            self.connect().close()
        except (ExecutorError, pymysql.MySQLError) as error:
            self.kill()
            raise DatabaseStartError(f"MariaDB did not start; its log ends with:\n{self._log_end()}") from error

    def stop(self) -> None:
        """Shut the server down in order and wait; what does not run stays so."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        with contextlib.suppress(ExecutorError):  # it had ended by itself, or needed killing: either way it is gone
            executor.stop()
        executor.kill()

    def kill(self) -> None:
        """End the server at once, as a power cut does."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.kill()

    def restart(self) -> None:
        """Stop and start: the same port and data, and every MEMORY table empty.

        Raises:
            DatabaseStartError: It did not start again.
        """
        self.stop()
        self.start()

    def _command(self, server: Path) -> list[str]:
        return [
            str(server),
            *_SETTINGS,
            *_user(),
            f"--datadir={self._data}",
            # A server that starts empties its folder for temporary tables, whoever else may be using it.
            f"--tmpdir={self._temporary}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            f"--pid-file={self._folder / 'mariadb.pid'}",
            f"--log-error={self._folder / 'error.log'}",
            *self._tls(),
        ]

    def _tls(self) -> list[str]:
        if self._certificate is None:
            return []
        cert, key = self._certificate
        return [f"--ssl-cert={cert}", f"--ssl-key={key}"]

    def _create(self, server: Path) -> None:
        """Make the system tables and the administrator.

        `mariadb-install-db` does the same, but wants programs of the client package and five times as long.
        """
        self._data.mkdir(parents=True, mode=0o700)
        self._temporary.mkdir(mode=0o700, exist_ok=True)
        statements = (
            "CREATE DATABASE mysql;\nUSE mysql;\n"
            + _system_tables(server).read_text(encoding="utf-8")
            + "\nFLUSH PRIVILEGES;\n"
            + "".join(
                f"GRANT ALL ON *.* TO {ADMINISTRATOR}@{where} IDENTIFIED BY '{self.password}' WITH GRANT OPTION;\n"
                for where in ("localhost", f"'{HOST}'")  # by the socket, by TCP
            )
        )
        result = subprocess.run(  # noqa: S603 (our own server and options)
            [*self._command(server), "--bootstrap"],
            input=statements,
            text=True,
            capture_output=True,
            check=False,
            timeout=_START_OR_STOP_SECONDS,
        )
        if result.returncode != 0:
            shutil.rmtree(self._data)
            raise DatabaseStartError(
                f"MariaDB could not make its data directory; its log ends with:\n{self._log_end()}"
            )

    def _log_end(self) -> str:
        try:
            lines = (self._folder / "error.log").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "(it wrote no log)"
        return "\n".join(lines[-_ERROR_LOG_LINES:])


def _mariadbd() -> Path:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mariadbd", path=path) or shutil.which("mysqld", path=path)
    if found is None:
        raise MariadbMissingError("No MariaDB server found: install the package mariadb-server-core")
    return Path(found).resolve()


def _system_tables(server: Path) -> Path:
    for name in ("mysql/mysql_system_tables.sql", "mariadb/mariadb_system_tables.sql"):
        path = server.parent.parent / "share" / name
        if path.exists():
            return path
    raise MariadbMissingError(
        f"No system tables come with {server}: install MariaDB 10.5 or newer, package mariadb-server-core"
    )


def _user() -> list[str]:
    """MariaDB refuses to run as root unless told by name."""
    return ["--user=root"] if os.geteuid() == 0 else []
