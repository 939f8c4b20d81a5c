"""VICIdial's own choice of a dialer for a phone alias, by the same statements, one after the other.

The login page fails open: when hotdesk does not answer, VICIdial chooses for the agent. So the simulated agents need
that rule too, and a benchmark needs its cost: about eight statements for each phone, of which those that count agents
scan `vicidial_live_agents`. The rule is tested against recordings of the real page.
"""

import re
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from simulator.clock import vicidial_time

HEARTBEAT_GOOD_FOR_SECONDS = 120
WEIGHT_OF_THE_UNLISTED = 0.001
"""VICIdial's divisor for a dialer that the weight container omits or weighs zero."""
WEIGHT_CONTAINER = "AGENT_LOAD_BALANCING_WEIGHT"
LEAST_TWIN = 5
"""The least length of a twin's address; a shorter one is none."""

_WEIGHT_LINE = re.compile(r"(?P<server_ip>(?:\d{1,3}\.){3}\d{1,3})\s*,\s*(?P<weight>\d+)", re.ASCII)

_ALIAS = "SELECT logins_list FROM phones_alias WHERE alias_id = %s"
_PHONE = "SELECT server_ip FROM phones WHERE login = %s LIMIT 1"
_USABLE_PHONES = """
    SELECT COUNT(*) FROM phones JOIN servers USING (server_ip)
    WHERE phones.login IN %s AND phones.active = 'Y' AND servers.active_agent_login_server = 'Y'
"""
_CAMPAIGN = "SELECT pllb_grouping, pllb_grouping_limit FROM vicidial_campaigns WHERE campaign_id = %s"
_SYSTEM_LIMIT = "SELECT pllb_grouping_limit FROM system_settings"
_WEIGHTS = "SELECT container_entry FROM vicidial_settings_containers WHERE container_id = %s"

_SERVER = """
    SELECT active = 'Y' AND active_agent_login_server = 'Y', active_twin_server_ip, conf_engine
    FROM servers WHERE server_ip = %s
"""
_AGENTS = "SELECT COUNT(*) FROM vicidial_live_agents WHERE server_ip = %s AND extension NOT LIKE 'R%%'"
_AGENTS_OF_CAMPAIGN = """
    SELECT COUNT(*) FROM vicidial_live_agents
    WHERE server_ip = %s AND extension NOT LIKE 'R%%' AND campaign_id = %s
"""
_FREE_ROOMS = {
    "MEETME": """
        SELECT COUNT(*) FROM vicidial_conferences WHERE server_ip = %s AND (extension = '' OR extension IS NULL)
    """,
    "CONFBRIDGE": """
        SELECT COUNT(*) FROM vicidial_confbridges WHERE server_ip = %s AND (extension = '' OR extension IS NULL)
    """,
}
_HEARTBEAT = "SELECT COUNT(*) FROM server_updater WHERE server_ip = %s AND last_update > %s"


@dataclass(frozen=True, slots=True)
class _Grouping:
    """The campaign's grouping of its agents."""

    kind: str
    limit: int
    system_limit: int

    def forces(self, agents_of_campaign: int, agents: int) -> bool:
        """Return True if an eligible dialer with these numbers of agents is chosen before any comparison."""
        if self.kind == "ONE_SERVER_ONLY":
            return agents_of_campaign > 0
        if self.kind == "CASCADING":
            return 0 < agents_of_campaign < self.limit and agents < self.system_limit
        return False

    def wants_counts(self) -> bool:
        """Return True if the number of the campaign's agents matters at all."""
        return self.kind in {"ONE_SERVER_ONLY", "CASCADING"}


@dataclass(frozen=True, slots=True)
class _Dialer:
    """The page's facts about one phone's dialer."""

    eligible: bool
    agents: int
    agents_of_campaign: int
    load: float


def choose(connection: Connection, alias: str, campaign: str, *, now: float) -> str | None:
    """Return the phone that VICIdial would choose for an agent.

    Args:
        connection: Uses VICIdial's database.
        alias: `phones_alias.alias_id`, as the agent types it.
        campaign: The campaign of the login.
        now: The web server's clock, seconds since 1970.

    Returns:
        The phone's login, whether that phone is active or not; None if the page refuses the login.
    """
    with connection.cursor() as cursor:
        logins = str(_value(cursor, _ALIAS, alias) or "").split(",")
        if not _value(cursor, _USABLE_PHONES, logins):
            return None
        page = _Page(cursor, campaign, now)
        best: tuple[float, str] | None = None
        for login in logins:
            dialer = page.dialer_of(login)
            if not dialer.eligible:
                continue
            if page.grouping.forces(dialer.agents_of_campaign, dialer.agents):
                return login
            if best is None or dialer.load <= best[0]:
                best = (dialer.load, login)
    return best[1] if best else None


class _Page:
    """One login's walk through the phones of its alias."""

    def __init__(self, cursor: Cursor, campaign: str, now: float) -> None:
        self._cursor = cursor
        self._campaign = campaign
        self._alive_since = vicidial_time(now - HEARTBEAT_GOOD_FOR_SECONDS)
        self._weights = _weights(str(_value(cursor, _WEIGHTS, WEIGHT_CONTAINER) or ""))
        self._rooms = "MEETME"
        kind, limit = _row(cursor, _CAMPAIGN, campaign) or ("DISABLED", 0)
        self.grouping = _Grouping(str(kind), int(limit), int(_value(cursor, _SYSTEM_LIMIT)))

    def dialer_of(self, login: str) -> _Dialer:
        cursor = self._cursor
        server_ip = str(_value(cursor, _PHONE, login) or "")
        open_to_agents, twin, engine = _row(cursor, _SERVER, server_ip) or (False, "", "")
        if engine == "CONFBRIDGE":
            self._rooms = engine  # it stays so for the phones after this one: the page never changes it back
        agents = int(_value(cursor, _AGENTS, server_ip))
        of_campaign = (
            int(_value(cursor, _AGENTS_OF_CAMPAIGN, server_ip, self._campaign)) if self.grouping.wants_counts() else 0
        )
        free_rooms = _value(cursor, _FREE_ROOMS[self._rooms], server_ip)
        alive = _value(cursor, _HEARTBEAT, server_ip, self._alive_since)
        twin_alive = len(twin or "") < LEAST_TWIN or _value(cursor, _HEARTBEAT, twin, self._alive_since)
        share = (self._weights.get(server_ip) or WEIGHT_OF_THE_UNLISTED) if self._weights else 1.0
        return _Dialer(
            eligible=bool(open_to_agents and free_rooms and alive and twin_alive),
            agents=agents,
            agents_of_campaign=of_campaign,
            load=agents / share,
        )


def _weights(entry: str) -> dict[str, float]:
    """Return each dialer's share of all weights, from the lines that begin with `IP,weight`."""
    found = map(_WEIGHT_LINE.match, entry.split("\n"))
    weights = {line["server_ip"]: float(line["weight"]) for line in found if line is not None}
    total = sum(weights.values())
    return {server_ip: weight / total if total else 0.0 for server_ip, weight in weights.items()}


def _row(cursor: Cursor, statement: str, *values: object) -> tuple[Any, ...] | None:
    cursor.execute(statement, values)
    return cursor.fetchone()


def _value(cursor: Cursor, statement: str, *values: object) -> Any:  # noqa: ANN401 (whatever the column holds)
    row = _row(cursor, statement, *values)
    return row[0] if row else None
