"""Every order to log out, as VICIdial's table gets it: what hotdesk did, whatever it says that it did."""

from dataclasses import dataclass

from tests.support.processes import Site


@dataclass(frozen=True)
class Telling:
    """A session was told to log out, as VICIdial's table has it."""

    at: float
    live_agent_id: int
    user: str
    server_ip: str


NOTES = "soak_told"
"""A table beside VICIdial's. A screen that has left says nothing any more of how often it was told."""

_TABLE = f"""
    CREATE TABLE {NOTES} (
      id INT AUTO_INCREMENT PRIMARY KEY, at DOUBLE, live_agent_id INT, user VARCHAR(20), server_ip VARCHAR(15)
    ) ENGINE=MyISAM
"""
_TRIGGER = f"""
    CREATE TRIGGER {NOTES} AFTER UPDATE ON vicidial_live_agents FOR EACH ROW
    IF NEW.external_pause = 'LOGOUT' AND OLD.external_pause <> 'LOGOUT' THEN
      INSERT INTO {NOTES} (at, live_agent_id, user, server_ip)
      VALUES (UNIX_TIMESTAMP(NOW(6)), NEW.live_agent_id, NEW.user, NEW.server_ip);
    END IF
"""


def note_orders(site: Site) -> None:
    """Have the database itself note each order from now on."""
    site.run(_TABLE, _TRIGGER)


def tellings(site: Site) -> list[Telling]:
    """Return all that was noted, in order.

    Raises:
        pymysql.MySQLError: the database is away.
    """
    with site.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT at, live_agent_id, user, server_ip FROM {NOTES} ORDER BY id")
        return [Telling(*row) for row in cursor.fetchall()]
