"""The journal: one line for each decision, order and refusal, at a level to filter by, written by the owner alone."""

from structlog.testing import capture_logs

from controller.core.clusters import Clusters
from controller.runtime import journal
from messages.codes import DecisionCode
from messages.records import Decision
from tests.support.builders import CLUSTER, NOW_MS, ONE, PARTITIONS, arrived, dialer, poll

NOW = 100.0


def decision(code: DecisionCode, subject: str = ONE) -> Decision:
    return Decision(cluster=CLUSTER, at_ms=NOW_MS, actor="me", code=code, what="what", why="why", subject=subject)


def test_a_decision_is_a_line_with_its_facts() -> None:
    with capture_logs() as lines:
        journal.write(decision(DecisionCode.INCIDENT_OPENED))
        journal.write(decision(DecisionCode.MOVE_PLANNED, "1001"))
    opened, planned = lines
    assert (opened["log_level"], planned["log_level"]) == ("warning", "info")
    assert opened == {
        "event": "what",
        "log_level": "warning",
        "cluster": CLUSTER,
        "subject": ONE,
        "why": "why",
        "code": "incident_opened",
        "by": "me",
        "at_ms": NOW_MS,
    }


def test_what_the_account_may_not_do_is_a_warning() -> None:
    with capture_logs() as lines:
        for code in (DecisionCode.FENCE_NOT_TAKEN, DecisionCode.NOT_UNFENCED, DecisionCode.SESSION_NOT_ENDED):
            journal.write(decision(code))
    assert {each["log_level"] for each in lines} == {"warning"}


def test_only_the_owner_has_a_line_to_write_and_only_as_it_comes_in() -> None:
    clusters = Clusters("me", "", PARTITIONS, {})
    clusters.fold(arrived(poll(dialer(ONE))), NOW, live=True)
    opened = decision(DecisionCode.INCIDENT_OPENED)
    assert clusters.fold([opened], NOW, live=True).decisions == []
    assert clusters.own(frozenset(range(PARTITIONS))) == ([CLUSTER], [])
    assert clusters.fold([opened], NOW, live=False).decisions == []
    assert clusters.fold([opened], NOW, live=True).decisions == [opened]
    assert clusters.own(frozenset()) == ([], [CLUSTER])


def test_a_change_of_owner_is_a_line_for_each_cluster() -> None:
    with capture_logs() as lines:
        journal.write_ownership(["west"], ["east"])
    assert [(each["event"], each["cluster"]) for each in lines] == [
        ("this process is the owner of a cluster now", "west"),
        ("this process is no longer the owner of a cluster", "east"),
    ]
