"""`hotdesk demo` as a newcomer meets it: it shows what it promises, and leaves nothing behind."""

import re
import signal
import time
from pathlib import Path
from tempfile import mkdtemp

import httpx
import pytest

from tests.support.commands import Command
from tests.support.processes import Process, Start, until
from tests.support.timing import on_this_machine

WIDTH = 80
"""Columns of a terminal."""


@pytest.fixture
def temporary(server_folder: Path) -> Path:
    """Return an empty folder for temporary files, whose path is short enough for a socket's name."""
    return Path(mkdtemp(dir=server_folder))


def processes_naming(folder: Path) -> set[int]:
    """Return the processes that have this folder in their command line."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            if str(folder).encode() in words:
                found.add(int(entry.name))
    return found


def assert_nothing_is_left(process: Process, temporary: Path) -> None:
    """Assert that neither files nor processes outlive the demonstration."""
    assert list(temporary.iterdir()) == []
    assert processes_naming(temporary) == set()
    assert "Traceback" not in process.said.read_text()
    assert process.printed.read_text().rstrip().endswith("nothing is left running")


def test_a_demonstration_ends_by_itself_and_has_shown_a_dialer_die(start: Start, temporary: Path) -> None:
    process = start("demo", "--seconds", "36", environment={"TMPDIR": str(temporary)})
    page = until(lambda: re.search(r"status page: (\S+)", process.printed.read_text()), "it names its page", 60)
    until(lambda: httpx.get(page[1], trust_env=False).status_code == httpx.codes.OK, "its page answers")
    assert process.wait(90) == 0
    printed = process.printed.read_text()
    assert "the API answers at http://127.0.0.1:" in printed
    (died,) = [line for line in printed.splitlines() if line.endswith(" dies")]
    victim = died.split()[2]
    noticed = [
        line for line in printed.splitlines() if f"hotdesk: no new logins on {victim}: suspect: it may be down" in line
    ]
    assert noticed
    assert 0 < float(noticed[0].split()[0]) - float(died.split()[0]) < on_this_machine(4)
    assert f"{victim} is brought back" in printed
    assert f"hotdesk: new logins on {victim} again" in printed
    ranked = [line for line in printed.splitlines() if "least loaded: " in line]
    assert ranked
    assert max(map(len, ranked)) <= WIDTH
    assert_nothing_is_left(process, temporary)


def test_a_demonstration_that_is_interrupted_leaves_nothing_behind(start: Start, temporary: Path) -> None:
    process = start("demo", environment={"TMPDIR": str(temporary)})
    until(lambda: "least loaded: " in process.printed.read_text(), "the demonstration is under way", 40)
    began = time.monotonic()
    process.signal(signal.SIGINT)
    assert process.wait(15) == 0
    assert time.monotonic() - began < on_this_machine(10)
    assert_nothing_is_left(process, temporary)


def test_a_demonstration_without_kafkas_jars_says_what_to_do(start: Start, temporary: Path) -> None:
    process = start("demo", "--kafka", environment={"TMPDIR": str(temporary)})
    assert process.wait(40) == 1
    (line,) = process.said.read_text().splitlines()
    assert "make demo-kafka" in line
    assert list(temporary.iterdir()) == []
    assert processes_naming(temporary) == set()


def test_a_demonstration_is_refused_where_its_agents_would_have_no_rooms(command: Command) -> None:
    outcome = command("demo", "--dialers", "3", "--agents", "600")
    assert outcome.code == 1
    assert "rooms for 498 agents when one is dead: add dialers" in outcome.errors
