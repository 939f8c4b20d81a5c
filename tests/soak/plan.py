"""Which faults a soak brings, when, and together with what. Pure: a seed and how far it has come go in."""

import random
from collections.abc import Sequence
from typing import NamedTuple

LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS = 20.0, 2.0
"""Between two faults, at the beginning and at the end."""

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
)
"""Faults of hotdesk's own parts, or of what it sees with: they move nobody."""

DIALERS = ("a dialer dies", "a dialer is switched off", "half the fleet dies")
"""Faults that agents leave a dialer for."""

TOGETHER = OWN[:6]
"""What a dialer may die in the middle of. Not of a database's restart: that empties the table of heartbeats, and a dead
dialer without a row and without a witness is left as it was last judged."""


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
        return Planned(pause, dice.choice(OWN), "", lead, lasts)
    return Planned(pause, "", dice.choice(DIALERS), lead, lasts)


class Event(NamedTuple):
    """A row of VICIdial's own log of users."""

    user: str
    event: str
    """LOGIN or LOGOUT."""
    server_ip: str


def wrongly_told(before: dict[str, str], events: Sequence[Event], victims: frozenset[str]) -> list[str]:
    """Say who was logged out and should not have been.

    Args:
        before: where each agent was when the faults began, by user.
        events: what the log says since then, in order.
        victims: the dialers that agents had to leave.
    """
    where, wrong = dict(before), []
    for user, event, server_ip in events:
        if event == "LOGIN":
            where[user] = server_ip
        elif server_ip not in victims:
            wrong.append(f"{user} was told to leave {server_ip}, which lives")
        elif where.pop(user, None) != server_ip:
            wrong.append(f"{user} was told twice to leave {server_ip}")
    return wrong
