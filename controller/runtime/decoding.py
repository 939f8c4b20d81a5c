"""Decode the log's entries into records; an entry that cannot be decoded becomes a dead letter."""

import base64
from collections.abc import Sequence

import msgspec

from controller.core.news import NEVER, News, Tombstone, Undecodable
from messages.codec import (
    STAMP_HEADER,
    WAITED_HEADER,
    NewerRecordError,
    UndecodableRecordError,
    decode,
    decode_stamp,
    decode_wait,
)
from messages.records import DeadLetter, Poll
from messages.topics import Key, Topic
from stream.entries import WRITER_HEADER
from stream.log import Stored

MOST_DEAD_BYTES = 100_000
"""Most of a value that a dead letter keeps."""


STILL_FELT_MS = 120_000
"""Slots, and moves that were sent, last a minute: polls since they began are folded one by one."""


def thinned(batch: Sequence[Stored], now_ms: int) -> list[Stored]:
    """Return a batch without the polls and rankings that a later one in it supersedes, as after compaction.

    For a process that reads the log up to its end: the log has an hour of polls for each cluster only for replays.
    `now_ms` is the wall clock.
    """
    latest = {(each.topic, each.key): each.offset for each in batch if "/" not in each.key}
    return [
        each
        for each in batch
        if each.topic not in _WHOLE
        or "/" in each.key
        or latest[each.topic, each.key] == each.offset
        or each.appended_at_ms > now_ms - STILL_FELT_MS
    ]


_WHOLE = {Topic.OBSERVATIONS, Topic.RANKINGS}
"""Topics in which the record under the cluster's own key is about the whole cluster."""


def read(stored: Stored) -> News:
    """Return a stored entry as a record, a tombstone, or a dead letter."""
    try:
        return _read_end(stored) if stored.value is None else _read_record(stored, stored.value)
    except (UndecodableRecordError, UnicodeDecodeError) as error:
        letter = DeadLetter(
            cluster=Key.parse(stored.key).cluster,
            topic=stored.topic,
            partition=stored.partition,
            offset=stored.offset,
            key=stored.key,
            why=str(error),
            value_base64=base64.b64encode((stored.value or b"")[:MOST_DEAD_BYTES]).decode(),
        )
        return Undecodable(letter, newer=isinstance(error, NewerRecordError))


def _read_record(stored: Stored, value: bytes) -> News:
    record = decode(stored.topic, value)
    if not stored.headers:
        return record
    waited = dict(stored.headers).get(WAITED_HEADER)
    if isinstance(record, Poll) and waited is not None:
        return msgspec.structs.replace(record, waited_ms=decode_wait(waited))
    return record


def _read_end(stored: Stored) -> Tombstone:
    headers = dict(stored.headers)
    stamp = decode_stamp(headers.get(STAMP_HEADER, b"")) if stored.topic is Topic.OBSERVATIONS else NEVER
    return Tombstone(stored.topic, Key.parse(stored.key), stamp, headers.get(WRITER_HEADER, b"").decode())
