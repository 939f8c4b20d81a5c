"""The Ansible role: Ansible reads it, what it names is there, and our commands have the options that it gives.

tests/packaging/test_packages.py runs it on a Debian.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hotdesk.cli.main import app
from tests.packaging.release import ROOT, run

ANSIBLE = ROOT / "packaging" / "ansible"
TASKS = ANSIBLE / "roles" / "hotdesk" / "tasks"
FILES = sorted(ANSIBLE.rglob("*.yml"))
DEFAULTS = yaml.safe_load((ANSIBLE / "roles" / "hotdesk" / "defaults" / "main.yml").read_text())
RIGHTS = ("act", "fence", "screens", "readiness", "emergency")


def texts(found: Any) -> Iterator[str]:  # noqa: ANN401 # whatever YAML has
    """Yield every text in what a YAML file has."""
    if isinstance(found, dict):
        for each in found.values():
            yield from texts(each)
    elif isinstance(found, list):
        for each in found:
            yield from texts(each)
    elif isinstance(found, str):
        yield found


@pytest.mark.parametrize("file", FILES, ids=lambda each: str(each.relative_to(ANSIBLE)))
def test_each_task_has_a_name_and_each_variable_a_default_or_a_source(file: Path) -> None:
    found = yaml.safe_load(file.read_text())
    if isinstance(found, list):
        assert all(each["name"] for each in found)
        registered = {each["register"] for each in found if "register" in each}
        used = {name for text in texts(found) for name in re.findall(r"\bhotdesk_[a-z_]+\b", text)}
        groups = {"hotdesk_dialers", "hotdesk_web"}
        assert used <= {*DEFAULTS, *registered, *groups, "hotdesk_part"}


def test_ansible_reads_it_with_the_inventory_to_start_from() -> None:
    play = (ROOT / ".tools" / "ansible" / "bin" / "ansible-playbook", "-i", "inventory.example.ini", "--syntax-check")
    assert "playbook: site.yml" in run(*play, "site.yml", cwd=ANSIBLE, LC_ALL="C.UTF-8")


def test_each_part_of_the_play_is_there() -> None:
    plays = yaml.safe_load((ANSIBLE / "site.yml").read_text())
    parts = {play["roles"][0]["vars"]["hotdesk_part"] for play in plays}
    assert {each.stem for each in TASKS.glob("*.yml")} == {*parts, "main"}


@pytest.mark.parametrize(("part", "command"), [("setup", ["setup"]), ("web", ["hook", "install"])])
def test_our_commands_have_each_option_that_it_gives(part: str, command: list[str]) -> None:
    (argv,) = [
        task["ansible.builtin.command"]["argv"]
        for task in yaml.safe_load((TASKS / f"{part}.yml").read_text())
        if "ansible.builtin.command" in task
    ]
    assert re.findall(r"'([a-z]+)'", argv)[: len(command)] == command
    _, apps, rest = app.parse_commands(command)
    assert not rest
    known = {name for argument in apps[-1].assemble_argument_collection() for name in argument.names}
    given = set(re.findall(r"'(--[a-z-]+)'", argv)) | ({f"--{each}" for each in RIGHTS} if part == "setup" else set())
    assert {"--yes", "--cluster"} <= given
    assert given <= known


def test_no_secret_is_shown_and_the_account_is_the_one_that_setup_prints() -> None:
    tasks = [task for file in TASKS.glob("*.yml") for task in yaml.safe_load(file.read_text())]
    assert all(task.get("no_log") for task in tasks if "slurp" in str(task) or "secret =" in str(task))
    (block,) = [each["ansible.builtin.blockinfile"]["block"] for each in tasks if "ansible.builtin.blockinfile" in each]
    assert block.splitlines()[0] == "[hotdesk]"
    assert block.splitlines()[-2:] == ["read =", "write = reporting"]
