"""Guessing at tokens is slow and quiet, and every answer says that it is data."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from controller.api import guesses
from controller.api.app import create_app
from controller.api.guesses import FREE, Guesses
from controller.api.tokens import Tokens
from hotdesk.settings import ApiOptions
from hotdesk.version import VERSION
from tests.support.builders import secret_file
from tests.support.fed_service import TOKENS, service_of
from tests.support.log_scene import Scene, playing
from tests.support.processes import CLUSTER

LATE_SECONDS, LATE_AT_ONCE = 0.4, 4
WRONG = {"authorization": "Bearer a-guess-that-is-wrong"}
RIGHT = {"authorization": f"Bearer {TOKENS['admin']}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Yield a cluster whose API wants tokens."""
    with playing(tmp_path_factory.mktemp("guarded"), tokens=True) as scene:
        yield scene


@pytest.fixture
def fresh(guarded: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return the same, with less patience and sooner."""
    monkeypatch.setattr(guesses, "LATE_SECONDS", LATE_SECONDS)
    monkeypatch.setattr(guesses, "LATE_AT_ONCE", LATE_AT_ONCE)
    return guarded


def asked(scene: Scene, headers: dict[str, str]) -> httpx.Response:
    # without the scene's own token
    return scene.http.get("/v1/clusters", headers={"authorization": ""} | headers)


def test_who_guesses_waits_and_who_guesses_much_is_not_listened_to(fresh: Scene) -> None:
    assert asked(fresh, RIGHT).is_success
    with capture_logs() as lines:
        quick = [asked(fresh, WRONG) for _ in range(FREE.at_once)]
        assert {each.status_code for each in quick} == {401}
        assert max(each.elapsed.total_seconds() for each in quick) < LATE_SECONDS
        late = asked(fresh, WRONG)
        assert late.status_code == 401
        assert late.elapsed.total_seconds() >= LATE_SECONDS
        with ThreadPoolExecutor(3 * LATE_AT_ONCE) as pool:
            many = [pool.submit(asked, fresh, WRONG) for _ in range(3 * LATE_AT_ONCE)]
            refused = next(each for every in as_completed(many) if (each := every.result()).status_code == 429)
            assert int(refused.headers["retry-after"]) >= 1
            # a token that was right there is heard: else a stranger behind the same address would shut it out
            assert asked(fresh, RIGHT).is_success
            assert {each.result().status_code for each in many} <= {401, 429}
        # who shows none is no guesser
        assert asked(fresh, {}).elapsed.total_seconds() < LATE_SECONDS
    told = [each for each in lines if "token" in str(each["event"])]
    assert [each["event"] for each in told] == ["a request had an unknown token"]
    assert WRONG["authorization"].split()[1] not in str(lines)


def test_right_tokens_are_remembered_by_address_and_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(guesses, "LATE_AT_ONCE", 0)
    monkeypatch.setattr(guesses, "MOST_RIGHT", 2)
    monkeypatch.setattr("controller.api.guesses.time.monotonic", lambda: now)

    async def guess() -> None:
        nonlocal now
        tried = Guesses()
        tried.right("192.0.2.1", "web server's")
        for _ in range(FREE.at_once):
            await tried.wrong("192.0.2.1")
        guessing = asyncio.create_task(tried.wrong("192.0.2.1"))
        await asyncio.sleep(0)
        assert not tried.seconds_to_wait("192.0.2.1", "web server's")
        assert tried.seconds_to_wait("192.0.2.1", "another")
        assert tried.seconds_to_wait("192.0.2.1")
        now += guesses.RIGHT_SECONDS
        assert tried.seconds_to_wait("192.0.2.1", "web server's")
        for each in ("first", "second", "third"):
            tried.right("192.0.2.1", each)
        assert [bool(tried.seconds_to_wait("192.0.2.1", each)) for each in ("first", "third")] == [True, False]
        guessing.cancel()

    asyncio.run(guess())


def test_signing_in_is_guessing_too(fresh: Scene) -> None:
    form = {"name": "anna", "token": "a-guess-that-is-wrong"}
    tries = 0
    while (answer := fresh.http.post("/sign-in", data=form)).elapsed.total_seconds() < LATE_SECONDS:
        tries += 1
        assert answer.status_code == 403
        assert tries <= FREE.at_once
    assert answer.status_code == 403


def test_a_flood_of_refused_requests_writes_one_line(guarded: Scene) -> None:
    low = {"authorization": f"Bearer {TOKENS['read']}"}
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "x", "sec-websocket-version": "13"}
    with capture_logs() as lines, httpx.Client(base_url=guarded.url, trust_env=False) as http:
        for _ in range(30):
            assert http.post(f"/v1/clusters/{CLUSTER}/pause", headers=low, json={"by": "anna"}).status_code == 403
            assert http.get("/healthz", headers=upgrade).status_code == 200
    assert len([each for each in lines if each["log_level"] != "info"]) == 1


def test_addresses_of_one_network_are_one_and_forgotten_ones_cost_nothing() -> None:
    tried = Guesses()
    with capture_logs() as lines:
        for number in range(200):
            tried.warn("refused", f"2001:db8::{number:x}")
        assert len(lines) == 1
        for number in range(200):
            tried.warn("refused", f"2001:db8:{number:x}::1")
        assert len(lines) == guesses.LINES_IN_ALL.at_once
        tried.warn("refused", "::ffff:192.0.2.1")
        tried.warn("refused", "")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/v1/clusters", 200),
        ("/metrics", 200),
        ("/openapi/openapi.json", 200),
        ("/v1/clusters/nowhere/ranking", 404),
        ("/nothing/here", 404),
        ("/v1/clusters?x=%ff", 200),
        ("/", 303),
    ],
)
def test_every_answer_is_data_and_stands_in_no_cache(guarded: Scene, path: str, status: int) -> None:
    answer = httpx.get(f"{guarded.url}{path}", headers=RIGHT, trust_env=False)
    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert "strict-transport-security" not in answer.headers
    assert httpx.get(f"{guarded.url}/static/page.css", trust_env=False).headers["cache-control"] == "max-age=3600"


def test_by_tls_a_browser_is_told_to_ask_by_tls_only() -> None:
    app = create_app(version=VERSION, tokens=Tokens({}), registry=CollectorRegistry(), doubts=lambda: (), routes=[])
    with TestClient(app, base_url="https://hotdesk.local") as client:
        for path in ("/healthz", "/nothing"):
            assert client.get(path).headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_behind_a_proxy_with_tls_a_cookie_is_never_sent_in_clear(tmp_path: Path, scheme: str) -> None:
    file = secret_file(tmp_path / "tokens", f"admin {TOKENS['admin']}\n")
    api = ApiOptions(port=0, token_file=file, trusted_proxies="127.0.0.1")
    form = {"name": "anna", "token": TOKENS["admin"]}
    with service_of(tmp_path, api) as service, httpx.Client(base_url=service.url, trust_env=False) as http:
        answer = http.post("/sign-in", data=form, headers={"x-forwarded-proto": scheme, "x-forwarded-for": "192.0.2.9"})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert ("; secure" in cookie) == (scheme == "https")
        assert ("strict-transport-security" in answer.headers) == (scheme == "https")
