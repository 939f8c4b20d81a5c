"""What signals ask for: at any moment, also while the thread that they interrupt is about to wait for them."""

import os
import pty
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotdesk.signals import Asked, asked_by
from tests.support.processes import COMMAND, Site, clean_environment

MANY = 300


@contextmanager
def signals(number: signal.Signals) -> Iterator[None]:
    """Send a signal to this process again and again."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.0002):
            os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def test_a_signal_never_holds_up_the_thread_that_waits_for_it() -> None:
    asked, taken = Asked(), 0
    with asked_by(signal.SIGUSR1, asked), signals(signal.SIGUSR1):
        while taken < MANY:
            asked.wait(0)
            taken += asked.consume()


def test_what_was_asked_for_is_known_at_once_and_until_it_is_taken() -> None:
    asked = Asked()
    assert not asked.wait(0)
    asked.ask()
    assert asked.wait(60)
    assert asked.wait(60)
    assert asked.consume()
    assert not asked.consume()


def test_a_terminal_that_closes_ends_what_was_started_in_it(west: Site, tmp_path: Path) -> None:
    terminal, inside = pty.openpty()
    setsid = shutil.which("setsid")
    assert setsid
    process = subprocess.Popen(  # noqa: S603 # our own command
        [setsid, "--ctty", COMMAND, "run"],
        env=clean_environment(west.environment | {"HOTDESK_API_PORT": "0", "TERM": "dumb"}),
        cwd=tmp_path,
        stdin=inside,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    try:
        said = b""
        try:
            while b"ready to answer" not in said:
                said += os.read(terminal, 4096)
        finally:
            os.close(terminal)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
