"""A probe by the Asterisk Manager Interface (AMI): does a dialer's Asterisk still answer what it is asked?

A connection that is accepted proves nothing: the kernel accepts for a process that hangs. So the probe logs in and
sends `Ping`, which passes through Asterisk's accepting thread, a thread of the session's own, its accounts and its
table of actions. `CoreStatus` would prove no more, as it takes no lock either, and wants a permission; `Status` would
prove more, but waits for the lock of every channel while it holds up new ones, and a probe must do no harm. So an
account without a single permission is enough, and its secret opens nothing else:

    [hotdesk]
    secret = choose-a-password
    deny = 0.0.0.0/0.0.0.0
    permit = 192.0.2.10/255.255.255.255
    read =
    write =

The connection is kept between probes. That spares the dialer a session and lines of its log each second, and it keeps
the probe truthful: Asterisk lets five or so connections wait to be accepted, so one that hangs looks unreachable to
newcomers as soon as these places are taken, and VICIdial's own scripts take them within seconds. A connection that
fell silent is therefore never given up: the kernel's keepalive tells whether the host behind it still lives.

The login answers a challenge, so the secret itself does not travel. Read from Asterisk's public documentation of AMI.
"""

import asyncio
import hashlib
import itertools
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from collectors.probes.addresses import family_of
from messages.records import ProbeResult

AMI_PORT = 5038
LONGEST_LINE = 4096
"""Bytes. Asterisk 16 itself takes no longer ones than 1 kB."""
LONGEST_MESSAGE = 64 * 1024
"""Bytes of all lines up to an empty one."""
MOST_HEARD = 256 * 1024
"""Bytes one probe listens to before it takes what talks there for something else."""
MOST_LISTED = 16 * 1024 * 1024
"""Bytes of a list of peers: room for some 40,000 phones."""
CHUNK = 4096
BANNER = b"Asterisk Call Manager/"
DENIED_SECONDS = 30.0
"""How long a refused login stands before the next try. Asterisk logs each one, and guards ban who tries too often."""
DEAD_HOST_SECONDS = 2
"""A host that acknowledges nothing for so long ends a kept connection; it is checked each second."""

Message = dict[str, str]
"""A message's lines `Key: value`, keys in lower case; of a key that comes twice the first."""


class AmiError(Exception):
    """What a conversation cannot go on after; `str()` never holds a secret."""


class NotAmiError(AmiError):
    """What talks there is no Asterisk Manager Interface."""


class LoginDeniedError(AmiError):
    """User or secret is refused, or the address this host comes from."""


class AmiTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a dialer's AMI listens, and as whom to log in."""

    host: str
    """An IP address: a name would make the probe depend on a name server."""
    port: int = AMI_PORT
    user: str
    secret: str

    def __post_init__(self) -> None:
        family_of(self.host)
        for name, value in (("user", self.user), ("secret", self.secret)):
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"the AMI {name} holds a line break or a zero byte")

    def __repr__(self) -> str:
        return f"AmiTarget({self.host}:{self.port}, user={self.user!r})"


class AmiFraming:
    """Cuts what a manager sends into its banner and messages. Holds `LONGEST_MESSAGE` bytes at most."""

    def __init__(self) -> None:
        self.banner = ""
        """The first line; empty: not yet heard."""
        self._line = bytearray()
        self._message: Message = {}
        self._message_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes as they came, and give the messages they complete.

        Raises:
            NotAmiError: no banner, a line or a message longer than any of AMI's. It is of no more use then.
        """
        complete: list[Message] = []
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._extend(data[begin:end])
            begin = end + 1
            self._end_line(complete)
        self._extend(data[begin:])
        return complete

    def _extend(self, part: bytes) -> None:
        if len(self._line) + len(part) > LONGEST_LINE:
            raise NotAmiError(f"a line longer than {LONGEST_LINE} bytes")
        self._line += part
        if not self.banner and not BANNER.startswith(self._line[: len(BANNER)]):
            raise NotAmiError("it does not begin as AMI does")

    def _end_line(self, complete: list[Message]) -> None:
        line = self._line.removesuffix(b"\r").decode(errors="replace")
        self._message_bytes += len(self._line) + 1
        self._line.clear()
        if not self.banner:
            if len(line) < len(BANNER):
                raise NotAmiError("it does not begin as AMI does")
            self.banner, self._message_bytes = line, 0
            return
        if self._message_bytes > LONGEST_MESSAGE:
            raise NotAmiError(f"a message longer than {LONGEST_MESSAGE} bytes")
        if not line:
            if self._message:
                complete.append(self._message)
            self._message, self._message_bytes = {}, 0
            return
        # A line without a colon is a piece of some event's text: it is nothing that is waited for here.
        key, colon, value = line.partition(":")
        if colon:
            self._message.setdefault(key.strip().lower(), value.strip())


class AmiConversation:
    """What to say next on one connection, from the banner to each Ping. Pure: bytes in, bytes out."""

    def __init__(self, user: str, secret: str) -> None:
        self._user = user
        self._secret = secret
        self._framing = AmiFraming()
        self._numbers = itertools.count(1)
        self._waits_for = ""
        """The ActionID of what was asked; empty: nothing."""
        self._on_success: Callable[[Message], bytes] | None = None
        self.answered = False
        """Whether a Ping was answered since `ping` was last called."""
        self.logging_in = False
        """Whether a login was sent and not answered."""

    def __repr__(self) -> str:
        return f"AmiConversation(user={self._user!r})"

    def ping(self) -> bytes:
        """Ask for a sign of life, and give what to send for it.

        One that is still unanswered is waited for, so that whatever time one says nothing piles up at its door.
        """
        self.answered = False
        if self._waits_for or not self._framing.banner:
            return b""
        return self._ask("Ping", self._pong)

    def hear(self, data: bytes) -> bytes:
        """Take what came, and give what to send next.

        Raises:
            NotAmiError: it is no AMI.
            LoginDeniedError: the login is refused.
        """
        reply = b""
        greeted = bool(self._framing.banner)
        messages = self._framing.feed(data)
        if self._framing.banner and not greeted:
            reply = self._ask("Challenge", self._log_in, AuthType="MD5")
        for message in messages:
            # Asterisk may put events, and answers to nothing, between question and answer.
            if "response" in message and message.get("actionid") == self._waits_for != "":
                reply += self._answer(message)
        return reply

    def _answer(self, message: Message) -> bytes:
        on_success, self._on_success, self._waits_for = self._on_success, None, ""
        if on_success is None or message["response"].lower() == "success":
            return on_success(message) if on_success else b""
        if self.logging_in:
            raise LoginDeniedError(f"the login as {self._user!r} is refused")
        if on_success == self._pong:
            return self._pong(message)  # who says no to a Ping has read it
        raise NotAmiError("it knows no challenge")

    def _log_in(self, challenge: Message) -> bytes:
        self.logging_in = True
        return self._ask("Login", self._logged_in, **_login(challenge, self._user, self._secret))

    def _logged_in(self, _message: Message) -> bytes:
        self.logging_in = False
        return self._ask("Ping", self._pong)

    def _pong(self, _message: Message) -> bytes:
        self.answered = True
        return b""

    def _ask(self, action: str, on_success: Callable[[Message], bytes], **keys: str) -> bytes:
        self._waits_for = f"hotdesk-{next(self._numbers)}"
        self._on_success = on_success
        return _action(action, ActionID=self._waits_for, **keys)


def _action(action: str, **keys: str) -> bytes:
    lines = (f"Action: {action}", *(f"{key}: {value}" for key, value in keys.items()))
    return "\r\n".join((*lines, "", "")).encode()


def _login(challenge: Message, user: str, secret: str) -> Message:
    # AMI knows no other digest; it keeps the secret off the wire, and guards nothing that is stored.
    key = hashlib.md5((challenge.get("challenge", "") + secret).encode(), usedforsecurity=False)
    return {"AuthType": "MD5", "Username": user, "Key": key.hexdigest(), "Events": "off"}


LOGOFF = b"Action: Logoff\r\n\r\n"


class AmiProbe:
    """Probes one dialer's AMI, again and again, on a connection that it keeps. Belongs to one event loop."""

    def __init__(self, target: AmiTarget) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._conversation = AmiConversation(target.user, target.secret)
        self._denied_at: float | None = None

    async def probe(self, timeout_seconds: float) -> ProbeResult:
        """Tell what the port tells within that time; one call at a time.

        Raises:
            OSError: this host has no socket left, which says nothing about the dialer.
        """
        if self._denied_at is not None and time.monotonic() - self._denied_at < DENIED_SECONDS:
            return ProbeResult.DENIED
        try:
            async with asyncio.timeout(timeout_seconds):
                if self._socket is not None:
                    # Why a kept connection broke, a new one tells.
                    with suppress(OSError):
                        return await self._listen(self._socket)
                return await self._connect_and_listen()
        except TimeoutError:
            if self._socket is None:
                return ProbeResult.UNREACHABLE
            # Asterisk takes a second to refuse a login: meanwhile the last refusal stands.
            awaits_refusal = self._denied_at is not None and self._conversation.logging_in
            return ProbeResult.DENIED if awaits_refusal else ProbeResult.MUTE

    def close(self) -> None:
        """Say goodbye and hang up, without waiting. Idempotent."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send(LOGOFF)
            self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _connect_and_listen(self) -> ProbeResult:
        connection = _new_socket(self._target.host)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self._target.host, self._target.port))
        except (ConnectionRefusedError, ConnectionResetError):
            connection.close()
            return ProbeResult.REFUSED
        except OSError:
            connection.close()
            return ProbeResult.UNREACHABLE
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        self._conversation = AmiConversation(self._target.user, self._target.secret)
        try:
            return await self._listen(connection)
        except ConnectionResetError:
            return ProbeResult.REFUSED
        except OSError:
            return ProbeResult.MUTE

    async def _listen(self, connection: socket.socket) -> ProbeResult:
        """Ask, and listen until a verdict.

        Raises:
            OSError: the connection broke.
        """
        try:
            await self._hear_answer(connection)
        except NotAmiError:
            self._hang_up()
            return ProbeResult.MUTE
        except LoginDeniedError:
            self._hang_up()
            self._denied_at = time.monotonic()
            return ProbeResult.DENIED
        except OSError:
            self._hang_up()
            raise
        self._denied_at = None
        return ProbeResult.ALIVE

    async def _hear_answer(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        heard = 0
        await loop.sock_sendall(connection, self._conversation.ping())
        while not self._conversation.answered:
            data = await _receive(connection)
            if not data:
                raise ConnectionAbortedError("it hung up")
            heard += len(data)
            if heard > MOST_HEARD:
                raise NotAmiError(f"{heard} bytes and no answer among them")
            await loop.sock_sendall(connection, self._conversation.hear(data))
            await asyncio.sleep(0)  # who talks without end must not keep the loop from the others


async def probe_ami(host: str, port: int, user: str, secret: str, timeout_seconds: float) -> ProbeResult:
    """Probe once, on a connection of its own: connect, banner, login, Ping, logoff.

    Asterisk takes a second to refuse a login: within less, a wrong secret looks mute.

    Raises:
        ValueError: the host is no IP address, or user or secret hold a line break.
        OSError: this host has no socket left.
    """
    probe = AmiProbe(AmiTarget(host=host, port=port, user=user, secret=secret))
    try:
        return await probe.probe(timeout_seconds)
    finally:
        probe.close()


async def registered_peers(target: AmiTarget, timeout_seconds: float) -> dict[str, bool] | None:
    """Ask which of chan_sip's phones that register are registered, by extension; None: it did not say.

    The account needs the permission `reporting` (`write = reporting`): it can read with it, and change nothing.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            reader, writer = await asyncio.open_connection(target.host, target.port)
            try:
                return await _list_peers(reader, writer, target)
            finally:
                writer.close()
    except (OSError, TimeoutError, AmiError):
        return None


async def _list_peers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: AmiTarget
) -> dict[str, bool] | None:
    framing, peers = AmiFraming(), dict[str, bool]()
    asked, heard = "", 0
    while data := await reader.read(CHUNK):
        heard += len(data)
        if heard > MOST_LISTED:
            return None
        messages = framing.feed(data)
        if framing.banner and not asked:
            asked = _say(writer, "Challenge", AuthType="MD5")
        for message in messages:
            event, said = message.get("event", ""), message.get("response", "")
            if event == "PeerEntry" and message.get("dynamic") == "yes":
                address, status = message.get("ipaddress", "-none-"), message.get("status", "").upper()
                peers[message.get("objectname", "")] = address != "-none-" and not status.startswith("UNREACHABLE")
            elif event == "PeerlistComplete":
                writer.write(LOGOFF)
                return peers
            elif said and said.lower() != "success":
                return None
            elif said and asked == "Challenge":
                asked = _say(writer, "Login", **_login(message, target.user, target.secret))
            elif said and asked == "Login":
                asked = _say(writer, "SIPpeers")
    return None


def _say(writer: asyncio.StreamWriter, action: str, **keys: str) -> str:
    writer.write(_action(action, **keys))
    return action


async def _receive(connection: socket.socket) -> bytes:
    """Give what came, once something did.

    Unlike the loop's own `sock_recv` this takes nothing from the socket that a cancellation could lose: the next
    probe finds it there.
    """
    loop = asyncio.get_running_loop()
    while True:
        with suppress(BlockingIOError):
            return connection.recv(CHUNK)
        readable = asyncio.Event()
        loop.add_reader(connection, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(connection)


def _new_socket(host: str) -> socket.socket:
    made = socket.socket(family_of(host), socket.SOCK_STREAM)
    made.setblocking(False)
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_HOST_SECONDS * 1000),
    ):
        made.setsockopt(level, option, value)
    return made
