"""The decided half of a cluster's state: people's orders, slots and logins, incidents and actions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from controller.core.claims import login_of
from controller.core.hooks import seen
from controller.core.observed import Observed
from controller.core.orders import Orders
from controller.core.slots import Slots
from messages import keys
from messages.records import (
    Action,
    AgentPause,
    AgentSession,
    Arrival,
    Fence,
    HookSight,
    Incident,
    LoginSlot,
    Notification,
    Relogin,
    ReloginStage,
    Row,
    ScreenRestore,
    ServerIp,
)
from messages.topics import Key

NOT_SENT = frozenset({ReloginStage.ADVISED, ReloginStage.HANGING_UP, ReloginStage.WRAPPING_UP, ReloginStage.PLANNED})
"""Stages of a move before its screen was sent a logout."""
SENT_KEPT = 20
"""Sessions of a user that were sent a logout: more than any setting allows in ten minutes."""
CLOSED_KEPT = 50
"""How many closed incidents are still shown."""


class SlotEnd(NamedTuple):
    """The end of a slot or of a login."""

    slot: LoginSlot
    over: bool
    """It has ended; otherwise this is the login that is left under its key."""


@dataclass
class Decided:
    """The decided half of a cluster's state. It changes in place, and belongs to one thread."""

    orders: Orders = field(default_factory=Orders)
    slots: Slots = field(default_factory=Slots)
    logins: dict[str, LoginSlot] = field(default_factory=dict)
    """By user: the slots of the present sessions, which record the alias that each agent used."""
    slots_ended: dict[str, SlotEnd] = field(default_factory=dict, compare=False)
    """By user: ends of slots and logins that are not in the log yet. The owner publishes them; replicas keep them too,
    since one of them may be the next owner."""
    hooks: dict[str, HookSight] = field(default_factory=dict)
    """By web server: when its login hook asked last."""
    notifications: dict[str, Notification] = field(default_factory=dict)
    """By recipient and condition: what was told outside, and has not ended."""
    incidents: dict[str, Incident] = field(default_factory=dict)
    """The open incidents, by id."""
    closed: list[Incident] = field(default_factory=list)
    """The incidents that closed last, in that order."""
    relogins: dict[int, Relogin] = field(default_factory=dict)
    """By session: the moves of open incidents, and those that people ordered."""
    sent: dict[str, dict[int, int]] = field(default_factory=dict, compare=False)
    """By user: the sessions whose screens were sent a logout lately, and when that was planned, ms of the log's time.
    It outlives the moves, so that a user is not moved without end."""
    agent_pauses: dict[int, AgentPause] = field(default_factory=dict)
    """By session."""
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    """By new session."""
    fences: dict[ServerIp, Fence] = field(default_factory=dict)
    screen_restores: dict[int, ScreenRestore] = field(default_factory=dict)
    """By session."""

    # --- incidents and actions --------------------------------------------------------------------------------------

    def add(self, record: Incident | Action) -> None:
        """Add an incident or an action, of this owner or an earlier one."""
        match record:
            case Incident(closed_at_ms=None):
                self.incidents[record.incident] = record
            case Incident():
                self.incidents.pop(record.incident, None)
                self.closed = [*self.closed[1 - CLOSED_KEPT :], record]
            case Relogin():
                self.relogins[record.live_agent_id] = record
                self._note_sent(record)
            case AgentPause():
                self.agent_pauses[record.live_agent_id] = record
            case Arrival():
                self.arrivals[record.live_agent_id] = record
            case Fence():
                self.fences[record.server_ip] = record
            case ScreenRestore():
                self.screen_restores[record.live_agent_id] = record

    def moves_of(self, user: str, since_ms: int, *, apart_from: int | None = None) -> int:
        """Return how many sessions of a user, `apart_from` this one, were sent a logout that was planned after then."""
        known = self.sent.get(user.lower(), {})
        return sum(1 for number, at_ms in known.items() if at_ms > since_ms and number != apart_from)

    def _note_sent(self, relogin: Relogin) -> None:
        if relogin.stage in NOT_SENT and relogin.attempts == 1:
            return
        known = self.sent.setdefault(relogin.user.lower(), {})
        known.setdefault(relogin.live_agent_id, relogin.planned_at_ms)
        while len(known) > SENT_KEPT:
            del known[next(iter(known))]

    def remove_incident(self, incident: str) -> None:
        """Remove an incident, by its id."""
        self.incidents.pop(incident, None)
        self.closed = [each for each in self.closed if each.incident != incident]

    def action(self, key: Key) -> Action | None:
        """Return the action of a key."""
        return self._actions_of(key).get(_action_name(key))

    def remove_action(self, key: Key) -> None:
        """Remove an action, by the key that its tombstone names."""
        self._actions_of(key).pop(_action_name(key), None)

    @property
    def actions(self) -> Iterator[Action]:
        """All actions, in the order in which to carry them out."""
        yield from self.fences.values()
        yield from self.relogins.values()
        yield from self.agent_pauses.values()
        yield from self.arrivals.values()
        yield from self.screen_restores.values()

    def _actions_of(self, key: Key) -> dict[Any, Any]:
        kinds: dict[str, dict[Any, Any]] = {
            keys.KIND_FENCE: self.fences,
            keys.KIND_AGENT_PAUSE: self.agent_pauses,
            keys.KIND_ARRIVAL: self.arrivals,
            keys.KIND_SESSION: self.relogins,
            keys.KIND_SCREEN: self.screen_restores,
        }
        return kinds.get(key.kind, {})

    # --- slots and logins -------------------------------------------------------------------------------------------

    def add_slot(self, slot: LoginSlot, observed: Observed) -> None:
        """Add a slot, or the login it became.

        Logins and sessions travel on different topics, so the session may be known before the slot.
        """
        name = slot.user.lower()
        if slot.used_by is not None:
            self.slots.release(slot.user)
            self.slots_ended.pop(name, None)
            self.logins[name] = slot
            return
        self.reserve(slot)
        session = observed.agents.get(name)
        if slot.login is not None and (session is None or session.live_agent_id == slot.login.used_by):
            self.logins.setdefault(name, slot.login)
        if session is not None:
            self._use_slot(session, observed)

    def reserve(self, slot: LoginSlot) -> None:
        """Reserve a new slot; the end of an earlier one of its user no longer matters."""
        self.slots_ended.pop(slot.user.lower(), None)
        self.slots.add(slot)

    def release(self, user: str) -> SlotEnd | None:
        """Release a user's slot and return its end; None: no slot, or one of a move, which no login takes away."""
        slot = self.slots.of(user)
        if slot is None or slot.planned:
            return None
        self.slots.release(user)
        return self._end_of(slot)

    def keep(self, record: HookSight | Notification) -> None:
        """Keep what was seen of a login hook, or told outside."""
        if isinstance(record, HookSight):
            self.hooks = seen(self.hooks, record)
        else:
            self.notifications[record.name] = record

    def remove_login(self, key: Key) -> None:
        """Remove what the topic of logins holds under a key."""
        if key.kind == keys.KIND_HOOK:
            self.hooks.pop(key.name, None)
        elif key.kind == keys.KIND_NOTIFICATION:
            self.notifications.pop(key.name, None)
        else:
            self.remove_slot(key.name)

    def remove_slot(self, user: str) -> None:
        """Remove a user's slot and login."""
        self.slots.release(user)
        self.slots_ended.pop(user.lower(), None)
        self.logins.pop(user.lower(), None)

    def end_slots(self, changes: list[Row | Key], observed: Observed) -> None:
        """Turn slots into logins, and end slots and logins, by the changes of a poll."""
        for news in changes if self.slots or self.logins else ():
            if isinstance(news, AgentSession):
                self._end_login(news.user, news.live_agent_id)
                self._use_slot(news, observed)
            elif isinstance(news, Key) and news.kind == keys.KIND_AGENT:
                self._end_login(news.name, None)
        for slot in self.slots.expire(observed.observed_at_ms):
            self.slots_ended[slot.user.lower()] = self._end_of(slot)

    def _use_slot(self, session: AgentSession, observed: Observed) -> None:
        slot = self.slots.fulfil(session, observed.observed_at_ms)
        if slot is None:
            return
        name = session.user.lower()
        login = login_of(observed, slot, session)
        if login is not None:
            self.logins[name] = login
        self.slots_ended[name] = self._end_of(slot)

    def _end_of(self, slot: LoginSlot) -> SlotEnd:
        """Return the end of a slot: its user's login, which has the same key, is all that is left of it."""
        login = self.logins.get(slot.user.lower())
        return SlotEnd(slot, over=True) if login is None else SlotEnd(login, over=False)

    def _end_login(self, user: str, live_agent_id: int | None) -> None:
        """Remove a user's login unless it is that of the session `live_agent_id`."""
        login = self.logins.get(user.lower())
        if login is not None and login.used_by != live_agent_id:
            del self.logins[user.lower()]
            if self.slots.of(user) is None:
                self.slots_ended[user.lower()] = SlotEnd(login, over=True)


def _action_name(key: Key) -> int | ServerIp:
    return key.name if key.kind == keys.KIND_FENCE or not key.name.isdecimal() else int(key.name)
