"""Write a planned cluster into VICIdial's tables, as before the first login.

Rows are inserted by the thousand: a cluster of 40 dialers and 8,000 agents has a quarter of a million phones.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from pymysql.connections import Connection

from simulator.clock import vicidial_time
from simulator.plan import ClusterPlan
from simulator.vicidial_login import WEIGHT_CONTAINER

AGENT_PASSWORD = "agent"  # noqa: S105 (of simulated agents)
PHONE_PASSWORD = "phone"  # noqa: S105 (of simulated phones)
API_USER = "hotdesk"
"""The user for VICIdial's agent API."""
API_PASSWORD = "api"  # noqa: S105 (of a simulated user)

_ROWS_PER_STATEMENT = 5_000

Row = Sequence[object]


def populate(connection: Connection, plan: ClusterPlan, *, now: float) -> None:
    """Insert the plan's dialers, heartbeats, phones, aliases, rooms, campaigns, users and remote agents.

    Columns and tables that an old schema lacks are left out.

    Args:
        connection: Uses a database of `schema.create`.
        plan: The cluster.
        now: When the dialers last wrote their heartbeats, seconds since 1970.
    """
    inserter = _Inserter(connection)
    for table, columns, rows in _tables(plan, vicidial_time(now)):
        inserter.insert(table, columns, rows)


def _tables(plan: ClusterPlan, now: str) -> Iterable[tuple[str, tuple[str, ...], Iterable[Row]]]:
    yield (
        "servers",
        ("server_id", "server_description", "server_ip", "telnet_host", "conf_engine"),
        (
            (
                dialer.server_id,
                f"simulated {dialer.server_id}",
                dialer.server_ip,
                dialer.server_ip,
                plan.conf_engine,
            )
            for dialer in plan.dialer_plans
        ),
    )
    yield (
        "server_updater",
        ("server_ip", "last_update"),
        ((dialer.server_ip, now) for dialer in plan.dialer_plans),
    )
    for table in ("vicidial_conferences", "vicidial_confbridges"):
        yield (
            table,
            ("conf_exten", "server_ip", "extension"),
            ((room, dialer.server_ip, "") for dialer in plan.dialer_plans for room in plan.room_numbers),
        )
    yield (
        "vicidial_campaigns",
        ("campaign_id", "campaign_name", "pllb_grouping", "pllb_grouping_limit"),
        (
            (campaign.campaign_id, campaign.campaign_id, campaign.pllb_grouping, campaign.pllb_grouping_limit)
            for campaign in plan.campaigns
        ),
    )
    yield (
        "vicidial_users",
        ("user", "pass", "full_name", "user_level", "vdc_agent_api_access", "api_allowed_functions"),
        (
            (API_USER, API_PASSWORD, "hotdesk", 8, "1", " ALL_FUNCTIONS "),
            *((agent.user, AGENT_PASSWORD, f"Agent {agent.user}", 1, "0", "") for agent in plan.agent_plans),
        ),
    )
    yield (
        "phones",
        ("extension", "server_ip", "login", "pass", "peer_status", "ping_time"),
        (
            (phone.extension, phone.server_ip, phone.login, PHONE_PASSWORD, "REGISTERED", 20)
            for agent in plan.agent_plans
            for phone in agent.phones
        ),
    )
    yield (
        "phones_alias",
        ("alias_id", "alias_name", "logins_list"),
        ((agent.alias, f"Desk {agent.user}", agent.logins_list) for agent in plan.agent_plans),
    )
    yield (
        "vicidial_settings_containers",
        ("container_id", "container_entry"),
        [(WEIGHT_CONTAINER, "\n".join(f"{ip},{weight:g}" for ip, weight in plan.weights.items()))]
        if plan.weights
        else [],
    )
    yield (
        "vicidial_live_agents",
        ("user", "server_ip", "extension", "status", "campaign_id", "last_update_time", "last_state_change"),
        (
            (agent.user, agent.server_ip, agent.extension, "READY", agent.campaign.campaign_id, now, now)
            for agent in plan.remote_agent_plans
        ),
    )


class _Inserter:
    """Inserts the columns of a row that the schema has."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            )
            self._known = frozenset(cursor.fetchall())

    def insert(self, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        kept = [number for number, column in enumerate(columns) if (table, column) in self._known]
        if not kept:
            return
        names = ",".join(columns[number] for number in kept)
        head = f"INSERT INTO {table} ({names}) VALUES "  # noqa: S608 (names of ours)
        each = f"({','.join(['%s'] * len(kept))})"
        remaining = iter(rows)
        with self._connection.cursor() as cursor:
            while batch := list(islice(remaining, _ROWS_PER_STATEMENT)):
                values = [row[number] for row in batch for number in kept]
                cursor.execute(head + ",".join([each] * len(batch)), values)
