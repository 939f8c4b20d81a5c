"""Executors as the simulation has them: the real one of a cluster, and its threads on the virtual clock."""

from collections.abc import Callable, Collection
from functools import partial
from random import Random

from controller.core.actions import AttemptId, Outcome, attempt_of
from controller.runtime.executor import AT_ONCE, Executor
from controller.vicidial.ports import Actuators
from messages.codes import Reason
from messages.records import Action
from tests.simulation.processes import Stoppable
from tests.simulation.setup import ClusterSetup

ROUNDING = 1e-6


class Threads:
    """The threads that act for one cluster in one life of a controller."""

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        process: Stoppable,
        setup: ClusterSetup,
        draw: Random,
        *,
        objection: Callable[[Action], Reason | None],
        report: Callable[[Action, Outcome], None],
        clock: Callable[[], float],
    ) -> None:
        self._process = process
        self._life = process.life
        self._world = setup.world
        self._hands = hands = setup.hands
        self._draw = draw
        self._report = report
        self._free = AT_ONCE
        """Threads that have nothing to do."""
        self._waits_since: dict[AttemptId, float] = {}
        self._under_way: list[str] = []
        """The sessions and dialers of actions that have begun, and have not ended."""
        self._executor = Executor(
            setup.name,
            process.name,
            Actuators(hands, hands.control, hands, setup.policy.dead_call_status, setup.policy.moves_per_second),
            objection=objection,
            report=lambda _action, _outcome: None,
            clock=clock,
        )

    @property
    def waits_since(self) -> float:
        """Since when the oldest action that has not begun waits; now, if none does.

        One about a session or dialer with another action under way waits for that, however long a web server takes.
        """
        waiting = (since for attempt, since in self._waits_since.items() if attempt.key.name not in self._under_way)
        return min(waiting, default=self._process.clock.now)

    def submit(self, action: Action) -> None:
        """Queue an action, as an executor does."""
        self._executor.submit(action)
        self._waits_since[attempt_of(action)] = self._process.clock.now
        self._plan_work()

    def withdraw(self, attempts: Collection[AttemptId]) -> list[Action]:
        """Withdraw what has not begun, as an executor does."""
        withdrawn = self._executor.withdraw(attempts)
        for action in withdrawn:
            self._waits_since.pop(attempt_of(action), None)
        return withdrawn

    def _plan_work(self) -> None:
        """Let each free thread begin with an action; where the pace holds moves up, look again later."""
        clock = self._process.clock
        while self._free > 0 and (action := self._executor.begin()) is not None:
            self._free -= 1
            self._waits_since.pop(attempt_of(action), None)
            self._under_way.append(attempt_of(action).key.name)
            takes = self._draw.uniform(0.3, 1.5) if self._world.slow else self._draw.uniform(0.005, 0.03)
            clock.after(takes, partial(self._in_life, partial(self._work, action)))
        if self._free > 0 and (seconds := self._executor.seconds_until_paced()) is not None:
            clock.after(seconds + ROUNDING, partial(self._in_life, self._plan_work))

    def _in_life(self, what: Callable[[], None]) -> None:
        if self._process.life == self._life:
            self._process.awake(what)

    def _work(self, action: Action) -> None:
        self._hands.by = self._process.name
        outcome = self._executor.carry_out(action)
        if (seconds := self._hands.waited()) > 0:
            self._process.clock.after(seconds, partial(self._in_life, partial(self._done, action, outcome)))
        else:
            self._done(action, outcome)

    def _done(self, action: Action, outcome: Outcome) -> None:
        self._free += 1
        self._under_way.remove(attempt_of(action).key.name)
        self._executor.end(action)
        self._report(action, outcome)
        self._plan_work()
