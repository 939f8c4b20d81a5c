"""The settings of recipients: what fits, what is missing, and where secrets may stand."""

from pathlib import Path

import pytest

from controller.core.notifications import DEFAULT_EVENTS, Event
from hotdesk.errors import SettingsError
from hotdesk.notify.senders import Email, Program, Webhook
from hotdesk.notify.settings import notify_settings, told_by
from tests.support.builders import secret_file

SECRET = "https://hooks.example/a-token"


def refusal(table: object, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        told_by(notify_settings(table, environment or {}))
    assert "a-token" not in str(refused.value)
    return str(refused.value)


def test_a_recipient_is_told_of_what_can_need_somebody_unless_it_chooses(tmp_path: Path) -> None:
    address = str(secret_file(tmp_path / "url", f"{SECRET}\n"))
    tables = {
        "ops": {"kind": "slack", "url_file": address},
        "boss": {"kind": "command", "command": ["/bin/true"], "events": ["owner"], "clusters": ["west"]},
    }
    found = told_by(notify_settings(tables, {}))
    assert found["ops"].send == Webhook("slack", SECRET)
    assert found["ops"].recipient.events == DEFAULT_EVENTS
    assert found["boss"].send == Program(("/bin/true",))
    assert found["boss"].recipient.wants("west", Event.OWNER)
    assert not found["boss"].recipient.wants("east", Event.OWNER)


def test_secrets_come_by_file_or_variable_and_never_in_the_toml_file(tmp_path: Path) -> None:
    assert "HOTDESK_NOTIFY__NIGHT_OPS__URL" in refusal({"night-ops": {"kind": "slack", "url": SECRET}})
    given = {"HOTDESK_NOTIFY__NIGHT_OPS__URL": SECRET, "HOTDESK_NOTIFY__NIGHT_OPS__EVENTS": "incident, agents"}
    (found,) = told_by(notify_settings({"night-ops": {"kind": "slack"}}, given)).values()
    assert found.send == Webhook("slack", SECRET)
    assert found.recipient.events == {Event.INCIDENT, Event.AGENTS}
    address = secret_file(tmp_path / "url", SECRET)
    address.chmod(0o644)
    assert "chmod o-r" in refusal({"ops": {"kind": "slack", "url_file": str(address)}})


def test_a_command_that_others_may_change_is_refused(tmp_path: Path) -> None:
    command = tmp_path / "page"
    command.touch()
    command.chmod(0o777)
    assert "chmod go-w" in refusal({"ops": {"kind": "command", "command": [str(command)]}})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "kind"),
        ({"kind": "pager"}, "kind"),
        ({"kind": "slack"}, "the address is not set"),
        ({"kind": "telegram"}, "chat is not set"),
        ({"kind": "command"}, "command is not set"),
        ({"kind": "command", "command": ["page"]}, "page is no whole path"),
        ({"kind": "command", "command": ["/not/there"]}, "/not/there cannot be run"),
        ({"kind": "email", "sender": "a@b", "to": ["c@d"]}, "smtp_host is not set"),
        ({"kind": "email", "smtp_host": "m", "sender": "a@b", "to": ["nobody"]}, "'nobody' is no address"),
        ({"kind": "email", "smtp_host": "m", "sender": "a@b", "to": ["c@d"], "smtp_user": "u"}, "go together"),
        ({"kind": "json", "evnts": []}, "notify.ops.evnts is no setting: did you mean events?"),
        ({"kind": "json", "events": ["death"]}, "events"),
        (
            {"kind": "json", "url_file": "/not/there"},
            "the recipient's file /not/there cannot be read: No such file or directory",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(table: dict[str, object], said: str) -> None:
    sentence = refusal({"ops": table})
    assert sentence.startswith("notify.ops")
    assert said in sentence


def test_tables_that_are_none_are_refused() -> None:
    assert "[notify.NAME]" in refusal(5)
    assert "use lower-case letters" in refusal({"Ops": {"kind": "json"}})


def test_a_mail_server_has_the_port_of_its_protocol(tmp_path: Path) -> None:
    password = str(secret_file(tmp_path / "password", "secret-of-mail\n"))
    table = {"kind": "email", "smtp_host": "mail", "sender": "a@b", "to": ["c@d"]}
    login = {"smtp_user": "u", "smtp_password_file": password}
    found = told_by(notify_settings({"one": table, "two": table | {"smtp_tls": "tls"} | login}, {}))
    one, two = found["one"].send, found["two"].send
    assert isinstance(one, Email)
    assert isinstance(two, Email)
    assert (one.port, one.password, two.port, two.password) == (587, "", 465, "secret-of-mail")
    assert "secret-of-mail" not in repr(found)
    assert "would be sent in clear" in refusal({"ops": table | {"smtp_tls": "none"} | login})
    told_by(notify_settings({"ops": table | {"smtp_tls": "none", "smtp_host": "127.0.0.1"} | login}, {}))
