"""A dialer's manager (AMI) as VICIdial's own scripts use it: phones are called by it, and it knows who is in a room.

Each question has a connection of its own, so that a dialer which was killed, hung or restarted in between leaves
nothing behind here.
"""

import contextlib
import socket
from collections.abc import Iterator
from typing import NamedTuple

from collectors.probes.ami import LOGOFF, AmiError, AmiFraming, Message
from simulator.asterisk import AMI_SECRET, ROOMS_CONTEXT, SENDER_USER, Asterisk, AsteriskError

ANSWER_SECONDS = 1.0
"""A dialer that hangs costs its callers no more than this."""
CHUNK = 64 * 1024


class Channel(NamedTuple):
    """A channel of Asterisk's."""

    name: str
    extension: str
    """Where in the dialplan it is: the room, once a phone has answered."""


class AsteriskManager:
    """Asks one dialer's Asterisk. Several threads may use it."""

    def __init__(self, dialer: Asterisk) -> None:
        self._address = (dialer.host, dialer.ami_port)

    def call(self, phone: str, room: str) -> None:
        """Call a phone into a room, without waiting for its answer.

        Raises:
            AsteriskError: the dialer does not answer.
        """
        self._ask("Originate", Channel=phone, Context=ROOMS_CONTEXT, Exten=room, Priority="1", Async="true")

    def channels(self) -> list[Channel]:
        """Return all channels.

        Raises:
            AsteriskError: the dialer does not answer.
        """
        listed = self._ask("CoreShowChannels", until="CoreShowChannelsComplete")
        return [Channel(each["channel"], each.get("exten", "")) for each in listed]

    def in_room(self, room: str) -> list[str]:
        """Return the names of the channels that are in a conference room.

        Raises:
            AsteriskError: the dialer does not answer.
        """
        listed = self._ask("ConfbridgeList", until="ConfbridgeListComplete", Conference=room)
        return [each["channel"] for each in listed]

    def empty_room(self, room: str) -> None:
        """Hang up all that are in a conference room.

        Raises:
            AsteriskError: the dialer does not answer.
        """
        self._ask("ConfbridgeKick", Conference=room, Channel="all")

    def _ask(self, action: str, until: str = "", **keys: str) -> list[Message]:
        """Return the events of a list that ends with the event `until`; none if there is no list."""
        try:
            with socket.create_connection(self._address, timeout=ANSWER_SECONDS) as connection:
                answers = _answers(connection)
                _send(connection, "Login", Username=SENDER_USER, Secret=AMI_SECRET, Events="off")
                next(answers)
                _send(connection, action, **keys)
                answer, listed = next(answers), list[Message]()
                if until and answer.get("response", "").lower() == "success":
                    while (event := next(answers)).get("event") != until:
                        listed.append(event)
                with contextlib.suppress(OSError):
                    connection.sendall(LOGOFF)
                return listed
        except (OSError, AmiError, StopIteration) as error:
            raise AsteriskError(f"the manager at {self._address[0]} does not answer {action}: {error}") from error


def _send(connection: socket.socket, action: str, **keys: str) -> None:
    lines = (f"Action: {action}", *(f"{key}: {value}" for key, value in keys.items()))
    connection.sendall("\r\n".join((*lines, "", "")).encode())


def _answers(connection: socket.socket) -> Iterator[Message]:
    framing = AmiFraming()
    while data := connection.recv(CHUNK):
        yield from framing.feed(data)
