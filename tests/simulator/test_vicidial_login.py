"""VICIdial's own choice in SQL, held against what VICIdial's page really did."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from simulator.vicidial_login import choose

DATA = Path(__file__).parent.parent / "data"
VECTORS = DATA / "selection-vectors.jsonl"
BY_RULE = DATA / "selection-vectors-by-rule.jsonl"
ENOUGH_ROOMS = 3
"""What the page asks of rooms is whether one is free."""
CHANGED = (
    "servers",
    "server_updater",
    "vicidial_live_agents",
    "vicidial_conferences",
    "vicidial_confbridges",
    "phones",
    "phones_alias",
    "vicidial_campaigns",
    "vicidial_settings_containers",
)


def sample() -> list[dict[str, Any]]:
    """Return some of those refused, as they are few, of the rest one in ten, and all whose outcome is the rule's."""
    vectors = lines_of(VECTORS)
    refused = [vector for vector in vectors if vector["vicidial"]["outcome"] != "PICKED"]
    picked = [vector for vector in vectors if vector["vicidial"]["outcome"] == "PICKED"]
    return refused[:40] + picked[::10] + lines_of(BY_RULE)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def timestamp(now: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))


def load(cursor: Cursor, vector: dict[str, Any], now: float) -> None:
    """Fill the tables with a vector's cluster."""
    for table in CHANGED:
        cursor.execute(f"DELETE FROM {table}")
    agents: list[tuple[str, str, str]] = []
    rooms: list[tuple[int, str, str | None]] = []
    for server in vector["servers"]:
        server_ip = server["server_ip"]
        cursor.execute(
            "INSERT INTO servers (server_id, server_ip, active, active_agent_login_server,"
            " active_twin_server_ip) VALUES (%s, %s, %s, %s, %s)",
            (
                server_ip[-8:],
                server_ip,
                server["active"],
                server["active_agent_login_server"],
                server["active_twin_server_ip"],
            ),
        )
        cursor.execute(
            "INSERT INTO server_updater (server_ip, last_update) VALUES (%s, %s)",
            (server_ip, timestamp(now - server["heartbeat_age_s"])),
        )
        of_campaign = vector["agents_in_campaign"].get(server_ip, 0)
        agents += [
            (server_ip, f"SIP/{number}", "TESTCAMP" if number < of_campaign else "OTHER")
            for number in range(server["agents"])
        ]
        agents += [(server_ip, f"R/{number}", "TESTCAMP") for number in range(server["remote_agents"])]
        free = min(server["free_conferences"], ENOUGH_ROOMS)
        rooms += [(8600051 + number, server_ip, (None, "")[number % 2]) for number in range(free)]
        rooms.append((8600300, server_ip, "SIP/999"))
    cursor.executemany(
        "INSERT INTO vicidial_live_agents (server_ip, extension, campaign_id) VALUES (%s, %s, %s)", agents
    )
    cursor.executemany("INSERT INTO vicidial_conferences (conf_exten, server_ip, extension) VALUES (%s, %s, %s)", rooms)
    cursor.executemany(
        "INSERT INTO phones (extension, login, server_ip, active) VALUES (%s, %s, %s, %s)",
        [(phone["login"], phone["login"], phone["server_ip"], phone["active"]) for phone in vector["phones"]],
    )
    alias = vector["alias"]
    cursor.execute(
        "INSERT INTO phones_alias (alias_id, logins_list) VALUES (%s, %s)",
        (alias["alias_id"], ",".join(alias["logins_list"])),
    )
    campaign = vector["campaign"]
    cursor.execute(
        "INSERT INTO vicidial_campaigns (campaign_id, pllb_grouping, pllb_grouping_limit) VALUES (%s, %s, %s)",
        (campaign["campaign_id"], campaign["pllb_grouping"], campaign["pllb_grouping_limit"]),
    )
    cursor.execute("UPDATE system_settings SET pllb_grouping_limit = %s", (vector["system_pllb_grouping_limit"],))
    weights = vector["agent_load_balancing_weight"]
    if isinstance(weights, dict):
        weights = "\n".join(f"{ip},{weight}" for ip, weight in weights.items())
    if weights:
        cursor.execute(
            "INSERT INTO vicidial_settings_containers (container_id, container_entry) VALUES (%s, %s)",
            ("AGENT_LOAD_BALANCING_WEIGHT", weights),
        )


def test_agrees_with_what_the_page_did(connection: Connection) -> None:
    now = time.time()
    differs = []
    with connection.cursor() as cursor:
        for vector in sample():
            load(cursor, vector, now)
            chosen = choose(connection, vector.get("typed", vector["alias"]["alias_id"]), "TESTCAMP", now=now)
            if chosen != vector["vicidial"]["phone_login"]:
                differs.append((vector["id"], chosen, vector["vicidial"]))
    assert differs == []


def cluster_of_two(cursor: Cursor, first_engine: str, second_engine: str) -> None:
    """Make two empty dialers, the second with a free room in the table of the first one's engine only."""
    for number, engine in ((1, first_engine), (2, second_engine)):
        server_ip = f"10.0.0.{number}"
        cursor.execute(
            "INSERT INTO servers (server_id, server_ip, conf_engine) VALUES (%s, %s, %s)",
            (str(number), server_ip, engine),
        )
        cursor.execute("INSERT INTO server_updater (server_ip, last_update) VALUES (%s, NOW())", (server_ip,))
        cursor.execute(
            "INSERT INTO phones (extension, login, server_ip) VALUES ('100', %s, %s)",
            (f"p{number}", server_ip),
        )
    cursor.execute("INSERT INTO phones_alias (alias_id, logins_list) VALUES ('desk', 'p1,p2')")
    table = {"MEETME": "vicidial_conferences", "CONFBRIDGE": "vicidial_confbridges"}[first_engine]
    cursor.execute(f"INSERT INTO {table} VALUES (8600051, '10.0.0.2', '')")


@pytest.mark.parametrize(
    ("first", "second", "chosen"), [("CONFBRIDGE", "MEETME", "p2"), ("MEETME", "CONFBRIDGE", None)]
)
def test_a_dialer_with_the_old_rooms_after_one_with_the_new_is_judged_by_the_new(
    connection: Connection, first: str, second: str, chosen: str | None
) -> None:
    with connection.cursor() as cursor:
        cluster_of_two(cursor, first, second)
    assert choose(connection, "desk", "ANY", now=time.time()) == chosen


def test_an_unknown_alias_is_refused(connection: Connection) -> None:
    assert choose(connection, "nobody", "ANY", now=time.time()) is None
