"""Records as entries of the log: topic, key, value and stamp."""

from messages.codec import STAMP_HEADER, encode, encode_stamp
from messages.keys import key_of
from messages.records import (
    DeadLetter,
    Decision,
    Fence,
    AgentPause,
    Incident,
    LoginSlot,
    Order,
    RankingSnapshot,
    Record,
    Relogin,
    Stamped,
)
from messages.topics import Key, Topic
from stream.log import Entry

WRITER_HEADER = "by"
"""A tombstone of what a controller decided says which process wrote it, as the record itself does."""

_TOPICS: dict[type[Record], Topic] = {
    Stamped: Topic.OBSERVATIONS,
    Order: Topic.ORDERS,
    LoginSlot: Topic.LOGINS,
    RankingSnapshot: Topic.RANKINGS,
    Incident: Topic.INCIDENTS,
    Relogin: Topic.RELOGINS,
    AgentPause: Topic.RELOGINS,
    Fence: Topic.RELOGINS,
    Decision: Topic.AUDIT,
    DeadLetter: Topic.DEAD_LETTERS,
}
"""The topic of each kind of record; a kind that is not listed travels with the one it is derived from."""


def topic_of(record: Record) -> Topic:
    """Tell the topic of a record."""
    return next(_TOPICS[kind] for kind in type(record).__mro__ if kind in _TOPICS)


def entry_of(record: Record) -> Entry:
    """Make the entry that stores a record."""
    return Entry(topic_of(record), str(key_of(record)), encode(record))


def end_of_observation(key: Key, epoch: int, sequence: int) -> Entry:
    """Make the tombstone that ends what a collector published under `key`."""
    return Entry(Topic.OBSERVATIONS, str(key), None, ((STAMP_HEADER, encode_stamp(epoch, sequence)),))


def end_of_slot(slot: LoginSlot, by: str) -> Entry:
    """Make the tombstone that ends a slot; `by` is the process that ends it."""
    return Entry(Topic.LOGINS, str(key_of(slot)), None, ((WRITER_HEADER, by.encode()),))


def end_of_action(key: Key, by: str) -> Entry:
    """Make the tombstone that ends a move, a hold or a fence; `by` is the process that ends it."""
    return Entry(Topic.RELOGINS, str(key), None, ((WRITER_HEADER, by.encode()),))
