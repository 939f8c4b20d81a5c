"""The invariants that the simulation watches, by their numbers in docs/design/invariants.md."""

from enum import Enum


class Invariant(Enum):
    """What must never happen, as docs/design/invariants.md numbers it."""

    OFFERS_THE_UNFIT = 1
    SWITCHED_OFF_TOO_LATE = 2
    LOGGED_OUT_TWICE = 3
    REPLAY_DIFFERS = 4
    MOVED_WITHOUT_CAUSE = 5
    MOVED_ABOVE_THE_BRAKE = 6
    CALL_CUT_OFF = 7
    TOO_MANY_OR_TOO_FAST = 8
    CHANGED_WHILE_PAUSED = 9
    WITHOUT_A_REASON = 10
    STRANDED = 12
    MOVED_WITHOUT_END = 13
    ACTED_LATE = 15
    WAITS_UNHEARD = 17
    DECIDED_BY_ANOTHER = 19
    """A process claims, decides or acts for a cluster that it does not own, or without knowing what was decided."""
    TWO_COLLECT = 20
    """A cluster is polled by a collector that does not hold its lock, or an epoch is used by two."""
    ONE_FOR_ANOTHER = 21
    """What happens to one cluster delays, moves or hides something of another, or is said under the other's name."""
