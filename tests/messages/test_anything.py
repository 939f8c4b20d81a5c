"""Whatever a stranger writes to a topic is read as a record, or refused in one short line: it ends no reader."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.codec import (
    UndecodableRecordError,
    decode,
    decode_stamp,
    decode_wait,
    encode,
)
from messages.records import AnyRecord
from messages.shown import LONGEST_LINE
from messages.topics import Topic
from stream.entries import entry_of
from tests.support.builders import NOW_MS, poll
from tests.support.strategies import ANY_JSON, ANY_RECORD, nearly_a_record

TOPICS = st.sampled_from(Topic)
ENDLESS = "9" * 5000
"""More digits than Python makes a number of."""


def read_or_refused(topic: Topic, value: bytes) -> AnyRecord | None:
    """Decode; what is read must come back from the log as it is, and a complaint must fit a log line."""
    record, said = None, ""
    try:
        record = decode(topic, value)
    except UndecodableRecordError as error:
        said = str(error)
    assert len(said) <= LONGEST_LINE
    assert said.isprintable()
    assert record is None or decode(topic, encode(record)) == record
    return record


@given(ANY_RECORD)
def test_any_record_comes_back_as_it_was(record: AnyRecord) -> None:
    entry = entry_of(record)
    assert entry.value is not None
    assert read_or_refused(entry.topic, entry.value) == record


@given(TOPICS, ANY_JSON)
def test_any_json_is_a_record_or_not(topic: Topic, what: Any) -> None:  # noqa: ANN401 # JSON
    read_or_refused(topic, json.dumps(what).encode())


@given(TOPICS, nearly_a_record())
def test_a_record_out_of_order_is_one_or_not(topic: Topic, value: bytes) -> None:
    read_or_refused(topic, value)


@given(ANY_RECORD, st.integers(min_value=0), st.binary(max_size=3))
def test_a_damaged_record_is_one_or_not(record: AnyRecord, where: int, what: bytes) -> None:
    entry = entry_of(record)
    value = entry.value or b""
    at = where % len(value)
    read_or_refused(entry.topic, value[:at] + what + value[at + 1 :])


@pytest.mark.parametrize(
    "value",
    [
        b'{"record":"line one\\nline two"}',
        b'{"record":"%s"}' % (b"a" * 100_000),
        b'{"schema_version":"%s"}' % (b"a" * 100_000),
        b'{"schema_version":%s}' % ENDLESS[:4000].encode(),
        b'{"schema_version":%s}' % ENDLESS.encode(),
        b'{"record":"incident","opened_at_ms":%s}' % ENDLESS.encode(),
        encode(poll()).replace(str(NOW_MS).encode(), ENDLESS[:400].encode()),
    ],
    ids=[
        "two lines",
        "a long kind",
        "a long version",
        "a huge version",
        "an endless version",
        "an endless number",
        "a huge time",
    ],
)
def test_a_complaint_never_repeats_all_of_what_it_is_about(value: bytes) -> None:
    for topic in Topic:
        assert read_or_refused(topic, value) is None


@given(st.binary(max_size=40) | st.from_regex(rb"[0-9]{0,30}\.[0-9]{0,30}", fullmatch=True))
def test_any_stamp_is_read_or_refused(value: bytes) -> None:
    with suppress(UndecodableRecordError):
        assert min(decode_stamp(value)) >= 0


@given(st.binary(max_size=20) | st.from_regex(rb"[0-9]{0,20}", fullmatch=True))
def test_any_wait_is_read_or_refused(value: bytes) -> None:
    with suppress(UndecodableRecordError):
        assert decode_wait(value) >= 0


def test_an_endless_stamp_is_refused() -> None:
    with pytest.raises(UndecodableRecordError, match="a tombstone's stamp"):
        decode_stamp(f"1.{ENDLESS}".encode())
