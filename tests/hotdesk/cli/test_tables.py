"""Tables in a terminal of 80 columns: nothing is cut that somebody has to copy."""

import io

import msgspec
import pytest

from controller.api.schemas import AliasAnswer, PhoneAnswer
from controller.core.readiness import ReadinessFinding, Severity, check_readiness
from hotdesk.cli.ranking import ranking_table
from hotdesk.cli.readiness import findings_table
from hotdesk.cli.terminal import Console, Table, row, table
from hotdesk.cli.views import dialers_table
from messages.records import DialerState, Ineligible, RankedDialer
from tests.support.builders import alias, dialer, folded, phone, poll

ADDRESSES = [f"192.168.198.{number}" for number in range(111, 115)]
NAMES = [f"LONGNAME{number:02}" for number in range(4)]
LOGIN = "a-login-of-20-signs-"


def shown(what: Table, width: int = 80) -> str:
    """Return a table as a terminal shows it."""
    out = io.StringIO()
    Console(file=out, width=width).print(what)
    assert max(map(len, out.getvalue().splitlines())) <= width
    assert "…" not in out.getvalue()
    return out.getvalue()


def test_the_live_view_has_whole_what_an_order_names() -> None:
    dialers = [
        RankedDialer(
            server_ip=address,
            server_id=name,
            state=DialerState.RECOVERING,
            rank=None,
            ineligible_because=(Ineligible.DOWN,),
            evidence="heartbeat stalled for 120.0 s, SIP unreachable, AMI gives no answer",
            agents=150,
            slots=12,
            load=162.0,
            rooms_free=150,
            heartbeat_stalled_seconds=120.0,
        )
        for address, name in zip(ADDRESSES, NAMES, strict=True)
    ]
    narrow = shown(dialers_table(dialers))
    assert all(each in narrow for each in (*ADDRESSES, *NAMES, "recovering", "150", "unreachable"))
    wide = shown(dialers_table(dialers), 200)
    assert all(f"{name} {address}" in wide for address, name in zip(ADDRESSES, NAMES, strict=True))
    assert "rooms" in wide


def test_the_ranking_of_an_alias_has_whole_the_phone_and_the_dialer() -> None:
    phones = tuple(
        PhoneAnswer(
            phone_login=LOGIN,
            server_ip=each,
            rank=None,
            ineligible_because=(Ineligible.DOWN, Ineligible.DRAINING),
            agents=150,
            slots=12,
            load=15.25,
            crowded=False,
        )
        for each in ADDRESSES
    )
    answer = AliasAnswer(
        cluster="west", alias="desk", campaign="", age_ms=0, stale=False, forced_by=None, phones=phones
    )
    narrow = shown(ranking_table(answer, "west"))
    assert narrow.count(LOGIN) == len(ADDRESSES)
    assert all(each in narrow for each in ADDRESSES)


def test_the_findings_have_whole_where_they_are() -> None:
    finding = ReadinessFinding(
        severity=Severity.WARNING,
        kind="not_registered",
        where=f"alias {LOGIN}",
        what="its phone 1001a on 192.168.198.111 is UNREACHABLE",
        remedy="have the softphone register on every dialer of the alias, and stay registered",
    )
    narrow = shown(findings_table([finding], "west"))
    assert LOGIN in narrow
    assert "192.168.198.111" in narrow


def test_equal_findings_are_one_row_with_their_number_and_some_names() -> None:
    desks = [f"desk{number}" for number in range(1001, 1101)]
    absent = [
        msgspec.structs.replace(phone(f"{desk}{where}", ip), protocol="SIP", peer_status="UNREACHABLE")
        for desk in desks
        for where, ip in (("a", ADDRESSES[0]), ("b", ADDRESSES[1]))
    ]
    state = folded(
        *(alias(desk, f"{desk}a", f"{desk}b") for desk in desks),
        *absent,
        poll(*(dialer(each) for each in ADDRESSES[:2])),
    )
    found = [each for each in check_readiness(state) if each.kind == "not_registered"]
    assert len(found) == 200
    said = shown(findings_table(found, "west"), 200)
    assert "readiness of west: 200 findings" in said
    for ip in ADDRESSES[:2]:
        (line,) = (each for each in said.splitlines() if ip in each)
        assert "100 aliases: desk1001, desk1002, desk1003, desk1004, desk1005 and 95 more" in line
        assert f"its phone on {ip} is UNREACHABLE" in line
    assert said.count("have the softphone register") == 2
    alone = shown(findings_table(found[:1], "west"), 200)
    assert "alias desk1001 " in alone
    assert f"its phone {found[0].what.split()[2]} on" in alone


@pytest.mark.parametrize("width", [200, 60, 45])
def test_a_table_leaves_out_what_is_spare_before_it_parts_a_word(width: int) -> None:
    rows = table(
        "dialer", "load", "slots", "why", numbers=("load", "slots"), whole=("dialer",), spare=("load", "slots")
    )
    row(rows, ADDRESSES[0], 162.25, 12, "it takes no login, as it is drained by order")
    said = shown(rows, width)
    assert ADDRESSES[0] in said
    assert ("load" in said, "slots" in said) == (width > 60, width > 45)
    assert " ".join(said.split()).count("drained") == 1
