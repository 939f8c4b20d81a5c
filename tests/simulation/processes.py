"""The processes of the simulation: each can be stopped, killed and started."""

from collections.abc import Callable
from typing import Protocol

from tests.simulation.wire import Claim
from tests.simulation.world import Clock

CLUSTER = "west"
STANDS_STILL = 0.05
"""How often it is looked whether a stopped process goes on."""


class Stoppable:
    """A process that can be stopped, killed and started."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.dead = False
        self.stopped_until = 0.0
        self.slept = 0.0
        """For how many seconds its machine was paused: its monotonic clock stood still meanwhile."""
        self.life = 0
        """Counts its starts, so that what an earlier one planned does not happen in a later one."""

    @property
    def answers(self) -> bool:
        """Return True if it runs now."""
        return not self.dead and self.clock.now >= self.stopped_until

    @property
    def awake_for(self) -> float:
        """The time of its machine's monotonic clock."""
        return self.clock.now - self.slept

    def every(self, seconds: Callable[[], float], what: Callable[[], None]) -> None:
        """Have something done again and again, as long as this life lasts."""
        life = self.life

        def tick() -> None:
            if self.dead or self.life != life:
                return
            if self.clock.now < self.stopped_until:
                self.clock.after(STANDS_STILL, tick)
                return
            what()
            self.clock.after(seconds(), tick)

        self.clock.after(seconds(), tick)

    def awake(self, what: Callable[[], None]) -> None:
        """Do something as soon as the process runs, if this life lasts till then."""
        life = self.life

        def try_it() -> None:
            if self.dead or self.life != life:
                return
            if self.clock.now < self.stopped_until:
                self.clock.after(STANDS_STILL, try_it)
            else:
                what()

        try_it()


class Sees(Protocol):
    """Is shown what hotdesk's processes do to each other, when they do it."""

    def claims(self, name: str, former: Claim | None) -> None: ...

    def ranks(self, name: str) -> None: ...

    def decides(self, name: str, unknown: int) -> None: ...

    def polls(self, name: str, stamp: tuple[int, int], *, holds_lock: bool) -> None: ...
