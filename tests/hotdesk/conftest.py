"""What the end-to-end tests share: clusters in the one database server, and processes that are surely ended."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog

from hotdesk import cli
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.hotdesk.running import COMMAND, Process, Site, clean_environment, site

THREE_DIALERS = ClusterPlan(dialers=3, agents=12, remote_agents=1)

Start = Callable[..., Process]


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str


Command = Callable[..., Outcome]


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
