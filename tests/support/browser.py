"""A real browser for tests: headless Chromium, and pages whose scripts make no mistake."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

from tests.support.timing import on_this_machine

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
LONG_MS = 30_000
# a browser on a busy machine takes its time; what is expected comes at once elsewhere
expect.set_options(timeout=LONG_MS)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Yield Playwright, which runs once in a thread."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Yield a headless Chromium."""
    chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Yield an empty page; a mistake of its scripts, or one that the browser keeps from running, fails the test."""
    context = browser.new_context()
    shown = context.new_page()
    mistakes = watch(shown)
    yield shown
    context.close()
    assert mistakes == []


def watch(page: Page) -> list[str]:
    """Return the list that a page's mistakes will be in."""
    mistakes: list[str] = []

    def note(said: ConsoleMessage) -> None:
        if said.type == "error" and "Content Security Policy" in said.text:
            mistakes.append(said.text)

    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.on("console", note)
    return mistakes


@contextmanager
def slowing_browser(folder: Path, playwright: Playwright) -> Iterator[BrowserContext]:
    """Yield a Chromium that slows hidden tabs down, as it does for people: Playwright's own never hides a tab."""
    command = [shutil.which("chromium") or "chromium", "--headless=new", *FLAGS]
    with subprocess.Popen(  # noqa: S603 (our own command)
        [*command, "--remote-debugging-port=0", f"--user-data-dir={folder}"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as chromium:
        try:
            assert chromium.stderr is not None
            said = (re.search(r"DevTools listening on (ws://\S+)", line) for line in chromium.stderr)
            connected = playwright.chromium.connect_over_cdp(
                next(filter(None, said))[1], no_defaults=True, timeout=on_this_machine(LONG_MS)
            )
            yield connected.contexts[0]
            connected.close()
        finally:
            # its processes are of its session, and none of them outlives the test
            os.killpg(chromium.pid, signal.SIGKILL)
