"""A screen whose session VICIdial no longer knows, as after a restart of the database, is logged in again by itself."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.processes import until
from tests.support.web import FakeApi, Web

REFUSED = "Invalid session_name: |1764200000_1001_7|10.0.0.1|\n"
"""Build 250326-2032 answers so; the words are in the agent's language."""
KNOWN = "DateTime: 2026-11-27 07:31:55|UnixTime: 1764228715|Logged-in: Y|\n"
POLL = """() => {
  window.session_name = '1764200000_1001_7';
  window.server_ip = '10.0.0.1';
  window.setInterval(() => {
    const poll = new XMLHttpRequest();
    poll.open('POST', 'conf_exten_check.php');
    poll.send('session_name=' + session_name);
  }, 100);
}"""
TEXT = "VICIdial was restarted, and no longer knows this screen."


class Screen:
    """An agent's screen, and what VICIdial answers to its polls."""

    def __init__(self, page: Page, web: Web) -> None:
        self.page = page
        self.answers = [KNOWN]
        """In turn, the last one for good."""
        self.polls = 0
        # each screen waits for a moment of its own
        page.add_init_script("Math.random = () => 0")
        page.clock.install()
        page.route("**/conf_exten_check.php", self._answer)
        page.goto(f"{web.url}/vicidial.php?relogin=YES&phone_login=desk1001&phone_pass=phonepass")
        for name, value in {"VD_login": "1001", "VD_pass": "secret", "VD_campaign": "SALES"}.items():
            page.fill(f"input[name={name}]", value)
        page.click("#submit")
        expect(page.locator("#phone")).to_have_text("1001b")
        page.evaluate(POLL)

    def hears(self, polls: int) -> None:
        """Wait until so many more polls were answered."""
        wanted = self.polls + polls
        until(lambda: bool(self.page.evaluate("1")) and self.polls >= wanted, "the screen polls")

    def is_refused(self, seconds: int = 66) -> None:
        """Let VICIdial refuse the screen for so long."""
        self.answers = [REFUSED]
        self.hears(2)
        self.page.clock.fast_forward(seconds * 1000)

    def _answer(self, route: Route) -> None:
        self.polls += 1
        route.fulfill(body=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.fixture
def screen(page: Page, patient_web: Web, api: FakeApi) -> Screen:
    """Return the screen of an agent who is logged in, and a hotdesk that has another phone for the next login."""
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001b"}'
    patient_web.set_up(api.url)
    made = Screen(page, patient_web)
    api.answer = 201, b'{"user": "1001", "alias": "desk1001", "phone_login": "1001c"}'
    return made


def test_a_screen_that_vicidial_refuses_is_logged_in_again(screen: Screen) -> None:
    screen.is_refused(7)
    expect(screen.page.locator("#hotdesk_moves")).to_contain_text(TEXT)
    expect(screen.page.locator("#phone")).to_have_text("1001b")
    screen.is_refused()
    expect(screen.page.locator("#phone")).to_have_text("1001c")
    assert screen.page.evaluate("original_phone_login") == "desk1001"
    expect(screen.page.locator("#DeactivateDOlDSessioNSpan")).to_be_hidden()


def test_one_in_a_call_waits_until_the_agent_has_hung_up(screen: Screen) -> None:
    screen.page.evaluate("VD_live_customer_call = 1")
    screen.is_refused()
    expect(screen.page.locator("#hotdesk_moves")).to_contain_text("Hang up if you are in a call")
    expect(screen.page.locator("#phone")).to_have_text("1001b")
    expect(screen.page.locator("#DeactivateDOlDSessioNSpan")).to_be_visible()
    screen.page.evaluate("VD_live_customer_call = 0")
    expect(screen.page.locator("#phone")).to_have_text("1001c")


def test_a_screen_whose_session_was_put_back_stays_as_it_is(screen: Screen) -> None:
    screen.is_refused(20)
    expect(screen.page.locator("#hotdesk_moves")).to_contain_text(TEXT)
    screen.answers = [KNOWN]
    expect(screen.page.locator("#hotdesk_moves")).to_have_count(0)
    screen.page.clock.fast_forward(90_000)
    expect(screen.page.locator("#phone")).to_have_text("1001b")


def test_a_screen_that_vicidial_knows_stays_as_it_is(screen: Screen) -> None:
    screen.answers = [REFUSED, KNOWN, "", "Invalid session_name: |another|10.0.0.1|"]
    screen.hears(10)
    screen.page.clock.fast_forward(90_000)
    screen.hears(10)
    assert screen.page.locator("#hotdesk_moves").count() == 0
    expect(screen.page.locator("#phone")).to_have_text("1001b")


def test_where_vicidial_shows_no_link_back_it_promises_nothing(screen: Screen) -> None:
    screen.page.evaluate("LogouT = function () { document.getElementById('said').textContent = 'logged out'; }")
    screen.is_refused()
    expect(screen.page.locator("#said")).to_have_text("logged out")
    expect(screen.page.locator("#hotdesk_moves")).to_have_count(0)
