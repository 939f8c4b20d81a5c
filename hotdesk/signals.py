"""Signals to a process: to end, or to reload its settings."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue


class Asked:
    """A request that a signal makes, and that a thread waits for.

    Not a `threading.Event`: a signal's handler interrupts the waiting thread at any point, even while it has the
    event's own lock; the handler would wait for that lock for ever, and the process would never end.
    """

    def __init__(self) -> None:
        self._asked = False
        self._requests: SimpleQueue[None] = SimpleQueue()

    def ask(self) -> None:
        """Make the request; from any thread, and from a signal's handler."""
        self._asked = True
        self._requests.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the request; return True if it was made."""
        if not self._asked:
            with suppress(Empty):
                self._requests.get(timeout=seconds)
        return self._asked

    def consume(self) -> bool:
        """Return True if the request was made since the last call, and clear it."""
        asked, self._asked = self._asked, False
        return asked


@contextmanager
def asked_by(number: signal.Signals, asked: Asked) -> Iterator[None]:
    """Let a signal make a request, for a while."""
    before = signal.signal(number, lambda *_: asked.ask())
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def asked_to_end() -> Iterator[Asked]:
    """Let SIGTERM and SIGINT ask for the end, and SIGHUP too if a terminal closes."""
    end = Asked()
    with (
        asked_by(signal.SIGTERM, end),
        asked_by(signal.SIGINT, end),
        asked_by(signal.SIGHUP, end) if in_a_terminal() else nullcontext(),
    ):
        yield end


def in_a_terminal() -> bool:
    """Return True if this process was started in a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
