"""Signals that come at any moment, also while the thread that they interrupt is about to wait for them."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hotdesk.signals import Asked, asked_by

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
            taken += asked.take()


def test_what_was_asked_for_is_known_at_once_and_until_it_is_taken() -> None:
    asked = Asked()
    assert not asked.wait(0)
    asked.ask()
    assert asked.wait(60)
    assert asked.wait(60)
    assert asked.take()
    assert not asked.take()
