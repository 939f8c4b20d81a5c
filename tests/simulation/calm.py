"""How hours pass in which nothing goes wrong: what is done again and again is done less often, and they cost little."""

from typing import NamedTuple


class Calm(NamedTuple):
    """How often what is done again and again is done, in seconds; of two, between them."""

    polls: tuple[float, float]
    """From one poll of a collector to the next."""
    turns: tuple[float, float]
    """From one turn of a controller to the next. What it owns it would lose by longer ones."""
    asks: float
    """From one question of a controller to its group to the next."""
    looks: float
    """From one look at the invariants to the next."""
    screens: float
    """From one poll of an agent's screen to the next."""
    seconds: float
    """How long it lasts."""
    alone: bool = False
    """One collector and one controller are away meanwhile."""


LULL = Calm(polls=(1.85, 1.95), turns=(0.8, 1.2), asks=1.0, looks=2.0, screens=5.0, seconds=1_800.0)
"""As slow as it can be without a gap between two polls."""
NIGHT = Calm(polls=(2.8, 2.95), turns=(1.9, 2.3), asks=3.5, looks=15.0, screens=59.0, seconds=32_400.0, alone=True)
"""A gap before each poll, by a database that is slow all night; but not so slow that the lock is lost."""
EVERY_LULL, LULL_AT = 200, 20
EVERY_NIGHT, NIGHT_AT = 50, 30


def calm_of(seed: int) -> Calm | None:
    """Return the calm between two rounds of faults of a seed; None: it has one round.

    What hotdesk remembers for ten minutes is forgotten by then, and what it must not forget is not.
    """
    if seed % EVERY_LULL == LULL_AT:
        return LULL
    return NIGHT if seed % EVERY_NIGHT == NIGHT_AT else None
