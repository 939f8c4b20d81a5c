"""Whoever answers where hotdesk's API was: commands end in time with one line, and HOTDESK_TOKEN stands in none."""

import gzip
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.vicidial.exchange import BoundedTransport
from controller.vicidial.names import Names
from tests.support.commands import API, SETTINGS, Command
from tests.support.hostile_mysql import HostileServer, Talk
from tests.support.timing import on_this_machine

TOKEN = "an-operators-own-token-77"
LIMIT_SECONDS = 0.15
MARKS = "\\u001b]0;owned\\u0007\\u202e"
COMMANDS = (
    ("rank", "desk"),
    ("top", "--cluster", "west"),
    ("resume", "--cluster", "west"),
    ("orders",),
    ("incidents",),
)


def answering(status: str, *pieces: bytes, head: bytes = b"", promised: int | None = None) -> Callable[[Talk], None]:
    """Return what gives every request the same answer."""
    length = sum(map(len, pieces)) if promised is None else promised

    def answer(talk: Talk) -> None:
        talk.raw(f"HTTP/1.1 {status}\r\ncontent-length: {length}\r\n".encode() + head + b"\r\n")
        for piece in pieces:
            talk.raw(piece)

    return answer


def dripping(data: bytes) -> Callable[[Talk], None]:
    return lambda talk: talk.drip(data)


def endless(talk: Talk) -> None:
    talk.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
    while True:
        talk.raw(b" " * 1_000_000)


ANSWERS: dict[str, Callable[[Talk], None]] = {
    "no JSON": answering("200 OK", b"<html>welcome</html>"),
    "other JSON": answering("200 OK", b'{"cluster": [1, 2, {"deep": null}]}'),
    "a list of nothing": answering("200 OK", b"[null]"),
    "no text": answering("200 OK", b"\xff\xfe\x00"),
    "nested too deep": answering("200 OK", b"[" * 100_000),
    "a refusal in colours": answering("409 No", f'{{"detail": "{MARKS} {"x" * 9000}"}}'.encode()),
    "a refusal of another shape": answering("409 No", b'{"detail": {"a": [1]}, "title": 7}'),
    "a refusal that is none": answering("500 \x1b[31mNo", b"oops"),
    "elsewhere": answering("307 Temporary", head=b"location: http://127.0.0.1:1/\r\n"),
    "packed": answering("200 OK", gzip.compress(b" " * 9_000_000), head=b"content-encoding: gzip\r\n"),
    "headers by the byte": dripping(b"HTTP/1.1 200 OK\r\n" + b"x-patience: please\r\n" * 99),
    "a body by the byte": dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n" + b"[" * 999),
    "no answer": lambda talk: talk.hear_all(),
    "no HTTP": lambda talk: talk.raw(b"220 mail.example ESMTP\r\n"),
    "no end": endless,
    "it hangs up": lambda talk: talk.hang_up(),
    "an answer cut short": answering("200 OK", b"[", promised=100),
}


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(_: float, context: ssl.SSLContext, names: Names) -> BoundedTransport:
        return BoundedTransport(LIMIT_SECONDS, context, names)

    monkeypatch.setattr("hotdesk.cli.client.BoundedTransport", hasty)
    monkeypatch.setattr("hotdesk.cli.client.MOST_BYTES", 4_000_000)


@pytest.mark.parametrize("number", range(len(ANSWERS)), ids=list(ANSWERS))
def test_a_command_ends_in_time_with_one_line(command: Command, tmp_path: Path, number: int) -> None:
    with HostileServer(list(ANSWERS.values())[number]) as server:
        (tmp_path / "hotdesk.toml").write_text(f'[api]\nurl = "http://127.0.0.1:{server.port}"\n')
        for words in (COMMANDS[number % len(COMMANDS)], COMMANDS[(number + 1) % len(COMMANDS)]):
            began = time.monotonic()
            outcome = command(*words, HOTDESK_TOKEN=TOKEN)
            assert time.monotonic() - began < on_this_machine(2)
            assert outcome.code == API, outcome
            (line,) = outcome.errors.splitlines()
            assert line.isprintable()
            assert len(line) < 900
            assert TOKEN not in outcome.errors + outcome.output


def test_check_says_what_is_wrong_with_an_api_and_goes_on(command: Command, tmp_path: Path) -> None:
    with HostileServer(ANSWERS["other JSON"]) as server:
        (tmp_path / "hotdesk.toml").write_text(
            f'[api]\nurl = "http://127.0.0.1:{server.port}"\n[clusters.west]\nport = 1\n'
        )
        outcome = command("check")
    assert "login hook: not known: what answers at" in outcome.output
    assert "Traceback" not in outcome.output + outcome.errors


@pytest.mark.parametrize(
    "token", ["two words of a token", "a-token-with-a\nline", "a-tökén-with-ümlauts", "a\x1btoken-of-sixteen"]
)
def test_a_token_that_is_none_is_not_repeated(command: Command, tmp_path: Path, token: str) -> None:
    (tmp_path / "hotdesk.toml").write_text('[api]\nurl = "http://127.0.0.1:1"\n')
    outcome = command("rank", "desk", HOTDESK_TOKEN=token)
    assert outcome.code == SETTINGS
    assert outcome.errors == "hotdesk: HOTDESK_TOKEN is no token: it has characters that none has\n"
