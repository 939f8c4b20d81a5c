"""The answer to a login: the same when asked again, spread over a herd, and never beyond what a dialer takes."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.core.claims import resolve
from controller.core.picks import Picked, PickRequest, Refused, answer_relogin, pick
from controller.core.policy import Policy
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from controller.core.weights import JUDGED_MS, SHARE_OF_VISITOR, WEIGHS_MS
from messages.codes import NoPick, NoRelogin
from messages.records import (
    DialerHealth,
    DialerState,
    FleetHealth,
    Ineligible,
    LoginClaim,
    LoginSlot,
    Relogin,
    ReloginStage,
)
from tests.support.builders import (
    CLUSTER,
    NOW_MS,
    ONE,
    PLAIN,
    THREE,
    TWO,
    alias,
    alive,
    desk_state,
    dialer,
    folded,
    phone,
    poll,
    session,
    slot,
)


def _pick(
    state: ClusterState, user: str = "1001", typed: str = "desk", policy: Policy = PLAIN, campaign: str = ""
) -> LoginSlot:
    picked = pick(state, policy, PickRequest(user, typed, campaign), "me")
    assert isinstance(picked, Picked), picked
    return picked.slot


def _refused(state: ClusterState, user: str = "1001", typed: str = "desk", policy: Policy = PLAIN) -> Refused:
    refused = pick(state, policy, PickRequest(user, typed), "me")
    assert isinstance(refused, Refused), refused
    return refused


def _slots_by_server(state: ClusterState) -> dict[str, int]:
    return {server_ip: state.decided.slots.on(server_ip) for server_ip in state.observed.dialers}


# --- one pick ---------------------------------------------------------------------------------------------------


def test_a_pick_gives_the_best_phone_and_holds_its_slot() -> None:
    state = desk_state(dialer(ONE, 3), dialer(TWO, 1))
    picked = pick(state, Policy(slot_seconds=20), PickRequest("1001", "desk", "SALES"), "me")
    expected = LoginSlot(
        cluster=CLUSTER,
        user="1001",
        alias_id="desk",
        campaign_id="SALES",
        phone_login="p2",
        server_ip=TWO,
        handed_out_at_ms=NOW_MS,
        until_ms=NOW_MS + 20_000,
        claims=(LoginClaim(alias_id="desk", phone_login="p2", server_ip=TWO),),
        handed_out_by="me",
    )
    assert picked == Picked(expected, expected)
    assert list(state.decided.slots) == [expected]


def test_asked_again_it_gives_the_same_slot() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    first = _pick(state)
    for typed in ("desk", "DESK"):
        assert pick(state, PLAIN, PickRequest("1001", typed), "me") == Picked(first, None)
    assert len(state.decided.slots) == 1


def test_a_user_is_the_same_however_typed() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    first = _pick(state, "Anna")
    assert _pick(state, "ANNA") == first
    assert state.decided.slots.of("anna") == first


def test_its_own_slot_does_not_count_against_the_one_who_asks_again() -> None:
    state = desk_state(dialer(ONE, 24, rooms_free=1))
    policy = Policy(max_agents=25)
    first = _pick(state, policy=policy)
    assert _pick(state, policy=policy) == first


def test_another_alias_replaces_the_slot() -> None:
    state = folded(
        phone("p1", ONE),
        phone("p2", TWO),
        alias("desk", "p1"),
        alias("other", "p2"),
        poll(dialer(ONE), dialer(TWO)),
    )
    assert _pick(state, typed="desk").server_ip == ONE
    assert _pick(state, typed="other").server_ip == TWO
    assert _slots_by_server(state) == {ONE: 0, TWO: 1}


@pytest.mark.parametrize(
    "now",
    [
        dialer(TWO, active=False),
        dialer(TWO, agent_logins=False),
        dialer(TWO, heartbeat=None),
        dialer(TWO, rooms_free=0),
    ],
)
def test_when_the_slots_dialer_stops_taking_logins_another_is_picked(now: object) -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    assert _pick(state).server_ip == TWO
    assert isinstance(now, type(dialer(ONE)))
    state.fold(poll(dialer(ONE), now, sequence=2))
    again = pick(state, PLAIN, PickRequest("1001", "desk"), "me")
    assert isinstance(again, Picked)
    assert (again.slot.server_ip, again.stored) == (ONE, again.slot)
    assert _slots_by_server(state) == {ONE: 1, TWO: 0}


@pytest.mark.parametrize("change", [phone("p2", TWO, active=False, sequence=2), phone("p2", THREE, sequence=2)])
def test_when_the_slots_phone_is_gone_another_is_picked(change: object) -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO))
    assert _pick(state).phone_login == "p2"
    assert isinstance(change, type(phone("p")))
    state.fold(change)
    state.fold(poll(dialer(ONE, 1), dialer(TWO), sequence=2))
    assert _pick(state).phone_login == "p1"


def test_a_released_slot_is_free_again() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    held = _pick(state, "Anna")
    assert state.decided.slots.release("anna") == held
    assert state.decided.slots.release("anna") is None
    assert _slots_by_server(state) == {ONE: 0, TWO: 0}


def test_what_was_typed_may_be_an_alias_a_phone_or_a_list() -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO, 2), dialer(THREE, 3))
    assert _pick(state, "1", "desk").phone_login == "p1"
    assert _pick(state, "2", "p3").phone_login == "p3"
    assert _pick(state, "3", "P3").phone_login == "p3"
    assert _pick(state, "4", "p3,p2").phone_login == "p2"
    assert _pick(state, "5", "nobody,p3").phone_login == "p3"
    assert _pick(state, "6", ",p3,,").phone_login == "p3"


def test_blanks_at_the_end_and_case_do_not_count_and_are_kept_for_who_asked() -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO, 2))
    first = _pick(state, typed="Desk ")
    assert (first.phone_login, first.alias_id) == ("p1", "Desk ")
    assert _pick(state, typed="desk") == first
    assert resolve(state.observed, " desk") == ()


def test_an_alias_goes_before_a_phone_of_the_same_name() -> None:
    state = folded(phone("p1", ONE), phone("p2", TWO), alias("p1", "p2"), poll(dialer(ONE), dialer(TWO)))
    assert resolve(state.observed, "p1") == ("p2",)


@pytest.mark.parametrize("typed", ["nobody", "", ",", "nobody,noone"])
def test_what_nobody_knows_is_refused(typed: str) -> None:
    refused = _refused(desk_state(dialer(ONE)), typed=typed)
    assert refused == Refused(NoPick.UNKNOWN_ALIAS, ())


def test_where_nothing_takes_logins_every_phone_says_why() -> None:
    refused = _refused(desk_state(dialer(ONE, active=False), dialer(TWO, rooms_free=0)))
    assert refused.why is NoPick.NO_DIALER
    assert [(each.phone_login, each.ineligible_because) for each in refused.phones] == [
        ("p1", (Ineligible.SWITCHED_OFF,)),
        ("p2", (Ineligible.NO_ROOM,)),
    ]


# --- how a slot ends --------------------------------------------------------------------------------------------


def test_a_slot_ends_with_the_agents_row_wherever_that_is() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    _pick(state, "Anna")
    state.fold(session("anna", ONE, sequence=2))
    assert len(state.decided.slots) == 1
    state.fold(poll(dialer(ONE, 1), dialer(TWO), sequence=2))
    assert len(state.decided.slots) == 0


def test_a_slot_does_not_end_with_the_row_it_replaces() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    state.fold(session("1001", ONE, number=7, sequence=2))
    state.fold(poll(dialer(ONE, 1), dialer(TWO), sequence=2))
    held = _pick(state)
    assert held.replaces == 7

    state.fold(session("1001", ONE, number=7, sequence=3))
    state.fold(poll(dialer(ONE, 1), dialer(TWO), sequence=3))
    assert list(state.decided.slots) == [held]

    state.fold(session("1001", TWO, number=8, sequence=4))
    state.fold(poll(dialer(ONE), dialer(TWO, 1), sequence=4))
    assert len(state.decided.slots) == 0


def test_a_slot_does_not_end_with_a_remote_agents_row() -> None:
    state = desk_state(dialer(ONE))
    held = _pick(state)
    state.fold(msgspec.structs.replace(session("1001", sequence=2), remote=True))
    state.fold(poll(dialer(ONE), sequence=2))
    assert list(state.decided.slots) == [held]


def test_a_slot_ends_after_thirty_seconds_of_the_logs_time() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    held = _pick(state)
    state.fold(poll(dialer(ONE), dialer(TWO), sequence=2, at_ms=NOW_MS + 29_999))
    assert list(state.decided.slots) == [held]
    later_ms = NOW_MS + 30_000
    state.fold(poll(dialer(ONE, heartbeat=alive(later_ms)), sequence=3, at_ms=later_ms))
    assert len(state.decided.slots) == 0
    later = pick(state, PLAIN, PickRequest("1001", "desk"), "me")
    assert isinstance(later, Picked)
    assert later.stored is not None


# --- a herd -----------------------------------------------------------------------------------------------------

IPS = tuple(f"10.0.0.{number}" for number in range(1, 7))


def _spread(counts: dict[str, int]) -> int:
    return max(counts.values()) - min(counts.values())


def test_a_herd_of_300_logins_spreads_evenly_over_six_dialers() -> None:
    state = desk_state(*map(dialer, IPS))
    for user in range(300):
        _pick(state, str(user))
    assert _slots_by_server(state) == dict.fromkeys(IPS, 50)


@given(st.lists(st.integers(0, 40), min_size=6, max_size=6), st.integers(0, 150))
@settings(max_examples=50)
def test_a_herd_evens_out_what_was_uneven(before: list[int], logins: int) -> None:
    """Nobody is put onto a dialer while another has two fewer, so only who was ahead before stays ahead."""
    state = desk_state(*map(dialer, IPS, before))
    for user in range(logins):
        _pick(state, str(user))
    slots = _slots_by_server(state)
    loads = {ip: count + slots[ip] for ip, count in zip(IPS, before, strict=True)}
    least = min(loads.values())
    assert sum(slots.values()) == logins
    assert all(loads[ip] <= least + 1 for ip in IPS if slots[ip])


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), min_size=6, max_size=6),
    st.integers(1, 12),
    st.integers(0, 90),
)
@settings(max_examples=50)
def test_a_herd_takes_no_more_than_there_is_while_there_is_any(
    dialers: list[tuple[int, int]], most: int, logins: int
) -> None:
    state = desk_state(
        *(dialer(ip, agents, rooms_free=rooms) for ip, (agents, rooms) in zip(IPS, dialers, strict=True))
    )
    policy = Policy(max_agents=most)
    capacity = {ip: max(0, min(most - agents, rooms)) for ip, (agents, rooms) in zip(IPS, dialers, strict=True)}
    answers = [pick(state, policy, PickRequest(str(user), "desk"), "me") for user in range(logins)]

    slots = _slots_by_server(state)
    assert all(slots[ip] == 0 for ip in IPS if not capacity[ip])
    assert sum(isinstance(answer, Picked) for answer in answers) == (logins if any(capacity.values()) else 0)
    if logins > sum(capacity.values()):
        assert all(slots[ip] >= capacity[ip] for ip in IPS)
        return
    assert all(slots[ip] <= capacity[ip] for ip in IPS)
    loads = {ip: agents + slots[ip] for ip, (agents, _) in zip(IPS, dialers, strict=True)}
    with_room = [loads[ip] for ip in IPS if slots[ip] < capacity[ip]]
    assert all(loads[ip] <= least + 1 for ip in IPS if slots[ip] for least in with_room)


# --- whatever comes in whatever order ---------------------------------------------------------------------------

USERS = st.sampled_from(["1001", "1002", "1003", "Anna", "ANNA"])
SERVERS = (ONE, TWO, THREE)


class Picking(RuleBasedStateMachine):
    """Picks, releases, news of others' slots and polls, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy(max_agents=4, slot_seconds=14)
        self.shown_ms = 0
        self.sequence = 1
        self.now_ms = NOW_MS
        self.number = 0
        self.state = folded(
            *(phone(f"p{number}", ip) for number, ip in enumerate(SERVERS, start=1)),
            alias("desk", "p1", "p2", "p3"),
            alias("short", "p2"),
            poll(*map(dialer, SERVERS)),
        )

    @rule(
        user=USERS, typed=st.sampled_from(["desk", "short", "p3", "p1,p2", "nobody"]), campaign=st.sampled_from("aAb")
    )
    def picks(self, user: str, typed: str, campaign: str) -> None:
        room = {each.server_ip for each in rank_dialers(self.state, self.policy) if each.rank is not None}
        held = self.state.decided.slots.of(user)
        answer = pick(self.state, self.policy, PickRequest(user, typed, campaign), "me")
        if held is not None and held.planned:
            after = self.state.decided.slots.of(user)
            assert after is not None
            assert after.planned
            return
        if isinstance(answer, Refused):
            kept = held if held is not None and held.alias_id.lower() != typed.lower() else None
            assert self.state.decided.slots.of(user) == kept
            return
        assert self.state.decided.slots.of(user) == answer.slot
        assert answer.slot.server_ip in room | ({held.server_ip} if held else set())
        assert answer.slot.until_ms > self.now_ms

    @rule(user=USERS)
    def releases(self, user: str) -> None:
        self.state.decided.slots.release(user)

    @rule(user=USERS, server_ip=st.sampled_from(SERVERS), planned=st.booleans(), visitor=st.sampled_from(["", "a"]))
    def hears_of_a_slot(self, user: str, server_ip: str, visitor: str, *, planned: bool) -> None:
        heard = slot(user, server_ip, until_ms=self.now_ms + 13_000)
        at_ms = self.now_ms
        self.state.decided.slots.add(
            msgspec.structs.replace(heard, handed_out_at_ms=at_ms, planned=planned, visitor=visitor)
        )

    @rule(
        agents=st.tuples(*[st.integers(0, 5)] * 3),
        active=st.tuples(*[st.booleans()] * 3),
        rooms=st.tuples(*[st.integers(0, 3)] * 3),
        logged_in=st.lists(USERS, max_size=2, unique_by=str.lower),
        new_row=st.booleans(),
    )
    def polls(
        self,
        agents: tuple[int, ...],
        active: tuple[bool, ...],
        rooms: tuple[int, ...],
        logged_in: list[str],
        new_row: bool,
    ) -> None:
        self.sequence += 1
        self.now_ms += 1500
        self.number += new_row
        waited_for = {
            user for user in logged_in if (held := self.state.decided.slots.of(user)) and held.replaces != self.number
        }
        handed_out = [held.handed_out_at_ms for user in waited_for if (held := self.state.decided.slots.of(user))]
        self.shown_ms = max(self.shown_ms, *handed_out, 0)
        for user in logged_in:
            self.state.fold(session(user, number=self.number, sequence=self.sequence))
        readings = [
            dialer(ip, count, active=on, rooms_free=free, heartbeat=alive(self.now_ms))
            for ip, count, on, free in zip(SERVERS, agents, active, rooms, strict=True)
        ]
        self.state.fold(poll(*readings, sequence=self.sequence, at_ms=self.now_ms))
        assert not any(self.state.decided.slots.of(user) for user in waited_for)
        assert all(each.until_ms > self.now_ms for each in self.state.decided.slots)

    @invariant()
    def counts_are_what_is_held(self) -> None:
        slots = self.state.decided.slots
        held = list(slots)
        assert len(slots) == len(held) == len({each.user.lower() for each in held})
        for ip in SERVERS:
            assert slots.on(ip) == sum(each.server_ip == ip for each in held)
            planned = [each for each in held if each.planned and each.server_ip == ip]
            assert slots.planned_on(ip) == len(planned)
            for campaign in "aAb":
                assert slots.planned_of_campaign(ip, campaign) == sum(
                    each.campaign_id.lower() == campaign.lower() for each in planned
                )
            for visitor in ("", "a"):
                fresh = Counter(
                    each.visitor
                    for each in held
                    if each.weighs
                    and not each.planned
                    and each.server_ip == ip
                    and each.handed_out_at_ms + WEIGHS_MS > self.now_ms
                )
                own = fresh.pop(visitor, 0)
                shares = sum(min(count, SHARE_OF_VISITOR) for count in fresh.values())
                assert slots.weight_on(ip, visitor) == len(planned) + own + shares
        before_ms = max(self.shown_ms - WEIGHS_MS, self.now_ms - JUDGED_MS)
        assert slots.unused == sum(not each.planned and each.handed_out_at_ms <= before_ms for each in held)


TestPicking = Picking.TestCase
TestPicking.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_slot_of_the_last_resort_is_given_again_too() -> None:
    state = desk_state(dialer(ONE, 3), dialer(TWO, 2))
    suspect = DialerHealth(state=DialerState.SUSPECT, since_ms=NOW_MS, life=DialerState.SUSPECT, served=True)
    state.observed.health = FleetHealth(dialers={ONE: suspect, TWO: suspect})
    first = pick(state, PLAIN, PickRequest("1001", "desk"), "c")
    assert isinstance(first, Picked)
    state.fold(poll(dialer(ONE), dialer(TWO, 9), sequence=2, at_ms=NOW_MS + 500))
    assert pick(state, PLAIN, PickRequest("1001", "desk"), "c") == Picked(first.slot, None)


# --- screens, and the order to log in again ---------------------------------------------------------------------


SCREEN, OTHER = "a" * 64, "b" * 64


def _pick_from(state: ClusterState, screen: str, user: str = "1001") -> Picked:
    picked = pick(state, PLAIN, PickRequest(user, "desk", "", screen), "me")
    assert isinstance(picked, Picked), picked
    return picked


def _planned(user: str = "1001", screen: str = SCREEN) -> LoginSlot:
    return msgspec.structs.replace(slot(user), planned=True, screen=screen)


def _screens(held: LoginSlot) -> list[str]:
    return [each.screen for each in held.claims]


def test_a_form_sent_again_keeps_the_place_and_names_the_new_screen() -> None:
    state = desk_state(dialer(ONE, 3), dialer(TWO, 1))
    first, second = _pick_from(state, SCREEN), _pick_from(state, OTHER)
    assert first.slot.phone_login == second.slot.phone_login
    assert (_screens(second.slot), second.stored) == ([SCREEN, OTHER], second.slot)
    assert _pick_from(state, OTHER).stored is None
    assert len(state.decided.slots) == 1


def test_whoever_names_no_screen_leaves_the_slots_screen_alone() -> None:
    state = desk_state(dialer(ONE))
    _pick_from(state, SCREEN)
    again = _pick_from(state, "")
    assert (_screens(again.slot), again.stored) == ([SCREEN], None)


def test_an_order_is_for_the_screen_that_is_moved_and_given_again_if_its_answer_was_lost() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    state.decided.reserve(_planned())
    assert answer_relogin(state, OTHER) is NoRelogin.NONE
    taken = answer_relogin(state, SCREEN)
    assert isinstance(taken, LoginSlot)
    assert (taken.user, taken.alias_id) == ("1001", "desk")
    assert answer_relogin(state, SCREEN) == taken
    assert state.decided.slots.on(ONE) == 1


def test_nobody_gets_an_order_by_naming_no_screen() -> None:
    state = desk_state(dialer(ONE))
    state.decided.reserve(_planned(screen=""))
    assert answer_relogin(state, "") is NoRelogin.NONE


def test_a_slot_that_a_login_asked_for_is_no_order() -> None:
    state = desk_state(dialer(ONE))
    _pick_from(state, SCREEN)
    assert answer_relogin(state, SCREEN) is NoRelogin.NONE


def test_an_order_is_over_once_its_agent_has_logged_in_again() -> None:
    state = desk_state(dialer(ONE))
    state.decided.reserve(_planned())
    assert _pick_from(state, OTHER).slot.server_ip == ONE
    state.fold(session("1001", ONE, number=2, sequence=2))
    state.fold(poll(dialer(ONE, 1), sequence=2))
    assert answer_relogin(state, SCREEN) is NoRelogin.NONE
    # and the next order is for the screen they are at now
    assert state.decided.logins["1001"].screen == OTHER


@pytest.mark.parametrize("typed", ["desk", "p2", "nonsense"])
def test_nobody_who_only_knows_a_name_takes_an_order_away(typed: str) -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    state.decided.reserve(_planned())
    answer = pick(state, PLAIN, PickRequest("1001", typed, "", OTHER), "me")
    match typed:
        case "desk":
            assert isinstance(answer, Picked)
            assert answer.slot.server_ip == ONE
        case "p2":
            assert isinstance(answer, Picked)
            assert answer.slot.server_ip == TWO
        case _:
            assert answer == Refused(NoPick.UNKNOWN_ALIAS, ())
    taken = answer_relogin(state, SCREEN)
    assert isinstance(taken, LoginSlot)
    assert taken.server_ip == ONE


def test_a_planned_place_that_is_no_good_any_more_is_kept_elsewhere() -> None:
    state = desk_state(dialer(ONE, active=False), dialer(TWO))
    state.decided.reserve(_planned())
    assert _pick_from(state, OTHER).slot.server_ip == TWO
    taken = answer_relogin(state, SCREEN)
    assert isinstance(taken, LoginSlot)
    assert taken.server_ip == TWO


def test_names_typed_at_a_login_page_take_no_planned_slot_away() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    state.decided.reserve(_planned())
    for number in range(20):
        state.decided.reserve(slot(f"visitor{number}", (ONE, TWO)[number % 2]))
    answer = pick(state, Policy(max_agents=5), PickRequest("1001", "desk", "", OTHER), "me")
    assert isinstance(answer, Picked)
    assert answer.slot.server_ip == ONE


def _moving(stage: ReloginStage, answer: str = "") -> ClusterState:
    state = desk_state(dialer(ONE), dialer(TWO))
    state.decided.reserve(msgspec.structs.replace(_planned(), replaces=7))
    state.decided.relogins[7] = Relogin(
        cluster=CLUSTER,
        live_agent_id=7,
        user="1001",
        incident="i",
        from_server_ip=TWO,
        to_server_ip=ONE,
        phone_login="p1",
        planned_at_ms=NOW_MS,
        stage=stage,
        answer=answer,
    )
    return state


def test_only_a_screen_that_hotdesk_has_told_gets_its_order() -> None:
    assert answer_relogin(_moving(ReloginStage.PLANNED), SCREEN) is NoRelogin.NOT_YET
    assert isinstance(answer_relogin(_moving(ReloginStage.SENT), SCREEN), LoginSlot)
    assert isinstance(answer_relogin(_moving(ReloginStage.ENDED, "external_pause is LOGOUT"), SCREEN), LoginSlot)
    # a session that ended before it was told was ended by somebody else
    assert answer_relogin(_moving(ReloginStage.ENDED), SCREEN) is NoRelogin.NONE


def test_whoever_changes_a_held_slot_says_that_it_was_them() -> None:
    state = desk_state(dialer(ONE))
    assert pick(state, PLAIN, PickRequest("1001", "desk", "", SCREEN), "owner").slot.handed_out_by == "owner"  # type: ignore[union-attr]
    again = pick(state, PLAIN, PickRequest("1001", "desk", "", OTHER), "replica")
    assert isinstance(again, Picked)
    assert again.slot.handed_out_by == "replica"
