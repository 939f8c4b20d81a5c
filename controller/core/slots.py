"""Slots: logins that were handed out and do not show in the counts yet.

Counts are as old as the last poll. Without slots every login between two polls would see the same least-loaded
dialer, and a herd of them would land there (Mitzenmacher, "How Useful Is Old Information?").
"""

import heapq
from collections import Counter
from collections.abc import Iterator

from messages.records import AgentSession, LoginSlot, ServerIp


class Slots:
    """The slots of one cluster, at most one a user. Users are told apart as VICIdial does: not by case."""

    def __init__(self) -> None:
        self._by_user: dict[str, LoginSlot] = {}
        self._on_server: Counter[ServerIp] = Counter()
        self._in_campaign: Counter[tuple[ServerIp, str]] = Counter()
        self._due: list[tuple[int, str]] = []
        """When each slot is over, soonest first (a heap); what it says of a slot that is gone by then means nothing."""

    def __len__(self) -> int:
        return len(self._by_user)

    def __iter__(self) -> Iterator[LoginSlot]:
        return iter(self._by_user.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and self._by_user == other._by_user

    __hash__ = None  # type: ignore[assignment] # it changes

    def copy(self) -> "Slots":
        """Give slots that can be tried without touching these."""
        other = Slots()
        other._by_user = dict(self._by_user)
        other._on_server = self._on_server.copy()
        other._in_campaign = self._in_campaign.copy()
        other._due = list(self._due)
        return other

    def of(self, user: str) -> LoginSlot | None:
        """Give the slot of a user."""
        return self._by_user.get(user.lower())

    def on(self, server_ip: ServerIp) -> int:
        """Count the slots on a dialer."""
        return self._on_server.get(server_ip, 0)

    def of_campaign(self, server_ip: ServerIp, campaign_id: str) -> int:
        """Count the slots on a dialer that are for a campaign, however its id was typed."""
        return self._in_campaign.get((server_ip, campaign_id.lower()), 0)

    def take(self, slot: LoginSlot) -> None:
        """AgentPause a slot, in place of the one its user had."""
        self.release(slot.user)
        self._by_user[slot.user.lower()] = slot
        heapq.heappush(self._due, (slot.until_ms, slot.user.lower()))
        self._on_server[slot.server_ip] += 1
        self._in_campaign[slot.server_ip, slot.campaign_id.lower()] += 1

    def release(self, user: str) -> LoginSlot | None:
        """Let go of a user's slot and give it back; None: there was none."""
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
        """Release the slot of an agent whose new session was seen, wherever it landed.

        `seen_at_ms`: the log's time of the poll that shows it. A reader of the whole log meets old sessions, too.
        """
        slot = self.of(session.user)
        if slot is None or session.remote or session.live_agent_id == slot.replaces:
            return None
        if seen_at_ms <= slot.handed_out_at_ms:
            return None
        return self.release(session.user)

    def expire(self, now_ms: int) -> list[LoginSlot]:
        """Release the slots whose time is over."""
        over = []
        while self._due and self._due[0][0] <= now_ms:
            _, user = heapq.heappop(self._due)
            slot = self._by_user.get(user)
            if slot is not None and slot.until_ms <= now_ms:
                self.release(user)
                over.append(slot)
        return over
