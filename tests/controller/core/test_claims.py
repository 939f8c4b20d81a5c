"""Whoever knows a user's name can send a login form in it: that neither takes a login away nor pins its agent."""

import msgspec
import pytest

from controller.core.claims import CLAIMS_KEPT
from controller.core.cluster import Cluster, Process, no_decisions
from controller.core.picks import Picked, PickRequest, Refused, answer_relogin, pick
from controller.core.state import ClusterState
from messages.codes import NoRelogin
from messages.records import AgentSession, LoginSlot
from stream.entries import entry_of
from tests.support.builders import (
    CLUSTER,
    NOW_MS,
    ONE,
    PLAIN,
    TWO,
    alias,
    arrived,
    dialer,
    folded,
    phone,
    poll,
    session,
)

AGENT, VISITOR = "a" * 64, "b" * 64
PHONES = {"1001a": ONE, "1001b": TWO, "1002a": ONE, "1002b": TWO}


def _state(*more: AgentSession) -> ClusterState:
    return folded(
        *(
            msgspec.structs.replace(phone(login, server_ip), protocol="SIP", extension=login)
            for login, server_ip in PHONES.items()
        ),
        alias("desk1001", "1001a", "1001b"),
        alias("desk1002", "1002a", "1002b"),
        *more,
        poll(dialer(ONE, 5), dialer(TWO)),
    )


def _on(login: str, number: int = 7, sequence: int = 2) -> AgentSession:
    made = session("1001", PHONES[login], number=number, sequence=sequence)
    return msgspec.structs.replace(made, extension=f"SIP/{login}")


def _ask(state: ClusterState, typed: str, screen: str) -> LoginSlot:
    picked = pick(state, PLAIN, PickRequest("1001", typed, "", screen), "me")
    assert isinstance(picked, Picked), picked
    return picked.slot


def _see(state: ClusterState, login: str, **more: int) -> LoginSlot | None:
    seen = _on(login, **more)
    state.fold(seen)
    state.fold(poll(dialer(ONE, 5), dialer(TWO, 1), sequence=seen.sequence))
    return state.decided.logins.get("1001")


def _move(state: ClusterState) -> None:
    """Reserve what the plan of a move reserves."""
    login = state.decided.logins["1001"]
    state.decided.reserve(
        msgspec.structs.replace(
            login, planned=True, used_by=None, replaces=login.used_by, claims=(), login=login, phone_login="1001a"
        )
    )


def _told(state: ClusterState) -> set[str]:
    return {screen for screen in (AGENT, VISITOR) if isinstance(answer_relogin(state, screen), LoginSlot)}


@pytest.mark.parametrize("last", [AGENT, VISITOR])
def test_a_form_in_an_agents_name_takes_no_order_away(last: str) -> None:
    state = _state()
    first = VISITOR if last == AGENT else AGENT
    for screen in (first, last):
        _ask(state, "desk1001", screen)
    assert _see(state, "1001b")
    _move(state)
    assert _told(state) == {AGENT, VISITOR}
    # an order that the visitor has asked for first is the agent's all the same
    assert isinstance(answer_relogin(state, VISITOR), LoginSlot)
    assert isinstance(answer_relogin(state, AGENT), LoginSlot)


@pytest.mark.parametrize("typed", ["1001a", "1001b", "desk1002", "1001b,1002a,1002b"])
def test_a_login_is_that_of_the_claim_whose_phone_the_session_has_and_of_those_the_widest_alias(typed: str) -> None:
    state = _state()
    for what, screen in (("desk1001", AGENT), (typed, VISITOR)):
        _ask(state, what, screen)
    login = _see(state, "1001b")
    assert login
    assert (login.alias_id, login.phone_login, login.server_ip, login.used_by) == ("desk1001", "1001b", TWO, 7)
    _move(state)
    assert AGENT in _told(state)


def test_where_only_others_asked_the_session_is_nobodys_claim() -> None:
    state = _state()
    _ask(state, "desk1002", VISITOR)
    assert _see(state, "1001b") is None
    assert len(state.decided.slots) == 0


def test_an_answer_that_came_too_late_still_says_which_alias_it_was() -> None:
    state = _state()
    assert _ask(state, "desk1001", AGENT).phone_login == "1001b"
    login = _see(state, "1001a")
    assert login
    assert login.alias_id == "desk1001"


def test_a_phone_that_no_session_shows_as_it_is_filed_is_matched_by_its_dialer() -> None:
    state = _state()
    _ask(state, "desk1002", VISITOR)
    _ask(state, "1001a", AGENT)
    state.fold(msgspec.structs.replace(_on("1001a"), extension="Local/1001@default"))
    state.fold(poll(dialer(ONE, 6), dialer(TWO), sequence=2))
    assert state.decided.logins["1001"].alias_id == "1001a"


def test_a_form_that_hotdesk_refuses_ends_no_slot() -> None:
    state = _state()
    held = _ask(state, "desk1001", AGENT)
    assert isinstance(pick(state, PLAIN, PickRequest("1001", "nonsense", "", VISITOR), "me"), Refused)
    assert list(state.decided.slots) == [held]


def test_claims_are_bounded_and_the_latest_are_kept() -> None:
    state = _state()
    for number in range(CLAIMS_KEPT):
        _ask(state, "desk1001", f"{number:064x}")
    held = _ask(state, "desk1001", AGENT)
    assert (len(held.claims), held.claims[-1].screen) == (CLAIMS_KEPT, AGENT)


def test_forms_sent_during_a_session_leave_its_login_as_it_is_also_for_who_reads_the_log() -> None:
    cluster = Cluster(CLUSTER, PLAIN, Process("me", ""), owned=True, decisions=no_decisions())
    cluster.state = _state()
    cluster.pick(PickRequest("1001", "desk1001", "", AGENT))
    login = _see(cluster.state, "1001b")
    _, asked = cluster.pick(PickRequest("1001", "desk1002", "", VISITOR))
    assert cluster.state.decided.logins["1001"] == login
    reader = _state(_on("1001b", sequence=1))
    for news in arrived(*asked):
        reader.fold(news)  # type: ignore[arg-type] # these are no dead letters
    assert reader.decided.logins["1001"] == login
    # and when that slot is over, the record under its key is the login again
    cluster.judge()
    cluster.state.fold(poll(dialer(ONE, 5), dialer(TWO, 1), sequence=3, at_ms=NOW_MS + 60_000))
    (left,) = cluster.judge()
    assert left == entry_of(cluster.state.decided.logins["1001"])
    _move(cluster.state)
    assert _told(cluster.state) == {AGENT}


def test_forms_sent_during_a_move_neither_end_it_nor_decide_the_next_login() -> None:
    state = _state()
    _ask(state, "desk1001", AGENT)
    _see(state, "1001b")
    _move(state)
    _ask(state, "desk1002", VISITOR)
    assert _told(state) == {AGENT}
    _ask(state, "desk1001", "c" * 64)
    login = _see(state, "1001a", number=8, sequence=3)
    assert login
    assert (login.alias_id, login.used_by, [each.screen for each in login.claims]) == ("desk1001", 8, ["c" * 64, ""])
    assert answer_relogin(state, AGENT) is NoRelogin.NONE


def test_a_slot_of_a_move_is_released_by_no_login() -> None:
    cluster = Cluster(CLUSTER, PLAIN, Process("me", ""), owned=True, decisions=no_decisions())
    cluster.state = _state()
    _ask(cluster.state, "desk1001", AGENT)
    _see(cluster.state, "1001b")
    _move(cluster.state)
    assert cluster.release("1001") == []
    assert _told(cluster.state) == {AGENT}


@pytest.mark.parametrize("planned", [True, False])
def test_a_slot_of_an_earlier_build_names_its_screens_as_it_did(planned: bool) -> None:
    state = _state()
    held = LoginSlot(
        cluster=CLUSTER,
        user="1001",
        alias_id="desk1001",
        phone_login="1001b",
        server_ip=TWO,
        handed_out_at_ms=NOW_MS,
        until_ms=NOW_MS + 30_000,
        planned=planned,
        screen=VISITOR if planned else AGENT,
        asked_by=AGENT if planned else "",
        handed_out_by="before",
    )
    state.decided.reserve(held)
    assert isinstance(answer_relogin(state, VISITOR), LoginSlot) is planned
    login = _see(state, "1001b")
    assert login
    _move(state)
    assert _told(state) == {AGENT}
