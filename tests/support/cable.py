"""A line between two programs that a test may cut, as a network does: bytes stop, and nobody is told."""

import socket
import threading
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65536


class Cable:
    """Forwards TCP connections from a port of its own to another, until it is cut."""

    def __init__(self, port: int) -> None:
        self._to = (HOST, port)
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._whole = threading.Event()
        self._whole.set()
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, name="cable", daemon=True).start()

    def cut(self) -> None:
        """Let nothing through any more; connections stay, and new ones are taken and lead nowhere."""
        self._whole.clear()

    def lead_to(self, port: int) -> None:
        """Lead new connections elsewhere, as a name or a virtual address that moves; those that stand stay."""
        self._to = (HOST, port)

    def mend(self) -> None:
        """Let through what waited, and all that follows."""
        self._whole.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.mend()
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._to)
                except OSError:
                    near.close()  # who is at the other end is away for now
                    continue
                self._ends = [end for end in self._ends if end.fileno() >= 0] + [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), name="cable", daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._whole.wait()
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()
