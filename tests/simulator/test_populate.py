"""A planned cluster in the tables, of a recent installation and of an old one."""

import time
import uuid

import pytest
from pymysql.connections import Connection

from simulator import schema
from simulator.database import Database
from simulator.plan import CampaignPlan, ClusterPlan
from simulator.populate import populate

PLAN = ClusterPlan(
    dialers=3,
    agents=10,
    campaigns=(CampaignPlan("ONE", pllb_grouping="CASCADING", pllb_grouping_limit=7),),
    remote_agents=4,
    weights={"127.20.0.11": 2, "127.20.0.12": 0.5},
)


def value(connection: Connection, statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()[0][0]


def counts(connection: Connection) -> dict[str, object]:
    tables = ("servers", "server_updater", "phones", "phones_alias", "vicidial_conferences", "vicidial_campaigns")
    return {table: value(connection, f"SELECT COUNT(*) FROM {table}") for table in tables}


EXPECTED = {
    "servers": 3,
    "server_updater": 3,
    "phones": 30,
    "phones_alias": 10,
    "vicidial_conferences": 3 * 249,
    "vicidial_campaigns": 1,
}


def test_everything_planned_is_there(connection: Connection) -> None:
    populate(connection, PLAN, now=time.time())
    assert counts(connection) == EXPECTED
    assert value(connection, "SELECT pllb_grouping FROM vicidial_campaigns") == "CASCADING"
    assert value(connection, "SELECT container_entry FROM vicidial_settings_containers") == (
        "127.20.0.11,2\n127.20.0.12,0.5"
    )
    assert value(connection, "SELECT COUNT(*) FROM vicidial_live_agents WHERE extension LIKE 'R/%'") == 4
    assert value(connection, "SELECT logins_list FROM phones_alias WHERE alias_id = 'desk1001'") == (
        PLAN.agent_plans[0].logins_list
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_an_old_installation_can_be_filled_too(database: Database, seed: int) -> None:
    name = f"asterisk_{uuid.uuid4().hex}"
    with database.connect() as connection:
        schema.create(connection, name, old=True)
        populate(connection, ClusterPlan(dialers=3, agents=10, campaigns=PLAN.campaigns, seed=seed), now=time.time())
        assert counts(connection) == EXPECTED
        connection.query(f"DROP DATABASE `{name}`")
