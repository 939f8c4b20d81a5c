"""`hotdesk check`: what it looks at, and what it says."""

import json
import re
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pymysql
import pytest

from hotdesk.cli import check
from hotdesk.settings import ApiOptions
from simulator.agent_api import FakeAgentApi
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from stream.embedded.log import EmbeddedLog
from stream.entries import entry_of
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from tests.support import ami_manager as manager
from tests.support.ami_manager import Manager
from tests.support.builders import PARTITIONS, poll, secret_file
from tests.support.commands import DATABASE, LOG, SECRET, SETTINGS, Command, Outcome, probeed, subjects
from tests.support.fed_service import FedService, service_of
from tests.support.old_server import make_old
from tests.support.processes import ACT, Site, grants, site
from tests.support.timing import on_this_machine
from tests.support.topics import create_topics_patiently


def test_check_is_content_with_a_cluster_read_by_the_account_of_the_grants(command: Command, west: Site) -> None:
    with west.answering():
        outcome = command("check", **west.environment)
        as_json = command("check", "--json", **west.environment)
    assert outcome.code == 0, outcome
    assert outcome.errors == ""
    lines = outcome.output.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 5
    assert "3 active dialers" in lines[-2]
    assert "3 of 3 dialers answer by SIP" in lines[-1]
    assert len(json.loads(as_json.output)) == 5
    assert west.settings.password not in outcome.output + as_json.output


def test_check_says_that_one_dialer_needs_no_alias(command: Command, database: Database) -> None:
    with site(database, ClusterPlan(dialers=1, agents=2, remote_agents=0)) as lonely, lonely.answering():
        outcome = command("check", **lonely.environment)
    assert outcome.code == 0
    (note,) = [line for line in outcome.output.splitlines() if line.startswith("note")]
    assert "1 active dialer" in note
    assert "no agent needs a phone alias" in note


def test_check_says_that_the_clocks_differ(command: Command, west: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "time", SimpleNamespace(time=lambda: time.time() + 7200.0))
    with west.answering():
        outcome = command("check", **west.environment)
    assert outcome.code == 0
    (note,) = [line for line in outcome.output.splitlines() if line.startswith("note")]
    assert re.search(r"the database's clock is 7[12]\d\d s behind this machine's", note)


def test_check_without_a_cluster_says_so(command: Command) -> None:
    outcome = command("check", "--json")
    assert outcome.code == SETTINGS
    assert subjects(outcome, "wrong") == {"settings": "no cluster is set"}
    (remedy,) = (each["remedy"] for each in json.loads(outcome.output) if each["subject"] == "settings")
    assert remedy.startswith("'hotdesk setup' sets one up")


def test_check_names_the_user_and_never_the_password_that_was_refused(command: Command, west: Site) -> None:
    environment = west.environment | {"HOTDESK_CLUSTERS__WEST__PASSWORD": SECRET}
    for arguments in (["check"], ["check", "--json"]):
        outcome = command(*arguments, **environment)
        assert outcome.code == DATABASE
        assert west.user in outcome.output
        assert outcome.output.count("docs/guide/database.md") == 1
        assert SECRET not in outcome.output + outcome.errors


def test_check_names_the_grant_that_is_missing(command: Command, west: Site) -> None:
    west.run(f"REVOKE SELECT (status, user) ON {west.name}.vicidial_live_agents FROM '{west.user}'@'%'")
    outcome = command("check", **west.environment)
    assert outcome.code == DATABASE
    (wrong,) = [line for line in outcome.output.splitlines() if line.startswith("wrong")]
    assert "'agents' statement" in wrong
    assert "vicidial_live_agents" in wrong


def acts(at: Site, **settings: str) -> dict[str, str]:
    """Return the environment of a process that moves agents by SQL, or as `settings` say."""
    wanted = {"mode": "act", "relogin_via": "sql", **settings}
    return at.environment | {f"HOTDESK_CLUSTERS__WEST__{name.upper()}": value for name, value in wanted.items()}


def test_check_says_whether_screens_may_be_told(command: Command, west: Site) -> None:
    with west.answering():
        outcome = command("check", **acts(west))
    assert outcome.code == DATABASE
    wrong = [line for line in outcome.output.splitlines() if line.startswith("wrong")]
    assert "UPDATE command denied" in wrong[0]
    assert all("controller/grants.sql" in line for line in wrong)
    west.run(*grants(west, ACT))
    with west.answering():
        outcome = command("check", **acts(west))
    assert outcome.code == 0
    assert "agents' screens may be sent logouts" in outcome.output
    assert "dead_call_status is not set" in outcome.output


def test_check_looks_at_every_grant_that_the_settings_need(command: Command, west: Site) -> None:
    west.run(*grants(west, ACT), "INSERT INTO vicidial_statuses (status) VALUES ('DROP')")
    wanted = acts(west, emergency_logout="true", fence="true", dead_call_status="DROP")
    outcome = command("check", **wanted)
    assert outcome.code == DATABASE
    wrong = [line for line in outcome.output.splitlines() if line.startswith("wrong")]
    assert [name for name in ("emergency", "fence") for line in wrong if f"grants-{name}.sql" in line] == [
        "emergency",
        "fence",
    ]
    for name in ("emergency", "fence"):
        west.run(*grants(west, ACT.with_name(f"grants-{name}.sql")))
    with west.answering():
        outcome = command("check", **wanted)
    assert outcome.code == 0
    assert (
        "dead_call_status is DROP: VICIdial counts each call that died with its dialer as abandoned" in outcome.output
    )
    outcome = command("check", **(wanted | {"HOTDESK_CLUSTERS__WEST__DEAD_CALL_STATUS": "NOPE"}))
    assert "no status 'NOPE'" in outcome.output
    west.run("INSERT INTO vicidial_statuses (status) VALUES ('HDDEAD')")
    own = command("check", **(wanted | {"HOTDESK_CLUSTERS__WEST__DEAD_CALL_STATUS": "HDDEAD"}))
    assert "dead_call_status" not in own.output


def test_check_says_on_which_dialers_a_death_could_not_be_confirmed(command: Command, west: Site) -> None:
    west.run(*grants(west, ACT))
    mute, refused, switched_off = (each.server_ip for each in west.plan.dialer_plans)
    west.run(f"UPDATE servers SET active = 'N' WHERE server_ip = '{switched_off}'")
    with west.answering() as ports:
        ports.fall_silent(mute)
        ports.close(refused)
        ports.close(switched_off)
        advises, acting = command("check", **west.environment), command("check", **acts(west))
    assert advises.code == 0
    assert "no dialer is asked by AMI" in acting.output
    assert "no dialer is asked by AMI" not in advises.output
    assert f"{mute}: SIP at {mute}:{west.sip_port} does not answer" in advises.output
    assert acting.code != 0
    wrong = [line for line in acting.output.splitlines() if line.startswith("wrong")]
    assert [ip for line in wrong for ip in (mute, refused, switched_off) if f"{ip} answered" in line] == [mute, refused]


def test_check_says_which_dialers_of_the_settings_there_are_not(command: Command, west: Site, tmp_path: Path) -> None:
    first = west.plan.dialer_plans[0]
    west.run(f"UPDATE servers SET server_id = 'DIAL1' WHERE server_ip = '{first.server_ip}'")
    (tmp_path / "hotdesk.toml").write_text(
        '[clusters.west]\nmaintenance = [{ start = "03:00", minutes = 20, dialers = ["dial1"] }]\n'
        f'max_agents_of = {{ "{first.server_ip}" = 30, "10.9.9.9" = 1 }}\n'
    )
    with west.answering():
        outcome = command("check", **west.environment)
    assert outcome.code == SETTINGS
    named = "maintenance names 'dial1', and no dialer has that address: it takes no effect"
    assert f"{named}: write its address, {first.server_ip}" in outcome.output
    assert "max_agents_of names '10.9.9.9'" in outcome.output
    assert f"'{first.server_ip}'" not in outcome.output


def test_check_says_so_where_nothing_is_probed(command: Command, west: Site) -> None:
    west.run(*grants(west, ACT))
    outcome = command("check", **acts(west, sip="false"))
    assert outcome.code != 0
    assert outcome.output.count("a stalled heartbeat alone does not prove") == 3
    outcome = command("check", **acts(west, sip="false", act_on_heartbeat_alone="true"))
    assert "a stalled heartbeat alone" not in outcome.output


def test_check_tries_the_agent_api(command: Command, west: Site, tmp_path: Path) -> None:
    west.run(*grants(west, ACT))
    with FakeAgentApi(west.connect, user="hotdesk", password="for-the-api") as web, west.answering():
        (tmp_path / "hotdesk.toml").write_text(
            f'[clusters.west]\nmode = "act"\nagent_api = ["{web.url}"]\nagent_api_user = "hotdesk"\n'
        )
        options = ("check", "--config", str(tmp_path / "hotdesk.toml"))
        secret = {"HOTDESK_CLUSTERS__WEST__AGENT_API_PASSWORD": "for-the-api"}
        assert command(*options, **west.environment, **secret).code == 0
        web.functions.discard("logout")
        outcome = command(*options, **west.environment, **secret)
        assert "logout: ERROR: auth USER DOES NOT HAVE PERMISSION" in outcome.output
        outcome = command(*options, **west.environment)
        assert "set agent_api_user and agent_api_password_file" in outcome.output


def test_acting_without_a_way_to_act_is_refused(command: Command, west: Site) -> None:
    outcome = command("check", **acts(west, relogin_via="api"))
    assert (outcome.code, "set relogin_via" in outcome.output) == (SETTINGS, True)


def test_check_says_that_no_database_answers(command: Command, silent_port: int) -> None:
    outcome = command("check", "--json", HOTDESK_CLUSTERS__WEST__PORT=str(silent_port))
    assert outcome.code == DATABASE
    assert f":{silent_port}/asterisk does not answer" in subjects(outcome, "wrong")["cluster west"]


def test_check_says_that_a_database_is_none_of_vicidials(command: Command, west: Site) -> None:
    environment = west.environment | {
        "HOTDESK_CLUSTERS__WEST__DATABASE": "mysql",
        "HOTDESK_CLUSTERS__WEST__USER": "root",
        "HOTDESK_CLUSTERS__WEST__PASSWORD": west.database.password,
    }
    outcome = command("check", "--json", **environment)
    assert outcome.code == DATABASE
    assert "is not a VICIdial database" in json.loads(outcome.output)[-1]["what"]


def test_check_says_of_a_log_where_it_cannot_be(command: Command, tmp_path: Path, west: Site) -> None:
    (tmp_path / "file").touch()
    outcome = command("check", "--json", "--log.path", "file/hotdesk.db", **west.environment)
    assert outcome.code == LOG
    assert "cannot be created" in subjects(outcome, "wrong")["log"]


def lines_of(outcome: Outcome, verdict: str) -> list[str]:
    return [line for line in outcome.output.splitlines() if line.startswith(verdict)]


def test_check_says_in_one_line_that_all_probes_live(
    command: Command, tmp_path: Path, west: Site, ami: Manager
) -> None:
    outcome = command("check", **probeed(tmp_path, west, ami.port, ami.port, ami.port))
    assert outcome.code == 0, outcome
    assert outcome.output.splitlines()[-1] == "ok    cluster west: 3 of 3 dialers answer by AMI"
    assert ami.pings == 3


def test_check_says_of_each_silent_probe_what_to_mend(
    command: Command, tmp_path: Path, west: Site, ami: Manager, silent_port: int
) -> None:
    with Manager() as hung:
        hung.freeze()
        began = time.monotonic()
        outcome = command("check", **probeed(tmp_path, west, ami.port, hung.port, silent_port))
        assert time.monotonic() - began < on_this_machine(6)
    assert outcome.code == 1
    assert lines_of(outcome, "ok")[-1] == "ok    cluster west: 1 of 3 dialers answer by AMI"
    mute, refused = lines_of(outcome, "wrong")
    second, third = (dialer.server_ip for dialer in west.plan.dialer_plans[1:])
    assert f"dialer {second}: AMI at 127.0.0.1:{hung.port} accepts the connection, but does not answer" in mute
    assert "ami_port" in mute
    assert f"dialer {third}: AMI at 127.0.0.1:{silent_port} refuses the connection" in refused
    assert "REJECT" in refused


def test_check_says_which_account_a_dialer_denies_and_never_its_secret(
    command: Command, tmp_path: Path, west: Site, ami: Manager
) -> None:
    environment = probeed(tmp_path, west, ami.port, ami.port, ami.port, secret=SECRET)
    for arguments in (["check"], ["check", "--json"]):
        outcome = command(*arguments, **environment)
        assert outcome.code == 1
        assert outcome.output.count(f"refuses the login as '{manager.USER}'") == 3
        assert "permit" in outcome.output
        assert "manager.conf" in outcome.output
        assert SECRET not in outcome.output + outcome.errors


def test_check_says_that_the_one_login_is_in_use_which_may_be_hotdesks(
    command: Command, tmp_path: Path, west: Site, ami: Manager
) -> None:
    ami.one_login, ami.logged_in = True, 1
    outcome = command("check", **probeed(tmp_path, west, ami.port, ami.port, ami.port))
    assert outcome.code == 0, outcome
    notes = [line for line in lines_of(outcome, "note") if "Login Already In Use" in line]
    assert len(notes) == 3
    assert all("allowmultiplelogin" in line and "secret" not in line for line in notes)


def test_check_does_not_complain_of_a_dialer_that_is_switched_off_or_has_no_probe(
    command: Command, tmp_path: Path, west: Site, ami: Manager, silent_port: int
) -> None:
    environment = probeed(tmp_path, west, silent_port, ami.port, ami.port)
    first, _, third = (dialer.server_ip for dialer in west.plan.dialer_plans)
    file = tmp_path / "hotdesk.toml"
    file.write_text(file.read_text() + "ami = false\n")
    west.run(f"UPDATE servers SET active = 'N' WHERE server_ip = '{first}'")
    outcome = command("check", **environment)
    assert outcome.code == 0, outcome
    notes = lines_of(outcome, "note")
    assert any(f"dialer {first}: AMI" in line and "switched off" in line for line in notes)
    assert any(f"dialer {third} has no probe" in line for line in notes)


def test_check_says_that_a_database_is_older_than_time_limits(
    command: Command, tmp_path: Path, west: Site, ami: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old(monkeypatch)
    outcome = command("check", **probeed(tmp_path, west, ami.port, ami.port, ami.port))
    assert outcome.code == 0, outcome
    assert any("keeps no time limit" in line and "MySQL 5.7.8" in line for line in lines_of(outcome, "note"))


def test_check_says_that_an_account_has_no_secret(command: Command, tmp_path: Path, west: Site, ami: Manager) -> None:
    environment = probeed(tmp_path, west, ami.port, ami.port, ami.port, secret="")
    outcome = command("check", **environment)
    assert outcome.code == SETTINGS
    (line,) = lines_of(outcome, "wrong")
    assert "ami_secret_file" in line


def test_digests_in_place_of_tokens_are_noted(command: Command, tmp_path: Path) -> None:
    file = secret_file(tmp_path / "tokens", f"admin a-token-of-this-test\npick sha256:{'0' * 64}\n")
    (line,) = [line for line in lines_of(command("check", "--api.token-file", str(file)), "note") if "digest" in line]
    assert "serve and control" in line
    file.write_text("admin a-token-of-this-test\n")
    assert not [line for line in lines_of(command("check", "--api.token-file", str(file)), "note") if "digest" in line]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--api.host", "0.0.0.0"], "others can reach the API: set api.token_file"),  # noqa: S104 # it is refused
        (["--api.tls-cert", "/not/there.pem", "--api.tls-key", "/not/there.key"], "/not/there.key"),
        (["--api.tls-ca", "/not/there.pem"], "/not/there.pem"),
        (["--api.token-file", "/not/there"], "/not/there"),
    ],
)
def test_check_says_what_would_keep_the_api_from_beginning(command: Command, arguments: list[str], said: str) -> None:
    findings = json.loads(command("check", "--json", *arguments).output)
    (api,) = [each for each in findings if each["subject"] == "api"]
    assert api["verdict"] == "wrong"
    assert said in api["what"]


# --- another installation ---------------------------------------------------------------------------------------


@pytest.fixture
def led(west: Site) -> Iterator[Site]:
    """Yield a cluster that some collector leads."""
    settings = west.settings
    with (
        pymysql.connect(
            host=settings.host, port=settings.port, user=settings.user, password=settings.password
        ) as leader,
        leader.cursor() as cursor,
    ):
        cursor.execute(f"SELECT GET_LOCK('hotdesk.{west.name}', 0)")
        assert cursor.fetchone() == (1,)
        yield west


def notes(outcome: Outcome) -> str:
    assert outcome.code == 0, outcome
    return "\n".join(line for line in outcome.output.splitlines() if line.startswith("note"))


def test_check_says_that_another_hotdesk_leads_before_this_one_has_started(command: Command, led: Site) -> None:
    with led.answering():
        said = notes(command("check", **led.environment))
    assert re.search(r"another hotdesk leads this cluster, from (127\.0\.0\.1|localhost)", said)


def test_check_says_nothing_of_the_own_hotdesk_that_runs(command: Command, led: Site, tmp_path: Path) -> None:
    with led.answering(), EmbeddedLog(tmp_path / "own.db", PARTITIONS):
        said = command("check", HOTDESK_LOG_PATH=str(tmp_path / "own.db"), **led.environment).output
    assert "another hotdesk" not in said


def test_check_says_nothing_of_a_leader_whose_polls_the_api_knows(command: Command, led: Site, tmp_path: Path) -> None:
    with service_of(tmp_path, ApiOptions(port=0)) as service, led.answering():
        fed = FedService(service)
        fed.open(1, 2, 3)
        said = command("check", HOTDESK_API_URL=service.url, **led.environment).output
        fed.client.close()
    assert "another hotdesk" not in said


def test_check_hears_in_kafka_whether_the_leader_is_its_own(command: Command, led: Site, broker: Broker) -> None:
    settings = KafkaSettings(bootstrap_servers=(broker.bootstrap,), prefix=f"c{uuid4().hex[:8]}.", partitions=4)
    create_topics_patiently(settings, replication=1)
    shared = {"HOTDESK_LOG_BOOTSTRAP": broker.bootstrap, "HOTDESK_LOG_PREFIX": settings.prefix}
    shared |= {"HOTDESK_LOG_PARTITIONS": "4"} | led.environment
    ended = threading.Event()

    def poll_on() -> None:
        with KafkaLog(settings) as log:
            for number in count(1):
                log.append([entry_of(poll(sequence=number))])
                if ended.wait(0.2):
                    return

    polling = threading.Thread(target=poll_on)
    with led.answering():
        assert "another hotdesk leads" in notes(command("check", **shared))
        polling.start()
        try:
            assert "another hotdesk leads" not in notes(command("check", **shared))
        finally:
            ended.set()
            polling.join()
