"""Which statements fail, since when, and when each is tried again. Pure.

A table that is locked for a minute must not cost each poll its time limit. So a statement that failed is left out, and
tried again elsewhere with growing pauses, until it answers. What was last read of its table still counts.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from collectors.observer import Unread
from messages.codes import Unreadable

FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.5, 8.0
"""From a failed try to the next one: at first, and at most; it doubles with each."""


@dataclass
class _Failing:
    why: Unreadable
    since: float
    """When it last answered, or the term began."""
    next_try: float
    pause: float


class FailingStatements:
    """The statements of one term that fail. Times are of the collector's monotonic clock, in seconds."""

    def __init__(self, tables: Mapping[str, str], now: float) -> None:
        """Begin with none; `tables` has the table of each statement."""
        self._tables = tables
        self._began = now
        self._answered: dict[str, float] = {}
        self._failing: dict[str, _Failing] = {}
        self._failures: Counter[str] = Counter()

    def __contains__(self, statement: object) -> bool:
        """Return True for a statement that is to be left out."""
        return statement in self._failing

    def has_answered(self, statement: str) -> bool:
        """Return True if a statement has answered in this term."""
        return statement in self._answered

    def answered(self, statement: str, now: float) -> None:
        """Record that a statement gave its rows."""
        self._answered[statement] = now
        self._failing.pop(statement, None)

    def failed(self, statement: str, why: Unreadable, now: float) -> None:
        """Record that a statement failed, and put off its next try."""
        self._failures[statement] += 1
        failing = self._failing.get(statement)
        if failing is None:
            since = self._answered.get(statement, self._began)
            self._failing[statement] = _Failing(why, since, now + FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
            return
        failing.why = why
        failing.pause = min(2 * failing.pause, MOST_PAUSE_SECONDS)
        failing.next_try = now + failing.pause

    def due(self, now: float) -> tuple[str, ...]:
        """Return the statements to try again now."""
        return tuple(name for name, failing in self._failing.items() if failing.next_try <= now)

    def seconds_until_due(self, now: float) -> float | None:
        """Return how long it is until the next try; None: all answer."""
        return min((max(0.0, failing.next_try - now) for failing in self._failing.values()), default=None)

    def tables(self, now: float) -> dict[str, Unread]:
        """Return the tables that cannot be read now, each as it has been for longest."""
        found: dict[str, Unread] = {}
        for name, failing in self._failing.items():
            seconds, table = now - failing.since, self._tables.get(name, name)
            if table not in found or found[table].seconds < seconds:
                found[table] = Unread(seconds, failing.why)
        return found

    def take_failures(self) -> Counter[str]:
        """Return how often each statement failed since this was last asked."""
        taken, self._failures = self._failures, Counter()
        return taken
