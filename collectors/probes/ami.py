"""Probe a dialer by the Asterisk Manager Interface (AMI).

An accepted connection proves nothing: the kernel accepts for a process that hangs. So the probe logs in and sends
`Ping`, which passes through Asterisk's accepting thread, a thread of the session's own, its accounts and its table of
actions. `Status` would prove more, but waits for the lock of every channel while it delays new ones, and a probe must
do no harm. After each login `CoreStatus` is asked, until it says when Asterisk started: one that is still loading its
modules says 1970 or nothing. A new start means that every call and phone there is gone. While phones are awaited there,
`CoreShowChannels` is asked after each Ping: it says which rooms have somebody, when the updater that writes this into
the database is not back yet. Every 15 s the registered phones are listed, where no script writes them into the
database. All three need the permission `reporting`, which lets an account read and change nothing:

    [hotdesk]
    secret = choose-a-password
    deny = 0.0.0.0/0.0.0.0
    permit = 192.0.2.10/255.255.255.255
    read =
    write = reporting

An account without any permission is enough for the signs of life.

One connection does all of that: an account may be allowed no second one (`allowmultiplelogin = no`). It is kept between
probes. That spares the dialer a session and lines in its log each second, and it keeps
the result true: in Asterisk about five connections can wait to be accepted, so one that hangs looks unreachable to
new connections as soon as that queue is full, and VICIdial's own scripts fill it within seconds. A silent connection is
therefore never given up: the kernel's keepalive notices if the host behind it is gone.

The login answers a challenge, so the secret itself is not sent. Source: Asterisk's public documentation of AMI.
"""

import asyncio
import hashlib
import itertools
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

import msgspec

from collectors.probes.addresses import family_of
from collectors.probes.phone_lists import PhoneLists
from messages.records import ProbeResult
from messages.shown import one_line

AMI_PORT = 5038
LONGEST_LINE = 4096
"""Bytes. Asterisk 16 itself accepts no lines over 1 kB."""
LONGEST_MESSAGE = 64 * 1024
"""Bytes of all lines up to an empty one."""
MOST_READ = 256 * 1024
"""Most bytes that a probe reads without an answer; a server that sends more is not AMI."""
MOST_LISTED = 16 * 1024 * 1024
"""Most bytes of a list of peers: room for some 40,000 phones."""
CHUNK = 4096
BANNER = b"Asterisk Call Manager/"
IN_USE = "Login Already In Use"
"""The refusal of an Asterisk that allows an account one login at a time (`allowmultiplelogin = no`)."""
IN_USE_SECONDS = 10.0
"""Time until a login is tried again that was in use; Asterisk takes that for no attempt to break in."""
DENIED_SECONDS, DENIED_MOST_SECONDS = 60.0, 960.0
"""Time between a refused login and the next attempt: at first, and at most; it doubles with each refusal. Asterisk logs
each, and tools such as fail2ban ban a host with too many, which would silence the probes that work."""
DEAD_HOST_SECONDS = 2
"""A kept connection ends if its host acknowledges nothing for this long; it is checked each second."""

NOT_PERMITTED = "permission"
"""Asterisk's refusal of an action has this word where the account lacks the right to it."""
NOT_STARTED = "1970-01-02"
"""A day of its start up to here is that of an Asterisk that still loads its modules: its clock of starts is at zero,
which is a day earlier or later by its time zone."""

Message = dict[str, str]
"""A message's lines `Key: value`, with keys in lower case; of a key that comes twice, the first value."""


class AmiError(Exception):
    """The conversation cannot go on; `str()` never contains a secret."""


class NotAmiError(AmiError):
    """The server is not an Asterisk Manager Interface."""


class LoginDeniedError(AmiError):
    """The server refuses the user, the secret, or this host's address; or it allows an account one login at a time."""

    def __init__(self, user: str, refusal: str) -> None:
        super().__init__(f"the login as {user!r} is refused")
        self.refusal = refusal
        """The server's own words."""


class AmiTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a dialer's AMI, and the login."""

    host: str
    """An IP address: a name would make the probe depend on a name server."""
    port: int = AMI_PORT
    user: str
    secret: str

    def __post_init__(self) -> None:
        family_of(self.host)
        for name, value in (("user", self.user), ("secret", self.secret)):
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"the AMI {name} has a line break or a zero byte")

    def __repr__(self) -> str:
        return f"AmiTarget({self.host}:{self.port}, user={self.user!r})"


class AmiFraming:
    """Splits the manager's bytes into banner and messages. Buffers `LONGEST_MESSAGE` bytes at most."""

    def __init__(self) -> None:
        self.banner = ""
        """The first line; empty: not received yet."""
        self._line = bytearray()
        self._message: Message = {}
        self._message_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """Add received bytes, and return the messages that they complete.

        Raises:
            NotAmiError: no banner, or a line or a message longer than any of AMI's. The framing is useless then.
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
            raise NotAmiError("its first line is not that of AMI")

    def _end_line(self, complete: list[Message]) -> None:
        line = self._line.removesuffix(b"\r").decode(errors="replace")
        self._message_bytes += len(self._line) + 1
        self._line.clear()
        if not self.banner:
            if len(line) < len(BANNER):
                raise NotAmiError("its first line is not that of AMI")
            self.banner, self._message_bytes = line, 0
            return
        if self._message_bytes > LONGEST_MESSAGE:
            raise NotAmiError(f"a message longer than {LONGEST_MESSAGE} bytes")
        if not line:
            if self._message:
                complete.append(self._message)
            self._message, self._message_bytes = {}, 0
            return
        # A line without a colon is part of some event's text, which is not needed here.
        key, colon, value = line.partition(":")
        if colon:
            self._message.setdefault(key.strip().lower(), value.strip())


class AmiConversation:
    """The protocol on one connection, from the banner to each Ping. Pure: bytes in, bytes out."""

    def __init__(self, user: str, secret: str) -> None:
        self._user = user
        self._secret = secret
        self._framing = AmiFraming()
        self._numbers = itertools.count(1)
        self._waits_for = ""
        """The ActionID of the unanswered action; empty: none."""
        self._on_success: Callable[[Message], bytes] | None = None
        self.answered = False
        """A Ping was answered since the last call of `ping`."""
        self.logging_in = False
        """A login was sent and is not answered yet."""
        self._logged_in_once = False
        self.started = ""
        """When Asterisk started, by its own words and clock; empty: it has not said."""
        self._asks_start = True
        """It is to be asked for its start; False: it has said, or this account may not ask."""
        self.lists = False
        """Channels are to be listed too. A list is read with the next Ping, so that none waits for it."""
        self.extensions: frozenset[str] | None = None
        """The extensions at which there were channels, by the latest list; None: there is none."""
        self._list_id = ""
        self._listed: set[str] = set()
        self._phones = PhoneLists()
        self._phones_id = ""
        """The ActionID of the list of phones under way; empty: none is."""

    def __repr__(self) -> str:
        return f"AmiConversation(user={self._user!r})"

    def ping(self) -> bytes:
        """Return the bytes that ask for a sign of life.

        While the last Ping is unanswered none is sent, so that requests do not pile up at a server that hangs.
        """
        self.answered = False
        if self._waits_for or not self._framing.banner:
            return b""
        return self._ask_start() if self._asks_start else self._ask("Ping", self._pong)

    @property
    def registered(self) -> Mapping[str, bool] | None:
        """Which phones are registered, by station, as last listed; None: not listed yet, or not to this account."""
        return self._phones.registered

    @property
    def lists_phones(self) -> bool:
        """A list of phones is under way."""
        return bool(self._phones_id)

    def list_phones(self) -> bytes:
        """Return the bytes that ask which phones are registered; none before the login, or while a list comes in."""
        if self._phones_id or not self._logged_in_once:
            return b""
        self._phones.begin()
        return self._ask_phones()

    def receive(self, data: bytes) -> bytes:
        """Process received bytes, and return the bytes to send next.

        Raises:
            NotAmiError: the server is not AMI.
            LoginDeniedError: the login is refused.
        """
        reply = b""
        greeted = bool(self._framing.banner)
        messages = self._framing.feed(data)
        if self._framing.banner and not greeted:
            reply = self._ask("Challenge", self._log_in, AuthType="MD5")
        for message in messages:
            # Asterisk may send events, and answers to no action, between an action and its answer.
            if "response" in message and message.get("actionid") == self._waits_for != "":
                reply += self._answer(message)
            elif message.get("actionid") == self._list_id != "":
                self._read_list(message)
            elif message.get("actionid") == self._phones_id != "" and self._phones.read(message):
                reply += self._ask_phones()
        return reply

    def _ask_phones(self) -> bytes:
        action = self._phones.under_way
        self._phones_id = f"hotdesk-{next(self._numbers)}" if action else ""
        return encoded(action, ActionID=self._phones_id) if action else b""

    def _read_list(self, message: Message) -> None:
        if message.get("event") == "CoreShowChannel":
            self._listed.add(message.get("exten", ""))
        elif message.get("event") == "CoreShowChannelsComplete":
            self.extensions = frozenset(self._listed)

    def _answer(self, message: Message) -> bytes:
        on_success, self._on_success, self._waits_for = self._on_success, None, ""
        if on_success is None or message["response"].lower() == "success":
            return on_success(message) if on_success else b""
        if self.logging_in:
            raise LoginDeniedError(self._user, one_line(message.get("message", "")))
        if on_success == self._pong:
            return self._pong(message)  # a server that refuses a Ping has read it
        if on_success == self._status:
            # an account that may not ask is not asked again, since Asterisk logs each attempt; any other error passes
            self._asks_start = NOT_PERMITTED not in message.get("message", "").lower()
            return self._ask("Ping", self._pong)
        if on_success == self._list_begins:
            self.extensions = None
            return self._ask("Ping", self._pong)
        raise NotAmiError("it refuses a challenge")

    def _log_in(self, challenge: Message) -> bytes:
        self.logging_in = True
        return self._ask("Login", self._logged_in, **login_keys(challenge, self._user, self._secret))

    def _logged_in(self, _message: Message) -> bytes:
        self.logging_in, self._logged_in_once = False, True
        return self._ask_start()

    def _ask_start(self) -> bytes:
        return self._ask("CoreStatus", self._status)

    def _status(self, message: Message) -> bytes:
        day = message.get("corestartupdate", "")
        if day > NOT_STARTED:
            self.started = f"{day} {message.get('corestartuptime', '')}".strip()
            self._asks_start = False
        return self._ask("Ping", self._pong)

    def _pong(self, _message: Message) -> bytes:
        again, self.answered = self.answered, True
        if not self.lists:
            self.extensions = None
            return b""
        return b"" if again else self._ask("CoreShowChannels", self._list_begins)

    def _list_begins(self, message: Message) -> bytes:
        self._list_id, self._listed = message.get("actionid", ""), set()
        return self._ask("Ping", self._pong)

    def _ask(self, action: str, on_success: Callable[[Message], bytes], **keys: str) -> bytes:
        self._waits_for = f"hotdesk-{next(self._numbers)}"
        self._on_success = on_success
        return encoded(action, ActionID=self._waits_for, **keys)


def encoded(action: str, **keys: str) -> bytes:
    """Return an action as it is sent."""
    lines = (f"Action: {action}", *(f"{key}: {value}" for key, value in keys.items()))
    return "\r\n".join((*lines, "", "")).encode()


def login_keys(challenge: Message, user: str, secret: str) -> Message:
    """Return the keys of a `Login` that answers a challenge."""
    # AMI has no other digest; it keeps the secret off the wire, and protects nothing that is stored.
    key = hashlib.md5((challenge.get("challenge", "") + secret).encode(), usedforsecurity=False)
    return {"AuthType": "MD5", "Username": user, "Key": key.hexdigest(), "Events": "off"}


LOGOFF = b"Action: Logoff\r\n\r\n"


def denied_seconds(denials: int) -> float:
    """Return how long no login is tried after so many refused ones in a row."""
    return min(DENIED_SECONDS * 2.0 ** (denials - 1), DENIED_MOST_SECONDS)


class AmiProbe:
    """Probes one dialer's AMI again and again, on a connection that it keeps. Belongs to one event loop."""

    def __init__(self, target: AmiTarget) -> None:
        self._target = target
        self._socket: socket.socket | None = None
        self._conversation = AmiConversation(target.user, target.secret)
        self.lists = False
        """Channels are to be listed too."""
        self.refusal = ""
        """The server's words about the last refused login; empty: none was refused since the last that was not."""
        self._denied_at: float | None = None
        self._denials = 0
        """Refused logins in a row."""

    @property
    def started(self) -> str:
        """When Asterisk started, by its own words and clock; empty: not known on this connection."""
        return self._conversation.started

    @property
    def extensions(self) -> frozenset[str] | None:
        """The extensions at which there are channels; None: not listed, or not known."""
        return self._conversation.extensions

    @property
    def registered(self) -> Mapping[str, bool] | None:
        """Which phones are registered, by station, as last listed on this connection; None: not known."""
        return self._conversation.registered

    async def probe(self, timeout_seconds: float) -> ProbeResult:
        """Return the result of one probe within the time limit; one call at a time.

        Raises:
            OSError: this host has no socket left, which is no result about the dialer.
        """
        wait_seconds = IN_USE_SECONDS if self.refusal == IN_USE else denied_seconds(self._denials)
        if self._denied_at is not None and time.monotonic() - self._denied_at < wait_seconds:
            return ProbeResult.DENIED
        try:
            async with asyncio.timeout(timeout_seconds):
                if self._socket is not None:
                    # If the kept connection broke, a new one shows why.
                    with suppress(OSError):
                        return await self._ping(self._socket)
                return await self._connect_and_ping()
        except TimeoutError:
            if self._socket is None:
                return ProbeResult.UNREACHABLE
            # Asterisk takes a second to refuse a login: until then the last refusal counts.
            awaits_refusal = self._denied_at is not None and self._conversation.logging_in
            return ProbeResult.DENIED if awaits_refusal else ProbeResult.MUTE

    def close(self) -> None:
        """Send a logoff and close the connection, without waiting. Idempotent."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send(LOGOFF)
            self._disconnect()

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _connect_and_ping(self) -> ProbeResult:
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
            return await self._ping(connection)
        except ConnectionResetError:
            return ProbeResult.REFUSED
        except OSError:
            return ProbeResult.MUTE

    async def _ping(self, connection: socket.socket) -> ProbeResult:
        """Send a Ping, and wait for a result.

        Raises:
            OSError: the connection broke.
        """
        try:
            await self._receive_answer(connection)
        except NotAmiError:
            self._disconnect()
            return ProbeResult.MUTE
        except LoginDeniedError as error:
            self._disconnect()
            self._denied_at, self.refusal = time.monotonic(), error.refusal
            self._denials = 0 if error.refusal == IN_USE else self._denials + 1
            return ProbeResult.DENIED
        except OSError:
            self._disconnect()
            raise
        self._denied_at, self._denials, self.refusal = None, 0, ""
        return ProbeResult.ALIVE

    async def list_phones(self, timeout_seconds: float) -> bool:
        """List the registered phones on the kept connection, within the time limit; False: there is none.

        What is left of a longer list the next probe reads, since its own answer comes after that.
        """
        connection, conversation = self._socket, self._conversation
        if connection is None:
            return False
        try:
            async with asyncio.timeout(timeout_seconds):
                question = conversation.list_phones()
                await self._receive_until(connection, question, lambda: not conversation.lists_phones, MOST_LISTED)
        except TimeoutError:
            return True  # it is an OSError, too
        except (OSError, AmiError):
            self._disconnect()
        return True

    async def _receive_answer(self, connection: socket.socket) -> None:
        conversation = self._conversation
        conversation.lists = self.lists
        most = MOST_LISTED if self.lists or conversation.lists_phones else MOST_READ
        await self._receive_until(connection, conversation.ping(), lambda: conversation.answered, most)

    async def _receive_until(
        self, connection: socket.socket, question: bytes, done: Callable[[], bool], most: int
    ) -> None:
        loop = asyncio.get_running_loop()
        received = 0
        await loop.sock_sendall(connection, question)
        while not done():
            data = await _receive(connection)
            if not data:
                raise ConnectionAbortedError("the server closed the connection")
            received += len(data)
            if received > most:
                raise NotAmiError(f"{received} bytes without an answer")
            await loop.sock_sendall(connection, self._conversation.receive(data))
            await asyncio.sleep(0)  # a server that sends without end must not keep the loop from other probes


class Answer(NamedTuple):
    """The outcome of one probe on a connection of its own."""

    result: ProbeResult
    refusal: str
    """The server's words, if it refused the login."""


async def probe_ami(target: AmiTarget, timeout_seconds: float) -> Answer:
    """Return the outcome of one probe, on a connection of its own: connect, banner, login, Ping, logoff.

    Asterisk takes a second to refuse a login: with a shorter limit, a wrong secret looks mute.

    Raises:
        OSError: this host has no socket left.
    """
    probe = AmiProbe(target)
    try:
        return Answer(await probe.probe(timeout_seconds), probe.refusal)
    finally:
        probe.close()


async def _receive(connection: socket.socket) -> bytes:
    """Return received bytes, once there are any.

    Unlike the loop's own `sock_recv` it reads no bytes that a cancellation could lose: the next probe finds them in
    the socket.
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
