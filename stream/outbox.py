"""Records on their way to the log: a bounded queue, and a thread that appends until it succeeds.

Whoever puts records here does not wait for the log, and nothing is lost while the log is away: the queue holds what
comes, and when it is full its owner must stop making more.
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

from stream.log import Entry, Log, LogError

DEFAULT_BOUND = 100_000
"""Records in the queue; at the size of an agent's record about 50 MB."""

BATCH = 5000
"""Most records in one append."""

PAUSE_SECONDS = 0.01
"""Between the beginnings of two appends. A lone record leaves at once; hundreds a second leave in batches, since an
append costs Kafka's client a millisecond or two whatever it holds, and takes them from whoever answers picks."""

Put = Callable[[Sequence[Entry]], None]
"""Hands records to whatever brings them to the log; does not wait."""

log = structlog.get_logger()


class Outbox:
    """Appends what it is given, in order, in the background. Any thread may put."""

    def __init__(self, to: Log, *, bound: int = DEFAULT_BOUND) -> None:
        self._log = to
        self._bound = bound
        self._queue: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._given_up = threading.Event()
        self.appended = 0
        self.mended = 0
        """How often the log took records again after it had taken none."""
        self.failing_since: BaseException | None = None
        """Why the log takes nothing now; None: it does."""
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Tell whether the bound is reached: put no more until records have left."""
        return len(self._queue) >= self._bound

    def put(self, entries: Sequence[Entry]) -> None:
        """Take records, even beyond the bound: it is for the caller to look at `full` before it makes any."""
        with self._changed:
            self._queue.extend(entries)
            self._changed.notify_all()

    def wait_until_room(self, timeout_seconds: float) -> bool:
        """Wait until the queue is below its bound; False if it is not by then."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.full, timeout_seconds)

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Wait until all is appended; False if it is not by then."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue, timeout_seconds)

    def close(self, timeout_seconds: float = 2.0) -> int:
        """Append what is left, for so long, and stop; tell how many records had to be given up."""
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
        """Append until it succeeds; False if this outbox closed first."""
        appended = False
        for attempt in Retrying(
            # also what nobody foresaw: a thread that ended would let records wait for ever, and tell nobody
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential_jitter(multiplier=0.1, max=5.0, jitter=0.5),
            sleep=sleep_using_event(self._given_up),
            stop=stop_when_event_set(self._given_up),
            before_sleep=self._say,
            retry_error_callback=lambda _: False,
        ):
            with attempt:
                self._log.append(batch)
                appended = True
        if not appended:
            return False
        if self.failing_since is not None:
            self.failing_since = None
            self.mended += 1
            log.info("the log takes records again", waiting=len(self._queue))
        return True

    def _say(self, retry: RetryCallState) -> None:
        error = retry.outcome.exception() if retry.outcome is not None else None
        if error is not None and self.failing_since is None:
            self.failing_since = error
            unforeseen = None if isinstance(error, LogError) else error
            log.warning(
                "the log takes no records; they wait", why=str(error), waiting=len(self._queue), exc_info=unforeseen
            )
