"""What a process is asked by signals: to end, or to read its settings again."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue


class Asked:
    """Something that a signal asks for, and that a thread waits for.

    Not a `threading.Event`: a signal's handler interrupts the thread that waits, at any point, also where that holds
    the event's own lock; the handler would wait for it for ever, and the process would never end.
    """

    def __init__(self) -> None:
        self._asked = False
        self._news: SimpleQueue[None] = SimpleQueue()

    def ask(self) -> None:
        """Ask for it; from any thread, and from a signal's handler."""
        self._asked = True
        self._news.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until it is asked for, or for so long; tell whether it was asked for by then."""
        if not self._asked:
            with suppress(Empty):
                self._news.get(timeout=seconds)
        return self._asked

    def take(self) -> bool:
        """Tell whether it was asked for since the last time."""
        asked, self._asked = self._asked, False
        return asked


@contextmanager
def asked_by(number: signal.Signals, asked: Asked) -> Iterator[None]:
    """Have a signal ask for something."""
    before = signal.signal(number, lambda *_: asked.ask())
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def asked_to_end() -> Iterator[Asked]:
    """Have SIGTERM and SIGINT ask for the end, and SIGHUP of a terminal that closes."""
    end = Asked()
    with (
        asked_by(signal.SIGTERM, end),
        asked_by(signal.SIGINT, end),
        asked_by(signal.SIGHUP, end) if in_a_terminal() else nullcontext(),
    ):
        yield end


def in_a_terminal() -> bool:
    """Tell whether this process was started in a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
