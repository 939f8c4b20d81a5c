"""Explanations in words: of one dialer, agent or alias, and the one sentence about a cluster."""

from collections import deque

import msgspec
import pytest

from controller.core.explanations import Explanation, explain, heartbeat_words, sentence_about
from controller.core.policy import Policy
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from messages.codes import DecisionCode, Unreadable
from messages.records import (
    Acknowledge,
    AgentStatus,
    Decision,
    DialerState,
    Drain,
    Fence,
    FenceStage,
    Grouping,
    Ineligible,
    NotMoved,
    Outage,
    Pause,
    UnreadTable,
)
from messages.words import sentence
from tests.support.builders import CLUSTER, NOW_MS, ONE, PLAIN, THREE, TWO, campaign, desk_state, dialer, slot
from tests.support.floor import BRAKE, Floor, agent, crowd


def only(state: ClusterState, name: str, policy: Policy = PLAIN) -> Explanation:
    (found,) = explain(state, policy, (), name)
    return found


def words(state: ClusterState, name: str) -> str:
    return " ".join(only(state, name).words)


# --- dialers ------------------------------------------------------------------------------------------------------


def test_a_sound_dialer_is_explained() -> None:
    told = words(desk_state(dialer(ONE, 3), dialer(TWO, 1)), TWO)
    assert "Its heartbeat: beats." in told
    assert "1 agent and 0 slots there; 500 rooms free." in told
    assert "It has rank 1. Where the next login goes depends on its alias" in told


def test_a_rank_promises_no_login_that_a_pick_then_sends_elsewhere() -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO, 1), dialer(THREE, 1))
    first = rank_dialers(state, PLAIN)[0].server_ip
    (alias_id,) = state.observed.aliases
    alias = words(state, alias_id)
    assert f" on {first}: the load is equal" not in alias
    assert "goes there" not in words(state, first)
    assert "of equals to the one that the alias lists last" in words(state, first)


def test_a_dialer_is_found_by_its_id_too_and_not_by_case() -> None:
    named = msgspec.structs.replace(dialer(ONE), server_id="DIALER1")
    assert only(desk_state(named), "dialer1").name == ONE


def test_every_reason_against_a_dialer_is_listed() -> None:
    told = words(desk_state(dialer(ONE, active=False, agent_logins=False, rooms_free=0), dialer(TWO)), ONE)
    for why in (Ineligible.SWITCHED_OFF, Ineligible.CLOSED, Ineligible.NO_ROOM):
        assert sentence(why) in told
    assert "It takes no new logins: " in told


def test_orders_and_actions_on_a_dialer_are_listed() -> None:
    floor = Floor(*crowd(2), agent("2001", remote=True))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    state = floor.state
    state.decided.orders.add(Drain(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna", why="new disk", server_ip=ONE))
    incident = floor.incident.incident
    state.decided.orders.add(Acknowledge(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="bob", incident=incident))
    state.decided.fences[ONE] = Fence(
        cluster=CLUSTER, server_ip=ONE, incident=incident, planned_at_ms=NOW_MS, stage=FenceStage.TAKEN
    )
    told = words(state, ONE)
    assert "It is down since 2027-01-15 08:00:00 UTC: it is down." in told
    assert "anna ordered the drain: new disk." in told
    assert "hotdesk's fence: closed by hotdesk." in told
    assert f"Incident {incident} has been open since" in told
    assert "2 agents still there, 2 moves planned, 0 sent, 0 logged in on another dialer, 0 arrived." in told
    assert f"2001 is not moved: {sentence(NotMoved.REMOTE)}." in told
    assert "Acknowledged by bob." in told


def test_a_server_without_asterisk_is_named_as_such() -> None:
    assert "It runs no Asterisk" in words(desk_state(dialer(ONE), dialer(TWO, asterisk=False)), TWO)


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "beats"), (1.9, "beats"), (3.2, "stalled for 3 s")])
def test_a_sound_heartbeat_always_has_the_same_words(seconds: float, said: str) -> None:
    (ranked,) = rank_dialers(desk_state(dialer(ONE)), PLAIN)
    assert heartbeat_words(msgspec.structs.replace(ranked, heartbeat_stalled_seconds=seconds)) == said


# --- agents -------------------------------------------------------------------------------------------------------


def test_a_move_is_explained_by_its_agent() -> None:
    floor = Floor(*crowd(1))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    told = words(floor.state, "1001")
    assert f"Logged in on {ONE} as SIP/1001, READY" in told
    assert f"A slot for their move on {THREE} as 1001c, until" in told
    assert f"A move from {ONE} to {THREE} for {floor.incident.incident}: planned." in told


def test_the_reason_not_to_move_an_agent_is_explained() -> None:
    floor = Floor(agent("1001", status=AgentStatus.INCALL))
    floor.judge(ONE=DialerState.DRAINING)
    floor.plan()
    assert f"In the incident of {ONE}: 1001 is not moved: in a call: moved when it ends." in words(floor.state, "1001")


def test_hotdesks_picks_and_vicidials_choices_are_told_apart() -> None:
    floor = Floor(*crowd(2))
    login = msgspec.structs.replace(slot("1001"), used_by=1001)
    floor.state.decided.logins["1001"] = login
    assert "hotdesk picked that dialer: alias desk, phone p1." in words(floor.state, "1001")
    assert "VICIdial chose that dialer: no pick of hotdesk's is known" in words(floor.state, "1002")
    floor.state.decided.logins["1001"] = msgspec.structs.replace(login, server_ip=TWO)
    assert f"hotdesk had picked {TWO} for that login" in words(floor.state, "1001")


def test_a_name_with_several_meanings_is_explained_for_each() -> None:
    floor = Floor(agent("1001"))
    floor.state.observed.phones["1001"] = msgspec.structs.replace(floor.state.observed.phones["1001a"], login="1001")
    assert [each.kind for each in explain(floor.state, PLAIN, (), "1001")] == ["agent", "alias"]


def test_an_unknown_name_has_no_explanation() -> None:
    assert explain(Floor(*crowd(1)).state, PLAIN, (), "nobody") == []


# --- aliases ------------------------------------------------------------------------------------------------------


def test_the_next_login_of_an_alias_and_why() -> None:
    assert "The next login goes to p2 on 10.0.0.2: the fewest agents and slots." in words(
        desk_state(dialer(ONE, 5), dialer(TWO, 1)), "desk"
    )
    assert "of equals VICIdial chooses the last listed" in words(desk_state(dialer(ONE, 5), dialer(TWO, 5)), "desk")
    assert "the only one that takes new logins" in words(desk_state(dialer(ONE, 5), dialer(TWO, active=False)), "desk")
    assert "No pick now" in words(desk_state(dialer(ONE, active=False)), "desk")


def test_weights_are_mentioned() -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO, 3))
    state.observed.weight_shares = {ONE: 0.1, TWO: 0.9}
    assert "The next login goes to p2 on 10.0.0.2: the fewest agents and slots for its weight." in words(state, "desk")


def test_an_explanation_of_a_stale_cluster_begins_with_a_notice() -> None:
    state = desk_state(dialer(ONE, 5), dialer(TWO, 1))
    for name in (ONE, "desk"):
        (told,) = explain(state, PLAIN, (), name, stale=True)
        assert told.words[0].startswith("Nothing is known now, so hotdesk offers nothing")


def test_advice_is_named_as_such() -> None:
    floor = Floor(*crowd(2), acts=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert "2 moves advised" in words(floor.state, ONE)
    expected = f"{ONE} is down. hotdesk only advises: 2 agents should be moved."
    assert sentence_about(floor.state, stale=False) == expected


def test_dialers_without_a_recent_verdict_are_not_called_up() -> None:
    floor = Floor(*crowd(2))
    floor.judge()
    floor.poll(seconds=4)
    assert sentence_about(floor.state, stale=False) == "All 3 dialers are up."
    floor.poll(seconds=2)
    assert sentence_about(floor.state, stale=False).startswith("No controller decides")


def test_an_alias_is_explained_with_its_readiness_findings() -> None:
    assert "error: it stands for 1 phone: the agent cannot be moved;" in words(desk_state(dialer(ONE)), "desk")


def test_a_campaigns_grouping_does_not_confuse_the_words() -> None:
    state = desk_state(dialer(ONE, 5, campaigns={"SALES": 5}), dialer(TWO, 1))
    state.observed.campaigns["sales"] = campaign("SALES", Grouping.ONE_SERVER_ONLY)
    assert "The next login goes to p2" in words(state, "desk")


# --- decisions ----------------------------------------------------------------------------------------------------


def test_an_explanation_has_the_latest_decisions_the_newest_first() -> None:
    floor = Floor(*crowd(1))
    made = deque(
        Decision(
            code=DecisionCode.MOVE_PLANNED,
            cluster=CLUSTER,
            at_ms=NOW_MS + at,
            actor="c",
            what=f"w{at}",
            why="",
            subject=subject,
        )
        for at, subject in enumerate(["1001", "1002", "1001"])
    )
    (found,) = explain(floor.state, PLAIN, made, "1001")
    assert [each.what for each in found.decisions] == ["w2", "w0"]
    # also about an agent who has left by now
    (gone,) = explain(floor.state, PLAIN, made, "1002")
    assert (gone.kind, gone.words) == ("agent", ("No agent of that name is logged in.",))


# --- a cluster in a sentence --------------------------------------------------------------------------------------


def test_the_summary_is_about_the_worst() -> None:
    floor = Floor(*crowd(2))
    floor.judge()
    state = floor.state
    assert sentence_about(state, stale=False) == "All 3 dialers are up."
    floor.judge(ONE=DialerState.DOWN, TWO=DialerState.CLOSED)
    assert sentence_about(state, stale=False) == f"{ONE} is down; {TWO} is closed."
    floor.plan()
    assert sentence_about(state, stale=False).endswith(" 0 of 2 moved agents are logged in on another dialer.")
    floor.judge(BRAKE, ONE=DialerState.DOWN)
    assert sentence_about(state, stale=False) == "No agent is moved: 2 of 3 look bad."
    state.decided.orders.add(Pause(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna", why="tests"))
    assert sentence_about(state, stale=False) == f"Suspended by anna: tests. {ONE} is down."
    state.observed.outage = Outage(
        cluster=CLUSTER, epoch=1, sequence=9, unreachable_since_ms=NOW_MS, collector="c", why="refused"
    )
    assert sentence_about(state, stale=False).startswith("The database cannot be read: refused.")
    assert sentence_about(state, stale=True).startswith("Nothing is known: the database cannot be read: refused.")


def test_lost_screens_are_the_summary_and_silent_ones_are_not() -> None:
    floor = Floor(*crowd(5))
    floor.judge()
    on_one = floor.state.observed.dialers[ONE]
    floor.state.observed.dialers[ONE] = msgspec.structs.replace(on_one, silent_screens=5)
    assert sentence_about(floor.state, stale=False) == "All 3 dialers are up."
    floor.state.observed.dialers[ONE] = msgspec.structs.replace(on_one, silent_screens=5, lost_screens=2)
    assert sentence_about(floor.state, stale=False).startswith("VICIdial no longer knows the screens of 2 agents")


def test_a_silent_screen_is_told_of_its_agent() -> None:
    (session,) = crowd(1)
    floor = Floor(msgspec.structs.replace(session, screen_silent_since_ms=NOW_MS))
    assert "That screen has been silent since" in words(floor.state, session.user)


def test_the_sentence_about_a_cluster_names_the_tables_that_cannot_be_read() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    assert state.observed.poll is not None
    since_ms = state.observed.observed_at_ms - 12_000
    locked = UnreadTable(table="vicidial_user_log", since_ms=since_ms, why=Unreadable.LOCKED)
    state.observed.poll = msgspec.structs.replace(state.observed.poll, unread=(locked,))
    told = "vicidial_user_log has not been read for 12 s: locked, or being read for long."
    assert sentence_about(state, stale=False).endswith(told)
    assert told not in sentence_about(state, stale=True)
