"""Looking for each planted bug, seed by seed."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.mutants.planted import MUTANTS, planted
from tests.simulation.run import simulate

MOST_SEEDS = 1000


class Search(NamedTuple):
    """How the search for one bug went."""

    mutant: str
    seed: int | None
    """A seed that shows it; None: none does."""
    broken: str


def search(number: int) -> Search:
    """Look for a bug."""
    mutant = MUTANTS[number]
    with planted(mutant):
        for seed in (mutant.shown_by, *range(1, MOST_SEEDS + 1)):
            report = simulate(seed)
            if report.broken:
                return Search(mutant.name, seed, report.broken)
    return Search(mutant.name, None, "")


def search_all() -> Iterator[Search]:
    """Look for all of them, in as many processes as there are cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(search, range(len(MUTANTS)))
