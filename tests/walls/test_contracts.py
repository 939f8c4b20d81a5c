"""The contracts between the rooms bite: an import that one of them forbids is planted into a copy, and refused."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
NAMES: frozenset[str] = frozenset(each["name"] for each in LINTER["contracts"])
ROOMS = "rooms depend one way"
CONTRACT = "the contract imports nothing of ours and no client"
DASHBOARDS = "dashboards know the contract only"
KAFKA = "kafka-python stays in its adapter"
WINGS = "the controller is layered, its core at the bottom"
PURE = "the core is pure: no clock, no thread, no client"


class Planted(NamedTuple):
    """What one contract forbids: a line at the end of a file, or a new file."""

    file: str
    line: str
    """Empty: that the file is there is enough."""
    broken: str


PLANTED = [
    Planted("controller/core/state.py", "import time", PURE),
    Planted("controller/core/ranking.py", "from threading import Lock", PURE),
    Planted("controller/core/slots.py", "import structlog", PURE),
    Planted("collectors/observer.py", "import os", PURE),
    Planted("collectors/vicidial/rows.py", "import pymysql", PURE),
    Planted("controller/core/policy.py", "from controller.runtime import backlog", WINGS),
    Planted("controller/core/policy.py", "import controller.vicidial.sql", WINGS),
    Planted("controller/runtime/backlog.py", "from controller.api import errors", WINGS),
    Planted("controller/vicidial/sql.py", "from controller.runtime.backlog import Backlog", WINGS),
    Planted("controller/api/errors.py", "from controller.page.view import *", WINGS),
    # a module beside the wings, and a wing that the contract does not name
    Planted("controller/loose.py", "", WINGS),
    Planted("controller/attic/__init__.py", "", WINGS),
    Planted("controller/runtime/follower.py", "from kafka import KafkaConsumer", KAFKA),
    Planted("collectors/collector.py", "import kafka.errors", KAFKA),
    Planted("stream/outbox.py", "import kafka", KAFKA),
    Planted("stream/embedded/log.py", "import kafka", KAFKA),
    Planted("hotdesk/service.py", "def late() -> None:\n    import kafka", KAFKA),
    Planted("collectors/collector.py", "import controller.core.policy", ROOMS),
    Planted("stream/outbox.py", "from collectors import observer", ROOMS),
    Planted("controller/api/app.py", "import hotdesk.settings", ROOMS),
    Planted("messages/keys.py", "import stream.log", ROOMS),
    Planted("messages/codec.py", "import httpx", CONTRACT),
    Planted("dashboards/panels.py", "import controller.core.policy", DASHBOARDS),
]


class Copy:
    """The packages in a folder of their own, and import-linter there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        shutil.copy(ROOT / "pyproject.toml", folder)
        for package in LINTER["root_packages"]:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))

    def plant(self, file: str, line: str) -> None:
        path = self._folder / file
        assert path.exists() is bool(line), f"{file} was moved: plant the line where that code is now"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as text:
            text.write(f"\n{line}\n")

    def broken(self) -> set[str]:
        """Return the contracts that import-linter finds broken, and check that it looked at every one, in this copy."""
        done = subprocess.run(  # noqa: S603 (our own command)
            [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
            cwd=self._folder,
            env=clean_environment({"COLUMNS": "300", "PYTHONPATH": str(self._folder)}),
            capture_output=True,
            text=True,
            check=False,
        )
        verdicts: dict[str, str] = dict(re.findall(r"^(.+) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout, re.MULTILINE))
        assert verdicts.keys() == NAMES, done.stdout + done.stderr
        found = {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
        assert done.returncode == bool(found), done.stdout
        return found


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """Return a fresh copy of the packages."""
    return Copy(tmp_path)


def test_as_it_stands_every_contract_is_kept(copy: Copy) -> None:
    assert copy.broken() == set()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda each: f"{each.file}: {each.line or 'new'}")
def test_what_a_contract_forbids_is_refused(copy: Copy, planted: Planted) -> None:
    copy.plant(planted.file, planted.line)
    assert planted.broken in copy.broken()


def test_every_contract_was_seen_to_bite() -> None:
    assert {each.broken for each in PLANTED} == NAMES
