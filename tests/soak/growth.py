"""The growth of what a process uses. Pure."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

LEAST_SAMPLES = 40
"""Of a process that lived for a shorter time nothing is said."""


class Sample(NamedTuple):
    """What a process used at one moment."""

    megabytes: float
    """Resident."""
    files: float
    """Open file descriptors."""
    lag: float
    """Records it has still to read; 0 for a collector."""


class Slack(NamedTuple):
    """By how much the last quarter's median may exceed the second quarter's."""

    share: float
    more: float


SLACKS = {
    "megabytes": Slack(0.1, 8.0),
    "files": Slack(0.0, 4.0),
    "lag": Slack(0.0, 100.0),
}


class Trend(NamedTuple):
    """One figure of one process: its median in the second quarter of its life, and in the last."""

    what: str
    early: float
    late: float

    @property
    def flat(self) -> bool:
        slack = SLACKS[self.what]
        return self.late <= self.early * (1 + slack.share) + slack.more


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Compare two quarters of a process's life; empty: it was too short."""
    if len(samples) < LEAST_SAMPLES:
        return []
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return [
        Trend(
            what,
            statistics.median(getattr(each, what) for each in early),
            statistics.median(getattr(each, what) for each in late),
        )
        for what in Sample._fields
    ]
