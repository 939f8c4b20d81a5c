"""Committed actions that wait to be carried out, and which of them comes next.

Several threads carry actions out, so that one web server or one locked table does not hold up all of a cluster's. None
of an agent or a dialer is in progress twice, and the pace of moves holds over all threads together. Not thread-safe.
"""

from collections import Counter, deque
from collections.abc import Collection

from controller.core.actions import KINDS, AttemptId, attempt_of, subject_of
from messages.records import Action, AgentPause, Fence, Relogin, ScreenRestore

SECOND = 1.0
FIRST = (Fence, ScreenRestore, Relogin, AgentPause)
"""Kinds of actions, in the order in which they are carried out, before all others. Logins are kept away first: that is
one statement a dialer. A screen must be known to VICIdial before it can be told anything. Pauses are for those who
cannot be moved at once, and go on while the pace holds up moves."""


class ActionQueue:
    """The actions of one cluster: each waits, then is in progress, then is gone."""

    def __init__(self) -> None:
        self._waiting: dict[type[Action], dict[AttemptId, Action]] = {kind: {} for kind in (*FIRST, *KINDS)}
        self._in_progress: Counter[str] = Counter()
        """By user or dialer."""
        self._reserved = 0
        """Moves in progress: each may yet send a logout."""
        self._sent_at: deque[float] = deque()
        """When screens were lately sent a logout."""

    def waiting(self) -> int:
        """Return how many actions wait."""
        return sum(map(len, self._waiting.values()))

    def add(self, action: Action) -> None:
        """Add an action, behind all others of its kind."""
        self._waiting[type(action)][attempt_of(action)] = action

    def withdraw(self, attempts: Collection[AttemptId]) -> list[Action]:
        """Remove those of these attempts that have not begun, and return them."""
        return [
            waiting.pop(attempt) for waiting in self._waiting.values() for attempt in attempts if attempt in waiting
        ]

    def begin(self, now: float, per_second: float) -> Action | None:
        """Return the action to carry out next, which is in progress from now on; None: none may begin now."""
        for kind, waiting in self._waiting.items():
            if kind is Relogin and not self._paced(now, per_second):
                continue
            for attempt, action in waiting.items():
                if not self._in_progress[_subject(action)]:
                    del waiting[attempt]
                    self._in_progress[_subject(action)] += 1
                    self._reserved += isinstance(action, Relogin)
                    return action
        return None

    def end(self, action: Action) -> None:
        """Record that an action is no longer in progress."""
        self._in_progress[_subject(action)] -= 1
        self._in_progress += Counter()  # without those that are over
        self._reserved -= isinstance(action, Relogin)

    def note_sent(self, now: float) -> None:
        """Record that a screen is sent a logout."""
        self._sent_at.append(now)

    def seconds_until_paced(self, now: float) -> float | None:
        """Return how long moves must wait for the pace; None: no move waits, or none is known to be late enough."""
        if not (self._waiting[Relogin] and self._sent_at):
            return None
        return max(0.0, self._sent_at[0] + SECOND - now)

    def _paced(self, now: float, per_second: float) -> bool:
        """Return True if one more move may begin: with all in progress, no second has more logouts than allowed."""
        while self._sent_at and self._sent_at[0] + SECOND <= now:
            self._sent_at.popleft()
        return len(self._sent_at) + self._reserved < max(1, round(per_second))


def _subject(action: Action) -> str:
    """Return the agent or the dialer of an action: as in VICIdial, the case of a name does not matter."""
    return f"{'dialer' if isinstance(action, Fence) else 'user'} {subject_of(action)}".lower()
