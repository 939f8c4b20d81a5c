"""Restarts: which dialers' Asterisk has started again, or may have. Pure."""

from collections.abc import Mapping

from collectors.phones_in_rooms import PhonesInRooms
from messages.records import ServerIp


class Restarts:
    """The starts of one epoch, as AMI says them. Where it says none, the phones show what an updater was away for."""

    def __init__(self) -> None:
        self._started: dict[ServerIp, str] = {}

    def watch(
        self, now_ms: int, started: Mapping[ServerIp, str], back: Mapping[ServerIp, int], phones: PhonesInRooms
    ) -> None:
        """Begin to look again for the phones of each dialer whose Asterisk is another one than before, or may be.

        Args:
            now_ms: the log's time.
            started: when each Asterisk started, as AMI says. Of the first of an epoch it cannot be known since when
                it runs.
            back: the dialers whose updater is back, and when it was last seen before.
            phones: those of the sessions.
        """
        phones.look_again(now_ms, frozenset(ip for ip, at in started.items() if self._started.get(ip) != at))
        self._started |= started
        for server_ip, silent_since_ms in back.items():
            if server_ip not in self._started:  # else AMI says it, and sooner
                phones.review(now_ms, server_ip, silent_since_ms)
