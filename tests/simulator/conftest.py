"""What the simulator's tests share: a database of one's own inside the one server."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from pymysql.connections import Connection

from simulator import schema
from simulator.database import Database
from tests.support.timing import on_this_machine


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """Yield the administrator's connection, using a new database with VICIdial's tables."""
    name = f"asterisk_{uuid.uuid4().hex}"
    with database.connect() as administrator:
        schema.create(administrator, name)
        yield administrator
        administrator.query(f"DROP DATABASE `{name}`")


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Return a function that waits for a condition, at most 20 seconds, and tells whether it came true."""

    def wait(condition: Callable[[], bool]) -> bool:
        pause = threading.Event()
        deadline = time.monotonic() + on_this_machine(20)
        while not condition():
            if time.monotonic() > deadline:
                return False
            pause.wait(0.02)
        return True

    return wait
