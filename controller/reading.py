"""From the log's bytes to records; what is no record becomes a dead letter."""

import base64

from controller.desk import Arrived, Place
from messages.codec import STAMP_HEADER, UndecodableRecordError, decode, decode_stamp
from messages.records import DeadLetter
from messages.topics import Key, Topic
from stream.log import Stored
from stream.writing import WRITER_HEADER

MOST_DEAD_BYTES = 100_000
"""A dead letter keeps no more of a value than this."""


def read(stored: Stored) -> Arrived:
    """Decode a stored record."""
    place, key = Place(stored.topic, stored.partition, stored.offset), Key.parse(stored.key)
    try:
        if stored.value is not None:
            return Arrived(place, key, decode(stored.topic, stored.value))
        headers = dict(stored.headers)
        stamp = decode_stamp(headers.get(STAMP_HEADER, b"")) if stored.topic is Topic.OBSERVATIONS else None
        return Arrived(place, key, None, stamp, headers.get(WRITER_HEADER, b"").decode())
    except (UndecodableRecordError, UnicodeDecodeError) as error:
        dead = DeadLetter(
            cluster=key.cluster,
            topic=stored.topic,
            partition=stored.partition,
            offset=stored.offset,
            key=stored.key,
            why=str(error),
            value_base64=base64.b64encode((stored.value or b"")[:MOST_DEAD_BYTES]).decode(),
        )
        return Arrived(place, key, None, dead=dead)
