"""`hotdesk top`, `hotdesk explain` and `hotdesk replay`: what an operator reads in a terminal."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from simulator.broker import Broker
from stream.embedded.log import EmbeddedReader
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import LogRefusedError
from tests.support.builders import NOW_MS, ONE, TWO
from tests.support.commands import SETTINGS, Command, one_line
from tests.support.log_scene import Scene, playing
from tests.support.processes import CLUSTER, COMMAND, clean_environment, until
from tests.support.topics import create_topics_patiently

ONE_CLUSTER = f'[clusters.{CLUSTER}]\nhost = "127.0.0.1"\n'
BEGAN = datetime.fromtimestamp(NOW_MS / 1000, UTC)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Yield a cluster with two agents on the first dialer, in a log whose file is `log.db`."""
    with playing(tmp_path) as made:
        made.seat(ONE, "1001", "1002")
        (tmp_path / "hotdesk.toml").write_text(
            f'[api]\nurl = "{made.url}"\n[log]\npath = "log.db"\npartitions = 4\n{ONE_CLUSTER}'
        )
        yield made


@pytest.fixture
def died(scene: Scene) -> Scene:
    """Let the first dialer die, and give what is known then."""
    scene.silent = {ONE}
    until(scene.client.incidents, "the incident is open")
    until(lambda: len(scene.client.incidents()[0].moves) == 2, "both moves are advised")
    until(lambda: len(scene.http.get(f"/v1/clusters/{CLUSTER}/decisions").json()) >= 3, "and told as decisions")
    return scene


def until_now(minutes: float = 60) -> tuple[str, ...]:
    """Return the flags that make a window of everything that the log's time has seen."""
    return ("--until", (BEGAN + timedelta(minutes=minutes)).isoformat(), "--minutes", str(minutes + 1))


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine be one whose local time is half past one when UTC has eight."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


OPENED = re.compile(r"2027-01-15 13:30:\d\d\+05:30")
"""The first minute of the log's time, as it is in India."""

# --- top, explain -------------------------------------------------------------------------------------------------


def test_top_shows_the_ranking_and_the_incidents(died: Scene, command: Command) -> None:
    shown = command("top").output
    assert f"west: {ONE} is down." in shown
    assert "stalled for" in shown
    assert f"1001 to {TWO}: advised" in shown or "1001 to 10.0.0.3: advised" in shown
    assert "not acknowledged" in shown
    assert died.url


def test_top_follows_in_a_terminal_and_ends_with_ctrl_c(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 (our own command)
        [COMMAND, "top"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment({"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}),
    )
    os.close(theirs)
    seen = bytearray()

    def read() -> bytes:
        # at the end of the other side there is an error instead of an end
        with suppress(OSError):
            if select.select([ours], [], [], 0.05)[0]:
                seen.extend(os.read(ours, 65536))
        return bytes(seen)

    try:
        until(lambda: b"All 3 dialers are up." in read(), "it shows the cluster", 30)
        scene.silent = {ONE}
        until(lambda: f"{ONE} is down.".encode() in read(), "it follows", 30)
        process.send_signal(signal.SIGINT)
        until(lambda: read() and process.poll() is not None, "it ends", 30)
        assert process.returncode == 0
        assert b"Traceback" not in seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_explain_says_why_in_words(died: Scene, command: Command) -> None:
    dialer, agent, alias = (command("explain", name).output for name in (ONE, "1001", "desk-1001"))
    assert "It is down since" in dialer
    assert "It takes no new logins: down." in dialer
    assert "opened incident" in dialer
    assert f"Logged in on {ONE}" in agent
    assert "VICIdial chose that dialer: no pick of hotdesk's is known for that login; typed desk-1001." in agent
    assert "would move from" in agent
    assert "stands for 1001a, 1001b, 1001c" in alias
    assert f"1001a on {ONE}" in alias
    assert "not offered: down." in alias
    (told,) = json.loads(command("explain", "1001", "--json").output)
    assert (told["kind"], told["name"]) == ("agent", "1001")
    assert died.url


def test_explain_says_that_nothing_has_the_name(scene: Scene, command: Command) -> None:
    ended = command("explain", "no'body")
    assert ended.code == 5
    assert "west has no dialer, agent, alias or phone login" in ended.errors
    assert scene.url


def test_decisions_are_told_newest_first_and_by_subject(died: Scene) -> None:
    def decisions(**asked: str | int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = died.http.get(f"/v1/clusters/{CLUSTER}/decisions", params=asked).json()
        return found

    every = decisions()
    assert [each["at_ms"] for each in every] == sorted((each["at_ms"] for each in every), reverse=True)
    assert [each["subject"] for each in decisions(subject=ONE, limit=1)] == [ONE]
    refused = died.http.get(f"/v1/clusters/{CLUSTER}/decisions", params={"limit": 0})
    assert refused.status_code == httpx.codes.BAD_REQUEST


# --- replay -------------------------------------------------------------------------------------------------------


def told(command: Command, *flags: str) -> dict[str, Any]:
    ended = command("replay", *until_now(), *flags, "--json")
    assert ended.code == 0, ended.errors
    found: dict[str, Any] = json.loads(ended.output)
    return found


def test_a_window_folded_again_gives_what_was_known_and_decided_then(died: Scene, command: Command) -> None:
    (incident,) = died.client.incidents()
    found = told(command)
    judged = [(each["what"], each["at_ms"]) for each in found["known"] if each["subject"] == ONE]
    assert [what for what, _ in judged if what != "is up"] == ["is suspect", "is down"]
    assert ("is down", incident.incident.opened_at_ms) in judged
    assert f"opened incident {incident.incident.incident}: down" in [each["what"] for each in found["decided"]]
    assert (found["more"], found["less"]) == ([], [])
    text = command("replay", *until_now()).output
    assert f"known           {ONE} is down: heartbeat stalled for 3.0 s, SIP unreachable" in text
    assert "polls folded; the log reaches back to 2027-01-15 08:00:0" in text


def test_other_settings_would_have_decided_otherwise(died: Scene, command: Command) -> None:
    found = told(command, "--set", "stalled_after_seconds=2.9")
    # with that it is down before it is suspect
    assert [(each["subject"], each["what"]) for each in found["less"]].count((ONE, "is suspect")) == 1
    assert (ONE, "is suspect") not in [(each["subject"], each["what"]) for each in found["more"]]
    # it dies at the same moment all the same
    assert not [each for each in found["more"] + found["less"] if each["what"] == "is down"]
    text = command("replay", *until_now(), "--set", "stalled_after_seconds=2.9").output
    assert "not with --set" in text
    assert died.url


def test_the_window_is_what_was_asked_for(died: Scene, command: Command) -> None:
    ended = command("replay", "--until", "2027-01-15T07:59", "--minutes", "5")
    assert "is down" not in ended.output
    assert "nothing happened in the window; every step is kept for 60 minutes" in ended.output
    assert died.url


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--set", "stalled"), "write KEY=VALUE"),
        (("--set", "no_such=1"), "--set no_such is no setting: there are act_on_heartbeat_alone, "),
        (("--set", "max_agents=many"), "--set max_agents does not fit: write a whole number, 1 or more"),
        (("--set", "host=elsewhere"), "changes no rule for this cluster"),
        (("--until", "yesterday"), "is not a time"),
        (("--minutes", "0"), "a window lasts from a moment"),
        (("--minutes", "nan"), "a window lasts from a moment"),
        (("--minutes", "1e12"), "a window lasts from a moment"),
        (("--until", "0001-01-01T00:00"), "is not a time"),
        (("--cluster", "east"), "no [clusters.east] in the settings; there are: west"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_line(
    tmp_path: Path, command: Command, flags: tuple[str, ...], said: str
) -> None:
    (tmp_path / "hotdesk.toml").write_text(ONE_CLUSTER)
    ended = command("replay", *flags)
    assert ended.code == 2
    assert said in ended.errors
    assert len(ended.errors.splitlines()) == 1


def test_a_log_that_is_not_there_is_said(tmp_path: Path, command: Command) -> None:
    (tmp_path / "hotdesk.toml").write_text(ONE_CLUSTER)
    ended = command("replay")
    assert ended.code == 4
    assert "hotdesk.db does not exist" in ended.errors
    assert not (tmp_path / "hotdesk.db").exists()


def test_a_database_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "log.db")) as other:
        other.execute("CREATE TABLE things (name)")
    with pytest.raises(LogRefusedError, match="is not a log of hotdesk's"):
        EmbeddedReader(tmp_path / "log.db")


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_text("no log" * 1000)
    with pytest.raises(LogRefusedError, match=r"log\.db cannot be read"):
        EmbeddedReader(tmp_path / "log.db")


@pytest.mark.usefixtures("in_india", "died")
def test_people_read_and_type_local_times_with_their_offset(command: Command) -> None:
    assert command("drain", TWO, "--yes").code == 0
    for words in (("top",), ("incidents",), ("explain", ONE), ("explain", "1001"), ("replay", *until_now())):
        shown = command(*words).output
        assert OPENED.search(shown), words
        assert "UTC" not in shown, words
    ordered = command("orders", COLUMNS="80").output
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+05:30  ", ordered)
    assert f"hotdesk undrain {TWO}" in ordered
    shown = command("decisions", "--since", "2027-01-15T13:29", "--until", "2027-01-15T13:32").output
    assert OPENED.match(shown)
    assert shown.rstrip().endswith("since 2027-01-15 13:29:00+05:30")
    assert (
        "0 decisions since" in command("decisions", "--since", "2027-01-15T07:59", "--until", "2027-01-15T08:02").output
    )
    assert "is down" in command("replay", "--until", "2027-01-15T13:32", "--minutes", "3").output


@pytest.mark.usefixtures("in_india", "died")
def test_scripts_read_times_in_utc(command: Command) -> None:
    (incident,) = csv.DictReader(io.StringIO(command("incidents", "--csv").output))
    assert datetime.fromisoformat(incident["opened"]).utcoffset() == timedelta(0)
    assert incident["opened"].startswith("2027-01-15T08:00:")
    (told,) = json.loads(command("explain", ONE, "--json").output)
    assert any("2027-01-15 08:00:" in words and "UTC" in words for words in told["words"])


def test_a_window_of_a_log_in_kafka_is_folded_the_same(died: Scene, command: Command, broker: Broker) -> None:
    settings = KafkaSettings(bootstrap_servers=(broker.bootstrap,), prefix=f"r{uuid4().hex[:8]}.", partitions=4)
    create_topics_patiently(settings, replication=1)
    died.copy_to(settings)
    ended = command(
        *("replay", *until_now(), "--json", "--log.bootstrap", broker.bootstrap, "--log.prefix", settings.prefix),
        HOTDESK_LOG_PARTITIONS="4",
    )
    assert ended.code == 0, ended.errors
    assert "is down" in [each["what"] for each in json.loads(ended.output)["known"]]
    with KafkaLog(settings) as log:
        assert log.partitions == 4


# --- decisions and exports ----------------------------------------------------------------------------------------

THEN = ("--since", "2027-01-15", "--until", "2027-01-16")


def test_what_was_decided_in_days_gone_by_is_read_from_the_log(died: Scene, command: Command) -> None:
    shown = command("decisions", *THEN).output
    assert f"{ONE}  opened incident {ONE}@" in shown
    assert "1001  would move from" in shown
    assert shown.splitlines()[-1].startswith(f"{CLUSTER}: ")
    only = json.loads(command("decisions", *THEN, "--code", "move_advised", "--subject", "1001", "--json").output)
    assert [(each["code"], each["subject"]) for each in only] == [("move_advised", "1001")]
    table = list(csv.DictReader(io.StringIO(command("decisions", *THEN, "--csv").output)))
    assert {each["subject"] for each in table} >= {ONE, "1001", "1002"}
    assert table[0]["at"].startswith("2027-01-15T08:00:")
    assert "0 decisions since" in command("decisions", "--since", "90m").output
    assert died.url


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--since", "yesterday"), "--since 'yesterday' is not a time: write one such as 2026-11-20T14:30, or 7d"),
        (("--since", "2027-01-02", "--until", "2027-01-01"), "is not before the end of the window"),
    ],
)
def test_a_window_of_decisions_that_is_none_is_said(
    tmp_path: Path, command: Command, flags: tuple[str, ...], said: str
) -> None:
    (tmp_path / "hotdesk.toml").write_text(ONE_CLUSTER)
    assert said in one_line(command("decisions", *flags), SETTINGS)


def test_incidents_and_findings_are_exported_and_no_name_is_a_formula(scene: Scene, command: Command) -> None:
    scene.seat(TWO, "=1+1")
    scene.silent = {TWO}
    until(lambda: [each.moves for each in scene.client.incidents()], "the move is advised")
    (incident,) = csv.DictReader(io.StringIO(command("incidents", "--csv").output))
    assert (incident["dialer"], incident["kind"], incident["moves"]) == (TWO, "down", "1")
    found = list(csv.DictReader(io.StringIO(command("decisions", *THEN, "--csv").output)))
    assert "'=1+1" in {each["subject"] for each in found}
    assert command("readiness", "--csv").output.startswith("severity,kind,where,what,remedy\n")
