"""Dead letters: the records of the log that could not be decoded, until the owner of their partition has reported them.

Somebody else's program may write into hotdesk's topics as fast as it likes. So what waits and what is remembered has a
bound, and so has what is written: of a flood the first are reported, and all are counted.
"""

from collections import deque
from collections.abc import Collection

from controller.core.news import Offset, offset_of
from messages.records import DeadLetter

MOST_WAITING = 200
"""With their bytes about 27 MB at most. What comes while so many wait is counted, and not reported."""
MOST_REPORTED = 50_000
"""Remembered, so that none is reported twice; of more, the first are forgotten."""
MOST_AT_ONCE = 20
"""Reported within `PER_SECONDS`; the others wait."""
PER_SECONDS = 10.0


class DeadLetters:
    """The dead letters of all partitions that this process reads."""

    def __init__(self) -> None:
        self._waiting: dict[Offset, DeadLetter] = {}
        self._reported: dict[Offset, None] = {}
        self._written: deque[float] = deque()
        """When this process reported one lately."""

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, letter: DeadLetter) -> None:
        """Keep a letter until it is reported, if there is room."""
        if len(self._waiting) < MOST_WAITING and offset_of(letter) not in self._reported:
            self._waiting[offset_of(letter)] = letter

    def note_reported(self, letter: DeadLetter) -> None:
        """Record that a letter stands in the log."""
        offset = offset_of(letter)
        self._waiting.pop(offset, None)
        self._reported[offset] = None
        while len(self._reported) > MOST_REPORTED:
            del self._reported[next(iter(self._reported))]

    def to_report(self, owned: Collection[int], now: float) -> list[DeadLetter]:
        """Return the letters to report now, each once: those of owned partitions, in their order."""
        while self._written and now - self._written[0] >= PER_SECONDS:
            self._written.popleft()
        letters = [letter for (_, partition, _), letter in self._waiting.items() if partition in owned]
        due = letters[: MOST_AT_ONCE - len(self._written)]
        for letter in due:
            self.note_reported(letter)
        self._written.extend([now] * len(due))
        return due
