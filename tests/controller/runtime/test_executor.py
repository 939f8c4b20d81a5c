"""The actuators of a cluster: other means while it works, and a mistake that must not end them."""

from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import msgspec
import pymysql
import pytest

from controller.core.actions import Outcome, SessionRow
from controller.runtime.executor import Executor
from controller.vicidial.ports import Actuators, VicidialError
from controller.vicidial.sql import SqlSessionReader
from messages.codes import Reply
from messages.records import Action, AgentPause, Arrival, ArrivalStage, Fence, Relogin
from tests.support.builders import CLUSTER, MOVE, ONE

NEXT = msgspec.structs.replace(MOVE, user="1002")


class Vicidial:
    """Everybody is logged in on the one dialer; a screen that is told is told by `name`."""

    names_user = False

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self._said = Outcome(Reply.DONE, name)
        self._failure = failure

    def sessions(self, _user: str) -> Sequence[SessionRow]:
        return [SessionRow(1, ONE, "", "PAUSED")]

    def log_out(self, _relogin: Relogin, _hang_up_as: str | None) -> Outcome:
        if self._failure is not None:
            raise self._failure
        return self._said

    def hang_up(self, _relogin: Relogin, _hang_up_as: str) -> Outcome:
        return self._said

    def pause(self, _hold: AgentPause) -> Outcome:
        return self._said

    def resume(self, _action: AgentPause | Arrival) -> Outcome:
        return self._said

    def call(self, _arrival: Arrival) -> Outcome:
        return Outcome(Reply.DONE, "called")

    def fence(self, _fence: Fence, *, first: bool) -> Outcome:  # noqa: ARG002 # as it is asked
        return self._said

    def end_session(self, _relogin: Relogin) -> Outcome:
        return self._said

    def missing_rights(self, _dead_call_status: str) -> str | None:
        return ""


def means(name: str, failure: Exception | None = None) -> Actuators:
    vicidial = Vicidial(name, failure)
    return Actuators(vicidial, vicidial, vicidial, dead_call_status="", per_second=100)


@pytest.fixture
def came() -> SimpleQueue[tuple[Action, Outcome]]:
    """Give what came of actions, in that order."""
    return SimpleQueue()


@pytest.fixture
def executor(came: SimpleQueue[tuple[Action, Outcome]]) -> Iterator[Executor]:
    """Give an executor at work."""
    made = Executor(CLUSTER, "me", means("first"), objection=lambda _: None, report=lambda *what: came.put(what))
    made.start()
    yield made
    made.stop()


def test_what_comes_next_is_carried_out_with_other_means(
    executor: Executor, came: SimpleQueue[tuple[Action, Outcome]]
) -> None:
    executor.submit(MOVE)
    assert came.get(timeout=10) == (MOVE, Outcome(Reply.DONE, "first"))
    executor.use(means("second"))
    executor.submit(NEXT)
    assert came.get(timeout=10) == (NEXT, Outcome(Reply.DONE, "second"))


def test_without_means_everything_comes_back_undone(
    executor: Executor, came: SimpleQueue[tuple[Action, Outcome]]
) -> None:
    executor.use(None)
    executor.submit(MOVE)
    action, outcome = came.get(timeout=10)
    assert (action, outcome.reply) == (MOVE, Reply.UNSENT)
    executor.use(means("again"))
    executor.submit(MOVE)
    assert came.get(timeout=10) == (MOVE, Outcome(Reply.DONE, "again"))


@pytest.mark.parametrize(("stage", "said"), [(ArrivalStage.CALLING, "called"), (ArrivalStage.RESUMING, "resumed")])
def test_an_arrival_is_a_call_or_a_resume(
    executor: Executor, came: SimpleQueue[tuple[Action, Outcome]], stage: ArrivalStage, said: str
) -> None:
    executor.use(means("resumed"))
    arrival = Arrival(
        cluster=CLUSTER, live_agent_id=1, user="1001", incident="i", server_ip=ONE, since_ms=1, stage=stage
    )
    executor.submit(arrival)
    assert came.get(timeout=10) == (arrival, Outcome(Reply.DONE, said))


def test_a_mistake_is_an_answer_that_is_not_clear_and_ends_nothing(
    executor: Executor, came: SimpleQueue[tuple[Action, Outcome]]
) -> None:
    executor.use(means("failing", ZeroDivisionError("what nobody foresaw")))
    executor.submit(MOVE)
    _, outcome = came.get(timeout=10)
    assert outcome.reply is Reply.UNCLEAR
    assert "ZeroDivisionError" in outcome.said
    executor.use(means("mended"))
    executor.submit(NEXT)
    assert came.get(timeout=10) == (NEXT, Outcome(Reply.DONE, "mended"))


def test_a_database_that_cannot_be_named_like_that_is_one_that_cannot_be_asked() -> None:
    def connect() -> "pymysql.connections.Connection[Any]":
        return pymysql.connect(host="db..example", user="hotdesk")

    with pytest.raises(VicidialError, match=r"could not be read for '1001': .*check host, tls_ca and password"):
        SqlSessionReader(connect).sessions("1001")
