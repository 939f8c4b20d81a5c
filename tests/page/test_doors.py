"""Who may look at the status page and who may order: tokens, cookies, forms, and pages of other sites."""

import html
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from controller.api.tokens import Scope, Tokens
from controller.page.sessions import SIGNED_IN_SECONDS, Visitors
from tests.support.builders import ONE, secret_file
from tests.support.fed_service import TOKENS
from tests.support.log_scene import Scene
from tests.support.processes import CLUSTER

HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"
NOW = 1_800_000_000.0
ORDERS = f"/clusters/{CLUSTER}/orders"


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """Return a token of each scope."""
    file = tmp_path / "tokens"
    secret_file(file, "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
    return Tokens.load(file)


@pytest.fixture
def stranger(guarded: Scene) -> Iterator[httpx.Client]:
    """Yield a client that carries neither token nor cookie."""
    with httpx.Client(base_url=guarded.url, trust_env=False) as client:
        yield client


def sign_in(page: Page, scene: Scene, token: str, name: str = "anna") -> None:
    page.goto(scene.page)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def mark_of(client: httpx.Client) -> str:
    """Return what a form of the page carries."""
    found = re.search(r'name="mark" value="([\w-]{43})"', client.get(f"/clusters/{CLUSTER}").text)
    assert found
    return found[1]


# --- cookies ------------------------------------------------------------------------------------------------------


def test_a_cookie_says_who_it_is_for_and_what_they_may(tokens: Tokens) -> None:
    visitors = Visitors(tokens)
    for scope in Scope:
        cookie = visitors.cookie_for("Zoë O'Neil.", TOKENS[scope.name.lower()], HERE, NOW)
        assert cookie is not None
        found = visitors.visitor(cookie, HERE, NOW + SIGNED_IN_SECONDS - 1)
        assert found is not None
        assert (found.name, found.scope) == ("Zoë O'Neil.", scope)
        assert not any(token in cookie for token in TOKENS.values())


def test_another_process_with_the_same_tokens_understands_it(tokens: Tokens) -> None:
    cookie = Visitors(tokens).cookie_for("anna", TOKENS["read"], HERE, NOW)
    assert cookie is not None
    assert Visitors(tokens).visitor(cookie, HERE, NOW) is not None


def test_a_stolen_cookie_is_worth_nothing_elsewhere(tokens: Tokens) -> None:
    visitors = Visitors(tokens)
    cookie = visitors.cookie_for("anna", TOKENS["admin"], HERE, NOW)
    assert cookie is not None
    assert visitors.visitor(cookie, ELSEWHERE, NOW) is None


def test_a_cookie_ends_with_the_shift_and_with_its_token(tokens: Tokens, tmp_path: Path) -> None:
    visitors = Visitors(tokens)
    cookie = visitors.cookie_for("anna", TOKENS["admin"], HERE, NOW)
    assert cookie is not None
    assert visitors.visitor(cookie, HERE, NOW + SIGNED_IN_SECONDS + 2) is None
    secret_file(tmp_path / "new", "admin another-token-of-admins\n")
    assert Visitors(Tokens.load(tmp_path / "new")).visitor(cookie, HERE, NOW) is None


@pytest.mark.parametrize("change", [0, 1])
def test_a_cookie_that_was_changed_is_none(tokens: Tokens, change: int) -> None:
    visitors = Visitors(tokens)
    cookie = visitors.cookie_for("anna", TOKENS["read"], HERE, NOW)
    assert cookie is not None
    parts = cookie.split(".")
    parts[change] = ("9" if parts[change][0] != "9" else "8") + parts[change][1:]
    assert visitors.visitor(".".join(parts), HERE, NOW) is None


@pytest.mark.parametrize("cookie", ["", ".", "...", "a.b.c.d", "a.9999999999.c.d", "é.9999999999.c.ß", "." * 5000])
def test_what_is_no_cookie_is_nobody(tokens: Tokens, cookie: str) -> None:
    assert Visitors(tokens).visitor(cookie, HERE, NOW) is None


def test_nobody_gets_a_cookie_without_a_token(tokens: Tokens) -> None:
    for token in ("", "wrong", TOKENS["admin"] + "x"):
        assert Visitors(tokens).cookie_for("anna", token, HERE, NOW) is None


# --- the page -----------------------------------------------------------------------------------------------------


def test_who_has_not_signed_in_is_shown_nothing(stranger: httpx.Client) -> None:
    for path in ("/", f"/clusters/{CLUSTER}", f"/clusters/{CLUSTER}/readiness", f"/clusters/{CLUSTER}/live"):
        answer = stranger.get(path)
        assert answer.status_code == HTTPStatus.SEE_OTHER
        assert answer.headers["location"] == f"/sign-in?to={path}"
        assert ONE not in answer.text
    answer = stranger.post(ORDERS, data={"order": "pause "})
    assert answer.status_code == HTTPStatus.SEE_OTHER


def test_a_wrong_token_is_said_and_a_right_one_opens_what_was_asked_for(guarded: Scene, page: Page) -> None:
    sign_in(page, guarded, "no-such-token-at-all")
    expect(page.get_by_role("alert")).to_have_text("The token file does not have that token.")
    sign_in(page, guarded, TOKENS["read"])
    expect(page).to_have_url(guarded.page)
    expect(page.locator("#sentence")).to_have_text("All 3 dialers are up.")
    expect(page.locator("#freshness")).to_have_text("Live")
    # who may only read has no buttons, and no form to send
    assert page.get_by_role("button", name="Drain").count() == 0
    assert page.locator("#orders").count() == 0
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{guarded.url}/sign-in")
    page.goto(guarded.page)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_administrator_orders_in_their_own_name(guarded: Scene, page: Page) -> None:
    sign_in(page, guarded, TOKENS["admin"], "Zoë")
    page.get_by_role("button", name="Suspend automatic moves").click()
    page.get_by_role("button", name="Yes, order it").click()
    expect(page.locator("#sentence")).to_contain_text("Suspended by Zoë", timeout=20_000)
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_a_cookie_of_scope_read_orders_nothing(guarded: Scene, stranger: httpx.Client) -> None:
    stranger.post("/sign-in", data={"name": "anna", "token": TOKENS["read"]})
    assert stranger.get(f"/clusters/{CLUSTER}").is_success
    answer = stranger.post(ORDERS, data={"order": "pause ", "mark": "0" * 64})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "scope &#39;admin&#39;" in answer.text
    assert guarded.client.metric("hotdesk_cluster_paused") == 0


def test_signing_in_leads_nowhere_else(stranger: httpx.Client) -> None:
    for to in (
        *("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""),
        *("////evil.example/x", "/\\/\\evil.example", "/\t///evil.example", "//[x", "/a\r\nX: y"),
    ):
        answer = stranger.post("/sign-in", data={"name": "anna", "token": TOKENS["read"], "to": to})
        assert answer.headers["location"] == "/"


def test_what_is_asked_for_stays_a_path(stranger: httpx.Client) -> None:
    answer = stranger.get("/clusters/a%0d%0aSet-Cookie:%20x=y")
    assert "\n" not in answer.headers["location"]
    assert "set-cookie" not in answer.headers
    answer = stranger.get(f"/clusters/{CLUSTER}", params={"explain": "a b&c"})
    form = stranger.get(answer.headers["location"])
    (to,) = re.findall(r'name="to" value="([^"]*)"', form.text)
    signed_in = stranger.post(
        "/sign-in", data={"name": "anna", "token": f" {TOKENS['read']}\n", "to": html.unescape(to)}
    )
    again = stranger.get(signed_in.headers["location"])
    assert again.is_success
    assert 'value="a b&amp;c"' in again.text


def test_an_order_of_somebody_who_is_not_signed_in_any_more_is_said_to_be_lost(stranger: httpx.Client) -> None:
    answer = stranger.post(ORDERS, data={"order": "pause "})
    form = stranger.get(answer.headers["location"])
    assert "Nothing was ordered" in form.text
    assert f'name="to" value="/clusters/{CLUSTER}"' in form.text


def test_refused_tokens_are_counted(guarded: Scene, stranger: httpx.Client) -> None:
    before = guarded.client.metric("hotdesk_tokens_refused_total")
    stranger.post("/sign-in", data={"name": "anna", "token": "no-such-token-at-all"})
    assert guarded.client.metric("hotdesk_tokens_refused_total") == before + 1


def test_what_was_ordered_is_said_once_and_by_no_link(scene: Scene) -> None:
    form = {"order": "pause ", "mark": mark_of(scene.http), "sure": "1"}
    answer = scene.http.post(ORDERS, data=form, follow_redirects=True)
    said = 'class="confirmation"'
    assert said in answer.text
    for path in (f"/clusters/{CLUSTER}", f"/clusters/{CLUSTER}?said=pause"):
        assert said not in scene.http.get(path).text


@pytest.mark.parametrize(
    "headers",
    [{"Cookie": "hotdesk=a." + "9" * 5000 + ".c.d"}, {"Host": "[::1"}, {"Origin": "http://["}],
    ids=["cookie", "host", "origin"],
)
def test_headers_that_are_none_are_no_mistake_of_ours(guarded: Scene, scene: Scene, headers: dict[str, str]) -> None:
    for each in (guarded, scene):
        for answer in (
            each.http.get(f"/clusters/{CLUSTER}", headers=headers),
            each.http.post(ORDERS, data={"order": "x"}, headers=headers),
        ):
            assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR


def test_without_tokens_a_page_of_another_site_may_link_here_but_read_nothing(scene: Scene) -> None:
    site = {"Sec-Fetch-Site": "cross-site"}
    for path in (f"/clusters/{CLUSTER}", f"/v1/clusters/{CLUSTER}/ranking"):
        assert scene.http.get(path, headers=site | {"Sec-Fetch-Mode": "navigate"}).is_success
        for mode in ("cors", "no-cors"):
            refused = scene.http.get(path, headers=site | {"Sec-Fetch-Mode": mode})
            assert refused.status_code == httpx.codes.FORBIDDEN


def test_no_question_is_longer_than_a_list_of_logins(scene: Scene) -> None:
    long = ",".join(["p1"] * 200)
    for path in (
        f"/clusters/{CLUSTER}?explain={long}",
        f"/v1/clusters/{CLUSTER}/explanations/{long}",
        f"/v1/clusters/{CLUSTER}/aliases/{long}/ranking",
    ):
        assert scene.http.get(path).status_code == httpx.codes.BAD_REQUEST


# --- other sites --------------------------------------------------------------------------------------------------

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_form_of_another_site_orders_nothing(scene: Scene, headers: dict[str, str]) -> None:
    mark = mark_of(scene.http)
    answer = scene.http.post(ORDERS, data={"order": "pause ", "mark": mark}, headers=headers)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert scene.client.metric("hotdesk_cluster_paused") == 0


def test_a_form_without_the_mark_orders_nothing(scene: Scene) -> None:
    for mark in ("", "0" * 64):
        answer = scene.http.post(ORDERS, data={"order": "pause ", "mark": mark})
        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert "load the page again" in answer.text
    assert scene.client.metric("hotdesk_cluster_paused") == 0


def test_an_order_that_there_is_none_of_is_said(scene: Scene) -> None:
    answer = scene.http.post(ORDERS, data={"order": "explode x", "mark": mark_of(scene.http)})
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "there is no order" in answer.text


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_without_tokens_no_page_of_another_site_uses_the_api_either(scene: Scene, headers: dict[str, str]) -> None:
    path = f"/v1/clusters/{CLUSTER}/pause"
    answer = scene.http.post(path, content="{}", headers={"content-type": "text/plain", **headers})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert scene.client.metric("hotdesk_cluster_paused") == 0


def test_without_tokens_another_machines_name_that_points_here_opens_nothing(scene: Scene) -> None:
    for path in ("/", f"/clusters/{CLUSTER}", f"/v1/clusters/{CLUSTER}/ranking"):
        answer = scene.http.get(path, headers={"host": "rebound.evil.example:8470"})
        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert "not to the name" in answer.text
        for name in ("localhost:1", "127.0.0.1", "[::1]:8470"):
            assert scene.http.get(path, headers={"host": name}).is_success
