"""The entries of the log as the core reads them: records, tombstones, and bytes that are neither."""

from enum import StrEnum

import msgspec

from messages.keys import key_of
from messages.records import AnyRecord, DeadLetter
from messages.topics import Key, Topic
from stream.entries import topic_of

Stamp = tuple[int, int]
"""(epoch, sequence) of a poll."""

NEVER: Stamp = (-1, -1)
"""Older than any poll."""


class Tombstone(msgspec.Struct, frozen=True, gc=False):
    """An empty record: its key has ended."""

    topic: Topic
    key: Key
    stamp: Stamp
    """For an observation; `NEVER` for others."""
    by: str
    """The process that wrote it; empty if the tombstone does not name it."""


class Undecodable(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are not a record."""

    letter: DeadLetter
    newer: bool = False
    """A newer hotdesk wrote it."""


News = AnyRecord | Tombstone | Undecodable

DECIDED = frozenset({Topic.ORDERS, Topic.RANKINGS, Topic.INCIDENTS, Topic.RELOGINS})
"""Topics of orders and decisions. A process that cannot read all records there must not decide: it could move agents
twice, or against an order."""


class Result(StrEnum):
    """The result of folding one entry; the label of a metric."""

    FOLDED = "folded"
    STALE = "stale"
    SUPERSEDED = "superseded"
    DEAD = "dead"


Offset = tuple[Topic, int, int]
"""Topic, partition and offset of one entry."""


def offset_of(letter: DeadLetter) -> Offset:
    """Return the offset of the entry that a dead letter is about."""
    return letter.topic, letter.partition, letter.offset


def address_of(news: AnyRecord | Tombstone) -> tuple[Topic, str]:
    """Return the topic and key of an entry; of all entries at one address the newest counts."""
    return (news.topic, str(news.key)) if isinstance(news, Tombstone) else (topic_of(news), str(key_of(news)))
