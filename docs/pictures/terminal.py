"""Make docs/pictures/demo.svg from a real run of the demonstration: python docs/pictures/terminal.py.

What the picture shows was measured while it was taken. The demonstration runs as `hotdesk demo` does; only its screen
is replaced, by one that keeps the moment when the agents of a dialer that died are logged in elsewhere.
"""  # noqa: INP001 # a script

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from controller.api.schemas import RankingAnswer
from hotdesk.cli import demonstration as demo
from hotdesk.cli.terminal import Console, RenderableType
from hotdesk.signals import Asked
from messages.records import DialerState
from simulator.cluster import SimulatedCluster

PICTURE = Path(__file__).with_name("demo.svg")
WIDTH = 104
AFTER_SECONDS = 12.0
"""How long after the dialer was judged down the picture is taken: its agents are logged in elsewhere by then."""
AT_MOST_SECONDS = 60.0

FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
"""Fonts of the reader's own machine: rich would load one from the network."""


class _Camera(demo._Screen):  # noqa: SLF001 # the demonstration's own screen, looked at from here only
    """A screen that is never shown, and that keeps one moment."""

    def __init__(self, cluster: SimulatedCluster, picks: demo._Picks, end: Asked) -> None:
        super().__init__(Console(file=io.StringIO()), None, cluster, picks)
        self._end = end
        self._seen_at: float | None = None
        self.kept: RenderableType | None = None

    def show(self, at_seconds: float, ranking: RankingAnswer | None, news: list[demo._Event]) -> None:
        self._events.extend(news)
        if (
            ranking is not None
            and self._seen_at is None
            and any(dialer.state is DialerState.DOWN for dialer in ranking.dialers)
        ):
            self._seen_at = at_seconds
        if self._seen_at is not None and at_seconds >= self._seen_at + AFTER_SECONDS:
            self.kept = self._picture(at_seconds, ranking)
            self._end.ask()


def main() -> None:
    """Run the demonstration, and draw the picture."""
    end = Asked()
    cameras: list[_Camera] = []

    @contextmanager
    def screen(_: Console, cluster: SimulatedCluster, picks: demo._Picks) -> Iterator[_Camera]:
        cameras.append(_Camera(cluster, picks, end))
        yield cameras[-1]

    with mock.patch.object(demo, "_screen", screen):
        demo.run_demo(end, demo.Size(dialers=6, agents=180, seed=1), seconds=AT_MOST_SECONDS, kafka=False)
    kept = cameras[0].kept
    if kept is None:
        raise SystemExit("no dialer was seen to die")
    PICTURE.write_text(_draw(kept))


def _draw(what: RenderableType) -> str:
    paper = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, color_system="truecolor")
    paper.print(what)
    drawn = paper.export_svg(title="make demo", unique_id="demo")
    drawn = re.sub(r"@font-face\s*\{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code, monospace", FONTS)
    # Some viewers take leading spaces away, even those that must not break.
    drawn = drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
