"""One line of the benchmarks' table."""

from collections.abc import Sequence

import msgspec


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A measured figure, what it was measured beside, and whether its goal holds."""

    name: str
    value: float
    unit: str
    beside: str
    """What it is to be read with: the other side's figure, or the circumstances."""
    goal: str
    """Empty: stated, with no goal."""
    holds: bool = True


def percentile(samples: Sequence[float], share: float) -> float:
    """Give the smallest sample that `share` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
