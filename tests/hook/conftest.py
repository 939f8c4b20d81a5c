"""What the hook's tests share: a cluster that lives, a hotdesk that acts, and a web server with the login page."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.database import Database
from tests.hook.office import PLAN, Office
from tests.support.all_roles import running
from tests.support.browser import browser, page, playwright
from tests.support.processes import ACT, SCREENS, grants, site
from tests.support.web import FakeApi, Web, web_server

__all__ = ["browser", "page", "playwright"]


@pytest.fixture(scope="module")
def office(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Yield a living cluster, hotdesk in mode act, and the login page with the hook."""
    folder = tmp_path_factory.mktemp("office")
    with site(database, PLAN) as made:
        made.run(*grants(made, ACT), *grants(made, SCREENS))
        with (
            made.living() as cluster,
            running(folder, made, acts=True) as hotdesk,
            web_server(folder, made, patient=True) as web,
        ):
            web.set_up(hotdesk.url)
            yield Office(made, cluster, hotdesk, web)


@pytest.fixture(scope="module")
def bare_web(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Yield the login page with the hook, and a cluster that nobody watches."""
    folder: Path = tmp_path_factory.mktemp("web")
    with site(database, PLAN) as made, web_server(folder, made) as web:
        yield web


@pytest.fixture(scope="module")
def patient_web(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Yield the same, with a hook that waits: what is tested comes after the login."""
    folder: Path = tmp_path_factory.mktemp("patient-web")
    with site(database, PLAN) as made, web_server(folder, made, patient=True) as web:
        yield web


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """Yield something that answers in hotdesk's place."""
    with FakeApi() as fake:
        yield fake
