"""The web server with the hook: what visitors say of themselves, what they can hold, and what other local users can."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.processes import site
from tests.support.timing import on_this_machine
from tests.support.web import LOGIN, FakeApi, Web, web_server

USER, ALIAS = "1001", "desk1001"
PICKED = 201, json.dumps({"user": USER, "alias": ALIAS, "phone_login": "1001a"}).encode()
WORKERS = 8


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the temporary folder of PHP."""
    return tmp_path_factory.mktemp("php")


@pytest.fixture(scope="module")
def web(database: Database, temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Yield the login page with the hook."""
    folder = tmp_path_factory.mktemp("web")
    plan = ClusterPlan(dialers=3, agents=1, remote_agents=0)
    with (
        site(database, plan) as made,
        web_server(folder, made, WORKERS, [f"sys_temp_dir={temporary}"], patient=True) as server,
    ):
        yield server


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """Yield something that answers in hotdesk's place."""
    with FakeApi() as fake:
        yield fake


def _asked(
    web: Web, api: FakeApi, address: str, headers: dict[str, str] | None = None, **form: str
) -> dict[str, object]:
    """Send the login form from an address, and return what hotdesk was asked."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=web.url, transport=transport) as http:
        typed = LOGIN | {"VD_login": USER, "phone_login": ALIAS} | form
        assert http.post("/vicidial.php", data=typed, headers=headers).is_success
    asked: dict[str, object] = json.loads(api.asked.pop())
    return asked


def test_a_visitor_is_known_by_their_address_whatever_they_say_of_themselves(web: Web, api: FakeApi) -> None:
    api.answer = PICKED
    web.set_up(api.url)
    lies = [
        {name: f"203.0.113.{n}"}
        for n in range(3)
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Client-IP")
    ]
    one = {_asked(web, api, "127.0.0.1", each)["visitor"] for each in [{}, *lies]}
    other = _asked(web, api, "127.0.0.2")["visitor"]
    assert len(one) == 1
    assert other not in one
    assert all(isinstance(each, str) and len(each) == 32 for each in (*one, other))
    # and the hash cannot be undone by whoever reads it: its key is the token
    (web_token := web.folder / "token").write_text("a-token-of-scope-pick")
    web.set_up(api.url, token_file=str(web_token))
    assert _asked(web, api, "127.0.0.1")["visitor"] not in one


def test_hotdesk_is_told_whether_vicidial_has_the_user(web: Web, api: FakeApi) -> None:
    api.answer = PICKED
    web.set_up(api.url)
    assert "no_user" not in _asked(web, api, "127.0.0.1")
    assert _asked(web, api, "127.0.0.1", VD_login="nobody")["no_user"] is True


def test_screens_that_ask_hold_no_worker_while_hotdesk_is_silent(web: Web, api: FakeApi) -> None:
    api.answer = None
    web.set_up(api.url)
    began = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        told = list(pool.map(lambda number: web.ask(f"{number:032x}"), range(8 * WORKERS)))
    assert told == [{"order": None, "again": True}] * len(told)
    assert time.monotonic() - began < on_this_machine(1.0), "all workers waited once, and then none"
    assert len(api.asked) <= 2 * WORKERS
    # and logins are asked for as ever
    api.answer = PICKED
    assert web.log_in(USER, ALIAS).phone_login == "1001a"


def test_by_default_an_outage_is_remembered_in_a_folder_that_is_the_web_servers_alone(
    web: Web, api: FakeApi, temporary: Path
) -> None:
    api.answer = 503, b"{}"
    web.set_up(api.url, state_dir="")
    web.log_in(USER, ALIAS)
    (made,) = temporary.iterdir()
    assert made.stat().st_mode & 0o7777 == 0o700
    assert [each.stat().st_mode & 0o7777 for each in made.iterdir()] == [0o600]
    web.log_in(USER, ALIAS)
    assert len(api.asked) == 1, "the outage is remembered"
    shutil.rmtree(made)
    # a folder that another user made there, for this web server to use
    made.mkdir()
    made.chmod(0o777)
    os.chown(made, 65534, 65534)
    assert web.log_in(USER, ALIAS).logged_in
    assert list(made.iterdir()) == []


@pytest.mark.parametrize("foreign", ["a file of another user", "a link", "a second name", "a folder"])
def test_a_mark_that_is_not_the_web_servers_own_is_ignored(
    web: Web, api: FakeApi, tmp_path: Path, foreign: str
) -> None:
    api.answer = 503, b"{}"
    state = tmp_path / "state"
    state.mkdir()
    web.set_up(api.url, state_dir=str(state), outage_seconds=60)
    web.log_in(USER, ALIAS)
    (mark,) = state.iterdir()
    mark.unlink()
    target = tmp_path / "target"
    target.write_text("precious")
    target.chmod(0o600)
    match foreign:
        case "a file of another user":
            mark.touch()
            os.chown(mark, 65534, 65534)
        case "a link":
            mark.symlink_to(target)
        case "a second name":
            os.link(target, mark)
        case _:
            mark.mkdir()
    before = target.stat().st_mtime_ns
    asked = len(api.asked)
    assert web.log_in(USER, ALIAS).logged_in
    assert len(api.asked) == asked + 1, "hotdesk is asked all the same"
    assert (target.read_text(), target.stat().st_mtime_ns) == ("precious", before), (
        "nothing was done to what it leads to"
    )
