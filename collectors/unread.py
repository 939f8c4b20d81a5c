"""Which statements fail, since when, and when each is tried again. Pure.

A table that is locked for a minute must not cost each poll its time limit. So a statement that failed is left out, and
tried again elsewhere with growing pauses, until it answers. What was last read of its table still counts.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from collectors.observer import Unread
from messages.codes import Unreadable

TRY_SECONDS = 3.0
"""A statement fails at the latest so long after it was begun."""
FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.5, 8.0
"""From a failed try to the next one: at first, and at most; it doubles with each."""

_OF_THE_WHOLE_TABLE = {Unreadable.LOCKED, Unreadable.UNREACHABLE}
"""Reasons that are none while another statement of the table answers. A grant is of columns, and so of a statement."""


@dataclass
class _Failing:
    why: Unreadable
    since: float
    """When it was begun that failed, or the term."""
    next_try: float
    pause: float


class FailingStatements:
    """The statements of one term that fail. Times are of the collector's monotonic clock, in seconds."""

    def __init__(self, tables: Mapping[str, str], now: float) -> None:
        """Begin with none; `tables` has the table of each statement."""
        self._tables = tables
        self._began = now
        self._table_answered: dict[str, float] = {}
        """By table: when any of its statements last answered."""
        self._failing: dict[str, _Failing] = {}
        self._failures: Counter[str] = Counter()

    def __contains__(self, statement: object) -> bool:
        """Return True for a statement that is to be left out."""
        return statement in self._failing

    def answered(self, statement: str, now: float) -> None:
        """Record that a statement gave its rows."""
        self._table_answered[self._table_of(statement)] = now
        self._failing.pop(statement, None)

    def failed(self, statement: str, why: Unreadable, now: float) -> None:
        """Record that a statement failed, and put off its next try."""
        self._failures[statement] += 1
        failing = self._failing.get(statement)
        if failing is None:
            # many statements run rarely: until it was tried, nothing was wrong
            since = max(self._began, now - TRY_SECONDS)
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
        """Return the tables that cannot be read now. While one statement answers, its table is not locked."""
        found: dict[str, Unread] = {}
        for name, failing in self._failing.items():
            table, since = self._table_of(name), failing.since
            if failing.why in _OF_THE_WHOLE_TABLE:
                since = max(since, self._table_answered.get(table, since))
            seconds = now - since
            if table not in found or found[table].seconds < seconds:
                found[table] = Unread(seconds, failing.why)
        return found

    def _table_of(self, statement: str) -> str:
        return self._tables.get(statement, statement)

    def take_failures(self) -> Counter[str]:
        """Return how often each statement failed since this was last asked."""
        taken, self._failures = self._failures, Counter()
        return taken
