"""The real servers tests run on: a MariaDB and a Kafka broker for all tests of a process, started when first asked for.

Where tests run in two processes, those that need servers are shared out between them by folder, each process with
servers of its own: what one test does to them no test of the other process sees.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.broker import Broker
from simulator.database import Database
from tests.watching.run import FailoverRun, failover_run


@pytest.hookimpl(tryfirst=True)  # or xdist has looked for the groups already
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests must run in the same process: those that share servers, and those of one module.

    The longest groups come first, so that the others run beside them.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: FIRST.get(group_of(item), len(FIRST)))


FIRST = {"servers": 0, "beside": 1}
BESIDE = ("tests/faults/", "tests/hook/", "tests/alerts/", "tests/dashboards/", "tests/helm/")
"""Folders whose tests take as long together as all others that need servers."""


def group_of(item: pytest.Item) -> str:
    """Name the group a test belongs to."""
    if not uses_servers(item):
        return item.nodeid.partition("::")[0]
    return "beside" if item.nodeid.startswith(BESIDE) else "servers"


def uses_servers(item: pytest.Item) -> bool:
    """Tell whether a test wants the run's MariaDB or Kafka."""
    return isinstance(item, pytest.Function) and not {"database", "broker"}.isdisjoint(item.fixturenames)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Give a folder whose path is short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="hotdesk-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def database(server_folder: Path) -> Iterator[Database]:
    """Give a private MariaDB server."""
    with Database(server_folder / "mariadb") as server:
        yield server


@pytest.fixture(scope="session")
def broker(server_folder: Path) -> Iterator[Broker]:
    """Give a private Kafka broker."""
    home = os.environ.get("HOTDESK_KAFKA_HOME") or Path(__file__).parents[1] / ".parts" / "kafka"
    with Broker(Path(home), server_folder / "kafka") as server:
        yield server


@pytest.fixture(scope="session")
def failover(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailoverRun]:
    """Give a real run with a failover in it, as Prometheus saw it."""
    with failover_run(database, tmp_path_factory.mktemp("failover")) as run:
        yield run
