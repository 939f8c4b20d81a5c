"""`hotdesk docs`: the pages that an installation comes with, for a machine that reaches no other."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hotdesk.cli.terminal import Console, row, say_page, table
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.shipped import shipped

FOLDERS = ("guide", "reference", "runbooks")
"""Those of docs/ that an installation has: what an operator reads."""
INDEX = "README"
"""The page beside them that says which of them to read."""


def docs(page: Annotated[str, Parameter(help="Name of the page; default: list them all.")] = "") -> None:
    """Print a page of the documentation, or list the pages.

    A page may be named as messages name it (docs/guide/install.md), or in short (install).
    """
    pages = {f"{folder}/{file.stem}": file for folder in FOLDERS for file in shipped(f"docs/{folder}").glob("*.md")}
    if (index := shipped(f"docs/{INDEX}.md")).is_file():
        pages[INDEX] = index
    if not pages:
        raise HotdeskError(f"the pages did not come with this installation: {shipped('docs')} is not there")
    if page:
        # a reader who closes the pipe is no fault of the page
        say_page(_read(pages[page_of(page, pages)]))
        return
    listed = table("page", "what it is about", whole=("page",), title="hotdesk docs PAGE prints one of these")
    for name in sorted(pages):
        row(listed, name, _read(pages[name]).partition("\n")[0].strip("# "))
    Console().print(listed)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise HotdeskError(f"{file} cannot be read: {error.strerror}") from error


def page_of(wanted: str, pages: Collection[str]) -> str:
    """Return which page is meant: by its path, as messages and links have it, or by its last part.

    Raises:
        SettingsError: there is none of that name.
    """
    name = wanted.partition("#")[0].removeprefix("docs/").removesuffix(".md")
    last = {page.rpartition("/")[2].lower(): page for page in sorted(pages, reverse=True)}
    if name in pages:
        return name
    if name.lower() in last:
        return last[name.lower()]
    close = get_close_matches(name.rpartition("/")[2].lower(), last, 1)
    hint = f"did you mean {last[close[0]]}?" if close else "'hotdesk docs' lists them"
    raise SettingsError(f"there is no page {wanted!r}: {hint}")
