"""The login page follows hotdesk's ranking, and everything typed that hotdesk does not know is left alone."""

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.hook.office import Office
from tests.support.processes import CLUSTER, until
from tests.support.web import Shown


@pytest.fixture(autouse=True)
def everybody_goes_home(office: Office) -> Iterator[None]:
    """Leave neither sessions nor slots to the next test."""
    yield
    office.site.run("DELETE FROM vicidial_live_agents WHERE extension NOT LIKE 'R%'")
    for plan in office.site.plan.agent_plans:
        if office.hotdesk.http.delete(f"/v1/clusters/{CLUSTER}/picks/{plan.user}").is_error:
            raise AssertionError(plan.user)
    until(lambda: all(each.agents + each.slots == 0 for each in office.hotdesk.dialers()), "everybody is gone")


def _clusters(office: Office, number: int) -> tuple[str, str, set[str]]:
    """Return an agent's user, alias and phones."""
    plan = office.site.plan.agent_plans[number]
    return plan.user, plan.alias, {phone.login for phone in plan.phones}


def _server(shown: Shown) -> str:
    found = re.search(r'id="server">([^<]*)<', shown.html)
    assert found, shown.html
    return found[1]


def _slots(office: Office) -> int:
    return sum(each.slots for each in office.hotdesk.dialers())


def _order_away(office: Office, number: int, before: Callable[[], object] = lambda: None) -> Shown:
    """Log an agent in through the page, and have hotdesk log the session out again, after something else was done."""
    user, alias, _ = _clusters(office, number)
    shown = office.web.log_in(user, alias)
    before()
    path = f"/v1/clusters/{CLUSTER}/agents/{user}/move"
    until(lambda: office.hotdesk.http.post(path, json={}).is_success, "the move is ordered")
    until(lambda: _external_pause(office, user) == "LOGOUT", "the screen is told")
    return shown


def _ordered(office: Office, shown: Shown) -> object:
    """Return the order of a screen. hotdesk hears a little later than the screen that it was sent a logout."""
    return until(lambda: office.web.ask(shown.screen)["order"], "there is an order")


def _back(office: Office, number: int) -> Shown:
    """Log an agent in again who was ordered away: only that ends the slot of the move at once."""
    shown = office.web.log_in(*_clusters(office, number)[:2])
    until(lambda: _slots(office) == 0, "hotdesk has seen the new session")
    return shown


def _external_pause(office: Office, user: str) -> str:
    with office.site.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT external_pause FROM vicidial_live_agents WHERE user = %s", (user,))
        row = cursor.fetchone()
    return row[0] if row else ""


def test_an_alias_lands_where_hotdesk_says_and_is_given_back(office: Office) -> None:
    user, alias, phones = _clusters(office, 0)
    drained = office.site.plan.dialer_plans[-1].server_ip
    path = f"/v1/clusters/{CLUSTER}/dialers/{drained}/drain"
    assert office.hotdesk.http.post(path, json={"by": "test"}).is_success
    until(lambda: drained not in office.hotdesk.offered(), "the order is known")
    # VICIdial takes the last listed of equals, and knows nothing of the order
    shown = office.web.log_in(user, alias)
    assert shown.logged_in
    assert shown.phone_login in phones
    assert _server(shown) != drained
    assert f'"alias":"{alias}"' in shown.html
    assert office.hotdesk.http.delete(path).is_success
    until(lambda: drained in office.hotdesk.offered(), "the order is taken back")


def test_a_form_sent_again_gets_the_same_phone_and_holds_one_slot(office: Office) -> None:
    until(lambda: _slots(office) == 0, "nothing is under way")
    user, alias, _ = _clusters(office, 1)
    shown = [office.web.log_in(user, alias, VD_pass="wrong") for _ in range(3)]
    assert len({each.phone_login for each in shown}) == 1
    assert _slots(office) == 1
    assert office.hotdesk.http.delete(f"/v1/clusters/{CLUSTER}/picks/{user}").is_success


def test_no_password_and_no_other_page_reaches_hotdesk(office: Office) -> None:
    user, alias, _ = _clusters(office, 2)
    answer = office.web.http.get("/feed.php", params={"phone_login": alias, "user": user, "id": "0"})
    assert answer.text == "GONE"
    assert _slots(office) == 0


def test_a_phone_login_is_left_alone(office: Office) -> None:
    user, _, phones = _clusters(office, 3)
    login = min(phones)
    assert office.web.log_in(user, login).phone_login == login


def test_a_list_of_phone_logins_is_balanced_like_an_alias(office: Office) -> None:
    user, _, phones = _clusters(office, 4)
    typed = ",".join(sorted(phones))
    shown = office.web.log_in(user, typed)
    assert shown.phone_login in phones
    assert f'"alias":"{typed}"' in shown.html


@pytest.mark.parametrize(
    "typed", ["nobody", "x" * 300, "des'k", 'a"b', "ключ", ",,,", "<script>"], ids=lambda typed: typed[:10]
)
def test_what_hotdesk_does_not_know_goes_on_as_it_was_typed(office: Office, typed: str) -> None:
    cleaned = re.sub(r"[^,0-9a-zA-Z]", "", typed)
    assert office.web.log_in("1001", typed).phone_login == cleaned
    # and is no outage: the next login is answered
    user, alias, phones = _clusters(office, 5)
    assert office.web.log_in(user, alias, VD_pass="wrong").phone_login in phones


def test_a_prefilled_form_of_the_re_login_link_asks_nobody(office: Office) -> None:
    user, alias, _ = _clusters(office, 6)
    until(lambda: _slots(office) in {0, 1}, "nothing is under way")
    before = _slots(office)
    shown = office.web.log_in(user, alias, relogin="YES")
    assert (shown.phone_login, shown.screen) == (alias, "")
    assert _slots(office) <= before


def test_an_order_is_told_only_to_the_screen_it_is_for_until_its_agent_is_back(office: Office) -> None:
    shown = _order_away(office, 10)
    _, alias, phones = _clusters(office, 10)
    assert office.web.answer("0" * 32) == {"order": None}
    assert office.web.answer("not a screen") == {"order": None}
    assert office.web.answer("") == {"order": None}
    for _ in range(2):
        assert _ordered(office, shown) == {"alias": alias}
    assert _back(office, 10).phone_login in phones - {shown.phone_login}
    assert office.web.answer(shown.screen) == {"order": None}


def test_whoever_sends_forms_in_an_agents_name_takes_no_order_away(office: Office) -> None:
    user, alias, phones = _clusters(office, 14)
    for typed in (alias, *phones):
        office.web.log_in(user, typed, VD_pass="wrong")
    shown = _order_away(office, 14, before=lambda: [office.web.log_in(user, alias, VD_pass="wrong")])
    assert _ordered(office, shown) == {"alias": alias}
    assert _back(office, 14).phone_login in phones - {shown.phone_login}


def test_a_screen_that_nobody_moves_gets_no_order(office: Office) -> None:
    user, alias, _ = _clusters(office, 11)
    assert office.web.answer(office.web.log_in(user, alias).screen) == {"order": None}


def test_only_this_sites_own_pages_may_ask_for_an_order(office: Office) -> None:
    shown = _order_away(office, 12)
    away = {"Sec-Fetch-Site": "cross-site"}
    assert office.web.http.get("/hotdesk.php", params={"screen": shown.screen}).status_code == 405
    refused = office.web.http.post("/hotdesk.php", data={"screen": shown.screen}, headers=away)
    assert (refused.status_code, refused.json()) == (405, {"order": None})
    assert _ordered(office, shown)
    _back(office, 12)


def test_hotdesk_knows_which_web_server_asked(office: Office) -> None:
    user, alias, _ = _clusters(office, 16)
    office.web.log_in(user, alias, VD_pass="wrong")
    ranking = office.hotdesk.ranking()
    assert ranking
    assert [each.web for each in ranking.hooks] == [socket.gethostname()]


def test_no_order_is_told_where_re_login_is_switched_off(office: Office) -> None:
    office.web.set_up(office.hotdesk.url, relogin="off")
    try:
        user, alias, phones = _clusters(office, 13)
        shown = office.web.log_in(user, alias)
        assert shown.phone_login in phones
        assert shown.screen == ""
    finally:
        office.web.set_up(office.hotdesk.url)


def test_a_herd_of_logins_spreads(office: Office) -> None:
    before = {each.server_ip: each.agents for each in office.hotdesk.dialers()}
    with ThreadPoolExecutor(12) as pool:
        shown = list(pool.map(lambda number: office.web.log_in(*_clusters(office, number)[:2]), range(20, 65)))
    after = dict(before)
    for each in shown:
        after[_server(each)] += 1
    assert max(after.values()) - min(after.values()) <= 1
