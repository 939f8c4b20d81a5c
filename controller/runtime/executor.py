"""The executor: a few threads for each cluster that carry out committed actions.

It decides nothing. Just before it sends anything it reads VICIdial's own rows, and last of all it asks whether this
process still owns the cluster; between that answer and the effect lie at most the time limits of the request.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from controller.core.actions import AttemptId, Outcome, SessionRow, after_check, attempt_of, check
from controller.runtime.action_queue import ActionQueue
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
    ScreenRestore,
)
from messages.words import reason, sentence

AT_ONCE = 4
"""Most actions of a cluster in progress: a web server or a table that makes some of them wait holds up no others."""
NO_PACE = 1e6

_OfSession = Relogin | AgentPause | Arrival | ScreenRestore
"""The actions that are about one agent's session."""


class _Looked(NamedTuple):
    """VICIdial's rows, read just now, of an action that may be sent."""

    rows: Sequence[SessionRow]
    hangs_up: bool
    """The call is to be hung up first."""


log = structlog.get_logger()


class Executor:
    """Carries out one cluster's actions, a few at once, and never two for the same agent or dialer.

    Args:
        cluster: the cluster's name.
        name: this process's name, which its own actions have in `by`.
        actuators: the first ones to use, by several threads at once.
        objection: asked last of all, and each time; returns why this action must not be carried out now; None: it may.
        report: called with each action and its outcome, in the thread that carried it out.
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
        self._unclear: set[AttemptId] = set()
        """Fences whose outcome is not known yet; no more than there are dialers."""
        self._changed = threading.Condition()
        """Guards the queue, and says that another action may begin."""
        self._queue = ActionQueue()
        self._began_at: dict[AttemptId, float] = {}
        """When each action in progress was begun, oldest first."""
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"executor-{cluster}-{number}", daemon=True)
            for number in range(AT_ONCE)
        ]

    def use(self, actuators: Actuators | None) -> None:
        """Use these actuators from the next action on; None: carry out no more actions. From any thread."""
        self._actuators = actuators

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask the threads to end; queued actions are not carried out."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def submit(self, action: Action) -> None:
        """Queue a committed action."""
        with self._changed:
            self._queue.add(action)
            self._changed.notify()

    def withdraw(self, attempts: Collection[AttemptId]) -> list[Action]:
        """Remove those of these attempts that have not begun, and return them: nothing comes of them."""
        with self._changed:
            return self._queue.withdraw(attempts)

    def begin(self) -> Action | None:
        """Return the action to carry out next; None: none may begin now."""
        actuators = self._actuators
        with self._changed:
            action = self._queue.begin(self._clock(), NO_PACE if actuators is None else actuators.per_second)
            if action is not None:
                self._began_at[attempt_of(action)] = self._clock()
            return action

    def end(self, action: Action) -> None:
        """Record that an action is over, so that another of its agent or dialer may begin."""
        with self._changed:
            self._queue.end(action)
            self._began_at.pop(attempt_of(action), None)
            self._changed.notify_all()

    def seconds_in_progress(self) -> float:
        """Return how long the oldest action in progress has taken so far; 0: there is none. From any thread."""
        with self._changed:
            now = self._clock()
            return now - min(self._began_at.values(), default=now)

    def waiting(self) -> int:
        """Return how many actions wait to be begun. From any thread."""
        with self._changed:
            return self._queue.waiting()

    def seconds_until_paced(self) -> float | None:
        """Return how long moves must wait for the pace; None: they need not."""
        with self._changed:
            return self._queue.seconds_until_paced(self._clock())

    def _work(self) -> None:
        while (action := self._wait_for_one()) is not None:
            outcome = self._carry_out(action)
            self.end(action)
            self._report(action, outcome)

    def _wait_for_one(self) -> Action | None:
        """Return the action to carry out next, once there is one; None: this thread is to end."""
        with self._changed:
            while not self._stopping:
                action = self.begin()
                if action is not None:
                    return action
                self._changed.wait(self.seconds_until_paced())
        return None

    def _carry_out(self, action: Action) -> Outcome:
        try:
            return self.carry_out(action)
        except Exception as error:  # this thread must not end while the process reports that it acts
            log.exception("an action failed", cluster=action.cluster)
            return Outcome(Reply.UNCLEAR, f"hotdesk made a mistake ({type(error).__name__}); its log says more")

    def carry_out(self, action: Action) -> Outcome:
        """Check the precondition, ask whether this process still may act, and act, in this thread."""
        actuators = self._actuators
        if actuators is None:
            return Outcome(Reply.UNSENT, sentence(ReasonCode.NO_ACTUATORS))
        if isinstance(action, Fence):
            return self._withheld(action) or self._fence(actuators, action)
        tried: Outcome | None = None
        for ways_left in range(actuators.control.ways, -1, -1):
            # the last time only looks
            outcome = self._look_and_act(actuators, action, acts=ways_left > 0)
            tried = _together(tried, outcome)
            if outcome is None or not outcome.look:
                break
        return tried or Outcome(Reply.UNSENT, "")

    def _look_and_act(self, actuators: Actuators, action: _OfSession, *, acts: bool) -> Outcome | None:
        """Return the outcome; None: it would be sent now, and it is not to be sent (again)."""
        # a web server that hangs takes its time before the look and the last question, and not after them
        not_ready = actuators.control.ready() if acts else None
        if not_ready is not None:
            return not_ready
        looked = self._look(actuators, action)
        if isinstance(looked, Outcome):
            return looked
        return (self._withheld(action) or self._act(actuators, action, looked)) if acts else None

    def _look(self, actuators: Actuators, action: _OfSession) -> _Looked | Outcome:
        """Return what VICIdial's rows say now; an outcome: the action is not to be sent."""
        try:
            rows = actuators.reader.sessions(action.user)
        except VicidialError as error:
            return Outcome(Reply.UNSENT, str(error))
        found = check(action, rows, names_user=actuators.control.names_user)
        if found not in {Precondition.SEND, Precondition.HANG_UP}:
            return after_check(found)
        return _Looked(rows, hangs_up=found is Precondition.HANG_UP)

    def _why_not(self, actuators: Actuators, action: _OfSession) -> Outcome | None:
        """Return why an action that has begun may not go on; None: it may. All is asked again."""
        looked = self._look(actuators, action)
        return looked if isinstance(looked, Outcome) else self._withheld(action)

    def _fence(self, actuators: Actuators, fence: Fence) -> Outcome:
        # an earlier owner, or an attempt whose answer was lost, may have closed it already
        first = fence.by == self._name and attempt_of(fence) not in self._unclear
        outcome = actuators.interventions.fence(fence, first=first)
        if outcome.reply is Reply.UNCLEAR:
            self._unclear.add(attempt_of(fence))
        elif outcome.reply is not Reply.UNSENT:
            self._unclear.discard(attempt_of(fence))
        return outcome

    def _act(
        self,
        actuators: Actuators,
        action: _OfSession,
        looked: _Looked,
    ) -> Outcome:
        match action:
            case Relogin() if looked.hangs_up:
                # the agent chooses the disposition, unless the screen was sent a logout already
                status = "" if action.stage is ReloginStage.HANGING_UP else actuators.dead_call_status
                return actuators.control.hang_up(action, status)
            case Relogin(forced=True):
                return actuators.interventions.end_session(action)
            case Relogin():
                with self._changed:
                    self._queue.note_sent(self._clock())
                hang_up_as = actuators.dead_call_status if action.in_call else None
                return actuators.control.log_out(action, hang_up_as, partial(self._why_not, actuators, action))
            case Arrival():
                control = actuators.control
                by_stage = {ArrivalStage.TELLING: control.tell, ArrivalStage.CALLING: control.call}
                return by_stage.get(action.stage, control.resume)(action)
            case ScreenRestore():
                return actuators.interventions.restore_screen(action)
            case AgentPause():
                resumes = action.stage is AgentPauseStage.RESUMING
                return actuators.control.resume(action) if resumes else _pause(actuators, action, looked.rows)

    def _withheld(self, action: Action) -> Outcome | None:
        why = reason(ReasonCode.STOPPING) if self._stopping else self._objection(action)
        return None if why is None else Outcome(Reply.UNSENT, why.text)


def _together(before: Outcome | None, now: Outcome | None) -> Outcome | None:
    """Return the outcome of an action that was tried in one way, and then in another; None: it was not tried."""
    if before is None or now is None:
        return now or before
    late = before.late + now.late
    if now.reply is Reply.DONE and now.said == sentence(Precondition.TOLD):
        late -= 1  # one that was given up is no longer on its way: the row shows it
    if before.reply is Reply.UNCLEAR and now.reply in {Reply.UNSENT, Reply.REFUSED}:
        now = before  # it may have been done the first time
    return now._replace(late=max(0, late))


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
    mark = next((mark for mark in marks if mark.startswith("PAUSE")), "")
    return outcome._replace(mark=mark, look=outcome.look and not mark)
