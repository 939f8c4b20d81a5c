"""Looking for each planted bug, seed by seed."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.scenarios.run import play_file
from tests.simulation.mutants.planted import MUTANTS, planted
from tests.simulation.run import simulate

MOST_SEEDS = 1000
SCENARIOS = Path(__file__).parents[2] / "scenarios"


class Search(NamedTuple):
    """How the search for one bug went."""

    mutant: str
    found_by: str
    """The seed or the scenario that shows it; empty: none does."""
    broken: str


def search(number: int) -> Search:
    """Search for a bug."""
    mutant = MUTANTS[number]
    with planted(mutant):
        if isinstance(mutant.shown_by, str):
            row = play_file(SCENARIOS / f"{mutant.shown_by}.toml")
            return Search(mutant.name, mutant.shown_by if row.differences else "", "; ".join(row.differences))
        for seed in (mutant.shown_by, *range(1, MOST_SEEDS + 1)):
            report = simulate(seed)
            if report.broken:
                return Search(mutant.name, f"seed {seed}", report.broken)
    return Search(mutant.name, "", "")


def search_all() -> Iterator[Search]:
    """Search for all of them, in as many processes as there are cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(search, range(len(MUTANTS)))
