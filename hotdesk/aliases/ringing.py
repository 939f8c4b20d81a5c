"""Calling a desk's phone from one dialer, as VICIdial does after a login: by AMI, with a short tone in place of a room.

Asterisk answers `Originate` once the phone has answered, or has not in time. Source: Asterisk's public documentation of
AMI. The account needs the permission `originate`, which the probes' account has no use for.
"""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from collectors.probes.ami import CHUNK, LOGOFF, AmiError, AmiFraming, AmiTarget, Message, encoded, login_keys
from messages.shown import one_line

RING_SECONDS = 15.0
"""How long the phone rings."""
LOGIN_SECONDS = 5.0
TONE = "beep"
"""A sound of Asterisk's own."""
DENIED = "permission denied"
STATION = re.compile(r"\w+/[-.+*#@\w]+")
"""A station that can be called: its extension comes from a table, and must not end the line."""


class Rung(NamedTuple):
    """The outcome of one call."""

    answered: bool
    said: str = ""
    """Why it was not answered."""


def ring(target: AmiTarget, station: str) -> Rung:
    """Return whether a phone answered a call from a dialer, within some twenty seconds.

    Args:
        target: the dialer's AMI, and an account that may originate.
        station: what Asterisk calls the phone, such as SIP/1001.
    """
    if not STATION.fullmatch(station):
        return Rung(answered=False, said=f"{one_line(station)!r} is no station that Asterisk could call")
    try:
        with socket.create_connection((target.host, target.port), timeout=LOGIN_SECONDS) as connection:
            return _call(_Session(connection), target, station)
    except (OSError, AmiError) as error:
        return Rung(answered=False, said=f"its AMI at {target.host}:{target.port} does not answer: {one_line(error)}")


def _call(session: "_Session", target: AmiTarget, station: str) -> Rung:
    challenge = session.ask(LOGIN_SECONDS, "Challenge", AuthType="MD5")
    login = session.ask(LOGIN_SECONDS, "Login", **login_keys(challenge, target.user, target.secret))
    if not _is_success(login):
        return Rung(answered=False, said=f"the login as {target.user!r} is refused: {_message(login)}")
    answer = session.ask(
        RING_SECONDS + LOGIN_SECONDS,
        "Originate",
        Channel=station,
        Application="Playback",
        Data=TONE,
        CallerID="hotdesk",
        Timeout=str(round(RING_SECONDS * 1000)),
    )
    session.leave()
    if _is_success(answer):
        return Rung(answered=True)
    if DENIED in _message(answer).lower():
        how = f"the account {target.user!r} may not call: it needs the permission originate, for this alone"
        return Rung(answered=False, said=how)
    return Rung(answered=False, said=f"it did not answer ({_message(answer)})")


def _is_success(message: Message) -> bool:
    return message.get("response", "").lower() == "success"


def _message(message: Message) -> str:
    return one_line(message.get("message", "no reason given"))


class _Session:
    """One connection to a manager."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._framing = AmiFraming()
        self._count = 0

    def ask(self, seconds: float, action: str, **keys: str) -> Message:
        """Send an action, and return its answer.

        Raises:
            OSError, AmiError: there is none in time.
        """
        self._count += 1
        action_id = f"hotdesk-{self._count}"
        self._connection.settimeout(seconds)
        self._connection.sendall(encoded(action, ActionID=action_id, **keys))
        for message in self._messages(time.monotonic() + seconds):
            if "response" in message and message.get("actionid") == action_id:
                return message
        raise AmiError("the connection was closed")

    def leave(self) -> None:
        """Send a logoff."""
        with suppress(OSError):
            self._connection.sendall(LOGOFF)

    def _messages(self, deadline: float) -> Iterator[Message]:
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("its answer came too slowly")
            self._connection.settimeout(left)
            data = self._connection.recv(CHUNK)
            if not data:
                return
            yield from self._framing.feed(data)
