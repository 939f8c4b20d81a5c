"""Encode records as entries of the log: topic, key, value and stamp."""

import msgspec

from messages.codec import STAMP_HEADER, WAITED_HEADER, encode, encode_stamp, encode_wait
from messages.keys import KIND_EPOCH, key_of
from messages.records import (
    AgentPause,
    Arrival,
    DeadLetter,
    Decision,
    Fence,
    HookSight,
    Incident,
    LoginSlot,
    Notification,
    Order,
    RankingSnapshot,
    Record,
    Relogin,
    ScreenRestore,
    Stamped,
)
from messages.topics import Key, Topic
from stream.log import Entry

WRITER_HEADER = "by"
"""In a tombstone of a controller's record: the name of the process that wrote it, as the record itself has it."""

LEAST_WAIT_SECONDS = 0.25
"""An entry that waited for less does not say so: every one waits for some milliseconds."""

_TOPICS: dict[type[Record], Topic] = {
    Stamped: Topic.OBSERVATIONS,
    Order: Topic.ORDERS,
    LoginSlot: Topic.LOGINS,
    HookSight: Topic.LOGINS,
    Notification: Topic.LOGINS,
    RankingSnapshot: Topic.RANKINGS,
    Incident: Topic.INCIDENTS,
    Relogin: Topic.RELOGINS,
    AgentPause: Topic.RELOGINS,
    Arrival: Topic.RELOGINS,
    Fence: Topic.RELOGINS,
    ScreenRestore: Topic.RELOGINS,
    Decision: Topic.AUDIT,
    DeadLetter: Topic.DEAD_LETTERS,
}
"""The topic of each type of record; a type that is not listed has that of its base class."""


def topic_of(record: Record) -> Topic:
    """Return the topic of a record."""
    return next(_TOPICS[kind] for kind in type(record).__mro__ if kind in _TOPICS)


def entry_of(record: Record) -> Entry:
    """Return the entry that stores a record."""
    return Entry(topic_of(record), str(key_of(record)), encode(record))


def queued(entry: Entry, now: float) -> Entry:
    """Return an entry that waits from now on, on this process's monotonic clock."""
    return msgspec.structs.replace(entry, queued_at=now)


def aged(entry: Entry, now: float) -> Entry:
    """Return an entry as it is appended now: one that waited says for how long."""
    waited = 0.0 if entry.queued_at is None else now - entry.queued_at
    if waited < LEAST_WAIT_SECONDS:
        return entry
    return msgspec.structs.replace(entry, headers=(*entry.headers, (WAITED_HEADER, encode_wait(round(waited * 1000)))))


def end_of_observation(key: Key, epoch: int, sequence: int) -> Entry:
    """Return the tombstone that ends a collector's record under `key`."""
    return Entry(Topic.OBSERVATIONS, str(key), None, ((STAMP_HEADER, encode_stamp(epoch, sequence)),))


def end_of_slot(slot: LoginSlot, by: str) -> Entry:
    """Return the tombstone that ends a slot; `by` is the process that ends it."""
    return Entry(Topic.LOGINS, str(key_of(slot)), None, ((WRITER_HEADER, by.encode()),))


def end_of_notification(notification: Notification, by: str) -> Entry:
    """Return the tombstone that ends a notification, once its end is told too; `by` is the process that told it."""
    return Entry(Topic.LOGINS, str(key_of(notification)), None, ((WRITER_HEADER, by.encode()),))


def end_of_order(key: Key, by: str) -> Entry:
    """Return the tombstone that ends an order; `by` is the process that ends it."""
    return Entry(Topic.ORDERS, str(key), None, ((WRITER_HEADER, by.encode()),))


def begin_of_term(cluster: str, epoch: int, by: str) -> Entry:
    """Return what tells whoever leads in an earlier epoch to give way. It has no value: any hotdesk can read it."""
    headers = ((STAMP_HEADER, encode_stamp(epoch, 0)), (WRITER_HEADER, by.encode()))
    return Entry(Topic.ORDERS, str(Key(cluster, KIND_EPOCH)), None, headers)


def end_of_action(key: Key, by: str) -> Entry:
    """Return the tombstone that ends an action; `by` is the process that ends it."""
    return Entry(Topic.RELOGINS, str(key), None, ((WRITER_HEADER, by.encode()),))
