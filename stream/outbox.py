"""Queue records for the log: a bounded queue, and a thread that appends until it succeeds.

A caller of `put` does not wait for the log, and no record is lost while the log is unavailable: the queue keeps them.
When it is full, the caller must stop making more.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential_jitter,
)

from stream.entries import aged, queued
from stream.log import Entry, Log, LogError

DEFAULT_BOUND = 100_000
"""Most records in the queue; with records the size of an agent's about 50 MB."""

BATCH = 5000
"""Most records in one append."""

PAUSE_SECONDS = 0.01
"""Least time between the starts of two appends. A lone record leaves at once; hundreds a second leave in batches, since
an append costs Kafka's client a millisecond or two whatever its size, and the picks wait for that time."""

Put = Callable[[Sequence[Entry]], None]
"""Queues records for the log; does not wait."""

log = structlog.get_logger()


class Outbox:
    """Appends records in order, in the background. Any thread may put."""

    def __init__(self, to: Log, *, bound: int = DEFAULT_BOUND) -> None:
        self._log = to
        self._bound = bound
        self._queue: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._given_up = threading.Event()
        self.appended = 0
        self.mended = 0
        """How often an append succeeded again after failures."""
        self._trying_since: float | None = None
        self.failing_since: BaseException | None = None
        """The error of the first failed append since the last success; None: appends succeed."""
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        """True at the bound: put no more until records have left."""
        return len(self._queue) >= self._bound

    def held_up_seconds(self) -> float:
        """Return how long the log has refused, or not answered, the append in progress; 0: there is none."""
        since = self._trying_since
        return 0.0 if since is None else time.monotonic() - since

    def put(self, entries: Sequence[Entry]) -> None:
        """Queue records, even beyond the bound: the caller checks `full` before it makes any."""
        with self._changed:
            now = time.monotonic()
            self._queue.extend(queued(entry, now) for entry in entries)
            self._changed.notify_all()

    def wait_until_room(self, timeout_seconds: float) -> bool:
        """Wait until the queue is below its bound; return False if the time is up first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.full, timeout_seconds)

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until all records are appended; return False if the time is up first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_seconds)

    def close(self, timeout_seconds: float = 2.0) -> int:
        """Append the rest for up to `timeout_seconds`, then stop; return the number of records that were lost."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_seconds)
        self._given_up.set()
        self._thread.join(timeout_seconds)
        return len(self._queue)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                batch = [self._queue[at] for at in range(min(BATCH, len(self._queue)))]
            began = time.monotonic()
            if not self._append(batch):
                return
            with self._changed:
                for _ in batch:
                    self._queue.popleft()
                self.appended += len(batch)
                self._changed.notify_all()
            if not self._closing:
                self._given_up.wait(max(0.0, began + PAUSE_SECONDS - time.monotonic()))

    def _append(self, batch: Sequence[Entry]) -> bool:
        """Retry the append until it succeeds; return False if the outbox was closed first."""
        appended = False
        self._trying_since = time.monotonic()
        for attempt in Retrying(
            # unforeseen errors too: if the thread ended, records would wait for ever, and without a word
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential_jitter(multiplier=0.1, max=5.0, jitter=0.5),
            sleep=sleep_using_event(self._given_up),
            stop=stop_when_event_set(self._given_up),
            before_sleep=self._log_failure,
            retry_error_callback=lambda _: False,
        ):
            with attempt:
                now = time.monotonic()
                self._log.append([aged(entry, now) for entry in batch])
                appended = True
        self._trying_since = None
        if not appended:
            return False
        if self.failing_since is not None:
            self.failing_since = None
            self.mended += 1
            log.info("appending to the log again", queued=len(self._queue))
        return True

    def _log_failure(self, retry: RetryCallState) -> None:
        error = retry.outcome.exception() if retry.outcome is not None else None
        if error is not None and self.failing_since is None:
            self.failing_since = error
            unforeseen = None if isinstance(error, LogError) else error
            log.warning(
                "cannot append to the log; records are queued",
                why=str(error),
                queued=len(self._queue),
                exc_info=unforeseen,
            )
