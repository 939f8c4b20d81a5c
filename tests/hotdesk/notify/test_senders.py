"""Messages to real receivers: each shape, a mail server with TLS and a login, a command; and no secret in any error."""

import ssl
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from controller.core.notifications import Event, Message, Severity
from hotdesk.notify.senders import Apprise, Email, Program, SendError, Webhook
from tests.support.hostile_mysql import HostileServer
from tests.support.receivers import PASSWORD, USER, mail, web, writing_command
from tests.support.timing import on_this_machine

MESSAGE = Message(
    recipient="ops",
    cluster="west",
    event=Event.INCIDENT,
    condition="incident/10.0.0.1@1",
    value="down",
    over=False,
    severity=Severity.CRITICAL,
    text="DIAL1 (10.0.0.1) <!channel> @all is down: \x1b[31mAMI unreachable.",
)
TITLE = "CRITICAL: hotdesk west: incident"
SHOWN = "DIAL1 (10.0.0.1) <!channel> @all is down: \\x1b[31mAMI unreachable."


def test_each_service_gets_its_shape_and_a_name_calls_nobody() -> None:
    with web() as server:
        for kind in ("slack", "mattermost", "teams", "telegram", "json"):
            Webhook(kind, server.url, chat="-100")(MESSAGE)
        slack, mattermost, teams, telegram, plain = server.bodies
    assert slack == {"text": f"{TITLE}\n{SHOWN}".replace("<", "&lt;").replace(">", "&gt;")}
    assert mattermost["text"].startswith(f"**{TITLE}**\n")
    assert "@all" not in mattermost["text"]
    (card,) = teams["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [each["inlines"][0]["text"] for each in card["content"]["body"]] == [TITLE, SHOWN]
    assert (telegram["chat_id"], telegram["text"]) == ("-100", f"{TITLE}\n{SHOWN}")
    assert plain == {
        "hotdesk": 1,
        "cluster": "west",
        "event": "incident",
        "state": "begins",
        "severity": "critical",
        "condition": "incident/10.0.0.1@1",
        "title": TITLE,
        "text": SHOWN,
    }


def test_a_service_that_refuses_or_is_away_is_said_without_its_address(silent_port: int) -> None:
    with web() as server:
        server.status = 403
        with pytest.raises(SendError) as refused:
            Webhook("json", server.url)(MESSAGE)
    assert str(refused.value) == "it answers 403"
    for url in (f"http://127.0.0.1:{silent_port}/a-token", "http://[a-token", "https://a-token\n"):
        hook = Webhook("json", url)
        with pytest.raises(SendError) as away:
            hook(MESSAGE)
        assert "a-token" not in str(away.value) + repr(hook)
        assert away.value.__suppress_context__, "a traceback would show the address"


def test_a_service_that_drips_its_answer_has_one_time_limit_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotdesk.notify.senders.TRY_SECONDS", 0.2)
    began = time.monotonic()
    with HostileServer(lambda talk: talk.drip(b"HTTP/1.1 200 OK\r\n" + b"x-patience: please\r\n" * 99)) as server:
        with pytest.raises(SendError, match="no answer"):
            Webhook("json", f"http://127.0.0.1:{server.port}/")(MESSAGE)
        assert time.monotonic() - began < on_this_machine(1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return the authority of the mail server's certificate."""
    return trustme.CA()


def test_a_mail_goes_by_tls_with_a_login(authority: trustme.CA, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with mail(context) as server:

        def sender(password: str, ca: str) -> Email:
            return Email(
                "127.0.0.1", server.port, "starttls", USER, password, "hotdesk@example.com", ("ops@example.com",), ca
            )

        trusted = str(tmp_path / "ca.pem")
        sender(PASSWORD, trusted)(MESSAGE)
        (sent,) = server.mails
        assert f"Subject: {TITLE}" in sent
        assert "To: ops@example.com" in sent
        assert SHOWN in sent
        with pytest.raises(SendError) as refused:
            sender("wrong", trusted)(MESSAGE)
        assert str(refused.value) == "127.0.0.1: SMTPAuthenticationError 535"
        with pytest.raises(SendError, match="SSLCertVerificationError"):
            sender(PASSWORD, "")(MESSAGE)
        assert PASSWORD not in repr(sender(PASSWORD, trusted))
        assert len(server.mails) == 1


def test_a_command_has_the_facts_and_no_secret_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDESK_CLUSTERS__WEST__PASSWORD", "hunter22")
    command, file = writing_command(tmp_path)
    Program((str(command),))(MESSAGE)
    assert file.read_text() == f"west|incident|begins|critical|{SHOWN}\n"
    assert "hunter22" not in (tmp_path / "environment.txt").read_text()
    for words, why in ((("/bin/false",), "/bin/false ended with 1"), (("/not/there",), "cannot be run")):
        with pytest.raises(SendError, match=why):
            Program(words)(MESSAGE)


def test_apprise_is_asked_where_it_is_installed_and_named_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "ntfys://a-token@ntfy.sh/topic"
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SendError, match=r"not installed beside hotdesk"):
        Apprise(url)(MESSAGE)
    asked: list[tuple[str, str]] = []

    class Library:
        def add(self, given: str) -> bool:
            return given == url

        def notify(self, title: str, body: str) -> bool:
            asked.append((title, body))
            return True

    monkeypatch.setitem(sys.modules, "apprise", SimpleNamespace(Apprise=Library))
    Apprise(url)(MESSAGE)
    assert asked == [(TITLE, SHOWN)]
    with pytest.raises(SendError, match="apprise could not send it"):
        Apprise("other")(MESSAGE)
