"""The actuators of a cluster: other means while it works, and a mistake that must not end them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import msgspec
import pymysql
import pytest

from controller.core.actions import Outcome, SessionRow, attempt_of
from controller.runtime.executor import Executor
from controller.vicidial.connections import Statements
from controller.vicidial.ports import Actuators, VicidialError, WhyNot
from controller.vicidial.sql import SqlSessionReader
from messages.codes import Precondition, Reason, ReasonCode, Reply
from messages.records import Action, AgentPause, Arrival, ArrivalStage, Fence, Relogin, ScreenRestore
from messages.words import reason, sentence
from tests.support.builders import CLUSTER, MOVE, ONE

NEXT = msgspec.structs.replace(MOVE, live_agent_id=2, user="1002")


class Vicidial:
    """Everybody is logged in on the one dialer; a screen that is told is told by `name`."""

    names_user = False
    ways = 1

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self._said = Outcome(Reply.DONE, name)
        self._failure = failure

    def sessions(self, _user: str) -> Sequence[SessionRow]:
        return [SessionRow(number, ONE, "", "PAUSED") for number in (1, 2, 3)]

    def ready(self) -> Outcome | None:
        return None

    def log_out(self, _relogin: Relogin, _hang_up_as: str | None, _why_not: WhyNot) -> Outcome:
        if self._failure is not None:
            raise self._failure
        return self._said

    def hang_up(self, _relogin: Relogin, _hang_up_as: str) -> Outcome:
        return self._said

    def pause(self, _hold: AgentPause) -> Outcome:
        return self._said

    def resume(self, _action: AgentPause | Arrival) -> Outcome:
        return self._said

    def tell(self, _arrival: Arrival) -> Outcome:
        return Outcome(Reply.DONE, "told")

    def call(self, _arrival: Arrival) -> Outcome:
        return Outcome(Reply.DONE, "called")

    def fence(self, _fence: Fence, *, first: bool) -> Outcome:  # noqa: ARG002 # as it is asked
        return self._said

    def restore_screen(self, _restore: ScreenRestore) -> Outcome:
        return self._said

    def end_session(self, _relogin: Relogin) -> Outcome:
        return self._said

    def missing_rights(self, _dead_call_status: str, *, tells: bool = False) -> str | None:  # noqa: ARG002 # the same
        return ""


def means(name: str, failure: Exception | None = None) -> Actuators:
    vicidial = Vicidial(name, failure)
    return Actuators(vicidial, vicidial, vicidial, dead_call_status="", per_second=100)


def executor_with(vicidial: Vicidial, objection: Callable[[Action], Reason | None] = lambda _: None) -> Executor:
    """Return an executor that has not begun."""
    actuators = Actuators(vicidial, vicidial, vicidial, dead_call_status="", per_second=100)
    return Executor(CLUSTER, "me", actuators, objection=objection, report=lambda *_: None)


@pytest.fixture
def came() -> SimpleQueue[tuple[Action, Outcome]]:
    """Return what came of actions, in that order."""
    return SimpleQueue()


@pytest.fixture
def executor(came: SimpleQueue[tuple[Action, Outcome]]) -> Iterator[Executor]:
    """Yield an executor at work."""
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


@pytest.mark.parametrize(
    ("stage", "said"),
    [(ArrivalStage.TELLING, "told"), (ArrivalStage.CALLING, "called"), (ArrivalStage.RESUMING, "resumed")],
)
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
        SqlSessionReader(Statements(connect)).sessions("1001")


class Fencing(Vicidial):
    """Loses the first answer about a fence."""

    def __init__(self) -> None:
        super().__init__("fencing")
        self.firsts: list[bool] = []

    def fence(self, _fence: Fence, *, first: bool) -> Outcome:
        self.firsts.append(first)
        return Outcome(Reply.UNCLEAR if len(self.firsts) == 1 else Reply.DONE, "")


def test_a_fence_whose_answer_was_lost_may_have_been_taken_and_a_new_one_not() -> None:
    fencing = Fencing()
    executor = executor_with(fencing)
    fence = Fence(cluster=CLUSTER, server_ip=ONE, incident="i", planned_at_ms=1, by="me")
    assert [executor.carry_out(fence).reply for _ in range(3)] == [Reply.UNCLEAR, Reply.DONE, Reply.DONE]
    executor.carry_out(msgspec.structs.replace(fence, by="another"))
    assert fencing.firsts == [True, False, True, False]


class Webs(Vicidial):
    """Two ways to reach a screen; what came of each try, and whether the row shows the logout after it."""

    names_user = True
    ways = 2

    def __init__(self, *tries: tuple[Outcome, bool]) -> None:
        super().__init__("webs")
        self._tries = list(tries)
        self._told = False
        self.asked = 0

    def sessions(self, _user: str) -> Sequence[SessionRow]:
        return [SessionRow(1, ONE, "LOGOUT" if self._told else "")]

    def log_out(self, _relogin: Relogin, _hang_up_as: str | None, _why_not: WhyNot) -> Outcome:
        self.asked += 1
        outcome, self._told = self._tries.pop(0)
        return outcome


SILENT = Outcome(Reply.UNCLEAR, "no answer", late=1, look=True)
STRANGE = Outcome(Reply.REFUSED, "a page", look=True)
HUNG = Outcome(Reply.UNSENT, "it hangs", look=True)
TOLD = Outcome(Reply.DONE, "told")


@pytest.mark.parametrize(
    ("tries", "reply", "late", "asked"),
    [
        ([(SILENT, True)], Reply.DONE, 0, 1),  # the row shows it
        ([(STRANGE, True)], Reply.DONE, 0, 1),
        ([(SILENT, False), (TOLD, True)], Reply.DONE, 1, 2),  # the first may still be carried out
        ([(SILENT, False), (SILENT, True)], Reply.DONE, 1, 2),
        ([(SILENT, False), (SILENT, False)], Reply.UNCLEAR, 2, 2),
        ([(SILENT, False), (STRANGE, False)], Reply.UNCLEAR, 1, 2),
        ([(STRANGE, False), (STRANGE, False)], Reply.REFUSED, 0, 2),
        ([(HUNG, False), (TOLD, True)], Reply.DONE, 0, 2),
        ([(HUNG, False), (HUNG, False)], Reply.UNSENT, 0, 2),
        ([(TOLD, False)], Reply.DONE, 0, 1),
    ],
)
def test_what_is_not_clear_is_looked_up_in_the_row_before_another_address_is_asked(
    tries: list[tuple[Outcome, bool]], reply: Reply, late: int, asked: int
) -> None:
    webs = Webs(*tries)
    outcome = executor_with(webs).carry_out(MOVE)
    assert (outcome.reply, outcome.late, webs.asked) == (reply, late, asked)


class Ordered(Vicidial):
    """Writes down what it is asked, in order."""

    def __init__(self) -> None:
        super().__init__("ordered")
        self.asked: list[str] = []

    def ready(self) -> Outcome | None:
        self.asked.append("ready")
        return None

    def sessions(self, _user: str) -> Sequence[SessionRow]:
        self.asked.append("row")
        return [SessionRow(1, ONE, "", "READY")]

    def log_out(self, relogin: Relogin, hang_up_as: str | None, why_not: WhyNot) -> Outcome:
        self.asked.append("act")
        return super().log_out(relogin, hang_up_as, why_not)

    def pause(self, pause: AgentPause) -> Outcome:
        self.asked.append("act")
        return super().pause(pause)

    def fence(self, fence: Fence, *, first: bool) -> Outcome:
        self.asked.append("act")
        return super().fence(fence, first=first)

    def objection(self, _: Action) -> Reason | None:
        self.asked.append("objection")
        return None


PAUSE = AgentPause(cluster=CLUSTER, live_agent_id=1, user="1001", incident="i", server_ip=ONE)
FENCE = Fence(cluster=CLUSTER, server_ip=ONE, incident="i", planned_at_ms=1, by="me")


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        (MOVE, ["ready", "row", "objection", "act"]),
        (PAUSE, ["ready", "row", "objection", "act", "row"]),  # the mark that it leaves
        (FENCE, ["objection", "act"]),
    ],
    ids=["move", "pause", "fence"],
)
def test_whether_it_may_act_is_asked_last_of_all(action: Action, asked: list[str]) -> None:
    ordered = Ordered()
    executor_with(ordered, ordered.objection).carry_out(action)
    assert ordered.asked == asked


@pytest.mark.parametrize("action", [MOVE, PAUSE, FENCE], ids=["move", "pause", "fence"])
def test_what_is_objected_to_is_not_sent(action: Action) -> None:
    ordered = Ordered()
    outcome = executor_with(ordered, lambda _: reason(ReasonCode.STOPPING)).carry_out(action)
    assert (outcome.reply, outcome.said) == (Reply.UNSENT, sentence(ReasonCode.STOPPING))
    assert "act" not in ordered.asked


@pytest.mark.parametrize(
    ("known", "objections", "said"),
    [
        (True, 1, "ordered"),
        (True, 2, sentence(ReasonCode.STOPPING)),
        (False, 1, sentence(Precondition.GONE)),
    ],
    ids=["goes on", "objected to", "gone"],
)
def test_a_logout_that_comes_late_is_looked_at_and_asked_about_anew(known: bool, objections: int, said: str) -> None:
    class Late(Ordered):
        def sessions(self, user: str) -> Sequence[SessionRow]:
            seen = super().sessions(user)
            return seen if known or "act" not in self.asked else []

        def log_out(self, relogin: Relogin, hang_up_as: str | None, why_not: WhyNot) -> Outcome:
            outcome = super().log_out(relogin, hang_up_as, why_not)
            return why_not() or outcome

        def objection(self, _: Action) -> Reason | None:
            self.asked.append("objection")
            return reason(ReasonCode.STOPPING) if self.asked.count("objection") == objections > 1 else None

    late = Late()
    assert executor_with(late, late.objection).carry_out(MOVE).said == said
    assert late.asked[:6] == ["ready", "row", "objection", "act", "row", "objection"][: 6 if known else 5]


def test_a_web_server_that_hangs_is_found_before_the_look_and_the_next_one_is_asked() -> None:
    class Hung(Ordered):
        ways = 2

        def ready(self) -> Outcome | None:
            super().ready()
            return HUNG if self.asked == ["ready"] else None

    hung = Hung()
    assert executor_with(hung, hung.objection).carry_out(MOVE).reply is Reply.DONE
    assert hung.asked == ["ready", "ready", "row", "objection", "act"]


def test_before_another_address_is_asked_everything_is_asked_again() -> None:
    webs, asked = Webs((SILENT, False), (TOLD, True)), []

    def objection(_: Action) -> Reason | None:
        asked.append(webs.asked)
        return reason(ReasonCode.STOPPING) if webs.asked else None

    outcome = executor_with(webs, objection).carry_out(MOVE)
    assert (outcome.reply, webs.asked, asked) == (Reply.UNCLEAR, 1, [0, 1])


def test_how_many_actions_wait_and_how_long_the_oldest_has_been_in_progress_can_be_seen() -> None:
    now = [100.0]
    executor = Executor(
        CLUSTER, "me", means("slow"), objection=lambda _: None, report=lambda *_: None, clock=lambda: now[0]
    )
    assert (executor.seconds_in_progress(), executor.waiting()) == (0, 0)
    executor.submit(MOVE)
    assert executor.waiting() == 1
    action = executor.begin()
    assert action == MOVE
    assert executor.waiting() == 0
    now[0] += 2.5
    assert executor.seconds_in_progress() == 2.5
    executor.end(action)
    assert executor.seconds_in_progress() == 0


class Slow(Vicidial):
    """One screen is sent its logout so slowly that others are sent theirs meanwhile."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.others = threading.Event()

    def log_out(self, relogin: Relogin, _hang_up_as: str | None, _why_not: WhyNot) -> Outcome:
        if relogin == MOVE:
            return Outcome(Reply.DONE if self.others.wait(10) else Reply.UNCLEAR, "slow")
        self.others.set()
        return self._said


def test_one_that_hangs_holds_up_no_other(executor: Executor, came: SimpleQueue[tuple[Action, Outcome]]) -> None:
    slow = Slow()
    executor.use(Actuators(slow, slow, slow, dead_call_status="", per_second=100))
    executor.submit(MOVE)
    executor.submit(NEXT)
    assert [came.get(timeout=10) for _ in range(2)][-1] == (MOVE, Outcome(Reply.DONE, "slow"))


def test_what_is_withdrawn_before_it_began_is_never_carried_out(
    executor: Executor, came: SimpleQueue[tuple[Action, Outcome]]
) -> None:
    slow = Slow()
    executor.use(Actuators(slow, slow, slow, dead_call_status="", per_second=1))
    executor.submit(MOVE)
    executor.submit(NEXT)  # waits for the pace
    assert executor.withdraw([attempt_of(NEXT)]) == [NEXT]
    slow.others.set()
    assert came.get(timeout=10)[0] == MOVE
    executor.submit(msgspec.structs.replace(NEXT, live_agent_id=3, user="1003"))
    assert came.get(timeout=10)[0] != NEXT


class SilentPause(Vicidial):
    """Pauses an agent, and says nothing."""

    ways = 2

    def __init__(self) -> None:
        super().__init__("silent")
        self.asked = 0

    def sessions(self, _user: str) -> Sequence[SessionRow]:
        return [SessionRow(1, ONE, f"PAUSE!{self.asked}" if self.asked else "")]

    def pause(self, _hold: AgentPause) -> Outcome:
        self.asked += 1
        return Outcome(Reply.UNCLEAR, "no answer", look=True)


def test_a_pause_whose_mark_is_in_the_row_was_done_and_is_not_sent_again() -> None:
    silent = SilentPause()
    pause = AgentPause(cluster=CLUSTER, live_agent_id=1, user="1001", incident="i", server_ip=ONE)
    outcome = executor_with(silent).carry_out(pause)
    assert (outcome.mark, silent.asked) == ("PAUSE!1", 1)
