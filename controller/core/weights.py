"""Weights: how far slots of login forms count where the next login goes. Pure.

Note [Before a password is checked]: VICIdial's page asks for a pick before it has looked at the password, so a slot
may be anybody's. It closes no dialer, prevents no move and groups no campaign: only sessions and slots of moves do. All
that it may do is to keep a herd of logins apart until their sessions show, and that within bounds:

- a slot weighs for the time that a login takes to show, and not at all where whoever asked chose the dialer, where
  VICIdial has no such user, or where the user's session counts already, as none does on a dialer that is down
  (`weighs` of the slot);
- few slots of one visitor weigh on a dialer for others; the visitor's own logins see them all, so that the agents of
  one office spread, and one visitor cannot steer the rest;
- nothing of a visitor weighs of whose slots many came to nothing.
"""

from collections import Counter

from messages.records import LoginSlot, ServerIp

WEIGHS_MS = 5_000
"""A login shows in the counts within a second or two: a slot older than this weighs no more."""
JUDGED_MS = 10_000
"""A slot came to nothing if no login shows for this long, or earlier if one does that asked `WEIGHS_MS` later: where
the web server or the database is slow, every login takes its time, and none of them is misuse."""
SHARE_OF_VISITOR = 2
"""How many slots of one visitor weigh on a dialer for the logins of others."""
UNUSED_BORNE = 20
"""How many slots of one visitor may have come to nothing at a time: a shift of 500 has some wrong passwords."""


class Weights:
    """The weights of the slots of one cluster."""

    def __init__(self) -> None:
        self._fresh: dict[str, Counter[ServerIp]] = {}
        """By visitor: the slots that a login may still come of."""
        self._unused: Counter[str] = Counter()
        """By visitor: the slots that came to nothing, and still stand."""
        self._shares: Counter[ServerIp] = Counter()
        """The sum of all visitors' shares."""

    def on(self, server_ip: ServerIp, visitor: str) -> int:
        """Return the weight of all slots on a dialer for a login of a visitor."""
        own = self._fresh[visitor][server_ip] if visitor in self._fresh else 0
        shares = self._shares.get(server_ip, 0)
        return shares - _share(own) + own if own and self.is_credited(visitor) else shares

    def is_credited(self, visitor: str) -> bool:
        """Return True unless too many slots of a visitor came to nothing."""
        return self._unused.get(visitor, 0) <= UNUSED_BORNE

    def add(self, slot: LoginSlot) -> None:
        """Add a slot."""
        self._change(slot, 1)

    def remove(self, slot: LoginSlot) -> None:
        """Remove a slot that weighs: it has ended, or stands for too long."""
        self._change(slot, -1)

    def give_up(self, slot: LoginSlot) -> None:
        """Count a slot that weighs no more as unused: it came to nothing."""
        self._weigh_all(slot.visitor, 1)

    def forget(self, slot: LoginSlot) -> None:
        """Count an unused slot no more: it has ended."""
        self._weigh_all(slot.visitor, -1)

    def _change(self, slot: LoginSlot, by: int) -> None:
        of_visitor = self._fresh.setdefault(slot.visitor, Counter())
        before = of_visitor[slot.server_ip]
        of_visitor[slot.server_ip] = before + by
        if self.is_credited(slot.visitor):
            self._shares[slot.server_ip] += _share(before + by) - _share(before)
        if not of_visitor[slot.server_ip]:
            del of_visitor[slot.server_ip]
        if not of_visitor:
            del self._fresh[slot.visitor]

    def _weigh_all(self, visitor: str, unused: int) -> None:
        """Count `unused` slots more of a visitor, and take all of the visitor's shares out, or back in."""
        before = self.is_credited(visitor)
        self._unused[visitor] += unused
        if not self._unused[visitor]:
            del self._unused[visitor]
        turned = self.is_credited(visitor) - before
        if turned:
            for server_ip, count in self._fresh.get(visitor, {}).items():
                self._shares[server_ip] += turned * _share(count)


def _share(count: int) -> int:
    return min(count, SHARE_OF_VISITOR)
