"""What the chart makes of its values is what hotdesk's own code reads: every setting, and for each role no more."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from controller.core.policy import MaintenanceWindow
from hotdesk import settings
from hotdesk.settings import ApiOptions, ClusterSettings, LogOptions, Options
from stream.kafka.settings import KafkaSettings
from tests.helm.charting import FOLDER, MATRIX, Rendered, Workload, merged, rendered, template, values_of
from tests.support.builders import secret_file

T = TypeVar("T", LogOptions, ApiOptions)

ROLES = ("collect", "control", "serve", "run")
DATABASE = {"host", "port", "user", "database", "password_file", "tls_ca"}
PROBES = {"ami_user", "ami_secret_file", "ami_port", "sip", "sip_port", "sip_pace", "probes"}
ACTING = {"relogin_via", "agent_api", "agent_api_user", "agent_api_password_file"}
NEVER = {"password", "ami_secret", "agent_api_password", "socket"}
POLICY = {field.name for field in msgspec.structs.fields(ClusterSettings)} - DATABASE - PROBES - ACTING - NEVER


def put(workload: Workload, of: Rendered, folder: Path) -> str:
    """Write a pod's files below `folder`, each secret's with its own name in it; give the settings, led there."""
    for kind, name, key, path in workload.sources():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        secret_file(file, f"pick {name}-{key}-0123456789abcdef" if kind == "secret" else of.settings(workload))
    return of.settings(workload).replace(FOLDER, str(folder))


def bound(table: dict[str, Any], to: type[T]) -> T:
    """Return a table as options; a path is a text there."""
    return msgspec.convert(table, to, dec_hook=lambda kind, value: kind(value))


def loaded(workload: Workload, of: Rendered, folder: Path) -> tuple[Options, dict[str, ClusterSettings]]:
    """Read a workload's settings as its processes would."""
    file = folder / "led-here.toml"
    file.write_text(put(workload, of, folder))
    tables, clusters, _ = settings.read_file(file, must_exist=True)
    options = Options(log=bound(tables["log"], LogOptions), api=bound(tables["api"], ApiOptions))
    return options, settings.clusters(clusters, options, {})


def given(of: Rendered, component: str, cluster: str) -> dict[str, Any]:
    """Return a cluster's table as it stands in the file of a role."""
    for each in of.workloads(component):
        tables = tomllib.loads(of.settings(each))["clusters"]
        if cluster in tables:
            table: dict[str, Any] = tables[cluster]
            return table
    raise AssertionError(f"nobody reads {cluster}")


@pytest.mark.parametrize("name", [path.stem for path in MATRIX])
def test_every_file_is_read_by_hotdesk_and_every_secret_found(name: str, tmp_path: Path) -> None:
    of = rendered(name)
    for each in of.workloads(*ROLES):
        options, clusters = loaded(each, of, tmp_path / each.name)
        assert options.api.token_file
        assert options.api.token_file.read_text()
        if each.component == "run":
            assert options.log == LogOptions(path=Path("/var/lib/hotdesk/hotdesk.db"), partitions=24)
        else:
            assert options.log.kafka().bootstrap_servers
        for cluster in clusters.values():
            cluster.policy()
            if each.component in {"collect", "run"}:
                assert cluster.database_settings().password
                cluster.probe_settings()
            if each.component in {"control", "run"} and cluster.mode == "act":
                cluster.actuator_settings()


def test_the_log_and_the_api_come_out_as_they_were_written(tmp_path: Path) -> None:
    of = rendered("everything")
    options, _ = loaded(of.workload("serve"), of, tmp_path)
    assert options.log.kafka() == KafkaSettings(
        bootstrap_servers=("kafka1:9093", "kafka2:9094"),
        prefix="hd-",
        partitions=12,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="hotdesk",
        sasl_password="pick kafka-secret-0123456789abcdef",
        ssl_cafile=str(tmp_path / "secrets/log/tls_ca"),
        ssl_certfile=str(tmp_path / "secrets/log/tls_cert"),
        ssl_keyfile=str(tmp_path / "secrets/log/tls_key"),
    )
    assert options.log.replication == 2
    assert (options.api.host, options.api.port) == ("0.0.0.0", 9470)  # noqa: S104 - what a pod binds to
    six, _ = loaded(rendered("openshift").workload("serve"), rendered("openshift"), tmp_path / "six")
    assert six.api.host == "::"


def test_a_cluster_comes_out_as_it_was_written(tmp_path: Path) -> None:
    of = rendered("everything")
    west = next(each for each in of.workloads("collect") if each.labels["hotdesk/collector"] == "west")
    _, clusters = loaded(west, of, tmp_path / "collect")
    assert set(clusters) == {"west"}
    collected = clusters["west"]
    database = collected.database_settings()
    assert (database.host, database.port, database.user, database.database) == ("10.0.0.5", 3307, "reader", "vici")
    assert database.password == "pick west-reader-0123456789abcdef"
    assert Path(database.tls_ca).read_text().startswith("pick west-ca-ca.crt")
    probes = collected.probe_settings()
    assert (probes.ami_user, probes.ami_secret) == ("hotdesk", "pick west-ami-0123456789abcdef")
    assert (probes.ami_port, probes.sip, probes.sip_port) == (5040, True, 5062)
    assert (probes.dialers["10.0.0.11"].ami_host, probes.dialers["10.0.0.11"].ami_port) == ("192.168.0.11", 5039)
    assert probes.dialers["10.0.0.12"].ami is False

    _, clusters = loaded(of.workload("control"), of, tmp_path / "control")
    decided = clusters["west"]
    policy = decided.policy()
    assert policy.acts
    assert policy.emergency_logout
    assert policy.fence
    assert policy.act_on_heartbeat_alone
    assert policy.wrapup_seconds == 45
    assert policy.moves_of_a_user == 3
    assert not policy.restore_state
    assert decided.tell_agents
    assert policy.move_on_closed
    assert policy.max_agents == 50
    assert policy.max_agents_of == {"10.0.0.11": 30, "10.0.0.12": 0}
    assert policy.stalled_after_seconds == 3
    assert policy.moves_per_second == 2.5
    assert policy.dead_call_status == 'A<B>&"\\é'
    night, morning = policy.windows
    assert night.server_ips == {"10.0.0.11"}
    assert (night.minutes, str(night.zone), night.weekdays) == (20, "Europe/Berlin", frozenset({0, 6}))
    assert isinstance(morning, MaintenanceWindow)
    assert len(morning.weekdays) == 7
    actuators = decided.actuator_settings()
    assert actuators.api_urls == ("https://web1/agc/api.php", "http://10.0.0.9:8080/agc/api.php")
    assert (actuators.api_user, actuators.api_password) == ("hotdesk", "pick west-agent-api-password-0123456789abcdef")
    # an account of its own for acting; the collectors' may only read
    assert (actuators.database.user, actuators.database.password) == ("actor", "pick west-actor-0123456789abcdef")
    assert Path(actuators.database.tls_ca).is_file()

    _, clusters = loaded(of.workload("serve"), of, tmp_path / "serve")
    assert clusters["west"].policy() == policy


def test_owners_and_replicas_judge_alike(tmp_path: Path) -> None:
    for name in ("everything", "one-collector", "released-0.1.0"):
        of = rendered(name)
        roles = [loaded(of.workload(role), of, tmp_path / name / role)[1] for role in ("control", "serve")]
        control, serve = ({name: each.policy() for name, each in clusters.items()} for clusters in roles)
        assert control == serve
        assert set(serve) == set(values_of(name)["clusters"])


def test_a_role_is_told_of_a_cluster_what_it_needs_and_no_more() -> None:
    of = rendered("everything")
    assert given(of, "collect", "west").keys() == DATABASE | PROBES
    assert given(of, "control", "west").keys() == DATABASE | ACTING | POLICY
    assert given(of, "serve", "west").keys() == POLICY | {"relogin_via"}
    # only advised: the controller need not know the database
    assert given(of, "control", "east").keys() == {"max_agents"}


def test_the_values_have_every_setting_that_hotdesk_has() -> None:
    of = rendered("everything")
    written = values_of("everything")["clusters"]["west"]["settings"].keys()
    made = {"password_file", "ami_secret_file", "agent_api_password_file", "tls_ca"}
    assert written | made | NEVER | {"relogin_via"} == {field.name for field in msgspec.structs.fields(ClusterSettings)}
    log = tomllib.loads(of.settings(of.workload("serve")))["log"]
    assert log.keys() == {field.name for field in fields(LogOptions)} - {"path"}
    # where a process is reached follows from its pod's address, which no file knows, nor any certificate
    api = tomllib.loads(of.settings(of.workload("serve")))["api"]
    assert api.keys() == {field.name for field in fields(ApiOptions)} - {"url", "tls_cert", "tls_key", "tls_ca"}


def test_the_topics_job_has_the_same_log_as_the_roles() -> None:
    for name in ("everything", "minimal", "released-0.1.0"):
        of = rendered(name)
        job = of.workload("topics").container
        log = tomllib.loads(of.settings(of.workload("serve")))["log"]
        wanted = {f"HOTDESK_LOG_{key.upper()}": value for key, value in log.items()}
        expected = {key: " ".join(value) if isinstance(value, list) else str(value) for key, value in wanted.items()}
        assert {each["name"]: each["value"] for each in job["env"]} == expected


def test_whole_numbers_stay_whole_whatever_their_size() -> None:
    of = template(merged(values_of("minimal"), {"log": {"settings": {"partitions": 10000}}}))
    text = of.settings(of.workload("serve"))
    assert "partitions = 10000\n" in text
    assert tomllib.loads(text)["api"]["port"] == 8470
