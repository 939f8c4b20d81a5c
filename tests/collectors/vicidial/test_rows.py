"""Rows as fifteen years of software left them: counted by what is odd about them, and never a crash."""

from collections.abc import Callable
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.vicidial import rows
from collectors.vicidial.rows import DialerRow, OddRows, PhoneRow, Row
from messages.codes import Odd
from messages.records import AgentStatus, AliasDefect, Grouping

ONE, TWO = "10.0.0.1", "10.0.0.2"
NULL_PHONE = (None,) * 7


def _server(server_ip: str = ONE) -> DialerRow:
    return DialerRow(
        server_ip,
        server_id="",
        description="",
        active=True,
        agent_logins=True,
        asterisk=True,
        twin_server_ip="",
        confbridge=False,
    )


KNOWN = {ip: _server(ip) for ip in (ONE, TWO)}


def _agent(**columns: bytes | None) -> Row:
    usual: dict[str, bytes | None] = {
        "live_agent_id": b"7",
        "user": b"1001",
        "server_ip": ONE.encode(),
        "extension": b"SIP/1001",
        "conf_exten": b"8600051",
        "status": b"READY",
        "campaign": b"SALES",
        "call_server_ip": b"",
        "pause": b"",
        "on_hook": b"N",
        "lead": b"0",
    }
    return tuple((usual | columns).values())


def _phone(login: bytes | None = b"p1", server_ip: bytes | None = ONE.encode(), active: bytes | None = b"Y") -> Row:
    return login, server_ip, b"1001", active, b"SIP", b"N", b"REGISTERED"


def _odd(read: Callable[[OddRows], object]) -> dict[Odd, int]:
    """Return what a parser counted."""
    odd = OddRows()
    read(odd)
    return {kind: count for kind, count in odd.items() if count}


# --- servers and heartbeats -------------------------------------------------------------------------------------


def test_a_server_is_read() -> None:
    odd = OddRows()
    row = (ONE.encode(), b"D1", "Büro".encode(), b"Y", b"N", b"Y", b"10.0.0.9", b"CONFBRIDGE")
    assert rows.dialers([row], odd) == {ONE: DialerRow(ONE, "D1", "Büro", True, False, True, "10.0.0.9", True)}
    assert not odd


def test_a_server_full_of_nulls_takes_no_part() -> None:
    assert rows.dialers([(ONE.encode(), *[None] * 7)], OddRows()) == {
        ONE: DialerRow(ONE, "", "", False, False, False, "", False)
    }
    assert _odd(lambda odd: rows.dialers([(None,) * 8, (b"",) * 8], odd)) == {Odd.NULL_KEY: 2}


@pytest.mark.parametrize(
    ("written", "twin"),
    [(b"10.0.0.9", "10.0.0.9"), (b"10.0.0.9 ", "10.0.0.9"), (b"NONE", ""), (b"NONE ", "NONE"), (b"", ""), (None, "")],
)
def test_a_twin_of_fewer_than_five_characters_is_none(written: bytes | None, twin: str) -> None:
    row = (ONE.encode(), b"D1", b"", b"Y", b"Y", b"Y", written, b"MEETME")
    assert rows.dialers([row], OddRows())[ONE].twin_server_ip == twin


def test_blanks_at_the_end_of_a_key_do_not_count_as_in_vicidials_tables() -> None:
    odd, here = OddRows(), ONE.encode() + b"  "
    known = rows.dialers([(here, b"D1", *[None] * 6)], odd)
    assert list(known) == [ONE]
    assert list(rows.heartbeats([(here, b"2027-02-01 00:00:00", None, b"1")], known, odd)) == [ONE]
    agent = rows.agent(
        _agent(
            user=b"1001 ", server_ip=here, extension=b"SIP/1 ", conf_exten=b"86 ", campaign=b"A ", call_server_ip=here
        ),
        odd,
    )
    assert agent is not None
    assert agent[1:5] == ("1001", ONE, "SIP/1", "86")
    assert agent[6:8] == ("A", ONE)
    assert rows.logins([(b"1", b"ANNA ", here, b"desk ")]) == {"anna": (ONE, "desk")}
    assert rows.work([(here, b"3")]) == {ONE: 3}
    assert rows.lost_screens([(b"Anna ", here)]) == {("anna", ONE)}
    assert rows.channels([(here, b"86 ")]) == {(ONE, "86")}
    assert rows.rooms([(here, b"9", b"8")], odd) == {ONE: (9, 8)}
    phones = rows.phones([(b"P1 ", here, b"1 ", b"Y", b"SIP", b"N", b"")], known, odd)
    assert phones["p1"][:3] == ("P1", ONE, "1")
    aliases = rows.aliases([(b"Desk ", b"", b"p1")], phones, odd, rows.marks([(b"p1 ", b"x", b"x")]), frozenset({"p1"}))
    assert aliases["desk"] == ("Desk", "", ("p1",), (AliasDefect.TWO_PHONES,))
    assert rows.shared_logins([(b"p1",), (b"P1 ",)]) == {"p1"}
    assert rows.campaigns([(b"Sales ", None, b"9")], odd)["sales"].campaign_id == "Sales"
    assert not odd.total()


@pytest.mark.parametrize("user", [b" ", b"   "])
def test_a_key_of_blanks_is_none(user: bytes) -> None:
    assert _odd(lambda odd: rows.agent(_agent(user=user), odd)) == {Odd.NULL_KEY: 1}


@pytest.mark.parametrize(
    ("last_update", "age", "kind"),
    [
        (None, None, Odd.HEARTBEAT_NO_DATE),
        (b"0000-00-00 00:00:00", b"1800000000.5", Odd.HEARTBEAT_NO_DATE),
        (b"2027-02-00 00:00:00", None, Odd.HEARTBEAT_NO_DATE),
        (b"2027-02-01 00:00:00", b"nan", Odd.HEARTBEAT_NO_DATE),
        (b"2027-02-01 00:00:00", b"soon", Odd.HEARTBEAT_NO_DATE),
    ],
)
def test_a_heartbeat_that_is_no_date_has_no_age(last_update: bytes | None, age: bytes | None, kind: Odd) -> None:
    odd = OddRows()
    read = rows.heartbeats([(ONE.encode(), last_update, None, age)], KNOWN, odd)
    assert read[ONE].age_seconds is None
    assert read[ONE].value == (last_update, None)
    assert odd == {kind: 1}


@pytest.mark.parametrize(("age", "seconds"), [(b"0.25", 0.25), (b"-3600.75", -3600.75), (b"99999999999", 99999999999)])
def test_a_heartbeats_age_is_read_whatever_the_clocks_say(age: bytes, seconds: float) -> None:
    odd = OddRows()
    read = rows.heartbeats([(ONE.encode(), b"2027-02-01 00:00:00", None, age)], KNOWN, odd)
    assert read[ONE].age_seconds == seconds
    assert not odd


def test_a_heartbeat_without_a_server_is_counted_and_left_out() -> None:
    odd = OddRows()
    strangers = [(b"10.9.9.9", b"2027-02-01 00:00:00", None, b"1"), (None, None, None, None)]
    assert rows.heartbeats(strangers, KNOWN, odd) == {}
    assert odd == {Odd.HEARTBEAT_WITHOUT_SERVER: 2}


# --- agents -----------------------------------------------------------------------------------------------------


def test_an_agent_is_read() -> None:
    odd = OddRows()
    agent = rows.agent(_agent(on_hook=b"Y", pause=b"LOGOUT", call_server_ip=TWO.encode()), odd)
    assert agent is not None
    assert agent == (7, "1001", ONE, "SIP/1001", "8600051", AgentStatus.READY, "SALES", TWO, "LOGOUT", True, 0)
    assert not agent.remote
    assert not odd


def test_a_remote_agent_is_told_by_its_extension() -> None:
    remote = rows.agent(_agent(extension=b"R/9001"), OddRows())
    assert remote is not None
    assert remote.remote


@pytest.mark.parametrize("status", [b"", None, b"LAGGED", b"ready", b"\xff"])
def test_a_status_nobody_documents_is_counted_as_other(status: bytes | None) -> None:
    odd = OddRows()
    agent = rows.agent(_agent(status=status), odd)
    assert agent is not None
    assert agent.status is AgentStatus.OTHER
    assert odd[Odd.UNKNOWN_STATUS] == 1


@pytest.mark.parametrize("user", [None, b""])
def test_an_agent_without_user_is_left_out(user: bytes | None) -> None:
    odd = OddRows()
    assert rows.agent(_agent(user=user), odd) is None
    assert odd == {Odd.NULL_KEY: 1}


@pytest.mark.parametrize(
    ("written", "read", "kinds"),
    [
        (b"4294967295", 4_294_967_295, {}),
        (b"-7", -7, {}),
        (None, 0, {}),
        (b"", 0, {Odd.BAD_NUMBER: 1}),
        (b"seven", 0, {Odd.BAD_NUMBER: 1}),
        (b"7.5", 0, {Odd.BAD_NUMBER: 1}),
        (b"9" * 5000, 0, {Odd.BAD_NUMBER: 1}),
    ],
)
def test_a_number_is_read_or_counted(written: bytes | None, read: int, kinds: dict[Odd, int]) -> None:
    odd = OddRows()
    agent = rows.agent(_agent(live_agent_id=written), odd)
    assert agent is not None
    assert agent.live_agent_id == read
    assert odd == kinds


def test_text_that_is_no_utf8_is_counted_and_kept_as_far_as_it_is() -> None:
    odd = OddRows()
    agent = rows.agent(_agent(user=b"M\xfcller"), odd)
    assert agent is not None
    assert agent.user == "M\N{REPLACEMENT CHARACTER}ller"
    assert odd == {Odd.BAD_TEXT: 1}


# --- phones and aliases -----------------------------------------------------------------------------------------


def test_of_two_phones_with_one_login_the_active_one_counts() -> None:
    for given_rows in (
        [_phone(active=b"N"), _phone(server_ip=TWO.encode())],
        [_phone(server_ip=TWO.encode()), _phone(b"P1", active=b"N")],
    ):
        odd = OddRows()
        read = rows.phones(given_rows, KNOWN, odd)
        assert [(phone.server_ip, phone.active) for phone in read.values()] == [(TWO, True)]
        assert odd == {Odd.TWO_PHONES: 1}


def test_of_two_active_phones_with_one_login_it_is_the_same_one_each_time() -> None:
    both = [_phone(), _phone(server_ip=TWO.encode())]
    assert rows.phones(both, KNOWN, OddRows()) == rows.phones(both[::-1], KNOWN, OddRows())


def test_odd_phones_are_counted() -> None:
    assert _odd(lambda odd: rows.phones([NULL_PHONE, _phone(b"")], KNOWN, odd)) == {Odd.NULL_KEY: 2}
    assert _odd(lambda odd: rows.phones([_phone(server_ip=b"10.9.9.9")], KNOWN, odd)) == {Odd.PHONE_WITHOUT_SERVER: 1}
    assert _odd(lambda odd: rows.phones([_phone(server_ip=None)], KNOWN, odd)) == {Odd.PHONE_WITHOUT_SERVER: 1}


@pytest.mark.parametrize(
    ("webphone", "expected"), [(b"Y", True), (b"Y_API_LAUNCH", True), (b"N", False), (b"", False), (None, False)]
)
def test_a_webphone_is_told_by_any_way_to_say_yes(webphone: bytes | None, expected: bool) -> None:
    read = rows.phones([(b"p1", ONE.encode(), b"1", b"Y", b"SIP", webphone, None)], KNOWN, OddRows())
    assert read["p1"].webphone is expected


PHONES = {
    login: PhoneRow(login, ip, "1", active=True, protocol="SIP", webphone=False, peer_status="")
    for login, ip in (("p1", ONE), ("p2", TWO), ("p3", TWO))
}


@pytest.mark.parametrize(
    ("logins_list", "logins", "kinds"),
    [
        (b"p2,p1", ("p2", "p1"), {}),
        (b" p2 , P1 ,", ("p2", "P1"), {}),
        (b"", (), {Odd.ALIAS_EMPTY: 1}),
        (None, (), {Odd.ALIAS_EMPTY: 1}),
        (b",,", (), {Odd.ALIAS_EMPTY: 1}),
        (b"p1,gone,lost", ("p1", "gone", "lost"), {Odd.ALIAS_WITHOUT_PHONE: 1}),
        (b"p1,p2,p3", ("p1", "p2", "p3"), {Odd.ALIAS_SAME_SERVER: 1}),
        (b"p1,p1", ("p1", "p1"), {Odd.ALIAS_SAME_SERVER: 1}),
        (b"p1,\xff", ("p1", "\N{REPLACEMENT CHARACTER}"), {Odd.BAD_TEXT: 1, Odd.ALIAS_WITHOUT_PHONE: 1}),
    ],
)
def test_an_aliass_list_is_read_in_its_order(
    logins_list: bytes | None, logins: tuple[str, ...], kinds: dict[Odd, int]
) -> None:
    odd = OddRows()
    read = rows.aliases([(b"Desk", b"Desk 1", logins_list)], PHONES, odd)
    assert read["desk"] == ("Desk", "Desk 1", logins, ())
    assert {kind: count for kind, count in odd.items() if count} == kinds


def test_an_alias_without_id_is_left_out() -> None:
    assert _odd(lambda odd: rows.aliases([(None, b"x", b"p1"), (b"", b"x", b"p1")], PHONES, odd)) == {Odd.NULL_KEY: 2}


# --- campaigns, settings, weights, rooms ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grouping", "expected", "kinds"),
    [
        (b"CASCADING", Grouping.CASCADING, {}),
        (b"", Grouping.DISABLED, {}),
        (None, Grouping.DISABLED, {}),
        (b"SIDEWAYS", Grouping.DISABLED, {Odd.UNKNOWN_GROUPING: 1}),
    ],
)
def test_a_grouping_is_read_or_counted(grouping: bytes | None, expected: Grouping, kinds: dict[Odd, int]) -> None:
    odd = OddRows()
    assert rows.campaigns([(b"Sales", grouping, b"9")], odd) == {"sales": ("Sales", expected, 9)}
    assert odd == kinds


def test_a_campaign_without_limit_has_vicidials() -> None:
    odd = OddRows()
    read = rows.campaigns([(b"A", None, None), (b"B", None, b"many"), (None, None, None)], odd)
    assert [each.grouping_limit for each in read.values()] == [50, 50]
    assert odd == {Odd.BAD_NUMBER: 1, Odd.NULL_KEY: 1}


@pytest.mark.parametrize(
    ("entry", "weights", "bad"),
    [
        (None, {}, 0),
        (b"", {}, 0),
        (b"10.0.0.1,3\r\n10.0.0.2,5\n", {ONE: 3.0, TWO: 5.0}, 0),
        (b"10.0.0.1,40\n10.0.0.2,40 ; the new box", {ONE: 40.0, TWO: 40.0}, 0),
        (b"10.0.0.1 ,\t2 \n", {ONE: 2.0}, 0),
        (b"10.0.0.1,20.5\n10.0.0.2,1e3", {ONE: 20.0, TWO: 1.0}, 0),
        (b"10.0.0.1,1,2", {ONE: 1.0}, 0),
        (b"10.0.0.1,0", {ONE: 0.0}, 0),
        (b"10.0.0.1,1\n10.0.0.1,2", {ONE: 2.0}, 0),
        (b"\n  \n 10.0.0.1,2\n10.0.0.2,1", {TWO: 1.0}, 1),
        (b"10.0.0.1", {}, 1),
        (b"10.0.0.1,", {}, 1),
        (b",5", {}, 1),
        (b"dialer1,20\n10.0.0,20\n10.0.0.1.5,20", {}, 3),
        (b"10.0.0.1,heavy\n10.0.0.2,1", {TWO: 1.0}, 1),
        (b"10.0.0.1,-1\n10.0.0.2,nan\n10.0.0.3,inf\n10.0.0.4,.5", {}, 4),
        (b"10.0.0.1," + b"9" * 5000, {}, 1),
        ("10.0.0.1,\N{ARABIC-INDIC DIGIT TWO}".encode(), {}, 1),
        (b"# IP,weight", {}, 1),
    ],
)
def test_weights_are_read_line_by_line(entry: bytes | None, weights: dict[str, float], bad: int) -> None:
    odd = OddRows()
    read = rows.settings([(b"9", b"2")], [(entry,)], ("servers.conf_engine",), odd)
    assert (read.grouping_limit, read.agent_logout_link) == (9, 2)
    assert read.missing_columns == ("servers.conf_engine",)
    assert dict(read.weights) == weights
    assert odd[Odd.BAD_WEIGHT] == bad


@pytest.mark.parametrize("row", [[], [(None, None)], [(b"many", b"maybe")]])
def test_settings_that_are_absent_or_odd_are_vicidials(row: list[Row]) -> None:
    read = rows.settings(row, [], (), OddRows())
    assert (read.grouping_limit, read.agent_logout_link, read.weights) == (100, 1, ())


def test_rooms_are_read_or_counted() -> None:
    odd = OddRows()
    read = rows.rooms([(ONE.encode(), b"249", b"240"), (TWO.encode(), None, b"few")], odd)
    assert read == {ONE: (249, 240), TWO: (0, 0)}
    assert odd == {Odd.BAD_NUMBER: 1}


# --- anything at all --------------------------------------------------------------------------------------------

COLUMN = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from(
        [b"", b"Y", b"N", ONE.encode(), TWO.encode(), b"0000-00-00 00:00:00", b"-1", b"1e5", b"nan", b"inf"]
    ),
    st.text(max_size=8).map(lambda written: written.encode(errors="surrogatepass")),
    st.integers().map(lambda written: b"%d" % written),
    st.just(b"9" * 5000),
)


def _rows(columns: int) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.tuples(*[COLUMN] * columns), max_size=6)


@given(_rows(8), _rows(4))
def test_any_servers_and_heartbeats(servers: list[Row], beats: list[Row]) -> None:
    odd = OddRows()
    known = rows.dialers(servers, odd)
    assert all(ip and ip == server.server_ip for ip, server in known.items())
    read = rows.heartbeats([*beats, *((server[0], *server[1:4]) for server in servers)], known, odd)
    assert read.keys() <= known.keys()
    assert all(each.age_seconds is None or isfinite(each.age_seconds) for each in read.values())


@given(_rows(2))
def test_any_work(counts: list[Row]) -> None:
    assert all(abs(count) <= rows.LARGEST for count in rows.work(counts).values())


@given(_rows(11))
def test_any_agents(agents: list[Row]) -> None:
    odd = OddRows()
    read = [rows.agent(row, odd) for row in agents]
    assert odd[Odd.NULL_KEY] == sum(agent is None for agent in read)
    assert all(agent is None or agent.user for agent in read)
    # a record holds no larger one
    assert all(agent is None or abs(agent.live_agent_id) <= rows.LARGEST for agent in read)


@given(_rows(7), _rows(3))
def test_any_phones_and_aliases(phones: list[Row], aliases: list[Row]) -> None:
    odd = OddRows()
    known = rows.phones(phones, KNOWN, odd)
    assert len(known) + odd[Odd.NULL_KEY] + odd[Odd.TWO_PHONES] == len(phones)
    read = rows.aliases([*aliases, *((row[0], row[1], row[0]) for row in phones)], known, odd)
    assert all(all(alias.logins) for alias in read.values())


@given(_rows(3), _rows(3), _rows(2), _rows(1))
def test_any_rooms_campaigns_and_settings(
    rooms: list[Row], campaigns: list[Row], settings: list[Row], weights: list[Row]
) -> None:
    odd = OddRows()
    rows.rooms(rooms, odd)
    assert all(name == name.lower() for name in rows.campaigns(campaigns, odd))
    read = rows.settings(settings, weights, (), odd)
    assert all(ip and isfinite(weight) and weight >= 0 for ip, weight in read.weights)


SECRETS = [(b"p1", b"one", b"x"), (b"P2", b"one", b"x"), (b"p3", b"two", b"x"), (b"p4", b"one", b"y")]


@pytest.mark.parametrize(
    ("listed", "defects"),
    [
        (b"p1,p2", ()),
        (b"p1,p3", (AliasDefect.PASSWORDS_DIFFER,)),
        (b"p1,p4", (AliasDefect.SECRETS_DIFFER,)),
        (b"p1,twice", (AliasDefect.TWO_PHONES,)),
        (b"p1," + b"x" * 252, (AliasDefect.LIST_CUT,)),
        (b"p1," + b"x" * 251, ()),
    ],
)
def test_what_is_secret_is_compared_and_never_kept(listed: bytes, defects: tuple[AliasDefect, ...]) -> None:
    marks = rows.marks(SECRETS)
    read = rows.aliases([(b"desk", b"", listed)], {}, rows.OddRows(), marks, frozenset({"twice"}))
    assert read["desk"].defects == defects
    assert not any(secret in repr((marks, read)) for secret in ("'one'", "'two'", "b'x'", "b'y'"))


def test_a_login_that_two_phones_have_is_found_whatever_its_case() -> None:
    assert rows.shared_logins([(b"p1",), (b"P1",), (b"p2",), (None,)]) == {"p1"}
