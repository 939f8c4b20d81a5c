"""What travels on the topics can be read back, by this version and the next, and what cannot is refused in one line."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages import codec
from messages.codec import (
    NewerRecordError,
    UndecodableRecordError,
    decode,
    decode_stamp,
    decode_wait,
    encode,
    encode_stamp,
    encode_wait,
    stamp_of_any_version,
)
from messages.records import (
    AgentStatus,
    AnyRecord,
    DialerReading,
    Heartbeat,
    Incident,
)
from messages.topics import Key, Topic
from tests.support.records import POLL, RECORDS


@pytest.mark.parametrize(("topic", "record"), RECORDS, ids=lambda one: type(one).__name__)
def test_every_record_comes_back_as_it_was(topic: Topic, record: AnyRecord) -> None:
    assert decode(topic, encode(record)) == record


def test_every_kind_of_record_is_among_them() -> None:
    assert {type(record) for _topic, record in RECORDS} == set(AnyRecord.__args__)


def test_the_wire_is_json_that_names_its_kind_and_version() -> None:
    written = json.loads(encode(POLL))
    assert (written["record"], written["schema_version"], written["cluster"]) == ("poll", 1, "west")
    assert written["dialers"][0]["agents"] == {"INCALL": 12, "OTHER": 1}


@given(
    cluster=st.text(),
    why=st.text(),
    epoch=st.integers(0, 2**53),
    ages=st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    agents=st.dictionaries(st.sampled_from(AgentStatus), st.integers(0, 10**6)),
)
def test_any_poll_comes_back_as_it_was(
    cluster: str, why: str, epoch: int, ages: list[float | None], agents: dict[AgentStatus, int]
) -> None:
    dialers = tuple(
        DialerReading(
            server_ip=f"10.0.0.{number}",
            description=why,
            heartbeat=Heartbeat(watched_since_ms=epoch, age_seconds=age),
            agents=agents,
            campaigns={why: 1},
        )
        for number, age in enumerate(ages)
    )
    poll = msgspec.structs.replace(POLL, cluster=cluster, epoch=epoch, dialers=dialers)
    assert decode(Topic.OBSERVATIONS, encode(poll)) == poll


def changed(**fields: object) -> bytes:
    """Return an incident's JSON with other fields; None leaves one out."""
    raw = {
        "record": "incident",
        "cluster": "west",
        "incident": "i-1",
        "server_ip": "10.0.0.11",
        "kind": "down",
        "opened_at_ms": 1,
        "why": "down",
    } | fields
    return json.dumps({name: value for name, value in raw.items() if value is not None}).encode()


def test_a_record_without_a_version_is_of_this_one() -> None:
    assert decode(Topic.INCIDENTS, changed()).schema_version == 1


def test_unknown_fields_are_ignored() -> None:
    assert decode(Topic.INCIDENTS, changed(severity="high", notes=[{"a": 1}])) == decode(Topic.INCIDENTS, changed())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"not json", "not JSON"),
        (changed()[:-3] + b'\xff"}', "not JSON"),
        (b"17", "not a record of incidents"),
        (b"[]", "not a record of incidents"),
        (b"[" * 100_000, "not JSON"),
        (b"null", "not a record of incidents"),
        (b"{}", "not a record of incidents"),
        (changed(why=None), "missing required field `why`"),
        (changed(opened_at_ms="soon"), r"Expected `int`, got `str` - at `\$.opened_at_ms`"),
        (changed(record="poll"), "not a record of incidents"),
        (encode(POLL), "not a record of incidents"),
        (changed(schema_version=2), "schema_version 2 is newer than the 1 this hotdesk reads: upgrade it"),
        (changed(schema_version=10**30), "is newer"),
        (changed(schema_version=0), "schema_version is 0, not a whole number from 1 up"),
        (changed(schema_version="1"), "schema_version is '1'"),
        (changed(schema_version=1.5), "schema_version is 1.5"),
    ],
)
def test_what_is_no_record_of_the_topic_is_refused_in_one_line(value: bytes, said: str) -> None:
    with pytest.raises(UndecodableRecordError, match=said) as refused:
        decode(Topic.INCIDENTS, value)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200), st.sampled_from(Topic))
def test_any_bytes_are_read_or_refused(value: bytes, topic: Topic) -> None:
    with pytest.raises(UndecodableRecordError):
        decode(topic, value)


def test_an_older_record_is_raised_to_this_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(raw: dict[str, Any]) -> dict[str, Any]:
        raw["server_ip"] = raw.pop("dialer", raw.get("server_ip"))
        return raw

    def explain(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "why": f"{raw['why']}, said version {raw['schema_version']}"}

    monkeypatch.setattr(codec, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(codec, "UPGRADES", {1: rename, 2: explain})
    for older in (changed(schema_version=1, server_ip=None, dialer="10.0.0.11"), changed(schema_version=1)):
        record = decode(Topic.INCIDENTS, older)
        assert isinstance(record, Incident)
        assert (record.schema_version, record.server_ip) == (3, "10.0.0.11")
        assert record.why == "down, said version 2"
    newest = decode(Topic.INCIDENTS, changed(schema_version=3))
    assert isinstance(newest, Incident)
    assert newest.why == "down"
    with pytest.raises(UndecodableRecordError, match="not a record of incidents, version 2"):
        decode(Topic.INCIDENTS, changed(schema_version=2, opened_at_ms="soon"))
    with pytest.raises(NewerRecordError, match="newer than the 3"):
        decode(Topic.INCIDENTS, changed(schema_version=4))


def test_the_stamp_of_a_newer_observation_is_read() -> None:
    assert stamp_of_any_version(b'{"record":"vote","schema_version":9,"epoch":3,"sequence":7,"new":[]}') == (3, 7)


@pytest.mark.parametrize(
    "value", [b"", b"{", b"[]", b"\xff", b'{"epoch":1}', b'{"epoch":"1","sequence":2}', b"[" * 100_000]
)
def test_what_has_no_stamp_is_refused(value: bytes) -> None:
    with pytest.raises(UndecodableRecordError, match="no stamp"):
        stamp_of_any_version(value)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1))
def test_a_stamp_comes_back_as_it_was(epoch: int, sequence: int) -> None:
    assert decode_stamp(encode_stamp(epoch, sequence)) == (epoch, sequence)


@pytest.mark.parametrize(
    "value", [b"", b".", b"7", b"7.", b".7", b"-1.2", b"1.2.3", b"1,2", b"\xd9\xa1.2", b"\xff.1", b"1.1000000000000000"]
)
def test_what_is_no_stamp_is_refused(value: bytes) -> None:
    with pytest.raises(UndecodableRecordError, match=r"a tombstone's stamp is epoch\.sequence, not"):
        decode_stamp(value)


@given(st.integers(0, 10**15 - 1))
def test_a_wait_comes_back_as_it_was(waited_ms: int) -> None:
    assert decode_wait(encode_wait(waited_ms)) == waited_ms


@pytest.mark.parametrize("value", [b"", b"-1", b"1.5", b"\xd9\xa1", b"\xff", b"1000000000000000"])
def test_what_is_no_wait_is_refused(value: bytes) -> None:
    with pytest.raises(UndecodableRecordError, match="how long a record waited is a whole number, not"):
        decode_wait(value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("west", Key("west")),
        ("west/settings", Key("west", "settings")),
        ("west/agent/6666", Key("west", "agent", "6666")),
        ("west/alias/a/b//c", Key("west", "alias", "a/b//c")),
        ("köln ☎/agent/ä", Key("köln ☎", "agent", "ä")),
        ("", Key("")),
    ],
)
def test_a_key_is_taken_apart_and_put_together(text: str, key: Key) -> None:
    assert Key.parse(text) == key
    assert str(key) == text


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_any_key_comes_back_as_it_was(cluster: str, kind: str, name: str) -> None:
    key = Key(cluster.replace("/", "") or "c", kind.replace("/", "") or "k", name)
    assert Key.parse(str(key)) == key
