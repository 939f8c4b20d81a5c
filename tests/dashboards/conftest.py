"""The run that shows what is too rare for the common run with a failover."""

from collections.abc import Iterator

import pytest

from simulator.database import Database
from tests.dashboards.rare_run import RareRun, rare_run


@pytest.fixture(scope="session")
def rare(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RareRun]:
    """Yield that run, as Prometheus saw it."""
    with rare_run(database, tmp_path_factory.mktemp("rare")) as run:
        yield run
