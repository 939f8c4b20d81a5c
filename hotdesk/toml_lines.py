"""Where in a TOML file a key stands, which tomllib does not say: a refusal names the line that has to be changed."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_PART = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME})\s*\]")
_KEY = re.compile(rf"\s*({_NAME})\s*=")
_PARTS = re.compile(_PART)

Step = str | int
"""A key, or a number in an array of tables."""


class TomlLines:
    """The lines of one file, by the path of what each sets."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._at: dict[tuple[Step, ...], int] = {}
        header: tuple[Step, ...] = ()
        arrays: dict[tuple[Step, ...], int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if found := _HEADER.match(line):
                header = _inside(arrays, _parts(found[2]))
                self._note(header, number)
                if found[1] == "[[":
                    arrays[header] = arrays.get(header, -1) + 1
                    header = (*header, arrays[header])
                    self._note(header, number)
            elif found := _KEY.match(line):
                self._note((*header, *_parts(found[1])), number)

    def line_of(self, path: Sequence[Step]) -> int:
        """Return the line of a key, or else of the innermost table around it that has one; 1 if none has."""
        return next(
            (self._at[part] for end in range(len(path), 0, -1) if (part := tuple(path[:end])) in self._at),
            1,
        )

    def place(self, path: Sequence[Step]) -> str:
        """Return file and line of a key in words."""
        return f"{self.file}, line {self.line_of(path)}"

    def _note(self, path: tuple[Step, ...], number: int) -> None:
        self._at.setdefault(path, number)


class TablesOfFile(dict[str, Any]):
    """Tables that know the file they stand in."""

    def __init__(self, tables: dict[str, Any], lines: TomlLines) -> None:
        super().__init__(tables)
        self.lines = lines


def place_in(tables: object, path: Sequence[Step]) -> str:
    """Return where a key of tables stands, in words; empty: they are of no file."""
    return tables.lines.place(path) if isinstance(tables, TablesOfFile) else ""


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PARTS.findall(name))


def _inside(arrays: dict[tuple[Step, ...], int], parts: Iterable[str]) -> tuple[Step, ...]:
    """Return the path of a header: below an array of tables it is about the last one so far."""
    path: tuple[Step, ...] = ()
    for part in parts:
        path = (*path, arrays[path], part) if path in arrays else (*path, part)
    return path
