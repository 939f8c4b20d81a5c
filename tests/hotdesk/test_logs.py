"""What a process says of itself, and to whom it says it."""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog

from hotdesk import logs


@pytest.fixture
def nobody_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have standard error be one whose reader is gone, as a terminal that was closed."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1, encoding="utf-8") as gone:  # noqa: PTH123 # a descriptor
        monkeypatch.setattr("sys.stderr", gone)
        logs.configure()
        yield
        logging.getLogger().handlers = handlers
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)


def test_under_systemd_each_line_has_the_priority_by_which_the_journal_filters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    found = os.fstat(writer)
    named = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    assert logs.is_journal(named, writer)
    assert not logs.is_journal({}, writer)
    os.close(reader)
    os.close(writer)
    assert not logs.is_journal(named, writer)
    handlers = list(logging.getLogger().handlers)
    monkeypatch.setattr(logs, "is_journal", lambda *_: True)
    logs.configure()
    structlog.get_logger().warning("a dialer died", cluster="west")
    structlog.get_logger().info("it is back")
    logging.getLogger("uvicorn").error("not ours")
    logging.getLogger().handlers = handlers
    structlog.reset_defaults()
    lines = capsys.readouterr().err.splitlines()
    assert [line[:4] for line in lines] == ["<4>{", "<6>{", "<3>{"]


@pytest.mark.usefixtures("nobody_reads")
def test_what_nobody_reads_keeps_no_process_from_its_work() -> None:
    structlog.get_logger().warning("the log took no records", given_up=1)
