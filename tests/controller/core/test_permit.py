"""What is asked last of all, just before an action is carried out: each question alone keeps it from being done."""

import msgspec
import pytest

from controller.core.actions import attempt_of
from controller.core.cluster import STALE_SECONDS, Cluster, Permit, Process, no_decisions
from controller.core.news import NEVER, Tombstone
from controller.core.plan import Plan
from controller.core.policy import Policy
from messages.codes import ReasonCode
from messages.keys import key_of
from messages.records import AgentPause, AgentPauseStage, DialerState, Pause, Relogin, ReloginStage
from messages.topics import Topic
from messages.words import reason
from tests.support.builders import CLUSTER, MOVE, NOW_MS, ONE, TWO, dialer, poll
from tests.support.floor import BRAKE as LOOK_BAD
from tests.support.floor import Floor, crowd

NOW = 100.0
GRANTED = Permit(withheld=None, due=frozenset({attempt_of(MOVE)}), dead=frozenset({ONE}), fresh_at=NOW)
SUSPENDED = reason(ReasonCode.SUSPENDED, by="anna", because="")
NOT_OWNER = reason(ReasonCode.NOT_OWNER)


def test_an_action_that_stands_is_carried_out() -> None:
    assert GRANTED.objection(MOVE, NOW + STALE_SECONDS, None) is None


@pytest.mark.parametrize(
    ("permit", "now", "not_owner", "code"),
    [
        (GRANTED._replace(due=frozenset()), NOW, None, ReasonCode.WITHDRAWN),
        (GRANTED, NOW + STALE_SECONDS + 0.1, None, ReasonCode.VIEW_STALE),
        (GRANTED._replace(fresh_at=None), NOW, None, ReasonCode.VIEW_STALE),
        (GRANTED, NOW, NOT_OWNER, ReasonCode.NOT_OWNER),
        (GRANTED._replace(moved_often=frozenset({MOVE.live_agent_id})), NOW, None, ReasonCode.MOVED_OFTEN),
        (GRANTED._replace(withheld=SUSPENDED), NOW, None, ReasonCode.SUSPENDED),
        (Permit(), NOW, None, ReasonCode.WITHDRAWN),
    ],
)
def test_each_question_alone_keeps_it_from_being_carried_out(
    permit: Permit, now: float, not_owner: None, code: ReasonCode
) -> None:
    objection = permit.objection(MOVE, now, not_owner)
    assert objection is not None
    assert objection.code is code


BRAKE = reason(ReasonCode.FLEET_BRAKE, bad=2, service=3)
DOUBT = reason(ReasonCode.DEATH_IN_DOUBT, evidence="it beats")
PAUSE = AgentPause(cluster=CLUSTER, live_agent_id=1, user="1001", incident="i", server_ip=ONE)


def test_the_fleet_brake_keeps_an_agent_from_being_moved_and_not_from_being_paused() -> None:
    permit = GRANTED._replace(withheld=BRAKE, due=frozenset({attempt_of(MOVE), attempt_of(PAUSE)}))
    assert permit.objection(MOVE, NOW, None) == BRAKE
    assert permit.objection(PAUSE, NOW, None) is None
    assert permit._replace(withheld=SUSPENDED).objection(PAUSE, NOW, None) == SUSPENDED


def test_a_death_in_doubt_holds_back_what_is_done_about_it_and_not_what_takes_it_back() -> None:
    resume = msgspec.structs.replace(PAUSE, stage=AgentPauseStage.RESUMING)
    due = frozenset(attempt_of(each) for each in (MOVE, PAUSE, resume))
    permit = GRANTED._replace(due=due, doubts={"i": DOUBT})
    assert [permit.objection(each, NOW, None) for each in (MOVE, PAUSE, resume)] == [DOUBT, DOUBT, None]


def test_what_was_planned_for_a_dead_dialer_is_not_carried_out_once_its_death_is_not_confirmed() -> None:
    objection = GRANTED._replace(dead=frozenset({TWO})).objection(MOVE, NOW, None)
    assert objection is not None
    assert objection.code is ReasonCode.DEATH_IN_DOUBT
    living = msgspec.structs.replace(MOVE, dialer_lives=True)
    assert GRANTED._replace(dead=frozenset()).objection(living, NOW, None) is None


def test_another_attempt_about_the_same_session_is_another_action() -> None:
    again = msgspec.structs.replace(MOVE, attempts=2)
    assert GRANTED.objection(again, NOW, None) == reason(ReasonCode.WITHDRAWN)


LIVING = msgspec.structs.replace(MOVE, dialer_lives=True)


def acting() -> Cluster:
    """Return a cluster that has seen a poll and committed the move."""
    cluster = Cluster(CLUSTER, Policy(acts=True), Process("me", ""), owned=True, decisions=no_decisions())
    fold_poll(cluster, 1)
    cluster.committed(Plan([LIVING], []))
    return cluster


def fold_poll(cluster: Cluster, sequence: int) -> None:
    """Let a poll come in, one second after the one before, and make its plan."""
    news, now = poll(dialer(ONE), dialer(TWO), sequence=sequence, at_ms=NOW_MS + 1000 * sequence), NOW + sequence
    cluster.record_arrival(news, cluster.fold(news, live=True), now)
    cluster.publish()


def test_what_was_committed_may_be_carried_out_at_once_and_what_was_withdrawn_never() -> None:
    cluster = acting()
    assert cluster.permit.objection(LIVING, NOW + 1, None) is None
    sent = msgspec.structs.replace(MOVE, stage=ReloginStage.SENT)
    cluster.committed(Plan([sent], []))
    assert cluster.permit.objection(LIVING, NOW + 1, None) == reason(ReasonCode.WITHDRAWN)


def test_polls_that_no_longer_come_end_what_waits_in_a_queue() -> None:
    cluster = acting()
    assert cluster.permit.objection(LIVING, NOW + 1 + STALE_SECONDS, None) is None
    assert cluster.permit.objection(LIVING, NOW + 1.1 + STALE_SECONDS, None) == reason(ReasonCode.VIEW_STALE)
    fold_poll(cluster, 7)
    assert cluster.permit.objection(LIVING, NOW + 7, None) is None


def test_a_suspended_cluster_carries_out_nothing_from_its_next_plan_on() -> None:
    cluster = acting()
    cluster.fold(Pause(cluster=CLUSTER, ordered_at_ms=NOW_MS, by="anna"), live=True)
    cluster.publish()
    assert cluster.permit.objection(LIVING, NOW + 1, None) == SUSPENDED


def test_a_permit_is_never_changed() -> None:
    cluster = acting()
    before = cluster.permit
    assert isinstance(LIVING, Relogin)
    fold_poll(cluster, 2)
    assert cluster.permit is not before
    assert before == Permit(None, frozenset({attempt_of(LIVING)}), {}, frozenset(), before.fresh_at)


def test_a_user_is_moved_twice_in_ten_minutes_and_not_more_whichever_owners_planned_it() -> None:
    cluster = acting()
    for number, by in ((2, "an earlier owner"), (3, "another")):
        sent = msgspec.structs.replace(
            MOVE, live_agent_id=number, user=MOVE.user.upper(), stage=ReloginStage.SENT, planned_at_ms=NOW_MS, by=by
        )
        assert cluster.permit.objection(LIVING, NOW + 1, None) is None
        cluster.fold(sent, live=True)
        cluster.fold(Tombstone(Topic.RELOGINS, key_of(sent), NEVER, by), live=True)
        cluster.publish()
    assert cluster.permit.objection(LIVING, NOW + 1, None) == reason(ReasonCode.MOVED_OFTEN)
    for sequence in (602, 603):
        fold_poll(cluster, sequence)
    assert cluster.permit.objection(LIVING, NOW + 603, None) is None


def test_what_was_planned_for_a_dead_dialer_is_carried_out_also_once_vicidial_has_it_no_longer() -> None:
    floor = Floor(*crowd(1))
    floor.judge(LOOK_BAD, ONE=DialerState.DOWN)
    floor.plan()
    floor.remove(ONE)
    (move,) = floor.moves()
    cluster = Cluster(CLUSTER, Policy(acts=True), Process("controller-1", ""), owned=True, decisions=no_decisions())
    cluster.state = floor.state
    cluster.freshness.fresh_at = NOW
    cluster.publish()
    assert not move.dialer_lives
    assert cluster.permit.objection(move, NOW, None) is None
