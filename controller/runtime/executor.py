"""The executor: a thread for each cluster that carries out committed actions, one after the other.

It decides nothing. Just before it sends anything it reads VICIdial's own rows, and last of all it asks whether this
process still owns the cluster; between that answer and the effect lie at most the time limits of the request.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from controller.core.actions import Outcome, SessionRow, after_check, check
from controller.vicidial.ports import Actuators, VicidialError
from messages.codes import Precondition, Reason, ReasonCode, Reply
from messages.records import (
    Action,
    AgentPause,
    AgentPauseStage,
    Arrival,
    ArrivalStage,
    Fence,
    Relogin,
    ReloginStage,
)
from messages.words import reason, sentence

IDLE_SECONDS = 0.5
SECOND = 1.0

log = structlog.get_logger()


class Executor:
    """Carries out one cluster's actions, one after the other: a cluster never has two in progress at once.

    Args:
        cluster: the cluster's name.
        name: this process's name, which its own actions have in `by`.
        actuators: the first ones to use.
        objection: asked last of all, and each time; returns why this action must not be carried out now; None: it may.
        report: called with each action and its outcome, in this thread.
    """

    def __init__(  # noqa: PLR0913 # its parts, each once
        self,
        cluster: str,
        name: str,
        actuators: Actuators,
        *,
        objection: Callable[[Action], Reason | None],
        report: Callable[[Action, Outcome], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._actuators: Actuators | None = actuators
        self._objection = objection
        self._report = report
        self._clock = clock
        self._sent_at: deque[float] = deque()
        """When screens were lately sent a logout."""
        self._queue: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"executor-{cluster}", daemon=True)

    def use(self, actuators: Actuators | None) -> None:
        """Use these actuators from the next action on; None: carry out no more actions. From any thread."""
        self._actuators = actuators

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; queued actions are not carried out."""
        self._stop.set()

    def submit(self, action: Action) -> None:
        """Queue a committed action."""
        self._queue.put(action)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                action = self._queue.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                continue
            self._report(action, self._carry_out(action))

    def _carry_out(self, action: Action) -> Outcome:
        try:
            self._stop.wait(self.wait_before(action))
            return self.carry_out(action)
        except Exception as error:  # this thread must not end while the process reports that it acts
            log.exception("an action failed", cluster=action.cluster)
            return Outcome(Reply.UNCLEAR, f"hotdesk made a mistake ({type(error).__name__}); its log says more")

    def wait_before(self, action: Action) -> float:
        """Return how many seconds an action must wait for the pace: a backlog is not carried out all at once."""
        actuators = self._actuators
        if not isinstance(action, Relogin) or actuators is None:
            return 0.0
        pace = max(1, round(actuators.per_second))
        while len(self._sent_at) > pace:
            self._sent_at.popleft()
        return max(0.0, self._sent_at[0] + SECOND - self._clock()) if len(self._sent_at) == pace else 0.0

    def carry_out(self, action: Action) -> Outcome:
        """Check the precondition, ask whether this process still may act, and act, in this thread."""
        actuators = self._actuators
        if actuators is None:
            return Outcome(Reply.UNSENT, sentence(ReasonCode.NO_ACTUATORS))
        if isinstance(action, Fence):
            # an earlier owner may have carried out its own fence already
            return self._withheld(action) or actuators.interventions.fence(action, first=action.by == self._name)
        try:
            rows = actuators.reader.sessions(action.user)
        except VicidialError as error:
            return Outcome(Reply.UNSENT, str(error))
        found = check(action, rows, names_user=actuators.control.names_user)
        if found is Precondition.HANG_UP and isinstance(action, Relogin):
            # the agent chooses the disposition, unless the screen was sent a logout already
            status = "" if action.stage is ReloginStage.HANGING_UP else actuators.dead_call_status
            return self._withheld(action) or actuators.control.hang_up(action, status)
        if found is not Precondition.SEND:
            return after_check(found)
        return self._withheld(action) or self._act(actuators, action, rows)

    def _act(self, actuators: Actuators, action: Relogin | AgentPause | Arrival, rows: Sequence[SessionRow]) -> Outcome:
        match action:
            case Relogin(forced=True):
                return actuators.interventions.end_session(action)
            case Relogin():
                self._sent_at.append(self._clock())
                return actuators.control.log_out(action, actuators.dead_call_status if action.in_call else None)
            case Arrival(stage=ArrivalStage.CALLING):
                return actuators.control.call(action)
            case AgentPause(stage=AgentPauseStage.RESUMING) | Arrival():
                return actuators.control.resume(action)
            case AgentPause():
                return _pause(actuators, action, rows)

    def _withheld(self, action: Action) -> Outcome | None:
        why = reason(ReasonCode.STOPPING) if self._stop.is_set() else self._objection(action)
        return None if why is None else Outcome(Reply.UNSENT, why.text)


def _pause(actuators: Actuators, pause: AgentPause, before: Sequence[SessionRow]) -> Outcome:
    """Pause an agent, and read the mark that this leaves in the row: while it stays there, the pause is ours."""
    outcome = actuators.control.pause(pause)
    if outcome.reply not in {Reply.DONE, Reply.UNCLEAR}:
        return outcome
    try:
        rows = actuators.reader.sessions(pause.user)
    except VicidialError:
        return outcome
    marks = {each.external_pause for each in rows if each.live_agent_id == pause.live_agent_id}
    marks -= {each.external_pause for each in before if each.live_agent_id == pause.live_agent_id}
    return outcome._replace(mark=next((mark for mark in marks if mark.startswith("PAUSE")), ""))
