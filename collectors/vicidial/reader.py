"""Read a leader's polls over three connections, so that no table can hold up what is vital.

Flags and heartbeats come over the connection that holds the lock, each time. All else is read by a thread over a second
one; a poll waits for it for a moment, and goes on without what is late. A statement that failed is left out there, and
tried again by another thread over a third, which nothing waits for: a table that is locked for a minute costs no other
one a reading.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from collectors.observer import Reading, RestRows, Unread
from collectors.unread import FailingStatements
from collectors.vicidial.database import DatabaseError, VicidialDatabase
from collectors.vicidial.parts import Rest, Wanted
from collectors.vicidial.rows import Row
from collectors.vicidial.schema import TABLES
from messages.codes import Unreadable

log = structlog.get_logger()

WAIT_SECONDS = 0.25
"""How long a poll waits for what is not vital. Nearly always it is there by then, and reaches the log half a second
sooner."""
LATE_SECONDS = 4.0
"""Agents that were wanted for so long and not read are told of, though nothing has failed yet."""
JOIN_SECONDS = 1.0
AGAIN_SECONDS = 0.5
"""A connection that breaks sooner, in a statement, had been closed before."""


class Reader:
    """Reads for one term. A context manager; it belongs to one thread, but for its own two."""

    def __init__(self, vital: VicidialDatabase) -> None:
        """Begin to read; `vital` has the lock, and stays the caller's to close."""
        self._vital = vital
        self._guard = threading.Condition()
        self._failing = FailingStatements(TABLES, time.monotonic())
        self._wanted = Wanted()
        """The parts to read that the thread has not begun."""
        self._asked = Wanted()
        """The parts that the thread reads now; empty: none."""
        self._agents_wanted_at: float | None = None
        """Since when agents are wanted and were not read; None: they were."""
        self._found: RestRows | None = None
        self._ended = False
        self._connections: dict[str, VicidialDatabase] = {}
        """By thread: of the second and third connection, while they are open."""
        self._counted: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._read_rest, name="reader", daemon=True),
            threading.Thread(target=self._try_again, name="retries", daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._ended = True
            self._guard.notify_all()
            connections = list(self._connections.values())
        for connection in connections:
            connection.interrupt()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def read(self, wanted: Wanted) -> Reading:
        """Read flags and heartbeats, and what else is there by then.

        Raises:
            DatabaseUnavailableError: flags or heartbeats cannot be read.
            DatabaseRefusedError: the same.
        """
        with self._guard:
            self._wanted = self._wanted.also(wanted)
            if wanted.agents and self._agents_wanted_at is None:
                self._agents_wanted_at = time.monotonic()
            self._begin()
        reading = self._vital.vital()
        with self._guard:
            self._guard.wait_for(lambda: not self._asked, WAIT_SECONDS)
            found, self._found = self._found or RestRows(), None
            if found.agents is not None:
                self._agents_wanted_at = None
            self._begin()
            return reading._replace(rest=found, unread=self._unread(time.monotonic()))

    def _unread(self, now: float) -> dict[str, Unread]:
        unread, table = self._failing.tables(now), TABLES["agents"]
        waits = 0.0 if self._agents_wanted_at is None else now - self._agents_wanted_at
        if waits > LATE_SECONDS and table not in unread:
            unread[table] = Unread(waits, Unreadable.UNREACHABLE)
        return unread

    @property
    def statements_run(self) -> int:
        """The number of statements so far, over all connections."""
        return self._vital.statements_run + self._counted["statements"]

    @property
    def rows_read(self) -> int:
        """The number of rows so far, over all connections."""
        return self._vital.rows_read + self._counted["rows"]

    def take_failures(self) -> Counter[str]:
        """Return how often each statement failed since this was last asked."""
        with self._guard:
            return self._failing.take_failures()

    def _begin(self) -> None:
        """Hand over to the thread what is wanted, if it has nothing to do and its last findings were taken."""
        if self._wanted and not self._asked and self._found is None:
            self._asked, self._wanted = self._wanted, Wanted()
            self._guard.notify_all()

    # --- the second connection ---------------------------------------------------------------------------------------

    def _read_rest(self) -> None:
        rest = Rest()
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._ended or bool(self._asked))
                if self._ended:
                    break
                asked = self._asked
            found = RestRows()
            try:
                found = rest.read(self._run_second, asked, self._vital.missing_columns)
            except Exception:  # if this thread ended, the agents would never be read again
                log.exception("reading failed; reading on", database=self._vital.settings.where)
            with self._guard:
                self._found, self._asked = found, Wanted()
                self._guard.notify_all()
        self._close("second")

    def _run_second(self, name: str, asked: Sequence[object] = (), *, after: int = 0) -> Sequence[Row] | None:
        """Run a statement over the second connection; None: it fails, or is left out."""
        with self._guard:
            if self._ended or name in self._failing or not self._vital.reads(name):
                return None
        return self._run("second", name, asked, after)

    # --- the third connection ----------------------------------------------------------------------------------------

    def _try_again(self) -> None:
        while True:
            with self._guard:
                due = self._failing.due(time.monotonic())
                if not due and not self._ended:
                    self._guard.wait(self._failing.seconds_until_due(time.monotonic()))
                if self._ended:
                    break
            try:
                for name in due:
                    self._run("third", name)
            except Exception:  # nor would what failed be tried again, if this one ended
                log.exception("reading failed; trying on", database=self._vital.settings.where)
            if due:
                # the server hangs up on a connection that is silent for longer than most pauses are
                self._close("third")
        self._close("third")

    # --- both --------------------------------------------------------------------------------------------------------

    def _run(self, which: str, name: str, asked: Sequence[object] = (), after: int = 0) -> Sequence[Row] | None:
        try:
            rows = self._run_again_if_it_was_closed(which, name, asked, after)
        except DatabaseError as error:
            self._note_failure(name, error)
            return None
        with self._guard:
            self._failing.answered(name, time.monotonic())
            self._counted["statements"] += 1
            self._counted["rows"] += len(rows)
        return rows

    def _run_again_if_it_was_closed(self, which: str, name: str, asked: Sequence[object], after: int) -> Sequence[Row]:
        """Run a statement; once more, over a new connection, if the server had hung up on a silent one."""
        began, kept = time.monotonic(), which in self._connections
        try:
            return self._connection(which).run(name, asked, after=after)
        except DatabaseError:
            if not self._is_broken(which):
                raise
            self._close(which)
            if not kept or time.monotonic() - began > AGAIN_SECONDS:
                raise
        return self._connection(which).run(name, asked, after=after)

    def _note_failure(self, name: str, error: DatabaseError) -> None:
        with self._guard:
            self._failing.failed(name, error.why, time.monotonic())
            self._guard.notify_all()

    def _is_broken(self, which: str) -> bool:
        with self._guard:
            return not self._ended and which in self._connections and not self._connections[which].open

    def _connection(self, which: str) -> VicidialDatabase:
        with self._guard:
            found = self._connections.get(which)
        if found is not None:
            return found
        made = VicidialDatabase(self._vital.settings, self._vital)
        with self._guard:
            self._connections[which] = made
            ended = self._ended
        if ended:
            made.interrupt()
        return made

    def _close(self, which: str) -> None:
        with self._guard:
            connection = self._connections.pop(which, None)
        if connection is not None:
            with suppress(OSError):
                connection.close()
