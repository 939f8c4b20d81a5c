"""One HTTP exchange within one deadline: names, connection, headers and body together.

httpx limits each single step, so a server that sends a header line a second is waited for without end. Here each step
gets what is left of the whole.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import httpcore
import httpx

from controller.vicidial.names import Names, connect

MOST_BYTES = 64 * 1024
"""An answer of VICIdial's APIs is one line; a longer one does not come from them."""


PLAIN = {"accept-encoding": "identity"}
"""Headers of every request: Apache compresses VICIdial's answers otherwise, and they are read as they come."""


class Answer(NamedTuple):
    """An answer, up to `MOST_BYTES` of it."""

    status: int
    text: str


def post(client: httpx.Client, url: str, form: Mapping[str, str]) -> Answer:
    """Send a form and return its answer, within the time limit of the client's transport.

    An answer that is compressed although nothing asked for that is unpacked, within the same bound.

    Raises:
        httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
        httpx.HTTPError: it was sent, and may have arrived.
        httpx.InvalidURL: no server can have this address.
    """
    body = b""
    with client.stream("POST", url, data=form, headers=PLAIN) as response:
        for part in response.iter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                break
    return Answer(response.status_code, body[:MOST_BYTES].decode(errors="replace"))


class BoundedTransport(httpx.HTTPTransport):
    """As httpx's own, with one deadline for each request, and a connection of its own for each."""

    def __init__(self, seconds: float, context: ssl.SSLContext, names: Names) -> None:
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, max_keepalive_connections=0, network_backend=_Backend(seconds, names)
        )


class _Backend(httpcore.NetworkBackend):
    """Opens connections, each with the deadline of its request."""

    def __init__(self, seconds: float, names: Names) -> None:
        self._seconds = seconds
        self._names = names

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 # as it is overridden
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect, and begin to count."""
        deadline = time.monotonic() + self._seconds
        try:
            connected = connect(self._names, host, port, self._seconds)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(connected, deadline)


class _Stream(httpcore.NetworkStream):
    """A connection of which each step ends by the deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 # as it is overridden
        """Read what is there."""
        try:
            self._sock.settimeout(self._left())
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 # as it is overridden
        """Send it all."""
        try:
            self._sock.settimeout(self._left())
            self._sock.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 # as it is overridden
    ) -> httpcore.NetworkStream:
        """Speak TLS from now on. Nothing of the request was sent before."""
        try:
            self._sock.settimeout(self._left())
            secured = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(secured, self._deadline)

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401, ARG002 # as it is overridden
        """Return None: nothing more is known of the connection."""
        return None

    def _left(self) -> float:
        """Return what is left of the time.

        Raises:
            TimeoutError: nothing.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("its answer came too slowly")
        return left
