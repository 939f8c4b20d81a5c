"""Which faults a soak brings, when, and together with what. Pure: a seed and how far it has come go in."""

import random
from typing import NamedTuple

LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS = 20.0, 2.0
"""Between two faults, at the beginning and at the end."""

MOMENT = "a heartbeat stands still for a moment"
MOMENT_SECONDS = 6.0
"""So long one heartbeat may stand still, and nobody is moved: it is watched for 8 s."""

OWN = (
    "the owner is killed",
    "the owner stands still",
    "the collector is killed",
    "the collector stands still",
    "the broker is killed",
    "the network to the database is cut",
    "the database restarts",
    "no heartbeat can be written",
    "a clock is wrong",
    MOMENT,
)
"""Faults of hotdesk's own parts, or of what it sees with: they move nobody."""

DIALERS = ("a dialer dies", "a dialer is switched off", "a heartbeat stands still", "half the fleet dies")
"""Faults that agents leave a dialer for."""

TOGETHER = OWN[:6]
"""What a dialer may die in the middle of. Not of a database's restart: that empties the table of heartbeats, and a dead
dialer without a row and without a probe is left as it was last judged."""


class Planned(NamedTuple):
    """What comes next."""

    pause_seconds: float
    """Before it."""
    own: str
    """One of `OWN`, or empty."""
    dialer: str
    """One of `DIALERS`, or empty."""
    lead_seconds: float
    """By how much the first begins before the second."""
    lasts_seconds: float
    """How long a fault of our own lasts."""


def draw(dice: random.Random, progress: float) -> Planned:
    """Draw the next faults; `progress` goes from 0 to 1."""
    pause = LONGEST_PAUSE_SECONDS + (SHORTEST_PAUSE_SECONDS - LONGEST_PAUSE_SECONDS) * progress
    lead, lasts = dice.uniform(0.0, 5.0), dice.uniform(3.0, 14.0)
    if dice.random() < progress / 2:
        return Planned(pause, dice.choice(TOGETHER), "a dialer dies", lead, lasts)
    if dice.random() < 0.5:
        own = dice.choice(OWN)
        return Planned(pause, own, "", lead, min(lasts, MOMENT_SECONDS - lead) if own == MOMENT else lasts)
    return Planned(pause, "", dice.choice(DIALERS), lead, lasts)
