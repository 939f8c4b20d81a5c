"""News: what one entry of the log says, as the core reads it."""

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
    """The end of whatever its key names."""

    topic: Topic
    key: Key
    stamp: Stamp
    """Of an observation; `NEVER` elsewhere."""
    by: str
    """The process that wrote it; empty where a tombstone does not say."""


class Undecodable(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no record."""

    letter: DeadLetter
    newer: bool = False
    """A newer hotdesk wrote it."""


News = AnyRecord | Tombstone | Undecodable

DECIDED = frozenset({Topic.ORDERS, Topic.RANKINGS, Topic.INCIDENTS, Topic.RELOGINS})
"""Topics of orders and decisions. A process that cannot read all of them must decide nothing: it could move agents
twice, or against an order."""


class Result(StrEnum):
    """What became of one entry; the label of a metric."""

    FOLDED = "folded"
    STALE = "stale"
    SUPERSEDED = "superseded"
    DEAD = "dead"


Offset = tuple[Topic, int, int]
"""Topic, partition and offset of one entry."""


def offset_of(letter: DeadLetter) -> Offset:
    """Return where the entry stands that a dead letter is about."""
    return letter.topic, letter.partition, letter.offset


def address_of(news: AnyRecord | Tombstone) -> tuple[Topic, str]:
    """Return the topic and key of an entry; the newest entry of an address is the one that counts."""
    return (news.topic, str(news.key)) if isinstance(news, Tombstone) else (topic_of(news), str(key_of(news)))
