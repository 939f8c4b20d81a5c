"""A screen in a hidden tab, whose timers the browser slows down, is logged in again like any other."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, Route, expect

from tests.support.browser import slowing_browser
from tests.support.processes import until
from tests.support.web import FakeApi, Web

COUNT = """() => {
  window.looks = window.ticks = 0;
  const find = document.querySelectorAll;
  document.querySelectorAll = function (what) { looks += what.includes('relogin'); return find.call(document, what); };
  window.setInterval(() => ticks++, 250);
}"""


@pytest.fixture
def web(patient_web: Web, api: FakeApi) -> Web:
    """Return the login page, and a hotdesk that picks a phone."""
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001b"}'
    patient_web.set_up(api.url)
    return patient_web


def _log_in(page: Page, web: Web) -> None:
    page.goto(f"{web.url}/vicidial.php?relogin=YES&phone_login=desk1001&phone_pass=phonepass")
    for name, value in {"VD_login": "1001", "VD_pass": "secret", "VD_campaign": "SALES"}.items():
        page.fill(f"input[name={name}]", value)
    page.click("#submit")
    expect(page.locator("#phone")).to_have_text("1001b")


def test_a_hidden_screen_looks_asks_and_comes_back_as_a_visible_one_does(
    web: Web, api: FakeApi, tmp_path: Path, playwright: Playwright
) -> None:
    with slowing_browser(tmp_path, playwright) as context:
        page = context.new_page()
        _log_in(page, web)
        context.new_page().bring_to_front()
        assert page.evaluate("document.visibilityState") == "hidden"
        page.evaluate(COUNT)
        # as many of both if the browser slows both down
        until(lambda: page.evaluate("looks - 2 * ticks > 4"), "the hook's timers are quicker than the page's")
        api.answer = 200, b'{"alias": "desk1001"}'
        page.evaluate("LogouT('API')")
        expect(page.locator("#hotdesk_moves")).to_be_attached()
        api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001c"}'
        expect(page.locator("#phone")).to_have_text("1001c")


def test_a_page_that_may_have_no_worker_has_its_own_timers(web: Web, api: FakeApi, browser: Browser) -> None:
    def forbid(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"content-security-policy": "worker-src 'none'"})

    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/vicidial.php*", forbid)
        _log_in(page, web)
        api.answer = 200, b'{"alias": "desk1001"}'
        page.evaluate("LogouT('API')")
        expect(page.locator("#hotdesk_moves")).to_be_visible()
