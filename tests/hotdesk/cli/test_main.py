"""The `hotdesk` command as people and scripts meet it: what it prints, and what it ends with."""

import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from uuid import uuid4

import httpx
import msgspec
import pytest
from cyclopts import App, ArgumentCollection

from hotdesk.cli.client import open_api
from hotdesk.cli.main import app
from hotdesk.errors import ApiFailure
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from simulator.broker import GUARDED_USER, Broker
from stream.embedded.log import EmbeddedLog
from stream.entries import entry_of
from tests.support.ami_manager import Manager
from tests.support.builders import NOW_MS, ONE, THREE, TWO, alias, dialer, phone, poll, secret_file, session
from tests.support.commands import API, LOG, SECRET, SETTINGS, Command, Outcome, one_line, probeed, subjects
from tests.support.processes import CLUSTER, COMMAND, Site, Start, clean_environment, until
from tests.support.timing import on_this_machine

SEQUENCES = count(2)
RUN = ["run", "--api.port", "0", "--clusters.west.port", "1"]
"""Runs all roles on a log of its own, for a cluster whose database nobody will ever reach."""
COMMANDS = [
    "",
    "run",
    "collect",
    "control",
    "serve",
    "rank",
    "pause",
    "resume",
    "drain",
    "undrain",
    "move",
    "ack",
    "unbrake",
    "unfence",
    "forget",
    "resynchronise",
    "incidents",
    "topics",
    "topics create",
    "topics check",
    "topics acls",
    "init",
    "check",
]
SHORT = ["ack", "drain", "status", "explain", "rank", "decisions", "check", "topics create", "aliases plan"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Yield a port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("name", [*COMMANDS, "check", "demo"])
def test_every_command_explains_itself(command: Command, name: str) -> None:
    outcome = command(*name.split(), "--help")
    assert outcome.code == 0
    assert f"Usage: hotdesk {name}".rstrip() in outcome.output
    assert outcome.errors == ""


def one_space(text: str) -> str:
    """Return a text as it was before it was broken into lines."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", SHORT)
def test_help_for_a_short_command_is_short_and_names_where_its_settings_are(command: Command, name: str) -> None:
    said = command(*name.split(), "--help", COLUMNS="80").output
    assert len(said.splitlines()) <= 30
    assert "2 settings, 3 database, 4 log, 5 API" in one_space(said)
    assert "--api.port" not in said
    assert "hotdesk run --help" in said


def test_every_argument_of_every_command_is_explained() -> None:
    unexplained = {
        f"{command} {argument.name}"
        for command, given in arguments_of(app)
        for argument in given
        # those of [log] and [api] have theirs below each field
        if argument.show and "." not in argument.name and not argument.parameter.help
    }
    assert unexplained == set()


def arguments_of(of: App, *path: str) -> Iterator[tuple[str, ArgumentCollection]]:
    """Yield the arguments of each command below."""
    for name in of:
        if not name.startswith("-"):
            if of[name].default_command is not None:
                yield " ".join((*path, name)), of[name].assemble_argument_collection()
            yield from arguments_of(of[name], *path, name)


@pytest.mark.parametrize("name", ["", "rank", "topics create"])
def test_help_may_be_asked_for_as_a_word(command: Command, name: str) -> None:
    assert command("help", *name.split()) == command(*name.split(), "--help")
    assert command("--config", "nope.toml", "help", *name.split()).code == 0


def test_help_shows_no_default_that_says_nothing(command: Command) -> None:
    said = command("run", "--help", COLUMNS="200").output
    assert "[default: 8470]" in said
    assert not {"None", '""', "()", "{}", "False"} & set(re.findall(r"\[default: (.*?)\]", said))


def test_help_names_the_exit_codes_and_where_secrets_go(command: Command) -> None:
    said = command("run", "--help").output
    assert "2 settings, 3 database, 4 log, 5 API" in said
    assert "HOTDESK_LOG_SASL_PASSWORD" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--config", "nope.toml"], "there is no nope.toml"),
        (["check", "--config", "nope.toml"], "'hotdesk setup' makes one for a service, 'hotdesk init' writes one"),
        (["frobnicate"], "frobnicate"),
        (["run", "--frobnicate"], "--frobnicate"),
        (["run"], "no cluster to collect from: 'hotdesk setup' sets one up"),
        (["collect", "--log.bootstrap", "127.0.0.1:1"], "no cluster"),
        (["serve", "--api.port", "soon"], "--api.port"),
        (["serve", "--api.port", "70000"], "--api.port"),
        (["serve", "--api.port=-1"], "--api.port"),
        (["serve", "--log.partitions", "0"], "--log.partitions"),
        (["serve", "--log.security-protocol", "TLS"], "--log.security-protocol"),
        (["serve", "--api.port", "0", "--log.bootstrap", "kafka1:port"], "log.bootstrap"),
        ([*RUN, "--api.host", "0.0.0.0"], "api.token_file"),  # noqa: S104 (refused)
        ([*RUN, "--api.token-file", "nope"], "token file nope cannot be read: No such file or directory"),
        ([*RUN, "--api.host", "192.0.2.1", "--api.token-file", "tokens"], "192.0.2.1"),
        (["check", "--clusters.west", "5"], "--clusters.NAME.KEY VALUE"),
        (["check", "--clusters.west.port", "soon"], "port"),
        (["check", "--clusters.west.prot", "5"], "prot"),
        (["check", "--clusters.We_st.port", "5"], "use lower-case letters"),
        (["check", "--clusters.west.password", SECRET], "password_file"),
        (["check", f"--clusters.west.password={SECRET}"], "password_file"),
        (["check", f"--log.sasl-password={SECRET}"], "--log.sasl-password-file"),
        (["topics", "check"], "log.bootstrap"),
        (["rank"], "rank needs an alias: hotdesk rank ALIAS"),
        (["explain"], "explain needs a name: hotdesk explain NAME"),
        (["drain"], "drain needs a dialer: hotdesk drain DIALER"),
        (["undrain"], "undrain needs a dialer: hotdesk undrain DIALER"),
        (["move"], "move needs a user: hotdesk move USER"),
        (["ack"], "ack needs an incident: hotdesk ack INCIDENT"),
        (["revoke"], "revoke needs a kind: hotdesk revoke KIND"),
        (["forget"], "forget needs a cluster: hotdesk forget CLUSTER"),
        (["topics", "acls"], "topics acls needs a user: hotdesk topics acls USER"),
        (["alerts"], "alerts needs a value for --runbooks: see 'hotdesk alerts --help'"),
        (["rank", "desk", "--campaign"], "rank needs a value for --campaign: see 'hotdesk rank --help'"),
    ],
)
def test_a_wrong_flag_is_one_line(command: Command, tmp_path: Path, arguments: list[str], said: str) -> None:
    secret_file(tmp_path / "tokens", "read long-enough-to-be-a-token\nadmin long-enough-to-order-with\n")
    assert said in one_line(command(*arguments), SETTINGS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[api", "cannot be read"),
        ("[apy]\nport = 1", "[apy]"),
        ("[api]\nprot = 1", "api.prot"),
        ("[api]\nport = 'soon'", "soon"),
        (
            "[api]\n\nport = 70000",
            'Invalid value "70000" for [api][port] provided by hotdesk.toml, line 3. Must be <= 65535',
        ),
        ("[log]\nsecurity_protocol = 'TLS'", 'from hotdesk.toml, line 2. Choose from: "PLAINTEXT", "SSL", '),
        ("api = 5", "[api]"),
        ("clusters = 5", "[clusters.NAME]"),
        ("[clusters.We_st]\nport = 1", "use lower-case letters"),
        ("[clusters.west]\nprot = 1", "prot"),
        ("[clusters.west]\nport = 'soon'", "port"),
        (f"[clusters.west]\npassword = '{SECRET}'", "HOTDESK_CLUSTERS__WEST__PASSWORD"),
        (f"[clusters.west]\nami_secret = '{SECRET}'", "HOTDESK_CLUSTERS__WEST__AMI_SECRET"),
        (f"[log]\nsasl_password = '{SECRET}'", "HOTDESK_LOG_SASL_PASSWORD"),
    ],
)
def test_a_wrong_file_is_one_line(command: Command, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "hotdesk.toml").write_text(text)
    line = one_line(command("run", "--api.host", "127.0.0.1"), SETTINGS)
    assert said in line


def test_a_wrong_variable_is_one_line_that_names_it(command: Command) -> None:
    assert "HOTDESK_API_PORT" in one_line(command("serve", HOTDESK_API_PORT="soon"), SETTINGS)
    said = one_line(command("check", HOTDESK_CLUSTERS__WEST__PORT="soon"), SETTINGS)
    assert "clusters.west" in said


@pytest.mark.parametrize("line", ["write long-enough-to-be-a-token", f"read {SECRET} {SECRET}", "read short", ""])
def test_a_token_file_that_does_not_fit_is_refused_without_its_tokens(
    command: Command, tmp_path: Path, line: str
) -> None:
    secret_file(tmp_path / "tokens", f"{line}\n")
    assert "token file tokens" in one_line(command(*RUN, "--api.token-file", "tokens"), SETTINGS)


def test_flags_win_over_variables_and_those_over_the_file(command: Command, tmp_path: Path, taken_port: int) -> None:
    (tmp_path / "mine.toml").write_text("[api]\nhost = '127.0.0.2'\nport = 1\nurl = 'http://127.0.0.3:1'\n")
    variables = {"HOTDESK_CONFIG": "mine.toml", "HOTDESK_API_PORT": "2", "HOTDESK_API_HOST": "127.0.0.1"}
    assert "http://127.0.0.3:1" in one_line(command("rank", "desk", **variables), API)
    # What was to be bound shows in the refusal.
    said = one_line(command(*RUN[:-3], str(taken_port), *RUN[-2:], **variables), SETTINGS)
    assert f"127.0.0.1:{taken_port}" in said


def test_a_port_in_use_is_one_line(command: Command, taken_port: int) -> None:
    said = one_line(command(*RUN[:-3], str(taken_port), *RUN[-2:]), SETTINGS)
    assert str(taken_port) in said


def test_a_trusted_proxy_that_is_no_address_is_one_line(command: Command) -> None:
    assert "api.trusted_proxies" in one_line(command(*RUN, "--api.trusted-proxies", "127.0.0.1, the moon"), SETTINGS)


@pytest.mark.parametrize(
    "url",
    [
        "grafana",
        "https://u:secret@g.example",
        "https://g.example/?orgId=2",
        "https://g.example/#x",
        "https://g .x",
        "https://g.example:99999",
    ],
)
def test_a_grafana_that_is_no_plain_address_is_one_line(command: Command, url: str) -> None:
    said = one_line(command(*RUN, "--api.grafana-url", url), SETTINGS)
    assert "api.grafana_url" in said
    assert "secret" not in said


def test_an_embedded_log_that_another_process_owns_is_one_line(command: Command, start: Start, tmp_path: Path) -> None:
    owner = start(*RUN, "--log.path", "shared.db")
    assert owner.client.http.get("/healthz").is_success
    said = one_line(command(*RUN, "--log.path", str(tmp_path / "shared.db")), LOG)
    assert f"in use by process {owner.pid}" in said
    assert str(owner.pid) in command("check", "--log.path", str(tmp_path / "shared.db"), "--json").output
    code, seconds = owner.end()
    assert code == 0
    assert seconds < on_this_machine(5)


def test_a_log_of_another_number_of_partitions_is_one_line(command: Command, tmp_path: Path) -> None:
    EmbeddedLog(tmp_path / "log.db", partitions=4).close()
    said = one_line(command(*RUN, "--log.path", "log.db"), LOG)
    assert "4 partitions" in said


# --- init -------------------------------------------------------------------------------------------------------


def test_init_writes_a_file_that_check_takes_and_never_a_second_time(command: Command, tmp_path: Path) -> None:
    assert "hotdesk.toml" in command("init").output
    written = (tmp_path / "hotdesk.toml").read_text()
    assert "left as it is" in one_line(command("init"), SETTINGS)
    assert (tmp_path / "hotdesk.toml").read_text() == written
    findings = json.loads(command("check", "--json").output)
    assert [each["subject"] for each in findings] == ["log", "api", "cluster main"]
    # The example's password lies where nobody put it: the settings as such are fine.
    assert "/etc/hotdesk/secrets/main.password" in findings[2]["what"]


def test_init_says_where_it_cannot_write(command: Command) -> None:
    assert "nowhere/hotdesk.toml cannot be written" in one_line(command("init", "nowhere/hotdesk.toml"), SETTINGS)


# --- topics -----------------------------------------------------------------------------------------------------


def kafka(bootstrap: str, prefix: str = "", partitions: int = 4) -> dict[str, str]:
    """Return the variables of a Kafka log whose topics nobody else uses."""
    return {
        "HOTDESK_LOG_BOOTSTRAP": bootstrap,
        "HOTDESK_LOG_PREFIX": prefix or f"t{uuid4().hex[:8]}.",
        "HOTDESK_LOG_PARTITIONS": str(partitions),
        "HOTDESK_LOG_REPLICATION": "1",
    }


def test_topics_are_absent_then_created_then_right(command: Command, broker: Broker, west: Site) -> None:
    environment = kafka(broker.bootstrap)
    absent = command("topics", "check", **environment)
    assert absent.code == LOG
    assert len(absent.output.splitlines()) == 8
    assert all("hotdesk topics create" in line for line in absent.output.splitlines())
    checked = command("check", "--json", **environment, **west.environment)
    assert checked.code == LOG
    assert len(subjects(checked, "wrong")) == 8
    assert f"cluster {CLUSTER}" in subjects(checked, "ok")  # nothing found wrong stops the rest

    created = json.loads(command("topics", "create", "--json", **environment).output)
    assert f"{environment['HOTDESK_LOG_PREFIX']}observations" in created
    assert len(created) == 8
    again = command("topics", "create", **environment)
    assert again.code == 0
    assert "exist already" in again.output
    assert command("topics", "check", **environment).code == 0
    assert json.loads(command("topics", "check", "--json", **environment).output) == []
    assert command("check", **environment, **west.environment).code == 0

    other = command("topics", "check", **(environment | {"HOTDESK_LOG_PARTITIONS": "5"}))
    assert other.code == LOG
    assert "it has 4 partitions, not 5" in other.output


def test_check_says_that_kafka_is_down_and_looks_at_the_rest(command: Command, silent_port: int, west: Site) -> None:
    outcome = command("check", "--json", **kafka(f"127.0.0.1:{silent_port}"), **west.environment)
    assert outcome.code == LOG
    assert "does not answer" in subjects(outcome, "wrong")["log"]
    assert f"cluster {CLUSTER}" in subjects(outcome, "ok")


def test_kafka_that_refuses_a_password_names_the_user(command: Command, broker: Broker) -> None:
    environment = kafka(broker.guarded_bootstrap) | {
        "HOTDESK_LOG_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "HOTDESK_LOG_SASL_MECHANISM": "PLAIN",
        "HOTDESK_LOG_SASL_USERNAME": GUARDED_USER,
        "HOTDESK_LOG_SASL_PASSWORD": SECRET,
    }
    assert "sasl_password" in one_line(command("topics", "create", **environment), LOG)


# --- rank -------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Yield a running hotdesk that knows one cluster; reading it needs a token."""
    secret_file(tmp_path / "tokens", "read long-enough-to-be-a-token\nadmin long-enough-to-order-with\n")
    wanted = Wanted(
        roles=frozenset({Role.CONTROL, Role.SERVE}),
        log=LogOptions(path=tmp_path / "log.db", partitions=4),
        api=ApiOptions(port=0, token_file=tmp_path / "tokens"),
        databases={},
        policies={},
    )
    with Service(wanted) as running:
        dialers = dialer(ONE, 5), dialer(TWO, 3), dialer(THREE, 1, active=False)
        phones = phone("p1", ONE), phone("p2", TWO), phone("p3", THREE)
        aliases = alias("desk", "p1", "p2", "p3"), alias("2nd floor?", "p2", "p3")
        running.log.append([entry_of(record) for record in (*phones, *aliases, poll(*dialers))])
        yield running


@pytest.fixture
def asking(service: Service) -> dict[str, str]:
    """Return the variables by which a command reaches that hotdesk."""
    return {"HOTDESK_API_URL": service.url, "HOTDESK_TOKEN": "long-enough-to-be-a-token"}


def test_rank_shows_the_next_phone_first_and_why_not_the_others(command: Command, asking: dict[str, str]) -> None:
    table = until(lambda: command("rank", "desk", **asking).output, "the alias is known")
    rows = [line for line in table.splitlines() if "p1" in line or "p2" in line or "p3" in line]
    assert [next(word for word in row.split() if word.startswith("p")) for row in rows] == ["p2", "p1", "p3"]
    assert "switched off" in rows[-1]


def test_rank_prints_json_for_scripts(command: Command, asking: dict[str, str]) -> None:
    until(lambda: command("rank", "desk", **asking).output, "the alias is known")
    ranking = json.loads(command("rank", "desk", "--json", "--cluster", CLUSTER, **asking).output)
    assert [phone["rank"] for phone in ranking["phones"]] == [1, 2, None]


def test_rank_says_what_the_api_refuses(command: Command, asking: dict[str, str]) -> None:
    until(lambda: command("rank", "desk", **asking).output, "the alias is known")
    assert "'nobody'" in one_line(command("rank", "nobody", **asking), API)
    assert "'east'" in one_line(command("rank", "desk", "--cluster", "east", **asking), API)
    without = {"HOTDESK_API_URL": asking["HOTDESK_API_URL"]}
    assert "Bearer TOKEN" in one_line(command("rank", "desk", **without), API)
    wrong = one_line(command("rank", "desk", **(without | {"HOTDESK_TOKEN": SECRET})), API)
    assert "says: this token is not known: the token file has no such token; a command sends the one in " in wrong
    assert "export" not in wrong


def test_check_says_of_a_refused_token_what_is_wrong_with_it_and_where_tokens_are(
    command: Command, service: Service, silent_port: int, tmp_path: Path
) -> None:
    asked = ("check", "--clusters.west.host", "127.0.0.1", "--clusters.west.port", str(silent_port))
    there = {"HOTDESK_API_URL": service.url, "HOTDESK_API_TOKEN_FILE": str(tmp_path / "tokens")}
    (none,) = (each for each in command(*asked, **there).output.splitlines() if "login hook" in each)
    assert none.endswith(f"export HOTDESK_TOKEN=TOKEN: the token file of these settings is {tmp_path / 'tokens'}")
    (wrong,) = (
        each for each in command(*asked, HOTDESK_TOKEN=SECRET, **there).output.splitlines() if "login hook" in each
    )
    assert "this token is not known" in wrong
    assert (SECRET in wrong, "export" in wrong) == (False, False)


def test_rank_asks_for_an_alias_with_any_characters(command: Command, asking: dict[str, str]) -> None:
    assert "p2" in until(lambda: command("rank", "2nd floor?", **asking).output, "the alias is known")


def test_resynchronise_is_for_admins_and_orders_everything_again(command: Command, asking: dict[str, str]) -> None:
    until(lambda: command("rank", "desk", **asking).output, "the cluster is known")
    assert "admin" in one_line(command("resynchronise", **asking), API)
    said = command("resynchronise", **asking | {"HOTDESK_TOKEN": "long-enough-to-order-with"})
    assert (said.code, said.output) == (0, f"ordered: cluster {CLUSTER} is published again\n")


# --- orders and incidents ---------------------------------------------------------------------------------------


def test_orders_are_for_admins_and_say_what_was_ordered(command: Command, asking: dict[str, str]) -> None:
    until(lambda: command("rank", "desk", **asking).output, "the cluster is known")
    assert "admin" in one_line(command("pause", **asking), API)
    admin = asking | {"HOTDESK_TOKEN": "long-enough-to-order-with"}
    for arguments, said in (
        (["pause", "--why", "release night"], f"ordered: cluster {CLUSTER} is suspended until 'hotdesk resume'"),
        (["resume"], f"ordered: cluster {CLUSTER} is no longer suspended"),
        (
            ["drain", ONE],
            f"ordered: {ONE} drains until 'hotdesk undrain {ONE}'; hotdesk only advises here: no agent is",
        ),
        (["undrain", ONE], f"ordered: {ONE} no longer drains"),
        (["unfence", "--all"], "no dialer is fenced"),
    ):
        done = command(*arguments, **admin)
        assert done.code == 0, done
        assert done.output.startswith(said)
    for arguments, said in (
        (["undrain", ONE], f"no drain of {ONE} is ordered"),
        (["resume"], "no pause is ordered"),
        (["revoke", "unbrake"], "no unbrake is ordered"),
        (["drain", "nowhere"], f"has no dialer 'nowhere'; it has {ONE}"),
    ):
        assert said in one_line(command(*arguments, **admin), API)
    assert "an order to drain is about dialer" in one_line(command("revoke", "drain", **admin), SETTINGS)
    assert "no agent is logged in as '1001'" in one_line(command("move", "1001", **admin), API)
    assert f"has no dialer '10.9.9.9'; it has {ONE}" in one_line(command("drain", "10.9.9.9", **admin), API)
    assert "is not open; open: none" in one_line(command("ack", "x@1", **admin), API)
    assert "no fleet brake holds" in one_line(command("unbrake", **admin), API)


@pytest.fixture
def occupied(service: Service) -> dict[str, str]:
    """Return the variables by which an administrator reaches a hotdesk with an agent on the first dialer."""
    named = msgspec.structs.replace(dialer(ONE, 1), server_id="DIAL1")
    service.log.append(
        [
            entry_of(each)
            for each in (session("1001", ONE, sequence=2), poll(named, dialer(TWO), sequence=2, at_ms=NOW_MS + 1000))
        ]
    )
    return {"HOTDESK_API_URL": service.url, "HOTDESK_TOKEN": "long-enough-to-order-with"}


def test_what_a_drain_would_do_is_shown_and_asked_once(
    command: Command, occupied: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: "Logged in" in command("explain", "1001", **occupied).output, "the agent is seen")
    in_a_script = one_line(command("drain", "dial1", **occupied), SETTINGS)
    assert f"not ordered: DIAL1 ({ONE}) gets no new logins. 1 agent: none can be moved." in in_a_script
    assert in_a_script.endswith("In a script say --yes")
    assert command("orders", **occupied).output == f"no order stands in {CLUSTER}\n"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked: list[str] = []

    def answered(answer: str, question: str) -> str:
        asked.append(question)
        return answer

    for answer, code in (("n", 1), ("y", 0)):
        monkeypatch.setattr("builtins.input", partial(answered, answer))
        assert command("drain", "dial1", **occupied).code == code
    assert asked == ["drain dial1? [y/N] "] * 2
    shown = until(lambda: "drains" in (told := command("orders", **occupied).output) and told, "the order stands")
    assert "taken back by: hotdesk undrain 10.0.0.1" in shown
    assert command("undrain", "DIAL1", **occupied).code == 0
    assert command("drain", "dial1", "--yes", **occupied).code == 0


def test_incidents_are_shown_to_people_and_to_scripts(
    command: Command, asking: dict[str, str], service: Service
) -> None:
    until(lambda: command("rank", "desk", **asking).output, "the cluster is known")
    assert json.loads(command("incidents", "--json", **asking).output) == []
    admin = asking | {"HOTDESK_TOKEN": "long-enough-to-order-with"}
    assert command("drain", ONE, "--why", "new kernel", "--yes", **admin).code == 0

    pace = threading.Event()

    def incident() -> dict[str, object]:
        # what is ordered is followed with the next poll; by some that come faster than they are made nothing is decided
        pace.wait(0.5)
        sequence = next(SEQUENCES)
        service.log.append([entry_of(poll(dialer(ONE, 5), sequence=sequence, at_ms=NOW_MS + 500 * sequence))])
        found = json.loads(command("incidents", "--json", **asking).output)
        return found[0]["incident"] if found else {}

    opened = until(incident, "the incident is open")
    assert (opened["server_ip"], opened["kind"]) == (ONE, "draining")
    assert command("ack", ONE, "--silence-minutes", "30", **admin).code == 0
    (found,) = until(
        lambda: [
            each for each in json.loads(command("incidents", "--json", **asking).output) if each["acknowledged_by"]
        ],
        "it is acknowledged",
    )
    assert found["silenced_until_ms"] > 0
    assert f"incidents of {CLUSTER}" in command("incidents", **asking).output


def test_where_no_setting_says_that_there_is_a_hotdesk_the_first_step_is_named() -> None:
    for options, named in ((ApiOptions(), True), (ApiOptions(port=8471), False)):
        with pytest.raises(ApiFailure) as refused, open_api(options):
            raise ApiFailure("no hotdesk answers") from httpx.ConnectError("refused")
        assert ("if there is none yet: 'hotdesk setup'" in str(refused.value)) is named
        # by this `hotdesk status` knows it from a refusal
        assert isinstance(refused.value.__cause__, httpx.ConnectError)


def test_rank_says_that_nobody_answers(command: Command, silent_port: int) -> None:
    said = one_line(command("rank", "desk", "--api.port", str(silent_port)), API)
    assert "check that it runs" in said


# --- the process ------------------------------------------------------------------------------------------------


def test_a_mistake_ends_the_process_with_its_code_and_one_line(tmp_path: Path, silent_port: int) -> None:
    ended = subprocess.run(  # noqa: S603 (our own command)
        [COMMAND, "topics", "check"],
        env=clean_environment(kafka(f"127.0.0.1:{silent_port}")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "does not answer" in one_line(Outcome(ended.returncode, ended.stdout, ended.stderr), LOG)


def test_the_name_of_a_group_alone_lists_its_commands_with_what_each_does(tmp_path: Path) -> None:
    said = subprocess.run(  # noqa: S603 (our own command, in a process that has imported no other)
        [COMMAND, "aliases"], env=clean_environment({}), cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^│ plan +[A-Z]\w", said, re.MULTILINE), said


def test_run_ends_on_an_interrupt_within_five_seconds(start: Start, west: Site) -> None:
    process = start("run", "--api.port", "0", environment=west.environment)
    until(process.client.ranking, "the first poll")
    began = time.monotonic()
    process.signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert time.monotonic() - began < on_this_machine(5)
    with closing(socket.socket()) as knock:
        assert knock.connect_ex(("127.0.0.1", int(process.client.url.rpartition(":")[2]))) != 0
    assert "Traceback" not in process.said.read_text()


def test_run_asks_the_probes_that_the_settings_name(
    start: Start, tmp_path: Path, west: Site, ami: Manager, silent_port: int
) -> None:
    environment = probeed(tmp_path, west, ami.port, ami.port, silent_port)
    client = start("run", "--api.port", "0", environment=environment).client
    until(lambda: client.metric("hotdesk_probe", state="alive") == 2, "two probes are alive")
    until(lambda: client.metric("hotdesk_probe", state="refused") == 1, "one refuses")


def test_run_without_the_secret_of_its_account_is_one_line(command: Command) -> None:
    assert "ami_secret_file" in one_line(command(*RUN, "--clusters.west.ami-user", "hotdesk"), SETTINGS)


def test_run_waits_for_a_database_that_is_away_and_never_shows_its_password(start: Start, silent_port: int) -> None:
    variables = {"HOTDESK_CLUSTERS__WEST__PORT": str(silent_port), "HOTDESK_CLUSTERS__WEST__PASSWORD": SECRET}
    process = start("run", "--api.port", "0", environment=variables)
    (line,) = until(lambda: process.lines("the database cannot be read; trying again"), "it says so")
    assert f":{silent_port}" in line["why"]
    until(lambda: process.client.metric("hotdesk_poll_errors_total", kind="unavailable") >= 3, "it tried again")
    assert len(process.lines("the database cannot be read; trying again")) == 1
    assert SECRET not in process.said.read_text()
    code, seconds = process.end()
    assert code == 0
    assert seconds < on_this_machine(5)


def test_the_lines_that_let_a_role_work_are_printed_without_asking_anybody(command: Command) -> None:
    said = command("topics", "acls", "collect", "--log.bootstrap", "127.0.0.1:9", "--principal", "User:ann").output
    assert said.splitlines() == [
        f"kafka-acls.sh --bootstrap-server 127.0.0.1:9 --add --allow-principal User:ann {rest}"
        for rest in (
            "--operation Read --operation Write --topic hotdesk.observations",
            "--operation Read --operation Write --topic hotdesk.orders",
        )
    ]
    refused = command("topics", "acls", "collect")
    assert (refused.code, refused.output) == (2, "")
    asked = ("collect", "--log.bootstrap", "127.0.0.1:9", "--principal", "User:CN=collect, O=We")
    lines = command("topics", "acls", *asked, "--command-config", "our login.properties").output.splitlines()
    login = "--command-config 'our login.properties' --add --allow-principal 'User:CN=collect, O=We'"
    assert all(line.startswith(f"kafka-acls.sh --bootstrap-server 127.0.0.1:9 {login} --operation") for line in lines)


def test_a_mistyped_variable_is_said_by_every_command(command: Command) -> None:
    said = command("rank", "desk1001", HOTDESK_API__PORT="1")
    assert "HOTDESK_API__PORT is no setting" in said.errors
    assert "HOTDESK_API_PORT?" in said.errors
