"""The SIP ports of simulated dialers, each at the dialer's own loopback address: one thread answers for all.

A dialer that carries calls answers OPTIONS. One that hangs receives it and says nothing; of one that is dead the kernel
says that nothing listens there, as of a real host whose Asterisk has died. Other addresses than 127/8 have no port, so
that nothing here ever sends to a network.
"""

import ipaddress
import selectors
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress

LONGEST_REQUEST = 4096
LOOK_SECONDS = 0.1


def is_loopback(server_ip: str) -> bool:
    """Return True for an address of this machine alone."""
    return ipaddress.ip_address(server_ip).is_loopback


class SipPorts:
    """The SIP ports of a cluster's dialers, from `start` to `stop`."""

    def __init__(self, dialers: Iterable[str], port: int) -> None:
        """Open nothing yet; `dialers` by `server_ip`."""
        self.port = port
        self._dialers = frozenset(server_ip for server_ip in dialers if is_loopback(server_ip))
        self._dead: set[str] = set()
        self._mute: set[str] = set()
        self._open: dict[str, socket.socket] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._selector: selectors.BaseSelector | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the ports of all dialers that are not dead, and answer."""
        self._stopping.clear()
        with self._lock:
            self._selector = selectors.DefaultSelector()
            for server_ip in sorted(self._dialers - self._dead):
                self._listen(server_ip)
        self._thread = threading.Thread(target=self._serve, args=(self._selector,), name="cluster-sip", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close all ports. Idempotent."""
        if self._thread is None:
            return
        self._stopping.set()
        self._thread.join()
        self._thread = None
        with self._lock:
            for server_ip in list(self._open):
                self._shut(server_ip)
            if self._selector is not None:
                self._selector.close()
                self._selector = None

    def answer(self, server_ip: str) -> None:
        """Let a dialer answer."""
        with self._lock:
            self._dead.discard(server_ip)
            self._mute.discard(server_ip)
            if server_ip in self._dialers - self._open.keys():
                self._listen(server_ip)

    def fall_silent(self, server_ip: str) -> None:
        """Let a dialer receive and say nothing."""
        with self._lock:
            self._mute.add(server_ip)

    def close(self, server_ip: str) -> None:
        """Close a dialer's port."""
        with self._lock:
            self._dead.add(server_ip)
            self._shut(server_ip)

    def _listen(self, server_ip: str) -> None:
        if self._selector is None:
            return
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.setblocking(False)
        listening.bind((server_ip, self.port))
        self._open[server_ip] = listening
        self._selector.register(listening, selectors.EVENT_READ, server_ip)

    def _shut(self, server_ip: str) -> None:
        if (listening := self._open.pop(server_ip, None)) is not None and self._selector is not None:
            self._selector.unregister(listening)
            listening.close()

    def _serve(self, selector: selectors.BaseSelector) -> None:
        while not self._stopping.is_set():
            for key, _ in selector.select(LOOK_SECONDS):
                with self._lock:
                    if (listening := self._open.get(key.data)) is not None:
                        self._receive(key.data, listening)

    def _receive(self, server_ip: str, listening: socket.socket) -> None:
        with suppress(OSError):  # its sender is gone
            request, sender = listening.recvfrom(LONGEST_REQUEST)
            if server_ip not in self._mute and request.startswith(b"OPTIONS "):
                listening.sendto(_answer(request), sender)


def _answer(request: bytes) -> bytes:
    """Return the answer of a VICIdial dialer, whose dialplan has nothing at the requested address."""
    head = request.partition(b"\r\n\r\n")[0].decode(errors="replace").split("\r\n")[1:]
    repeated = [line for line in head if line.partition(":")[0].lower() in {"via", "from", "to", "call-id", "cseq"}]
    lines = ("SIP/2.0 404 Not Found", *repeated, "Server: Asterisk PBX", "Content-Length: 0", "", "")
    return "\r\n".join(lines).encode()
