"""Sessions: whatever came, changed or went, the sums are those of the rows that are there now."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from collectors.sessions import Change, Sessions
from collectors.vicidial.rows import AgentRow, OddRows, Row, agent
from messages.codes import Odd
from messages.records import AgentStatus

ONE, TWO = b"10.0.0.1", b"10.0.0.2"


def _row(number: int, user: bytes, server_ip: bytes, status: bytes, extension: bytes = b"SIP/1") -> Row:
    return (str(number).encode(), user, server_ip, extension, b"", status, b"SALES", b"", b"", b"N", b"0")


BROKEN: Row = (None,) * 11
ROWS = st.builds(
    _row,
    st.integers(1, 6),
    st.sampled_from([b"anna", b"ANNA", b"bert", b"carl"]),
    st.sampled_from([ONE, TWO]),
    st.sampled_from([b"READY", b"INCALL", b"ODD"]),
    st.sampled_from([b"SIP/1", b"R/1"]),
) | st.just(BROKEN)


def _packed(row: Row) -> bytes:
    return b"\x1f".join(each or b"" for each in row)


@given(st.lists(st.lists(ROWS, max_size=8), max_size=5), st.booleans())
def test_after_any_readings_the_sums_are_those_of_the_last_one(readings: list[list[Row]], packed: bool) -> None:
    sessions = Sessions()
    known: dict[str, AgentRow] = {}
    for found in readings:
        for name, (before, now) in sessions.read([*map(_packed, found)] if packed else found).items():
            assert known.pop(name, None) == before != now
            known |= {} if now is None else {name: now}
        odd = OddRows()
        agents = [each for each in (agent(_packed(row) if packed else row, odd) for row in found) if each is not None]
        users = {each.user.lower() for each in agents}
        latest = {name: max(each.live_agent_id for each in agents if each.user.lower() == name) for name in users}
        assert {name: each.live_agent_id for name, each in known.items()} == latest
        assert sessions.of_user == known
        for server_ip, counts in sessions.on_dialer.items():
            there = [each for each in agents if each.server_ip == server_ip]
            own = [each for each in there if not each.remote]
            assert (counts.sessions, counts.remote) == (len(there), len(there) - len(own))
            assert counts.by_status == Counter(each.status for each in own)
        assert {each.server_ip for each in agents} == set(sessions.on_dialer)
        odd[Odd.TWO_SESSIONS] += len(agents) - len(users)
        assert sessions.odd([ONE.decode(), TWO.decode()]) == +odd


def test_what_came_and_went_is_told_in_the_same_order_whatever_the_order_of_the_rows() -> None:
    found = [_row(number, f"user{number}".encode(), ONE, b"READY") for number in range(1, 30)]
    forwards, backwards = Sessions(), Sessions()
    assert list(forwards.read(found)) == list(backwards.read(found[::-1]))
    assert list(forwards.read([])) == list(backwards.read([]))


def test_a_session_of_no_dialer_is_odd_and_a_row_that_stays_is_no_change() -> None:
    sessions = Sessions()
    rows = [_row(1, b"anna", ONE, b"READY"), _row(2, b"bert", TWO, b"READY")]
    assert set(sessions.read(rows)) == {"anna", "bert"}
    assert sessions.odd([ONE.decode()]) == {Odd.SESSION_WITHOUT_SERVER: 1}
    changes = sessions.read([rows[0], _row(2, b"bert", TWO, b"INCALL")])
    assert {name: (before and before.status, now and now.status) for name, (before, now) in changes.items()} == {
        "bert": (AgentStatus.READY, AgentStatus.INCALL)
    }
    assert sessions.read([rows[0]]) == {"bert": Change(changes["bert"].now, None)}
    assert list(sessions.by_number) == [1]
