"""Queue records for the log: bounded lanes (`stream.lanes`), and threads that append until they succeed.

A caller of `put` does not wait for the log, and no observation is lost while the log is unavailable: the queue keeps
them. When it is full, the collector must stop making more.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import structlog

from messages.topics import Topic
from stream.entries import aged, queued
from stream.lanes import DEFAULT_BOUND, Batch, Lanes, Waiting
from stream.log import Entry, Log, LogError, LogUnavailableError

HANGING_SECONDS = 6.0
"""A log that has taken nothing for this long, though something waited, hangs. An append may still succeed later."""
NAMED_CLUSTERS = 5
"""Most clusters that a line of the journal names."""

Put = Callable[[Sequence[Entry]], None]
"""Queues records for the log; does not wait."""

log = structlog.get_logger()


class Outbox:
    """Appends records in order, in the background. Any thread may put."""

    def __init__(self, to: Log, *, bound: int = DEFAULT_BOUND) -> None:
        self._log = to
        self._lanes = Lanes(bound, random.SystemRandom().random)
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        """Something was appended, or failed."""
        self._due = threading.Condition(lock)
        """Something may be due."""
        self._given_up = False
        self._threads: list[threading.Thread] = []
        self._idle = 0
        """Threads that look for something to append, or wait for it."""
        self._wakes: dict[int, float] = {}
        """By thread that waits: when it looks again by itself."""
        self._failures: dict[Topic, Exception] = {}
        """By topic: the first error since all of it could be appended."""
        self.appended = 0
        with self._changed:
            self._start_thread()

    def __len__(self) -> int:
        with self._changed:
            return len(self._lanes)

    def lengths(self) -> Mapping[Topic, int]:
        """Return how many records of each topic wait."""
        with self._changed:
            return self._lanes.lengths()

    def failing_clusters(self) -> Mapping[Topic, int]:
        """Return of how many clusters the log takes no records of a topic."""
        with self._changed:
            return self._lanes.failing_clusters()

    def dropped(self) -> Mapping[Topic, int]:
        """Return how many records of each topic went, since too many waited."""
        with self._changed:
            return dict(self._lanes.dropped)

    def full(self, cluster: str) -> bool:
        """Return True at the bound: put no more observations of this cluster until records have left."""
        with self._changed:
            return self._lanes.full(cluster)

    def held_up_seconds(self, cluster: str) -> float:
        """Return how long the log has taken no observations of a cluster, though some wait; 0: none waits."""
        with self._changed:
            return self._lanes.held_up_seconds(cluster, time.monotonic())

    def mended(self, cluster: str) -> int:
        """Return how often observations of a cluster could be appended again after failures."""
        with self._changed:
            return self._lanes.mended[Topic.OBSERVATIONS, cluster]

    @property
    def failing_since(self) -> Exception | None:
        """Why nothing that waits can be appended, as the first append that failed said; None: something can."""
        with self._changed:
            if self._lanes.failing:
                return next(iter(self._failures.values()), None)
            hangs_for = self._lanes.hangs_seconds(time.monotonic())
            if hangs_for > HANGING_SECONDS:
                return LogUnavailableError(f"it has taken nothing for {hangs_for:.0f} s")
            return None

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue records, even beyond the bound: the caller checks `full` before it makes any."""
        now = time.monotonic()
        with self._changed:
            self._lanes.put([Waiting(queued(entry, now)) for entry in entries], now)
            # To wake a thread costs a pick that puts as much as the pick itself: it may take the interpreter away. So
            # one is woken only if none looks by itself in time.
            due_at = min((self._lanes.may_go_at(each.topic) for each in entries), default=float("inf"))
            if due_at < min(self._wakes.values(), default=float("inf")):
                self._due.notify()

    def store(self, entries: Sequence[Entry]) -> "Sequence[Future[None]]":
        """Queue records that somebody waits for, and return what is done once each is stored.

        It raises what the log said if that refuses; cancel it to give the record up.
        """
        waiting = [Waiting(entry, Future()) for entry in entries]
        with self._changed:
            self._lanes.put(waiting, time.monotonic())
            self._due.notify()
        return [each.stored for each in waiting if each.stored is not None]

    def wait_until_room(self, cluster: str, timeout_seconds: float) -> bool:
        """Wait until the queue has room for a cluster; return False if the time is up first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lanes.full(cluster), timeout_seconds)

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until all records are appended; return False if the time is up first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lanes, timeout_seconds)

    def close(self, timeout_seconds: float = 2.0) -> int:
        """Append the rest for up to `timeout_seconds`, then stop; return the number of records that were lost."""
        self.wait_until_empty(timeout_seconds)
        with self._changed:
            self._given_up = True
            self._due.notify_all()
            threads = list(self._threads)
        deadline = time.monotonic() + timeout_seconds
        for each in threads:
            each.join(max(0.0, deadline - time.monotonic()))
        return len(self)

    def _start_thread(self) -> None:
        self._threads.append(threading.Thread(target=self._work, name="outbox", daemon=True))
        self._threads[-1].start()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            error: Exception | None = None
            try:
                now = time.monotonic()
                self._log.append([aged(each.entry, now) for each in batch.records])
            except Exception as failure:  # noqa: BLE001 # if the thread ended, records would wait for ever, and without a word
                error = failure
            self._settle(batch, error)

    def _next_batch(self) -> Batch | None:
        """Wait for something to append; None: there will be nothing more."""
        with self._changed:
            self._idle += 1
            try:
                while not self._given_up:
                    now = time.monotonic()
                    batch, due_at = self._lanes.next_batch(now), self._lanes.next_at()
                    if batch is not None:
                        # another one always waits: nothing must wait for what the log does not take
                        if self._idle == 1:
                            self._start_thread()
                        elif due_at is not None:
                            self._due.notify()
                        return batch
                    self._wakes[threading.get_ident()] = float("inf") if due_at is None else due_at
                    self._due.wait(None if due_at is None else max(0.0, due_at - now))
                    del self._wakes[threading.get_ident()]
                return None
            finally:
                self._idle -= 1

    def _settle(self, batch: Batch, error: Exception | None) -> None:
        with self._changed:
            since = self._lanes.settle(batch, error, time.monotonic())
            queued = len(self._lanes)
            if error is None:
                self.appended += len(batch.records)
            fails = self._lanes.failing_clusters()[batch.topic] > 0
            mended = not fails and self._failures.pop(batch.topic, None) is not None
            new = error is not None and fails and batch.topic not in self._failures
            if new and error is not None:
                self._failures[batch.topic] = error
            self._changed.notify_all()
        if new and error is not None:
            log.warning(
                "cannot append to the log; records are queued",
                topic=batch.topic,
                clusters=since[:NAMED_CLUSTERS],
                why=str(error),
                queued=queued,
                exc_info=None if isinstance(error, LogError) else error,
            )
        if mended:
            log.info("appending to the log again", topic=batch.topic, queued=queued)
