"""What the end-to-end tests share: clusters in the one database server, and processes that are surely ended."""

import json
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from hotdesk.cli import main as cli
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support import ami_manager as manager
from tests.support.ami_manager import Manager
from tests.support.processes import COMMAND, Process, Site, clean_environment, site

THREE_DIALERS = ClusterPlan(dialers=3, agents=12, remote_agents=1)

Start = Callable[..., Process]
SECRET = "hunter22-is-no-good"
SETTINGS, DATABASE, LOG, API = 2, 3, 4, 5


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str


Command = Callable[..., Outcome]


def one_line(outcome: Outcome, code: int) -> str:
    """Give what a failed command said: one line, on standard error, no traceback, no secret."""
    assert outcome.code == code, outcome
    assert SECRET not in outcome.output + outcome.errors
    (line,) = outcome.errors.splitlines()
    assert line.startswith("hotdesk: ")
    return line


def subjects(outcome: Outcome, verdict: str) -> dict[str, str]:
    """Give the findings of one verdict from `check --json`, by subject."""
    return {each["subject"]: each["what"] for each in json.loads(outcome.output) if each["verdict"] == verdict}


def probeed(folder: Path, west: Site, *ports: int, secret: str = manager.SECRET) -> dict[str, str]:
    """Write settings by which the dialers of `west` have their AMI at these ports; give the rest of what to set."""
    tables = "".join(
        f"[clusters.west.probes.'{dialer.server_ip}']\nami_host = '{manager.HOST}'\nami_port = {port}\n"
        for dialer, port in zip(west.plan.dialer_plans, ports, strict=True)
    )
    (folder / "hotdesk.toml").write_text(f"[clusters.west]\nami_user = '{manager.USER}'\n{tables}")
    return west.environment | {"HOTDESK_CLUSTERS__WEST__AMI_SECRET": secret}


@pytest.fixture
def west(database: Database) -> Iterator[Site]:
    """Give a cluster of three dialers and twelve desks, as it stands before anybody came in."""
    with site(database, THREE_DIALERS) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `hotdesk` processes: `start("serve", "--api.port", "0", environment={...})`; all end with the test."""
    with ExitStack() as stack:

        def start_it(
            *arguments: str, environment: dict[str, str] | None = None, program: tuple[str, ...] = (COMMAND,)
        ) -> Process:
            process = Process(tmp_path, arguments, environment or {}, program)
            stack.callback(process.close)
            return process

        yield start_it


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run the command within this process, in an empty folder: `command("check", HOTDESK_API_PORT="1")`."""
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)

    def run(*arguments: str, **environment: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["hotdesk", *arguments])
        with monkeypatch.context() as patch:
            patch.setattr("os.environ", clean_environment({"COLUMNS": "300"} | environment))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    yield run
    # `run` and its like let this process speak to streams that are closed by now.
    logging.getLogger().handlers = handlers
    structlog.reset_defaults()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port that nobody listens on, and nobody else takes meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def ami() -> Iterator[Manager]:
    """Give a manager that answers as a living Asterisk's does."""
    with Manager() as one:
        yield one
