"""The file of desks: CSV with a header line, a line for each desk. Pure: text in, desks out.

Its columns have the names of VICIdial's own parameters where there are any. What VICIdial would cut off, or take out
without a word, is refused here, with the line.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from io import StringIO

from hotdesk.aliases.records import (
    DIALLED,
    KEPT_SECRET,
    LONGEST_ALIAS,
    LONGEST_LOGIN,
    LONGEST_NAME,
    MADE_BY_API,
    TYPED_ALIAS,
    Desk,
)
from messages.names import compared
from messages.shown import one_line

COLUMNS = {
    "extension": "extension",
    "alias": "alias_id",
    "name": "name",
    "password": "password",
    "secret": "secret",
    "protocol": "protocol",
    "dialplan_number": "dialplan_number",
    "voicemail_id": "voicemail_id",
    "outbound_cid": "outbound_cid",
    "local_gmt": "local_gmt",
    "phone_context": "phone_context",
}
"""By column: the field of a desk."""

SECRET_COLUMNS = {"password", "secret"}
ALIAS_BEGINS = "desk"
"""The beginning of a desk's alias, before the extension, if the file does not name it."""

MOST_FAULTS = 10
"""Faults that are named at once."""

_RULES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "extension": (
        re.compile(rf"[-_0-9A-Za-z]{{2,{LONGEST_LOGIN - 1}}}"),
        f"2 to {LONGEST_LOGIN - 1} letters, digits, - and _",
    ),
    "alias": (
        TYPED_ALIAS,
        f"2 to {LONGEST_ALIAS} letters and digits, which agents type",
    ),
    "name": (
        re.compile(rf"[- ._0-9A-Za-z]{{2,{LONGEST_NAME}}}"),
        f"2 to {LONGEST_NAME} of A-Z, digits, blanks, - . and _",
    ),
    "password": (KEPT_SECRET, "2 to 30 letters, digits, - and _"),
    "secret": (KEPT_SECRET, "2 to 30 letters, digits, - and _"),
    "protocol": (re.compile("|".join(sorted(MADE_BY_API))), f"one of {', '.join(sorted(MADE_BY_API))}"),
    "dialplan_number": (DIALLED, "3 to 20 digits"),
    "voicemail_id": (re.compile(r"[0-9]{2,10}"), "2 to 10 digits"),
    "outbound_cid": (re.compile(r"[0-9]{6,18}"), "6 to 18 digits"),
    "local_gmt": (re.compile(r"-?[0-9]{1,2}\.(00|50|75)"), "hours such as -5.00 or 5.50"),
    "phone_context": (re.compile(r"[-_0-9A-Za-z]{2,20}"), "2 to 20 letters, digits, - and _"),
}
"""By column: what it may have, and the same in words. They are VICIdial's rules, where both of its functions agree."""


class DeskFileError(ValueError):
    """The file does not fit; `str()` names file and line of the first faults."""


def parse(text: str, name: str) -> list[Desk]:
    """Return the desks of a file, in its order.

    Args:
        text: the file's.
        name: the file's, for errors.

    Raises:
        DeskFileError: it has faults; the first ones are named, each with its line.
    """
    rows = csv.reader(StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=_delimiter(text), strict=True)
    faults: list[str] = []
    desks: list[Desk] = []
    try:
        columns = _header(next(rows, []), name)
        seen: dict[tuple[str, str], int] = {}
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            line = rows.line_num
            found = _faults(columns, row) or list(_read(columns, row, line, seen, desks))
            faults += [f"{name}:{line}: {fault}" for fault in found]
    except csv.Error as error:
        raise DeskFileError(f"{name}:{rows.line_num}: {error}") from error
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        raise DeskFileError("; ".join([*faults[:MOST_FAULTS], *more]))
    if not desks:
        raise DeskFileError(f"{name}: it has no desks")
    return desks


def _delimiter(text: str) -> str:
    """Return the sign between cells: a semicolon where spreadsheets use the comma in numbers."""
    first = text.partition("\n")[0]
    return ";" if ";" in first and "," not in first else ","


def _header(row: list[str], name: str) -> list[str]:
    columns = [cell.strip().lower() for cell in row]
    for column in columns:
        if column not in COLUMNS:
            meant = get_close_matches(column, COLUMNS, 1)
            perhaps = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(COLUMNS)}"
            raise DeskFileError(f"{name}:1: {one_line(column)!r} is no column: {perhaps}")
    if len(set(columns)) < len(columns):
        raise DeskFileError(f"{name}:1: a column stands there twice")
    if "extension" not in columns:
        raise DeskFileError(f"{name}:1: there is no column extension")
    return columns


def _faults(columns: list[str], row: list[str]) -> list[str]:
    if len(row) != len(columns):
        return [f"{len(row)} cells, and the header has {len(columns)}"]
    faults = []
    for column, cell in zip(columns, row, strict=True):
        value = cell.strip()
        rule, words = _RULES[column]
        if value and not rule.fullmatch(value):
            shown = "" if column in SECRET_COLUMNS else f" {one_line(value)!r}"
            faults.append(f"{column}{shown} is not {words}")
    return faults


def _read(
    columns: list[str], row: list[str], line: int, seen: dict[tuple[str, str], int], desks: list[Desk]
) -> Iterator[str]:
    """Add a line's desk, and yield what is wrong with it beside the others."""
    given = {column: cell.strip() for column, cell in zip(columns, row, strict=True) if cell.strip()}
    if "extension" not in given:
        yield "it has no extension"
        return
    given.setdefault("alias", f"{ALIAS_BEGINS}{_typed(given['extension'])}")
    if not _RULES["alias"][0].fullmatch(given["alias"]):
        yield f"the alias {given['alias']} would have more than {LONGEST_ALIAS} characters: name one in a column alias"
        return
    if "dialplan_number" not in given and not given["extension"].isdigit():
        yield f"extension {given['extension']} is no number: say in a column dialplan_number what is dialled for it"
        return
    for column in ("extension", "alias"):
        value = given[column]
        first = seen.setdefault((column, compared(value)), line)
        if first != line:
            yield f"{column} {value} stands in line {first} already"
    desks.append(Desk(**{COLUMNS[column]: value for column, value in given.items()}))


def _typed(extension: str) -> str:
    """Return what of an extension can be typed at the login page."""
    return re.sub(r"[^0-9A-Za-z]", "", extension)
