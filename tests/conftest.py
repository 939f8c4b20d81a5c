"""The real servers tests run on: one MariaDB and one Kafka broker for the whole run, started when first asked for."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.broker import Broker
from simulator.database import Database


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
