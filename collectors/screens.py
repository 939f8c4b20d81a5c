"""Screens: does an agent's screen still ask VICIdial for news? Pure.

The row of a session stays when its screen is gone: a browser is closed, a laptop shut, and a restart of the database
ends the session of every screen at once, since VICIdial keeps those in memory. Each poll of a screen moves the row's
`last_update_time`, by the database's own clock. The tab of a hidden page may poll only once a minute.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.vicidial.rows import AgentRow
from messages.records import ServerIp

SILENT_SECONDS = 90
"""A screen that has not polled for this long is silent; `silent_screens.sql` has the same figure."""
LOOKS = 2
"""A screen is silent at that many looks before it counts: a database's clock that was set forward makes all screens
look silent once."""


@dataclass
class _Screen:
    server_ip: ServerIp
    since_ms: int
    """When it was last heard."""
    looks: int = 1


class Screens:
    """The silent screens of one epoch."""

    def __init__(self) -> None:
        self._silent: dict[int, _Screen] = {}
        """By session."""
        self._changed: set[int] = set()

    def since_ms(self, live_agent_id: int) -> int | None:
        """Return when a session's screen was last heard; None: it polls, or that is not known."""
        screen = self._silent.get(live_agent_id)
        return None if screen is None or screen.looks < LOOKS else screen.since_ms

    def count(self) -> Counter[ServerIp]:
        """Return how many screens of each dialer's agents are silent."""
        return Counter(each.server_ip for each in self._silent.values() if each.looks >= LOOKS)

    def changed(self) -> frozenset[int]:
        """Return the sessions whose screen has fallen silent or polls again since this was last asked."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def watch(self, now_ms: int, agents: Iterable[AgentRow], silent_seconds: Mapping[int, int] | None) -> None:
        """Update what is known of the screens.

        Args:
            now_ms: the log's time.
            agents: the sessions of this poll.
            silent_seconds: by session, how long its screen has been silent; None: the tables were not looked at.
        """
        present = {each.live_agent_id: each for each in agents if not each.remote}
        before = self._silent
        if silent_seconds is None:
            self._silent = {number: screen for number, screen in before.items() if number in present}
            return
        self._silent = {}
        for number, seconds in silent_seconds.items():
            agent = present.get(number)
            if agent is None:
                continue
            screen = before.get(number)
            if screen is None:
                screen = _Screen(agent.server_ip, now_ms - seconds * 1000)
            elif screen.looks < LOOKS:
                screen.looks += 1
                self._changed.add(number)
            self._silent[number] = screen
        self._changed |= {
            number for number, each in before.items() if number not in self._silent and each.looks >= LOOKS
        }
