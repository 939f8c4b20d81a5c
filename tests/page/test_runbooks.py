"""The runbooks as pages: each alert's link leads to one, whoever follows it."""

import re
from collections.abc import Iterator

import httpx
import pytest

from controller.page.routes import HEADERS
from controller.page.runbooks import Runbooks
from hotdesk.shipped import shipped
from tests.support.log_scene import Scene

FOLDER = shipped("docs/runbooks")
NAMES = sorted(file.stem for file in FOLDER.glob("*.md"))


@pytest.fixture
def stranger(guarded: Scene) -> Iterator[httpx.Client]:
    """Yield a client that carries neither token nor cookie."""
    with httpx.Client(base_url=guarded.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_is_html_whose_links_all_lead_somewhere(name: str) -> None:
    found = Runbooks(FOLDER)[name]
    links = re.findall(r'href="([^"]*)"', found.html)
    assert {link.removeprefix("/runbooks/") for link in links} - {"/runbooks"} <= set(NAMES)
    assert f"<h1>{found.title}</h1>" in found.html
    assert ".md)" not in re.sub(r"\((?:docs|alerts)/\S+\)", "", found.html)


def test_a_document_that_is_not_served_is_named() -> None:
    assert "registration" in Runbooks(FOLDER)["HotdeskAgentsNotArrived"].html
    assert "hot-desking.md (docs/guide/hot-desking.md)" in Runbooks(FOLDER)["HotdeskAgentsNotArrived"].html
    assert "(alerts/hotdesk.rules.yml)" in Runbooks(FOLDER)["README"].html


@pytest.mark.parametrize("path", ["HotdeskDialerDown", "HotdeskDialerDown.md"])
def test_who_is_woken_needs_no_token(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(f"/runbooks/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "<h1>HotdeskDialerDown</h1>" in answer.text
    assert "<script" not in answer.text


def test_all_of_them_are_listed(stranger: httpx.Client) -> None:
    text = stranger.get("/runbooks").text
    assert all(f'href="/runbooks/{name}"' in text for name in NAMES if name != "README")


@pytest.mark.parametrize("path", ["HotdeskAbsent", "..%2fREADME", "%2e%2e%2f%2e%2e%2fREADME", "x" * 3000])
def test_what_is_no_runbook_is_not_found(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(f"/runbooks/{path}")
    assert answer.status_code == 404
    assert "README" not in answer.text
