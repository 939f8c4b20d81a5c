"""Agents' phones, as VICIdial's scripts on the dialers handle them: called into a room, hung up, shown in the tables.

Those of this module are rows of the table and no more, so that each is in its room as soon as it is called;
`real_phones` has real ones.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pymysql.connections import Connection

JOIN = "INSERT INTO live_sip_channels (channel, server_ip, extension) VALUES (%s, %s, %s)"
LEAVE = "DELETE FROM live_sip_channels WHERE server_ip = %s AND extension = %s"


class PhoneCall(NamedTuple):
    """A phone, and the room of its agent's session."""

    server_ip: str
    phone: str
    """As Asterisk names it: SIP/1001."""
    room: str


class Phones(Protocol):
    """The phones of a cluster's agents."""

    def call(self, connection: Connection, calls: Sequence[PhoneCall]) -> None:
        """Call phones into their rooms."""

    def hang_up(self, connection: Connection, call: PhoneCall) -> None:
        """End the call of the phone in a room."""

    def show(self, connection: Connection, server_ip: str) -> None:
        """Write, as the updater does at each heartbeat, which phones are in which rooms of a dialer."""


class PhonesThatAnswer:
    """Phones without a dialer: each call is answered at once, and shown."""

    def call(self, connection: Connection, calls: Sequence[PhoneCall]) -> None:
        """Call phones into their rooms."""
        with connection.cursor() as cursor:
            cursor.executemany(JOIN, [(f"{each.phone}-{each.room}", each.server_ip, each.room) for each in calls])

    def hang_up(self, connection: Connection, call: PhoneCall) -> None:
        """End the call of the phone in a room."""
        with connection.cursor() as cursor:
            cursor.execute(LEAVE, (call.server_ip, call.room))

    def show(self, connection: Connection, server_ip: str) -> None:
        """Do nothing: all is shown."""
