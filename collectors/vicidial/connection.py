"""A connection to a MariaDB or MySQL that may be anybody: bounded in time and bytes, and never told the password.

pymysql's time limits are for a single receive, so a server that sends a byte a second is waited for without end; and it
does as the server says, which may ask for the password itself. Whoever is in between, or listens where the database
was, may be that server. So here each exchange has one deadline, and without a certificate authority only those ways to
log in are used that prove the password without telling it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql import _auth
from pymysql.constants import CR

if TYPE_CHECKING:

    class _Connection(pymysql.connections.Connection[Any]):
        # what pymysql's types leave out
        _sock: Any
        _auth_plugin_name: str

        def _force_close(self) -> None: ...
        def _get_server_information(self) -> None: ...
        def _request_authentication(self) -> None: ...
        def _read_query_result(self, unbuffered: bool) -> int: ...
        def _process_auth(self, plugin_name: bytes, auth_packet: object, handler: object) -> object: ...
        def _execute_command(self, command: int, sql: str | bytes) -> None: ...
else:
    _Connection = pymysql.connections.Connection

MOST_BYTES = 256 * 1024 * 1024
"""Of one answer: four of the largest packed values."""

PIECE = 256 * 1024

CACHING = b"caching_sha2_password"
PROVING = {b"mysql_native_password", b"client_ed25519", CACHING}
"""Ways to log in by which the server learns no password; the last asks for it only if it has none cached."""
TELLING = {b"mysql_clear_password", b"sha256_password", b"dialog"}
"""Ways by which it is told."""


class UnsafeLoginError(pymysql.OperationalError):
    """The server wants the password itself."""

    def __init__(self, plugin: bytes) -> None:
        name = plugin.decode("ascii", "replace")
        super().__init__(
            CR.CR_AUTH_PLUGIN_ERR,
            f"it asks for the password itself ({name}), which is told only to a server whose certificate is verified:"
            " set tls_ca, or give the account mysql_native_password or ed25519",
        )


class _FastSha2:
    """The login by caching_sha2_password as far as it proves the password."""

    def __init__(self, connection: "BoundedConnection") -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:  # noqa: ANN401 # pymysql's own, without a type
        """Answer the server, and return its last packet."""
        connection: Any = self._connection
        if packet.is_auth_switch_request():
            salt = packet.read_all().removesuffix(b"\0")
            connection.write_packet(_auth.scramble_caching_sha2(connection.password, salt))
            packet = connection._read_packet()  # noqa: SLF001 # it hands itself to its plugins for that
        if packet.is_ok_packet():
            return packet
        if packet.get_all_data() != b"\x01\x03":
            raise UnsafeLoginError(CACHING)
        return connection._read_packet()  # noqa: SLF001


class BoundedConnection(_Connection):
    """As pymysql's own, with a deadline for the login and one for each statement. It belongs to one thread.

    Args:
        login_seconds: Time limit from the first byte to the last of the login.
        statement_seconds: Time limit of a statement and its answer.
        trusted: The server's certificate is verified, so it may be told the password.
        password: Bytes, since pymysql would take text for latin1.
        given: What else pymysql's own takes.
    """

    def __init__(
        self,
        *,
        login_seconds: float,
        statement_seconds: float,
        trusted: bool,
        password: bytes,
        **given: Any,  # noqa: ANN401 # one of twenty types each
    ) -> None:
        self._login_seconds = login_seconds
        self.statement_seconds = statement_seconds
        self._trusted = trusted
        self._ends_at = 0.0
        self._bytes_left = MOST_BYTES
        self._received, self._at = b"", 0
        """The bytes that came last, and how many of them were read."""
        self._logging_in = False
        plugins: dict[Any, Any] = {} if trusted else {CACHING: _FastSha2}
        super().__init__(auth_plugin_map=plugins, password=password, **given)

    def connect(self, sock: Any = None) -> None:  # noqa: ANN401 # as it is overridden
        """Connect and log in, within one deadline from here on."""
        self._begin(self._login_seconds)
        self._received, self._at = b"", 0
        self._logging_in = True
        try:
            super().connect(sock)
        finally:
            self._logging_in = False

    def _begin(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._bytes_left = MOST_BYTES

    def _left(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise self._lost("its answer came too slowly")
        return left

    def _lost(self, why: str) -> pymysql.OperationalError:
        self._force_close()
        return pymysql.OperationalError(CR.CR_SERVER_LOST, f"Lost connection to MySQL server during query ({why})")

    def _execute_command(self, command: int, sql: str | bytes) -> None:
        if not self._logging_in:
            self._begin(self.statement_seconds)
        super()._execute_command(command, sql)

    def _read_bytes(self, num_bytes: int) -> bytes:
        """Read by the deadline, whatever the server does in between."""
        end = self._at + num_bytes
        if end > len(self._received):
            return self._receive(num_bytes)
        data = self._received[self._at : end]
        self._at = end
        return data

    def _receive(self, num_bytes: int) -> bytes:
        parts = [self._received[self._at :]]
        left = num_bytes - len(parts[0])
        while left > 0:
            self._sock.settimeout(self._left())
            try:
                part = self._sock.recv(PIECE)
            except OSError as error:
                raise self._lost(str(error)) from error
            if not part:
                raise self._lost("it hung up")
            self._bytes_left -= len(part)
            if self._bytes_left < 0:
                raise self._lost(f"its answer has more than {MOST_BYTES} bytes")
            parts.append(part)
            left -= len(part)
        # what came beyond is the beginning of the next
        self._received, self._at = parts[-1], len(parts[-1]) + left
        parts[-1] = parts[-1][: self._at]
        return b"".join(parts)

    def _write_bytes(self, data: bytes) -> None:
        self._sock.settimeout(self._left())
        try:
            self._sock.sendall(data)
        except OSError as error:
            self._force_close()
            gone = f"MySQL server has gone away ({error!r})"
            raise pymysql.OperationalError(CR.CR_SERVER_GONE_ERROR, gone) from error

    def _get_server_information(self) -> None:
        with self._taken_apart():
            super()._get_server_information()
        if self._at < len(self._received):
            # else what came in the clear would be taken, after TLS has begun, for what the server said by it
            raise self._lost("it speaks before it is asked")
        if self._auth_plugin_name.encode() not in PROVING and not self._trusted:
            # the password would be sent at once: let the server say again what it wants
            self._auth_plugin_name = "mysql_native_password"

    def _request_authentication(self) -> None:
        with self._taken_apart():
            super()._request_authentication()

    def _read_query_result(self, unbuffered: bool = False) -> int:  # as it is overridden
        with self._taken_apart():
            count: int = super()._read_query_result(unbuffered)
        return count

    @contextmanager
    def _taken_apart(self) -> Iterator[None]:
        """Hang up on a server whose answer pymysql cannot take apart."""
        try:
            yield
        except (pymysql.MySQLError, OSError):
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise self._lost(f"it answers as no MariaDB or MySQL that hotdesk can use does: {why}") from error

    def _process_auth(self, plugin_name: bytes, auth_packet: object, handler: object = None) -> object:
        if plugin_name in TELLING and not self._trusted:
            raise UnsafeLoginError(plugin_name)
        if plugin_name not in PROVING | TELLING:
            raise pymysql.OperationalError(
                CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
                f"it wants a login by {plugin_name!r}, which hotdesk does not do: give the account"
                " mysql_native_password or ed25519",
            )
        return super()._process_auth(plugin_name, auth_packet, handler)
