"""`hotdesk setup`: from an empty folder and a real VICIdial schema to an answered pick, again, and back."""

import io
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from controller.api.tokens import Tokens
from hotdesk.cli.setup import to_ask_with
from hotdesk.setup.alone import alone
from simulator.broker import GUARDED_PASSWORD, GUARDED_USER, Broker
from simulator.database import Database
from simulator.ports import free_port
from tests.support.builders import secret_file
from tests.support.commands import DATABASE, LOG, SETTINGS, Command, Outcome, one_line
from tests.support.processes import COMMAND, Site, Start, clean_environment, until
from tests.support.timing import on_this_machine

A_MINUTE = 60.0
"""Far less than the ten minutes that the guide promises: a person has to read."""


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def option_file(database: Database, tmp_path: Path) -> Path:
    """Return an administrator's option file."""
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\nuser=root\npassword={database.password}\n")
    return file


@pytest.fixture
def account(west: Site) -> Iterator[str]:
    """Yield the name of an account that is not there yet."""
    name = f"{west.user}_own"
    yield name
    west.run(f"DROP USER IF EXISTS '{name}'@'127.0.0.1'")


@pytest.fixture
def words(west: Site, account: str, option_file: Path) -> list[str]:
    """Return the options of a setup that asks nothing, in the folder `here`."""
    given = {
        "--folder": "here",
        "--database-host": west.settings.host,
        "--database-port": str(west.settings.port),
        "--database": west.name,
        "--account": account,
        "--option-file": str(option_file),
        "--cluster": "west",
        "--address": "127.0.0.1",
        "--port": str(free_port()),
    }
    return ["setup", *(word for pair in given.items() for word in pair)]


def _is_there(west: Site, account: str) -> bool:
    with west.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM mysql.user WHERE User = %s", (account,))
        return cursor.fetchone() is not None


def _secrets(folder: Path) -> list[str]:
    """Return every secret that lies in a folder."""
    texts = [each.read_text() for each in (folder / "secrets").iterdir() if each.name != "grants.sql"]
    return [line.split()[-1] for text in texts for line in text.splitlines()]


def _hidden(outcome: Outcome, folder: Path) -> bool:
    return not any(each in outcome.output + outcome.errors for each in _secrets(folder))


def _done(outcome: Outcome) -> list[str]:
    return re.findall(r"^done: (.*)$", outcome.output, re.MULTILINE)


def test_from_nothing_to_an_answered_pick_by_its_own_words_and_back(
    west: Site, account: str, words: list[str], tmp_path: Path, start: Start
) -> None:
    # as VICIdial notes them when an agent logs in
    west.run(
        "CREATE TABLE vicidial_webservers (webserver_id INT AUTO_INCREMENT PRIMARY KEY, webserver VARCHAR(125))",
        "INSERT INTO vicidial_webservers (webserver) VALUES ('127.0.0.1')",
    )
    began = time.monotonic()
    with west.living():
        done = subprocess.run(  # noqa: S603 (our own command)
            [COMMAND, *words, "--yes"],
            cwd=tmp_path,
            env=clean_environment({"COLUMNS": "300"}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "On each web server (127.0.0.1)" in done.stdout
        assert all(each.server_ip in done.stdout for each in west.plan.dialer_plans)
        (told,) = re.findall(r"^Start it: hotdesk (.*)$", done.stdout, re.MULTILINE)
        client = start(*shlex.split(told)).client
        (pick,) = re.findall(r"^pick (\S+)$", (tmp_path / "here" / "secrets" / "tokens").read_text(), re.MULTILINE)
        client.http.headers["authorization"] = f"Bearer {pick}"
        until(lambda: client.ask("1001", "desk1001").status_code == httpx.codes.CREATED, "a pick is answered")
    assert time.monotonic() - began < on_this_machine(A_MINUTE)
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "here" / "secrets").iterdir()} == {0o600}
    assert pick not in done.stdout

    back = subprocess.run(  # noqa: S603 (our own command)
        [COMMAND, *words, "--undo", "--yes"],
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert back.returncode == 0, back.stdout + back.stderr
    assert not _is_there(west, account)
    # the log is the service's
    assert {each.name.partition(".db")[0] for each in (tmp_path / "here").iterdir()} == {"hotdesk"}


def test_a_dry_run_shows_every_step_and_changes_nothing(
    command: Command, west: Site, account: str, words: list[str], tmp_path: Path
) -> None:
    outcome = command(*words, "--dry-run", "--ami")
    assert outcome.code == 0, outcome
    for said in ("CREATE USER IF NOT EXISTS", "hotdesk.toml", "[clusters.west]", "west.ami", "back: it is removed"):
        assert said in outcome.output
    assert outcome.output.endswith("Nothing was changed.\n")
    assert not (tmp_path / "here").exists()
    assert not _is_there(west, account)


def test_a_second_run_changes_nothing_and_another_choice_only_what_it_is_about(
    command: Command, west: Site, words: list[str], tmp_path: Path
) -> None:
    here = tmp_path / "here"
    with west.answering():
        first = command(*words, "--yes")
        assert first.code == 0, first
        assert _hidden(first, here)
        before = {each: (each.stat().st_mtime_ns, each.stat().st_mode) for each in here.rglob("*")}
        # all else is found in the settings that are there
        short = ["setup", "--folder", "here", "--option-file", words[words.index("--option-file") + 1]]
        again = command(*short, "--yes")
        assert (again.code, _done(again)) == (0, []), again
        assert {each: (each.stat().st_mtime_ns, each.stat().st_mode) for each in here.rglob("*")} == before
        # a probe must answer there: at the port of this test's dialers
        sip = {"HOTDESK_CLUSTERS__WEST__SIP_PORT": str(west.sip_port)}
        acting = command(*short, "--yes", "--act", **sip)
        assert acting.code == 0, acting
    assert len(_done(acting)) == 2
    assert "agents' screens may be sent logouts and pauses" in acting.output
    # what somebody writes into it since stays, whatever is chosen
    settings = here / "hotdesk.toml"
    settings.write_text(settings.read_text() + "max_agents = 40\n")
    with west.answering():
        kept = command(*short, "--yes", "--fence", **sip)
    assert "somebody has changed it since" in kept.output
    assert settings.read_text().endswith("max_agents = 40\n")
    back = command("setup", "--folder", "here", "--undo", "--yes", "--option-file", short[-1])
    assert "left as it is: remove" in back.output
    assert settings.exists()
    assert not (here / "secrets").exists()


def test_an_option_file_that_is_not_there_is_said(command: Command, words: list[str], tmp_path: Path) -> None:
    missing = tmp_path / "nofile.cnf"
    given = [str(missing) if each == words[words.index("--option-file") + 1] else each for each in words]
    assert str(missing) in one_line(command(*given, "--dry-run"), 2)


def test_where_there_is_no_administrator_a_file_is_run_by_one_and_setup_goes_on(
    command: Command, west: Site, account: str, words: list[str], tmp_path: Path
) -> None:
    Path(words[words.index("--option-file") + 1]).write_text("[client]\nuser=root\npassword=wrong\n")
    file = tmp_path / "here" / "secrets" / "grants.sql"
    unseen = command(*words, "--yes")
    assert unseen.code == DATABASE
    assert "by hand: by " in unseen.output
    assert "Access denied for user 'root'" in unseen.output
    told = f"mysql -h {west.settings.host} -P {west.settings.port} -u root -p < {file}"
    assert f"An administrator of the database runs: {told}" in unseen.output
    assert "Start it: hotdesk run" in unseen.output
    assert not _is_there(west, account)
    assert _hidden(unseen, tmp_path / "here")
    assert file.stat().st_mode & 0o777 == 0o600

    statements = "".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("--"))
    west.run(*filter(str.strip, statements.split(";\n")))
    with west.answering():
        again = command(*words, "--yes")
    assert (again.code, _done(again)) == (0, [f"remove {file}: its statements were run"]), again
    assert not file.exists()
    # what only lacks a right needs no password in the file, and everybody may read that
    more = command(*words, "--yes", "--act")
    open_file = tmp_path / "here" / "grants.sql"
    assert f"mysql -h {west.settings.host} -P {west.settings.port} -u root -p < {open_file}" in more.output
    assert open_file.stat().st_mode & 0o777 == 0o644
    assert not any(each in open_file.read_text() for each in _secrets(tmp_path / "here"))


def test_while_one_runs_another_is_told_so(command: Command, words: list[str], tmp_path: Path) -> None:
    with alone(str(tmp_path / "here")):
        assert f"another setup of {tmp_path / 'here'} runs since 2" in one_line(command(*words, "--yes"), SETTINGS)
        assert command(*words, "--dry-run").code == 0
    assert not (tmp_path / "here").exists()


def test_with_kafka_its_topics_are_made_by_the_settings_that_are_there(
    command: Command, words: list[str], west: Site, broker: Broker, tmp_path: Path
) -> None:
    """Kafka asks for a login here, which stands in the settings before."""
    secrets = tmp_path / "here" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    secret_file(secrets / "kafka.password", f"{GUARDED_PASSWORD}\n")
    settings = tmp_path / "here" / "hotdesk.toml"
    own = (
        f"prefix = 't{uuid4().hex[:8]}.'\npartitions = 2\nreplication = 1\nsecurity_protocol = 'SASL_PLAINTEXT'\n"
        f"sasl_mechanism = 'PLAIN'\nsasl_username = '{GUARDED_USER}'\nsasl_password_file = '{secrets}/kafka.password'"
    )
    given = dict(zip(words[1::2], words[2::2], strict=True))
    settings.write_text(
        f"[log]\nbootstrap = ['{broker.guarded_bootstrap}']\n{own}\n[api]\nhost = '127.0.0.1'\n"
        f"port = {given['--port']}\ntoken_file = '{secrets}/tokens'\n[clusters.west]\nhost = '{west.settings.host}'\n"
        f"port = {west.settings.port}\nuser = '{given['--account']}'\ndatabase = '{west.name}'\n"
        f"password_file = '{secrets}/west.password'\n"
    )
    # one broker is down, and the other answers
    with west.answering():
        made = command(*words, "--yes", "--kafka", f"127.0.0.1:{free_port()},{broker.guarded_bootstrap}")
        assert made.code == 0, made
        assert any(each.startswith("create hotdesk's topics in Kafka") for each in _done(made))
        assert "topics" in made.output
        again = command(*words, "--yes")
    assert (again.code, _done(again)) == (0, []), again
    assert command("topics", "check", "--config", str(settings)).output == "all topics are as needed\n"


@pytest.mark.parametrize(("kafka", "code"), [("kafka1", SETTINGS), ("127.0.0.1:{}", LOG)])
def test_brokers_that_do_not_answer_end_it_before_anything_is_made(
    command: Command, words: list[str], tmp_path: Path, kafka: str, code: int
) -> None:
    assert "kafka" in one_line(command(*words, "--yes", "--kafka", kafka.format(free_port())), code).lower()
    assert not (tmp_path / "here").exists()


def test_tokens_that_are_there_are_read_as_the_service_reads_them(
    command: Command, words: list[str], tmp_path: Path
) -> None:
    """A comment is no line of two words, and a digest is no token."""
    Path(words[words.index("--option-file") + 1]).write_text("[client]\nuser=root\npassword=wrong\n")
    file = tmp_path / "here/secrets/tokens"
    file.parent.mkdir(parents=True, mode=0o700)
    text = f"#\n# whose: the screens'\nread sha256:{'5' * 64}\nadmin {'a' * 20}\npick {'p' * 20} # web\n"
    secret_file(file, text)
    assert to_ask_with(Tokens.load(file)) == "p" * 20
    done = command(*words, "--yes")
    assert (done.code, done.errors) == (DATABASE, "")
    assert "Start it: hotdesk run" in done.output
    file.write_text(f"{text}word\n")
    bad = command(*words, "--yes")
    assert bad.errors == ""
    assert "wrong api: token file" in bad.output
    assert "line 6" in bad.output


def test_the_hook_gets_a_token_and_no_digest_of_one(command: Command, tmp_path: Path) -> None:
    secret_file(tmp_path / "token", f"sha256:{'5' * 64}\n")
    given = ("--url", "http://127.0.0.1:8470", "--cluster", "west", "--token-file", "token", "--settings", "here")
    assert "a token's digest" in one_line(command("hook", "install", *given, "--yes"), SETTINGS)


def test_it_asks_little_and_a_no_changes_nothing(
    command: Command, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = words.index("--cluster")
    less = words[:at] + words[at + 4 :]
    monkeypatch.setattr("sys.stdin", Terminal("127.0.0.1\nwest\nn\n"))
    outcome = command(*less)
    assert one_line(outcome, 1) == "hotdesk: nothing was changed"
    assert outcome.output.count("]: ") == 2
    assert not (tmp_path / "here").exists()


def test_where_nobody_can_answer_it_asks_for_yes(command: Command, words: list[str]) -> None:
    assert "--yes" in one_line(command(*words), SETTINGS)


def test_a_service_is_for_root_to_set_up(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "--folder" in one_line(command("setup", "--yes"), SETTINGS)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--cluster", "West Side"], "use lower-case letters"),
        (["--let-in", "the-office"], "no address and no network"),
    ],
)
def test_an_answer_that_does_not_fit_is_one_line(
    command: Command, words: list[str], more: list[str], said: str, tmp_path: Path
) -> None:
    at = words.index("--cluster")
    assert said in one_line(command(*words[:at], *words[at + 2 :], "--yes", *more), SETTINGS)
    assert not (tmp_path / "here").exists()


def test_there_is_nothing_to_take_back_where_nothing_was_made(command: Command, tmp_path: Path) -> None:
    outcome = command("setup", "--undo", "--yes", "--folder", str(tmp_path / "nowhere"))
    assert (outcome.code, outcome.output.startswith("There is nothing to take back")) == (0, True)


def test_what_fails_when_it_is_taken_back_stays_noted_and_is_an_error(command: Command, tmp_path: Path) -> None:
    notes = secret_file(tmp_path / "setup.json", '{"entries": [{"what": "make a user", "back": [["false"]]}]}')
    outcome = command("setup", "--undo", "--yes", "--folder", str(tmp_path))
    assert f"{notes} has what is left" in one_line(outcome, 1)
    assert "left as it is: take back: make a user: false: exit code 1" in outcome.output
    assert notes.exists()


def test_an_account_is_dropped_only_where_it_was_made(command: Command, tmp_path: Path) -> None:
    """The settings that said where may be gone: then it is not whatever server this machine has."""
    secret_file(
        tmp_path / "setup.json", '{"entries": [{"what": "give rights", "statement": "DROP USER IF EXISTS x;"}]}'
    )
    outcome = command("setup", "--undo", "--yes", "--folder", str(tmp_path))
    assert outcome.code == 1
    assert "name it with --database-host; by hand: DROP USER IF EXISTS x;" in outcome.output


def test_web_servers_and_dialers_are_checked_from_there(command: Command) -> None:
    """Whatever this machine is, each of its sides is looked at, and nothing of the settings is needed."""
    outcome = command("check", "--web", "--dialer", "--json")
    assert {each["subject"] for each in json.loads(outcome.output)} >= {"page", "php", "vicidial", "ami", "clock"}
    assert outcome.errors == ""


@pytest.mark.parametrize("name", ["setup", "grants"])
def test_each_option_says_what_it_is_for(command: Command, name: str) -> None:
    said = command(name, "--help").output
    options = [line for line in said.splitlines() if re.search(r"│ +--", line)]
    assert [line for line in options if not re.search(r"--[\w-]+(?: [A-Z]+\S*)? {2,}\w", line)] == []
    assert "--no-act" not in said
