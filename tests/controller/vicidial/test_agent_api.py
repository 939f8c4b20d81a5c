"""VICIdial's agent API: what is sent, how the text of its answers is read, and what never leaks."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.core.actions import Outcome
from controller.vicidial.agent_api import AgentApi
from controller.vicidial.connections import Statements
from controller.vicidial.sql import SqlAgentControl
from hotdesk.actuator_settings import ActuatorSettings
from messages.codes import Reply
from messages.records import AgentPause, Arrival, Relogin
from simulator.agent_api import LOCKS_AFTER, Asked, FakeAgentApi, Misbehavior
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.builders import ONE, TWO, may_go_on
from tests.support.processes import CLUSTER, Site, site, until
from tests.support.timing import on_this_machine
from tests.support.web import web_server

USER, PASSWORD = "hotdesk", "Pass word;1'2"
RELOGIN = Relogin(
    cluster=CLUSTER,
    live_agent_id=1,
    user="1001",
    incident="i",
    from_server_ip=ONE,
    to_server_ip=TWO,
    phone_login="1001b",
    planned_at_ms=1,
)
ARRIVAL = Arrival(cluster=CLUSTER, live_agent_id=1, user="1001", incident="i", server_ip=ONE, since_ms=1)
HOLD = AgentPause(cluster=CLUSTER, live_agent_id=1, user="1001", incident="i", server_ip=ONE)
SHORT = 0.3


@contextmanager
def logged_in(database: Database) -> Iterator[Site]:
    with site(database, ClusterPlan(dialers=2, agents=3, remote_agents=0)) as made:
        with made.living() as cluster:
            cluster.stop()
            cluster.begin_mid_shift()
        yield made


@pytest.fixture(scope="module")
def vicidial(database: Database) -> Iterator[Site]:
    """Yield a cluster whose agents are logged in, and whose screens nobody looks at."""
    with logged_in(database) as made:
        yield made


@pytest.fixture
def web(vicidial: Site) -> Iterator[FakeAgentApi]:
    """Yield its web server, and rows that nobody has ordered anything in."""
    vicidial.run("UPDATE vicidial_live_agents SET external_pause='', external_hangup='', external_status=''")
    with FakeAgentApi(vicidial.connect, user=USER, password=PASSWORD) as server:
        yield server


def hand(*urls: str, password: str = PASSWORD, timeout: float | None = None) -> AgentApi:
    return AgentApi(urls, USER, password, timeout_seconds=on_this_machine(2.0) if timeout is None else timeout)


def row(at: Site, user: str = "1001") -> tuple[Any, ...]:
    with at.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT external_pause, external_hangup, external_status FROM vicidial_live_agents WHERE user = %s", (user,)
        )
        (found,) = cursor.fetchall()
        return tuple(found)


def shows_nothing(outcome: Outcome) -> None:
    """Search for the password, as it is and as VICIdial repeats it."""
    for form in (PASSWORD, "Password12", "Pass+word"):
        assert form not in outcome.said
    assert "\n" not in outcome.said
    assert len(outcome.said) <= 400


def test_a_screen_is_told_to_log_out(web: FakeAgentApi, vicidial: Site) -> None:
    outcome = hand(web.url).log_out(RELOGIN, None, may_go_on)
    assert outcome.reply is Reply.DONE
    assert web.asked == [Asked("logout", "1001", "LOGOUT")]
    assert row(vicidial)[0] == "LOGOUT"
    assert row(vicidial, "1002")[0] == ""


def test_one_in_a_dead_call_is_told_to_hang_up_and_given_a_status_first(web: FakeAgentApi, vicidial: Site) -> None:
    assert hand(web.url).log_out(RELOGIN, "DROP", may_go_on).reply is Reply.DONE
    assert [each.function for each in web.asked] == ["external_hangup", "external_status", "logout"]
    assert row(vicidial) == ("LOGOUT", "1", "DROP")


def test_without_a_status_the_dead_call_is_hung_up_all_the_same(web: FakeAgentApi, vicidial: Site) -> None:
    assert hand(web.url).log_out(RELOGIN, "", may_go_on).reply is Reply.DONE
    assert [each.function for each in web.asked] == ["external_hangup", "logout"]
    assert row(vicidial) == ("LOGOUT", "1", "")


def test_one_that_was_told_and_waits_for_a_dead_call_is_only_told_to_hang_up(web: FakeAgentApi, vicidial: Site) -> None:
    vicidial.run("UPDATE vicidial_live_agents SET external_pause = 'LOGOUT' WHERE user = '1001'")
    assert hand(web.url).hang_up(RELOGIN, "DROP").reply is Reply.DONE
    assert [each.function for each in web.asked] == ["external_hangup", "external_status"]
    assert row(vicidial) == ("LOGOUT", "1", "DROP")


@pytest.mark.parametrize(("hang_up_as", "written"), [("", ("LOGOUT", "1", "")), ("DROP", ("LOGOUT", "1", "DROP"))])
def test_by_sql_that_is_the_same_and_may_be_said_again(
    vicidial: Site, hang_up_as: str, written: tuple[str, ...]
) -> None:
    vicidial.run("UPDATE vicidial_live_agents SET external_pause = '', external_hangup = '', external_status = ''")
    with vicidial.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT live_agent_id, user, server_ip FROM vicidial_live_agents WHERE user = '1001'")
        ((live_agent_id, user, server_ip),) = cursor.fetchall()
    order = msgspec.structs.replace(RELOGIN, live_agent_id=live_agent_id, user=user, from_server_ip=server_ip)
    sql = SqlAgentControl(Statements(vicidial.connect))
    assert sql.hang_up(order, hang_up_as).reply is Reply.DONE
    assert row(vicidial)[:2] == ("", "1"), "a dead call is hung up before the logout"
    vicidial.run("UPDATE vicidial_live_agents SET external_pause = 'LOGOUT' WHERE user = '1001'")
    for _ in range(2):
        assert sql.hang_up(order, hang_up_as).reply is Reply.DONE
    assert row(vicidial) == written
    assert row(vicidial, "1002") == ("", "", "")


@pytest.mark.parametrize(
    ("hang_up_as", "written"),
    [(None, ("LOGOUT", "", "")), ("", ("LOGOUT", "1", "")), ("DROP", ("LOGOUT", "1", "DROP"))],
)
def test_by_sql_one_row_is_told_the_same(
    web: FakeAgentApi, vicidial: Site, hang_up_as: str | None, written: tuple[str, ...]
) -> None:
    assert web.asked == []  # its rows are empty now
    with vicidial.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT live_agent_id, user, server_ip FROM vicidial_live_agents WHERE user = '1001'")
        ((live_agent_id, user, server_ip),) = cursor.fetchall()
    order = msgspec.structs.replace(RELOGIN, live_agent_id=live_agent_id, user=user, from_server_ip=server_ip)
    sql = SqlAgentControl(Statements(vicidial.connect))
    assert sql.log_out(order, hang_up_as, may_go_on).reply is Reply.DONE
    assert row(vicidial) == written
    assert sql.log_out(order, hang_up_as, may_go_on).reply is Reply.GONE
    assert row(vicidial, "1002") == ("", "", "")


def test_a_step_that_fails_ends_it(web: FakeAgentApi, vicidial: Site) -> None:
    web.functions.discard("external_status")
    assert hand(web.url).log_out(RELOGIN, "DROP", may_go_on).reply is Reply.DENIED
    assert row(vicidial)[0] == ""


def test_an_agent_is_paused_and_resumed(web: FakeAgentApi, vicidial: Site) -> None:
    api = hand(web.url)
    assert api.pause(HOLD).reply is Reply.DONE
    assert row(vicidial)[0].startswith("PAUSE!")
    vicidial.run("UPDATE vicidial_live_agents SET status='PAUSED'")
    assert api.resume(HOLD).reply is Reply.DONE
    assert row(vicidial)[0].startswith("RESUME!")
    vicidial.run("UPDATE vicidial_live_agents SET status='READY'")
    assert api.resume(HOLD).reply is Reply.GONE, "nothing to take back"


def test_a_phone_is_called_and_without_that_right_alone_nothing_is_suspended(web: FakeAgentApi, vicidial: Site) -> None:
    api = hand(web.url)
    vicidial.run("DELETE FROM live_sip_channels")
    assert api.call(ARRIVAL).reply is Reply.DONE
    assert web.asked == [Asked("call_agent", "1001", "CALL")]
    with vicidial.connect() as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT 1 FROM live_sip_channels") == 1
    web.functions.discard("call_agent")
    assert api.call(ARRIVAL).reply is Reply.REFUSED
    assert (api.missing_rights("") or "").startswith("call_agent: ")
    assert hand(web.url, password="wrong").call(ARRIVAL).reply is Reply.DENIED


def test_an_agent_is_told_on_their_screen_where_vicidial_has_that(web: FakeAgentApi) -> None:
    api, arrival = hand(web.url), msgspec.structs.replace(ARRIVAL, notice="dialer B failed. You are on dialer A now.")
    assert api.tell(arrival).reply is Reply.DONE
    assert web.told == [("1001", "dialer B failed. You are on dialer A now.")]
    assert api.missing_rights("", tells=True) is None
    web.notifications = False
    assert api.tell(arrival).reply is Reply.REFUSED
    assert "disabled on this system" in (api.missing_rights("", tells=True) or "")
    web.functions.discard("send_notification")
    assert api.tell(arrival).reply is Reply.REFUSED, "the account may do all else"
    assert api.missing_rights("") is None
    assert len(web.told) == 1


def test_by_sql_a_moved_agent_waits_again_unless_somebody_has_sent_something(vicidial: Site) -> None:
    with vicidial.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT live_agent_id, server_ip FROM vicidial_live_agents WHERE user = '1001'")
        ((live_agent_id, server_ip),) = cursor.fetchall()
    arrival = msgspec.structs.replace(ARRIVAL, live_agent_id=live_agent_id, server_ip=server_ip)
    sql = SqlAgentControl(Statements(vicidial.connect))
    vicidial.run("UPDATE vicidial_live_agents SET external_pause = 'PAUSE!1'")
    assert sql.resume(arrival).reply is Reply.GONE
    vicidial.run("UPDATE vicidial_live_agents SET external_pause = ''")
    assert sql.resume(arrival).reply is Reply.DONE
    assert row(vicidial)[0].startswith("RESUME!")
    assert row(vicidial, "1002")[0] == ""
    assert sql.resume(arrival).reply is Reply.GONE
    assert sql.call(arrival).reply is Reply.REFUSED
    assert sql.tell(arrival).reply is Reply.REFUSED


def test_who_is_gone_is_gone(web: FakeAgentApi) -> None:
    gone = Relogin(**{**{name: getattr(RELOGIN, name) for name in RELOGIN.__struct_fields__}, "user": "9999"})
    assert hand(web.url).log_out(gone, None, may_go_on).reply is Reply.GONE


@pytest.mark.parametrize("user", ["10 01", "1001'", "agent-1", "x_y", "Ünal", ""])
def test_a_name_that_vicidial_would_take_for_another_is_not_sent(web: FakeAgentApi, user: str) -> None:
    other = Relogin(**{**{name: getattr(RELOGIN, name) for name in RELOGIN.__struct_fields__}, "user": user})
    outcome = hand(web.url).log_out(other, None, may_go_on)
    assert (outcome.reply, web.asked) == (Reply.REFUSED, [])
    assert "relogin_via" in outcome.said


def test_a_wrong_password_is_denied_and_shown_nowhere(web: FakeAgentApi, caplog: pytest.LogCaptureFixture) -> None:
    web.password = "another"
    api = hand(web.url)
    outcome = api.log_out(RELOGIN, None, may_go_on)
    assert outcome.reply is Reply.DENIED
    assert "Invalid Username/Password (0|1|BAD)" in outcome.said
    shows_nothing(outcome)
    assert PASSWORD not in caplog.text + repr(api) + str(api.missing_rights("DROP"))
    assert PASSWORD not in repr(ActuatorSettings(database=None, api_password=PASSWORD))  # type: ignore[arg-type]


def test_a_locked_user_is_denied(web: FakeAgentApi) -> None:
    web.wrong_passwords = LOCKS_AFTER
    assert hand(web.url).log_out(RELOGIN, None, may_go_on).reply is Reply.DENIED


@pytest.mark.parametrize(
    ("wrong", "reply"),
    [
        (Misbehavior.HTML_ERROR, Reply.UNCLEAR),
        (Misbehavior.HTML_PAGE, Reply.REFUSED),
        (Misbehavior.ERROR, Reply.REFUSED),
        (Misbehavior.HANG, Reply.UNSENT),
        (Misbehavior.HANG_AFTER_ACT, Reply.UNCLEAR),
        (Misbehavior.RESET, Reply.UNCLEAR),
        (Misbehavior.REDIRECT, Reply.REFUSED),
        (Misbehavior.DRIBBLE, Reply.UNCLEAR),
        (Misbehavior.DRIBBLED_HEADERS, Reply.UNCLEAR),
        (Misbehavior.HUGE, Reply.REFUSED),
    ],
)
def test_a_web_server_that_misbehaves_is_one_clear_line_within_the_time(
    web: FakeAgentApi, wrong: Misbehavior, reply: Reply
) -> None:
    web.misbehavior = wrong
    with FakeAgentApi(web._connect, user=USER, password=PASSWORD) as second:  # noqa: SLF001
        began = time.monotonic()
        api = hand(web.url, second.url, timeout=on_this_machine(SHORT))
        outcome = api.ready() or api.log_out(RELOGIN, None, may_go_on)
        assert time.monotonic() - began < on_this_machine(8 * SHORT)
        assert (outcome.reply, second.asked) == (reply, []), "the first may still be at it"
        assert outcome.look is (wrong is not Misbehavior.ERROR), "the row may show it"
        assert outcome.late == (reply is Reply.UNCLEAR)
        # after a look at the row
        if outcome.look:
            assert api.log_out(RELOGIN, None, may_go_on).reply is Reply.DONE
            assert len(second.asked) == 1
    assert len(web.asked) == (wrong is not Misbehavior.HANG), "one that hangs is sent nothing that it could do later"
    assert outcome.said
    shows_nothing(outcome)


def test_where_one_cannot_be_connected_to_the_next_is_asked_and_remembered(web: FakeAgentApi) -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/agc/api.php"
        api = hand(dead, web.url)
        outcome = api.ready()
        assert outcome is not None
        assert (outcome.reply, outcome.look, outcome.late) == (Reply.UNSENT, True, 0)
        assert "does not answer, so it is sent nothing" in outcome.said
        assert api.ready() is None
        assert [api.log_out(RELOGIN, None, may_go_on).reply for _ in range(2)] == [Reply.DONE] * 2
        assert api.ways == 2


def test_the_check_tries_everything_on_nobody(web: FakeAgentApi, vicidial: Site) -> None:
    assert hand(web.url).missing_rights("DROP") is None
    assert {each.function for each in web.asked} == web.functions - {"send_notification"}
    assert row(vicidial) == ("", "", "")
    web.functions.discard("external_pause")
    assert "external_pause: ERROR: auth USER DOES NOT HAVE PERMISSION" in str(hand(web.url).missing_rights(""))


def test_warnings_before_the_answer_are_not_the_answer(web: FakeAgentApi, vicidial: Site) -> None:
    web.misbehavior = Misbehavior.WARNINGS
    outcome = hand(web.url).log_out(RELOGIN, "DROP", may_go_on)
    assert outcome == Outcome(Reply.DONE, "SUCCESS: logout function set - LOGOUT|1001")
    assert row(vicidial) == ("LOGOUT", "1", "DROP")
    vicidial.run("DELETE FROM vicidial_live_agents WHERE user = '1003'")
    gone = msgspec.structs.replace(RELOGIN, user="1003")
    assert hand(web.url).log_out(gone, None, may_go_on).reply is Reply.GONE


def test_an_answer_that_apache_compresses_is_read_and_a_wrong_password_seen(web: FakeAgentApi, vicidial: Site) -> None:
    web.misbehavior = Misbehavior.COMPRESSED
    outcome = hand(web.url).log_out(RELOGIN, "DROP", may_go_on)
    assert outcome == Outcome(Reply.DONE, "SUCCESS: logout function set - LOGOUT|1001")
    assert row(vicidial) == ("LOGOUT", "1", "DROP")
    web.password = "another"
    assert hand(web.url).log_out(RELOGIN, "DROP", may_go_on).reply is Reply.DENIED
    assert web.wrong_passwords == 1, "each further one brings VICIdial's lock nearer"


@pytest.mark.parametrize("stopped", [None, Outcome(Reply.UNSENT, "hotdesk is stopping")])
def test_after_steps_that_take_too_long_together_it_is_asked_anew_whether_to_go_on(
    web: FakeAgentApi, vicidial: Site, stopped: Outcome | None
) -> None:
    asked = []
    slow = AgentApi([web.url], USER, PASSWORD, clock=lambda: 3.0 if len(web.asked) >= 2 else 0.0)

    def why_not() -> Outcome | None:
        asked.append([each.function for each in web.asked])
        return stopped

    outcome = slow.log_out(RELOGIN, "DROP", why_not)
    assert asked == [["external_hangup", "external_status"]]
    if stopped is not None:
        assert outcome == stopped
        assert row(vicidial) == ("", "1", "DROP")
    else:
        assert outcome.reply is Reply.DONE, "or a slow web server would never be sent a logout"
        assert row(vicidial) == ("LOGOUT", "1", "DROP")


def test_what_is_not_vicidials_answer_ends_no_sequence_and_an_error_does(web: FakeAgentApi) -> None:
    web.misbehavior = Misbehavior.HTML_PAGE
    hand(web.url).log_out(RELOGIN, "DROP", may_go_on)
    assert [each.function for each in web.asked] == ["external_hangup", "external_status", "logout"]
    web.asked.clear()
    web.misbehavior = Misbehavior.ERROR
    hand(web.url).log_out(RELOGIN, "DROP", may_go_on)
    assert [each.function for each in web.asked] == ["external_hangup"]


def test_the_check_asks_every_address_and_quotes_what_is_strange(web: FakeAgentApi) -> None:
    with FakeAgentApi(web._connect, user=USER, password=PASSWORD) as second:  # noqa: SLF001
        second.misbehavior = Misbehavior.HTML_PAGE
        missing = str(hand(web.url, second.url).missing_rights("DROP"))
    assert f"{second.url} answers 200, unlike VICIdial's agent API: '<html><body>Something happened" in missing
    assert web.url not in missing


def test_a_name_server_that_hangs_is_within_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gone.wait(30) and [])
    began = time.monotonic()
    try:
        outcome = hand("http://web.example/agc/api.php", timeout=SHORT).ready()
    finally:
        gone.set()
    assert time.monotonic() - began < on_this_machine(4 * SHORT)
    assert outcome is not None
    assert outcome.reply is Reply.UNSENT


def test_a_worker_of_phps_that_is_stopped_and_continued_does_late_what_it_was_sent(
    database: Database, tmp_path: Path
) -> None:
    """So who was sent a logout and has not been seen to go is remembered; and one that hangs is sent nothing."""
    with logged_in(database) as made, web_server(tmp_path, made, workers=1) as web:
        api = hand(f"{web.url}/api.php", timeout=on_this_machine(SHORT))
        until(lambda: api.ready() is None, "it answers")
        web.stop()
        outcome = api.log_out(RELOGIN, None, may_go_on)
        assert (outcome.reply, outcome.late) == (Reply.UNCLEAR, True)
        second = api.ready()
        assert second is not None
        assert second.reply is Reply.UNSENT
        assert row(made)[0] == ""
        web.go_on()
        until(lambda: row(made)[0] == "LOGOUT", "it is done after all")
