"""Make docs/pictures/page-*.png from a real run of the demonstration: python docs/pictures/screenshots.py.

The status page is shown in each state of a cluster. The faults are real ones of the demonstration's cluster: a dialer
dies, then half of them, then the database goes away.
"""  # noqa: INP001 # a script

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from playwright.sync_api import Page, expect, sync_playwright

from controller.api.schemas import RankingAnswer
from hotdesk.cli import demonstration as demo
from hotdesk.cli.terminal import Console
from hotdesk.signals import Asked
from simulator.cluster import SimulatedCluster

FOLDER = Path(__file__).parent
SIZE = {"width": 1080, "height": 900}
PHONE = {"width": 390, "height": 760}
AT_MOST_SECONDS = 120.0
CALM_SECONDS = 6.5
HOME = re.compile(r"(1\d|2[0-5]) of 30 moved")
"""How many of the thirty moved agents are logged in elsewhere when the picture is taken."""
LONG_MS = 40_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


class _Shot(NamedTuple):
    name: str
    sentence: str
    """What the page says then."""


DOWN = _Shot("down", "is down.")
BRAKED = _Shot("braked", "No agent is moved: ")
BLIND = _Shot("blind", "Nothing is known: ")


class _Camera:
    """A screen that is never shown, and that takes pictures of the status page."""

    def __init__(self, page: Page, cluster: SimulatedCluster, url: str, end: Asked) -> None:
        self._page = page
        self._cluster = cluster
        self._url = f"{url}/clusters/{demo.CLUSTER}"
        self._end = end
        self._calm = False

    def show(self, at_seconds: float, ranking: RankingAnswer | None, _: list[demo._Event]) -> None:
        if not self._calm and at_seconds >= CALM_SECONDS and ranking is not None:
            self._calm = True
            self._page.goto(self._url)
            self._take("healthy")
        elif self._calm and ranking is not None and "moved agents are logged in" in ranking.summary:
            self._go_through(ranking)
            self._end.ask()

    def _go_through(self, ranking: RankingAnswer) -> None:
        expect(self._page.locator("#sentence")).to_contain_text(HOME, timeout=LONG_MS)
        self._wait(DOWN)
        self._page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        self._take("phone")
        self._page.set_viewport_size(SIZE)  # type: ignore[arg-type]
        self._page.emulate_media(color_scheme="dark")
        for each in [each for each in ranking.dialers if each.rank is not None][:3]:
            self._cluster.kill(each.server_ip)
        self._wait(BRAKED)
        self._page.emulate_media(color_scheme="light")
        with self._cluster._connect() as connection, connection.cursor() as cursor:  # noqa: SLF001 # its only way out
            cursor.execute("SHUTDOWN")
        self._wait(BLIND)

    def _wait(self, shot: _Shot) -> None:
        expect(self._page.locator("#sentence")).to_contain_text(shot.sentence, timeout=LONG_MS)
        self._take(shot.name)

    def _take(self, name: str) -> None:
        expect(self._page.locator("#freshness")).to_have_text("Live", timeout=LONG_MS)
        self._page.screenshot(path=FOLDER / f"page-{name}.png")


def main() -> None:
    """Run the demonstration, and take the pictures."""
    end = Asked()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]

        @contextmanager
        def screen(_: Console, cluster: SimulatedCluster, picks: demo._Picks) -> Iterator[_Camera]:
            yield _Camera(page, cluster, picks.url, end)

        with mock.patch.object(demo, "_screen", screen):
            demo.run_demo(end, demo.Size(dialers=6, agents=180, seed=1), seconds=AT_MOST_SECONDS, kafka=False)
        browser.close()


if __name__ == "__main__":
    main()
