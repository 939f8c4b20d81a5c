"""Statements in a real database: none is done after it was given up, and a connection that ended is not used."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pymysql
import pytest

from controller.core.actions import Outcome
from controller.vicidial.connections import FRESH_SECONDS, MARIADB_LIMIT, Statements
from controller.vicidial.names import Names
from controller.vicidial.sql import SqlAgentControl
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.actuators import reach
from messages.codes import Reply
from messages.records import Relogin
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.builders import MOVE, may_go_on
from tests.support.processes import ACT, Site, grants, site

USER = "1001"

if TYPE_CHECKING:
    from pymysql.connections import Connection as AnyConnection

    Connection = AnyConnection[Any]
else:
    Connection = pymysql.connections.Connection


@contextmanager
def with_an_agent(database: Database) -> Iterator[Site]:
    """Make a cluster with an agent logged in, and an account that may act."""
    with site(database, ClusterPlan(dialers=2, agents=1, remote_agents=0)) as made:
        with made.living() as cluster:
            cluster.stop()
            cluster.begin_mid_shift()
        made.run(*grants(made, ACT))
        yield made


@pytest.fixture(scope="module")
def vicidial(database: Database) -> Iterator[Site]:
    """Yield such a cluster."""
    with with_an_agent(database) as made:
        yield made


@pytest.fixture
def at(vicidial: Site) -> Site:
    """Return that cluster with nothing ordered in it."""
    vicidial.run("UPDATE vicidial_live_agents SET external_pause = '', external_hangup = ''")
    return vicidial


def move(at: Site) -> Relogin:
    with closing(at.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT live_agent_id, user, server_ip FROM vicidial_live_agents")
        ((number, user, server_ip),) = cursor.fetchall()
    return msgspec.structs.replace(MOVE, live_agent_id=number, user=user, from_server_ip=server_ip)


def told(at: Site) -> str:
    with closing(at.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT external_pause FROM vicidial_live_agents")
        ((pause,),) = cursor.fetchall()
        return str(pause)


@contextmanager
def locked(at: Site, how: str) -> Iterator[None]:
    """Lock the table, as a dump does."""
    with closing(at.database.connect(database=at.name)) as dump, dump.cursor() as cursor:
        cursor.execute(how)
        yield


def untouched(sql: str) -> str:
    return sql


def without_statement_limit(sql: str) -> str:
    """Act as a server that knows no limit for a single statement: MySQL, or a proxy before it."""
    if "SET STATEMENT" in sql:
        raise pymysql.ProgrammingError(1064, "You have an error in your SQL syntax")
    return sql


def deaf(sql: str) -> str:
    """Act as a proxy that answers a setting itself, and tells the server nothing of it."""
    return "DO 0" if "SET SESSION" in sql else without_statement_limit(sql)


def connection(at: Site, meddle: Callable[[str], str] = untouched) -> Connection:
    """Connect, with something in between that may change each statement, or fail."""

    class Meddled(Connection):
        def query(self, sql: object, unbuffered: bool = False) -> int:  # as it is overridden
            return super().query(meddle(str(sql)), unbuffered)

    of = at.settings
    return Meddled(
        host=of.host, port=of.port, user=of.user, password=of.password, database=of.database, autocommit=True
    )


def control_of(at: Site, meddle: Callable[[str], str] = untouched) -> SqlAgentControl:
    return SqlAgentControl(Statements(partial(connection, at, meddle)))


@pytest.mark.parametrize("meddle", [untouched, without_statement_limit])
def test_what_waits_for_a_locked_table_is_given_up_by_the_server_and_never_done(
    at: Site, meddle: Callable[[str], str]
) -> None:
    control = control_of(at, meddle)
    with locked(at, "LOCK TABLES vicidial_live_agents READ"):
        outcome = control.log_out(move(at), None, may_go_on)
    assert outcome.reply is Reply.UNSENT, outcome
    # whoever waited for the lock has had their turn before this one
    at.run("UPDATE vicidial_live_agents SET external_hangup = ''")
    assert told(at) == ""
    assert control.log_out(move(at), None, may_go_on).reply is Reply.DONE


def test_a_server_or_proxy_that_keeps_no_limit_is_sent_nothing(at: Site) -> None:
    control = control_of(at, deaf)
    outcome = control.log_out(move(at), None, may_go_on)
    assert outcome.reply is Reply.UNSENT
    assert "does not keep lock_wait_timeout = 1" in outcome.said
    assert told(at) == ""


def test_a_read_only_database_is_named_as_such(server_folder: Path) -> None:
    with Database(server_folder / "read-only") as own, with_an_agent(own) as at:
        at.run("SET GLOBAL read_only = 1")
        outcome = control_of(at).log_out(move(at), None, may_go_on)
    assert outcome.reply is Reply.REFUSED
    assert "point host" in outcome.said


class Opened:
    """Counts connections, and can end them as the server does."""

    def __init__(self, at: Site) -> None:
        self._at = at
        self.all: list[Connection] = []
        self.now = 0.0
        self.statements = Statements(self._open, clock=lambda: self.now)

    def _open(self) -> Connection:
        self.all.append(connection(self._at))
        return self.all[-1]

    def kill_last(self) -> None:
        """Kill the latest connection, and wait until this side has heard of it."""
        self._at.run(f"KILL {self.all[-1].thread_id()}")  # type: ignore[no-untyped-call]
        self.all[-1]._sock.settimeout(10)  # type: ignore[attr-defined] # noqa: SLF001
        self.all[-1]._sock.recv(1, 2)  # type: ignore[attr-defined] # noqa: SLF001 # 2: MSG_PEEK


def test_a_connection_that_the_server_has_ended_is_not_used(at: Site) -> None:
    opened = Opened(at)
    control = SqlAgentControl(opened.statements)
    assert opened.statements.read("SELECT 1") == ((1,),)
    opened.kill_last()
    assert control.log_out(move(at), None, may_go_on).reply is Reply.DONE
    assert len(opened.all) == 2


def test_a_connection_that_was_idle_is_replaced_and_a_fresh_one_is_not(at: Site) -> None:
    opened = Opened(at)
    opened.statements.read("SELECT 1")
    opened.now += FRESH_SECONDS
    opened.statements.read("SELECT 1")
    assert len(opened.all) == 1
    opened.now += FRESH_SECONDS + 0.1
    opened.statements.read("SELECT 1")
    assert len(opened.all) == 2


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (pymysql.OperationalError(2006, "MySQL server has gone away (BrokenPipeError)"), Reply.UNSENT),
        (pymysql.OperationalError(2013, "Lost connection to MySQL server during query"), Reply.UNCLEAR),
        (pymysql.OperationalError(1205, "Lock wait timeout exceeded"), Reply.UNSENT),
        (pymysql.OperationalError(1836, "Running in read-only mode"), Reply.REFUSED),
        (pymysql.OperationalError(1142, "UPDATE command denied"), Reply.DENIED),
        (TimeoutError("timed out"), Reply.UNCLEAR),
    ],
)
def test_not_sent_refused_and_unclear_are_three_things(at: Site, error: Exception, reply: Reply) -> None:
    def fail(sql: str) -> str:
        if "UPDATE" in sql:
            raise error
        return sql

    outcome = control_of(at, fail).log_out(move(at), None, may_go_on)
    assert outcome.reply is reply


def test_each_thread_has_a_connection_of_its_own(at: Site) -> None:
    opened, both = Opened(at), threading.Barrier(2)
    with locked(at, "LOCK TABLES vicidial_live_agents WRITE"):
        outcomes: list[Outcome] = []

        def write() -> None:
            both.wait(10)
            outcomes.append(opened.statements.write("UPDATE vicidial_live_agents SET external_hangup = ''", (), ""))

        threads = [threading.Thread(target=write) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(opened.all) == 2
    assert [each.reply for each in outcomes] == [Reply.UNSENT, Reply.UNSENT]


def test_the_limit_travels_with_the_statement_so_that_no_proxy_can_lose_it(at: Site) -> None:
    seen: list[str] = []

    def watch(sql: str) -> str:
        seen.append(sql)
        return sql

    control_of(at, watch).log_out(move(at), None, may_go_on)
    assert [each.startswith(MARIADB_LIMIT) for each in seen if "UPDATE" in each] == [True]


def test_the_adapters_of_a_cluster_reach_it(at: Site) -> None:
    reader, control, _ = reach(ActuatorSettings(database=at.settings))
    assert control.log_out(move(at), None, may_go_on).reply is Reply.DONE
    assert [each.external_pause for each in reader.sessions(USER)] == ["LOGOUT"]


def test_a_name_server_that_hangs_costs_no_more_than_is_given() -> None:
    gone = threading.Event()

    def hang(_: str) -> list[str]:
        gone.wait(30)
        return []

    try:
        with pytest.raises(OSError, match="could not be looked up in time"):
            Names(hang).addresses("db.example", 0.05)
    finally:
        gone.set()


def test_an_older_address_serves_while_the_name_server_hangs() -> None:
    gone, now = threading.Event(), 0.0
    answers = iter([["192.0.2.1"]])

    def answer_once(_: str) -> list[str]:
        found = next(answers, None)
        if found is None:
            gone.wait(30)
            raise OSError("no answer")
        return found

    names = Names(answer_once, clock=lambda: now)
    assert names.addresses("db.example", 10) == ["192.0.2.1"]
    now = 3600.0
    try:
        assert names.addresses("db.example", 0.05) == ["192.0.2.1"]
    finally:
        gone.set()
