"""Makes the documents fit for the site: mkdocs.yml names this file as a hook of mkdocs.

The documents are written as GitHub reads Markdown. mkdocs reads it differently in four things, and a site is not the
repository:

- a list may follow a sentence at once, and what belongs to an entry stands below its text: here four spaces deep;
- an anchor is made of its heading otherwise;
- the order of the pages is that of docs/README.md, and a page that it does not have comes last in its folder;
- a link to a file of the repository has nowhere to lead: the file is named instead.
"""

# ruff: noqa: INP001 - mkdocs runs it by its path

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDERS = {"guide": "Guide", "reference": "Reference", "runbooks": "Runbooks", "design": "Design"}
SHOWN = {".md", ".png", ".svg"}
"""Kinds of files that the site has."""

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
PAGE = re.compile(r"\]\((\w+/[\w.-]+\.md)\)")
ENTRY = re.compile(r"(?:[-*+]|\d+[.)]) +(?=\S)")
FENCE = re.compile(r"(```+|~~~+)")


def on_config(config: Any) -> Any:  # noqa: ANN401 # mkdocs' own, which is not installed beside hotdesk
    """Set what mkdocs.yml cannot say: the order of the pages, and how an anchor is made."""
    config.nav = navigation(Path(config.docs_dir))
    config.mdx_configs["toc"]["slugify"] = lambda heading, _: anchor(heading)
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ANN401, ARG001 # the same
    """Return the page as mkdocs reads it."""
    docs = Path(config.docs_dir)
    return deepened(inward(markdown, Path(page.file.abs_src_path), docs))


def navigation(docs: Path) -> list[dict[str, Any]]:
    """Return mkdocs' `nav` with every page of a folder."""
    first = PAGE.findall((docs / "README.md").read_text(encoding="utf-8"))
    nav: list[dict[str, Any]] = [{"Documentation": "README.md"}]
    for folder, title in FOLDERS.items():
        there = sorted(f"{folder}/{file.name}" for file in (docs / folder).glob("*.md"))
        nav.append({title: sorted(there, key=lambda page: first.index(page) if page in first else len(first))})
    return nav


def anchor(heading: str) -> str:
    """Return a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")


def inward(markdown: str, file: Path, docs: Path) -> str:
    """Return a page whose links all lead to what the site has. Of another file only the name is there."""

    def led(link: re.Match[str]) -> str:
        text, address = link.groups()
        path = address.partition("#")[0]
        if "://" in address or not path:
            return link[0]
        target = (file.parent / path).resolve()
        shown = target.is_file() and target.suffix in SHOWN and target.is_relative_to(docs)
        if shown or not target.exists():  # mkdocs says which lead nowhere
            return link[0]
        name = target.relative_to(docs.parent).as_posix()
        return text if text.strip("`") == name else f"{text} (`{name}`)"

    return LINK.sub(led, markdown)


def deepened(markdown: str) -> str:
    """Return a page whose lists are as mkdocs wants them."""
    return "\n".join(_deepened(markdown.splitlines())) + "\n"


def _deepened(lines: list[str]) -> Iterator[str]:
    depths: list[int] = []  # at which column the text of each open entry begins
    fence, last = "", ""
    for line in lines:
        text = line.lstrip(" ")
        column = len(line) - len(text)
        if not text:
            yield ""
            last = ""
            continue
        within = bool(depths)
        while depths and not fence and column < depths[-1]:
            depths.pop()
        inner = depths[-1] if depths else 0
        deep = " " * (4 * len(depths) + max(0, column - inner))
        if mark := FENCE.match(text):
            if not fence:
                fence = mark[1]
            elif text.rstrip() == fence:
                fence = ""
        elif not fence and column - inner < 4 and (entry := ENTRY.match(text)):  # noqa: PLR2004 # more is code
            if last and not within:
                yield ""
            depths.append(column + len(entry[0]))
        yield deep + text
        last = text
