"""A poll on a real database of which some tables are locked, crashed or refused: flags and heartbeats come in time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.observer import Reading
from collectors.phones_in_rooms import Room
from collectors.vicidial import rows
from collectors.vicidial.database import STATEMENT_SECONDS, VicidialDatabase
from collectors.vicidial.parts import Wanted
from collectors.vicidial.reader import WAIT_SECONDS, Reader
from collectors.vicidial.rows import OddRows
from collectors.vicidial.schema import TABLES
from messages.codes import Unreadable
from simulator.database import Database
from tests.support.builders import ONE, TWO, eventually
from tests.support.timing import on_this_machine
from tests.support.vicidial_database import SMALL, Vicidial

ALL = Wanted(agents=True, screens=True, catalogue=True, everything=True, work=(ONE,))
VITAL = {"servers", "server_updater"}
REST = sorted({*TABLES.values()} - VITAL)
HELD = ("vicidial_live_agents", "vicidial_conferences", "vicidial_campaigns", "web_client_sessions")
QUICK_SECONDS = WAIT_SECONDS + 0.5


@pytest.fixture
def vital(vicidial: Vicidial) -> Iterator[VicidialDatabase]:
    """Yield the connection with the lock."""
    with VicidialDatabase(vicidial.settings) as made:
        assert made.take_lock()
        yield made


@pytest.fixture
def reader(vital: VicidialDatabase) -> Iterator[Reader]:
    """Yield a reader that has read everything once."""
    with Reader(vital) as made:
        read_until(made, lambda reading: reading.rest.catalogue is not None)
        yield made


def read_until(reader: Reader, condition: Callable[[Reading], bool]) -> Reading:
    """Read on until a reading fulfils the condition, and return it; each must have flags and heartbeats in time."""
    found: list[Reading] = []

    def fulfilled() -> bool:
        began = time.monotonic()
        found.append(reader.read(ALL))
        assert time.monotonic() - began < on_this_machine(QUICK_SECONDS)
        assert len(list(found[-1].dialers)) == SMALL.dialers
        return condition(found[-1])

    assert eventually(fulfilled), found[-1]
    return found[-1]


def users(reading: Reading) -> set[str]:
    agents = (rows.agent(row, OddRows()) for row in reading.rest.agents or ())
    return {agent.user for agent in agents if agent is not None}


@contextmanager
def locked(vicidial: Vicidial, *tables: str) -> Iterator[None]:
    """Hold tables as a report or a repair does."""
    with vicidial.server.connect(database=vicidial.name) as other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {', '.join(f'{table} WRITE' for table in tables)}")
        yield


def test_a_reading_has_all_that_is_wanted_and_says_what_cannot_be_read(vicidial: Vicidial, reader: Reader) -> None:
    vicidial.log_in("1001", ONE)
    reading = read_until(reader, lambda reading: users(reading) == {"1001"})
    assert reading.rest.catalogue is not None
    assert len(list(reading.rest.catalogue.phones or ())) == SMALL.agents * SMALL.dialers
    assert reading.unread == {}


def test_the_tables_are_those_that_the_statements_read() -> None:
    assert {"vicidial_live_agents", "vicidial_user_log", "phones", "phones_alias", "web_client_sessions"} <= {*REST}
    assert {*TABLES.values()} > VITAL


def test_while_other_tables_are_locked_flags_and_heartbeats_come_in_time(vicidial: Vicidial, reader: Reader) -> None:
    with locked(vicidial, *HELD):
        reading = read_until(reader, lambda reading: reading.unread.keys() == {*HELD})
        assert {each.why for each in reading.unread.values()} == {Unreadable.LOCKED}
        vicidial_live_agents = reading.unread["vicidial_live_agents"]
        assert 0 < vicidial_live_agents.seconds < on_this_machine(40)
    vicidial.log_in("1001", ONE)
    reading = read_until(reader, lambda reading: not reading.unread and users(reading) == {"1001"})
    assert sum(reader.take_failures().values()) >= len(HELD)


def test_one_locked_table_costs_the_others_nothing(vicidial: Vicidial, reader: Reader) -> None:
    with locked(vicidial, "vicidial_user_log"):
        read_until(reader, lambda reading: reading.unread.keys() == {"vicidial_user_log"})
        vicidial.run("INSERT INTO vicidial_live_agents (user, server_ip, status) VALUES ('1002', %s, 'READY')", ONE)
        read_until(reader, lambda reading: users(reading) == {"1002"})
    vicidial.run(
        "INSERT INTO vicidial_user_log (user, event, server_ip, phone_login) VALUES ('1002', 'LOGIN', %s, 'desk')", ONE
    )
    seen = read_until(reader, lambda reading: bool(reading.rest.logins))
    assert rows.logins(seen.rest.logins)["1002"].typed == "desk"


def test_a_second_connection_that_the_server_has_closed_is_made_anew_without_a_word(
    vicidial: Vicidial, reader: Reader
) -> None:
    mine = "SELECT id FROM information_schema.processlist WHERE user = %s AND id <> IS_USED_LOCK(%s)"
    reader.take_failures()
    for (number,) in vicidial.run(mine, vicidial.user, f"hotdesk.{vicidial.name}"):
        vicidial.run(f"KILL {number}")
    assert read_until(reader, lambda reading: reading.rest.agents is not None).unread == {}
    assert not reader.take_failures()


def test_a_crashed_table_is_told_of_and_read_again_once_it_is_repaired(
    own_server: Database, server_folder: Path
) -> None:
    vicidial = Vicidial(own_server, SMALL, old=False)
    (index,) = server_folder.glob(f"own*/**/{vicidial.name}/vicidial_user_log.MYI")
    with VicidialDatabase(vicidial.settings) as database, Reader(database) as reader:
        read_until(reader, lambda reading: reading.rest.catalogue is not None)
        vicidial.run("FLUSH TABLES vicidial_user_log")
        whole = index.read_bytes()
        index.write_bytes(whole[:100])
        reading = read_until(reader, lambda reading: "vicidial_user_log" in reading.unread)
        assert reading.unread["vicidial_user_log"].why is Unreadable.CRASHED
        vicidial.run("REPAIR TABLE vicidial_user_log USE_FRM")
        read_until(reader, lambda reading: not reading.unread)


GRANTED = {
    "vicidial_live_agents": "status",
    "vicidial_campaigns": "campaign_id",
    "phones": "extension",
    "phones_alias": "logins_list",
    "vicidial_conferences": "extension",
    "system_settings": "agent_logout_link",
}
"""By table: a column without which its statement is refused."""


@pytest.mark.parametrize("table", ["vicidial_live_agents", "vicidial_campaigns"])
def test_a_grant_that_goes_is_told_of(vicidial: Vicidial, reader: Reader, table: str) -> None:
    vicidial.run(f"REVOKE SELECT ({GRANTED[table]}) ON {table} FROM `{vicidial.user}`@`%%`")
    reading = read_until(reader, lambda reading: table in reading.unread)
    assert reading.unread[table].why is Unreadable.REFUSED


@pytest.mark.parametrize("table", [each for each in GRANTED if each != "system_settings"])
def test_a_term_that_begins_without_a_grant_reads_all_else(vicidial: Vicidial, table: str) -> None:
    vicidial.run(f"REVOKE SELECT ({GRANTED[table]}) ON {table} FROM `{vicidial.user}`@`%%`")
    with VicidialDatabase(vicidial.settings) as database, Reader(database) as reader:
        reading = read_until(reader, lambda reading: reading.unread.keys() == {table})
        assert reading.unread[table].why is Unreadable.REFUSED
        vicidial.run(f"GRANT SELECT ({GRANTED[table]}) ON {table} TO `{vicidial.user}`@`%%`")
        read_until(reader, lambda reading: not reading.unread)


@pytest.mark.parametrize("table", GRANTED)
def test_a_term_that_begins_without_a_table_reads_all_else(vicidial: Vicidial, table: str) -> None:
    vicidial.run(f"RENAME TABLE {table} TO {table}_old")
    with VicidialDatabase(vicidial.settings) as database, Reader(database) as reader:
        reading = read_until(reader, lambda reading: reading.unread.keys() == {table})
        assert reading.unread[table].why is Unreadable.ABSENT


def test_a_table_that_was_renamed_is_absent_and_not_refused(vicidial: Vicidial, reader: Reader) -> None:
    read_until(reader, lambda reading: reading.rest.agents is not None)
    vicidial.run("RENAME TABLE vicidial_user_log TO vicidial_user_log_old")
    reading = read_until(reader, lambda reading: "vicidial_user_log" in reading.unread)
    assert reading.unread["vicidial_user_log"].why is Unreadable.ABSENT


def test_it_ends_while_a_table_is_locked_and_leaves_no_thread(vicidial: Vicidial, vital: VicidialDatabase) -> None:
    before = set(threading.enumerate())
    with locked(vicidial, "vicidial_live_agents"):
        with Reader(vital) as reader:
            assert reader.read(ALL).rest.agents is None
            began = time.monotonic()
        assert time.monotonic() - began < on_this_machine(1)
    assert eventually(lambda: set(threading.enumerate()) <= before)


def test_logins_wait_until_the_agents_can_be_read(vicidial: Vicidial, reader: Reader) -> None:
    """They are read once, and belong to sessions."""
    with locked(vicidial, "vicidial_live_agents"):
        read_until(reader, lambda reading: "vicidial_live_agents" in reading.unread)
        vicidial.run(
            "INSERT INTO vicidial_user_log (user, event, server_ip, phone_login) VALUES ('1003', 'LOGIN', %s, 'desk')",
            ONE,
        )
        for _ in range(3):
            assert not reader.read(ALL).rest.logins
    seen = read_until(reader, lambda reading: bool(reading.rest.logins))
    assert rows.logins(seen.rest.logins)["1003"].typed == "desk"
    assert seen.rest.agents is not None


def test_a_reading_says_what_it_answers(vicidial: Vicidial, reader: Reader) -> None:
    rooms = (Room(ONE, "8600051"),)
    found = read_until(reader, lambda reading: reading.rest.work is not None)
    assert found.rest.worked_of == (ONE,)
    with locked(vicidial, "vicidial_conferences"):
        late = reader.read(ALL._replace(work=(TWO,), rooms=rooms))
        while late.rest.worked_of is None:
            late = reader.read(Wanted(work=(ONE,)))
        assert (late.rest.worked_of, late.rest.looked_at) == ((TWO,), rooms)


def test_agents_that_do_not_come_are_told_of_before_any_statement_has_failed(
    vicidial: Vicidial, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection may be silent for longer than sessions may be old."""
    monkeypatch.setattr("collectors.vicidial.reader.LATE_SECONDS", 0.5)
    with locked(vicidial, "vicidial_live_agents"):
        began = time.monotonic()
        reading = read_until(reader, lambda reading: "vicidial_live_agents" in reading.unread)
        assert reading.unread["vicidial_live_agents"].why is Unreadable.UNREACHABLE
        assert time.monotonic() - began < on_this_machine(STATEMENT_SECONDS)
    read_until(reader, lambda reading: not reading.unread)
