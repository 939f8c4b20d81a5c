"""Two thousand seeds of faults break nothing, and planted bugs are found."""

import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.mutants.planted import MUTANTS
from tests.simulation.mutants.search import search_all
from tests.simulation.run import simulate

SEEDS, HOURS = 2000, 400
LONG = 1800
"""Seconds, beside other work; alone it takes two minutes."""


@pytest.mark.timeout(LONG)
def test_no_seed_breaks_anything() -> None:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        reports = list(pool.map(simulate, range(1, SEEDS + 1), chunksize=8))
    assert [(each.seed, each.broken) for each in reports if each.broken] == []
    assert sum(each.seconds for each in reports) >= HOURS * 3600
    assert sum(each.faults for each in reports) > 2 * SEEDS
    assert sum(each.moves for each in reports) > SEEDS / 2, "faults that move nobody would show little"


def test_a_seed_tells_the_same_story_again() -> None:
    assert simulate(12).story() == simulate(12).story()


@pytest.mark.timeout(LONG)
def test_each_planted_bug_is_found() -> None:
    assert [each.mutant for each in search_all() if not each.found_by] == []
    assert len(MUTANTS) >= 45
