"""The runbooks as pages, under the address that alerts link to: who is woken needs no other server, and no token."""

import re
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from litestar import Response, Router, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from controller.api.auth import AnyRequest
from controller.page.routes import StatusPage

ALL = "README"
"""The list of them."""
_ANOTHER = re.compile(r"(\w+)\.md")
_ELSEWHERE = re.compile(r"(?:\.\./)+(.+?)(?:#.*)?")


class Runbook(NamedTuple):
    """A page."""

    title: str
    html: Markup


class Runbooks:
    """The runbooks of a folder."""

    def __init__(self, folder: Path) -> None:
        self._files = {file.stem: file for file in folder.glob("*.md")}
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def __getitem__(self, name: str) -> Runbook:
        """Return a runbook, with or without the ending of its file.

        Raises:
            KeyError: there is none of that name.
        """
        text = self._files[name.removesuffix(".md")].read_text(encoding="utf-8")
        tokens = self._markdown.parse(text)
        for token in tokens:
            token.children = _led(token.children or [])
        html = self._markdown.renderer.render(tokens, self._markdown.options, {})
        # what it has is ours, and HTML in it was not let through
        return Runbook(text.partition("\n")[0].removeprefix("# "), Markup(html))  # noqa: S704


def runbook_routes(page: StatusPage, runbooks: Runbooks) -> Router:
    """Return the routes of the runbooks. They say nothing about this installation, and so they are for all to read."""

    @get("/")
    async def listed() -> Response[str]:
        return await shown(ALL)

    @get("/{name:str}")
    async def runbook(name: FromPath[str]) -> Response[str]:
        return await shown(name)

    async def shown(name: str) -> Response[str]:
        try:
            found = runbooks[name]
        except KeyError:
            raise NotFoundException("There is no such runbook.") from None
        return await page.shown("runbook.html", runbook=found)

    def failed(_: AnyRequest, error: HTTPException) -> Response[str]:
        return page.message(error.detail, HTTPStatus(error.status_code), "/runbooks")

    return Router(
        "/runbooks",
        route_handlers=[listed, runbook],
        include_in_schema=False,
        exception_handlers={HTTPException: failed},
    )


def _led(tokens: list[Token]) -> list[Token]:
    """Return the parts of a line with links to other runbooks; a document that is not served is named instead."""
    made: list[Token] = []
    left = ""
    for token in tokens:
        address = str(token.attrGet("href") or "")
        if another := _ANOTHER.fullmatch(address):
            token.attrSet("href", "/runbooks" if another[1] == ALL else f"/runbooks/{another[1]}")
        elif elsewhere := _ELSEWHERE.fullmatch(address):
            left = elsewhere[1]
            continue
        elif token.type == "link_close" and left:
            made.append(Token("text", "", 0, content=f" ({_place(left)})"))
            left = ""
            continue
        made.append(token)
    return made


def _place(path: str) -> str:
    """Return where a document is in the repository, from its path seen from docs/runbooks."""
    return path if path.startswith("alerts/") else f"docs/{path}"
