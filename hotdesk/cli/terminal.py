"""The only way from a command to a terminal: every text goes through `printable`, and is never markup.

A name from VICIdial's tables may hold codes that control a terminal, marks that turn the direction of writing, or what
rich takes for markup. So no other module of hotdesk uses rich or prints; a test reads them all.
"""

import csv
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Sequence
from copy import copy

import msgspec
from rich import console as rich
from rich import table as tables
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.style import Style
from rich.text import Text

from messages.shown import printable

__all__ = [
    "Console",
    "Group",
    "Live",
    "RenderableType",
    "Table",
    "agrees",
    "asked",
    "complain",
    "complain_of",
    "joined",
    "row",
    "say",
    "say_csv",
    "say_json",
    "say_page",
    "shown",
    "table",
]


LEAST_COLUMN = 16
"""Characters in which sentences can still be read."""
UNBOUNDED = 10_000
"""Characters of a terminal in which every table fits, to measure what it needs."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Console(rich.Console):
    """A terminal or a pipe, on which a string is never markup and never obeyed."""

    def render_str(self, text: str, *, style: str | Style = "", **_: object) -> Text:
        """Return a string as `shown` does, wherever it stands: rich calls this for each that it meets."""
        return shown(text, style)


def shown(text: object, style: str | Style = "") -> Text:
    """Return a text as it is, without markup and without codes that control the terminal."""
    return Text(printable(str(text)), style)


def joined(*parts: tuple[str, str]) -> Text:
    """Return one line of several texts, each with its style."""
    return Text.assemble(*(shown(text, style) for text, style in parts))


class Table(tables.Table):
    """A table that loses nothing in a narrow terminal that has to be copied: words are parted last of all."""

    whole: Collection[int] = ()
    """The columns whose words are never parted."""
    spare: Sequence[int] = ()
    """The columns to leave out where there is no room for all, the first first."""

    def __rich_console__(self, console: rich.Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table as it fits."""
        yield from super(Table, self._fitting(console, options)).__rich_console__(console, options)

    def _fitting(self, console: rich.Console, options: ConsoleOptions) -> "Table":
        room = options.update(width=UNBOUNDED)
        for left_out in range(len(self.spare) + 1):
            for at_words in (False, True):
                fitting = copy(self)
                fitting.columns = [
                    self._column(number, console, room, at_words=at_words)
                    for number in range(len(self.columns))
                    if number not in self.spare[:left_out]
                ]
                if Measurement.get(console, room, fitting).minimum <= options.max_width:
                    return fitting
        return self

    def _column(self, number: int, console: rich.Console, room: ConsoleOptions, *, at_words: bool) -> tables.Column:
        """Return a column, as wide as its words if they are not to be parted; `at_words`: it may be broken at them."""
        kept = copy(self.columns[number])
        widths = [Measurement.get(console, room, each.renderable) for each in self._get_cells(console, number, kept)]
        longest = max(each.maximum for each in widths)
        if number in self.whole:
            kept.width = max(each.minimum for each in widths) if at_words else longest
        else:
            kept.min_width = kept.min_width or min(longest, LEAST_COLUMN)
        return kept


def table(
    *columns: str,
    numbers: Collection[str] = (),
    whole: Collection[str] = (),
    spare: Sequence[str] = (),
    title: str = "",
    wide: bool = False,
) -> Table:
    """Return a table without rows. `numbers`: the columns that stand to the right; `wide`: as wide as the terminal.

    In a narrow terminal words of `whole` are not parted, and `spare` are left out, the first first.
    """
    made = Table(title=shown(title) if title else None, expand=wide)
    made.whole = [columns.index(each) for each in {*whole, *numbers}]
    made.spare = [columns.index(each) for each in spare]
    for column in columns:
        made.add_column(shown(column), justify="right" if column in numbers else "left", overflow="fold")
    return made


def row(to: Table, *cells: object, style: str = "") -> None:
    """Add a row; a cell that has a style already keeps it."""
    to.add_row(*(each if isinstance(each, Text) else shown(each) for each in cells), style=style)


def say(text: str) -> None:
    """Print one line."""
    print(printable(text))


def agrees(question: str) -> bool:
    """Ask a question that only `y` or `yes` answers with yes; nobody there to answer is a no."""
    try:
        return input(printable(f"{question}? [y/N] ")).strip().lower() in {"y", "yes"}
    except EOFError:
        print()  # what follows begins a line of its own
        return False


def asked(question: str, found: str) -> str:
    """Ask a question, and return what is typed; `found` is shown as what an empty answer means."""
    shown_too = f" [{found}]" if found else ""
    return input(printable(f"{question}{shown_too}: ")).strip()


def say_page(markdown: str) -> None:
    """Print a page of the documentation: laid out and leafed through in a terminal, as it is written elsewhere."""
    if not sys.stdout.isatty():
        print("\n".join(map(printable, markdown.splitlines())))
        return
    from rich.markdown import Markdown  # noqa: PLC0415 # it takes its time, and no other command wants it

    console = Console()
    with console.pager():
        console.print(Markdown(markdown, hyperlinks=False))


def complain(text: str) -> None:
    """Print one line to standard error."""
    print(printable(text), file=sys.stderr)


def complain_of(fault: Exception) -> None:
    """Print the traceback of a fault of hotdesk's own to standard error: its text may be somebody else's."""
    for each in "".join(traceback.format_exception(fault)).splitlines():
        complain(each)


def say_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print as CSV, for spreadsheets. What one of them would take for a formula has a sign before it, and is text."""
    written = csv.writer(sys.stdout, lineterminator="\n")
    written.writerow(columns)
    written.writerows([_cell(printable(str(each))) for each in row] for row in rows)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not _NUMBER.fullmatch(text) else text


def say_json(what: object) -> None:
    """Print as JSON, for scripts. What a terminal could obey is written by number, as JSON may."""
    text = msgspec.json.format(msgspec.json.encode(what), indent=2).decode()
    print("".join(each if each.isprintable() or each == "\n" else _json_number(each) for each in text))


def _json_number(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
