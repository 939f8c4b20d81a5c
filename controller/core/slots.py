"""Slots: logins that picks have promised and that the counts do not show yet.

Counts are as old as the last poll. Without slots every login between two polls would see the same least-loaded
dialer, and a herd of them would land there (Mitzenmacher, "How Useful Is Old Information?").
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator

from controller.core.turns import Turns
from controller.core.weights import JUDGED_MS, WEIGHS_MS, Weights
from messages.records import AgentSession, LoginSlot, ServerIp


class Slots:
    """The slots of one cluster, at most one for each user. As in VICIdial, the case of a name does not matter.

    They are of two kinds: a planned slot is that of a move; any other was asked for by a login form, which anybody can
    send. See Note [Before a password is checked] in `controller.core.weights`.
    """

    def __init__(self) -> None:
        self._by_user: dict[str, LoginSlot] = {}
        self._planned: dict[str, LoginSlot] = {}
        self._on_server: Counter[ServerIp] = Counter()
        self._planned_on: Counter[ServerIp] = Counter()
        self._planned_in_campaign: Counter[tuple[ServerIp, str]] = Counter()
        self._weights = Weights()
        self._unused: set[str] = set()
        """The users whose slots came to nothing so far: no session shows, though a login would."""
        self._faded: set[str] = set()
        """The users whose slots weigh no more, and are not judged yet."""
        self._now_ms = 0
        self._shown_ms = 0
        """When the latest slot was handed out whose login shows."""
        self.turns = Turns()
        self._to_show: list[tuple[int, str]] = []
        """By when each slot of a login form should be a session, soonest first (a heap); as below."""
        self._to_judge: list[tuple[int, str]] = []
        """When each of the slots was handed out that weigh no more, earliest first (a heap); as below."""
        self._due: list[tuple[int, str]] = []
        """When each slot ends, soonest first (a heap); an entry for a slot that is gone by then means nothing."""

    def __len__(self) -> int:
        return len(self._by_user)

    def __iter__(self) -> Iterator[LoginSlot]:
        return iter(self._by_user.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and self._by_user == other._by_user

    __hash__ = None  # type: ignore[assignment] # it changes

    def planned(self) -> "Slots":
        """Return a copy with the slots of moves only."""
        other = Slots()
        for slot in self._planned.values():
            other.add(slot)
        return other

    @property
    def of_moves(self) -> Iterable[LoginSlot]:
        """The slots of moves."""
        return self._planned.values()

    @property
    def unused(self) -> int:
        """The number of slots that came to nothing so far."""
        return len(self._unused)

    def of(self, user: str) -> LoginSlot | None:
        """Return the slot of a user; None: no slot."""
        return self._by_user.get(user.lower())

    def on(self, server_ip: ServerIp) -> int:
        """Return the number of slots on a dialer."""
        return self._on_server.get(server_ip, 0)

    def planned_on(self, server_ip: ServerIp) -> int:
        """Return the number of slots of moves on a dialer."""
        return self._planned_on.get(server_ip, 0)

    def planned_of_campaign(self, server_ip: ServerIp, campaign_id: str) -> int:
        """Return the number of slots of moves on a dialer for a campaign, in whatever case its id was typed."""
        return self._planned_in_campaign.get((server_ip, campaign_id.lower()), 0)

    def weight_on(self, server_ip: ServerIp, visitor: str) -> int:
        """Return for how many agents the slots on a dialer count, to a login of a visitor."""
        return self.planned_on(server_ip) + self._weights.on(server_ip, visitor)

    def is_credited(self, visitor: str) -> bool:
        """Return True unless many slots of a visitor came to nothing."""
        return self._weights.is_credited(visitor)

    def add(self, slot: LoginSlot) -> None:
        """Add a slot, in place of the one that its user had."""
        self.release(slot.user)
        user = slot.user.lower()
        self._by_user[user] = slot
        heapq.heappush(self._due, (slot.until_ms, user))
        self._on_server[slot.server_ip] += 1
        if slot.planned:
            self._planned[user] = slot
            self._planned_on[slot.server_ip] += 1
            self._planned_in_campaign[slot.server_ip, slot.campaign_id.lower()] += 1
            return
        if slot.weighs:
            self._weights.add(slot)
        heapq.heappush(self._to_show, (slot.handed_out_at_ms + WEIGHS_MS, user))
        self._end_waiting()

    def release(self, user: str) -> LoginSlot | None:
        """Remove a user's slot and return it; None: there was none."""
        user = user.lower()
        slot = self._by_user.pop(user, None)
        if slot is None:
            return None
        self._on_server[slot.server_ip] -= 1
        if slot.planned:
            del self._planned[user]
            self._planned_on[slot.server_ip] -= 1
            campaign = (slot.server_ip, slot.campaign_id.lower())
            self._planned_in_campaign[campaign] -= 1
            if not self._planned_in_campaign[campaign]:
                del self._planned_in_campaign[campaign]
        elif slot.weighs and user in self._unused:
            self._weights.forget(slot)
        elif slot.weighs and user not in self._faded:
            self._weights.remove(slot)
        self._unused.discard(user)
        self._faded.discard(user)
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
        self.turns.end(session.user)
        self._shown_ms = max(self._shown_ms, slot.handed_out_at_ms)
        return self.release(session.user)

    def expire(self, now_ms: int) -> list[LoginSlot]:
        """Release and return the slots whose time is over."""
        self._now_ms = now_ms
        self.turns.expire(now_ms)
        over = []
        while self._due and self._due[0][0] <= now_ms:
            _, user = heapq.heappop(self._due)
            slot = self._by_user.get(user)
            if slot is not None and slot.until_ms <= now_ms:
                self.release(user)
                over.append(slot)
        self._end_waiting()
        return over

    def _end_waiting(self) -> None:
        """End the weight of slots that should be sessions by now, and count those as unused that came to nothing."""
        while self._to_show and self._to_show[0][0] <= self._now_ms:
            by_ms, user = heapq.heappop(self._to_show)
            slot = self._waiting(user, by_ms - WEIGHS_MS)
            if slot is None or user in self._unused or user in self._faded:
                continue
            self._faded.add(user)
            heapq.heappush(self._to_judge, (slot.handed_out_at_ms, user))
            if slot.weighs:
                self._weights.remove(slot)
        before_ms = max(self._shown_ms - WEIGHS_MS, self._now_ms - JUDGED_MS)
        while self._to_judge and self._to_judge[0][0] <= before_ms:
            handed_out_at_ms, user = heapq.heappop(self._to_judge)
            slot = self._waiting(user, handed_out_at_ms)
            if slot is None or user not in self._faded:
                continue
            self._faded.discard(user)
            self._unused.add(user)
            if slot.weighs:
                self._weights.give_up(slot)

    def _waiting(self, user: str, handed_out_at_ms: int) -> LoginSlot | None:
        """Return the slot of a login form that was handed out then; None: it is gone, or there is a later one."""
        slot = self._by_user.get(user)
        return None if slot is None or slot.planned or slot.handed_out_at_ms > handed_out_at_ms else slot
