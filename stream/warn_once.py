"""WarnOnce as lines of a log: one line, however often a service that tries again meets the same trouble."""

import threading
import time

FORGET_SECONDS = 60.0
"""A trouble that was not met for so long is over: when it comes back, it is said again."""


class WarnOnce:
    """What was met lately. Threads that meet the same trouble may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._met_at: dict[str, float] = {}

    def is_new(self, said: str) -> bool:
        """Tell whether this is to be said, and note that it was met."""
        with self._lock:
            now = time.monotonic()
            self._met_at = {each: at for each, at in self._met_at.items() if now - at < FORGET_SECONDS}
            new = said not in self._met_at
            self._met_at[said] = now
            return new
