"""A value of the settings that does not fit, in one line: where it was set, and what to write instead.

msgspec says it with the types and patterns of Python. What a value may be is read from the types of the settings.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from hotdesk.errors import SettingsError
from hotdesk.toml_lines import Step, place_in
from messages.shown import one_line

_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_QUOTED = re.compile(r"`([^`]*)`")
_ENTRY = "..."
"""An entry of a table as msgspec writes it, without its name."""


class Misfit(NamedTuple):
    """A setting that does not fit."""

    path: tuple[Step, ...]
    """Its keys, from the outermost."""
    what: str
    """The sentence after its name."""


class Sources(NamedTuple):
    """The places where the settings of a room of the file, such as `clusters`, were set; the later ones win."""

    room: str
    from_file: object
    variables: Mapping[tuple[str, str], str]
    """By table and key."""
    flags: Mapping[str, Mapping[str, str]]
    """By table."""

    def refusal(self, path: Sequence[Step], what: str) -> SettingsError:
        """Return the refusal of a setting, which begins with the place to change it at."""
        name, key = str(path[0]), str(path[1]) if len(path) > 1 else ""
        named = dotted((self.room, *path))
        if key in self.flags.get(name, ()):
            return SettingsError(f"--{named} {what}")
        place = self.variables.get((name, key)) or place_in(self.from_file, (self.room, *path))
        return SettingsError(f"{place}{': ' if place else ''}{named} {what}")

    def refuse_secrets(
        self, tables: Mapping[str, Mapping[str, Any]], secrets: Mapping[str, str], prefix: str, where: str
    ) -> None:
        """Refuse a secret in tables that other people may read.

        Args:
            tables: by name.
            secrets: the keys of secrets, each with that for the file it may stand in.
            prefix: how the variables of the environment begin.
            where: what the tables are, in words.

        Raises:
            SettingsError: there is one; it says where else it may be.
        """
        for name, table in tables.items():
            for key in secrets.keys() & table.keys():
                raise self.refusal(
                    (name, key),
                    f"stands in {where}: secrets come from a file ({secrets[key]}) or from the environment"
                    f" ({prefix}{name.upper().replace('-', '_')}__{key.upper()})",
                )


def named_tables(room: str, from_file: object) -> dict[str, dict[str, Any]]:
    """Return the tables of a room, each by its name.

    Raises:
        SettingsError: there is something else in it.
    """
    if not isinstance(from_file, dict):
        raise SettingsError(f"{room} is no table: write [{room}.NAME], and its settings below")
    for name, table in from_file.items():
        if not isinstance(table, dict):
            what = f"is no table: write [{room}.NAME], and its settings below"
            raise Sources(room, from_file, {}, {}).refusal((name,), what)
    return from_file


def dotted(path: Iterable[Step]) -> str:
    """Return the name of a setting; which of an array of tables it is in is said by its line."""
    return one_line(".".join(each for each in path if isinstance(each, str)))


def misfit(error: msgspec.ValidationError, table: Mapping[str, Any], kind: type) -> Misfit:
    """Return what is wrong with a table that could not be converted."""
    said = str(error)
    place, quoted = _PLACE.search(said), _QUOTED.search(said)
    path = tuple(
        int(step[1]) if step[1].isdigit() else step[1] or step[0] for step in _STEP.findall(place[1] if place else "")
    )
    path = _named(path, table, kind)
    wanted = _bare(_type_at(path, kind))
    if error.__cause__ is not None:
        return Misfit(path, f"does not fit: {_PLACE.sub('', said)}")
    if quoted and isinstance(wanted, inspect.StructType | inspect.DataclassType):
        if "unknown field" in said:
            return Misfit((*path, quoted[1]), unknown(quoted[1], [each.encode_name for each in wanted.fields]))
        if "required field" in said:
            missing = next(each.type for each in wanted.fields if each.encode_name == quoted[1])
            return Misfit((*path, quoted[1]), f"is not set: write {_words(missing)}")
    given = _value_at(path, table)
    if isinstance(wanted, inspect.LiteralType) and isinstance(given, str):
        return Misfit(path, f"is {one_line(repr(given))}: write {_words(wanted)}")
    return Misfit(path, f"does not fit: write {_words(wanted)}")


def unknown(key: str, known: Iterable[str]) -> str:
    """Return what is said of a key that is no setting, with the one that was probably meant."""
    known = sorted(known)
    meant = get_close_matches(key, known, 1)
    return "is no setting: " + (f"did you mean {meant[0]}?" if meant else f"there are {', '.join(known)}")


def _named(path: tuple[Step, ...], table: Mapping[str, Any], kind: type) -> tuple[Step, ...]:
    """Return the path with the name of the entry that does not fit."""
    if path[1:2] != (_ENTRY,):
        return path
    for name, each in table[str(path[0])].items():
        alone = {**table, str(path[0]): {name: each}}
        try:
            msgspec.convert(alone, kind, strict=False)
        except msgspec.ValidationError:
            return (path[0], name, *path[2:])
    return path


def _type_at(path: Iterable[Step], kind: type) -> inspect.Type:
    found = inspect.type_info(kind)
    for step in path:
        found = _bare(found)
        match found:
            case inspect.StructType() | inspect.DataclassType():
                found = next(each.type for each in found.fields if each.encode_name == step)
            case inspect.DictType():
                found = found.value_type
            case inspect.VarTupleType():
                found = found.item_type
    return found


def _bare(wanted: inspect.Type) -> inspect.Type:
    """Return a type without None, which TOML has no word for."""
    if isinstance(wanted, inspect.UnionType):
        return next(each for each in wanted.types if not isinstance(each, inspect.NoneType))
    return wanted


def _value_at(path: Iterable[Step], table: object) -> object:
    for step in path:
        match table:
            case Mapping():
                table = table.get(step)
            case list() | tuple():
                table = table[int(step)]
    return table


_WORDS: Mapping[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.VarTupleType: 'a list of texts, such as ["a", "b"]',
    inspect.DictType: "a table",
    inspect.StructType: "a table",
}


def _words(wanted: inspect.Type) -> str:
    """Return what a value of this type may be."""
    wanted = _bare(wanted)
    match wanted:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case inspect.LiteralType(values=values):
            *some, last = (f'"{each}"' for each in values)
            return f"{', '.join(some)} or {last}"
        case inspect.IntType(ge=least, le=most):
            return f"a whole number{_bounds(least, most)}"
        case inspect.FloatType(ge=least, le=most):
            return f"a number{_bounds(least, most)}"
    return _WORDS.get(type(wanted), "a text in quotes")


def _bounds(least: float | None, most: float | None) -> str:
    if least is None:
        return ""
    return f", {least:g} or more" if most is None else f" from {least:g} to {most:g}"
