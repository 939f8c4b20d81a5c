"""Why, in words: for whoever asks about one dialer, agent or alias, and for the one sentence about a cluster."""

from collections import deque

import msgspec
import pytest

from controller.core.explanations import Explanation, explain, heartbeat_words, sentence_about
from controller.core.policy import Policy
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from messages.codes import DecisionCode
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
    Outage,
    Pause,
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


def test_a_dialer_that_is_well_is_said_to_be() -> None:
    told = words(desk_state(dialer(ONE, 3), dialer(TWO, 1)), TWO)
    assert "Its heartbeat: beats." in told
    assert "1 agent and 0 slots there; 500 rooms free." in told
    assert "It is number 1 in the ranking: the next login goes there." in told


def test_a_dialer_is_found_by_its_id_too_and_not_by_case() -> None:
    named = msgspec.structs.replace(dialer(ONE), server_id="DIALER1")
    assert only(desk_state(named), "dialer1").name == ONE


def test_every_reason_against_a_dialer_is_said() -> None:
    told = words(desk_state(dialer(ONE, active=False, agent_logins=False, rooms_free=0), dialer(TWO)), ONE)
    for why in (Ineligible.SWITCHED_OFF, Ineligible.CLOSED, Ineligible.NO_ROOM):
        assert sentence(why) in told
    assert "It takes no new logins: " in told


def test_what_people_and_hotdesk_did_to_a_dialer_is_said() -> None:
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
    assert "anna ordered it drained: new disk." in told
    assert "hotdesk's fence: closed by hotdesk." in told
    assert f"Incident {incident} is open since" in told
    assert "2 agents still there, 2 moves planned, 0 logged in on another dialer." in told
    assert "2001 is not moved: remote agent: has no browser to log in again with." in told
    assert "bob is on it." in told


def test_a_box_without_asterisk_is_said_to_be_one() -> None:
    assert "It runs no Asterisk" in words(desk_state(dialer(ONE), dialer(TWO, asterisk=False)), TWO)


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "beats"), (1.9, "beats"), (3.2, "stands still for 3 s")])
def test_a_heartbeat_that_is_well_is_always_the_same_words(seconds: float, said: str) -> None:
    (standing,) = rank_dialers(desk_state(dialer(ONE)), PLAIN)
    assert heartbeat_words(msgspec.structs.replace(standing, heartbeat_stalled_seconds=seconds)) == said


# --- agents -------------------------------------------------------------------------------------------------------


def test_an_agent_who_is_being_moved_is_told_about() -> None:
    floor = Floor(*crowd(1))
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    told = words(floor.state, "1001")
    assert f"Logged in on {ONE} as SIP/1001, READY" in told
    assert f"A slot on {THREE} as 1001c, kept for their move" in told
    assert f"A move from {ONE} to {THREE} for {floor.incident.incident}: planned." in told


def test_why_an_agent_is_not_moved_is_told() -> None:
    floor = Floor(agent("1001", status=AgentStatus.INCALL))
    floor.judge(ONE=DialerState.DRAINING)
    floor.plan()
    assert f"Not moved off {ONE}: in a call: moved when it ends." in words(floor.state, "1001")


def test_who_chose_an_agents_dialer_is_told() -> None:
    floor = Floor(*crowd(2))
    login = msgspec.structs.replace(slot("1001"), used_by=1001)
    floor.state.decided.logins["1001"] = login
    assert "hotdesk chose that: alias desk, phone p1." in words(floor.state, "1001")
    assert "VICIdial chose that: no pick of hotdesk's is known for it" in words(floor.state, "1002")
    floor.state.decided.logins["1001"] = msgspec.structs.replace(login, server_ip=TWO)
    assert f"hotdesk had chosen {TWO} for that login" in words(floor.state, "1001")


def test_a_name_that_several_things_have_is_explained_for_each() -> None:
    floor = Floor(agent("1001"))
    floor.state.observed.phones["1001"] = msgspec.structs.replace(floor.state.observed.phones["1001a"], login="1001")
    assert [each.kind for each in explain(floor.state, PLAIN, (), "1001")] == ["agent", "alias"]


def test_nothing_is_explained_that_is_not_there() -> None:
    assert explain(Floor(*crowd(1)).state, PLAIN, (), "nobody") == []


# --- aliases ------------------------------------------------------------------------------------------------------


def test_the_next_login_of_an_alias_and_why() -> None:
    assert "The next login goes to p2 on 10.0.0.2: the fewest agents and slots." in words(
        desk_state(dialer(ONE, 5), dialer(TWO, 1)), "desk"
    )
    assert "as little load as others, and the last listed of them" in words(
        desk_state(dialer(ONE, 5), dialer(TWO, 5)), "desk"
    )
    assert "the only one that takes logins" in words(desk_state(dialer(ONE, 5), dialer(TWO, active=False)), "desk")
    assert "No login is answered now" in words(desk_state(dialer(ONE, active=False)), "desk")


def test_with_weights_the_words_are_others() -> None:
    state = desk_state(dialer(ONE, 1), dialer(TWO, 3))
    state.observed.weight_shares = {ONE: 0.1, TWO: 0.9}
    assert "The next login goes to p2 on 10.0.0.2: the least agents and slots for its weight." in words(state, "desk")


def test_what_was_known_is_said_to_be_old_where_nothing_is_known_now() -> None:
    state = desk_state(dialer(ONE, 5), dialer(TWO, 1))
    for name in (ONE, "desk"):
        (told,) = explain(state, PLAIN, (), name, stale=True)
        assert told.words[0].startswith("Nothing is known now, so hotdesk offers nothing")


def test_advice_is_said_to_be_one() -> None:
    floor = Floor(*crowd(2), acts=False)
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()
    assert "2 moves advised" in words(floor.state, ONE)
    assert (
        sentence_about(floor.state, stale=False)
        == f"{ONE} is down. hotdesk only advises: 2 of its agents should be moved."
    )


def test_dialers_that_nobody_judges_are_not_said_to_be_well() -> None:
    floor = Floor(*crowd(2))
    floor.judge()
    floor.poll(seconds=4)
    assert sentence_about(floor.state, stale=False) == "All 3 dialers are up."
    floor.poll(seconds=2)
    assert sentence_about(floor.state, stale=False).startswith("No controller decides")


def test_what_hot_desking_lacks_is_told_of_an_alias() -> None:
    assert "error: it stands for 1 phone: there is nowhere to move to; give the agent" in words(
        desk_state(dialer(ONE)), "desk"
    )


def test_a_campaigns_grouping_does_not_confuse_the_words() -> None:
    state = desk_state(dialer(ONE, 5, campaigns={"SALES": 5}), dialer(TWO, 1))
    state.observed.campaigns["sales"] = campaign("SALES", Grouping.ONE_SERVER_ONLY)
    assert "The next login goes to p2" in words(state, "desk")


# --- decisions ----------------------------------------------------------------------------------------------------


def test_the_latest_decisions_about_it_come_along_the_newest_first() -> None:
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
    # also of somebody who has left by now
    (gone,) = explain(floor.state, PLAIN, made, "1002")
    assert (gone.kind, gone.words) == ("agent", ("Nobody is logged in by that name.",))


# --- a cluster in a sentence --------------------------------------------------------------------------------------


def test_the_worst_is_said_first() -> None:
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
    assert sentence_about(state, stale=False) == "Only observed: suspended by anna: tests."
    state.observed.outage = Outage(
        cluster=CLUSTER, epoch=1, sequence=9, unreachable_since_ms=NOW_MS, collector="c", why="refused"
    )
    assert sentence_about(state, stale=False).startswith("The database does not answer.")
    assert sentence_about(state, stale=True).startswith("Nothing is known: the database does not answer.")
