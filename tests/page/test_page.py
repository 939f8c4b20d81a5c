"""The status page as people use it: with a browser, with a keyboard, without JavaScript, in each state of a cluster."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from controller.page.view import dashboard_path
from messages.records import DialerState, Incident
from tests.support.browser import LONG_MS
from tests.support.builders import ONE, THREE, TWO
from tests.support.log_scene import Scene, playing
from tests.support.processes import CLUSTER, until


def row(page: Page, server_ip: str) -> str:
    return page.locator(f'[id="d-{server_ip}"]').inner_text()


def sentence(page: Page, text: str) -> None:
    expect(page.locator("#sentence")).to_contain_text(text, timeout=LONG_MS)


def clean(page: Page) -> None:
    """Search for what keeps people with a screen reader or weak eyes from using the page."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def order(page: Page) -> None:
    """Answer the question that a button asks first."""
    page.get_by_role("button", name="Yes, order it").click()


# --- what it shows ------------------------------------------------------------------------------------------------


def test_the_only_cluster_is_a_click_from_the_root(scene: Scene, page: Page) -> None:
    page.goto(scene.url)
    expect(page.locator(".sentence")).to_have_text("All 3 dialers are up.")
    page.get_by_role("link", name=CLUSTER).click()
    expect(page).to_have_url(scene.page)
    expect(page.get_by_role("heading", level=1)).to_have_text(CLUSTER)


def test_it_follows_the_ranking_without_being_loaded_anew(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    sentence(page, "All 3 dialers are up.")
    page.evaluate("window.same = true")
    scene.seat(ONE, "1001", "1002")
    expect(page.locator(f'[id="d-{ONE}"] .count')).to_have_text("2", timeout=LONG_MS)
    expect(page.locator(f'[id="d-{ONE}"] .statuses')).to_have_text("2 READY")
    expect(page.locator("#rows tr").last).to_have_attribute("id", f"d-{ONE}")
    expect(page.locator("#freshness")).to_have_text("Live")
    assert page.evaluate("window.same")


def test_the_bars_compare_the_loads_of_the_dialers(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    scene.seat(ONE, "1001", "1002")
    scene.seat(TWO, "1003")
    expect(page.locator(f'[id="d-{ONE}"] meter')).to_have_js_property("value", 2, timeout=LONG_MS)
    assert page.eval_on_selector_all("meter", "bars => bars.map(bar => bar.value / bar.max).sort()") == [0, 0.5, 1]


def test_what_the_cluster_lacks_has_a_page_of_its_own_with_equal_findings_in_one_row(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    page.get_by_role("link", name="What this VICIdial lacks").click()
    expect(page).to_have_url(scene.page + "/readiness")
    expect(page.locator("#findings")).to_have_text("VICIdial has all that hot-desking needs.")
    scene.aliases = {f"lost{number}": f"lost{number}a" for number in range(8)}
    found = until(lambda: scene.http.get(f"/v1/clusters/{CLUSTER}/readiness").json(), "phones are missing")
    page.reload()
    expect(page.locator("#findings")).to_contain_text(f"{len(found)} finding")
    rows = page.locator("tbody tr").all_inner_texts()
    assert 0 < len(rows) < len(found), "equal ones are one row"
    assert all(any(each["remedy"] in text for text in rows) for each in found)
    clean(page)
    page.get_by_role("link", name=CLUSTER).click()
    expect(page).to_have_url(scene.page)


def test_it_says_which_web_servers_ask(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    expect(page.locator("#hooks")).to_contain_text("No web server has asked yet")
    asked = {"user": "1001", "alias": "unknown"}
    httpx.post(f"{scene.url}/v1/clusters/{CLUSTER}/picks", json=asked, headers={"x-hotdesk-hook": "web1"})
    expect(page.locator("#hooks")).to_contain_text("web1 asked last", timeout=LONG_MS)
    clean(page)


def test_a_dead_dialer_shows_with_its_incident_and_every_moved_agent(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001", "1002", "1003")
    page.goto(scene.page)
    scene.silent = {ONE}
    sentence(page, f"{ONE} is down. hotdesk only advises: ")
    assert "stalled for" in row(page, ONE)
    expect(page.locator("#rows tr").first).to_have_attribute("id", f"d-{ONE}")
    card = page.locator(f'article[id^="i-{ONE}@"]')
    expect(card.get_by_role("heading")).to_contain_text(ONE)
    expect(card.locator("tbody tr")).to_have_count(3, timeout=LONG_MS)
    card.get_by_text("Agents who should be moved:").click()
    assert {each.inner_text() for each in card.locator("tbody th").all()} == {"1001", "1002", "1003"}
    card.get_by_text("Timeline").click()
    expect(card.locator(".decisions li").first).to_contain_text("opened incident")
    # an opened part stays open while the page goes on changing
    scene.silent = {ONE, TWO}
    expect(page.locator("article.incident")).to_have_count(2, timeout=LONG_MS)
    expect(card.locator(".decisions li").first).to_be_visible()


def test_names_lead_to_explain_and_an_incident_to_its_runbook(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001")
    page.goto(scene.page)
    scene.silent = {ONE}
    card = page.locator(f'article[id^="i-{ONE}@"]')
    card.get_by_text("Agents who should be moved:").click()
    card.get_by_role("link", name="1001").click()
    expect(page.locator("article.answer").first).to_contain_text(f"Logged in on {ONE}")
    page.locator("#rows").get_by_role("link", name=ONE).click()
    expect(page.locator("article.answer").first).to_contain_text("It is down since")
    card.get_by_role("link", name="What to do").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("HotdeskDialerDown")


def test_a_dashboard_shows_five_minutes_before_an_incident_and_after_it() -> None:
    open_one = Incident(
        cluster="west", incident="i", server_ip=ONE, kind=DialerState.DOWN, opened_at_ms=1_000_000, why="dead"
    )
    path = f"/d/hotdesk-failover?var-cluster=west&var-dialer={ONE}&from=700000&to="
    assert dashboard_path(open_one) == f"{path}now"
    assert dashboard_path(msgspec.structs.replace(open_one, closed_at_ms=2_000_000)) == f"{path}2300000"


def test_an_incident_leads_to_the_dashboard_of_its_dialer_and_time(tmp_path: Path, page: Page) -> None:
    with playing(tmp_path, grafana="https://grafana.example.com/") as scene:
        page.goto(scene.page)
        scene.silent = {ONE}
        link = page.locator("article.incident").get_by_role("link", name="In Grafana")
        opened = rf"https://grafana\.example\.com/d/hotdesk-failover\?var-cluster=west&var-dialer={ONE}&from=\d+&to="
        expect(link).to_have_attribute("href", re.compile(rf"^{opened}now$"), timeout=LONG_MS)
        scene.silent = set()
        closed = page.locator("#closed").get_by_role("link", name="In Grafana")
        expect(closed).to_have_attribute("href", re.compile(rf"^{opened}\d+$"), timeout=LONG_MS)


@pytest.mark.parametrize(("agents", "open_at_first"), [(10, True), (11, False)])
def test_a_long_list_of_agents_who_are_not_moved_is_closed_at_first(
    scene: Scene, page: Page, agents: int, *, open_at_first: bool
) -> None:
    scene.server_ips = (ONE,)
    scene.seat(ONE, *(str(1001 + each) for each in range(agents)))
    scene.silent = {ONE}
    until(lambda: [len(each.incident.listed) for each in scene.client.incidents()] == [agents], "all are listed")
    page.goto(scene.page)
    listed = page.locator("article.incident details", has_text=f"Not moved or not arrived: {agents}")
    assert (listed.get_attribute("open") is not None) == open_at_first
    listed.get_by_text("Not moved or not arrived").click()
    expect(listed.locator("li").first).to_be_visible(visible=not open_at_first)


def test_silent_screens_are_listed(scene: Scene, page: Page) -> None:
    scene.silent_screens = {"1001", "1002", "1003"}
    page.goto(scene.page)
    scene.seat(ONE, "1001", "1002", "1003", "1004")
    sentence(page, "VICIdial no longer knows the screens of 3 agents")
    expect(page.locator("#silent-heading")).to_have_text("Silent screens: 3")
    expect(page.locator("#silent li").first).to_contain_text(f"1001 on {ONE}, since")
    clean(page)


def test_a_cluster_of_which_nothing_is_known_says_so(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    sentence(page, "All 3 dialers are up.")
    scene.quiet = True
    sentence(page, "Nothing is known: no poll came in for 5 seconds.")
    scene.quiet = False
    sentence(page, "All 3 dialers are up.")


def test_it_tells_why_an_alias_goes_where_it_goes(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001")
    scene.seat(TWO, "1002")
    page.goto(scene.page)
    page.get_by_label("An alias, an agent, or a dialer").fill("desk-1001")
    page.get_by_role("button", name="Explain").click()
    answer = page.locator("article.answer")
    expect(answer).to_contain_text("stands for 1001a, 1001b, 1001c")
    expect(answer).to_contain_text(f"The next login goes to 1001c on {THREE}: the fewest agents and slots.")
    page.get_by_label("An alias, an agent, or a dialer").fill("<b>nobody</b>")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("p.answer")).to_contain_text("no dialer, agent, alias or phone login “<b>nobody</b>”")


def test_what_vicidial_holds_is_text_and_nothing_else(scene: Scene, page: Page) -> None:
    evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    scene.descriptions = {ONE: evil}
    scene.seat(ONE, "<i>x</i>")
    page.goto(scene.page)
    scene.silent = {ONE}
    expect(page.locator("article.incident tbody th")).to_have_text("<i>x</i>", timeout=LONG_MS)
    assert evil in row(page, ONE)
    assert page.locator("#live img, #live script, #live i").count() == 0
    assert page.evaluate("window.hacked") is None


def test_a_viewer_whose_clock_is_off_sees_the_same(scene: Scene, page: Page) -> None:
    page.clock.set_fixed_time("2001-01-01T00:00:00Z")
    page.goto(scene.page)
    scene.seat(ONE, "1001")
    expect(page.locator(f'[id="d-{ONE}"] .count')).to_have_text("1", timeout=LONG_MS)
    expect(page.locator("#freshness")).to_have_text("Live")


def test_a_page_whose_hotdesk_is_gone_says_that_it_is_old(tmp_path: Path, page: Page) -> None:
    with playing(tmp_path) as scene:
        page.goto(scene.page)
        expect(page.locator("#freshness")).to_have_text("Live")
    expect(page.locator("#freshness")).to_contain_text("No update for", timeout=LONG_MS)


def test_without_javascript_the_page_tells_the_state_and_takes_orders(scene: Scene, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    scene.seat(ONE, "1001")
    page.goto(scene.page)
    assert page.locator("#sentence").inner_text() == "All 3 dialers are up."
    assert page.locator("meta[http-equiv=refresh]").count() == 1
    page.locator(f'[id="d-{ONE}"]').get_by_role("button", name="Drain").click()
    expect(page.locator("#preview")).to_contain_text("1 agent: 1 would go to")
    order(page)
    expect(page.locator(".confirmation")).to_contain_text(f"Ordered: {ONE} drains until")
    until(lambda: {each.state for each in scene.client.dialers()} == {"up", "draining"}, "it drains")
    context.close()


# --- orders -------------------------------------------------------------------------------------------------------


def test_a_dialer_is_drained_and_takes_logins_again(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    page.get_by_label("Reason (for the audit)").fill("new disk")
    page.locator(f'[id="d-{ONE}"]').get_by_role("button", name="Drain").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Drain {ONE}?")
    expect(page.locator("#preview")).to_contain_text("No agent is there.")
    clean(page)
    page.get_by_role("link", name="No, go back").click()
    assert scene.http.get(f"/v1/clusters/{CLUSTER}/orders").json() == []
    page.get_by_label("Reason (for the audit)").fill("new disk")
    page.locator(f'[id="d-{ONE}"]').get_by_role("button", name="Drain").click()
    order(page)
    sentence(page, f"{ONE} is draining.")
    (found,) = scene.http.get(f"/v1/clusters/{CLUSTER}/explanations/{ONE}").json()
    assert "status page ordered the drain: new disk." in found["words"]
    expect(page.locator("#standing li")).to_contain_text(f"{ONE} drains until")
    expect(page.locator("#standing li")).to_contain_text("new disk")
    clean(page)
    page.locator(f'[id="d-{ONE}"]').get_by_role("button", name="Take logins again").click()
    order(page)
    sentence(page, "All 3 dialers are up.")
    expect(page.locator("#standing")).to_have_count(0)


def test_automatic_moves_are_suspended_and_resumed(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    page.get_by_role("button", name="Suspend automatic moves").click()
    order(page)
    sentence(page, "Suspended by status page")
    page.get_by_role("button", name="Resume automatic moves").click()
    order(page)
    sentence(page, "All 3 dialers are up.")


def advised(scene: Scene) -> list[str]:
    """Return the agents of whom hotdesk has said that it would move them; an order that is answered so is over."""
    decisions = scene.http.get(f"/v1/clusters/{CLUSTER}/decisions").json()
    return [each["subject"] for each in decisions if each["code"] == "move_advised"]


def test_an_agent_is_moved_and_a_wrong_name_is_said(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001")
    page.goto(scene.page)
    page.get_by_label("Agent to move").fill("1001")
    page.get_by_role("button", name="Move", exact=True).click()
    order(page)
    expect(page.locator(".confirmation")).to_contain_text("Ordered: hotdesk only advises here: 1001 would be moved")
    until(lambda: advised(scene), "the move is advised")
    page.get_by_label("Agent to move").fill("4711")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("no agent is logged in as '4711'")
    page.get_by_role("link", name="Back").click()
    expect(page).to_have_url(scene.page)


def test_enter_orders_nothing_that_was_not_meant(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001")
    page.goto(scene.page)
    page.get_by_label("Reason (for the audit)").fill("just looking")
    page.keyboard.press("Enter")
    page.get_by_label("Agent to move").fill("1001")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Move 1001?")
    expect(page.get_by_role("link", name="No, go back")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".confirmation")).to_contain_text("1001 would be moved")
    until(lambda: advised(scene), "the move is advised")
    assert scene.client.metric("hotdesk_cluster_paused") == 0


def test_somebody_takes_an_incident_and_silences_it(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001")
    page.goto(scene.page)
    scene.silent = {ONE}
    expect(page.locator("article.incident")).to_contain_text("Not acknowledged yet.", timeout=LONG_MS)
    page.get_by_label("An acknowledgement silences").select_option("60")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("article.incident")).to_contain_text("Acknowledged by status page.", timeout=LONG_MS)
    (found,) = scene.client.incidents()
    assert found.silenced_until_ms is not None


def test_a_dialer_that_dies_after_it_was_drained_is_no_cause_for_alarm(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    page.locator(f'[id="d-{ONE}"]').get_by_role("button", name="Drain").click()
    order(page)
    until(lambda: scene.client.metric("hotdesk_incident_open", kind="draining") == 1, "it drains")
    assert scene.client.metric("hotdesk_incident_expected", server_ip=ONE) == 0
    scene.silent = {ONE}
    until(lambda: scene.client.metric("hotdesk_incident_open", kind="down") == 1, "it dies")
    assert scene.client.metric("hotdesk_incident_expected", server_ip=ONE) == 1
    # but it is one for whoever is still there
    scene.seat(ONE, "1001")
    until(lambda: scene.client.metric("hotdesk_incident_agents", server_ip=ONE) == 1, "somebody is")
    assert scene.client.metric("hotdesk_incident_expected", server_ip=ONE) == 0


def test_the_brake_is_released(scene: Scene, page: Page) -> None:
    scene.seat(ONE, "1001")
    page.goto(scene.page)
    scene.silent = {ONE, TWO}
    sentence(page, "No agent is moved: 2 of 3 dialers in service look bad at once")
    page.get_by_role("button", name="Release the fleet brake").click()
    expect(page.locator("#preview")).to_contain_text(f"Agents leave {ONE}, {TWO}. 1 agent: ")
    order(page)
    sentence(page, f"{ONE} is down; {TWO} is down.")


def test_everything_is_reached_by_keyboard_and_focus_stays_while_the_page_changes(scene: Scene, page: Page) -> None:
    page.goto(scene.page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    button = page.locator(f'[id="b-drain-{ONE}"]')
    for _ in range(12):
        page.keyboard.press("Tab")
        if button.evaluate("each => each === document.activeElement"):
            break
    # the row moves to the end of the table, and the keyboard with it
    scene.seat(ONE, "1001")
    expect(page.locator("#rows tr").last).to_have_attribute("id", f"d-{ONE}", timeout=LONG_MS)
    assert button.evaluate("each => each === document.activeElement")
    page.keyboard.press("Enter")
    order(page)
    sentence(page, f"{ONE} is draining.")


# --- for everybody ------------------------------------------------------------------------------------------------


@pytest.fixture(params=[("light", 1200, 900), ("dark", 360, 740)], ids=["light", "dark phone"])
def look(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Yield a page as different people have it."""
    # axe is put into the page by the test, which the page's own policy would not let run
    scheme, width, height = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height}, bypass_csp=True)
    yield context.new_page()
    context.close()


def test_nothing_keeps_anybody_from_reading_it(scene: Scene, look: Page) -> None:
    scene.seat(ONE, "1001", "1002")
    look.goto(scene.url)
    clean(look)
    look.goto(f"{scene.page}?explain=desk-1001")
    sentence(look, "All 3 dialers are up.")
    clean(look)
    scene.silent = {ONE}
    sentence(look, f"{ONE} is down.")
    expect(look.locator("article.incident tbody tr")).to_have_count(2, timeout=LONG_MS)
    look.get_by_text("Agents who should be moved:").click()
    look.get_by_text("Timeline").click()
    clean(look)
    overflow = look.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    scene.silent = {ONE, TWO}
    sentence(look, "No agent is moved")
    clean(look)
    scene.quiet = True
    sentence(look, "Nothing is known")
    clean(look)
    # and old, as it is when no news come any more
    look.evaluate("document.querySelectorAll('#live, #freshness').forEach(each => each.classList.add('old'))")
    clean(look)


def test_nothing_lies_off_the_right_edge_at_any_width(scene: Scene, page: Page) -> None:
    # as long as VICIdial's tables let a name and a description be, of words and of none
    scene.names = {ONE: "WWWWDIAL01", TWO: "DIALER0002"}
    scene.descriptions = {ONE: "the simulated dialer of the floor " * 4, TWO: "first_floor_of_the_" * 10}
    scene.seat(ONE, "1001", "1002")
    page.goto(scene.page)
    scene.silent = {ONE}
    sentence(page, f"WWWWDIAL01 ({ONE}) is down.")
    expect(page.locator("article.incident tbody tr")).to_have_count(2, timeout=LONG_MS)
    for name in ("Moved agents", "Agents who should be moved", "Latest decisions"):
        for each in page.locator("summary", has_text=name).all():
            each.click()
    wide = {}
    for width in (360, 390, 600, 768, 800, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        wide[width] = page.evaluate("document.documentElement.scrollWidth")
        button = page.get_by_role("button", name="Drain: WWWWDIAL01").bounding_box()
        assert button is not None
        assert button["x"] + button["width"] <= width
    assert wide == {width: width for width in wide}


def test_no_script_stands_in_a_page_and_the_policy_lets_none_run(scene: Scene) -> None:
    for path in ("/", f"/clusters/{CLUSTER}", "/sign-in", "/clusters/nowhere"):
        answer = scene.http.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|javascript:", answer.text)
        assert "http://" not in answer.text
        assert "https://" not in answer.text


def test_a_cluster_that_is_not_known_is_said_in_a_page(scene: Scene, page: Page) -> None:
    answer = page.goto(f"{scene.url}/clusters/nowhere")
    assert answer is not None
    assert answer.status == httpx.codes.NOT_FOUND
    expect(page.get_by_role("alert")).to_contain_text("no observations of cluster 'nowhere'; known: west")
