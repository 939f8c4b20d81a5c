"""VICIdial's non-agent API: its answers are read for what they mean, and no secret comes back with them."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from controller.vicidial.non_agent_api import Answered, NonAgentApi
from messages.codes import Reply
from simulator.database import Database
from simulator.non_agent_api import HANG, LOCKS_AFTER, FakeNonAgentApi
from simulator.plan import ClusterPlan
from tests.support.processes import Site, site
from tests.support.timing import on_this_machine

USER, PASSWORD = "6666", "adminpw"
PHONE = {
    "extension": "7001",
    "dialplan_number": "7001",
    "voicemail_id": "7001",
    "phone_login": "7001a",
    "phone_pass": "agentpw",
    "server_ip": "127.20.0.11",
    "protocol": "SIP",
    "registration_password": "regsecret",
    "phone_full_name": "Anna",
    "local_gmt": "-5.00",
    "outbound_cid": "0000000000",
}
SECRETS = ("phone_pass", "registration_password")
SHOWN = f"<html>{PASSWORD} agentpw</html>".encode()
"""A page that repeats what it was sent."""


@pytest.fixture(scope="module")
def small(database: Database) -> Iterator[Site]:
    """Yield a cluster of two dialers, and a user who may make and delete phones."""
    with site(database, ClusterPlan(dialers=2, agents=1, remote_agents=0)) as made:
        made.run(
            "INSERT INTO vicidial_users (user, pass, user_level, vdc_agent_api_access, ast_admin_access,"
            f" ast_delete_phones) VALUES ('{USER}', '{PASSWORD}', 8, '1', '1', '1')"
        )
        yield made


@pytest.fixture
def fake(small: Site) -> Iterator[FakeNonAgentApi]:
    """Yield the API of its web server."""
    with FakeNonAgentApi(small.connect) as made:
        yield made
    small.run("DELETE FROM phones WHERE extension = '7001'")


def api_of(fake: FakeNonAgentApi, password: str = PASSWORD, seconds: float = 15.0) -> NonAgentApi:
    return NonAgentApi(fake.url, USER, password, timeout_seconds=seconds)


def add(fake: FakeNonAgentApi, **fields: str) -> Answered:
    return api_of(fake).ask("add_phone", PHONE | fields, SECRETS)


def test_a_phone_is_made_changed_and_deleted(fake: FakeNonAgentApi, small: Site) -> None:
    api = api_of(fake)
    assert api.why_useless() is None
    assert add(fake) == Answered(Reply.DONE)
    where = {"extension": "7001", "server_ip": "127.20.0.11"}
    assert api.ask("update_phone", where | {"phone_pass": "other"}).reply is Reply.DONE
    with small.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT login, pass, conf_secret, active FROM phones WHERE extension = '7001'")
        assert cursor.fetchall() == (("7001a", "other", "regsecret", "Y"),)
    assert api.ask("update_phone", where | {"delete_phone": "Y"}).reply is Reply.DONE
    assert api.ask("update_phone", where | {"delete_phone": "Y"}).reply is Reply.GONE


def test_a_refusal_has_vicidials_words_and_no_secret(fake: FakeNonAgentApi) -> None:
    assert add(fake).reply is Reply.DONE
    again = add(fake)
    assert again.reply is Reply.REFUSED
    assert "PHONE ALREADY EXISTS ON THIS SERVER" in again.said
    lacking = add(fake, outbound_cid="", extension="7002")
    assert lacking.reply is Reply.REFUSED
    assert "YOU MUST USE ALL REQUIRED FIELDS" in lacking.said
    assert "agentpw" not in lacking.said
    assert "regsecret" not in lacking.said


def test_an_account_that_is_refused_is_denied_and_its_password_not_repeated(fake: FakeNonAgentApi, small: Site) -> None:
    wrong = api_of(fake, password="wrongpassword")
    answered = wrong.why_useless()
    assert answered is not None
    assert answered.reply is Reply.DENIED
    assert "BAD" in answered.said
    assert "wrongpassword" not in answered.said
    for _ in range(LOCKS_AFTER):
        wrong.ask("add_phone", PHONE, SECRETS)
    assert "LOCK" in wrong.ask("add_phone", PHONE, SECRETS).said
    small.run(f"UPDATE vicidial_users SET ast_delete_phones = '0' WHERE user = '{USER}'")
    with FakeNonAgentApi(small.connect) as unlocked:
        assert add(unlocked).reply is Reply.DONE
        where = {"extension": "7001", "server_ip": "127.20.0.11", "delete_phone": "Y"}
        kept = api_of(unlocked).ask("update_phone", where)
        assert kept.reply is Reply.DENIED
        assert "AST delete phones" in kept.said
        small.run(f"UPDATE vicidial_users SET ast_delete_phones = '1', user_level = 7 WHERE user = '{USER}'")
        low = api_of(unlocked).why_useless()
        small.run(f"UPDATE vicidial_users SET user_level = 8 WHERE user = '{USER}'")
    assert low is not None
    assert (low.reply, "level 8" in low.said) == (Reply.DENIED, True)


def test_what_php_prints_before_an_answer_hides_none(fake: FakeNonAgentApi) -> None:
    fake.preface = "<br />\n<b>Warning</b>:  Undefined variable $DB in <b>non_agent_api.php</b><br />\n"
    assert api_of(fake).why_useless() is None
    assert add(fake).reply is Reply.DONE


def test_an_answer_that_does_not_come_is_unclear(fake: FakeNonAgentApi) -> None:
    fake.before = lambda _form: HANG
    answered = api_of(fake, seconds=on_this_machine(0.3)).ask("add_phone", PHONE, SECRETS)
    assert answered.reply is Reply.UNCLEAR
    assert "in time" in answered.said


def test_who_does_not_answer_or_is_something_else_is_named(fake: FakeNonAgentApi) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        silent = NonAgentApi(f"http://127.0.0.1:{bound.getsockname()[1]}/x.php", USER, PASSWORD)
        assert silent.ask("add_phone", PHONE, SECRETS).reply is Reply.UNSENT
        useless = silent.why_useless()
    assert useless is not None
    assert useless.reply is Reply.UNSENT
    page = httpx.MockTransport(lambda _request: httpx.Response(200, stream=httpx.ByteStream(SHOWN)))
    other = NonAgentApi("http://web/other.php", USER, PASSWORD, transport=page).ask("add_phone", PHONE, SECRETS)
    assert other.reply is Reply.UNCLEAR
    assert PASSWORD not in other.said
    assert "agentpw" not in other.said
    assert fake.asked == []


def test_what_a_column_has_no_room_for_is_cut_off_as_mariadb_does(fake: FakeNonAgentApi, small: Site) -> None:
    """So a login of sixteen characters is refused before it is asked for."""
    assert add(fake, phone_login="7001abcdefghijkl").reply is Reply.DONE
    with small.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT login FROM phones WHERE extension = '7001'")
        assert cursor.fetchall() == (("7001abcdefghijk",),)
