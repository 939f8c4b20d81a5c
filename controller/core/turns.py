"""Turns: where logins whose slots count nowhere were sent, until their sessions show. Pure.

Such a login has a slot like any other, but what is promised of login forms keeps it out of all loads: see Note [Before
a password is checked] in `controller.core.weights`. A herd of them would then land on one dialer, beyond its rooms. So
those that have the same dialers to choose from count for one another, and for nothing else: whoever takes a turn is
spread as the others are, and whoever names fewer dialers counts for those who name the same ones.

This is memory of the process that picks. It stands in no record, and what is folded does not depend on it.
"""

from collections import Counter
from typing import NamedTuple

from messages.records import ServerIp

SHOWS_MS = 2_000
"""A login shows in the counts within a second or two."""


class _Turn(NamedTuple):
    among: frozenset[ServerIp]
    server_ip: ServerIp
    at_ms: int


class Turns:
    """The turns that logins of one cluster took, at most one for each user."""

    def __init__(self) -> None:
        self._of_user: dict[str, _Turn] = {}
        """The earliest first."""
        self._sent: dict[frozenset[ServerIp], Counter[ServerIp]] = {}
        self._number = 0

    def number(self) -> int:
        """Return how many logins took turns since the last poll, and count one more."""
        self._number += 1
        return self._number - 1

    def sent(self, among: frozenset[ServerIp], server_ip: ServerIp) -> int:
        """Return how many logins with these dialers to choose from were sent to one of them."""
        return self._sent[among][server_ip] if among in self._sent else 0

    def take(self, user: str, among: frozenset[ServerIp], server_ip: ServerIp, now_ms: int) -> None:
        """Count a user's login, in place of an earlier one."""
        self.end(user)
        self._of_user[user.lower()] = _Turn(among, server_ip, now_ms)
        self._sent.setdefault(among, Counter())[server_ip] += 1

    def end(self, user: str) -> None:
        """Forget a user's login: it shows, or is made anew."""
        turn = self._of_user.pop(user.lower(), None)
        if turn is None:
            return
        sent = self._sent[turn.among]
        sent[turn.server_ip] -= 1
        if not sent[turn.server_ip]:
            del sent[turn.server_ip]
        if not sent:
            del self._sent[turn.among]

    def expire(self, now_ms: int) -> None:
        """Forget the logins that show by now, or came to nothing."""
        self._number = 0
        while self._of_user and next(iter(self._of_user.values())).at_ms + SHOWS_MS <= now_ms:
            self.end(next(iter(self._of_user)))
