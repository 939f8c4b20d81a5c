"""An agent's screen in a real browser: out by hotdesk, in again by itself; out by anybody else, and it stays out."""

from playwright.sync_api import Dialog, Page, expect

from tests.hook.office import Office
from tests.support.browser import LONG_MS
from tests.support.processes import CLUSTER, until

RIGHT = "secret"
TEXT = "Your dialer failed. You are being moved to another one."


def _log_in(page: Page, office: Office, number: int, password: str = RIGHT) -> tuple[str, str]:
    """Fill in the login form, and give user and alias."""
    plan = office.site.plan.agent_plans[number]
    page.goto(f"{office.web.url}/vicidial.php?relogin=YES&phone_login={plan.alias}&phone_pass=phonepass")
    _send(page, plan.user, password)
    return plan.user, plan.alias


def _send(page: Page, user: str, password: str) -> None:
    page.fill("input[name=VD_login]", user)
    page.fill("input[name=VD_pass]", password)
    page.fill("input[name=VD_campaign]", "SALES")
    page.click("#submit")


def _server(page: Page) -> str:
    return page.locator("#server").inner_text()


def _move(office: Office, user: str) -> None:
    path = f"/v1/clusters/{CLUSTER}/agents/{user}/move"
    until(lambda: office.hotdesk.http.post(path, json={}).is_success, "the move is ordered")


def test_an_agent_whom_hotdesk_moves_is_back_by_itself_on_the_planned_dialer(office: Office, page: Page) -> None:
    user, alias = _log_in(page, office, 70)
    before = _server(page)
    screen = page.evaluate("original_phone_login")
    assert screen == alias
    until(lambda: all(each.slots == 0 for each in office.hotdesk.dialers()), "the login is seen", 60.0)
    _move(office, user)
    # the slot is there from the order on until the agent is seen on the new dialer
    (planned,) = until(lambda: [each.server_ip for each in office.hotdesk.dialers() if each.slots], "it is planned")
    expect(page.locator("#hotdesk_moves")).to_have_text(TEXT, timeout=LONG_MS)
    expect(page.locator("#server")).not_to_have_text(before, timeout=LONG_MS)
    assert _server(page) == planned
    assert page.evaluate("original_phone_login") == alias
    # and once more, from there
    until(lambda: all(each.slots == 0 for each in office.hotdesk.dialers()), "the login is seen", 60.0)
    second = _server(page)
    _move(office, user)
    expect(page.locator("#server")).not_to_have_text(second, timeout=LONG_MS)


def test_the_new_login_waits_for_the_old_session_to_end_and_nobody_is_asked_anything(
    office: Office, page: Page
) -> None:
    dialogs: list[str] = []

    def accept(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    user, _ = _log_in(page, office, 76)
    before = _server(page)
    sent: list[str] = []
    page.on("requestfinished", lambda request: sent.append(f"{request.method} {request.url}"))
    _move(office, user)
    expect(page.locator("#server")).not_to_have_text(before, timeout=LONG_MS)
    left = next(at for at, url in enumerate(sent) if "leave=1" in url)
    again = next(at for at, url in enumerate(sent) if url.startswith("POST") and url.endswith("/vicidial.php"))
    assert left < again
    assert dialogs == []


def test_an_agent_whose_own_logout_was_refused_in_a_call_is_moved_all_the_same(office: Office, page: Page) -> None:
    user, _ = _log_in(page, office, 77)
    before = _server(page)
    page.evaluate("inCall = true")
    page.click("#leave")
    expect(page.locator("#said")).to_have_text("STILL A LIVE CALL!")
    _move(office, user)
    expect(page.locator("#server")).not_to_have_text(before, timeout=LONG_MS)


def test_an_agent_whom_a_supervisor_logs_out_stays_out(office: Office, page: Page) -> None:
    user, _ = _log_in(page, office, 71)
    expect(page.locator("#server")).to_be_visible()
    with page.expect_response("**/hotdesk.php", timeout=LONG_MS) as asked:
        office.site.run(f"UPDATE vicidial_live_agents SET external_pause = 'LOGOUT' WHERE user = '{user}'")
    assert asked.value.json() == {"order": None}
    expect(page.get_by_text("LOG IN AGAIN")).to_be_visible()
    assert page.locator("#hotdesk_moves").count() == 0


def test_an_agent_who_logs_out_by_hand_is_not_even_asked_about(office: Office, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    _log_in(page, office, 72)
    page.click("#leave")
    expect(page.get_by_text("LOG IN AGAIN")).to_be_visible()
    page.clock.run_for(20_000)
    assert not [url for url in asked if url.endswith("hotdesk.php")]


def test_a_form_shown_again_after_a_wrong_password_sends_the_alias(office: Office, page: Page) -> None:
    user, alias = _log_in(page, office, 73, password="wrong")
    expect(page.locator("#why")).to_have_text("wrong password")
    assert page.locator("input[name=phone_login]").input_value() == alias
    assert (page.get_by_text("Timeclock").get_attribute("href") or "").endswith(f"pl={alias}")
    _send(page, user, RIGHT)
    expect(page.locator("#server")).to_be_visible()
    assert page.evaluate("original_phone_login") == alias


def test_the_link_back_names_the_alias_after_a_logout_by_hand(office: Office, page: Page) -> None:
    _, alias = _log_in(page, office, 74)
    page.click("#leave")
    page.get_by_text("LOG IN AGAIN").click()
    assert page.locator("input[name=phone_login]").input_value() == alias


def test_a_screen_that_vicidial_no_longer_knows_is_known_again(office: Office) -> None:
    plans = office.site.plan.agent_plans[60:63]
    for plan in plans:
        assert office.web.log_in(plan.user, plan.alias).logged_in
    users = ", ".join(plan.user for plan in plans)
    names = ", ".join(f"'session-{plan.user}'" for plan in plans)
    office.site.run(
        "INSERT INTO vicidial_session_data (session_name, user, server_ip, extension, login_time)"
        " SELECT CONCAT('session-', user), user, server_ip, extension, NOW()"
        f" FROM vicidial_live_agents WHERE user IN ({users})"
    )

    def known() -> bool:
        with office.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM web_client_sessions WHERE session_name IN ({names})")
            ((count,),) = cursor.fetchall()
            return bool(count == len(plans))

    until(known, "the screens are restored", 30.0)


def test_agents_of_a_dead_dialer_come_back_elsewhere(office: Office, page: Page) -> None:
    user, alias = _log_in(page, office, 75)
    dead = _server(page)
    until(lambda: all(each.slots == 0 for each in office.hotdesk.dialers()), "the login is seen", 60.0)
    office.cluster.kill(dead)
    try:
        expect(page.locator("#server")).not_to_have_text(dead, timeout=60_000)
        assert _server(page) in office.hotdesk.offered()
        assert page.evaluate("original_phone_login") == alias
        assert user
    finally:
        office.cluster.bring_back(dead)
