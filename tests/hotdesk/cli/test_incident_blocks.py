"""`hotdesk incidents` as somebody reads it in an outage: in 80 columns, with nothing cut that they have to copy."""

from datetime import timedelta, timezone

import msgspec

from controller.api.schemas import IncidentAnswer
from hotdesk.cli.incident_blocks import COLUMNS, incident_block
from messages.codes import Reason, ReasonCode
from messages.records import DialerState, Incident, Listed, NotMoved

CET = timezone(timedelta(hours=1), "CET")
IP = "127.20.0.13"
NAME = f"{IP}@1795807000000"


def _answer(**changes: object) -> IncidentAnswer:
    incident = Incident(
        cluster="west",
        incident=NAME,
        server_ip=IP,
        kind=DialerState.DOWN,
        opened_at_ms=1_795_807_000_000,
        why="heartbeat stalled for 5.0 s, SIP unreachable, AMI gives no answer, and the twin does not see it either",
        agents=6,
        moves=30,
        moved=24,
        arrived=19,
        listed=(
            *(Listed(user=f"agent-{each}", live_agent_id=each, why=NotMoved.IN_CALL) for each in range(30)),
            Listed(user="2001", live_agent_id=99, why=NotMoved.NOT_ARRIVED, phone_login="2001b", server_ip="127.0.0.1"),
        ),
    )
    return IncidentAnswer(
        incident=msgspec.structs.replace(incident, **changes), acknowledged_by="", silenced_until_ms=None, moves=()
    )


def test_a_block_fits_and_has_whole_what_is_copied() -> None:
    lines = incident_block(_answer(), "DIALER3", zone=CET)
    assert [each for each in lines if len(each) > COLUMNS] == []
    assert lines[0] == f"DIALER3 ({IP}): down since 2026-11-27 20:16:40+01:00"
    assert f"  incident: {NAME}" in lines
    assert f"    hotdesk ack {IP}" in lines
    assert "  6 agents still there; 30 moves, 24 moved, 19 arrived" in lines
    told = " ".join(" ".join(lines).split())
    assert "the twin does not see it either" in told
    # one reason, and after it all whom it is about
    assert told.count("not moved, ") == 1
    assert ": " + ", ".join(f"agent-{each}" for each in range(30)) in told
    assert "2001 (2001b on 127.0.0.1)" in told
    assert "listed, 31 agents:" in told


def test_what_to_type_names_the_cluster_that_was_named() -> None:
    assert f"    hotdesk ack {IP} --cluster west" in incident_block(_answer(), "", cluster="west", zone=CET)


def test_one_that_is_closed_is_not_to_be_acknowledged() -> None:
    lines = incident_block(_answer(closed_at_ms=1_795_807_060_000), "", zone=CET)
    assert lines[0].startswith(f"{IP}: down since ")
    assert "  closed: 2026-11-27 20:17:40+01:00" in lines
    assert "ack" not in " ".join(lines).replace("heartbeat", "")


def test_what_is_withheld_and_who_works_on_it_are_said() -> None:
    answer = _answer(withheld=Reason(ReasonCode.SUSPENDED, "suspended by anna"))
    answer = msgspec.structs.replace(answer, acknowledged_by="bob", silenced_until_ms=1_795_807_060_000)
    told = " ".join(" ".join(incident_block(answer, "", zone=CET)).split())
    assert "no agent is moved now: suspended by anna" in told
    assert "acknowledged by bob, silenced until 2026-11-27 20:17:40+01:00" in told
