"""The units under a real systemd, from the wheel, as docs/guide/install.md has them installed, on real servers."""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from simulator.broker import GUARDED_PASSWORD, GUARDED_USER, Broker
from simulator.ports import free_port
from tests.packaging.machine import IDLE, Machine
from tests.packaging.release import HOMES, system_python
from tests.packaging.units import DOCUMENT, INSTALLED, SYSTEMD, secrets_of, toml
from tests.support.processes import PASSWORD, Site, until

TOKENS = {"read": "read-token-0123456789", "pick": "pick-token-0123456789", "admin": "admin-token-0123456789"}
_, ONE_MACHINE, SEVERAL = toml(DOCUMENT)
VERSION = "0.1.0"
ENDS_SECONDS = 5


def _secret(machine: Machine, name: str, content: str) -> None:
    folder = machine.etc / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / name
    file.write_text(content)
    file.chmod(0o600)


@pytest.fixture
def machine(tmp_path: Path, installed: Path) -> Machine:
    """Return a machine after the document's steps 1, 2 and 4, not yet booted."""
    made = Machine(tmp_path / "machine")
    shutil.copytree(installed.parents[1], made.opt / VERSION, symlinks=True)
    (made.opt / "current").symlink_to(VERSION)
    _secret(made, "tokens", "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
    _secret(made, "main.password", f"{PASSWORD}\n")
    _secret(made, "nobody.needs", "this\n")
    return made


def _install(machine: Machine, *services: str) -> None:
    """Do the document's step 5, from what the wheel brought."""
    brought = machine.opt / "current" / "share" / "hotdesk" / "packaging" / "systemd"
    assert {each.name: each.read_text() for each in brought.iterdir()} == {
        each.name: each.read_text() for each in SYSTEMD.iterdir()
    }
    for name in services:
        shutil.copy(brought / f"{name}.service", machine.units)
        if str(system_python()).startswith(HOMES):  # a machine whose only Python no service may see
            _drop_in(machine, f"{name}.service.d", "python", "ProtectHome=read-only")
        shipped = brought / secrets_of(brought / f"{name}.service").name
        _drop_in(machine, f"{name}.service.d", "secrets", shipped.read_text().partition("[Service]\n")[2])


def _drop_in(machine: Machine, folder: str, name: str, *lines: str) -> None:
    file = machine.units / folder / f"{name}.conf"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(("[Service]", *lines)) + "\n")


def _settings(machine: Machine, text: str) -> None:
    file = machine.etc / "hotdesk.toml"
    file.write_text(text.replace("192.0.2.20", "127.0.0.1"))
    file.chmod(0o644)


def _variables(machine: Machine, west: Site, **more: str) -> None:
    """Name by the services' variables where the servers of this test are."""
    prefix = "HOTDESK_CLUSTERS__MAIN__"
    database = west.settings
    variables = {f"{prefix}HOST": database.host, f"{prefix}PORT": str(database.port)}
    variables |= {f"{prefix}USER": database.user, f"{prefix}DATABASE": database.database, **more}
    (machine.etc / "environment").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def _asked(port: int, path: str, scope: str = "read", **body: str) -> httpx.Response | None:
    """Ask a service; None: it does not answer yet."""
    headers = {"Authorization": f"Bearer {TOKENS[scope]}"}
    try:
        method = "POST" if body else "GET"
        return httpx.request(
            method, f"http://127.0.0.1:{port}{path}", headers=headers, json=body or None, trust_env=False
        )
    except httpx.TransportError:
        return None


def _succeeds(port: int, path: str, scope: str = "read", **body: str) -> Callable[[], bool]:
    def ask() -> bool:
        answer = _asked(port, path, scope, **body)
        return answer is not None and answer.is_success

    return ask


def _is_confined(machine: Machine, service: str, given: set[str]) -> None:
    """Check the process itself: no root, no capability, a filter of system calls, and the secrets it was given."""
    pid = machine.pid(service)
    status = dict(re.findall(r"^(\w+):\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    assert 0 not in map(int, status["Uid"].split())
    assert {int(status[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set(machine.tried("ls", "/etc/hotdesk/secrets", within=pid).stdout.split()) == given
    assert machine.tried("touch", "/etc/hotdesk/hotdesk.toml", within=pid).returncode != 0


def _ends(machine: Machine, *services: str) -> None:
    machine.run("systemctl", "stop", "--job-mode=ignore-dependencies", *services)
    for each in services:
        assert machine.shown(each, "ActiveState") == "inactive"
        assert machine.shown(each, "Result") == "success", machine.status(each)


def test_one_machine_without_kafka(machine: Machine, west: Site) -> None:
    port = free_port()
    _install(machine, "hotdesk")
    _settings(machine, ONE_MACHINE)
    _variables(machine, west, HOTDESK_API_PORT=str(port))
    with machine, west.living():
        machine.start("hotdesk")
        until(_succeeds(port, "/readyz"), f"it is ready\n{machine.status('hotdesk')}", 40)
        until(_succeeds(port, "/v1/clusters/main/ranking"), "it has seen the cluster", 40)
        _is_confined(machine, "hotdesk", {"tokens", "main.password"})
        ready = _asked(port, "/metrics")
        assert ready is not None
        assert "process_resident_memory_bytes" in ready.text

        log = machine.run("stat", "--format=%a %U", "/var/lib/hotdesk/", "/var/lib/hotdesk/hotdesk.db")
        assert log.split() == ["700", "hotdesk", "600", "hotdesk"]
        # as step 6 has it: root's commands, by the same file
        said = machine.tried(
            "env", "HOTDESK_CONFIG=/etc/hotdesk/hotdesk.toml", "/opt/hotdesk/current/bin/hotdesk", "check"
        ).stdout
        assert re.search(r"^note +log: .*in use.*fine, if that is your hotdesk", said, re.MULTILINE), said
        assert "cannot be read" not in said

        machine.run("systemctl", "enable", "hotdesk")
        assert (machine.units / "multi-user.target.wants" / "hotdesk.service").readlink().name == "hotdesk.service"
        _ends(machine, "hotdesk")


def test_the_roles_on_one_machine_with_kafka(machine: Machine, west: Site, broker: Broker) -> None:
    names = ("hotdesk-collect", "hotdesk-control", "hotdesk-serve")
    ports = {name: free_port() for name in names}
    _install(machine, *names)
    _secret(machine, "kafka.password", f"{GUARDED_PASSWORD}\n")
    digest = hashlib.sha256(TOKENS["read"].encode()).hexdigest()
    _secret(machine, "tokens.collect", f"read sha256:{digest}\n")
    for name in names:
        secrets = machine.units / f"{name}.service.d" / "secrets.conf"
        shown = secrets.read_text()
        secrets.write_text(shown.replace("#LoadCredential=kafka.password", "LoadCredential=kafka.password"))
    for name in names:
        url = f"Environment=HOTDESK_API_URL=http://127.0.0.1:{ports[name]}"
        _drop_in(machine, f"{name}.service.d", "test", f"Environment=HOTDESK_API_PORT={ports[name]}", url)
    _settings(machine, SEVERAL + ONE_MACHINE[ONE_MACHINE.index("[clusters") :])
    kafka = {
        "HOTDESK_LOG_BOOTSTRAP": broker.guarded_bootstrap,
        "HOTDESK_LOG_PREFIX": f"t{uuid4().hex[:8]}.",
        "HOTDESK_LOG_PARTITIONS": "4",
        "HOTDESK_LOG_REPLICATION": "1",
        # of the document's, what this broker has not
        "HOTDESK_LOG_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "HOTDESK_LOG_SASL_MECHANISM": "PLAIN",
        "HOTDESK_LOG_SASL_USERNAME": GUARDED_USER,
    }
    _variables(machine, west, **kafka)
    with machine, west.living():
        words = [f"{name}={value}" for name, value in kafka.items()]
        command = ("env", *words, "HOTDESK_CONFIG=/etc/hotdesk/hotdesk.toml", "/opt/hotdesk/current/bin/hotdesk")
        machine.run(*command, "topics", "create")
        machine.start(*names)
        for name, port in ports.items():
            until(_succeeds(port, "/readyz"), f"{name} is ready\n{machine.status(name)}", 60)
            password = {"main.password"} if name == "hotdesk-collect" else set()
            _is_confined(machine, name, {"tokens", "kafka.password"} | password)
        tokens = machine.tried("cat", "/etc/hotdesk/secrets/tokens", within=machine.pid("hotdesk-collect")).stdout
        assert tokens == f"read sha256:{digest}\n", "a collector has no token that gives orders"
        # by the owner, which the replica found
        body = {"user": west.plan.agent_plans[0].user, "alias": "desk1001"}

        def picked() -> bool:
            answer = _asked(ports["hotdesk-serve"], "/v1/clusters/main/picks", "pick", **body)
            return answer is not None and answer.status_code == httpx.codes.CREATED and not answer.json()["degraded"]

        until(picked, "a login is told where to go", 40)
        _ends(machine, *names)


def test_a_secret_that_is_named_and_not_there_keeps_it_from_starting(machine: Machine, west: Site) -> None:
    _install(machine, "hotdesk")
    _settings(machine, ONE_MACHINE)
    _variables(machine, west, HOTDESK_API_PORT=str(free_port()))
    (machine.etc / "secrets" / "tokens").unlink()
    with machine:
        machine.run("systemctl", "daemon-reload")
        started = machine.tried("systemctl", "start", "--job-mode=ignore-dependencies", "hotdesk")
        assert started.returncode != 0
        assert "243/CREDENTIALS" in machine.status("hotdesk")


def test_a_service_whose_drop_in_is_forgotten_is_given_nothing(machine: Machine) -> None:
    _install(machine, "hotdesk-collect")
    (machine.units / "hotdesk-collect.service.d" / "secrets.conf").unlink()
    _settings(machine, SEVERAL + ONE_MACHINE[ONE_MACHINE.index("[clusters") :])
    with machine:
        machine.start("hotdesk-collect")
        until(
            lambda: "/etc/hotdesk/secrets/" in (said := machine.status("hotdesk-collect")) and "cannot be read" in said,
            "it ended at the first secret",
            40,
        )


def test_a_user_of_its_own_where_systemd_is_older(machine: Machine, west: Site) -> None:
    port = free_port()
    _install(machine, "hotdesk")
    (machine.units / "hotdesk.service.d" / "secrets.conf").unlink()
    section = DOCUMENT.partition("### An older systemd")[2].partition("\n## ")[0]
    lines = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0].splitlines()
    assert lines.pop() == "systemctl edit hotdesk"
    (shown,) = re.findall(r"```ini\n\[Service\]\n(.*?)```", section, re.DOTALL)
    _drop_in(machine, "hotdesk.service.d", "override", shown)
    _settings(machine, ONE_MACHINE)
    _variables(machine, west, HOTDESK_API_PORT=str(port))
    with machine, west.living():
        for line in lines:
            machine.run("sh", "-c", line)
        machine.start("hotdesk")
        until(_succeeds(port, "/v1/clusters/main/ranking"), f"it has seen it\n{machine.status('hotdesk')}", 40)
        pid = machine.pid("hotdesk")
        assert machine.tried("stat", "--format=%U", "/var/lib/hotdesk/hotdesk.db", within=pid).stdout == "hotdesk\n"
        _ends(machine, "hotdesk")


def test_setup_makes_it_a_service_and_takes_all_of_it_back(machine: Machine, west: Site) -> None:
    port, account = free_port(), f"{west.user}_own"
    shutil.rmtree(machine.etc / "secrets")
    administrator = machine.etc / "administrator.cnf"
    administrator.write_text(f"[client]\nuser=root\npassword={west.database.password}\n")
    # in place of this machine's own, which would be started with the service
    for name in ("sysinit.target", "basic.target", "network-online.target"):
        (machine.units / name).write_text(IDLE)
    if str(system_python()).startswith(HOMES):
        _drop_in(machine, "hotdesk.service.d", "python", "ProtectHome=read-only")
    before = {str(each) for folder in (machine.etc, machine.units) for each in folder.rglob("*")}
    given = {
        "--database-host": west.settings.host,
        "--database-port": str(west.settings.port),
        "--database": west.name,
        "--account": account,
        "--option-file": "/etc/hotdesk/administrator.cnf",
        "--address": "127.0.0.1",
        "--port": str(port),
    }
    setup = (f"{INSTALLED}", "setup", "--yes", *(word for pair in given.items() for word in pair))
    try:
        with machine, west.living():
            machine.run("systemctl", "daemon-reload")
            said = machine.run(*setup)
            assert "done: start the service" in said
            assert f"The status page: http://127.0.0.1:{port}/" in said
            tokens = dict(line.split() for line in (machine.etc / "secrets" / "tokens").read_text().splitlines())
            asking = httpx.Client(headers={"authorization": f"Bearer {tokens['pick']}"}, trust_env=False)
            body = {"user": "1001", "alias": "desk1001", "campaign": ""}
            picks = f"http://127.0.0.1:{port}/v1/clusters/main/picks"
            with asking:
                until(
                    lambda: asking.post(picks, json=body).status_code == httpx.codes.CREATED, "a pick is answered", 40
                )
            _is_confined(machine, "hotdesk", {"tokens", "main.password"})
            assert "done:" not in machine.run(*setup)
            machine.run(*setup, "--undo")
            assert machine.tried("systemctl", "is-active", "hotdesk").stdout.strip() == "inactive"
            assert machine.tried("test", "-e", "/etc/profile.d/hotdesk.sh").returncode != 0
    finally:
        west.run(f"DROP USER IF EXISTS '{account}'@'127.0.0.1'")
    assert {str(each) for folder in (machine.etc, machine.units) for each in folder.rglob("*")} <= before | {
        str(machine.units / "multi-user.target.wants")
    }
