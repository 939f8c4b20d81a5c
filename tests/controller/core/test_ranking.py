"""Which dialer now: each reason against one, and what decides between the others."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.picks import rank_alias
from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, imbalance, rank_dialers, rank_phones
from controller.core.state import ClusterState
from messages.records import (
    AgentStatus,
    DialerHealth,
    DialerReading,
    DialerState,
    FleetHealth,
    Grouping,
    Heartbeat,
    Ineligible,
    LoginSlot,
    Phone,
    RankedDialer,
)
from tests.support.builders import (
    CLUSTER,
    NOW_MS,
    ONE,
    PLAIN,
    THREE,
    TWO,
    alias,
    campaign,
    desk_state,
    dialer,
    folded,
    phone,
    poll,
    settings,
    slot,
)

STALLED = Heartbeat(progressed_at_ms=NOW_MS - 2500, watched_since_ms=NOW_MS - 60_000, age_seconds=2.5)


def _standing(state: ClusterState, server_ip: str, policy: Policy = PLAIN) -> RankedDialer:
    return next(each for each in rank_dialers(state, policy) if each.server_ip == server_ip)


def _rank(state: ClusterState, typed: str = "desk", campaign_id: str = "", policy: Policy = PLAIN) -> AliasRanking:
    ranking = rank_alias(state, policy, typed, campaign_id)
    assert ranking is not None
    return ranking


def _order(state: ClusterState, campaign_id: str = "", policy: Policy = PLAIN) -> list[str]:
    return [each.phone_login for each in _rank(state, "desk", campaign_id, policy).phones if each.rank is not None]


def _beat(**facts: float | None) -> Heartbeat:
    """Make a heartbeat watched for a minute, but for what is said."""
    known: dict[str, float | None] = {"watched_since_ms": NOW_MS - 60_000, "age_seconds": 0.5}
    return Heartbeat(**(known | facts))  # type: ignore[arg-type] # the test says what fits


def test_rooms_that_were_never_read_keep_no_login_away() -> None:
    """As where their table is not granted."""
    readings = (dialer(ONE, rooms_free=0), dialer(TWO, rooms_free=0))
    blind = msgspec.structs.replace(poll(*readings), rooms_known=False)
    state = folded(phone("p1", ONE), phone("p2", TWO), alias("desk", "p1", "p2"), blind)
    assert _standing(state, ONE).ineligible_because == ()
    state.fold(poll(*readings, sequence=2))
    assert _standing(state, ONE).ineligible_because == (Ineligible.NO_ROOM,)


# --- each reason alone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (dialer(ONE, active=False), Ineligible.SWITCHED_OFF),
        (dialer(ONE, agent_logins=False), Ineligible.CLOSED),
        (dialer(ONE, heartbeat=None), Ineligible.NO_HEARTBEAT),
        (dialer(ONE, heartbeat=STALLED), Ineligible.STALLED),
        (dialer(ONE, twin="10.0.0.9"), Ineligible.TWIN_SILENT),
        (dialer(ONE, rooms_free=0), Ineligible.NO_ROOM),
        (dialer(ONE, 25), Ineligible.FULL),
    ],
    ids=lambda each: each.name if isinstance(each, Ineligible) else "",
)
def test_each_reason_alone_keeps_logins_away(reading: DialerReading, why: Ineligible) -> None:
    policy = Policy(max_agents=25)
    state = desk_state(reading, dialer(TWO, 20))
    standing = _standing(state, ONE, policy)
    assert (standing.rank, standing.ineligible_because) == (None, (why,))
    assert _standing(state, TWO, policy).rank == 1
    assert _order(state, policy=policy) == ["p2"]


@pytest.mark.parametrize(
    ("login", "why"),
    [
        ("off", Ineligible.PHONE_INACTIVE),
        ("nobody", Ineligible.NO_SUCH_PHONE),
        ("lost", Ineligible.NO_SUCH_SERVER),
    ],
)
def test_each_reason_against_a_phone(login: str, why: Ineligible) -> None:
    state = folded(
        phone("off", ONE, active=False),
        phone("lost", "10.0.0.9"),
        phone("good", ONE),
        alias("desk", login, "good"),
        poll(dialer(ONE)),
    )
    ranking = _rank(state)
    assert [(each.phone_login, each.rank, each.ineligible_because) for each in ranking.phones] == [
        ("good", 1, ()),
        (login, None, (why,)),
    ]


def test_every_reason_is_told_at_once() -> None:
    worst = dialer(ONE, 30, active=False, agent_logins=False, heartbeat=STALLED, twin="10.0.0.9", rooms_free=0)
    state = folded(phone("p1", active=False), alias("desk", "p1"), poll(worst))
    standing = _rank(state, policy=Policy(max_agents=25)).phones[0]
    assert set(standing.ineligible_because) == {
        Ineligible.PHONE_INACTIVE,
        Ineligible.SWITCHED_OFF,
        Ineligible.CLOSED,
        Ineligible.STALLED,
        Ineligible.TWIN_SILENT,
        Ineligible.NO_ROOM,
        Ineligible.FULL,
    }


# --- what decides -----------------------------------------------------------------------------------------------


def test_the_least_loaded_is_first() -> None:
    state = desk_state(dialer(ONE, 3), dialer(TWO, 1), dialer(THREE, 2))
    assert _order(state) == ["p2", "p3", "p1"]
    assert [each.server_ip for each in rank_dialers(state, PLAIN)] == [TWO, THREE, ONE]
    assert [each.rank for each in rank_dialers(state, PLAIN)] == [1, 2, 3]


def test_on_a_tie_the_last_listed_is_first() -> None:
    assert _order(desk_state(dialer(ONE, 2), dialer(TWO, 2), dialer(THREE, 2))) == ["p3", "p2", "p1"]


def test_agents_of_every_status_count_and_remote_ones_do_not() -> None:
    every = DialerReading(
        server_ip=ONE,
        heartbeat=_beat(progressed_at_ms=NOW_MS),
        agents=dict.fromkeys(AgentStatus, 1),
        remote_agents=40,
        rooms_free=9,
    )
    assert _standing(folded(poll(every)), ONE).agents == len(AgentStatus)


def _planned(user: str, campaign_id: str = "") -> LoginSlot:
    return msgspec.structs.replace(slot(user, ONE), planned=True, campaign_id=campaign_id)


def test_slots_count_as_agents() -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO, 2))
    for user in ("1001", "1002"):
        state.decided.slots.add(slot(user, ONE))
    assert _order(state) == ["p2", "p1"]
    standing = _standing(state, ONE)
    assert (standing.agents, standing.slots, standing.load, standing.rooms_free) == (1, 2, 3, 500)


def test_slots_of_moves_take_rooms() -> None:
    state = desk_state(dialer(ONE, rooms_free=2))
    state.decided.slots.add(_planned("1001"))
    assert (_standing(state, ONE).ineligible_because, _standing(state, ONE).rooms_free) == ((), 1)
    state.decided.slots.add(_planned("1002"))
    assert _standing(state, ONE).ineligible_because == (Ineligible.NO_ROOM,)


def test_max_agents_counts_agents_and_slots_of_moves() -> None:
    policy = Policy(max_agents=9, max_agents_of={ONE: 3})
    state = desk_state(dialer(ONE, 2), dialer(TWO, 8))
    assert _order(state, policy=policy) == ["p1", "p2"]
    state.decided.slots.add(_planned("1001"))
    assert _standing(state, ONE, policy).ineligible_because == (Ineligible.FULL,)
    assert _standing(state, ONE, policy).max_agents == 3
    assert _standing(state, TWO, policy).max_agents == 9


def test_agents_are_divided_by_the_dialers_weight() -> None:
    state = folded(
        phone("p1", ONE),
        phone("p2", TWO),
        alias("desk", "p1", "p2"),
        settings(ONE=3, TWO=1),
        poll(dialer(ONE, 5), dialer(TWO, 2)),
    )
    assert _standing(state, ONE).load == pytest.approx(5 / 0.75)
    assert _standing(state, TWO).load == pytest.approx(2 / 0.25)
    assert _order(state) == ["p1", "p2"]


@pytest.mark.parametrize("weights", [{"ONE": 3}, {"ONE": 3, "TWO": 0}])
def test_a_dialer_without_weight_is_the_last_resort(weights: dict[str, float]) -> None:
    state = folded(
        phone("p1", ONE),
        phone("p2", TWO),
        alias("desk", "p1", "p2"),
        settings(**weights),
        poll(dialer(ONE, 40), dialer(TWO, 1)),
    )
    assert _standing(state, TWO).load == pytest.approx(1000)
    assert _order(state) == ["p1", "p2"]


def test_weights_of_nothing_at_all_weigh_nothing() -> None:
    state = folded(settings(ONE=0, TWO=0), poll(dialer(ONE, 2), dialer(TWO, 1)))
    assert [each.load for each in rank_dialers(state, PLAIN)] == [1, 2]


def test_max_agents_is_about_heads_not_weights() -> None:
    state = folded(settings(ONE=1, TWO=99), poll(dialer(ONE, 2), dialer(TWO, 2)))
    assert all(each.rank is not None for each in rank_dialers(state, Policy(max_agents=3)))


# --- grouping ---------------------------------------------------------------------------------------------------


def _grouped(
    grouping: Grouping, *in_campaign: int, limit: int = 50, system: int = 100, others: int = 0
) -> ClusterState:
    ips = (ONE, TWO, THREE)
    return folded(
        *(phone(f"p{number}", ip) for number, ip in enumerate(ips, start=1)),
        alias("desk", "p1", "p2", "p3"),
        campaign("SALES", grouping, limit),
        settings(system),
        poll(
            *(
                dialer(ip, count + others, campaigns={"SALES": count} if count else {})
                for ip, count in zip(ips, in_campaign, strict=True)
            )
        ),
    )


def test_one_server_only_takes_the_first_that_has_an_agent_of_the_campaign() -> None:
    ranking = _rank(_grouped(Grouping.ONE_SERVER_ONLY, 0, 9, 3), campaign_id="SALES")
    assert [each.phone_login for each in ranking.phones] == ["p2", "p1", "p3"]
    assert [each.rank for each in ranking.phones] == [1, 2, 3]
    assert ranking.forced_by is Grouping.ONE_SERVER_ONLY


def test_cascading_passes_over_a_dialer_at_its_limit() -> None:
    ranking = _rank(_grouped(Grouping.CASCADING, 0, 9, 3, limit=9), campaign_id="SALES")
    assert ranking.phones[0].phone_login == "p3"
    assert ranking.forced_by is Grouping.CASCADING


def test_cascading_passes_over_a_dialer_at_the_systems_limit() -> None:
    ranking = _rank(_grouped(Grouping.CASCADING, 1, 0, 0, system=20, others=19), campaign_id="SALES")
    assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p3", None)
    ranking = _rank(_grouped(Grouping.CASCADING, 1, 0, 0, system=21, others=19), campaign_id="SALES")
    assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p1", Grouping.CASCADING)


@pytest.mark.parametrize("grouping", [Grouping.ONE_SERVER_ONLY, Grouping.CASCADING])
def test_without_an_agent_of_the_campaign_the_load_decides(grouping: Grouping) -> None:
    ranking = _rank(_grouped(grouping, 0, 0, 0), campaign_id="SALES")
    assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p3", None)


def test_a_campaign_that_groups_nobody_or_is_unknown_leaves_it_to_the_load() -> None:
    for state, campaign_id in (
        (_grouped(Grouping.DISABLED, 5, 0, 1), "SALES"),
        (_grouped(Grouping.ONE_SERVER_ONLY, 5, 0, 1), "OTHER"),
        (_grouped(Grouping.ONE_SERVER_ONLY, 5, 0, 1), ""),
    ):
        ranking = _rank(state, campaign_id=campaign_id)
        assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p2", None)


def test_an_agent_counts_for_the_campaign_in_whatever_case_its_id_was_written() -> None:
    state = _grouped(Grouping.ONE_SERVER_ONLY, 0, 0, 0)
    state.fold(poll(dialer(ONE), dialer(TWO, 9, campaigns={"Sales": 4, "sales": 5}), dialer(THREE, 3), sequence=2))
    ranking = _rank(state, campaign_id="SALES")
    assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p2", Grouping.ONE_SERVER_ONLY)


@pytest.mark.parametrize("spelled", ["SALES", "sales"])
def test_a_slot_of_a_move_counts_as_an_agent_of_its_campaign(spelled: str) -> None:
    state = _grouped(Grouping.ONE_SERVER_ONLY, 0, 0, 0)
    state.decided.slots.add(_planned("1001", campaign_id=spelled))
    ranking = _rank(state, campaign_id="Sales")
    assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p1", Grouping.ONE_SERVER_ONLY)


@pytest.mark.parametrize("grouping", [Grouping.ONE_SERVER_ONLY, Grouping.CASCADING])
def test_the_first_herd_of_a_grouped_campaign_stays_together(grouping: Grouping) -> None:
    state = _grouped(grouping, 0, 0, 0)
    first = _order(state, "SALES")[0]
    for number in range(3):
        state.decided.slots.add(msgspec.structs.replace(slot(str(number), THREE), campaign_id="SALES"))
    assert _order(state, "SALES")[0] == first


def test_slots_of_moves_fill_a_cascade() -> None:
    state = _grouped(Grouping.CASCADING, 2, 1, 0, limit=3)
    assert _order(state, "SALES")[0] == "p1"
    state.decided.slots.add(_planned("1001", campaign_id="SALES"))
    assert _order(state, "SALES")[0] == "p2"


def test_grouping_forces_nobody_onto_a_dialer_that_takes_no_logins() -> None:
    state = folded(
        phone("p1", ONE),
        phone("p2", TWO),
        alias("desk", "p1", "p2"),
        campaign("SALES", Grouping.ONE_SERVER_ONLY),
        poll(dialer(ONE, 5, campaigns={"SALES": 5}, heartbeat=STALLED), dialer(TWO, 9)),
    )
    ranking = _rank(state, campaign_id="SALES")
    assert (ranking.phones[0].phone_login, ranking.forced_by) == ("p2", None)


# --- heartbeats -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heartbeat", "lives"),
    [
        pytest.param(_beat(progressed_at_ms=NOW_MS), True, id="advances"),
        pytest.param(_beat(progressed_at_ms=NOW_MS - 2499), True, id="stands for less than the threshold"),
        pytest.param(_beat(progressed_at_ms=NOW_MS - 2500), False, id="stands for the threshold"),
        pytest.param(_beat(progressed_at_ms=NOW_MS, age_seconds=3600), True, id="advances, an hour behind"),
        pytest.param(_beat(progressed_at_ms=NOW_MS, age_seconds=-3600), True, id="advances, an hour ahead"),
        pytest.param(_beat(progressed_at_ms=NOW_MS, age_seconds=None), True, id="advances, and is no date"),
        pytest.param(_beat(progressed_at_ms=NOW_MS - 9000, age_seconds=-3600), False, id="stands, an hour ahead"),
        pytest.param(_beat(watched_since_ms=NOW_MS), True, id="just seen, and fresh"),
        pytest.param(_beat(watched_since_ms=NOW_MS, age_seconds=120), False, id="just seen, and old"),
        pytest.param(_beat(watched_since_ms=NOW_MS, age_seconds=None), False, id="just seen, and no date"),
        pytest.param(_beat(watched_since_ms=NOW_MS - 2500), False, id="watched, and never advanced"),
    ],
)
def test_a_heartbeat_is_judged_by_its_progress(heartbeat: Heartbeat, lives: bool) -> None:
    standing = _standing(folded(poll(dialer(ONE, heartbeat=heartbeat))), ONE)
    assert standing.ineligible_because == (() if lives else (Ineligible.STALLED,))


def test_the_threshold_is_the_policys() -> None:
    state = folded(poll(dialer(ONE, heartbeat=_beat(progressed_at_ms=NOW_MS - 119_000, age_seconds=119.0))))
    assert _standing(state, ONE).ineligible_because == (Ineligible.STALLED,)
    assert _standing(state, ONE, Policy(stalled_after_seconds=120)).ineligible_because == ()


def test_how_long_a_heartbeat_stands_is_told() -> None:
    state = folded(poll(dialer(ONE, heartbeat=STALLED), dialer(TWO, heartbeat=None), dialer(THREE)))
    assert _standing(state, ONE).heartbeat_stalled_seconds == 2.5
    assert _standing(state, TWO).heartbeat_stalled_seconds is None
    assert _standing(state, THREE).heartbeat_stalled_seconds == 0


@pytest.mark.parametrize("twin_lives", [True, False])
def test_a_dialer_needs_its_twin_alive(twin_lives: bool) -> None:
    twin = dialer(TWO, active=False, agent_logins=False, rooms_free=0) if twin_lives else dialer(TWO, heartbeat=STALLED)
    state = folded(poll(dialer(ONE, twin=TWO), twin))
    assert _standing(state, ONE).ineligible_because == (() if twin_lives else (Ineligible.TWIN_SILENT,))


# --- the whole --------------------------------------------------------------------------------------------------


def test_boxes_without_asterisk_are_left_out() -> None:
    state = folded(poll(dialer(ONE), dialer(TWO, asterisk=False, heartbeat=None)))
    assert [each.server_ip for each in rank_dialers(state, PLAIN)] == [ONE]


@pytest.mark.parametrize(
    ("agents", "expected"),
    [((2, 2, 2), 1.0), ((4, 1, 1), 2.0), ((3, 0, 0), 3.0), ((0, 0, 0), None)],
)
def test_imbalance_is_most_over_mean(agents: tuple[int, ...], expected: float | None) -> None:
    readings = [dialer(ip, count) for ip, count in zip((ONE, TWO, THREE), agents, strict=True)]
    assert imbalance(rank_dialers(folded(poll(*readings)), PLAIN)) == expected


def test_imbalance_is_of_the_dialers_that_take_logins() -> None:
    state = folded(poll(dialer(ONE, 2), dialer(TWO, 2), dialer(THREE, 90, agent_logins=False)))
    assert imbalance(rank_dialers(state, PLAIN)) == 1.0
    assert imbalance(rank_dialers(folded(poll(dialer(ONE, 2, active=False))), PLAIN)) is None


def test_before_the_first_poll_there_is_nothing_to_rank() -> None:
    state = ClusterState("west")
    assert rank_dialers(state, PLAIN) == ()
    assert rank_alias(state, PLAIN, "desk", "") is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.booleans(), st.integers(0, 3), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    st.lists(st.integers(1, 8), min_size=1, max_size=8),
)
def test_only_who_takes_logins_is_offered_and_the_least_loaded_first(
    clusters: list[tuple[int, bool, bool, int, bool]], listed: list[int]
) -> None:
    """Whatever the cluster, and whichever phones an alias lists, even twice or none that exists."""
    readings = [
        dialer(f"10.0.0.{number}", agents, active=active, agent_logins=logins, rooms_free=rooms)
        for number, (agents, active, logins, rooms, _) in enumerate(clusters, start=1)
    ]
    state = folded(
        *(phone(f"p{number}", f"10.0.0.{number}", active=each[4]) for number, each in enumerate(clusters, start=1)),
        poll(*readings),
    )
    ranking = rank_phones(state, PLAIN, tuple(f"p{number}" for number in listed), "")
    offered = [each for each in ranking.phones if each.rank is not None]
    assert [each.rank for each in offered] == list(range(1, len(offered) + 1))
    assert [each.load for each in offered] == sorted(each.load for each in offered)
    assert sorted(each.phone_login for each in ranking.phones) == sorted(f"p{number}" for number in listed)
    for each in ranking.phones:
        number = int(each.phone_login[1:]) - 1
        usable = number < len(clusters) and all(clusters[number][1:])
        assert (each.rank is not None) == usable == (not each.ineligible_because)


# --- how the dialers are judged ---------------------------------------------------------------------------------


def _judged(state: ClusterState, **judged: DialerHealth) -> ClusterState:
    """Judge dialers ONE, TWO and THREE as said, and the others up."""
    named = {{"ONE": ONE, "TWO": TWO, "THREE": THREE}[name]: each for name, each in judged.items()}
    state.observed.health = FleetHealth(
        dialers={each: named.get(each, _life(DialerState.UP)) for each in state.observed.dialers}
    )
    return state


def _life(life: DialerState, state: DialerState | None = None, *, back_for_seconds: int = 0) -> DialerHealth:
    back_ms = NOW_MS - back_for_seconds * 1000
    return DialerHealth(
        state=state or life,
        since_ms=back_ms,
        life=life,
        served=True,
        probation_since_ms=back_ms,
        probation_until_ms=back_ms + 30_000,
    )


def test_a_dialer_that_is_down_is_not_offered_however_its_heartbeat_looks() -> None:
    state = _judged(desk_state(dialer(ONE), dialer(TWO, 9)), ONE=_life(DialerState.DOWN))
    assert _order(state) == ["p2"]
    assert _standing(state, ONE).ineligible_because == (Ineligible.DOWN,)


def test_a_suspect_is_offered_only_where_nobody_else_is() -> None:
    state = _judged(desk_state(dialer(ONE), dialer(TWO, 9)), ONE=_life(DialerState.SUSPECT))
    assert _order(state) == ["p2"]
    state = _judged(desk_state(dialer(ONE), dialer(TWO, 9, active=False)), ONE=_life(DialerState.SUSPECT))
    assert _order(state) == ["p1"]
    assert _standing(state, ONE).rank == 1
    assert _rank(state).phones[0].ineligible_because == (Ineligible.SUSPECT,)


def test_a_dialer_without_a_heartbeat_row_is_as_it_was_judged_last() -> None:
    state = _judged(desk_state(dialer(ONE, heartbeat=None), dialer(TWO, 9)), ONE=_life(DialerState.UP))
    assert _order(state) == ["p1", "p2"]
    state = _judged(desk_state(dialer(ONE, heartbeat=None), dialer(TWO, 9)), ONE=_life(DialerState.DOWN))
    assert _order(state) == ["p2"]


def test_a_heartbeat_that_stands_still_is_suspect_until_it_is_judged() -> None:
    state = _judged(desk_state(dialer(ONE, heartbeat=STALLED), dialer(TWO, 9)), ONE=_life(DialerState.UP))
    assert _standing(state, ONE).ineligible_because == (Ineligible.SUSPECT,)


def test_a_dialer_drained_by_order_takes_no_logins() -> None:
    draining = _life(DialerState.UP, DialerState.DRAINING)
    state = _judged(desk_state(dialer(ONE), dialer(TWO, 9)), ONE=draining)
    assert _standing(state, ONE).ineligible_because == (Ineligible.DRAINING,)
    assert _order(state) == ["p2"]


@pytest.mark.parametrize(("seconds", "agents", "offered"), [(0, 0, True), (0, 1, False), (15, 5, True), (15, 6, False)])
def test_a_dialer_that_is_back_gets_a_share_that_grows(seconds: int, agents: int, *, offered: bool) -> None:
    back = _life(DialerState.RECOVERING, back_for_seconds=seconds)
    state = _judged(desk_state(dialer(ONE, agents), dialer(TWO, 10), dialer(THREE, 10)), ONE=back)
    assert _standing(state, ONE).ineligible_because == (() if offered else (Ineligible.WARMING_UP,))


def test_a_dialer_that_is_back_gets_everybody_where_no_other_is_up() -> None:
    back = _life(DialerState.RECOVERING)
    state = _judged(desk_state(dialer(ONE, 20), dialer(TWO)), ONE=back, TWO=_life(DialerState.DOWN))
    assert _order(state) == ["p1"]


def test_a_twin_that_lost_its_row_is_as_it_was_judged_last() -> None:
    with_twin = dialer(ONE, twin=TWO)
    state = _judged(desk_state(with_twin, dialer(TWO, heartbeat=None)), TWO=_life(DialerState.UP))
    assert _standing(state, ONE).ineligible_because == ()
    state = _judged(desk_state(with_twin, dialer(TWO, heartbeat=None)), TWO=_life(DialerState.DOWN))
    assert _standing(state, ONE).ineligible_because == (Ineligible.TWIN_SILENT,)


# --- registration -----------------------------------------------------------------------------------------------


def _registered(
    login: str, server_ip: str, peer_status: str, protocol: str = "SIP", *, webphone: bool = False
) -> Phone:
    return Phone(
        cluster=CLUSTER,
        epoch=1,
        sequence=1,
        login=login,
        server_ip=server_ip,
        protocol=protocol,
        webphone=webphone,
        peer_status=peer_status,
    )


def _first(*phones: Phone) -> str:
    state = folded(*phones, alias("desk", "p1", "p2"), poll(dialer(ONE, 0), dialer(TWO, 9)))
    return rank_phones(state, PLAIN, ("p1", "p2"), "").phones[0].phone_login


@pytest.mark.parametrize("status", ["UNREGISTERED", "UNREACHABLE", "unreachable"])
def test_a_phone_known_to_be_absent_is_left_out_while_another_is_there(status: str) -> None:
    assert _first(_registered("p1", ONE, status), _registered("p2", TWO, "REGISTERED")) == "p2"


def test_where_no_phone_is_registered_the_least_loaded_dialer_takes_the_agent_all_the_same() -> None:
    assert _first(_registered("p1", ONE, "UNREACHABLE"), _registered("p2", TWO, "UNREGISTERED")) == "p1"


@pytest.mark.parametrize("status", ["UNKNOWN", "", "REACHABLE", "LAGGED", "REGISTERED"])
def test_a_phone_nobody_knows_to_be_absent_is_offered(status: str) -> None:
    assert _first(_registered("p1", ONE, status), _registered("p2", TWO, "REGISTERED")) == "p1"


@pytest.mark.parametrize(("protocol", "webphone"), [("EXTERNAL", False), ("SIP", True), ("DAHDI", False)])
def test_a_phone_that_need_not_be_registered_is_not_judged(protocol: str, webphone: bool) -> None:
    absent = _registered("p1", ONE, "UNREGISTERED", protocol, webphone=webphone)
    assert _first(absent, _registered("p2", TWO, "REGISTERED")) == "p1"
