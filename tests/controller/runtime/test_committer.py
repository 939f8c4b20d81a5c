"""From a decision to an act: what is under way when the log, or the ownership of a cluster, goes away."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec
import pytest

from controller.core.actions import AttemptId, Outcome, attempt_of
from controller.core.cluster import Cluster, Permit
from controller.core.clusters import Clusters
from controller.core.plan import Plan
from controller.core.policy import Policy
from controller.runtime.committer import RESEND_SECONDS, Committer
from messages.codes import Reply
from messages.keys import key_of
from messages.records import Action, ReloginStage
from stream.log import Entry, LogUnavailableError
from tests.support.builders import CLUSTER, MOVE, ONE, PARTITIONS, TWO, arrived, dialer, poll

ANOTHER = msgspec.structs.replace(MOVE, live_agent_id=2, user="1002")
NOTHING = Plan([], [])


class Scene:
    """A controller that owns the cluster, an executor that only keeps what it is given, and a log that can be away."""

    def __init__(self) -> None:
        self.now = 100.0
        self.away = 0
        """So many appends are yet to fail."""
        self.stored: list[str] = []
        self.given: list[Action] = []
        self.begun: list[Action] = []
        """Those of them with which the executor has begun."""
        self._sequence = 0
        self.clusters = Clusters("me", "", PARTITIONS, {CLUSTER: Policy(acts=True)})
        self.poll()
        self.committer = Committer(self.clusters, self._append, {CLUSTER: self}, lambda _: True, clock=lambda: self.now)

    async def _append(self, _: str, entries: Sequence[Entry]) -> None:
        if self.away:
            self.away -= 1
            raise LogUnavailableError("the log is away")
        self.stored += [entry.key for entry in entries]

    @property
    def view(self) -> Cluster:
        return self.clusters.by_name[CLUSTER]

    def paused(self) -> bool:
        """Return True if the cluster is paused."""
        return self.view.state.decided.orders.pause is not None

    def submit(self, action: Action) -> None:
        """Queue an action, as an executor does."""
        self.given.append(action)

    def withdraw(self, attempts: Collection[AttemptId]) -> list[Action]:
        """Return back what is waiting, as an executor does."""
        back = [each for each in self.given if attempt_of(each) in attempts and each not in self.begun]
        self.given = [each for each in self.given if each not in back]
        return back

    def poll(self) -> None:
        """Have the cluster known, and owned."""
        self._sequence += 1
        self.clusters.own(frozenset(range(PARTITIONS)))
        self.clusters.fold(arrived(poll(dialer(ONE), dialer(TWO), sequence=self._sequence)), self.now, live=True)
        self.view.permit = Permit(withheld=None)

    def resume(self) -> None:
        """Go on after a pause, as people do once they have mended what it was for."""
        self.view.state.decided.orders.pause = None
        self.view.permit = Permit(withheld=None)

    async def take(self, turn: Plan = NOTHING, times: int = 1) -> None:
        """Let polls come in with this decision, one a second, and what follows from each come to its end."""
        for _ in range(times):
            self.now += 1
            self.committer.commit_plans({CLUSTER: turn})
            await self.settle()

    async def give(self) -> None:
        """Have the move decided, and given to the executor."""
        self.view.state.decided.add(MOVE)
        await self.take()

    async def done(self, reply: Reply, said: str, *, lost: int = 0) -> None:
        """Have the executor say what came of the move, while so many appends fail."""
        self.away = lost
        self.committer.report(MOVE, Outcome(reply, said))
        await self.settle()

    async def settle(self) -> None:
        """Let everything that is under way come to its end."""
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*others)


def play(what: Callable[[Scene], Awaitable[None]]) -> None:
    async def play() -> None:
        await what(Scene())

    asyncio.run(play())


@pytest.mark.parametrize("reply", [Reply.UNCLEAR, Reply.REFUSED, Reply.DONE, Reply.GONE])
def test_what_came_of_an_act_is_stored_when_the_log_is_back(reply: Reply) -> None:
    async def what(scene: Scene) -> None:
        await scene.give()
        assert scene.given == [MOVE]
        await scene.done(reply, "said", lost=2)
        assert scene.stored == []
        await scene.take(times=3)
        assert scene.view.state.decided.relogins[1].stage in {ReloginStage.SENT, ReloginStage.ENDED}
        assert scene.stored[0] == f"{CLUSTER}/session/1"
        assert scene.given == [MOVE], "and is not done again"

    play(what)


def test_decisions_wait_for_what_came_of_an_act() -> None:
    async def what(scene: Scene) -> None:
        await scene.give()
        await scene.done(Reply.DONE, "told", lost=1)
        await scene.take(Plan([ANOTHER], []), times=2)
        assert [key for key in scene.stored if "/session/" in key] == [f"{CLUSTER}/session/1", f"{CLUSTER}/session/2"]

    play(what)


def test_what_came_of_an_act_while_the_log_was_read_anew_is_stored_and_blocks_nothing() -> None:
    async def what(scene: Scene) -> None:
        await scene.give()
        scene.clusters.forget(range(PARTITIONS))
        await scene.done(Reply.GONE, "gone")
        assert scene.stored == []
        scene.poll()
        scene.view.state.decided.add(MOVE)  # as the log has it
        await scene.take(Plan([ANOTHER], []), times=2)
        assert [key for key in scene.stored if "/session/" in key] == [f"{CLUSTER}/session/1", f"{CLUSTER}/session/2"]
        assert scene.view.state.decided.relogins[1].stage is ReloginStage.ENDED
        assert scene.given == [MOVE, ANOTHER]

    play(what)


def test_what_was_decided_anew_meanwhile_is_given_whatever_came_of_the_former() -> None:
    anew = msgspec.structs.replace(MOVE, incident="another", planned_at_ms=MOVE.planned_at_ms + 60_000, by="successor")

    async def what(scene: Scene) -> None:
        await scene.give()
        await scene.done(Reply.DONE, "told", lost=1)
        scene.view.state.decided.add(anew)
        await scene.take(times=2)
        assert scene.view.state.decided.relogins[1] == anew
        assert scene.given == [MOVE, anew]

    play(what)


def test_a_refused_account_pauses_the_cluster_until_somebody_goes_on_and_not_again() -> None:
    async def what(scene: Scene) -> None:
        await scene.give()
        await scene.done(Reply.DENIED, "Invalid Username/Password", lost=1)
        assert scene.paused(), "at once"
        await scene.take()
        assert scene.given == [MOVE], "each further try may lock the account"
        assert f"{CLUSTER}/pause" in scene.stored

        scene.resume()
        await scene.take()
        assert scene.given == [MOVE, MOVE]
        scene.stored.clear()
        await scene.done(Reply.DENIED, "Invalid Username/Password", lost=1)
        scene.resume()
        await scene.take(times=2)
        assert not scene.paused()
        assert f"{CLUSTER}/pause" not in scene.stored
        assert scene.given == [MOVE, MOVE, MOVE]

    play(what)


def test_what_could_not_be_carried_out_is_given_again_after_a_while() -> None:
    async def what(scene: Scene) -> None:
        await scene.give()
        scene.committer.report(MOVE, Outcome(Reply.UNSENT, "no answer"))
        await scene.take()
        assert scene.given == [MOVE]
        await scene.take(times=round(RESEND_SECONDS))
        assert scene.given == [MOVE, MOVE]

    play(what)


def test_what_no_longer_stands_is_taken_back_unless_it_has_begun() -> None:
    async def what(scene: Scene) -> None:
        scene.view.state.decided.add(ANOTHER)
        await scene.give()
        assert set(scene.given) == {MOVE, ANOTHER}
        assert scene.view.submitted == {attempt_of(MOVE), attempt_of(ANOTHER)}, "the next plan knows"
        scene.begun = [MOVE]
        gone = [msgspec.structs.replace(each, withdrawn=True) for each in (MOVE, ANOTHER)]
        await scene.take(Plan([*gone], []))
        assert scene.given == [MOVE]
        assert scene.view.submitted == {attempt_of(MOVE)}
        await scene.done(Reply.UNSENT, "it was withdrawn")
        assert scene.view.submitted == frozenset()
        await scene.take(times=round(RESEND_SECONDS) + 1)
        assert scene.given == [MOVE], "and is not given again"

    play(what)


def test_what_comes_of_a_withdrawn_move_that_had_begun_is_stored() -> None:
    async def what(scene: Scene) -> None:
        await scene.give()
        scene.begun = [MOVE]
        await scene.take(Plan([msgspec.structs.replace(MOVE, withdrawn=True)], []))
        await scene.done(Reply.DONE, "told")
        stored = scene.view.state.decided.relogins[1]
        assert (stored.stage, stored.withdrawn) == (ReloginStage.SENT, True)
        assert scene.view.submitted == frozenset()

    play(what)


def test_what_a_plan_ends_is_not_given_while_that_plan_is_being_stored() -> None:
    async def what(scene: Scene) -> None:
        scene.view.state.decided.add(MOVE)
        scene.committer.commit_plans({CLUSTER: Plan([], [key_of(MOVE)])})
        scene.committer.commit_plans({CLUSTER: NOTHING})
        assert scene.given == []
        await scene.settle()
        await scene.take()
        assert scene.given == []

    play(what)
