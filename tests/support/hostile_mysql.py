"""Servers that speak MySQL's protocol as no server should; each keeps what it heard."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

SALT = b"12345678", b"123456789012"
WITH_PLUGINS = 0x0008_0000 | 0x8000 | 0x0200 | 0x0008
TLS = 0x0800
OK = b"\0\0\0\x02\0\0\0"
DRIP_SECONDS = 0.05


def greeting(
    plugin: bytes = b"mysql_native_password", *, version: bytes = b"5.5.5-10.6.0-MariaDB", tls: bool = False
) -> bytes:
    """Return the packet by which a server begins."""
    flags = WITH_PLUGINS | (TLS if tls else 0)
    low, high = flags & 0xFFFF, flags >> 16
    head = b"\x0a" + version + b"\0" + struct.pack("<I", 7) + SALT[0] + b"\0" + struct.pack("<H", low)
    return head + struct.pack("<BHHB", 45, 2, high, 21) + b"\0" * 10 + SALT[1] + b"\0" + plugin + b"\0"


class Talk:
    """One client's connection, and what it said."""

    def __init__(self, connection: socket.socket, released: threading.Event) -> None:
        self._connection = connection
        self._released = released
        self._next = 0
        self.heard = b""

    def say(self, payload: bytes) -> None:
        """Send a packet."""
        self._connection.sendall(struct.pack("<I", len(payload))[:3] + bytes([self._next]) + payload)
        self._next = (self._next + 1) % 256

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        self._connection.sendall(data)

    def drip(self, data: bytes) -> None:
        """Send a byte now and then."""
        for each in data:
            self._connection.sendall(bytes([each]))
            if self._released.wait(DRIP_SECONDS):
                return

    def hear(self) -> bytes:
        """Return the next packet."""
        head = self._exactly(4)
        self._next = (head[3] + 1) % 256
        return self._exactly(int.from_bytes(head[:3], "little"))

    def hear_all(self) -> None:
        """Hear whatever comes until the client hangs up."""
        while data := self._connection.recv(65536):
            self.heard += data

    def hang_up(self) -> None:
        """End the connection, from any thread."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def secure(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._connection = context.wrap_socket(self._connection, server_side=True)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._connection.recv(count - len(data))
            if not part:
                raise ConnectionError
            data += part
        self.heard += data
        return data


class HostileServer:
    """A server on a free port of 127.0.0.1 that does the same to every client, while it is entered."""

    def __init__(self, script: Callable[[Talk], None]) -> None:
        self._script = script
        self._released = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.talks: list[Talk] = []
        self._threads = [threading.Thread(target=self._accept, name="hostile")]

    @property
    def heard(self) -> bytes:
        """What all clients have said."""
        return b"".join(each.heard for each in self.talks)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for talk in self.talks:
            talk.hang_up()
        for each in self._threads:
            each.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                thread = threading.Thread(target=self._talk, args=(connection,), name="hostile")
                thread.start()
                self._threads.append(thread)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        talk = Talk(connection, self._released)
        self.talks.append(talk)
        with suppress(OSError):
            self._script(talk)
            talk.hear_all()
        talk.close()
