"""Create a database with those tables of VICIdial that hotdesk uses, of a recent or an old installation."""

from importlib import resources

from pymysql.connections import Connection

OLD_SCHEMA_LACKS = (
    "ALTER TABLE phones DROP COLUMN peer_status, DROP COLUMN ping_time",
    "ALTER TABLE servers DROP COLUMN conf_engine, DROP COLUMN active_agent_login_server",
    "DROP TABLE vicidial_confbridges",
)
"""Changes that make the schema old: no collector may fail on it."""


def create(connection: Connection, database_name: str, *, old: bool = False) -> None:
    """Create the database and its tables, empty but for the row of `system_settings`, and use it from now on.

    The database's character set is latin1, as VICIdial's usually is; a test may add a table or row in utf8.

    Args:
        connection: May create databases.
        database_name: Must not exist yet.
        old: Apply `OLD_SCHEMA_LACKS`.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{database_name}` CHARACTER SET latin1")
        connection.select_db(database_name)
        for statement in _statements():
            cursor.execute(statement)
        cursor.execute("INSERT INTO system_settings () VALUES ()")
        if old:
            for statement in OLD_SCHEMA_LACKS:
                cursor.execute(statement)


def _statements() -> list[str]:
    text = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    return [statement for statement in "\n".join(lines).split(";") if statement.strip()]
