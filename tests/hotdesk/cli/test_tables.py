"""Tables in a terminal of 80 columns: nothing is cut that somebody has to copy."""

import io

import pytest

from controller.api.schemas import AliasAnswer, PhoneAnswer
from controller.core.readiness import ReadinessFinding, Severity
from hotdesk.cli.ranking import ranking_table
from hotdesk.cli.readiness import findings_table
from hotdesk.cli.terminal import Console, Table, row, table
from hotdesk.cli.views import dialers_table
from messages.records import DialerState, Ineligible, RankedDialer

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
