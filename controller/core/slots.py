"""Slots: logins that picks have promised and that the counts do not show yet.

Counts are as old as the last poll. Without slots every login between two polls would see the same least-loaded
dialer, and a herd of them would land there (Mitzenmacher, "How Useful Is Old Information?").
"""

import heapq
from collections import Counter
from collections.abc import Iterator

from messages.records import AgentSession, LoginSlot, ServerIp


class Slots:
    """The slots of one cluster, at most one for each user. As in VICIdial, the case of a name does not matter."""

    def __init__(self) -> None:
        self._by_user: dict[str, LoginSlot] = {}
        self._on_server: Counter[ServerIp] = Counter()
        self._in_campaign: Counter[tuple[ServerIp, str]] = Counter()
        self._due: list[tuple[int, str]] = []
        """When each slot ends, soonest first (a heap); an entry for a slot that is gone by then means nothing."""

    def __len__(self) -> int:
        return len(self._by_user)

    def __iter__(self) -> Iterator[LoginSlot]:
        return iter(self._by_user.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and self._by_user == other._by_user

    __hash__ = None  # type: ignore[assignment] # it changes

    def copy(self) -> "Slots":
        """Return a copy, to try changes on."""
        other = Slots()
        other._by_user = dict(self._by_user)
        other._on_server = self._on_server.copy()
        other._in_campaign = self._in_campaign.copy()
        other._due = list(self._due)
        return other

    def planned(self) -> "Slots":
        """Return a copy with the slots of moves only. Slots of logins can be made by typing a name at a login page."""
        other = Slots()
        for slot in self:
            if slot.planned:
                other.add(slot)
        return other

    def of(self, user: str) -> LoginSlot | None:
        """Return the slot of a user; None: no slot."""
        return self._by_user.get(user.lower())

    def on(self, server_ip: ServerIp) -> int:
        """Return the number of slots on a dialer."""
        return self._on_server.get(server_ip, 0)

    def of_campaign(self, server_ip: ServerIp, campaign_id: str) -> int:
        """Return the number of slots on a dialer for a campaign, in whatever case its id was typed."""
        return self._in_campaign.get((server_ip, campaign_id.lower()), 0)

    def add(self, slot: LoginSlot) -> None:
        """Add a slot, in place of the one that its user had."""
        self.release(slot.user)
        self._by_user[slot.user.lower()] = slot
        heapq.heappush(self._due, (slot.until_ms, slot.user.lower()))
        self._on_server[slot.server_ip] += 1
        self._in_campaign[slot.server_ip, slot.campaign_id.lower()] += 1

    def release(self, user: str) -> LoginSlot | None:
        """Remove a user's slot and return it; None: there was none."""
        slot = self._by_user.pop(user.lower(), None)
        if slot is None:
            return None
        self._on_server[slot.server_ip] -= 1
        campaign = (slot.server_ip, slot.campaign_id.lower())
        self._in_campaign[campaign] -= 1
        if not self._in_campaign[campaign]:
            del self._in_campaign[campaign]
        return slot

    def fulfil(self, session: AgentSession, seen_at_ms: int) -> LoginSlot | None:
        """Release and return the slot of an agent whose new session was seen, on whichever dialer.

        `seen_at_ms`: the log's time of the poll that shows it. A reader of the whole log meets old sessions too.
        """
        slot = self.of(session.user)
        if slot is None or session.remote or session.live_agent_id == slot.replaces:
            return None
        if seen_at_ms <= slot.handed_out_at_ms:
            return None
        return self.release(session.user)

    def expire(self, now_ms: int) -> list[LoginSlot]:
        """Release and return the slots whose time is over."""
        over = []
        while self._due and self._due[0][0] <= now_ms:
            _, user = heapq.heappop(self._due)
            slot = self._by_user.get(user)
            if slot is not None and slot.until_ms <= now_ms:
                self.release(user)
                over.append(slot)
        return over
