"""What the status page's tests share: a running process, a cluster that lives in the log's time, and a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import browser, page, playwright
from tests.support.log_scene import Scene, playing

__all__ = ["browser", "page", "playwright"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Yield a living cluster, shown to everybody on this machine."""
    with playing(tmp_path) as made:
        yield made


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Scene]:
    """Yield a living cluster whose page wants a token."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    with playing(folder, tokens=True) as made:
        yield made
