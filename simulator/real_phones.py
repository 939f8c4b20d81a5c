"""Real phones on real Asterisks: called as VICIdial's sender does it, and shown as its updater does."""

import contextlib
from collections.abc import Mapping, Sequence

from pymysql.connections import Connection

from simulator.asterisk import Asterisk, AsteriskError
from simulator.asterisk_manager import AsteriskManager, Channel
from simulator.phones import JOIN, PhoneCall

_CLEAR = "DELETE FROM live_sip_channels WHERE server_ip = %s"


class RealPhones:
    """The phones of agents whose dialers are real; a dialer that does not answer calls nobody, and shows what it did.

    Args:
        dialers: by `server_ip`.
    """

    def __init__(self, dialers: Mapping[str, Asterisk]) -> None:
        self._managers = {server_ip: AsteriskManager(dialer) for server_ip, dialer in dialers.items()}
        self._shown: dict[str, list[Channel]] = {}

    def call(self, _connection: Connection, calls: Sequence[PhoneCall]) -> None:
        """Call phones into their rooms."""
        for each in calls:
            with contextlib.suppress(AsteriskError):
                self._managers[each.server_ip].call(each.phone, each.room)

    def hang_up(self, _connection: Connection, call: PhoneCall) -> None:
        """End the call of the phone in a room, and all others there."""
        with contextlib.suppress(AsteriskError):
            self._managers[call.server_ip].empty_room(call.room)

    def show(self, connection: Connection, server_ip: str) -> None:
        """Write which channels the dialer has, and where."""
        try:
            channels = self._managers[server_ip].channels()
        except AsteriskError:
            return
        if channels == self._shown.get(server_ip):
            return
        with connection.cursor() as cursor:
            cursor.execute(_CLEAR, (server_ip,))
            cursor.executemany(JOIN, [(each.name, server_ip, each.extension) for each in channels])
        self._shown[server_ip] = channels
