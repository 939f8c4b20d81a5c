"""Writes a manual page for each command, out of its own help, and the completions of three shells.

python packaging/manual.py MANUAL COMPLETIONS

Both are folders. It runs with the packages of a release (PYTHONPATH), and so it needs what a release has.
"""

# ruff: noqa: INP001 - a script, beside release.py

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from rich.console import Console

from hotdesk.cli.main import app
from hotdesk.version import VERSION

WIDTH = 10_000  # man breaks the lines
COMPLETIONS = {"bash": "hotdesk.bash", "fish": "hotdesk.fish", "zsh": "_hotdesk"}
HEADING = re.compile(r"[A-Z][\w ]*:")
ENTRY = re.compile(r"  (\S.*?): (.*)")
SEE = "All commands: hotdesk(1). The guide, the reference and the runbooks: hotdesk docs."


def helps(of: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the help of a command and of all commands below it, as plain text."""
    written = io.StringIO()
    app.help_print([*path], console=Console(file=written, width=WIDTH, force_terminal=False))
    yield path, written.getvalue()
    for name in of:
        if not name.startswith("-"):
            yield from helps(of[name], (*path, name))


def page(path: tuple[str, ...], text: str) -> str:
    """Return the manual page of a command, in the language of man: its help, with its headings as sections."""
    usage, _, rest = text.strip().partition("\n\n")
    about = " ".join(rest.partition("\n\n")[0].split())
    name = "-".join(("hotdesk", *path))
    lines = [
        f'.TH {name.upper()} 1 "" "hotdesk {VERSION}"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(about)}",
        ".SH SYNOPSIS",
        escaped(" ".join(usage.removeprefix("Usage:").split())),
        ".SH DESCRIPTION",
    ]
    for line in rest.splitlines():
        if HEADING.fullmatch(line):
            lines.append(f".SH {line[:-1].upper()}")
        elif entry := ENTRY.fullmatch(line):
            lines += [".TP", f".B {escaped(entry[1])}", escaped(entry[2])]
        else:
            lines.append(escaped(line.strip()) or ".PP")
    return "\n".join((*lines, ".SH SEE ALSO", SEE, ""))


def escaped(line: str) -> str:
    """Return a line of which man shows each character as it is."""
    plain = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def main(manual: Path, completions: Path) -> None:
    """Write them."""
    app.help_formatter = "plain"
    for path, text in helps(app):
        (manual / f"{'-'.join(('hotdesk', *path))}.1").write_text(page(path, text), encoding="utf-8")
    for shell, name in COMPLETIONS.items():
        written = app.generate_completion(shell=shell)  # type: ignore[arg-type,unused-ignore]
        (completions / name).write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
