"""Statements fitted to a schema and an account: those that both allow, with what they allow.

An older VICIdial lacks columns and tables, and a grant may leave some out: a statement then reads a value in their
place, or is left out.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import NamedTuple

OPTIONAL_COLUMNS: dict[tuple[str, str], str] = {
    ("servers", "active_agent_login_server"): "'Y'",
    ("servers", "active_twin_server_ip"): "''",
    ("servers", "conf_engine"): "'MEETME'",
    ("server_updater", "db_time"): "NULL",
    ("vicidial_live_agents", "external_pause"): "''",
    ("vicidial_live_agents", "on_hook_agent"): "'N'",
    ("vicidial_live_agents", "lead_id"): "'0'",
    ("vicidial_live_agents", "callerid"): "''",
    ("vicidial_live_agents", "last_update_time"): "NULL",
    ("phones", "is_webphone"): "'N'",
    ("phones", "peer_status"): "''",
    ("vicidial_campaigns", "pllb_grouping"): "'DISABLED'",
    ("vicidial_campaigns", "pllb_grouping_limit"): "'50'",
    ("vicidial_user_log", "phone_login"): "''",
    ("system_settings", "pllb_grouping_limit"): "'100'",
    ("system_settings", "agent_logout_link"): "'1'",
}
"""Columns that older VICIdials lack, and the value to read instead."""

OPTIONAL_TABLES = {
    "confbridges": "vicidial_confbridges",
    "weights": "vicidial_settings_containers",
    "logins": "vicidial_user_log",
    "logins_end": "vicidial_user_log",
}
"""Statements whose table an older VICIdial lacks, or the grants leave out: there are no rows then."""

TRIED: dict[str, Sequence[object]] = {"work": ("",), "channels": (("", ""),), "lost_screens": ("",)}
"""Statements that a poll can do without: tried when connecting, and left out where they are refused for want of a
grant, a table or an index. Each with what to try it with."""

SECRETS = {("phones", "pass"), ("phones", "conf_secret")}
"""Columns that collectors/grants-readiness.sql grants; without it they are not compared."""

STATEMENTS = {
    file.name.removesuffix(".sql"): file.read_text()
    for file in resources.files("collectors.vicidial").joinpath("statements").iterdir()
    if file.name.endswith(".sql")
}

_FROM = re.compile(r"\bFROM (\w+)")

COLUMNS = STATEMENTS["columns"]
"""Reads the tables and columns that there are and that are granted."""

TABLES = {
    name: found[1]
    for name, statement in STATEMENTS.items()
    if (found := _FROM.search(statement)) is not None and name not in {"columns", "lost_screens"}
} | {"lost_screens": "web_client_sessions"}
"""The table that each statement reads; of two, the one that more of VICIdial's own statements hold."""


class Schema(NamedTuple):
    """The statements that a schema and an account allow."""

    statements: dict[str, str]
    """Fitted to it, by name."""
    missing_columns: tuple[str, ...]


def fit(
    columns: Iterable[tuple[str, str]], is_refused: Callable[[str, Sequence[object]], bool], *, tried_limit: str
) -> Schema:
    """Return what a schema and an account have.

    Args:
        columns: the tables and columns that there are and that are granted, in small letters.
        is_refused: tries a statement with what is nowhere to be found, and returns True if the server refuses it.
        tried_limit: what a tried statement begins with, to have a time limit of its own.
    """
    present = set(columns)
    fitted, missing = {}, []
    for name, statement in STATEMENTS.items():
        table = OPTIONAL_TABLES.get(name)
        if table is not None and not any(table == of for of, _ in present):
            missing.append(f"{table}.*")
            continue
        if name == "secrets" and not present >= SECRETS:
            continue
        fitted[name] = statement
    for (table, column), instead in OPTIONAL_COLUMNS.items():
        if (table, column) in present:
            continue
        missing.append(f"{table}.{column}")
        for name, statement in fitted.items():
            if re.search(rf"\bFROM {table}\b", statement):
                fitted[name] = re.sub(rf"\b{column}\b", instead, statement)
    for name, asked in TRIED.items():
        fitted[name] = tried_limit + fitted[name]
        if is_refused(fitted[name], asked):
            del fitted[name]
            missing.append(f"{TABLES[name]}.*")
    return Schema(fitted, tuple(sorted(missing)))
