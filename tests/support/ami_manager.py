"""A manager (AMI) on loopback that does as Asterisk's does, as far as a probe asks, and notes who asked."""

import socket
import socketserver
import threading
from contextlib import suppress
from hashlib import md5
from typing import Self

HOST = "127.0.0.1"
USER = "hotdesk"
SECRET = "opensesame"


class Manager(socketserver.ThreadingTCPServer):
    """Serves each connection in a thread of its own, from its making until it is left."""

    daemon_threads = True

    def __init__(self, host: str = HOST, port: int = 0) -> None:
        super().__init__((host, port), _Session)
        self.port = int(self.server_address[1])
        self._goes_on = threading.Event()
        self._goes_on.set()
        self.started = "2026-11-26 08:00:00"
        """What it says of its start."""
        self.extensions: tuple[str, ...] | None = ()
        """Where it has channels; None: it does not tell this account."""
        self.peers: dict[str, bool] | None = {}
        """The phones of its chan_sip, and whether they are registered; None: it does not tell this account."""
        self.devices: dict[str, str] | None = {}
        """Its devices, and their states; None: it does not tell this account."""
        self.one_login = False
        """It allows an account one login at a time (`allowmultiplelogin = no`)."""
        self.logged_in = 0
        """Connections with a login."""
        self.phone_lists = 0
        self.lists = 0
        self.pings = 0
        self.logins = 0
        self.connections = 0
        """Open ones."""
        self.guard = threading.Lock()
        self.sockets: set[socket.socket] = set()
        """Those of its connections."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="manager")
        self._thread.start()

    def freeze(self) -> None:
        """Hang: accept, and answer nobody before `thaw`."""
        self._goes_on.clear()

    def thaw(self) -> None:
        """Go on, with what was asked meanwhile first."""
        self._goes_on.set()

    def wait_while_frozen(self) -> None:
        self._goes_on.wait()

    def __exit__(self, *_: object) -> None:
        """End as a process does: its connections end with it, and nothing listens any more."""
        self.thaw()
        with self.guard:
            for each in self.sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __enter__(self) -> Self:
        return self


class _Session(socketserver.StreamRequestHandler):
    server: Manager

    def handle(self) -> None:
        with self.server.guard:
            self.server.connections += 1
            self.server.sockets.add(self.request)
        self.logged_in = False
        with suppress(OSError):
            self._talk()
        with self.server.guard:
            self.server.logged_in -= self.logged_in
            self.server.connections -= 1
            self.server.sockets.discard(self.request)

    def _talk(self) -> None:
        self._say("Asterisk Call Manager/5.0.5\r\n")
        while action := self._asked():
            match action["Action"]:
                case "Challenge":
                    self._say(_response(action, "Success", "Challenge: 123456\r\n"))
                case "Login":
                    if not self._log_in(action):
                        return
                case "CoreStatus":
                    day, _, hour = self.server.started.partition(" ")
                    self._say(_response(action, "Success", f"CoreStartupDate: {day}\r\nCoreStartupTime: {hour}\r\n"))
                case "CoreShowChannels":
                    self._count("lists")
                    self._list(action, "CoreShowChannel", "CoreShowChannelsComplete", self._channels())
                case "SIPpeers":
                    self._count("phone_lists")
                    self._list(action, "PeerEntry", "PeerlistComplete", self._peers())
                case "DeviceStateList":
                    self._list(action, "DeviceStateChange", "DeviceStateListComplete", self._devices())
                case "Ping":
                    # counted first: whoever has the answer may look at the count at once
                    self._count("pings")
                    self._say(_response(action, "Success", "Ping: Pong\r\n"))
                case _:
                    return

    def _channels(self) -> list[str] | None:
        extensions = self.server.extensions
        if extensions is None:
            return None
        return [f"Channel: SIP/{at}\r\nExten: {exten}\r\n" for at, exten in enumerate(extensions)]

    def _peers(self) -> list[str] | None:
        peers = self.server.peers
        if peers is None:
            return None
        return [
            f"ObjectName: {name}\r\nDynamic: yes\r\nIPaddress: {HOST if there else '-none-'}\r\n"
            for name, there in peers.items()
        ]

    def _devices(self) -> list[str] | None:
        devices = self.server.devices
        return None if devices is None else [f"Device: {name}\r\nState: {each}\r\n" for name, each in devices.items()]

    def _list(self, action: dict[str, str], entry: str, end: str, entries: list[str] | None) -> None:
        if entries is None:
            self._say(_response(action, "Error", "Message: Permission denied\r\n"))
            return
        self._say(_response(action, "Success", "EventList: start\r\n"))
        of = f"ActionID: {action['ActionID']}\r\n"
        self._say("".join(f"Event: {entry}\r\n{of}{each}\r\n" for each in entries))
        self._say(f"Event: {end}\r\n{of}EventList: Complete\r\n\r\n")

    def _log_in(self, action: dict[str, str]) -> bool:
        self._count("logins")
        key = md5(f"123456{SECRET}".encode(), usedforsecurity=False).hexdigest()
        if self.server.one_login and self.server.logged_in:
            self._say(_response(action, "Error", "Message: Login Already In Use\r\n"))
            return False
        if (action["Username"], action["Key"]) != (USER, key):
            self._say(_response(action, "Error", "Message: Authentication failed\r\n"))
            return True
        self.logged_in = True
        self._count("logged_in")
        self._say(_response(action, "Success"))
        return True

    def _count(self, what: str) -> None:
        with self.server.guard:
            setattr(self.server, what, getattr(self.server, what) + 1)

    def _asked(self) -> dict[str, str]:
        """Read one action; empty: it hung up."""
        lines = list(iter(lambda: self.rfile.readline().decode().strip(), ""))
        return dict(line.split(": ", 1) for line in lines)

    def _say(self, text: str) -> None:
        self.server.wait_while_frozen()
        self.wfile.write(text.encode())


def _response(action: dict[str, str], kind: str, more: str = "") -> str:
    return f"Response: {kind}\r\nActionID: {action['ActionID']}\r\n{more}\r\n"
