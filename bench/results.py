"""One result of the benchmarks."""

from collections.abc import Sequence

import msgspec


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A measured figure, its comparison, and whether its goal holds."""

    name: str
    value: float
    unit: str
    beside: str
    """The comparison: the other side's figure, or the circumstances."""
    goal: str
    """Empty: no goal."""
    holds: bool = True


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that `share` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
