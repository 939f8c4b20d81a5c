"""The hook under Apache and its PHP, as VICIdial's web servers run it, beside PHP's own server of the other tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.database import Database
from tests.hook.office import PLAN
from tests.support.processes import site, until
from tests.support.web import FakeApi, Shown, Web, apache_server

USER, ALIAS = "1001", "desk1001"


@pytest.fixture(scope="module")
def web(database: Database) -> Iterator[Web]:
    """Yield the login page with the hook under Apache, which may read what everybody may read."""
    with tempfile.TemporaryDirectory() as made, site(database, PLAN) as at:
        folder = Path(made)
        folder.chmod(0o755)
        with apache_server(folder, at) as serving:
            yield serving


def test_a_login_lands_where_hotdesk_says(web: Web, api: FakeApi) -> None:
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001b"}'
    web.set_up(api.url, outage_seconds=1)

    def log_in() -> Shown | None:
        shown = web.log_in(USER, ALIAS)
        return shown if shown.screen else None

    # at the first login Apache's PHP reads its files, and may take longer than the hook waits
    shown = until(log_in, "hotdesk is asked in time")
    assert (shown.logged_in, shown.phone_login, f'"alias":"{ALIAS}"' in shown.html) == (True, "1001b", True)


def test_a_screen_is_told_its_order_and_other_sites_nothing(web: Web, api: FakeApi) -> None:
    api.answer = 200, b'{"alias": "desk1001"}'
    web.set_up(api.url)
    assert web.answer("a" * 32) == {"order": {"alias": ALIAS}}
    away = web.http.post("/hotdesk.php", data={"screen": "a" * 32}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (away.status_code, away.json()) == (405, {"order": None})


def test_a_silent_hotdesk_costs_one_login_its_time_and_no_login_its_success(web: Web, api: FakeApi) -> None:
    api.answer = None
    web.set_up(api.url, outage_seconds=60)
    shown = [web.log_in(USER, ALIAS) for _ in range(3)]
    assert [(each.logged_in, each.phone_login) for each in shown] == [(True, ALIAS)] * 3
    assert len(api.asked) == 1


def test_nothing_is_printed_before_another_page(web: Web) -> None:
    assert web.http.get("/feed.php", params={"id": "0"}).text == "GONE"
