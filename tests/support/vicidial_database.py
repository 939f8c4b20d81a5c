"""A VICIdial database on a real server, and the account that docs tell an operator to make."""

import uuid
from collections.abc import Callable
from importlib import resources
from typing import Any

from pymysql.connections import Connection

from collectors.vicidial.settings import DatabaseSettings
from simulator import schema
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.populate import populate

PASSWORD = "choose-a-password"
GRANTS = resources.files("collectors").joinpath("grants.sql").read_text()


class Vicidial:
    """One database with VICIdial's tables, an administrator's hands on it, and hotdesk's account beside."""

    def __init__(
        self, server: Database, plan: ClusterPlan, *, old: bool = False, like: "Vicidial | None" = None
    ) -> None:
        """Make it; with `like` under the same names, as another server has them after a switch-over."""
        self.server = server
        self.name: str = f"asterisk_{uuid.uuid4().hex[:8]}" if like is None else like.name
        self.user: str = f"hotdesk_{uuid.uuid4().hex[:8]}" if like is None else like.user
        self.plan = plan
        self.settings = DatabaseSettings(
            host=server.host, port=server.port, user=self.user, password=PASSWORD, database=self.name
        )
        with server.connect() as administrator:
            schema.create(administrator, self.name, old=old)
            populate(administrator, plan, now=1_800_000_000.0)
            with administrator.cursor() as cursor:
                for statement in self._grants(administrator):
                    cursor.execute(statement)

    def run(self, statement: str, *values: object) -> tuple[tuple[Any, ...], ...]:
        """Run a statement as the administrator, on a connection of its own."""
        with self.server.connect(database=self.name) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall()

    def as_hotdesk(self) -> Connection:
        """Connect as hotdesk's account."""
        return self.server.connect(self.user, PASSWORD, self.name)

    def log_in(self, user: str, server_ip: str, *, status: str = "READY", campaign: str = "SALES") -> None:
        """Write an agent's session as the agent page does."""
        self.run(
            "INSERT INTO vicidial_live_agents (user, server_ip, extension, status, campaign_id)"
            " VALUES (%s, %s, %s, %s, %s)",
            user,
            server_ip,
            f"SIP/{user}",
            status,
            campaign,
        )

    def log_in_everybody(self) -> None:
        """Write a session for each agent of the plan, dealt out over the dialers."""
        rows = ",".join(
            f"('{agent.user}', '{self.plan.dialer_plans[number % self.plan.dialers].server_ip}', 'SIP/{agent.user}',"
            f" 'READY', '{agent.campaign.campaign_id}')"
            for number, agent in enumerate(self.plan.agent_plans)
        )
        self.run(f"INSERT INTO vicidial_live_agents (user, server_ip, extension, status, campaign_id) VALUES {rows}")

    def drop(self) -> None:
        with self.server.connect() as administrator, administrator.cursor() as cursor:
            cursor.execute(f"DROP USER `{self.user}`@`%`")
            cursor.execute(f"DROP DATABASE `{self.name}`")

    def _grants(self, administrator: Connection) -> list[str]:
        """Return the statements of the file, for this database and user; what an old schema lacks is left out."""
        text = "\n".join(line for line in GRANTS.splitlines() if not line.startswith("--"))
        text = text.replace("asterisk.", f"{self.name}.").replace("'hotdesk'@", f"'{self.user}'@")
        statements = [each.strip() for each in text.split(";") if each.strip()]
        with administrator.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s", (self.name,)
            )
            columns = frozenset(cursor.fetchall())
        return [each for each in (_fitting(statement, columns) for statement in statements) if each]


def _fitting(statement: str, columns: frozenset[tuple[str, str]]) -> str:
    """Do to a statement what its file says: a column that is not there is left out."""
    if not statement.startswith("GRANT"):
        return statement
    before, _, rest = statement.partition("(")
    listed, _, after = rest.partition(")")
    table = after.split(".")[1].split()[0]
    kept = [name for name in (each.strip() for each in listed.split(",")) if (table, name) in columns]
    return f"{before}({', '.join(kept)}){after}" if kept else ""


MakeVicidial = Callable[..., Vicidial]

SMALL = ClusterPlan(dialers=3, agents=6, remote_agents=0, rooms=9)
