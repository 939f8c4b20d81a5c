"""The tables: what a collector may rely on, and what older installations lack."""

import uuid

import pytest
from pymysql.connections import Connection

from simulator import schema
from simulator.database import Database

IN_MEMORY = {
    "server_updater",
    "vicidial_auto_calls",
    "live_channels",
    "live_sip_channels",
    "web_client_sessions",
}


def engines(connection: Connection) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()")
        return dict(cursor.fetchall())


def columns(connection: Connection, table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW COLUMNS FROM {table}")
        return {row[0] for row in cursor.fetchall()}


def test_engines_are_vicidials(connection: Connection) -> None:
    found = engines(connection)
    assert {table for table, engine in found.items() if engine == "MEMORY"} == IN_MEMORY
    assert {engine for table, engine in found.items() if table not in IN_MEMORY} == {"MyISAM"}


def test_counting_agents_by_server_scans_and_by_user_does_not(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO vicidial_live_agents (user, server_ip) VALUES (%s, '10.0.0.1')",
            [(str(number),) for number in range(100)],
        )
        cursor.execute("EXPLAIN SELECT COUNT(*) FROM vicidial_live_agents WHERE server_ip = '10.0.0.1'")
        assert cursor.fetchall()[0][3] == "ALL"
        cursor.execute("EXPLAIN SELECT * FROM vicidial_live_agents WHERE user = '17'")
        assert cursor.fetchall()[0][3] == "ref"


def test_an_older_installation_lacks_columns_and_a_table(database: Database) -> None:
    name = f"asterisk_{uuid.uuid4().hex}"
    with database.connect() as connection:
        schema.create(connection, name, old=True)
        assert "vicidial_confbridges" not in engines(connection)
        assert not {"conf_engine", "active_agent_login_server"} & columns(connection, "servers")
        assert "peer_status" not in columns(connection, "phones")
        connection.query(f"DROP DATABASE `{name}`")


@pytest.mark.parametrize("old", [False, True])
def test_settings_have_their_one_row(database: Database, *, old: bool) -> None:
    name = f"asterisk_{uuid.uuid4().hex}"
    with database.connect() as connection, connection.cursor() as cursor:
        schema.create(connection, name, old=old)
        cursor.execute("SELECT pllb_grouping_limit, agent_logout_link FROM system_settings")
        assert cursor.fetchall() == ((100, "1"),)
        connection.query(f"DROP DATABASE `{name}`")
