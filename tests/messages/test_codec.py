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
    encode,
    encode_stamp,
    stamp_of_any_version,
)
from messages.records import (
    Acknowledge,
    AgentSession,
    AgentStatus,
    AnyRecord,
    Campaign,
    SystemSettings,
    DeadLetter,
    Decision,
    DialerHealth,
    DialerReading,
    DialerState,
    Drain,
    Fence,
    FenceStage,
    FleetHealth,
    Grouping,
    Heartbeat,
    AgentPause,
    AgentPauseStage,
    Incident,
    Listed,
    LoginSlot,
    Move,
    NotMoved,
    Outage,
    Pause,
    Phone,
    PhoneAlias,
    Poll,
    RankingSnapshot,
    EpochClaim,
    Relogin,
    Resynchronise,
    ReloginStage,
    RankedDialer,
    Unbrake,
    Unfence,
    Ineligible,
    ProbeResult,
    ProbeHistory,
)
from messages.topics import Key, Topic

POLL = Poll(
    cluster="west",
    epoch=3,
    sequence=7,
    observed_at_ms=1_700_000_000_500,
    full_sequence=1,
    collector="collector-1",
    dialers=(
        DialerReading(
            server_ip="10.0.0.11",
            server_id="dialer-11",
            description="Köln ☎",
            twin_server_ip="10.0.0.12",
            heartbeat=Heartbeat(
                progressed_at_ms=1_700_000_000_000,
                watched_since_ms=1_699_999_999_000,
                age_seconds=0.5,
                clock_skew_seconds=-1.25,
            ),
            agents={AgentStatus.INCALL: 12, AgentStatus.OTHER: 1},
            remote_agents=2,
            campaigns={"SALES": 13},
            rooms=300,
            rooms_free=287,
            probes={"ami": ProbeResult.ALIVE, "sip": ProbeResult.MUTE},
        ),
        DialerReading(server_ip="10.0.0.12", active=False, agent_logins=False, asterisk=False),
    ),
    odd_rows={"no such server": 1},
)
STAMPED: dict[str, Any] = {"cluster": "west", "epoch": 3, "sequence": 7}
ORDERED: dict[str, Any] = {"cluster": "west", "ordered_at_ms": 1_700_000_000_000, "by": "anna", "why": "test"}
RECORDS: list[tuple[Topic, AnyRecord]] = [
    (Topic.OBSERVATIONS, POLL),
    (
        Topic.OBSERVATIONS,
        Outage(**STAMPED, unreachable_since_ms=1, collector="c", why="Can't connect to MySQL server"),
    ),
    (Topic.OBSERVATIONS, EpochClaim(**STAMPED, collector="collector-1")),
    (
        Topic.OBSERVATIONS,
        AgentSession(
            **STAMPED,
            live_agent_id=42,
            user="6666",
            server_ip="10.0.0.11",
            extension="SIP/cc101",
            conf_exten="8600051",
            status=AgentStatus.QUEUE,
            campaign_id="SALES",
            call_server_ip="10.0.0.12",
            external_pause="PAUSE!1700000000",
            on_hook=True,
            remote=True,
        ),
    ),
    (
        Topic.OBSERVATIONS,
        Phone(**STAMPED, login="cc101", server_ip="10.0.0.11", active=False, protocol="SIP", webphone=True),
    ),
    (Topic.OBSERVATIONS, PhoneAlias(**STAMPED, alias_id="anna", name="Anna", logins=("cc101", "cc201"))),
    (Topic.OBSERVATIONS, Campaign(**STAMPED, campaign_id="SALES", grouping=Grouping.CASCADING, grouping_limit=7)),
    (
        Topic.OBSERVATIONS,
        SystemSettings(**STAMPED, weights={"10.0.0.11": 1.5}, missing_columns=("phones.peer_status",)),
    ),
    (Topic.ORDERS, Resynchronise(**ORDERED)),
    (Topic.ORDERS, Pause(**ORDERED)),
    (Topic.ORDERS, Drain(**ORDERED, server_ip="10.0.0.11")),
    (Topic.ORDERS, Acknowledge(**ORDERED, incident="i-1", silence_until_ms=5)),
    (Topic.ORDERS, Move(**ORDERED, user="6666", live_agent_id=42)),
    (Topic.ORDERS, Unbrake(**ORDERED, bad_since_ms=5)),
    (Topic.ORDERS, Unfence(**ORDERED, server_ip="10.0.0.11", planned_at_ms=5)),
    (
        Topic.LOGINS,
        LoginSlot(
            cluster="west",
            user="6666",
            alias_id="anna",
            phone_login="cc101",
            server_ip="10.0.0.11",
            handed_out_at_ms=1,
            handed_out_by="controller-1",
            until_ms=30_001,
            replaces=42,
        ),
    ),
    (
        Topic.RANKINGS,
        RankingSnapshot(
            cluster="west",
            epoch=3,
            sequence=7,
            observed_at_ms=1,
            owner="controller-1",
            owner_url="",
            dialers=(
                RankedDialer(server_ip="10.0.0.11", rank=1, agents=13, slots=1, load=14.0, rooms_free=286),
                RankedDialer(
                    server_ip="10.0.0.12",
                    rank=None,
                    ineligible_because=(Ineligible.SWITCHED_OFF, Ineligible.CLOSED),
                    agents=0,
                    slots=0,
                    load=0.0,
                    rooms_free=0,
                    heartbeat_stalled_seconds=2.5,
                ),
            ),
            imbalance=1.0,
            health=FleetHealth(
                epoch=3,
                polled_at_ms=1,
                bad_since_ms=1,
                brake="2 of 3 look bad",
                dialers={
                    "10.0.0.12": DialerHealth(
                        state=DialerState.DRAINING,
                        since_ms=1,
                        evidence="active=N",
                        life=DialerState.UP,
                        deaths=1,
                        probes={"ami": ProbeHistory(told=ProbeResult.MUTE, since_ms=1, credible=True)},
                    )
                },
            ),
        ),
    ),
    (
        Topic.INCIDENTS,
        Incident(
            cluster="west",
            incident="i-1",
            server_ip="10.0.0.11",
            kind=DialerState.DOWN,
            opened_at_ms=1,
            why="heartbeat stands still",
            listed=(Listed(user="6666", live_agent_id=42, why=NotMoved.NOWHERE),),
            by="controller-1",
        ),
    ),
    (
        Topic.RELOGINS,
        Relogin(
            cluster="west",
            live_agent_id=42,
            user="6666",
            incident="i-1",
            from_server_ip="10.0.0.11",
            to_server_ip="10.0.0.12",
            phone_login="cc201",
            ordered_at_ms=1,
            stage=ReloginStage.MOVED,
            changed_at_ms=2,
        ),
    ),
    (
        Topic.RELOGINS,
        AgentPause(
            cluster="west",
            live_agent_id=42,
            user="6666",
            incident="i-1",
            server_ip="10.0.0.11",
            stage=AgentPauseStage.PAUSED,
            seen=True,
            mark="PAUSE!1700000000",
        ),
    ),
    (
        Topic.RELOGINS,
        Fence(cluster="west", server_ip="10.0.0.11", incident="i-1", planned_at_ms=1, stage=FenceStage.TAKEN),
    ),
    (Topic.AUDIT, Decision(cluster="west", at_ms=1, actor="controller-1", what="moved", why="down")),
    (
        Topic.DEAD_LETTERS,
        DeadLetter(cluster="", topic="observations", partition=3, offset=9, key="", why="no JSON", value_base64="AA=="),
    ),
]


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
    """Give an incident's JSON with other fields; None leaves one out."""
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
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"not json", "no JSON"),
        (changed()[:-3] + b'\xff"}', "no JSON"),
        (b"17", "no record of incidents"),
        (b"[]", "no record of incidents"),
        (b"[" * 100_000, "no JSON"),
        (b"null", "no record of incidents"),
        (b"{}", "no record of incidents"),
        (changed(why=None), "missing required field `why`"),
        (changed(opened_at_ms="soon"), r"Expected `int`, got `str` - at `\$.opened_at_ms`"),
        (changed(record="poll"), "no record of incidents"),
        (encode(POLL), "no record of incidents"),
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
    with pytest.raises(UndecodableRecordError, match="no record of incidents, version 2"):
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
