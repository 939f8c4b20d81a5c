"""Which phones of a dialer are registered, if no script writes it to `phones.peer_status`. Pure: messages in.

Asterisk is asked for lists, one after the other: chan_sip has one of its peers, and the list of devices
(`res_manager_devicestate`) has what PJSIP knows. Both need no more than the permission `reporting`; PJSIP's own lists
need `system`, which would let the account change things. A list that is refused (the account may not ask, or that
Asterisk has no chan_sip) is not asked for again on the same connection, since Asterisk logs each attempt.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from messages.records import ServerIp

Message = Mapping[str, str]

Registered = Mapping[ServerIp, Mapping[str, bool]]
"""By dialer and station (protocol and extension); an absent phone is not known."""

NONE_KNOWN: Registered = MappingProxyType({})

NO_DEVICE = frozenset({"UNKNOWN", "INVALID"})
"""States of a device of which Asterisk knows nothing."""
PJSIP = "PJSIP/"
MOST_PHONES = 100_000
"""Most phones of one dialer that are kept; what is listed beyond is dropped."""


class _List(NamedTuple):
    """A list that Asterisk gives: an answer, an event for each entry, and one for the end."""

    action: str
    entry: str
    end: str
    read: Callable[[Message], tuple[str, bool] | None]
    """Return station and registration of an entry; None: it says nothing about a phone that registers."""


def _peer(message: Message) -> tuple[str, bool] | None:
    if message.get("dynamic") != "yes":
        return None
    address, status = message.get("ipaddress", "-none-"), message.get("status", "").upper()
    return f"SIP/{message.get('objectname', '')}", address != "-none-" and not status.startswith("UNREACHABLE")


def _device(message: Message) -> tuple[str, bool] | None:
    name, state = message.get("device", ""), message.get("state", "").upper()
    return (name, state != "UNAVAILABLE") if name.startswith(PJSIP) and state not in NO_DEVICE else None


LISTS = (
    _List("SIPpeers", "PeerEntry", "PeerlistComplete", _peer),
    _List("DeviceStateList", "DeviceStateChange", "DeviceStateListComplete", _device),
)


class PhoneLists:
    """The lists of one connection."""

    def __init__(self) -> None:
        self.registered: Mapping[str, bool] | None = None
        """Which phones are registered, by station, as last told; None: not told yet, or every list is refused."""
        self._refused: set[str] = set()
        self._left: list[_List] = []
        """The list that is under way, and those to follow."""
        self._found: dict[str, bool] = {}
        self._told = False
        """One of the lists of this round was given, to its end."""

    @property
    def under_way(self) -> str:
        """The action of the list under way; empty: none is."""
        return self._left[0].action if self._left else ""

    def begin(self) -> None:
        """Begin a round with the first list; nothing if one is under way."""
        if not self._left:
            self._left = [each for each in LISTS if each.action not in self._refused]
            self._found, self._told = {}, False

    def read(self, message: Message) -> bool:
        """Read a message that belongs to the list under way; return True if that has ended."""
        under_way, event = self._left[0], message.get("event")
        if event == under_way.entry:
            entry = under_way.read(message)
            if entry is not None and len(self._found) < MOST_PHONES:
                self._found[entry[0]] = entry[1]
            return False
        if event == under_way.end:
            self._told = True
        elif message.get("response", "success").lower() != "success":
            self._refused.add(under_way.action)
        else:
            return False
        self._left.pop(0)
        if not self._left:
            self.registered = self._found if self._told else None
        return True
