"""What forms that anybody can send may do to where agents log in: keep a herd apart for moments, and nothing else."""

from collections import Counter

import msgspec
import pytest

from controller.core.picks import Picked, PickRequest, answer_relogin, pick
from controller.core.policy import Policy
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from controller.core.weights import JUDGED_MS, SHARE_OF_VISITOR, UNUSED_BORNE, WEIGHS_MS
from messages.records import DialerHealth, DialerReading, DialerState, FleetHealth, Grouping, LoginClaim, LoginSlot
from tests.support.builders import (
    NOW_MS,
    ONE,
    PLAIN,
    THREE,
    TWO,
    alias,
    alive,
    campaign,
    desk_state,
    dialer,
    folded,
    phone,
    poll,
    session,
    slot,
)

FOUR = "10.0.0.4"
ALL = (ONE, TWO, THREE, FOUR)
OFFICE, STRANGER = "0ff1ce0000000000", "badbadbadbadbad0"


def _cluster(grouping: Grouping = Grouping.DISABLED) -> ClusterState:
    return folded(
        campaign("SALES", grouping),
        *(phone(f"p{number}", ip) for number, ip in enumerate(ALL, start=1)),
        alias("desk", "p1", "p2", "p3", "p4"),
        alias("narrow", "p1", "p2", "p3"),
        poll(*map(dialer, ALL)),
    )


def _form(  # noqa: PLR0913 # what a form says, and who answers it
    state: ClusterState,
    user: str,
    typed: str = "desk",
    visitor: str = OFFICE,
    screen: str = "",
    *,
    policy: Policy = PLAIN,
) -> str:
    """Send a login form, and return the dialer that was picked. VICIdial has no user called nobody."""
    request = PickRequest(user, typed, "SALES", screen, visitor, no_user=user.startswith("nobody"))
    picked = pick(state, policy, request, "me")
    assert isinstance(picked, Picked), picked
    return picked.slot.server_ip


def _logins(state: ClusterState, visitor: str = OFFICE) -> Counter[str]:
    """Log thirty agents in between two polls, and return where they land."""
    return Counter(_form(state, f"agent{number}", visitor=visitor) for number in range(30))


def _later(state: ClusterState, ms: int, *readings: DialerReading) -> None:
    dialers = readings or tuple(dialer(ip, heartbeat=alive(NOW_MS + ms)) for ip in ALL)
    state.fold(poll(*dialers, sequence=ms, at_ms=NOW_MS + ms))


def _steered(landed: Counter[str]) -> int:
    """Return how many of the logins landed on a dialer beyond its fair share."""
    return sum(max(0, count - 8) for count in landed.values())


@pytest.mark.parametrize(
    ("user", "typed"),
    [("idle{}", "p{}"), ("idle{}", "p{},p{}"), ("nobody{}", "narrow")],
    ids=["one phone", "a list of phones", "no such user"],
)
def test_whoever_chooses_the_dialer_or_is_no_user_steers_no_login(user: str, typed: str) -> None:
    """Though all come from one address."""
    state = _cluster()
    for number in range(240):
        _form(state, user.format(number), typed.format(number % 3 + 1, (number + 1) % 3 + 1))
    assert _steered(_logins(state)) == 0


def test_one_visitor_steers_no_more_than_a_few_logins_of_others() -> None:
    state = _cluster()
    for number in range(240):
        _form(state, f"idle{number}", "narrow", visitor=STRANGER)
    assert _steered(_logins(state)) <= SHARE_OF_VISITOR


def test_a_visitor_whose_forms_come_to_nothing_weighs_no_more() -> None:
    state = _cluster()
    for number in range(UNUSED_BORNE + 1):
        _form(state, f"idle{number}", "narrow", visitor=STRANGER)
    _later(state, JUDGED_MS)
    for number in range(100, 200):
        _form(state, f"idle{number}", "narrow", visitor=STRANGER)
    assert [state.decided.slots.weight_on(ip, STRANGER) for ip in ALL] == [0, 0, 0, 0]
    # and once its slots have ended it begins anew
    _later(state, JUDGED_MS + 30_000)
    _form(state, "idle1", "narrow", visitor=STRANGER)
    assert sum(state.decided.slots.weight_on(ip, STRANGER) for ip in ALL) == 1


def _shows(state: ClusterState, user: str, number: int, ms: int) -> None:
    state.fold(session(user, ONE, number=number, sequence=ms))
    _later(state, ms)


def test_logins_that_take_long_to_show_are_no_misuse() -> None:
    state = _cluster()
    for number in range(3 * UNUSED_BORNE):
        _form(state, f"agent{number}")
        _later(state, 100 * (number + 1))
    for number in range(3 * UNUSED_BORNE):
        _shows(state, f"agent{number}", number + 1, 8000 + 100 * number)
        assert state.decided.slots.unused == 0
        assert state.decided.slots.is_credited(OFFICE)


def test_a_form_came_to_nothing_once_a_later_one_shows() -> None:
    state = _cluster()
    _form(state, "idle")
    _later(state, WEIGHS_MS)
    _form(state, "agent")
    assert state.decided.slots.unused == 0
    _shows(state, "agent", 1, WEIGHS_MS + 1000)
    assert state.decided.slots.unused == 1


def test_the_logins_of_an_office_from_which_a_stranger_sends_forms_too_take_turns() -> None:
    state = _cluster()
    for number in range(60):
        _form(state, f"idle{number}", "narrow")
    _later(state, JUDGED_MS)
    landed: Counter[str] = Counter()
    for number in range(30):
        _form(state, f"more{number}", "narrow")
        landed[_form(state, f"agent{number}")] += 1
    assert _steered(landed) <= 2, landed


def test_agents_who_log_in_over_their_own_sessions_take_turns() -> None:
    state = _cluster()
    for number in range(30):
        state.fold(session(f"agent{number}", ONE, number=number, sequence=500))
    beats = alive(NOW_MS + 500)
    _later(state, 500, *(dialer(ip, 7, heartbeat=beats) for ip in ALL))
    assert _steered(_logins(state)) == 0
    # and one that has fewer agents by far is the next login's all the same
    _later(state, 1000, *(dialer(ip, 3 if ip == TWO else 7, heartbeat=beats) for ip in ALL))
    assert _form(state, "agent31") == TWO


def _at_work(state: ClusterState, *readings: DialerReading) -> ClusterState:
    """Return a cluster in which all thirty agents, and one more, have sessions on the first dialer."""
    for number in range(31):
        state.fold(session(f"agent{number}", ONE, number=number + 1, sequence=500))
    beats = alive(NOW_MS + 500)
    _later(state, 500, *(msgspec.structs.replace(each, heartbeat=beats) for each in readings))
    return state


def test_a_herd_over_its_own_sessions_leaves_a_dialer_its_rooms() -> None:
    readings = dialer(ONE, 1, rooms_free=3), dialer(TWO, 40), dialer(THREE, 40)
    landed = _logins(_at_work(desk_state(*readings), *readings))
    assert landed[ONE] == 3
    assert abs(landed[TWO] - landed[THREE]) <= 3, landed


def test_a_herd_over_its_own_sessions_fills_the_emptiest_dialer_up_to_the_others() -> None:
    readings = dialer(ONE, 30), dialer(TWO, 10), dialer(THREE, 25)
    landed = _logins(_at_work(desk_state(*readings), *readings))
    assert landed[ONE] <= 3, landed
    assert abs(10 + landed[TWO] - 25 - landed[THREE]) <= 4, landed


def test_a_herd_over_its_own_sessions_heeds_the_weights() -> None:
    readings = dialer(ONE), dialer(TWO), dialer(THREE)
    state = desk_state(*readings)
    state.observed.weight_shares = {ONE: 0.6, TWO: 0.3, THREE: 0.1}
    landed = _logins(_at_work(state, *readings))
    assert [landed[ip] for ip in (ONE, TWO, THREE)] == pytest.approx([18, 9, 3], abs=3)


def test_a_herd_over_its_own_sessions_counts_until_they_show() -> None:
    """Polls come more often than a login takes to show."""
    readings = dialer(ONE, 1, rooms_free=3), dialer(TWO, 40), dialer(THREE, 40)
    state = _at_work(desk_state(*readings), *readings)
    landed = _logins(state)
    beats = alive(NOW_MS + 1000)
    _later(state, 1000, *(msgspec.structs.replace(each, heartbeat=beats) for each in readings))
    assert _form(state, "agent30") != ONE
    assert landed[ONE] == 3


def test_a_stranger_who_names_fewer_dialers_takes_no_turn_of_the_others() -> None:
    state = _at_work(_cluster(), *map(dialer, ALL))
    landed: Counter[str] = Counter()
    for number in range(30):
        _form(state, f"agent{(number + 7) % 30}", "narrow", visitor=STRANGER)
        landed[_form(state, f"agent{number}")] += 1
    assert _steered(landed) <= 2, landed


def test_who_logs_in_anew_after_their_dialers_death_weighs() -> None:
    state = _at_work(_cluster(), *map(dialer, ALL))
    down = DialerHealth(state=DialerState.DOWN, since_ms=NOW_MS, life=DialerState.DOWN, served=True)
    state.observed.health = FleetHealth(dialers={ONE: down})
    landed = _logins(state)
    assert sorted(landed[ip] for ip in ALL) == [0, 10, 10, 10]
    assert sum(state.decided.slots.weight_on(ip, OFFICE) for ip in ALL) == 30


def test_forms_sent_again_and_again_weigh_for_the_time_of_one_login() -> None:
    state = _cluster()
    _form(state, "idle", "desk")
    for ms in range(1000, 30_000, 1000):
        _later(state, ms)
        _form(state, "idle", ("desk", "narrow")[ms // 1000 % 2])
        weight = sum(state.decided.slots.weight_on(ip, OFFICE) for ip in ALL)
        assert weight == (ms < WEIGHS_MS), ms


def test_who_is_logged_in_already_counts_once() -> None:
    state = _cluster()
    state.fold(session("1001", ONE, number=7, sequence=2))
    _later(state, 500, dialer(ONE, 1), dialer(TWO), dialer(THREE), dialer(FOUR))
    for screen in "abc":
        _form(state, "1001", screen=screen * 64, visitor=STRANGER)
    assert [state.decided.slots.weight_on(ip, STRANGER) for ip in ALL] == [0, 0, 0, 0]


def test_no_number_of_forms_closes_a_dialer() -> None:
    policy = Policy(max_agents=5)
    state = desk_state(dialer(ONE, rooms_free=3), dialer(TWO, rooms_free=3))
    for number in range(100):
        _form(state, f"idle{number}", ("desk", "p1")[number % 2], visitor=str(number % 9))
    assert all(each.rank is not None for each in rank_dialers(state, policy))


def test_a_dialer_that_forms_would_fill_comes_last() -> None:
    state = desk_state(dialer(ONE, 1, rooms_free=2), dialer(TWO, 9))
    assert [_form(state, f"agent{number}") for number in range(4)] == [ONE, ONE, TWO, TWO]


@pytest.mark.parametrize("grouping", [Grouping.ONE_SERVER_ONLY, Grouping.CASCADING])
def test_no_form_decides_where_a_campaign_goes(grouping: Grouping) -> None:
    state = _cluster(grouping)
    quiet = _form(state, "agent0")
    for number in range(3):
        _form(state, f"idle{number}", "p1", visitor=STRANGER)
        _form(state, f"more{number}", "narrow", visitor=STRANGER)
    assert {_form(state, f"agent{number}") for number in range(1, 5)} == {quiet}


@pytest.mark.parametrize("grouping", [Grouping.ONE_SERVER_ONLY, Grouping.CASCADING])
def test_a_herd_of_a_grouped_campaign_fills_no_dialer_beyond_its_limit(grouping: Grouping) -> None:
    state = _cluster(grouping)
    _later(state, 500, dialer(ONE, 1, campaigns={"SALES": 1}), *map(dialer, (TWO, THREE, FOUR)))
    landed = [_form(state, f"agent{number}", policy=Policy(max_agents=3)) for number in range(6)]
    assert landed == [ONE, ONE, FOUR, FOUR, FOUR, THREE]


def test_a_form_in_an_agents_name_does_not_say_where_that_agent_logs_in() -> None:
    """Nor one of elsewhere, when another dialer had the fewest agents; the same form again keeps its slot."""
    state = _cluster()
    for number in range(30):
        _form(state, f"agent{number}", "p1", visitor=STRANGER)
        _form(state, f"agent{number}", "desk", visitor=STRANGER)
    assert _steered(_logins(state)) == 0
    other = desk_state(dialer(ONE), dialer(TWO, 9))
    assert _form(other, "1001") == ONE
    beats = alive(NOW_MS + WEIGHS_MS)
    _later(other, WEIGHS_MS, dialer(ONE, 20, heartbeat=beats), dialer(TWO, 9, heartbeat=beats))
    assert _form(other, "1001") == ONE
    assert _form(other, "1001", visitor=STRANGER) == TWO


def test_no_visitor_takes_the_claim_of_another_away() -> None:
    state = _cluster()
    _form(state, "1001", screen="a" * 64)
    for number in range(500):
        _form(state, "1001", screen=f"{number:064x}", visitor=STRANGER)
    held = state.decided.slots.of("1001")
    assert held is not None
    assert "a" * 64 in {each.screen for each in held.claims}


def test_offices_of_many_visitors_spread_as_one_does() -> None:
    state = _cluster()
    landed = Counter(_form(state, f"agent{number}", visitor=str(number)) for number in range(30))
    assert _steered(landed) == 0


def test_a_slot_says_what_it_weighs_to_whoever_reads_the_log() -> None:
    state = _cluster()
    _form(state, "1001", visitor=STRANGER)
    _form(state, "1002", "p1", visitor=STRANGER)
    held = {each.user: (each.visitor, each.weighs) for each in state.decided.slots}
    assert held == {"1001": (STRANGER, True), "1002": (STRANGER, False)}
    again = _cluster()
    for each in state.decided.slots:
        again.decided.slots.add(msgspec.structs.replace(each))
    for ip in ALL:
        assert again.decided.slots.weight_on(ip, "") == state.decided.slots.weight_on(ip, "")


def test_a_screen_logs_in_again_with_what_was_typed_there() -> None:
    """Though a visitor's form, with an alias of more phones, has the login counted as that one's."""
    state = _cluster()
    mine, theirs, single = "a" * 64, "b" * 64, "c" * 64
    claims = tuple(
        LoginClaim(alias_id=alias_id, phone_login="p1", server_ip=ONE, screen=screen)
        for alias_id, screen in (("narrow", mine), ("desk", theirs), ("p1", single))
    )
    login = msgspec.structs.replace(slot("1001"), used_by=7, claims=claims)
    state.decided.reserve(msgspec.structs.replace(slot("1001", TWO), planned=True, login=login))
    told = {screen: answer_relogin(state, screen) for screen in (mine, theirs, single)}
    assert {screen: each.alias_id for screen, each in told.items() if isinstance(each, LoginSlot)} == {
        mine: "narrow",
        theirs: "desk",
        single: "desk",
    }
