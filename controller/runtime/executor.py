"""The hands: a thread for each cluster that carries out committed orders, one after the other.

Nothing is decided here. Just before anything is sent, VICIdial's own rows are read, and last of all it is asked
whether this process still owns the cluster; between that and the act lie no more than the time limits of the hand.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import structlog

from controller.core.acting import Check, Outcome, Reply, SessionRow, after_check, check
from controller.vicidial.sql import AgentControl, VicidialError
from messages.records import Action, Fence, AgentPause, AgentPauseStage, Relogin

IDLE_SECONDS = 0.5
SECOND = 1.0

log = structlog.get_logger()


class Looks(Protocol):
    """Reads VICIdial's own rows."""

    def sessions(self, user: str) -> Sequence[SessionRow]:
        """Give every row of a user.

        Raises:
            VicidialError: nobody knows.
        """
        ...


class Interventions(Protocol):
    """Changes VICIdial's own tables, as `controller.vicidial.interventions` does."""

    def fence(self, fence: Fence, *, first: bool) -> Outcome: ...

    def end_session(self, relogin: Relogin) -> Outcome: ...


class Actuators(NamedTuple):
    """What actions are carried out with."""

    reader: Looks
    hand: AgentControl
    interventions: Interventions
    dead_call_status: str
    """What a call that died with its dialer is disposed as."""
    per_second: float
    """How many screens are told to log out at most."""


class Executor:
    """Carries out one cluster's actions, one after the other: never are two of a cluster under way at once.

    Args:
        cluster: whose.
        name: of this process, which actions name that it decided.
        means: what it begins with.
        why_not: asked last of all: why this process may not act now; empty: it may.
        report: told what came of each order, on this thread.
    """

    def __init__(  # noqa: PLR0913 # what it works with, each once
        self,
        cluster: str,
        name: str,
        means: Actuators,
        *,
        why_not: Callable[[], str],
        report: Callable[[Action, Outcome], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._means: Actuators | None = means
        self._why_not = why_not
        self._report = report
        self._clock = clock
        self._told: deque[float] = deque()
        """When screens were told lately."""
        self._orders: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"executor-{cluster}", daemon=True)

    def use(self, means: Actuators | None) -> None:
        """Carry out what comes next with these; None: nothing is carried out any more. From any thread."""
        self._means = means

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; what waits is not carried out."""
        self._stop.set()

    def submit(self, action: Action) -> None:
        """Take a committed action."""
        self._orders.put(action)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                action = self._orders.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                continue
            self._report(action, self._carry_out(action))

    def _carry_out(self, action: Action) -> Outcome:
        try:
            self._stop.wait(self.wait_before(action))
            return self.carry_out(action)
        except Exception as error:  # this thread must not end while the process says that it acts
            log.exception("an action failed", cluster=action.cluster)
            return Outcome(Reply.UNCLEAR, f"hotdesk made a mistake ({type(error).__name__}); its log says more")

    def wait_before(self, action: Action) -> float:
        """Tell how many seconds an action must wait for the pace: what was held up is not made up for all at once."""
        means = self._means
        if not isinstance(action, Relogin) or means is None:
            return 0.0
        pace = max(1, round(means.per_second))
        while len(self._told) > pace:
            self._told.popleft()
        return max(0.0, self._told[0] + SECOND - self._clock()) if len(self._told) == pace else 0.0

    def carry_out(self, action: Action) -> Outcome:
        """Look, ask whether this process still may, and act, here and now."""
        means = self._means
        if means is None:
            return Outcome(Reply.UNSENT, "by its settings this process carries out nothing here any more")
        if isinstance(action, Fence):
            # one that an earlier owner decided may have been carried out already
            return self._withheld() or means.interventions.fence(action, first=action.by == self._name)
        try:
            rows = means.reader.sessions(action.user)
        except VicidialError as error:
            return Outcome(Reply.UNSENT, str(error))
        found = check(action, rows, names_user=means.hand.names_user)
        if found is Check.HANG_UP and isinstance(action, Relogin):
            return self._withheld() or means.hand.hang_up(action, means.dead_call_status)
        if found is not Check.SEND:
            return after_check(found)
        return self._withheld() or self._act(means, action, rows)

    def _act(self, means: Actuators, action: Relogin | AgentPause, rows: Sequence[SessionRow]) -> Outcome:
        match action:
            case Relogin(forced=True):
                return means.interventions.end_session(action)
            case Relogin():
                self._told.append(self._clock())
                return means.hand.log_out(action, means.dead_call_status if action.in_call else None)
            case AgentPause(stage=AgentPauseStage.RESUMING):
                return means.hand.resume(action)
            case AgentPause():
                return _pause(means, action, rows)

    def _withheld(self) -> Outcome | None:
        why = self._why_not()
        return Outcome(Reply.UNSENT, why or "this process ends") if why or self._stop.is_set() else None


def _pause(means: Actuators, hold: AgentPause, before: Sequence[SessionRow]) -> Outcome:
    """Pause an agent, and look what that has left in the row: only as long as it is there is the pause ours."""
    outcome = means.hand.pause(hold)
    if outcome.reply not in {Reply.DONE, Reply.UNCLEAR}:
        return outcome
    try:
        rows = means.reader.sessions(hold.user)
    except VicidialError:
        return outcome
    marks = {each.external_pause for each in rows if each.live_agent_id == hold.live_agent_id}
    marks -= {each.external_pause for each in before if each.live_agent_id == hold.live_agent_id}
    return outcome._replace(mark=next((mark for mark in marks if mark.startswith("PAUSE")), ""))
