"""The statements on a real MariaDB, as the account that docs tell an operator to make."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import resources

import msgspec
import pytest

from collectors.catalogue import CatalogueRows
from collectors.phones_in_rooms import Room
from collectors.vicidial import rows
from collectors.vicidial.database import (
    IDLE_SECONDS,
    STATEMENT_SECONDS,
    TRIED_SECONDS,
    DatabaseError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
    VicidialDatabase,
)
from collectors.vicidial.parts import Wanted
from collectors.vicidial.rows import OddRows
from collectors.vicidial.schema import OPTIONAL_COLUMNS, OPTIONAL_TABLES, SECRETS
from collectors.vicidial.settings import DatabaseSettings
from messages.codes import Odd
from simulator.plan import ClusterPlan
from tests.support.builders import ONE, THREE, TWO, eventually
from tests.support.old_server import make_old
from tests.support.timing import on_this_machine
from tests.support.vicidial_database import PASSWORD, MakeVicidial, Vicidial


@pytest.fixture
def reader(vicidial: Vicidial) -> Iterator[VicidialDatabase]:
    """Yield a connection to the small cluster."""
    with VicidialDatabase(vicidial.settings) as database:
        yield database


def _catalogue(database: VicidialDatabase, *, everything: bool = False) -> CatalogueRows:
    catalogue = database.read(Wanted(catalogue=True, everything=everything)).rest.catalogue
    assert catalogue is not None
    return catalogue


# --- what the account may do ------------------------------------------------------------------------------------


def test_the_granted_account_can_run_every_statement(reader: VicidialDatabase) -> None:
    tried = reader.run_each()
    assert {name: error for name, error in tried.items() if error is not None} == {}
    assert {"dialers", "heartbeats", "agents", "phones", "aliases", "lock"} <= tried.keys()
    assert reader.missing_columns == ()


FORBIDDEN = (
    "SELECT pass FROM phones",
    "SELECT conf_secret FROM phones",
    "SELECT * FROM phones",
    "SELECT ASTmgrSECRET FROM servers",
    "SELECT * FROM vicidial_live_agents",
    "SELECT user FROM vicidial_users",
    "SELECT pass FROM vicidial_users",
    "SELECT * FROM vicidial_user_log",
    "INSERT INTO server_updater (server_ip) VALUES ('10.0.0.1')",
    "INSERT INTO phones_alias (alias_id) VALUES ('x')",
    "UPDATE servers SET active = 'N'",
    "UPDATE vicidial_live_agents SET external_pause = 'LOGOUT'",
    "UPDATE phones SET active = 'N'",
    "DELETE FROM vicidial_live_agents",
    "TRUNCATE TABLE server_updater",
    "DROP TABLE phones",
    "ALTER TABLE phones ADD COLUMN x INT",
    "CREATE TABLE x (y INT)",
    "LOCK TABLES servers WRITE",
    "SELECT User FROM mysql.user",
    "SET GLOBAL max_connections = 1",
    "FLUSH TABLES",
)


def test_the_granted_account_can_do_nothing_else(denied: Callable[[str], bool]) -> None:
    assert [statement for statement in FORBIDDEN if not denied(statement)] == []


def test_all_that_is_granted_is_reading_columns(vicidial: Vicidial) -> None:
    granted = [row[0] for row in vicidial.run(f"SHOW GRANTS FOR `{vicidial.user}`@`%%`")]
    assert len(granted) > 1
    for grant in granted:
        assert grant.startswith(("GRANT USAGE ON *.*", "GRANT SELECT (")), grant


# --- what is read -----------------------------------------------------------------------------------------------


def test_the_tables_are_read_as_they_are(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    vicidial.log_in("1001", "127.20.0.12", status="INCALL")
    vicidial.run("UPDATE vicidial_conferences SET extension = 'SIP/1' WHERE server_ip = '127.20.0.12' LIMIT 2")
    vicidial.run("UPDATE servers SET active = 'N', active_agent_login_server = 'N' WHERE server_ip = '127.20.0.11'")
    reading = reader.read(Wanted(agents=True, catalogue=True))
    odd = OddRows()

    dialers = rows.dialers(reading.dialers, odd)
    assert {ip: (each.active, each.agent_logins) for ip, each in dialers.items()} == {
        "127.20.0.11": (False, False),
        "127.20.0.12": (True, True),
        "127.20.0.13": (True, True),
    }
    assert rows.heartbeats(reading.heartbeats, dialers, odd).keys() == dialers.keys()
    assert reading.rest.agents is not None
    (agent,) = [rows.agent(row, odd) for row in reading.rest.agents]
    assert agent is not None
    assert (agent.user, agent.server_ip, agent.status) == ("1001", "127.20.0.12", "INCALL")
    assert rows.rooms(reading.rest.conferences or (), odd)["127.20.0.12"] == (9, 7)
    assert rows.rooms(reading.rest.confbridges or (), odd)["127.20.0.12"] == (9, 9)
    assert reading.rest.catalogue is not None
    phones = rows.phones(reading.rest.catalogue.phones or (), dialers, odd)
    assert len(phones) == 18
    assert {phone.peer_status for phone in phones.values()} == {"REGISTERED"}
    aliases = rows.aliases(reading.rest.catalogue.aliases or (), phones, odd)
    assert aliases["desk1001"].logins == tuple(phone.login for phone in vicidial.plan.agent_plans[0].phones)
    assert rows.campaigns(reading.rest.catalogue.campaigns or (), odd).keys() == {"sales", "support"}
    assert (
        rows.settings(
            reading.rest.catalogue.settings or (), reading.rest.catalogue.weights or (), (), odd
        ).grouping_limit
        == 100
    )
    assert {kind: count for kind, count in odd.items() if count} == {}


def test_a_call_whose_agent_vicidials_clean_up_has_paused_is_a_call(
    vicidial: Vicidial, reader: VicidialDatabase
) -> None:
    # it pauses whoever has not polled for 30 s, as a hidden tab does not, and leaves the call as it is
    for user, call in {"1001": "V1127073155000000077", "1002": "", "1003": None}.items():
        vicidial.log_in(user, ONE, status="PAUSED")
        vicidial.run("UPDATE vicidial_live_agents SET lead_id = 77, callerid = %s WHERE user = %s", call, user)
    odd = OddRows()
    agents = [rows.agent(row, odd) for row in reader.read(Wanted(agents=True)).rest.agents or ()]
    assert [each and each.status for each in agents] == ["INCALL", "PAUSED", "PAUSED"]


def test_a_heartbeats_age_is_the_databases_clock_minus_the_value(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    vicidial.run("UPDATE server_updater SET last_update = NOW() - INTERVAL 1 HOUR WHERE server_ip = '127.20.0.11'")
    vicidial.run("UPDATE server_updater SET last_update = NOW() + INTERVAL 1 HOUR WHERE server_ip = '127.20.0.12'")
    vicidial.run("UPDATE server_updater SET last_update = '0000-00-00 00:00:00' WHERE server_ip = '127.20.0.13'")
    vicidial.run("INSERT INTO server_updater (server_ip, last_update) VALUES ('10.9.9.9', NULL)")
    odd = OddRows()
    reading = reader.read(Wanted())
    ages = {
        ip: each.age_seconds
        for ip, each in rows.heartbeats(reading.heartbeats, rows.dialers(reading.dialers, odd), odd).items()
    }
    assert ages["127.20.0.11"] == pytest.approx(3600, abs=30)
    assert ages["127.20.0.12"] == pytest.approx(-3600, abs=30)
    assert ages["127.20.0.13"] is None
    assert odd == {Odd.HEARTBEAT_WITHOUT_SERVER: 1, Odd.HEARTBEAT_NO_DATE: 1}


def test_latin1_text_arrives_right(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    vicidial.run("UPDATE phones_alias SET alias_name = X'4DFC6C6C6572' WHERE alias_id = 'desk1001'")
    vicidial.run("ALTER TABLE vicidial_campaigns CONVERT TO CHARACTER SET utf8mb4")
    vicidial.run("INSERT INTO vicidial_campaigns (campaign_id) VALUES (%s)", "日本")
    odd = OddRows()
    catalogue = _catalogue(reader)
    assert rows.aliases(catalogue.aliases or (), {}, odd)["desk1001"].name == "Müller"
    assert "日本" in rows.campaigns(catalogue.campaigns or (), odd)
    assert odd[Odd.BAD_TEXT] == 0


def test_text_of_no_encoding_is_read_all_the_same(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    vicidial.run("ALTER TABLE phones_alias MODIFY alias_name VARBINARY(50)")
    vicidial.run("UPDATE phones_alias SET alias_name = X'4DFC6C6C6572' WHERE alias_id = 'desk1001'")
    odd = OddRows()
    read = rows.aliases(_catalogue(reader).aliases or (), {}, odd)
    assert read["desk1001"].name == "M\N{REPLACEMENT CHARACTER}ller"
    assert odd[Odd.BAD_TEXT] == 1


def test_a_table_of_several_encodings_arrives_right(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    vicidial.run("ALTER TABLE phones_alias MODIFY alias_name VARCHAR(50) CHARACTER SET utf8mb4")
    vicidial.run("ALTER TABLE phones_alias MODIFY logins_list VARCHAR(255) CHARACTER SET utf8mb3")
    vicidial.run("UPDATE phones_alias SET alias_name = '日本 😀', alias_id = 'Bürö' WHERE alias_id = 'desk1001'")
    odd = OddRows()
    read = rows.aliases(_catalogue(reader).aliases or (), {}, odd)["bürö"]
    assert (read.alias_id, read.name) == ("Bürö", "日本 😀")
    assert read.logins == tuple(phone.login for phone in vicidial.plan.agent_plans[0].phones)
    assert odd[Odd.BAD_TEXT] == 0


def test_rows_full_of_nulls_are_rows_without_their_key(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    vicidial.run(
        "INSERT INTO vicidial_live_agents (user, extension, status, campaign_id) VALUES (NULL, NULL, NULL, NULL)"
    )
    vicidial.run(
        "INSERT INTO phones (extension, server_ip, login, active, protocol) VALUES (NULL, NULL, NULL, NULL, NULL)"
    )
    reading = reader.read(Wanted(agents=True, catalogue=True))
    odd = OddRows()
    assert [rows.agent(row, odd) for row in reading.rest.agents or ()] == [None]
    assert reading.rest.catalogue is not None
    assert len(rows.phones(reading.rest.catalogue.phones or (), rows.dialers(reading.dialers, odd), odd)) == 18
    assert odd == {Odd.NULL_KEY: 2}


@pytest.mark.parametrize("mark", ["1E", "1F", "1E1E1F", "00", "0D0A"])
def test_a_control_character_in_one_row_leaves_the_others_readable(
    vicidial: Vicidial, reader: VicidialDatabase, mark: str
) -> None:
    """Somebody pasted it into a form once, and nobody has seen it since."""
    for user in ("1001", "1002"):
        vicidial.log_in(user, "127.20.0.11")
    vicidial.run(f"UPDATE vicidial_live_agents SET extension = X'{mark}' WHERE user = '1001'")
    vicidial.run(f"UPDATE phones_alias SET alias_name = X'{mark}' WHERE alias_id = 'desk1001'")
    vicidial.run(f"UPDATE phones SET extension = X'{mark}' WHERE login = '1001a'")
    reading = reader.read(Wanted(agents=True, catalogue=True))
    odd = OddRows()
    agents = [rows.agent(row, odd) for row in reading.rest.agents or ()]
    assert "1002" in {agent.user for agent in agents if agent is not None}
    assert reading.rest.catalogue is not None
    phones = rows.phones(reading.rest.catalogue.phones or (), rows.dialers(reading.dialers, odd), odd)
    assert phones.keys() >= {"1001b", "1001c", "1002a", "1002b", "1002c"}
    aliases = rows.aliases(reading.rest.catalogue.aliases or (), phones, odd)
    assert aliases.keys() >= {f"desk100{number}" for number in range(2, 7)}
    assert "desk1001" in aliases or odd[Odd.NULL_KEY] > 0


def test_a_poll_costs_as_many_statements_in_a_small_cluster_as_in_a_large_one(make_vicidial: MakeVicidial) -> None:
    costs = []
    for plan in (
        ClusterPlan(dialers=2, agents=10, rooms=20),
        ClusterPlan(dialers=40, agents=2000, rooms=60, phones_per_alias=3),
    ):
        vicidial = make_vicidial(plan)
        vicidial.log_in_everybody()
        with VicidialDatabase(vicidial.settings) as database:
            cost = []
            for agents, catalogue in ((True, False), (False, True), (False, False), (True, True)):
                before = database.statements_run
                reading = database.read(Wanted(agents=agents, catalogue=catalogue))
                cost.append(database.statements_run - before)
                if agents:
                    assert len(list(reading.rest.agents or ())) == plan.agents + plan.remote_agents
            costs.append(cost)
    assert costs[0] == costs[1] == [7, 9, 2, 11]  # the first looks where the log of logins ends


# --- only what changed ------------------------------------------------------------------------------------------


def test_phones_and_aliases_that_did_not_change_are_not_read_again(reader: VicidialDatabase) -> None:
    first = _catalogue(reader)
    assert len(list(first.phones or ())) == 18
    assert len(list(first.aliases or ())) == 6
    second = _catalogue(reader)
    assert (second.phones, second.aliases) == (None, None)
    assert len(list(second.campaigns or ())) == 2
    again = _catalogue(reader, everything=True)
    assert (again.phones, again.aliases) == (first.phones, first.aliases)


PHONE_CHANGES = (
    "UPDATE phones SET active = 'N' LIMIT 1",
    "UPDATE phones SET login = 'other' LIMIT 1",
    "UPDATE phones SET server_ip = '10.9.9.9' LIMIT 1",
    "UPDATE phones SET extension = '1' LIMIT 1",
    "UPDATE phones SET protocol = 'PJSIP' LIMIT 1",
    "UPDATE phones SET is_webphone = 'Y' LIMIT 1",
    "UPDATE phones SET peer_status = 'LAGGED' LIMIT 1",
    "UPDATE phones SET peer_status = NULL LIMIT 1",
    "DELETE FROM phones LIMIT 1",
    "INSERT INTO phones (extension, server_ip, login) VALUES ('9', '127.20.0.11', 'new')",
    "DELETE FROM phones",
)


def test_a_changed_phone_is_noticed_and_its_aliases_looked_at(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    _catalogue(reader)
    for change in PHONE_CHANGES:
        vicidial.run(change)
        changed = _catalogue(reader)
        assert changed.phones is not None, change
        assert changed.aliases is not None, change
        assert _catalogue(reader).phones is None


ALIAS_CHANGES = (
    "UPDATE phones_alias SET logins_list = 'x' LIMIT 1",
    "UPDATE phones_alias SET logins_list = NULL LIMIT 1",
    "UPDATE phones_alias SET alias_name = 'x' LIMIT 1",
    "UPDATE phones_alias SET alias_id = 'x' LIMIT 1",
    "DELETE FROM phones_alias LIMIT 1",
    "INSERT INTO phones_alias (alias_id) VALUES ('x')",
)


def test_a_changed_alias_is_noticed(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    _catalogue(reader)
    for change in ALIAS_CHANGES:
        vicidial.run(change)
        changed = _catalogue(reader)
        assert changed.phones is None, change
        assert changed.aliases is not None, change


UNREAD_CHANGES = (
    "UPDATE phones SET pass = 'secret', conf_secret = 'secret', ping_time = 7",
    "UPDATE phones_alias SET user_group = 'x'",
)


def test_what_nobody_reads_may_change(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    _catalogue(reader)
    for change in UNREAD_CHANGES:
        vicidial.run(change)
    read = _catalogue(reader)
    assert (read.phones, read.aliases) == (None, None)


# --- older schemas ----------------------------------------------------------------------------------------------


def test_the_columns_are_asked_for_of_each_table_of_which_some_may_be_missing() -> None:
    statement = resources.files("collectors.vicidial").joinpath("statements", "columns.sql").read_text()
    looked_for = {table for table, _ in OPTIONAL_COLUMNS.keys() | SECRETS} | set(OPTIONAL_TABLES.values())
    assert set(re.findall(r"'(\w+)'", statement.partition(" IN ")[2].partition(")")[0])) == looked_for


def test_an_older_schema_is_read_and_what_it_lacks_is_told(make_vicidial: MakeVicidial) -> None:
    vicidial = make_vicidial(old=True)
    with VicidialDatabase(vicidial.settings) as database:
        assert database.missing_columns == (
            "phones.peer_status",
            "servers.active_agent_login_server",
            "servers.conf_engine",
            "vicidial_confbridges.*",
        )
        assert {name: error for name, error in database.run_each().items() if error is not None} == {}
        reading = database.read(Wanted(agents=True, catalogue=True))
    odd = OddRows()
    dialers = rows.dialers(reading.dialers, odd)
    assert len(dialers) == 3
    assert all(each.agent_logins and not each.confbridge for each in dialers.values())
    assert list(reading.rest.confbridges or ()) == []
    assert reading.rest.catalogue is not None
    phones = rows.phones(reading.rest.catalogue.phones or (), dialers, odd)
    assert {phone.peer_status for phone in phones.values()} == {""}
    assert reading.rest.catalogue.missing_columns == database.missing_columns
    assert not odd


def test_a_time_that_no_poll_moves_calls_no_screen_silent(vicidial: Vicidial) -> None:
    vicidial.run("ALTER TABLE vicidial_live_agents MODIFY last_update_time TIMESTAMP NULL")
    vicidial.log_in("1001", ONE)
    vicidial.run("UPDATE vicidial_live_agents SET last_update_time = NOW() - INTERVAL 1 HOUR")
    with VicidialDatabase(vicidial.settings) as database:
        assert database.missing_columns == ("vicidial_live_agents.last_update_time",)
        assert database.read(Wanted(agents=True, screens=True)).rest.silent_screens == ()


def test_a_column_that_is_not_granted_is_as_good_as_absent(vicidial: Vicidial) -> None:
    vicidial.run(f"REVOKE SELECT (peer_status) ON phones FROM `{vicidial.user}`@`%%`")
    vicidial.run(
        f"REVOKE SELECT (container_id, container_entry) ON vicidial_settings_containers FROM `{vicidial.user}`@`%%`"
    )
    with VicidialDatabase(vicidial.settings) as database:
        assert database.missing_columns == ("phones.peer_status", "vicidial_settings_containers.*")
        assert len(list(_catalogue(database).phones or ())) == 18


def test_a_server_older_than_time_limits_is_read_without(
    vicidial: Vicidial, reader: VicidialDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reader.keeps_limits
    make_old(monkeypatch)
    with VicidialDatabase(vicidial.settings) as database:
        assert not database.keeps_limits
        assert database.missing_columns == ()
        assert {name: error for name, error in database.run_each().items() if error is not None} == {}
        assert database.read(Wanted(agents=True, catalogue=True, work=[ONE])).rest.work == ()


# --- work done --------------------------------------------------------------------------------------------------


def _call(vicidial: Vicidial, server_ip: str, status: str) -> None:
    vicidial.run("INSERT INTO vicidial_manager (status, server_ip, callerid) VALUES (%s, %s, 'V1')", status, server_ip)


def _work(database: VicidialDatabase, *dialers: str) -> dict[str, int] | None:
    read = database.read(Wanted(work=dialers)).rest.work
    return None if read is None else rows.work(read)


def test_work_is_what_the_listener_wrote_and_not_what_the_sender_took(
    vicidial: Vicidial, reader: VicidialDatabase
) -> None:
    assert _work(reader, ONE) == {}
    for status in ("NEW", "QUEUE", "SENT", "DEAD", "UPDATED"):
        _call(vicidial, ONE, status)
    _call(vicidial, TWO, "UPDATED")
    assert _work(reader, ONE) == {ONE: 1}
    assert _work(reader, ONE, TWO) == {ONE: 1, TWO: 1}
    assert _work(reader) is None


def test_work_is_read_by_an_index_alone(vicidial: Vicidial) -> None:
    for status in ("SENT", "UPDATED", "DEAD"):
        for server_ip in (ONE, TWO, THREE) * 20:
            _call(vicidial, server_ip, status)
    statement = resources.files("collectors.vicidial").joinpath("statements", "work.sql").read_text()
    ((*_, extra),) = vicidial.run(f"EXPLAIN {statement.replace('%(asked)s', '%s')}", (ONE, TWO))
    assert "Using index" in extra.split("; ")


def test_without_the_grant_or_the_index_work_is_not_read_and_all_else_is(vicidial: Vicidial) -> None:
    vicidial.run("ALTER TABLE vicidial_manager DROP KEY serverstat")
    with VicidialDatabase(vicidial.settings) as database:
        assert database.missing_columns == ("vicidial_manager.*",)
        assert _work(database, ONE) is None
        assert {name: error for name, error in database.run_each().items() if error is not None} == {}
    vicidial.run("ALTER TABLE vicidial_manager ADD KEY serverstat (server_ip, status)")
    vicidial.run(f"REVOKE SELECT (status) ON vicidial_manager FROM `{vicidial.user}`@`%%`")
    with VicidialDatabase(vicidial.settings) as database:
        assert database.missing_columns == ("vicidial_manager.*",)
        assert _work(database, ONE) is None


def test_while_the_table_is_locked_the_poll_goes_on_without_work(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    """VICIdial's clean-up optimises it once an hour."""
    _call(vicidial, ONE, "UPDATED")
    with vicidial.server.connect(database=vicidial.name) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES vicidial_manager WRITE")
        began = time.monotonic()
        assert _work(reader, ONE) is None
        assert time.monotonic() - began < on_this_machine(10 * TRIED_SECONDS + 1)
        with VicidialDatabase(vicidial.settings) as another:
            assert another.missing_columns == ()
    assert _work(reader, ONE) == {ONE: 1}


# --- phones in rooms --------------------------------------------------------------------------------------------


def _found(database: VicidialDatabase, *rooms: Room) -> frozenset[tuple[str, str]] | None:
    read = database.read(Wanted(agents=True, rooms=rooms)).rest.channels
    return None if read is None else rows.channels(read)


def test_a_screen_is_silent_if_it_has_not_polled_for_a_minute_and_a_half(
    vicidial: Vicidial, reader: VicidialDatabase
) -> None:
    heard = "last_update_time = NOW() - INTERVAL %s SECOND"
    for user, seconds in {"1001": 100, "1002": 80, "R1": 500}.items():
        vicidial.log_in(user, ONE)
        vicidial.run(f"UPDATE vicidial_live_agents SET {heard} WHERE user = %s", seconds, user)
    vicidial.run(f"UPDATE vicidial_live_agents SET extension = 'R/1', {heard} WHERE user = 'R1'", 500)
    ((number,),) = vicidial.run("SELECT live_agent_id FROM vicidial_live_agents WHERE user = '1001'")
    silent = reader.read(Wanted(agents=True, screens=True)).rest.silent_screens
    assert silent is not None
    assert [int(session or 0) for session, _ in silent] == [number]
    assert reader.read(Wanted(agents=True)).rest.silent_screens is None


def test_a_screen_is_lost_if_vicidial_keeps_its_login_and_not_its_session(
    vicidial: Vicidial, reader: VicidialDatabase
) -> None:
    for user in ("1001", "1002"):
        vicidial.run(
            "INSERT INTO vicidial_session_data (session_name, user, server_ip, extension, login_time)"
            " VALUES (%s, %s, %s, 'SIP/1', NOW())",
            f"session-{user}",
            user,
            ONE,
        )
    vicidial.run(
        "INSERT INTO web_client_sessions (session_name, server_ip, extension, start_time)"
        " VALUES ('session-1002', %s, 'SIP/1', NOW())",
        ONE,
    )
    lost = reader.read(Wanted(agents=True, screens=True)).rest.lost_screens
    assert lost is not None
    assert rows.lost_screens(lost) == {("1001", ONE)}


def test_somebody_is_in_a_room_if_a_channel_of_that_very_dialer_is(
    vicidial: Vicidial, reader: VicidialDatabase
) -> None:
    for table, server_ip, extension in (
        ("live_sip_channels", ONE, "8600051"),
        ("live_sip_channels", ONE, "8600051"),
        ("live_sip_channels", ONE, "8600052"),
        ("live_channels", TWO, "8600053"),
    ):
        vicidial.run(
            f"INSERT INTO {table} (channel, server_ip, extension) VALUES ('SIP/1', %s, %s)", server_ip, extension
        )
    asked = (Room(ONE, "8600051"), Room(TWO, "8600051"), Room(TWO, "8600053"))
    assert _found(reader, *asked) == frozenset({(ONE, "8600051"), (TWO, "8600053")})
    assert _found(reader) is None
    assert reader.read(Wanted(rooms=asked)).rest.channels is None


@pytest.mark.parametrize("table", ["live_sip_channels", "live_channels"])
def test_without_the_grant_nothing_is_known_of_rooms_and_all_else_is(vicidial: Vicidial, table: str) -> None:
    vicidial.run(f"REVOKE SELECT (extension) ON {table} FROM `{vicidial.user}`@`%%`")
    with VicidialDatabase(vicidial.settings) as database:
        assert database.missing_columns == ("live_sip_channels.*",)
        assert _found(database, Room(ONE, "8600051")) is None
        assert {name: error for name, error in database.run_each().items() if error is not None} == {}


# --- what goes wrong --------------------------------------------------------------------------------------------


def _error(settings: DatabaseSettings) -> DatabaseError:
    """Connect and read, and give what is said about it."""
    with pytest.raises(DatabaseError) as raised, VicidialDatabase(settings) as database:
        database.read(Wanted(agents=True, catalogue=True))
    said = str(raised.value)
    assert "\n" not in said
    assert settings.where in said
    assert settings.password not in said
    return raised.value


def test_a_wrong_password_is_refused(vicidial: Vicidial) -> None:
    error = _error(msgspec.structs.replace(vicidial.settings, password="not-the-password"))
    assert isinstance(error, DatabaseRefusedError)
    assert vicidial.user in str(error)


def test_an_unknown_user_is_refused(vicidial: Vicidial) -> None:
    assert isinstance(_error(msgspec.structs.replace(vicidial.settings, user="nobody")), DatabaseRefusedError)


def test_a_database_that_does_not_exist_is_refused(vicidial: Vicidial) -> None:
    assert isinstance(_error(msgspec.structs.replace(vicidial.settings, database="absent")), DatabaseRefusedError)


def test_a_missing_grant_is_refused_and_names_the_table(vicidial: Vicidial) -> None:
    columns = "server_ip, last_update, db_time"
    vicidial.run(f"REVOKE SELECT ({columns}) ON server_updater FROM `{vicidial.user}`@`%%`")
    error = _error(vicidial.settings)
    assert isinstance(error, DatabaseRefusedError)
    assert "server_updater" in str(error)
    assert "GRANT" in str(error)


def test_a_table_that_does_not_exist_is_refused(vicidial: Vicidial) -> None:
    vicidial.run("DROP TABLE vicidial_campaigns")
    error = _error(vicidial.settings)
    assert isinstance(error, DatabaseRefusedError)
    assert "vicidial_campaigns" in str(error)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls_ca": "/nowhere/ca.pem"},
        {"tls_ca": __file__},
        {"host": "db..example.com", "socket": ""},
        {"password": "\u20ac uro"},
    ],
)
def test_a_setting_that_cannot_be_right_is_refused_in_one_line(vicidial: Vicidial, wrong: dict[str, str]) -> None:
    assert isinstance(_error(msgspec.structs.replace(vicidial.settings, **wrong)), DatabaseRefusedError)


def test_a_host_that_may_not_connect_is_refused_and_not_called_silent(vicidial: Vicidial) -> None:
    vicidial.run(f"RENAME USER `{vicidial.user}`@`%%` TO `{vicidial.user}`@`10.255.255.1`")
    try:
        assert isinstance(_error(vicidial.settings), DatabaseRefusedError)
    finally:
        vicidial.run(f"RENAME USER `{vicidial.user}`@`10.255.255.1` TO `{vicidial.user}`@`%%`")


def test_where_nobody_listens_it_is_unavailable(vicidial: Vicidial) -> None:
    assert isinstance(_error(msgspec.structs.replace(vicidial.settings, port=1)), DatabaseUnavailableError)


def test_settings_show_no_password(vicidial: Vicidial) -> None:
    assert PASSWORD not in repr(vicidial.settings)
    assert PASSWORD not in str(vicidial.settings)


def test_a_statement_that_waits_is_cut_by_its_time_limit(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    with vicidial.server.connect(database=vicidial.name) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES vicidial_live_agents WRITE")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="does not answer"):
            reader.read(Wanted(agents=True))
        assert time.monotonic() - began < on_this_machine(STATEMENT_SECONDS + 1)
    with VicidialDatabase(vicidial.settings) as again:
        assert list(again.read(Wanted(agents=True)).rest.agents or ()) == []


def test_a_connection_that_was_killed_is_unavailable(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    assert reader.take_lock()
    ((number,),) = vicidial.run("SELECT IS_USED_LOCK(CONCAT('hotdesk.', DATABASE()))")
    vicidial.run(f"KILL {number}")
    with pytest.raises(DatabaseUnavailableError):
        reader.read(Wanted(agents=True))


# --- one at a time ----------------------------------------------------------------------------------------------


def test_one_connection_holds_the_lock_until_it_closes(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    with closing(VicidialDatabase(vicidial.settings)) as first:
        assert first.take_lock()
        assert first.holds_lock()
        assert not reader.take_lock()
        assert not reader.holds_lock()
    assert eventually(reader.take_lock, 5)
    assert reader.holds_lock()


def test_each_database_of_a_server_has_its_own_lock(make_vicidial: MakeVicidial) -> None:
    with (
        VicidialDatabase(make_vicidial().settings) as first,
        VicidialDatabase(make_vicidial().settings) as second,
    ):
        assert first.take_lock()
        assert second.take_lock()


def test_who_falls_silent_loses_the_lock(vicidial: Vicidial, reader: VicidialDatabase) -> None:
    """A collector that is stopped, or cut off, makes room for its standby."""
    with VicidialDatabase(vicidial.settings) as silent:
        assert silent.take_lock()
        began = time.monotonic()
        assert eventually(reader.take_lock, IDLE_SECONDS + 5)
        assert time.monotonic() - began < on_this_machine(IDLE_SECONDS + 2)
        with pytest.raises(DatabaseUnavailableError):
            silent.holds_lock()
