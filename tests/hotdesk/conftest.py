"""What the end-to-end tests share: clusters in the one database server, and processes that are surely ended."""

import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hotdesk.cli import main as cli
from tests.support.ami_manager import Manager
from tests.support.commands import Command, Outcome
from tests.support.processes import clean_environment


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
    """Yield a port that nobody listens on, and nobody else takes meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def ami() -> Iterator[Manager]:
    """Yield a manager that answers as a living Asterisk's does."""
    with Manager() as one:
        yield one
