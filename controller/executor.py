"""The hands: a thread for each cluster that carries out committed orders, one after the other.

Nothing is decided here. Just before anything is sent, VICIdial's own rows are read, and last of all it is asked
whether this process still owns the cluster; between that and the act lie no more than the time limits of the hand.
"""

import queue
import threading
from collections.abc import Callable

import structlog

from controller.acting import Check, Outcome, Reply, after_check, check
from controller.vicidial import Hand, SessionReader, VicidialError
from messages.records import Relogin

IDLE_SECONDS = 0.5

log = structlog.get_logger()


class Executor:
    """Carries out one cluster's moves.

    Args:
        cluster: whose.
        reader: reads VICIdial's rows.
        hand: tells an agent's screen.
        dead_call_status: what a call that died with its dialer is disposed as.
        why_not: asked last of all: why this process may not act now; empty: it may.
        report: told what came of each order, on this thread.
    """

    def __init__(  # noqa: PLR0913 # what it works with, each once
        self,
        cluster: str,
        reader: SessionReader,
        hand: Hand,
        *,
        dead_call_status: str,
        why_not: Callable[[], str],
        report: Callable[[Relogin, Outcome], None],
    ) -> None:
        self._cluster = cluster
        self._reader = reader
        self._hand = hand
        self._dead_call_status = dead_call_status
        self._why_not = why_not
        self._report = report
        self._orders: queue.SimpleQueue[Relogin] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"executor-{cluster}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; what waits is not carried out."""
        self._stop.set()

    def join(self, timeout_seconds: float) -> None:
        """Wait for the thread."""
        self._thread.join(timeout_seconds)

    def submit(self, relogin: Relogin) -> None:
        """Take a committed order."""
        self._orders.put(relogin)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                relogin = self._orders.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                continue
            self._report(relogin, self._carry_out(relogin))

    def _carry_out(self, relogin: Relogin) -> Outcome:
        try:
            rows = self._reader.sessions(relogin.user)
        except VicidialError as error:
            return Outcome(Reply.UNSENT, str(error))
        found = check(relogin, rows, names_user=self._hand.names_user)
        if found is not Check.SEND:
            return after_check(found)
        withheld = self._why_not()
        if withheld or self._stop.is_set():
            return Outcome(Reply.UNSENT, withheld or "this process ends")
        return self._hand.log_out(relogin, self._dead_call_status if relogin.in_call else None)
