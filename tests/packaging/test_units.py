"""The units: what systemd says of them, and that they, the settings and docs/guide/install.md agree."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from hotdesk import settings as hotdesk_settings
from hotdesk.cli.main import app
from simulator.ports import free_port
from tests.packaging.units import (
    DOCUMENT,
    INSTALLED,
    SECRETS,
    SECRETS_FOLDER,
    SYSTEMD,
    UNITS,
    analyze,
    credentials,
    environment,
    secrets_of,
    settings,
    toml,
)
from tests.support.builders import secret_file
from tests.support.processes import COMMAND, PASSWORD, Process, until

ROOT = Path(__file__).parents[2]
MOST_EXPOSED = 2.0
ROLES = {"hotdesk": "run", "hotdesk-collect": "collect", "hotdesk-control": "control", "hotdesk-serve": "serve"}
DIFFER = {"Description", "ExecStart", "Environment", "StateDirectory", "StateDirectoryMode", "WorkingDirectory"}
"""What may differ between the units."""

each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)


def test_there_is_a_unit_for_all_and_one_for_each_role() -> None:
    assert {unit.stem: settings(unit)["ExecStart"] for unit in UNITS} == {
        name: [f"{INSTALLED} {role}"] for name, role in ROLES.items()
    }


@each_unit
def test_its_command_exists(unit: Path) -> None:
    (line,) = settings(unit)["ExecStart"]
    command, apps, rest = app.parse_commands(line.split()[1:])
    assert command
    assert len(apps) > 1
    assert not rest


@each_unit
def test_systemd_finds_nothing_wrong_with_it(unit: Path, tmp_path: Path) -> None:
    # /opt/hotdesk is not there: this machine's own command stands in
    folder = tmp_path / f"{unit.name}.d"
    folder.mkdir()
    (folder / "secrets.conf").write_text(secrets_of(unit).read_text())
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(INSTALLED, COMMAND))
    said = analyze("verify", "--recursive-errors=no", str(copy))
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@each_unit
def test_it_is_exposed_to_little(unit: Path) -> None:
    said = analyze("security", "--offline=yes", f"--threshold={int(MOST_EXPOSED * 10)}", str(unit))
    found = re.search(r"exposure level for \S+: ([\d.]+)", said.stdout)
    assert found, said.stderr
    assert said.returncode == 0, said.stdout
    assert float(found[1]) <= MOST_EXPOSED
    assert f"says {found[1]}," in DOCUMENT


def test_the_sandbox_is_the_same_for_all() -> None:
    first, *others = [{name: value for name, value in settings(unit).items() if name not in DIFFER} for unit in UNITS]
    assert all(each == first for each in others)


def test_roles_on_one_machine_share_no_port_and_the_document_names_each() -> None:
    rows = re.findall(r"\| `(hotdesk-\w+)\.service` \| `hotdesk (\w+)` \| (\d+) \|", DOCUMENT)
    assert {name: role for name, role, _ in rows} | {"hotdesk": "run"} == ROLES
    default = hotdesk_settings.ApiOptions().port
    ports = {unit.stem: int(environment(unit).get("HOTDESK_API_PORT", default)) for unit in UNITS}
    assert {name: int(port) for name, _, port in rows} | {"hotdesk": default} == ports
    assert len(set(ports.values())) == len(ROLES) - 1  # `run` is by itself


@each_unit
def test_its_files_are_those_of_the_document(unit: Path) -> None:
    named = settings(unit)
    assert environment(unit)["HOTDESK_CONFIG"] == "/etc/hotdesk/hotdesk.toml"
    paths = [environment(unit)["HOTDESK_CONFIG"], *(each.removeprefix("-") for each in named["EnvironmentFile"])]
    paths += [f"/var/lib/{each}" for each in named["StateDirectory"]]
    paths += [each.rpartition(":")[2] for each in named["BindReadOnlyPaths"]]
    for path in paths:
        assert f"| `{path}` |" in DOCUMENT
    assert f"cp {unit.name} " in DOCUMENT or f" {unit.name} " in DOCUMENT


def test_each_secret_of_the_documents_settings_is_one_that_a_service_is_given() -> None:
    given = credentials(SECRETS, commented=True)
    assert all(path == f"{SECRETS_FOLDER}/{name}" for name, path in given.items())
    collecting = credentials(SYSTEMD / "secrets-collect.conf", commented=True)
    in_settings = set(re.findall(r'(?:password|secret|token)_file = "(.*?)"', "".join(toml(DOCUMENT))))
    written = {f"{SECRETS_FOLDER}/{name}" for name in re.findall(rf"{SECRETS_FOLDER}/([\w.-]+)", DOCUMENT)}
    assert in_settings <= written == {*given.values(), *collecting.values()}
    # those of the first start, on one machine
    assert set(credentials(SECRETS)) == {"tokens", "main.password"}


def test_each_role_is_given_the_secrets_that_it_needs_and_no_others() -> None:
    of = {unit.stem: secrets_of(unit) for unit in UNITS}
    assert sorted(of.values()) == sorted(SYSTEMD.glob("*.conf"))
    by_default = {name: credentials(file) for name, file in of.items()}
    tokens = {"tokens": f"{SECRETS_FOLDER}/tokens"}
    assert by_default["hotdesk-serve"] == tokens
    assert by_default["hotdesk-control"] == tokens, "it reads no database until it acts"
    assert by_default["hotdesk-collect"] == {
        "tokens": f"{SECRETS_FOLDER}/tokens.collect",
        "main.password": f"{SECRETS_FOLDER}/main.password",
    }
    at_most = {name: credentials(file, commented=True).keys() for name, file in of.items()}
    of_all = {"tokens", "kafka.password", "kafka.key", "api.key"}
    assert at_most["hotdesk-serve"] == of_all, "it never talks to VICIdial"
    assert at_most["hotdesk-control"] == of_all | {"main.password", "main.agent-api"}
    assert at_most["hotdesk-collect"] == of_all | {"main.password", "main.ami"}


def test_by_hand_each_service_gets_the_drop_in_of_its_own_and_all_of_them_get_none() -> None:
    placed = dict(re.findall(r"install -D -m 644 (secrets\S*\.conf) /etc/systemd/system/(\S+)\.service\.d/", DOCUMENT))
    assert placed == {secrets_of(unit).name: unit.stem for unit in UNITS}
    for unit in UNITS:
        assert f"/etc/systemd/system/{unit.name}.d/secrets.conf" in secrets_of(unit).read_text()


@each_unit
def test_its_command_starts_and_answers(unit: Path, tmp_path: Path, start: Callable[..., Process]) -> None:
    """Start it with the document's settings, every path below a folder, and with the secrets that it would be given."""
    one_machine, *_, several = (each for each in toml(DOCUMENT) if each.startswith("[log]"))
    given = tmp_path / SECRETS_FOLDER.lstrip("/")
    given.mkdir(parents=True)
    loaded = credentials(secrets_of(unit), commented=unit.stem != "hotdesk")
    for name in loaded:
        secret_file(given / name, f"{PASSWORD}\n" if name != "tokens" else "read read-token-0123456789\n")
    (tmp_path / "var" / "lib" / "hotdesk").mkdir(parents=True)
    clusters = one_machine[one_machine.index("[clusters") :]
    text = one_machine if unit.stem == "hotdesk" else f"{several}\n{clusters}"
    text = re.sub(r'"(?=/(etc|var)/)', f'"{tmp_path}', text).replace("192.0.2.20", "127.0.0.1")
    (tmp_path / "etc" / "hotdesk" / "hotdesk.toml").write_text(text)
    variables = environment(unit) | {
        "HOTDESK_CONFIG": f"{tmp_path}{environment(unit)['HOTDESK_CONFIG']}",
        "HOTDESK_API_PORT": str(free_port()),
        # nobody is there: a service waits, and says so
        "HOTDESK_CLUSTERS__MAIN__HOST": "127.0.0.1",
        "HOTDESK_CLUSTERS__MAIN__PORT": "9",
    }
    if unit.stem != "hotdesk":
        variables |= {"HOTDESK_LOG_BOOTSTRAP": "127.0.0.1:9", "HOTDESK_LOG_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    (line,) = settings(unit)["ExecStart"]
    process = start(*line.removeprefix(INSTALLED).split(), environment=variables)
    url = f"http://127.0.0.1:{variables['HOTDESK_API_PORT']}"

    def healthy() -> bool:
        try:
            return httpx.get(f"{url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    until(healthy, f"{unit.stem} answers: {process.said.read_text()}", 40)
    assert httpx.get(f"{url}/metrics", trust_env=False).status_code == httpx.codes.UNAUTHORIZED
    assert (tmp_path / "var/lib/hotdesk/hotdesk.db").exists() == (unit.stem == "hotdesk")
    code, seconds = process.end()
    assert code == 0, process.said.read_text()
    (stop,) = settings(unit)["TimeoutStopSec"]
    assert seconds < int(stop)
