"""Counters of a simulated cluster, for tests to wait on and benchmarks to report."""

import threading
from collections import Counter, deque
from enum import StrEnum

LATENCIES_KEPT = 200_000
"""The newest ones; older ones that were not fetched are dropped."""


class Counted(StrEnum):
    """The counters."""

    LOGINS = "logins"
    LOGOUTS = "logouts"
    ORDERED_LOGOUTS = "ordered logouts"
    """Logouts by `external_pause='LOGOUT'`, which are counted as logouts too."""
    LOST_SESSIONS = "lost sessions"
    """Agents who found their row gone."""
    REFUSED_LOGINS = "refused logins"
    OWN_CHOICES = "own choices"
    """Logins without an answer of the pick, for which VICIdial chose by itself."""
    HEARTBEATS = "heartbeats"
    REFRESHES = "refreshes"
    STATE_CHANGES = "state changes"
    FAILED_STATEMENTS = "failed statements"


class Statistics:
    """Counters, and the durations of writes. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Counted] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def count(self, what: Counted) -> None:
        """Count one."""
        with self._lock:
            self._counts[what] += 1

    def wrote(self, what: Counted, seconds: float) -> None:
        """Count one write, and record its duration."""
        with self._lock:
            self._counts[what] += 1
            self._latencies.append(seconds)

    def counts(self) -> dict[Counted, int]:
        """Return all counters, also those at zero."""
        with self._lock:
            return {what: self._counts[what] for what in Counted}

    def take_write_seconds(self) -> list[float]:
        """Return and clear the durations of the writes since the last call, at most `LATENCIES_KEPT`."""
        with self._lock:
            taken = list(self._latencies)
            self._latencies.clear()
        return taken
