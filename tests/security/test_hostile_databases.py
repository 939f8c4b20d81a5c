"""Whoever answers where the database was: it is told no password, holds nobody up, and brings no traceback."""

import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trustme

from collectors.vicidial.database import DatabaseError, VicidialDatabase
from collectors.vicidial.settings import DatabaseSettings
from controller.vicidial.ports import VicidialError
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.actuators import reach
from tests.support.commands import DATABASE, Command
from tests.support.hostile_mysql import OK, HostileServer, Talk, greeting
from tests.support.timing import on_this_machine

PASSWORD = "s3cret-database-password"
LIMIT_SECONDS = 0.25
"""In place of the seconds that a login and a statement may take."""
Script = Callable[[Talk], None]
CA = trustme.CA()
CERTIFICATE = CA.issue_cert("127.0.0.1")


def logged_in(talk: Talk, plugin: bytes = b"mysql_native_password") -> None:
    talk.say(greeting(plugin))
    talk.hear()


def asks_for(talk: Talk, plugin: bytes, asked: bytes = b"") -> None:
    """Have the client log in anew, by a way of the server's choice."""
    logged_in(talk)
    talk.say(b"\xfe" + plugin + b"\0" + asked)


def prefers(talk: Talk, plugin: bytes) -> None:
    """Have the client log in by a way of the server's choice from the first."""
    logged_in(talk, plugin)
    talk.say(b"\xfe" + plugin + b"\0" + b"1" * 20 + b"\0")


def full_sha2(talk: Talk) -> None:
    """Pretend to have nothing cached, and offer a key of its own making."""
    logged_in(talk, b"caching_sha2_password")
    talk.say(b"\x01\x04")
    talk.hear()
    talk.say(b"\x01-----BEGIN PUBLIC KEY-----")


def full_sha2_after_switch(talk: Talk) -> None:
    asks_for(talk, b"caching_sha2_password", b"1" * 20 + b"\0")
    talk.hear()
    talk.say(b"\x01\x04")


def behind_a_certificate_of_its_own(talk: Talk, plugin: bytes) -> None:
    """Be in between with TLS, by a certificate that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    talk.say(greeting(plugin, tls=True))
    talk.hear()
    talk.secure(context)
    talk.hear()
    talk.say(b"\xfe" + plugin + b"\0" + b"1" * 20 + b"\0")


TELL_ME = {
    "clear": partial(asks_for, plugin=b"mysql_clear_password"),
    "clear from the first": partial(prefers, plugin=b"mysql_clear_password"),
    "sha256": partial(asks_for, plugin=b"sha256_password", asked=b"1" * 20 + b"\0"),
    "sha256 from the first": partial(prefers, plugin=b"sha256_password"),
    "dialog": partial(asks_for, plugin=b"dialog", asked=b"\x02Password: "),
    "full sha2": full_sha2,
    "full sha2 after a switch": full_sha2_after_switch,
    "clear by TLS": partial(behind_a_certificate_of_its_own, plugin=b"mysql_clear_password"),
    "sha256 by TLS": partial(behind_a_certificate_of_its_own, plugin=b"sha256_password"),
}


def then(talk: Talk, answer: Callable[[Talk], None]) -> None:
    """Let the client in, and answer every statement in one way."""
    logged_in(talk)
    talk.say(OK)
    while True:
        talk.hear()
        answer(talk)


def lets_it_set_up(talk: Talk, answer: Callable[[Talk], None]) -> None:
    """Let the client set its session up, and answer what it asks then in one way."""
    logged_in(talk)
    talk.say(OK)
    while talk.hear()[1:].startswith((b"SET NAMES", b"SET AUTOCOMMIT", b"SET SESSION")):
        talk.say(OK)
    while True:
        answer(talk)
        talk.hear()


def no_rows(talk: Talk) -> None:
    column = b"\x03def" + b"\0" * 4 + b"\x01a\0" + b"\x0c" + struct.pack("<HIBHB", 45, 9, 253, 0, 0) + b"\0\0"
    for packet in (b"\x01", column, b"\xfe\0\0\x02\0", b"\xfe\0\0\x02\0"):
        talk.say(packet)


def changes_its_mind(talk: Talk) -> None:
    for _ in range(99):
        talk.say(b"\xfecaching_sha2_password\0" + b"1" * 21)


def answers_before_tls(talk: Talk) -> None:
    """Be in between, say in the clear what the server would say after the login, and pass its TLS on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    forged = b"".join(struct.pack("<I", len(OK))[:3] + bytes([at]) + OK for at in (3, *[1] * 9))
    whole = greeting(tls=True)
    talk.raw(struct.pack("<I", len(whole))[:3] + b"\0" + whole + forged)
    talk.hear()
    talk.secure(context)


NONSENSE: dict[str, Script] = {
    "old password": partial(asks_for, plugin=b"mysql_old_password", asked=b"12345678\0"),
    "a login nobody knows": partial(asks_for, plugin=b"[/nope]\x1b[31m\xff"),
    "no bytes that can be a greeting": lambda talk: talk.say(b"\x0a"),
    "an empty greeting": lambda talk: talk.say(b""),
    "no protocol at all": lambda talk: talk.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9),
    "no version": lambda talk: talk.say(greeting(version=b"x.y")),
    "a name that is no text": lambda talk: talk.say(greeting(b"\xff\xfe")),
    "an error without end": lambda talk: talk.say(b"\xff\x15\x04#28000" + b"\x1b[31m\xe2\x80\xae" * 1_000_000),
    "it hangs up": lambda _: None,
    "a login without end": changes_its_mind,
    "greeting by the byte": lambda talk: talk.drip(b"\x4a\0\0\0" + greeting() * 9),
    "answers by the byte": partial(then, answer=lambda talk: talk.drip(b"\xff\xff\xff\x01" + b"x" * 999)),
    "answers that are none": partial(then, answer=lambda talk: talk.say(b"\xfb\xff\xff")),
    "rows that are none": partial(lets_it_set_up, answer=lambda talk: talk.say(b"\x05")),
    "no rows": partial(lets_it_set_up, answer=no_rows),
    "rows by the byte": partial(lets_it_set_up, answer=lambda talk: talk.drip(b"\xff\xff\xff\x01" + b"x" * 999)),
    "a file of this machine": partial(lets_it_set_up, answer=lambda talk: talk.say(b"\xfb/etc/passwd")),
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGIN_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(f"collectors.vicidial.database.{name}", LIMIT_SECONDS)
    monkeypatch.setattr("hotdesk.actuators.ANSWER_SECONDS", LIMIT_SECONDS)


def settings_of(server: HostileServer) -> DatabaseSettings:
    return DatabaseSettings(host="127.0.0.1", port=server.port, password=PASSWORD)


def assert_untold(server: HostileServer) -> None:
    assert server.heard
    assert PASSWORD.encode() not in server.heard
    # not even in a form that it could undo: what comes after its question is nothing
    assert server.heard[-1:] != b"\x02"


@pytest.mark.parametrize("script", TELL_ME.values(), ids=TELL_ME)
def test_a_server_that_asks_for_the_password_is_not_told(script: Script) -> None:
    with HostileServer(script) as server:
        with pytest.raises(DatabaseError, match=r"told no password") as refused:
            VicidialDatabase(settings_of(server))
        assert "tls_ca" in str(refused.value)
        with pytest.raises(VicidialError):
            reach(ActuatorSettings(database=settings_of(server))).reader.knows_status("DC")
    assert_untold(server)


def test_what_was_said_before_tls_is_not_believed_after_it(tmp_path: Path) -> None:
    authority = str(tmp_path / "ca.pem")
    CA.cert_pem.write_to_path(authority)
    with HostileServer(answers_before_tls) as server:
        settings = DatabaseSettings(host="127.0.0.1", port=server.port, password=PASSWORD, tls_ca=authority)
        with pytest.raises(DatabaseError, match=r"speaks before it is asked"):
            VicidialDatabase(settings)
        with pytest.raises(VicidialError):
            reach(ActuatorSettings(database=settings)).reader.knows_status("DC")


@pytest.mark.parametrize("script", NONSENSE.values(), ids=NONSENSE)
def test_a_server_that_is_none_is_one_line_in_time(command: Command, tmp_path: Path, script: Script) -> None:
    with HostileServer(script) as server:
        (tmp_path / "hotdesk.toml").write_text(f"[clusters.west]\nhost = '127.0.0.1'\nport = {server.port}\n")
        began = time.monotonic()
        outcome = command("check", HOTDESK_CLUSTERS__WEST__PASSWORD=PASSWORD)
        assert time.monotonic() - began < on_this_machine(4)
        assert outcome.code == DATABASE
        said = outcome.output + outcome.errors
        assert "Traceback" not in said
        assert PASSWORD not in said
        (line,) = [line for line in said.splitlines() if "cluster west" in line]
        assert len(line) < 1000
        assert line.isprintable()
        with suppress(VicidialError):
            assert not reach(ActuatorSettings(database=settings_of(server))).reader.knows_status("DC")
    assert PASSWORD.encode() not in server.heard
