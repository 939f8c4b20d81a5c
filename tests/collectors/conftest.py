"""What the collectors' tests share: VICIdial databases of one's own on the one server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.vicidial_database import SMALL, MakeVicidial, Vicidial


@pytest.fixture
def make_vicidial(database: Database) -> Iterator[MakeVicidial]:
    """Yield a function that makes a database of a plan."""
    made: list[Vicidial] = []

    def make(plan: ClusterPlan = SMALL, *, old: bool = False) -> Vicidial:
        made.append(Vicidial(database, plan, old=old))
        return made[-1]

    yield make
    for each in made:
        each.drop()


@pytest.fixture
def vicidial(make_vicidial: MakeVicidial) -> Vicidial:
    """Return a database with three dialers, six agents who are not logged in, and nobody else."""
    return make_vicidial()


@pytest.fixture
def denied(vicidial: Vicidial) -> Callable[[str], bool]:
    """Return a function that tells whether a statement is denied to hotdesk's account, for want of a right."""

    def is_denied(statement: str) -> bool:
        with vicidial.as_hotdesk() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except pymysql.MySQLError as error:
                return error.args[0] in {1044, 1142, 1143, 1227, 1370}
            return False

    return is_denied


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory, server_folder: Path) -> Iterator[Database]:
    """Yield a server that may be stopped."""
    with Database(server_folder / tmp_path_factory.mktemp("own").name) as server:
        yield server
