"""From the log's bytes to records; what is no record becomes a dead letter."""

import base64
from collections.abc import Sequence

from controller.core.clusters import Tombstone, News, Undecodable
from controller.core.state import NEVER
from messages.codec import STAMP_HEADER, NewerRecordError, UndecodableRecordError, decode, decode_stamp
from messages.records import DeadLetter
from messages.topics import Key, Topic
from stream.entries import WRITER_HEADER
from stream.log import Stored

MOST_DEAD_BYTES = 100_000
"""A dead letter keeps no more of a value than this."""


STILL_FELT_MS = 120_000
"""Slots, and moves that were told, last a minute: what was seen since they began is folded step by step."""


def thinned(batch: Sequence[Stored], now_ms: int) -> list[Stored]:
    """Leave out polls and rankings that a later one in the same batch supersedes, as compaction would have.

    For whoever reads what stood in the log already: an hour of polls a cluster is there for replays only. `now_ms` is
    the wall clock.
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
"""Topics in which the record under the cluster's own key tells of all of it."""


def read(stored: Stored) -> News:
    """Decode a stored record."""
    try:
        return _read_end(stored) if stored.value is None else decode(stored.topic, stored.value)
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


def _read_end(stored: Stored) -> Tombstone:
    headers = dict(stored.headers)
    stamp = decode_stamp(headers.get(STAMP_HEADER, b"")) if stored.topic is Topic.OBSERVATIONS else NEVER
    return Tombstone(stored.topic, Key.parse(stored.key), stamp, headers.get(WRITER_HEADER, b"").decode())
