"""The packages: installed, upgraded, removed and purged in a Debian of their own, and run there on a real MariaDB.

No systemd runs there: tests/packaging/test_under_systemd.py has the units.
"""

import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from simulator.ports import free_port
from tests.packaging.debian import PATH, Debian
from tests.packaging.release import ROOT, Built, run, tool
from tests.packaging.units import DOCUMENT
from tests.support.processes import Process, Site, Start, until

OLD = "0.0.1"
CODE = "/opt/hotdesk/current/lib/python3.11/site-packages"
TEN_MINUTES = 600.0
CONFIGURATION = "/etc/hotdesk/environment"
"""What an upgrade keeps as the operator has it, and the package brings."""

PLACES = re.compile(
    r"/opt/hotdesk(/current/(bin/(hotdesk|python)|pyvenv\.cfg|(lib|share)(/.+)?|bin)|/current)?|/usr/bin/hotdesk"
    r"|/etc/hotdesk(/secrets|/environment)?"
    r"|/usr/lib/systemd/system/hotdesk(-\w+)?\.service|/usr/share/(man/man1/hotdesk(-[\w-]+)?\.1\.gz|doc/hotdesk(/.+)?)"
    r"|/usr/share/(bash-completion/completions/hotdesk|fish/vendor_completions\.d/hotdesk\.fish|zsh/[\w-]+/_hotdesk)"
)
"""All that a package may put anything into."""


class Packages(NamedTuple):
    """Those of this tree, and one of each kind as an older release would have been."""

    folder: Path
    deb: Path
    rpm: Path
    pyz: Path
    old_deb: Path
    old_rpm: Path


@pytest.fixture(scope="module")
def packages(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Make them as `make packages` does."""
    folder, draft = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("draft")
    for each in (built.wheel, built.sdist, built.requirements):
        shutil.copy(each, folder)
    run(ROOT / "packaging" / "packages", folder, draft)
    (deb,), (rpm,) = folder.glob("*.deb"), folder.glob("*.rpm")

    # with little in it, and with a file that is gone now
    environment = draft / "root" / "opt" / "hotdesk" / "current"
    shutil.rmtree(environment / "lib")
    (environment / "lib").mkdir()
    (environment / "lib" / "gone.py").write_text("")
    (environment / "bin" / "hotdesk").write_text(f"#!/bin/sh\necho {OLD}\n")
    with (draft / "root" / "etc" / "environment").open("a") as file:
        file.write("# as it was\n")
    old = folder / "old"
    old.mkdir()
    for kind in ("deb", "rpm"):
        nfpm = (ROOT / ".tools" / "packagers" / "bin" / "nfpm", "package", "--config", ROOT / "packaging" / "nfpm.yaml")
        run(*nfpm, "--packager", kind, "--target", old, cwd=draft, VERSION=OLD)
    (old_deb,), (old_rpm,) = old.glob("*.deb"), old.glob("*.rpm")
    return Packages(folder, deb, rpm, folder / "hotdesk.pyz", old_deb, old_rpm)


@pytest.fixture
def debian(packages: Packages, tmp_path: Path) -> Iterator[Debian]:
    """Yield a Debian that has nothing of hotdesk, with the packages in /packages."""
    with Debian(tmp_path / "debian", packages.folder) as made:
        assert made.named("hotdesk") == set()
        yield made


def inside(file: Path) -> str:
    """Return where a package lies in the Debian."""
    return f"/packages/{'old/' if file.parent.name == 'old' else ''}{file.name}"


def sees_the_cluster(process: Process, west: Site) -> None:
    """Wait until a `hotdesk run` has read the database: the first rankings may know no dialer yet."""
    client = process.client
    until(
        lambda: len(client.dialers()) == west.plan.dialers, f"it has seen the dialers: {process.said.read_text()}", 40
    )


def settings(west: Site) -> dict[str, str]:
    """Return the variables of a `hotdesk run` in the Debian."""
    return west.environment | {"HOTDESK_API_PORT": "0", "HOTDESK_LOG_PATH": "/var/lib/hotdesk/hotdesk.db"}


def changed_by_hand(debian: Debian) -> None:
    """Write into a file of the operator's, as an operator does."""
    debian.run("sh", "-c", "echo HOTDESK_API_PORT=8471 >>/etc/hotdesk/environment")
    debian.run("sh", "-c", "umask 077; echo secret >/etc/hotdesk/secrets/main.password; mkdir -p /var/lib/hotdesk")


def test_a_debian_gets_it_runs_it_upgrades_it_and_is_rid_of_it(
    debian: Debian, packages: Packages, west: Site, start: Start
) -> None:
    install = ("dpkg", "--force-unsafe-io", "--force-confdef", "--force-confold", "--install")
    said = debian.run(*install, inside(packages.old_deb))
    assert "What to do next: hotdesk docs install" in said
    assert debian.run("hotdesk").strip() == OLD
    changed_by_hand(debian)

    said = debian.run(*install, inside(packages.deb))
    assert "What to do next" not in said
    version = debian.run("dpkg-query", "--show", "--showformat=${Version}", "hotdesk")
    assert debian.run("hotdesk", "--version").startswith(version.replace("~", ".").removesuffix("-1"))
    assert not debian.there("/opt/hotdesk/current/lib/gone.py")
    assert "HOTDESK_API_PORT=8471" in debian.run("cat", "/etc/hotdesk/environment")
    assert debian.run("hotdesk", "docs", "docs/guide/install.md").startswith("# Installing hotdesk")
    assert "hotdesk" in debian.run("id", "hotdesk")
    assert debian.run("stat", "--format=%a %U", "/etc/hotdesk/secrets").strip() == "700 root"
    # the services may not write there
    assert "main.cpython-311.pyc" in debian.run("ls", f"{CODE}/hotdesk/cli/__pycache__")

    with west.living():
        process = start("run", environment=settings(west), program=(*debian.inside, "hotdesk"))
        sees_the_cluster(process, west)
        assert process.end()[0] == 0

    debian.run("dpkg", "--remove", "hotdesk")
    assert not debian.there("/opt/hotdesk")
    assert debian.there("/etc/hotdesk/secrets/main.password")
    assert "HOTDESK_API_PORT=8471" in debian.run("cat", "/etc/hotdesk/environment")
    debian.run("dpkg", "--purge", "hotdesk")
    assert debian.named("hotdesk") == set()
    assert debian.run("getent", "passwd", "hotdesk", code=2) == ""


def test_from_a_bare_debian_to_an_answered_pick_takes_less_than_ten_minutes(
    debian: Debian, packages: Packages, west: Site, start: Start
) -> None:
    """By the commands of docs/guide/install.md; a person reads meanwhile, so it must take far less here."""
    install, setup = "apt-get install ./hotdesk_0.1.0-1_amd64.deb", "hotdesk setup"
    assert re.search(rf"^{re.escape(install)}\s+#.*\n(?s:.*)^{setup}$", DOCUMENT, re.MULTILINE)
    account, port = f"{west.user}_own", free_port()
    given = {
        "--database-host": west.settings.host,
        "--database-port": str(west.settings.port),
        "--database": west.name,
        "--account": account,
        "--option-file": "/root/administrator.cnf",
        "--address": "127.0.0.1",
        "--port": str(port),
        "--cluster": "west",
    }
    options = f"[client]\nuser=root\npassword={west.database.password}\n"
    debian.run("sh", "-c", 'umask 077; printf "%s" "$1" >/root/administrator.cnf', "sh", options)
    body = {"user": west.plan.agent_plans[0].user, "alias": west.plan.agent_plans[0].alias}
    try:
        with west.living():
            began = time.monotonic()
            # apt-get itself would ask a mirror for what the tree has already
            debian.run("dpkg", "--force-unsafe-io", "--install", inside(packages.deb))
            said = debian.run(*setup.split(), "--yes", *(word for pair in given.items() for word in pair))
            (told,) = re.findall(r"^    (/opt/hotdesk/current/bin/hotdesk run .*)$", said, re.MULTILINE)
            program, *words = told.split()
            process = start(*words, program=(*debian.inside, program))
            page = f"The status page is then at http://127.0.0.1:{port}/"
            assert page in said
            (pick,) = re.findall(r"^pick (\S+)$", debian.run("cat", "/etc/hotdesk/secrets/tokens"), re.MULTILINE)
            asking = httpx.Client(headers={"authorization": f"Bearer {pick}"}, trust_env=False)
            assert process.client.url == f"http://127.0.0.1:{port}"
            with asking:
                picks = f"{process.client.url}/v1/clusters/west/picks"
                until(
                    lambda: asking.post(picks, json=body).status_code == httpx.codes.CREATED, "a pick is answered", 60
                )
            took = time.monotonic() - began
    finally:
        west.run(f"DROP USER IF EXISTS '{account}'@'127.0.0.1'")
    assert took < TEN_MINUTES


def played(debian: Debian, **variables: str) -> tuple[str, dict[str, str]]:
    """Run the Ansible role in the Debian, by its own connection; give what was said, and the recap of each host."""
    words = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    role = "/opt/hotdesk/current/share/hotdesk/packaging/ansible/site.yml"
    # the role needs no facts of a host, and they take a third of the time
    settings = ("ANSIBLE_NOCOLOR=1", "ANSIBLE_GATHERING=explicit", "LC_ALL=C.UTF-8", "PYTHONPATH=/ansible")
    python = ("env", *settings, "/usr/bin/python3.11")
    said = debian.run(*python, "-m", "ansible", "playbook", "-c", "local", "-i", "/root/hosts.ini", *words, role)
    return said, dict(re.findall(r"^(\S+)\s+: (ok=.*?)\s+skipped", said, re.MULTILINE))


def test_its_ansible_role_sets_it_up_and_a_second_run_changes_nothing(
    debian: Debian, packages: Packages, west: Site
) -> None:
    """No systemd is in the tree, and no web server: the hook's part is played on no host."""
    debian.run("dpkg", "--force-unsafe-io", "--install", inside(packages.deb))
    site = ROOT / ".tools" / "ansible" / "lib" / "python3.11" / "site-packages"
    debian.run("mkdir", "/ansible", "/etc/asterisk")
    debian.run_outside("mount", "--bind", "-o", "ro", str(site), f"{debian.root}/ansible")
    account = f"{west.user}_own"
    for path, text in {
        "/root/administrator.cnf": f"[client]\nuser=root\npassword={west.database.password}\n",
        "/root/hosts.ini": "[hotdesk]\nhotdesk-1\n[hotdesk_dialers]\ndialer-1\n[hotdesk_web]\n",
        "/etc/asterisk/manager.conf": "[general]\nenabled = yes\n",
        "/usr/bin/asterisk": '#!/bin/sh\necho "$@" >>/root/asked\n',
    }.items():
        debian.run("sh", "-c", 'umask 077; printf "%s" "$1" >"$2"', "sh", text, path)
    debian.run("chmod", "755", "/usr/bin/asterisk")
    variables = {
        "ansible_become": "false",
        "hotdesk_database_host": west.settings.host,
        "hotdesk_database_port": str(west.settings.port),
        "hotdesk_database": west.name,
        "hotdesk_account": account,
        "hotdesk_option_file": "/root/administrator.cnf",
        "hotdesk_address": "127.0.0.1",
        "hotdesk_port": str(free_port()),
    }
    try:
        with west.living():
            said, first = played(debian, **variables)
            assert "changed=1" in first["hotdesk-1"], said
            assert "changed=2" in first["dialer-1"], "the account, and the reload"
            block = debian.run("cat", "/etc/asterisk/manager.conf")
            assert f"secret = {debian.run('cat', '/etc/hotdesk/secrets/main.ami').strip()}\n" in block
            assert debian.run("cat", "/root/asked") == "-rx manager reload\n"
            assert debian.run("cat", "/etc/hotdesk/secrets/tokens").split()[1] not in said

            said, again = played(debian, **variables)
            assert all("changed=0" in each and "failed=0" in each for each in again.values()), said
    finally:
        west.run(f"DROP USER IF EXISTS '{account}'@'127.0.0.1'")


def test_a_link_of_an_installation_by_hand_is_not_written_through(debian: Debian, packages: Packages) -> None:
    debian.run("sh", "-c", "mkdir -p /opt/hotdesk/0.1.0 && ln -s 0.1.0 /opt/hotdesk/current")
    said = debian.run("dpkg", "--force-unsafe-io", "--install", inside(packages.old_deb), code=1)
    assert "/opt/hotdesk/current is the link of an installation by hand" in said
    assert debian.run("ls", "/opt/hotdesk/0.1.0") == ""


def test_rpm_gets_it_runs_it_upgrades_it_and_is_rid_of_it(debian: Debian, packages: Packages) -> None:
    # the root has no packages of rpm's, so what this one needs is looked at by itself
    rpm = (tool("rpm"), "--root", debian.root, "--dbpath", "/var/lib/rpm", "--nodeps")
    debian.run_outside(*rpm, "--install", f"{packages.old_rpm}")
    assert debian.run("hotdesk").strip() == OLD
    changed_by_hand(debian)

    debian.run_outside(*rpm, "--upgrade", f"{packages.rpm}")
    assert debian.run("hotdesk", "--version").startswith("0.")
    assert not debian.there("/opt/hotdesk/current/lib/gone.py")
    assert "HOTDESK_API_PORT=8471" in debian.run("cat", "/etc/hotdesk/environment")
    assert debian.there("/etc/hotdesk/environment.rpmnew")
    differs = debian.run_outside(*rpm, "--verify", "hotdesk", code=1)
    assert {line.split()[-1] for line in differs.splitlines()} == {"/etc/hotdesk/environment"}

    debian.run_outside(*rpm, "--erase", "hotdesk")
    assert debian.named("hotdesk") == {"/etc/hotdesk", "/var/lib/hotdesk"}
    assert debian.there("/etc/hotdesk/environment.rpmsave")
    assert debian.there("/etc/hotdesk/secrets/main.password")


def test_one_file_runs_where_python_has_nothing_else(
    debian: Debian, packages: Packages, west: Site, start: Start
) -> None:
    python = ("/usr/bin/env", "-i", f"PATH={PATH}", "HOME=/root", "/usr/bin/python3.11", "-I", inside(packages.pyz))
    assert debian.run(*python, "--version").startswith("0.")
    assert debian.run(*python, "docs", "HotdeskDialerDown").startswith("# HotdeskDialerDown")
    debian.run("mkdir", "/var/lib/hotdesk")
    with west.living():
        program = (*debian.inside, "/usr/bin/python3.11", "-I", inside(packages.pyz))
        process = start("run", environment=settings(west), program=program)
        sees_the_cluster(process, west)


def test_one_file_says_which_python_it_is_for(packages: Packages, tmp_path: Path) -> None:
    with zipfile.ZipFile(packages.pyz) as file:
        begins = file.read("__main__.py").decode()
    # as another Python sees it
    other = tmp_path / "__main__.py"
    other.write_text(begins.replace("(3, 11)", "(3, 2)"))
    done = subprocess.run([tool("python3"), other], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 2
    assert re.fullmatch(r"hotdesk: this file is for Python 3\.11, and this is 3\.\d+; run: .*\n", done.stderr)


def _listed(packages: Packages) -> dict[str, set[str]]:
    """Return the paths of both packages, without directories that are others'."""
    of_deb = run("dpkg-deb", "--contents", packages.deb).splitlines()
    paths = (re.split(r" \./| ->", line)[1].rstrip("/") for line in of_deb)
    return {
        "deb": {f"/{path}" for path in paths if path.endswith("hotdesk") or "hotdesk" in path},
        "rpm": set(run("rpm", "--query", "--package", "--list", packages.rpm).splitlines()),
    }


def test_both_have_the_same_in_places_of_their_own(packages: Packages) -> None:
    listed = _listed(packages)
    assert [path for paths in listed.values() for path in paths if not PLACES.fullmatch(path)] == []
    alike = [{path for path in paths if "/zsh/" not in path} for paths in listed.values()]
    assert alike[0] == alike[1]
    assert run("rpm", "--query", "--package", "--configfiles", packages.rpm).split() == [CONFIGURATION]
    assert run("dpkg-deb", "--info", packages.deb, "conffiles").split() == [CONFIGURATION]

    # where it was built says nothing to anybody
    assert [path for path in alike[0] if path.endswith("direct_url.json")] == []
    for wanted in (
        "/usr/share/man/man1/hotdesk.1.gz",
        "/usr/share/man/man1/hotdesk-topics-check.1.gz",
        "/usr/share/bash-completion/completions/hotdesk",
        "/usr/lib/systemd/system/hotdesk-collect.service",
        "/opt/hotdesk/current/share/hotdesk/hook/options.php",
        "/opt/hotdesk/current/share/hotdesk/alerts/hotdesk.rules.yml",
        "/opt/hotdesk/current/share/hotdesk/dashboards/hotdesk-fleet.json",
        "/opt/hotdesk/current/share/hotdesk/docs/runbooks/HotdeskDialerDown.md",
    ):
        assert wanted in alike[0]


def test_a_package_names_the_python_that_it_is_for(packages: Packages) -> None:
    fields = run("dpkg-deb", "--field", packages.deb)
    assert re.search(r"^Architecture: amd64$", fields, re.MULTILINE)
    assert re.search(r"^Depends: .*\bpython3\.11\b", fields, re.MULTILINE)
    needs = run("rpm", "--query", "--package", "--requires", packages.rpm).splitlines()
    assert "(python311 or python3.11)" in needs
    assert run("rpm", "--query", "--package", "--queryformat", "%{ARCH}", packages.rpm) == "x86_64"
    # an alpha comes before its release
    version = run("rpm", "--query", "--package", "--queryformat", "%{VERSION}", packages.rpm)
    assert run("rpm", "--eval", f"%{{lua:print(rpm.vercmp('{version}', '{version.partition('~')[0]}'))}}").strip() in {
        "-1",
        "0",
    }
