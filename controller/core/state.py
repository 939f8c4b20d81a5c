"""The fold: from observations, one after the other, to what is known of a cluster.

A poll is folded whole or not at all. What a collector publishes of a poll waits until the record that closes it, so
there is no moment at which sessions are newer than counts. Time is the log's: the observation time of the latest
poll. Folding the same records again gives an equal state.

The state changes in place, since copying thousands of sessions twice a second would cost more than folding them. It
belongs to one thread.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from controller.core.orders import Orders
from controller.core.slots import Slots
from messages import keys
from messages.keys import KIND_AGENT, KIND_ALIAS, KIND_CAMPAIGN, KIND_PHONE
from messages.records import (
    AgentSession,
    Campaign,
    SystemSettings,
    DialerReading,
    DialerState,
    Action,
    Fence,
    FleetHealth,
    AgentPause,
    Incident,
    LoginSlot,
    Observation,
    Outage,
    Phone,
    PhoneAlias,
    Poll,
    EpochClaim,
    Relogin,
    ServerIp,
)
from messages.topics import Key

Stamp = tuple[int, int]
"""(epoch, sequence) of a poll."""

Entity = AgentSession | Phone | PhoneAlias | Campaign | SystemSettings
"""What a poll says changed."""

NEVER: Stamp = (-1, -1)

LEAST_SHARE = 1e-9
"""A dialer with less than this part of all weights has none: a load divided by it would be no number any more."""


CLOSED_KEPT = 50
"""Closed incidents that are still shown."""


class Folded(Enum):
    """What folding a record did."""

    WAITS = "part of a poll that is not closed yet"
    POLL = "closed a poll: the state is that poll's now"
    OUTAGE = "the database does not answer"
    STALE = "older than what is known: dropped"


class SlotEnd(NamedTuple):
    """A slot that became a login, or a slot or login that is over."""

    slot: LoginSlot
    over: bool


@dataclass
class ClusterState:
    """What is known of one cluster.

    Agents are filed by user, phones by login and aliases by id, all in lower case: VICIdial's tables compare so.
    """

    cluster: str
    poll: Poll | None = None
    dialers: dict[ServerIp, DialerReading] = field(default_factory=dict)
    agents: dict[str, AgentSession] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    aliases: dict[str, PhoneAlias] = field(default_factory=dict)
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    settings: SystemSettings | None = None
    weight_shares: dict[ServerIp, float] = field(default_factory=dict)
    """Each weighed dialer's part of all weights; empty: the cluster weighs none."""
    outage: Outage | None = None
    slots: Slots = field(default_factory=Slots)
    orders: Orders = field(default_factory=Orders)
    health: FleetHealth = field(default_factory=FleetHealth)
    """How the dialers are judged, by `controller.core.detector`; empty: by nobody yet."""
    incidents: dict[str, Incident] = field(default_factory=dict)
    """The open ones, by id."""
    closed: list[Incident] = field(default_factory=list)
    """The incidents that closed last, in that order."""
    relogins: dict[int, Relogin] = field(default_factory=dict)
    """By session: the moves of open incidents, and those that people ordered."""
    agent_pauses: dict[int, AgentPause] = field(default_factory=dict)
    """By session: who is kept from calls."""
    fences: dict[ServerIp, Fence] = field(default_factory=dict)
    _waiting: list[tuple[Stamp, Entity | Key]] = field(default_factory=list)
    _seen: Stamp = NEVER
    _swept: Stamp = NEVER
    logins: dict[str, LoginSlot] = field(default_factory=dict)
    """By user: the slots that became the sessions which now last, and so the alias each agent used."""
    slots_ended: dict[str, SlotEnd] = field(default_factory=dict, compare=False)
    """By user: what became of slots, and of logins, and does not stand in the log yet. It is for the owner to say; the
    others keep it in mind, for one of them may be the next."""

    @property
    def stamp(self) -> Stamp:
        """Tell which poll this state is of; `NEVER` before the first."""
        return NEVER if self.poll is None else (self.poll.epoch, self.poll.sequence)

    @property
    def observed_at_ms(self) -> int:
        """Tell the log's time, 0 before the first poll."""
        return 0 if self.poll is None else self.poll.observed_at_ms

    @property
    def even_share(self) -> float | None:
        """Tell how many agents a dialer that is up has on the average; None: none is."""
        up = [
            sum(self.dialers[server_ip].agents.values())
            for server_ip, each in self.health.dialers.items()
            if each.state is DialerState.UP and server_ip in self.dialers
        ]
        return sum(up) / len(up) if up else None

    def decided(self, record: Incident | Action) -> None:
        """Take in what was decided, here or by an earlier owner."""
        match record:
            case Incident(closed_at_ms=None):
                self.incidents[record.incident] = record
            case Incident():
                self.incidents.pop(record.incident, None)
                self.closed = [*self.closed[1 - CLOSED_KEPT :], record]
            case Relogin():
                self.relogins[record.live_agent_id] = record
            case AgentPause():
                self.agent_pauses[record.live_agent_id] = record
            case Fence():
                self.fences[record.server_ip] = record

    def incident_forgotten(self, incident: str) -> None:
        """Forget an incident, by its id."""
        self.incidents.pop(incident, None)
        self.closed = [each for each in self.closed if each.incident != incident]

    def observed_no_more(self) -> None:
        """Forget what was observed; what people and hotdesk decided stays."""
        unseen = ClusterState(self.cluster)
        for name in _OBSERVED:
            setattr(self, name, getattr(unseen, name))

    def action(self, key: Key) -> Action | None:
        """Give the action of a key."""
        return self._actions_of(key).get(_action_name(key))

    def remove_action(self, key: Key) -> None:
        """Forget an action, by the key that its tombstone names."""
        self._actions_of(key).pop(_action_name(key), None)

    def _actions_of(self, key: Key) -> dict[Any, Any]:
        kinds: dict[str, dict[Any, Any]] = {
            keys.KIND_FENCE: self.fences,
            keys.KIND_AGENT_PAUSE: self.holds,
            keys.KIND_SESSION: self.relogins,
        }
        return kinds.get(key.kind, {})

    @property
    def actions(self) -> Iterator[Action]:
        """Give all actions, in the order in which they are best carried out."""
        yield from self.fences.values()
        yield from self.relogins.values()
        yield from self.agent_pauses.values()

    def fold(self, record: Observation) -> Folded:
        """Take in one observation."""
        stamp = (record.epoch, record.sequence)
        match record:
            case Poll():
                return self._close(record, stamp)
            case Outage():
                if stamp <= self.stamp:
                    return Folded.STALE
                self.outage = record
                return Folded.OUTAGE
            case EpochClaim():
                return Folded.WAITS
            case _:
                return self._wait(stamp, record)

    def fold_end(self, key: Key, stamp: Stamp) -> Folded:
        """Take in a tombstone: what `key` names has ended."""
        return self._wait(stamp, key)

    def _wait(self, stamp: Stamp, news: Entity | Key) -> Folded:
        if stamp <= self.stamp or stamp < self._seen:
            return Folded.STALE
        self._seen = stamp
        self._waiting.append((stamp, news))
        return Folded.WAITS

    def _close(self, poll: Poll, stamp: Stamp) -> Folded:
        if stamp <= self.stamp or stamp < self._seen:
            return Folded.STALE
        # In a compacted log records come without the polls that closed them; the next one that stayed closes them
        # all. But sessions of an earlier epoch are not these counts' sessions, and this epoch has its own.
        closed = [news for (epoch, _), news in self._waiting if epoch == poll.epoch or not _is_session(news)]
        self._waiting.clear()
        for news in closed:
            self._file(news)
        self._sweep(poll)
        self.poll = poll
        self.dialers = {dialer.server_ip: dialer for dialer in poll.dialers}
        self.outage = None
        self._seen = stamp
        self._end_slots(closed, poll.observed_at_ms)
        return Folded.POLL

    def take_slot(self, slot: LoginSlot) -> None:
        """AgentPause a slot, or note the login it became."""
        name = slot.user.lower()
        if slot.used_by is not None:
            self.slots.release(slot.user)
            self.slots_ended.pop(name, None)
            self.logins[name] = slot
            return
        self.hand_out(slot)
        session = self.agents.get(name)
        if session is not None:
            # logins and sessions come on different ways: it may have been seen before the slot was heard of
            self._use_slot(session, self.observed_at_ms)

    def hand_out(self, slot: LoginSlot) -> None:
        """AgentPause a slot that is new: what became of an earlier one of its user is of no interest any more."""
        self.slots_ended.pop(slot.user.lower(), None)
        self.slots.take(slot)

    def release_slot(self, user: str) -> None:
        """Forget a user's slot and login."""
        self.slots.release(user)
        self.slots_ended.pop(user.lower(), None)
        self.logins.pop(user.lower(), None)

    def _use_slot(self, session: AgentSession, seen_at_ms: int) -> None:
        slot = self.slots.fulfil(session, seen_at_ms)
        if slot is not None:
            screen = slot.asked_by or slot.screen
            login = msgspec.structs.replace(slot, used_by=session.live_agent_id, screen=screen, asked_by="")
            self.logins[session.user.lower()] = login
            self.slots_ended[session.user.lower()] = SlotEnd(login, over=False)

    def _end_slots(self, closed: list[Entity | Key], now_ms: int) -> None:
        if not (self.slots or self.logins):
            return
        for news in closed:
            if isinstance(news, AgentSession):
                self._end_login(news.user, news.live_agent_id)
                self._use_slot(news, now_ms)
            elif isinstance(news, Key) and news.kind == KIND_AGENT:
                self._end_login(news.name, None)
        for slot in self.slots.expire(now_ms):
            self.slots_ended[slot.user.lower()] = SlotEnd(slot, over=True)

    def _end_login(self, user: str, live_agent_id: int | None) -> None:
        """Forget a login that another session of its user, or none, has replaced."""
        login = self.logins.get(user.lower())
        if login is not None and login.used_by != live_agent_id:
            del self.logins[user.lower()]
            if self.slots.of(user) is None:
                self.slots_ended[user.lower()] = SlotEnd(login, over=True)

    def _file(self, news: Entity | Key) -> None:
        match news:
            case AgentSession():
                self.agents[news.user.lower()] = news
            case Phone():
                self.phones[news.login.lower()] = news
            case PhoneAlias():
                self.aliases[news.alias_id.lower()] = news
            case Campaign():
                self.campaigns[news.campaign_id.lower()] = news
            case SystemSettings():
                self.settings = news
                self.weight_shares = _shares(news.weights)
            case Key():
                self._forget(news)

    def _forget(self, key: Key) -> None:
        # A kind without a line here never ends: a cluster keeps its settings, and its polls only get newer.
        filed: Any = {
            KIND_AGENT: self.agents,
            KIND_PHONE: self.phones,
            KIND_ALIAS: self.aliases,
            KIND_CAMPAIGN: self.campaigns,
        }.get(key.kind, {})
        filed.pop(key.name.lower(), None)

    def _sweep(self, poll: Poll) -> None:
        """Drop what ended while nobody said so: what a new epoch, or a full round of it, did not publish again."""
        if poll.epoch > self._swept[0]:
            self._swept = (poll.epoch, 0)
            _drop_older(self.agents, self._swept)
        if poll.full_sequence is not None and (poll.epoch, poll.full_sequence) > self._swept:
            self._swept = (poll.epoch, poll.full_sequence)
            _drop_older(self.agents, self._swept)
            _drop_older(self.phones, self._swept)
            _drop_older(self.aliases, self._swept)
            _drop_older(self.campaigns, self._swept)


_OBSERVED = (
    "poll",
    "dialers",
    "agents",
    "phones",
    "aliases",
    "campaigns",
    "settings",
    "weight_shares",
    "outage",
    "health",
    "_waiting",
    "_seen",
    "_swept",
)


def _drop_older(filed: dict[str, Any], stamp: Stamp) -> None:
    for name in [name for name, entity in filed.items() if (entity.epoch, entity.sequence) < stamp]:
        del filed[name]


def _is_session(news: Entity | Key) -> bool:
    return isinstance(news, AgentSession) or (isinstance(news, Key) and news.kind == KIND_AGENT)


def _shares(weights: dict[ServerIp, float]) -> dict[ServerIp, float]:
    total = sum(weights.values())
    return {server_ip: weight / total for server_ip, weight in weights.items() if weight > total * LEAST_SHARE}


def _action_name(key: Key) -> int | ServerIp:
    return key.name if key.kind == keys.KIND_FENCE or not key.name.isdecimal() else int(key.name)
