"""`hotdesk grants`: what it prints fits the schema, may be run again, and is all that `check` wants."""

import re
from pathlib import Path

import pytest

from hotdesk.grants import COLUMNS, Account, Purpose, grants, self_fitting
from simulator import schema
from simulator.database import Database
from tests.support.commands import DATABASE, SETTINGS, Command
from tests.support.processes import Site

EVERYTHING = ("--act", "--fence", "--screens", "--readiness", "--emergency")


@pytest.fixture
def option_file(database: Database, tmp_path: Path) -> Path:
    """Return an administrator's option file, as ~/.my.cnf is one."""
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\nuser=root\npassword={database.password}\n")
    return file


def _printed(command: Command, database: Database, option_file: Path, *more: str) -> str:
    reached = ("--host", database.host, "--port", str(database.port), "--option-file", str(option_file))
    outcome = command("grants", *reached, *more)
    assert outcome.code == 0, outcome.errors
    return outcome.output


def _run(database: Database, sql: str) -> None:
    statements = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    with database.connect() as administrator, administrator.cursor() as cursor:
        for statement in filter(str.strip, statements.split(";\n")):
            cursor.execute(statement.rstrip(";\n"))


def test_check_is_content_with_what_is_printed_and_it_may_be_run_again(
    command: Command, database: Database, west: Site, option_file: Path, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("it's a \\secret\n")
    password.chmod(0o600)
    name = f"{west.user}_own"
    chosen = ("--account", name, "--from", "127.0.0.%", "--database", west.name, "--password-file", str(password))
    for more in ((), EVERYTHING, EVERYTHING):
        _run(database, _printed(command, database, option_file, *chosen, *more))
    try:
        with west.answering():
            prefix = "HOTDESK_CLUSTERS__WEST__"
            mine = {f"{prefix}USER": name, f"{prefix}PASSWORD": "it's a \\secret", f"{prefix}MODE": "act"}
            outcome = command("check", **west.environment | mine)
        assert outcome.code == 0, outcome.output
    finally:
        _run(database, f"DROP USER '{name}'@'127.0.0.%'")


def test_what_an_older_schema_lacks_is_left_out_and_named(
    command: Command, database: Database, west: Site, option_file: Path
) -> None:
    old = f"{west.name}_old"
    with database.connect() as administrator:
        schema.create(administrator, old, old=True)
        try:
            sql = _printed(command, database, option_file, "--database", old, "--account", f"{west.user}_old")
            assert "-- this schema has no table vicidial_confbridges" in sql
            assert re.search("-- this schema has no .*servers.conf_engine", sql)
            _run(database, sql)
            _run(database, f"DROP USER '{west.user}_old'@'%'")
        finally:
            administrator.cursor().execute(f"DROP DATABASE `{old}`")


@pytest.mark.parametrize("old", [False, True])
def test_what_fits_any_schema_gives_the_same_as_what_fits_one(database: Database, west: Site, old: bool) -> None:
    """As it is run where the schema was not seen, by `mysql < FILE`."""
    name = f"{west.name}_any" if old else west.name
    accounts = [Account(f"{west.user}_{each}", "127.0.0.1", "it's a \\secret", name) for each in "ab"]

    def rights(account: Account) -> list[tuple[str, ...]]:
        of_column = "SELECT table_name, column_name, privilege_type FROM information_schema.column_privileges"
        of_table = "SELECT table_name, '', privilege_type FROM information_schema.table_privileges"
        where = "WHERE grantee = %s"
        cursor.execute(f"{of_column} {where} UNION ALL {of_table} {where}", (str(account), str(account)))
        return sorted(cursor.fetchall())

    with database.connect() as administrator, administrator.cursor() as cursor:
        if old:
            schema.create(administrator, name, old=True)
        try:
            cursor.execute(COLUMNS, (name,))
            present = frozenset((str(table).lower(), str(column).lower()) for table, column in cursor.fetchall())
            _run(database, "\n".join(grants(accounts[0], [*Purpose], present)))
            _run(database, "\n".join(self_fitting(accounts[1], [*Purpose])))
            fitted, fitting = map(rights, accounts)
            assert fitted == fitting
            assert len(fitted) > len(Purpose)
        finally:
            for account in accounts:
                cursor.execute(f"DROP USER IF EXISTS {account}")
            if old:
                cursor.execute(f"DROP DATABASE `{name}`")


def test_a_list_of_columns_does_in_place_of_a_connection(command: Command, west: Site, tmp_path: Path) -> None:
    listed = tmp_path / "columns"
    with west.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", (west.name,)
        )
        listed.write_text("".join(f"{table}\t{column}\n" for table, column in cursor.fetchall()))
    outcome = command("grants", "--columns", str(listed), "--act")
    assert "IDENTIFIED BY 'choose-a-password'" in outcome.output
    assert "GRANT UPDATE (external_pause, external_hangup, external_status)" in outcome.output
    assert "DELETE" not in outcome.output


def test_who_may_not_look_is_told_what_to_give(
    command: Command, database: Database, option_file: Path, tmp_path: Path
) -> None:
    refused = tmp_path / "other.cnf"
    refused.write_text("[client]\nuser=root\npassword=wrong\n")
    outcome = command("grants", "--host", database.host, "--port", str(database.port), "--option-file", str(refused))
    assert outcome.code == DATABASE
    assert "--option-file" in outcome.errors
    assert "wrong" not in outcome.errors
    reached = ("--host", database.host, "--port", str(database.port), "--option-file", str(option_file))
    outcome = command("grants", *reached, "--database", "elsewhere")
    assert (outcome.code, "--database" in outcome.errors) == (DATABASE, True)
    bad = tmp_path / "bad"
    bad.write_text("one two three\n")
    assert command("grants", "--columns", str(bad)).code == SETTINGS


def test_an_option_file_that_is_not_there_is_said(command: Command, database: Database, tmp_path: Path) -> None:
    """The client would go on without it, under another name."""
    missing = tmp_path / "nofile.cnf"
    reached = ("--host", database.host, "--port", str(database.port), "--option-file", str(missing))
    outcome = command("grants", *reached)
    assert (outcome.code, outcome.output) == (SETTINGS, "")
    assert f"--option-file {missing}: there is no such file" in outcome.errors
