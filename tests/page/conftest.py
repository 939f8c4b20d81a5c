"""What the status page's tests share: a running process, a cluster that lives in the log's time, and a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.core.policy import Policy
from hotdesk.settings import ApiOptions
from tests.hotdesk.test_api import TOKENS, service_of
from tests.page.scene import Scene
from tests.support.browser import browser, page
from tests.support.builders import ONE, THREE, TWO, secret_file

__all__ = ["browser", "page"]


@contextmanager
def playing(folder: Path, policy: Policy | None = None, *, tokens: bool = False) -> Iterator[Scene]:
    """Run a process that controls and serves, and a cluster of three dialers in its log."""
    api = ApiOptions(port=0)
    if tokens:
        secret_file(folder / "tokens", "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
        api = ApiOptions(port=0, token_file=folder / "tokens")
    policies = {"west": policy or Policy()}
    with service_of(folder, api, policies) as service, Scene(service, (ONE, TWO, THREE)) as scene:
        yield scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Give a living cluster, shown to everybody on this machine."""
    with playing(tmp_path) as made:
        yield made


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Scene]:
    """Give a living cluster whose page wants a token."""
    folder = tmp_path / "guarded"
    folder.mkdir()
    with playing(folder, tokens=True) as made:
        yield made
