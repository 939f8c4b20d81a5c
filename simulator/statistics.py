"""What a simulated cluster counted of itself, for tests to wait on and benchmarks to report."""

import threading
from collections import Counter, deque
from enum import StrEnum

LATENCIES_KEPT = 200_000
"""The newest; older ones that nobody took are dropped."""


class Counted(StrEnum):
    """What is counted."""

    LOGINS = "logins"
    LOGOUTS = "logouts"
    ORDERED_LOGOUTS = "ordered logouts"
    """Of the logouts, those that `external_pause='LOGOUT'` asked for."""
    LOST_SESSIONS = "lost sessions"
    """Agents who found their row gone."""
    REFUSED_LOGINS = "refused logins"
    OWN_CHOICES = "own choices"
    """Logins for which the given pick had no answer, so that VICIdial chose by itself."""
    HEARTBEATS = "heartbeats"
    REFRESHES = "refreshes"
    STATE_CHANGES = "state changes"
    FAILED_STATEMENTS = "failed statements"


class Statistics:
    """Counts, and how long the writes took. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Counted] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def count(self, what: Counted) -> None:
        """Count one."""
        with self._lock:
            self._counts[what] += 1

    def wrote(self, what: Counted, seconds: float) -> None:
        """Count one write and remember how long it took."""
        with self._lock:
            self._counts[what] += 1
            self._latencies.append(seconds)

    def counts(self) -> dict[Counted, int]:
        """All counts until now, also those that are zero."""
        with self._lock:
            return {what: self._counts[what] for what in Counted}

    def take_write_seconds(self) -> list[float]:
        """AgentControl over how long each write took since this was last asked, at most `LATENCIES_KEPT` of them."""
        with self._lock:
            taken = list(self._latencies)
            self._latencies.clear()
        return taken
