"""The grants that hotdesk's account needs, as they fit a schema. Pure: statements and columns in, statements out.

The files of grants name every column of a new VICIdial; a `GRANT` on a column that an older one lacks is refused, with
all that stands in it. Here such columns are left out.
"""

import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from importlib import resources
from typing import NamedTuple

from pymysql.converters import escape_string

Column = tuple[str, str]
"""Table and column, in small letters."""

Right = tuple[str, str, str]
"""Table, column and what may be done with it, in small letters."""

COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
"""The statement that finds a schema's columns; an account sees only those that it has a right to."""
RIGHTS = "SELECT table_name, column_name, privileges FROM information_schema.columns WHERE table_schema = %s"
"""The same, with an account's own rights to each, comma-separated."""

_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON asterisk\.(?P<table>\w+)\s+TO 'hotdesk'@'%'", re.DOTALL)
_RIGHT = re.compile(r"(?P<right>SELECT|UPDATE|INSERT|DELETE)(?:\s*\((?P<columns>[^)]*)\))?")


class Purpose(StrEnum):
    """A use of the account. The value is the file of its grants."""

    READ = "collectors/grants.sql"
    READINESS = "collectors/grants-readiness.sql"
    ACT = "controller/grants.sql"
    FENCE = "controller/grants-fence.sql"
    SCREENS = "controller/grants-screens.sql"
    EMERGENCY = "controller/grants-emergency.sql"


class Account(NamedTuple):
    """The account, and the database that it reads."""

    name: str
    host: str
    """The machine that it comes from, as SQL writes it: an address, or % for any."""
    password: str
    database: str

    def __str__(self) -> str:
        """Return it as SQL writes it."""
        return f"'{escape_string(self.name)}'@'{escape_string(self.host)}'"


def grants(
    account: Account, purposes: Collection[Purpose], columns: Collection[Column], *, creates_if_absent: bool = True
) -> Iterator[str]:
    """Yield the lines that give an account what it needs, and change nothing when they are run again.

    Args:
        account: whose rights they are.
        purposes: what it may do; it may always read.
        columns: those of the database.
        creates_if_absent: the server knows `CREATE USER IF NOT EXISTS`, as MariaDB 10.1.3 and MySQL 5.7 do. An older
            one makes the user with the first `GRANT`.
    """
    password = escape_string(account.password)
    if creates_if_absent:
        yield f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';"
    else:
        yield f"GRANT USAGE ON *.* TO {account} IDENTIFIED BY '{password}';"
    present = set(columns)
    for purpose in _of(purposes):
        yield f"-- {purpose}"
        yield from _fitted(_text_of(purpose), account, present)


def needed(purposes: Collection[Purpose], columns: Collection[Column]) -> frozenset[Right]:
    """Return the rights that `grants` gives, as `RIGHTS` shows them.

    A right to a whole table is one to each of its columns. DELETE is none to a column, and is left out.
    """
    present = set(columns)
    found: set[Right] = set()
    for purpose in _of(purposes):
        for of, right, named in _rights(purpose):
            if right != "DELETE":
                found |= {
                    (table, column, right.lower())
                    for table, column in present
                    if table == of and (not named or column in named)
                }
    return frozenset(found)


def self_fitting(account: Account, purposes: Collection[Purpose]) -> Iterator[str]:
    """Yield lines that do the same on any schema: the server itself leaves out the columns that it lacks.

    For a schema that was not seen. MySQL and MariaDB prepare a `GRANT` from a text.
    """
    yield "-- Each GRANT leaves out the columns that this schema lacks. `hotdesk grants` there prints them plainly."
    yield f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{escape_string(account.password)}';"
    yield "SET SESSION group_concat_max_len = 65536;"
    schema = escape_string(account.database)
    on = f"`{account.database.replace('`', '``')}`"
    for purpose in _of(purposes):
        yield f"-- {purpose}"
        for table, right, named in _rights(purpose):
            end = f" ON {on}.{table} TO {account}"
            columns, grant = "", _text(f"GRANT {right}{end}")
            if named:
                columns = f" AND column_name IN ({', '.join(map(_text, named))})"
                grant = f"CONCAT({_text(f'GRANT {right} (')}, GROUP_CONCAT(column_name), {_text(f'){end}')})"
            yield (
                f"SET @grants = (SELECT IF(COUNT(*), {grant}, 'DO 0') FROM information_schema.columns"  # noqa: S608
                f" WHERE table_schema = '{schema}' AND table_name = {_text(table)}{columns});"
            )
            yield "PREPARE grants FROM @grants;"
            yield "EXECUTE grants;"


def has_each(purposes: Collection[Purpose], held: Collection[Right]) -> bool:
    """Return whether an account has, for each use, some right that reading alone does not need.

    For an account that sees only its own rights, and so cannot tell what a schema has beside them.
    """
    named = {(table, column) for purpose in Purpose for table, _, columns in _rights(purpose) for column in columns}
    reading = needed((), named)
    return bool(reading & set(held)) and all(
        (needed({each}, named) - reading) & set(held) for each in purposes if each is not Purpose.READ
    )


def _of(purposes: Collection[Purpose]) -> Iterator[Purpose]:
    return (each for each in Purpose if each is Purpose.READ or each in purposes)


def _rights(purpose: Purpose) -> Iterator[tuple[str, str, list[str]]]:
    """Yield table, right and columns of each right of a file; no columns: it is one to the whole table."""
    for grant in _GRANT.finditer(_without_remarks(_text_of(purpose))):
        for each in _RIGHT.finditer(grant["rights"]):
            yield grant["table"], each["right"], re.findall(r"\w+", each["columns"] or "")


def _text(value: str) -> str:
    return f"'{escape_string(value)}'"


def _text_of(purpose: Purpose) -> str:
    package, _, name = purpose.value.partition("/")
    return resources.files(package).joinpath(name).read_text()


def _without_remarks(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def _fitted(text: str, account: Account, present: Collection[Column]) -> Iterator[str]:
    for found in _GRANT.finditer(_without_remarks(text)):
        table = found["table"]
        if not any(of == table for of, _ in present):
            yield f"-- this schema has no table {table}"
            continue
        rights, missing = [], []
        for each in _RIGHT.finditer(found["rights"]):
            named = re.findall(r"\w+", each["columns"] or "")
            kept = [column for column in named if (table, column) in present]
            missing += [column for column in named if column not in kept]
            if kept or not named:
                rights.append(f"{each['right']} ({', '.join(kept)})" if kept else each["right"])
        if missing:
            yield f"-- this schema has no {', '.join(f'{table}.{column}' for column in dict.fromkeys(missing))}"
        if rights:
            yield f"GRANT {', '.join(rights)} ON `{account.database.replace('`', '``')}`.{table} TO {account};"
