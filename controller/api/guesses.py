"""Guessing at tokens is slow, for each address, and is logged without a flood.

A token has 16 characters at least, so guessing is hopeless where they were chosen by chance; this is for those that a
person made up. What an address tries beyond a few is answered late, and what it tries beside that not at all: until
then a right token that is new there is not looked at either, or it could hang up on every answer that does not come at
once. A token that was right there of late is: or whoever shares an address with the web servers could shut them out.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

import structlog

from controller.api.rate_limits import Limit, Rate

FREE = Rate(per_second=1 / 6, at_once=10)
"""Wrong tokens of one address that are answered at once."""
LATE_SECONDS = 0.25
LATE_AT_ONCE = 10
"""Late answers of one address that may be under way: so it has forty tries a second."""
LATE_IN_ALL = 500
"""Of all addresses: each holds a connection."""
RIGHT_SECONDS = 3600.0
"""Time for which a token that was right is looked at, however much its address guesses."""
MOST_RIGHT = 10_000
"""Of all addresses; the one that was shown longest ago is forgotten first."""
LINES = Rate(per_second=1 / 60, at_once=1)
"""Lines of the log about one address."""
LINES_IN_ALL = Rate(per_second=1, at_once=60)

log = structlog.get_logger()


class Guesses:
    """The wrong and the right tokens of late, by address. It belongs to the API's event loop."""

    def __init__(self) -> None:
        self._free = Limit(FREE)
        self._late: Counter[str] = Counter()
        self._right: OrderedDict[tuple[str, str], float] = OrderedDict()
        """When a token was last right, by its address and its digest."""
        self._lines = Limit(LINES)
        self._lines_in_all = Limit(LINES_IN_ALL)

    def seconds_to_wait(self, address: str, digest: str = "") -> float:
        """Return for how long the token of a digest is not looked at; 0: it is now.

        Args:
            address: the address that it comes from.
            digest: its digest; empty: the token is wrong.
        """
        near = _neighbourhood(address)
        if time.monotonic() - self._right.get((near, digest), float("-inf")) < RIGHT_SECONDS:
            return 0.0
        many = self._late[near] >= LATE_AT_ONCE or self._late.total() >= LATE_IN_ALL
        return LATE_SECONDS if many and self._late[near] else 0.0

    def right(self, address: str, digest: str) -> None:
        """Record a right token."""
        self._right[_neighbourhood(address), digest] = time.monotonic()
        self._right.move_to_end((_neighbourhood(address), digest))
        if len(self._right) > MOST_RIGHT:
            self._right.popitem(last=False)

    async def wrong(self, address: str) -> None:
        """Record a wrong token, and return when it may be answered."""
        self.warn("a request had an unknown token", address)
        near = _neighbourhood(address)
        if not self._free.spend(near, time.monotonic()):
            return
        self._late[near] += 1
        try:
            await asyncio.sleep(LATE_SECONDS)
        finally:
            self._late[near] -= 1
            if not self._late[near]:
                del self._late[near]

    def warn(self, said: str, address: str, **more: str) -> None:
        """Log a refusal, the first of an address within a minute."""
        now = time.monotonic()
        if not self._lines.spend((said, _neighbourhood(address)), now) and not self._lines_in_all.spend(said, now):
            log.warning(said, address=address, **more)


def _neighbourhood(address: str) -> str:
    """Return what counts as one address: of IPv6 the network that one customer has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or ip_network((int(parsed) & ~((1 << 64) - 1), 64)))
