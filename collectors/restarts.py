"""Restarts: which dialers' Asterisk has started again, or may have. Pure.

Note [An Asterisk that started again unseen]. An updater ends with its Asterisk, and cron starts it again within a
minute. Without AMI nothing says which of the two ended: but an Asterisk takes all of its phones with it, and an updater
takes none. While an updater is silent its rows show whose phones were in their rooms when it wrote last. Once it is
back these are looked for. If nearly all of several are missing, and stay so, its Asterisk has started again.
"""

from collections.abc import Mapping
from typing import NamedTuple

from collectors.heartbeats import Heartbeats
from collectors.phones_in_rooms import PhonesInRooms
from messages.records import ServerIp

LEAST_GONE, SHARE_GONE, LEFT_LAST = 2, 0.75, 0.5
"""So many phones are gone with an Asterisk: this share of the agents who are there, and the last of those who were
there before the silence, since some help themselves meanwhile. Fewer hung up."""


class _Review(NamedTuple):
    """A silence of a dialer's updater, and the search for its phones after it."""

    silent_since_ms: int
    """When the updater was last seen before it was away."""
    were_there: frozenset[int] = frozenset()
    """The sessions whose phone was in its room then."""
    is_back: bool = False


class Restarts:
    """The starts of one epoch, as AMI says them; where it says nothing, as the phones show them."""

    def __init__(self) -> None:
        self._started: dict[ServerIp, str] = {}
        self._reviews: dict[ServerIp, _Review] = {}
        self._after_ms: dict[ServerIp, int] = {}

    def after_ms(self, server_ip: ServerIp) -> int | None:
        """Return when a dialer was last seen before its Asterisk started again, by its phones; None: it did not."""
        return self._after_ms.get(server_ip)

    def watch(
        self, now_ms: int, started: Mapping[ServerIp, str], heartbeats: Heartbeats, phones: PhonesInRooms
    ) -> None:
        """Begin to look again for the phones of each dialer whose Asterisk is another one than before, or may be.

        Args:
            now_ms: the log's time.
            started: when each Asterisk started, as AMI has just said. Of the first of an epoch it cannot be known since
                when it runs.
            heartbeats: of this poll.
            phones: as they were last looked at.
        """
        phones.look_again(now_ms, frozenset(ip for ip, at in started.items() if self._started.get(ip) != at))
        self._started |= started
        for server_ip, since_ms in heartbeats.silent_since_ms.items():
            review = self._reviews.get(server_ip)
            if server_ip not in started and (review is None or review.is_back):
                self._reviews[server_ip] = (review or _Review(since_ms))._replace(is_back=False)
                phones.look_back(server_ip)
        for server_ip, review in list(self._reviews.items()):
            if server_ip in started or heartbeats.of(server_ip) is None:
                del self._reviews[server_ip]  # AMI knows it, or its row is gone
                phones.were_there(server_ip)
            elif not review.is_back and heartbeats.beats(server_ip):
                were_there = review.were_there | phones.were_there(server_ip)
                self._reviews[server_ip] = review._replace(were_there=were_there, is_back=True)
                phones.look_for(now_ms, were_there)
            elif review.is_back:
                self._conclude(now_ms, server_ip, review, phones)

    def _conclude(self, now_ms: int, server_ip: ServerIp, review: _Review, phones: PhonesInRooms) -> None:
        """Conclude from what was found of a dialer's phones, once it can be."""
        found = phones.sought(server_ip, review.were_there, review.silent_since_ms)
        several = len(found.missed) + len(found.waiting) + found.there
        least = max(LEAST_GONE, SHARE_GONE * several, LEFT_LAST * len(review.were_there))
        if len(found.gone) >= least:
            self._after_ms[server_ip] = review.silent_since_ms
            phones.look_for_all(now_ms, server_ip)
            del self._reviews[server_ip]
        elif not found.waiting and len(found.missed) < least:
            del self._reviews[server_ip]
