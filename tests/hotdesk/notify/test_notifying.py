"""Notifications end to end: a killed dialer is told once to each receiver, and its end once, over a killed owner."""

import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from controller.core.notifications import Event, Message, Recipient
from hotdesk.notify import part
from hotdesk.notify.senders import SendError, Told
from tests.support.builders import ONE, TWO, secret_file
from tests.support.commands import SETTINGS, Command, one_line
from tests.support.log_scene import playing
from tests.support.processes import CLUSTER, Process, Site, Start, until
from tests.support.receivers import Mail, Web, mail, web, writing_command


def settings_of(folder: Path, server: Web, mails: Mail) -> dict[str, str]:
    """Write the settings of three recipients; return the variables that name the file."""
    address = secret_file(folder / "url", server.url)
    command, _ = writing_command(folder)
    (folder / "hotdesk.toml").write_text(f"""
[log]
path = "{folder / "log.db"}"
[api]
port = 0
[notify.chat]
kind = "json"
url_file = "{address}"
[notify.mail]
kind = "email"
smtp_host = "127.0.0.1"
smtp_port = {mails.port}
smtp_tls = "none"
sender = "hotdesk@example.com"
to = ["ops@example.com"]
events = ["incident"]
[notify.command]
kind = "command"
command = ["{command}"]
[notify.elsewhere]
kind = "command"
command = ["/bin/false"]
clusters = ["east"]
""")
    return {"HOTDESK_CONFIG": str(folder / "hotdesk.toml")}


def test_a_death_is_told_once_and_its_end_once_over_a_killed_owner(west: Site, start: Start, tmp_path: Path) -> None:
    def up(process: Process) -> bool:
        return [each.state for each in process.client.dialers()] == ["up"] * len(west.plan.dialer_plans)

    with web() as server, mail() as mails, west.living() as cluster:
        environment = west.environment | settings_of(tmp_path, server, mails)
        told = tmp_path / "told.txt"

        def incidents() -> list[tuple[str, str]]:
            return [(each["event"], each["state"]) for each in server.bodies if each["event"] == "incident"]

        first = start("run", environment=environment)
        until(lambda: up(first), "every dialer is up", 60)
        victim = west.plan.dialer_plans[0].server_ip
        cluster.kill(victim)
        until(lambda: incidents() and mails.mails and told.exists(), "all three are told", 60)
        until(lambda: len(first.lines("a notification was sent")) >= 3, "and that is known")
        until(lambda: first.client.metric("hotdesk_outbox_records") == 0, "and stored")
        assert f"({victim}) is down: " in server.bodies[-1]["text"]
        assert "a-token-in-the-address" not in first.said.read_text()
        (line,) = [each for each in first.lines() if each.get("code") == "incident_opened"]
        assert (line["level"], line["cluster"], line["subject"]) == ("warning", CLUSTER, victim)
        first.signal(signal.SIGKILL)
        first.wait(10)
        second = start("run", environment=environment)
        until(lambda: any(each.state == "down" for each in second.client.dialers()), "another owner decides", 60)
        cluster.bring_back(victim)
        until(lambda: incidents()[-1] == ("incident", "over"), "the end is told", 90)
        until(lambda: len(mails.mails) == 2 and len(told.read_text().splitlines()) >= 2, "to all three", 60)
        second.end()
    assert incidents() == [("incident", "begins"), ("incident", "over")]
    assert [each.partition("|incident|")[2].partition("|")[0] for each in told.read_text().splitlines()] == [
        "begins",
        "over",
    ]
    assert "Subject: OVER: hotdesk west: incident" in mails.mails[1]
    assert not [each for each in second.lines() if each["event"] == "a notification could not be sent"]


def test_a_test_message_reaches_each_recipient_and_says_which_it_does_not(command: Command, tmp_path: Path) -> None:
    with web() as server, mail() as mails:
        variables = settings_of(tmp_path, server, mails)
        ended = command("notify", "test", **variables)
        assert ended.output.splitlines() == [
            "chat: sent",
            "mail: sent",
            "command: sent",
            "elsewhere: not sent: /bin/false ended with 1",
        ]
        assert ended.code == 1
        assert command("notify", "test", "chat", **variables).code == 0
        assert [each["event"] for each in server.bodies] == ["test", "test"]
        assert "nothing is wrong" in mails.mails[0]
        assert "there is no recipient 'nobody'" in one_line(command("notify", "test", "nobody", **variables), SETTINGS)
        checked = command("check", HOTDESK_CLUSTERS__WEST__PORT="1", **variables).output
        assert "notify chat: json, told of agents, database, incident, suspended, withheld, in all clusters" in checked
        assert "notify elsewhere: there is no cluster east" in checked
    (tmp_path / "none.toml").touch()
    nowhere = command("notify", "test", HOTDESK_CONFIG=str(tmp_path / "none.toml"))
    assert "write a [notify.NAME] table" in one_line(nowhere, SETTINGS)


@pytest.mark.parametrize("role", ["run", "control", "check"])
def test_a_recipient_that_cannot_be_told_is_said_at_the_start(command: Command, tmp_path: Path, role: str) -> None:
    (tmp_path / "hotdesk.toml").write_text(f'[notify.ops]\nkind = "slack"\n[clusters.{CLUSTER}]\nport = 1\n')
    ended = command(role)
    assert "the address is not set" in ended.output + ended.errors
    assert ended.code != 0


def test_a_recipient_whose_file_is_lost_is_left_out_and_the_rest_works(
    tmp_path: Path, start: Start, west: Site
) -> None:
    lost = f'[notify.ops]\nkind = "slack"\nurl_file = "{tmp_path / "lost"}"\n[clusters.{CLUSTER}]\n'
    (tmp_path / "hotdesk.toml").write_text(lost)
    configured = {"HOTDESK_CONFIG": str(tmp_path / "hotdesk.toml"), "HOTDESK_LOG_PATH": str(tmp_path / "log.db")}
    process = start("run", "--api.port", "0", environment=west.environment | configured)
    assert process.client.http.get("/readyz").status_code in {200, 503}
    (line,) = process.lines("a recipient of notifications is left out")
    assert str(tmp_path / "lost") in line["why"]


def test_a_recipient_that_hangs_or_refuses_holds_up_no_decision_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "FIRST_PAUSE_SECONDS", 0.01)
    hangs, sent, tries = threading.Event(), list[Message](), list[Message]()

    def hanging(_: Message) -> None:
        hangs.wait()

    def refusing(message: Message) -> None:
        tries.append(message)
        raise SendError("it answers 503")

    told = {
        name: Told(Recipient(name=name), send)
        for name, send in (("hangs", hanging), ("refuses", refusing), ("takes", sent.append))
    }
    with playing(tmp_path, told=told) as scene:
        scene.seat(ONE, "1001")
        scene.silent = {ONE}
        try:
            until(lambda: sent, "whoever takes it is told")
            until(lambda: [each.moves for each in scene.client.incidents()], "and the move is decided")
            until(lambda: len(tries) == part.TRIES, "the others are tried again")
            count = partial(scene.client.metric, "hotdesk_notifications_total")
            until(lambda: count(recipient="refuses", outcome="failed") == 1, "and given up for a while")
            assert count(recipient="takes", outcome="sent") == 1
            assert count(recipient="hangs") == 0
            waiting = partial(scene.client.metric, "hotdesk_notifications_waiting")
            scene.silent = {TWO}
            until(lambda: len(sent) > 2, "the first one's end is told, and the next one's death")
            until(lambda: waiting(recipient="hangs") == 1, "which waits behind the one that hangs")
            assert waiting(recipient="takes") == 0
        finally:
            hangs.set()
    assert next(each.text for each in sent if each.event is Event.INCIDENT).startswith(f"{ONE} is down: ")
