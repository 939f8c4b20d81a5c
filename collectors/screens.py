"""Screens: does an agent's screen still ask VICIdial for news, and does VICIdial know it? Pure.

The row of a session stays when its screen is gone: a browser is closed, a laptop shut, and a restart of the database
ends the session of every screen at once, since VICIdial keeps those in memory. Each poll of a screen moves the row's
`last_update_time`, by the database's own clock. The tab of a hidden page may poll only once a minute.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from collectors.vicidial.rows import AgentRow
from messages.records import ServerIp

SILENT_SECONDS = 90
"""A screen that has not polled for this long is silent; `silent_screens.sql` has the same figure."""
GONE_SECONDS = 3600
"""A screen that was silent for this long before it was found lost had been left by its agent: it is not missed."""
LOOKS = 2
"""A screen is found silent or lost at that many looks before it counts: a database's clock that was set forward makes
all screens look silent once, and an agent who logs out leaves one table before the other."""


@dataclass
class _Screen:
    server_ip: ServerIp
    since_ms: int
    """When it was last heard, or first found lost."""
    looks: int = 1


_Screens = dict[int, _Screen]


class Screens:
    """The silent and the lost screens of one epoch, by session."""

    def __init__(self) -> None:
        self._silent: _Screens = {}
        self._lost: _Screens = {}
        self._changed: set[int] = set()

    def since_ms(self, live_agent_id: int) -> int | None:
        """Return when a session's screen was last heard; None: it polls and is heard, or that is not known."""
        screens = (each.get(live_agent_id) for each in (self._silent, self._lost))
        return min((each.since_ms for each in screens if each is not None and each.looks >= LOOKS), default=None)

    def is_lost(self, live_agent_id: int) -> bool:
        """Return True if VICIdial no longer knows the screen of a session."""
        screen, silent = self._lost.get(live_agent_id), self._silent.get(live_agent_id)
        if screen is None or screen.looks < LOOKS:
            return False
        return silent is None or screen.since_ms - silent.since_ms < GONE_SECONDS * 1000

    @property
    def in_doubt(self) -> bool:
        """True if a screen was found lost, and has to be looked at again."""
        return any(each.looks < LOOKS for each in self._lost.values())

    def count(self) -> Counter[ServerIp]:
        """Return how many screens of each dialer's agents are silent or lost."""
        screens = self._lost | self._silent
        return Counter(each.server_ip for number, each in screens.items() if self.since_ms(number) is not None)

    def count_lost(self) -> Counter[ServerIp]:
        """Return how many screens of each dialer's agents are lost."""
        return Counter(each.server_ip for number, each in self._lost.items() if self.is_lost(number))

    def changed(self) -> frozenset[int]:
        """Return the sessions whose answers have changed since this was last asked."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def watch(
        self,
        now_ms: int,
        agents: Mapping[int, AgentRow],
        silent_seconds: Mapping[int, int] | None,
        lost: Collection[tuple[str, ServerIp]] | None = None,
    ) -> None:
        """Update what is known of the screens.

        Args:
            now_ms: the log's time.
            agents: the sessions of this poll, by number.
            silent_seconds: by session, how long its screen has been silent; None: the tables were not looked at.
            lost: users (small letters) and dialers of the logins whose screen VICIdial does not know; None: the same.
        """
        self._silent = self._looked(self._silent, agents, now_ms, silent_seconds)
        unknown = None
        if lost is not None:
            # nearly always there is none: no need then to go through all sessions
            present = agents.items() if lost else ()
            unknown = {number: 0 for number, each in present if (each.user.lower(), each.server_ip) in lost}
        self._lost = self._looked(self._lost, agents, now_ms, unknown)

    def _looked(
        self, before: _Screens, present: Mapping[int, AgentRow], now_ms: int, found: Mapping[int, int] | None
    ) -> _Screens:
        """Return the screens that are silent, or lost, after a look; `found`: seconds by session; None: no look."""
        if found is None:
            return {number: screen for number, screen in before.items() if number in present}
        after: _Screens = {}
        for number, seconds in found.items():
            agent, screen = present.get(number), before.get(number)
            if agent is None or agent.remote:
                continue
            if screen is None:
                screen = _Screen(agent.server_ip, now_ms - seconds * 1000)
            elif screen.looks < LOOKS:
                screen.looks += 1
                self._changed.add(number)
            after[number] = screen
        self._changed |= {number for number, each in before.items() if number not in after and each.looks >= LOOKS}
        return after
