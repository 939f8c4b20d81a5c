"""Warn once: one line in the log, however often a process that retries meets the same error."""

import threading
import time

FORGET_SECONDS = 60.0
"""An error that was not met for this long is over: when it returns, it is logged again."""


class WarnOnce:
    """The errors met lately. Threads that meet the same errors may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._met_at: dict[str, float] = {}

    def is_new(self, message: str) -> bool:
        """Record that `message` was met, and return True if it is to be logged."""
        with self._lock:
            now = time.monotonic()
            self._met_at = {each: at for each, at in self._met_at.items() if now - at < FORGET_SECONDS}
            new = message not in self._met_at
            self._met_at[message] = now
            return new
