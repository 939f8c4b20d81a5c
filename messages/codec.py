"""Encode records as bytes and decode them. JSON on the wire, so that any Kafka tool can show what happened."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from messages.records import (
    SCHEMA_VERSION,
    Action,
    AnyOrder,
    AnyRecord,
    DeadLetter,
    Decision,
    HookSight,
    Incident,
    LoginSlot,
    Notification,
    Observation,
    RankingSnapshot,
    Record,
    Whole,
)
from messages.shown import one_line
from messages.topics import Topic


class UndecodableRecordError(ValueError):
    """The bytes are not a record of their topic; `str()` is one line that says what is wrong with them."""

    def __init__(self, why: str) -> None:
        super().__init__(one_line(why))


class NewerRecordError(UndecodableRecordError):
    """The record was written by a newer hotdesk."""


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""How a record's JSON of version n becomes that of version n + 1. Version 1 is the first, so there is none yet."""

STAMP_HEADER = "stamp"
"""A tombstone has no value; its (epoch, sequence) travels in this header, as `epoch.sequence`."""

WAITED_HEADER = "waited"
"""How long a record waited until it was appended, in milliseconds. Without it: no time that matters."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The exceptions that msgspec raises for bytes that are not a record; the last for JSON nested too deep."""

_STAMP = re.compile(rb"([0-9]{1,15})\.([0-9]{1,15})")
"""Fewer digits than a `Whole` may have: a collector that counts on from such a number still writes a readable one."""

_WAIT = re.compile(rb"[0-9]{1,15}")

_ENCODER = msgspec.json.Encoder()
_DECODERS: dict[Topic, msgspec.json.Decoder[Any]] = {
    Topic.OBSERVATIONS: msgspec.json.Decoder(Observation),
    Topic.ORDERS: msgspec.json.Decoder(AnyOrder),
    Topic.LOGINS: msgspec.json.Decoder(LoginSlot | HookSight | Notification),
    Topic.RANKINGS: msgspec.json.Decoder(RankingSnapshot),
    Topic.INCIDENTS: msgspec.json.Decoder(Incident),
    Topic.RELOGINS: msgspec.json.Decoder(Action),
    Topic.AUDIT: msgspec.json.Decoder(Decision),
    Topic.DEAD_LETTERS: msgspec.json.Decoder(DeadLetter),
}


def encode(record: Record) -> bytes:
    """Return a record as JSON."""
    return _ENCODER.encode(record)


def decode(topic: Topic, value: bytes) -> AnyRecord:
    """Return the record of `topic` that `value` encodes, in this schema version or an older one.

    Raises:
        NewerRecordError: a newer version.
        UndecodableRecordError: not JSON, not a record of this topic, or a field that does not fit.
    """
    decoder = _DECODERS[topic]
    try:
        record: AnyRecord = decoder.decode(value)
    except _UNREADABLE as error:
        return _decode_older(topic, value, error)
    if record.schema_version == SCHEMA_VERSION:
        return record
    return _decode_older(topic, value, None)


def stamp_of_any_version(value: bytes) -> tuple[int, int]:
    """Return the (epoch, sequence) of an observation of any version: these two keep their names and meaning.

    Raises:
        UndecodableRecordError: it has none.
    """
    try:
        stamped = msgspec.json.decode(value, type=_Stamp)
    except _UNREADABLE as error:
        raise UndecodableRecordError(f"no stamp: {error}") from error
    return stamped.epoch, stamped.sequence


def encode_stamp(epoch: int, sequence: int) -> bytes:
    """Return a tombstone's stamp as bytes."""
    return b"%d.%d" % (epoch, sequence)


def decode_stamp(value: bytes) -> tuple[int, int]:
    """Return a tombstone's stamp as (epoch, sequence).

    Raises:
        UndecodableRecordError: not a stamp, or its numbers are too long.
    """
    stamp = _STAMP.fullmatch(value)
    if stamp is None:
        raise UndecodableRecordError(f"a tombstone's stamp is epoch.sequence, not {value[:40]!r}")
    return int(stamp[1]), int(stamp[2])


def encode_wait(waited_ms: int) -> bytes:
    """Return as bytes how long a record waited."""
    return b"%d" % waited_ms


def decode_wait(value: bytes) -> int:
    """Return how long a record waited, in milliseconds.

    Raises:
        UndecodableRecordError: not a whole number, or too long.
    """
    if _WAIT.fullmatch(value) is None:
        raise UndecodableRecordError(f"how long a record waited is a whole number, not {value[:40]!r}")
    return int(value)


class _Stamp(msgspec.Struct):
    epoch: Whole
    sequence: Whole


def _decode_older(topic: Topic, value: bytes, first_error: Exception | None) -> AnyRecord:
    """Upgrade a record of an older version to this one; refuse one that is not older, with what is wrong with it."""
    try:
        raw = msgspec.json.decode(value)
    except _UNREADABLE as error:
        raise UndecodableRecordError(f"not JSON: {error}") from error
    version = raw.get("schema_version", SCHEMA_VERSION) if isinstance(raw, dict) else SCHEMA_VERSION
    if not isinstance(version, int) or version < 1:
        raise UndecodableRecordError(f"schema_version is {version!r}, not a whole number from 1 up")
    if version > SCHEMA_VERSION:
        raise NewerRecordError(
            f"schema_version {version} is newer than the {SCHEMA_VERSION} this hotdesk reads: upgrade it"
        )
    if version == SCHEMA_VERSION:
        raise UndecodableRecordError(f"not a record of {topic}: {first_error}") from first_error
    for step in range(version, SCHEMA_VERSION):
        raw = UPGRADES[step](raw) | {"schema_version": step + 1}
    try:
        record: AnyRecord = msgspec.convert(raw, _DECODERS[topic].type)
    except msgspec.ValidationError as error:
        raise UndecodableRecordError(f"not a record of {topic}, version {version}: {error}") from error
    return record
