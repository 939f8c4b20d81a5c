"""A real browser for tests: headless Chromium, and pages whose scripts make no mistake."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LONG_MS = 30_000
# a browser on a busy machine takes its time; what is expected comes at once elsewhere
expect.set_options(timeout=LONG_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a headless Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give an empty page; a mistake of its scripts, or one that the browser keeps from running, fails the test."""
    context = browser.new_context()
    shown = context.new_page()
    mistakes = watch(shown)
    yield shown
    context.close()
    assert mistakes == []


def watch(page: Page) -> list[str]:
    """Give the list that a page's mistakes will be in."""
    mistakes: list[str] = []

    def note(said: ConsoleMessage) -> None:
        if said.type == "error" and "Content Security Policy" in said.text:
            mistakes.append(said.text)

    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", note)
    return mistakes
