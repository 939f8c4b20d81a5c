"""Notifications: who outside hotdesk is told what, once. Pure.

What is told are *conditions* that stand in the folded state: an incident, a suspension, a database that is away. So
what is due follows from the state and from the records of what was told, whoever owns the cluster: a condition that no
record names is told, and a record whose condition is over has its end told. A new owner reads both from the log.

Note [Once, and what may come twice]. The record follows the message. A process that is killed between the two, or
cannot store the record, leaves it to the next owner to tell it again: rather twice than never.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from controller.core.explanations import (
    agents_words,
    listed_words,
    name_of,
    no_dialer_words,
    progress_words,
    why_unknown,
)
from controller.core.incidents import still_without_phone
from controller.core.state import ClusterState
from messages.records import DialerState, Incident, Notification, NotMoved
from messages.words import sentence

LISTED_AT_MOST = 10
"""Agents that are named in one message."""
AGAIN_SECONDS, MOST_AGAIN_SECONDS = 60.0, 600.0
"""A message that no try could send is due again after this time, which doubles with each failure."""


class Event(StrEnum):
    """The kind of a condition, by which a recipient chooses."""

    INCIDENT = "incident"
    """A dialer is down, draining or closed; or there is none."""
    AGENTS = "agents"
    """Agents of an incident who need a hand: not moved, or not arrived."""
    WITHHELD = "withheld"
    """Agents should leave a dialer, and are not moved, for a reason."""
    SUSPENDED = "suspended"
    DATABASE = "database"
    """The database, or a table of it, cannot be read; or no poll comes in."""
    ORDERS = "orders"
    """Drains and acknowledgements."""
    OWNER = "owner"
    """Another process decides."""
    TEST = "test"


ALL_EVENTS = frozenset(Event) - {Event.TEST}
DEFAULT_EVENTS = ALL_EVENTS - {Event.ORDERS, Event.OWNER}

HOLD_SECONDS: Mapping[Event, float] = {
    Event.AGENTS: 30.0,
    Event.WITHHELD: 10.0,
    Event.DATABASE: 10.0,
}
"""How long a condition must stand before it is told, and be gone before its end is: what passes by itself is none."""
SILENT_ENDS = frozenset({Event.AGENTS, Event.ORDERS, Event.OWNER})
"""Conditions whose end says nothing that another one does not say."""
PASSING = frozenset({NotMoved.IN_CALL, NotMoved.IN_WRAPUP, NotMoved.NEWER, NotMoved.REMOTE})
"""Agents who are listed for these reasons need no hand."""


class Severity(StrEnum):
    """How soon somebody should look, in the words of monitoring."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Condition(NamedTuple):
    """Something that stands in a cluster now, and that a person may want to know."""

    name: str
    event: Event
    value: str
    """With another value it is told anew."""
    severity: Severity
    words: str


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody outside who is told, and of what."""

    name: str
    events: frozenset[Event] = DEFAULT_EVENTS
    clusters: frozenset[str] = frozenset()
    """Empty: all."""

    def wants(self, cluster: str, event: Event) -> bool:
        """Return True if this recipient is told of such an event in a cluster."""
        return event in self.events and (not self.clusters or cluster in self.clusters)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one recipient."""

    recipient: str
    cluster: str
    event: Event
    condition: str
    value: str
    over: bool
    """The condition is over."""
    severity: Severity
    text: str

    @property
    def title(self) -> str:
        """The first line."""
        return f"{'OVER' if self.over else self.severity.upper()}: hotdesk {self.cluster}: {self.event}"

    @property
    def name(self) -> str:
        """The recipient and the condition."""
        return f"{self.recipient}/{self.condition}"


def conditions(state: ClusterState, *, owner: str, stale: bool) -> Iterator[Condition]:
    """Yield what stands in a cluster now. `owner`: the process that decides; `stale`: no poll came in for a while."""
    yield from _of_database(state, stale=stale)
    yield Condition("owner", Event.OWNER, owner, Severity.INFO, f"{owner} decides for {state.cluster} now.")
    if state.observed.poll is not None and (none := no_dialer_words(state)):
        yield Condition("no-dialer", Event.INCIDENT, "", Severity.CRITICAL, none)
    for incident in state.decided.incidents.values():
        yield _of_incident(state, incident)
        yield from _of_agents(state, incident)
    for closed in state.decided.closed:
        yield from _of_agents(state, msgspec.structs.replace(closed, listed=still_without_phone(state, closed)))
    withheld = [each for each in state.decided.incidents.values() if each.withheld is not None and each.agents]
    for first in withheld[:1]:
        agents = agents_words(sum(each.agents for each in withheld))
        words = f"{agents} should leave, and no agent is moved now: {first.withheld}."
        code = "" if first.withheld is None else str(first.withheld.code)
        yield Condition("withheld", Event.WITHHELD, code, Severity.CRITICAL, words)
    yield from _of_orders(state)


def message_of_test(recipient: str) -> Message:
    """Return the message by which a recipient is tried out."""
    return Message(
        recipient=recipient,
        cluster="test",
        event=Event.TEST,
        condition="test",
        value="",
        over=False,
        severity=Severity.INFO,
        text="This is a test by 'hotdesk notify test': nothing is wrong.",
    )


def _of_incident(state: ClusterState, incident: Incident) -> Condition:
    planned = " It was planned: a maintenance window." if incident.in_maintenance else ""
    there = f" {agents_words(incident.agents)} there." if incident.agents else ""
    dead = incident.kind is DialerState.DOWN and not incident.in_maintenance
    return Condition(
        f"incident/{incident.incident}",
        Event.INCIDENT,
        incident.kind,
        Severity.CRITICAL if dead else Severity.WARNING,
        f"{name_of(state, incident.server_ip)} is {incident.kind}: {incident.why}.{there}{planned}",
    )


def _of_agents(state: ClusterState, incident: Incident) -> Iterator[Condition]:
    words = _hands_needed(state, incident)
    if words:
        yield Condition(f"agents/{incident.incident}", Event.AGENTS, "", Severity.WARNING, words)


def _hands_needed(state: ClusterState, incident: Incident) -> str:
    """Return which agents of an incident need a hand, in words; empty: none."""
    listed = [each for each in incident.listed if each.why not in PASSING]
    if not listed:
        return ""
    named = "; ".join(map(listed_words, listed[:LISTED_AT_MOST]))
    more = f"; and {len(listed) - LISTED_AT_MOST} more" if len(listed) > LISTED_AT_MOST else ""
    need = "needs" if len(listed) == 1 else "need"
    return f"{agents_words(len(listed))} of {name_of(state, incident.server_ip)} {need} a hand: {named}{more}."


def _of_database(state: ClusterState, *, stale: bool) -> Iterator[Condition]:
    if stale or state.observed.outage is not None:
        words = f"Nothing is known of {state.cluster}: {why_unknown(state)}. VICIdial chooses where agents log in."
        yield Condition("database", Event.DATABASE, "", Severity.CRITICAL, words)
    poll = state.observed.poll
    for each in () if poll is None else poll.unread:
        words = f"The table {each.table} cannot be read: {sentence(each.why)}. What was read last still counts."
        yield Condition(f"table/{each.table}", Event.DATABASE, each.why, Severity.WARNING, words)


def _of_orders(state: ClusterState) -> Iterator[Condition]:
    orders = state.decided.orders
    for key, order in orders.standing.items():
        because = f": {order.why}" if order.why else ""
        value = f"{order.by} {order.ordered_at_ms}"
        if key.kind == "pause":
            words = f"Automatic moves are suspended by {order.by}{because}."
            yield Condition("suspended", Event.SUSPENDED, value, Severity.WARNING, words)
        elif key.kind in {"drain", "acknowledge"} and state.is_in_force(order):
            about = name_of(state, key.name) if key.kind == "drain" else key.name.partition("@")[0]
            verb = "drains" if key.kind == "drain" else "is working on the incident of"
            words = f"{order.by} {verb} {about}{because}."
            yield Condition(f"{key.kind}/{key.name}", Event.ORDERS, value, Severity.INFO, words)


class Announcer:
    """Which messages of one cluster are due, by what stands and what was told. It belongs to one thread.

    What it keeps itself is only how long a condition has stood or been gone, and what is on its way.
    """

    def __init__(self) -> None:
        self._changed_at: dict[tuple[str, str | None], float] = {}
        """By condition and value (None: gone): since when, on the process's monotonic clock."""
        self._not_before: dict[str, float] = {}
        """By recipient and condition: what is on its way, or could not be sent, and when it may be due again."""
        self._failures: dict[str, int] = {}
        """The same: how often it could not be sent, one time after the other."""
        self._due: frozenset[tuple[str, str, bool]] = frozenset()

    def due(
        self,
        state: ClusterState,
        standing: Iterable[Condition],
        recipients: Iterable[Recipient],
        now: float,
        *,
        acts: bool = True,
    ) -> tuple[list[Message], list[Notification]]:
        """Return the messages to send now, and the records that end without one; `acts`: the cluster's mode is act."""
        there = {each.name: each for each in standing}
        told = state.decided.notifications
        self._note(there, {each.condition for each in told.values()}, now)
        messages: list[Message] = []
        known = {each.name: each for each in recipients}
        for recipient in known.values():
            for condition in there.values():
                before = told.get(f"{recipient.name}/{condition.name}")
                news = before is None or before.value != condition.value
                if news and recipient.wants(state.cluster, condition.event) and self._stands(condition, now):
                    messages.append(_begins(state.cluster, recipient.name, condition))
        ended: list[Notification] = []
        for record in told.values():
            event = event_of(record.condition)
            if record.condition in there or not self._is_gone(record.condition, event, now):
                continue
            gone = known.get(record.recipient)
            if gone is None or event in SILENT_ENDS or not gone.wants(state.cluster, event):
                ended.append(record)
            else:
                messages.append(_ends(state, record, event, acts=acts))
        self._due = frozenset((each.name, each.value, each.over) for each in messages)
        names = {each.name for each in messages}
        self._not_before = {name: at for name, at in self._not_before.items() if name in names or at == float("inf")}
        self._failures = {name: count for name, count in self._failures.items() if name in names}
        ready = [each for each in messages if now >= self._not_before.get(each.name, now)]
        return ready, ended

    def is_due(self, message: Message) -> bool:
        """Return True if a message was due at the last look: what it says still stands, or is over. From any thread."""
        return (message.name, message.value, message.over) in self._due

    def on_its_way(self, message: Message) -> None:
        """Record that a message is being sent: it is not due until that has come to an end."""
        self._not_before[message.name] = float("inf")

    def sent(self, message: Message) -> None:
        """Record that a message was sent."""
        self._not_before.pop(message.name, None)
        self._failures.pop(message.name, None)

    def dropped(self, message: Message) -> None:
        """Record that a message was not sent, since it was due no more."""
        self._not_before.pop(message.name, None)

    def failed(self, message: Message, now: float) -> None:
        """Record that a message could not be sent: it is due again after a while, if it still is."""
        failures = self._failures[message.name] = self._failures.get(message.name, 0) + 1
        self._not_before[message.name] = now + min(MOST_AGAIN_SECONDS, AGAIN_SECONDS * 2 ** (failures - 1))

    def _note(self, there: Mapping[str, Condition], told: set[str], now: float) -> None:
        present: list[tuple[str, str | None]] = [(each.name, each.value) for each in there.values()]
        present += [(each, None) for each in told - there.keys()]
        self._changed_at = {each: self._changed_at.get(each, now) for each in present}

    def _stands(self, condition: Condition, now: float) -> bool:
        since = self._changed_at[condition.name, condition.value]
        return now - since >= HOLD_SECONDS.get(condition.event, 0.0)

    def _is_gone(self, condition: str, event: Event, now: float) -> bool:
        return now - self._changed_at[condition, None] >= HOLD_SECONDS.get(event, 0.0)


_EVENTS = {
    "incident": Event.INCIDENT,
    "no-dialer": Event.INCIDENT,
    "agents": Event.AGENTS,
    "withheld": Event.WITHHELD,
    "suspended": Event.SUSPENDED,
    "database": Event.DATABASE,
    "table": Event.DATABASE,
    "drain": Event.ORDERS,
    "acknowledge": Event.ORDERS,
}
"""The event of each condition, by the first part of its name."""


def event_of(condition: str) -> Event:
    """Return the event of a condition, by its name."""
    return _EVENTS.get(condition.partition("/")[0], Event.OWNER)


def _begins(cluster: str, recipient: str, condition: Condition) -> Message:
    return Message(
        recipient=recipient,
        cluster=cluster,
        event=condition.event,
        condition=condition.name,
        value=condition.value,
        over=False,
        severity=condition.severity,
        text=condition.words,
    )


def _ends(state: ClusterState, record: Notification, event: Event, *, acts: bool) -> Message:
    closed = next((each for each in state.decided.closed if f"incident/{each.incident}" == record.condition), None)
    if closed is None:
        text = f"It is over: {record.words}"
    else:
        seconds = 0 if closed.closed_at_ms is None else (closed.closed_at_ms - closed.opened_at_ms) // 1000
        about = f"{name_of(state, closed.server_ip)} ({closed.kind})"
        text = f"The incident of {about} is over after {seconds} s: {progress_words(closed, advice=not acts)}."
        text = f"{text} {_hands_needed(state, closed)}".rstrip()
    return Message(
        recipient=record.recipient,
        cluster=record.cluster,
        event=event,
        condition=record.condition,
        value=record.value,
        over=True,
        severity=Severity.INFO,
        text=text,
    )
