"""Sessions: the rows of `vicidial_live_agents`, by what has changed since they were last read. Pure.

Nearly all rows are as they were a second ago. To decode, count and compare each of 8,000 would cost more than all else
that a collector does, so that is done to the few that came, changed or went.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from collectors.vicidial import rows
from collectors.vicidial.rows import AgentRow, OddRows, SessionRow
from messages.codes import Odd
from messages.records import AgentStatus, ServerIp


class Change(NamedTuple):
    """One user's session before and now; None: there is none."""

    before: AgentRow | None
    now: AgentRow | None


@dataclass
class DialerCounts:
    """The sessions on one dialer."""

    sessions: int = 0
    remote: int = 0
    by_status: Counter[AgentStatus] = field(default_factory=Counter)
    by_campaign: Counter[str] = field(default_factory=Counter)
    """The last two without remote agents."""


class _Read(NamedTuple):
    """The meaning of a row."""

    agent: AgentRow | None
    odd: OddRows


class Sessions:
    """The sessions of one epoch."""

    def __init__(self) -> None:
        self.of_user: dict[str, AgentRow] = {}
        """By user, in small letters. Of two sessions of one user the later counts."""
        self.by_number: dict[int, AgentRow] = {}
        """The same sessions by `live_agent_id`."""
        self.on_dialer: dict[ServerIp, DialerCounts] = {}
        """The numbers of all sessions, also of those that are not their user's latest."""
        self._read: dict[SessionRow, _Read] = {}
        self._rows: frozenset[SessionRow] = frozenset()
        self._again: Counter[SessionRow] = Counter()
        """How often rows were there beside the first time: a damaged table may have one twice."""
        self._sessions_of: dict[str, list[AgentRow]] = {}
        self._odd = OddRows()

    def read(self, found: Collection[SessionRow]) -> dict[str, Change]:
        """Return what has changed since the last reading, by user in small letters."""
        before, before_again = self._rows, self._again
        self._rows = present = frozenset(found)
        self._again = again = Counter(found) - Counter(present) if len(present) < len(found) else Counter()
        # sorted, so that the same readings give the same records
        touched: dict[str, None] = {}
        for row in sorted(present - before, key=repr):
            touched |= self._add(row, 1)
        for row in sorted(again.keys() | before_again.keys(), key=repr):
            touched |= self._add(row, again[row] - before_again[row])
        for row in sorted(before - present, key=repr):
            touched |= self._add(row, -1)
            del self._read[row]
        changes = {name: Change(self.of_user.get(name), self._latest_of(name)) for name in touched}
        changes = {name: change for name, change in changes.items() if change.before != change.now}
        for change in changes.values():
            if change.before is not None:
                self.by_number.pop(change.before.live_agent_id, None)
        for name, (_, now) in changes.items():
            if now is None:
                del self.of_user[name]
            else:
                self.of_user[name] = self.by_number[now.live_agent_id] = now
        return changes

    def odd(self, dialers: Collection[ServerIp]) -> OddRows:
        """Return what is odd about the rows of the last reading; `dialers`: those that there are."""
        without = sum(each.sessions for server_ip, each in self.on_dialer.items() if server_ip not in dialers)
        again = sum(each.sessions for each in self.on_dialer.values()) - len(self._sessions_of)
        found = {Odd.SESSION_WITHOUT_SERVER: without, Odd.TWO_SESSIONS: again}
        return self._odd + OddRows({kind: count for kind, count in found.items() if count})

    def _add(self, row: SessionRow, times: int) -> dict[str, None]:
        """Count a row more often, or less; return the user whose it is."""
        read = self._read.get(row)
        if read is None:
            odd = OddRows()
            read = self._read[row] = _Read(rows.agent(row, odd), odd)
        for kind, count in read.odd.items():
            _count(self._odd, kind, count * times)
        agent = read.agent
        if agent is None:
            return {}
        name = agent.user.lower()
        self._count_on_dialer(agent, times)
        sessions = self._sessions_of.setdefault(name, [])
        for _ in range(times):
            sessions.append(agent)
        for _ in range(-times):
            sessions.remove(agent)
        if not sessions:
            del self._sessions_of[name]
        return {name: None}

    def present(self, live_agent_ids: Iterable[int]) -> dict[str, AgentRow]:
        """Return those of these sessions that there are, by user in small letters."""
        found = [self.by_number[each] for each in sorted(live_agent_ids) if each in self.by_number]
        return {each.user.lower(): each for each in found}

    def _count_on_dialer(self, agent: AgentRow, times: int) -> None:
        counts = self.on_dialer.setdefault(agent.server_ip, DialerCounts())
        counts.sessions += times
        if agent.remote:
            counts.remote += times
        else:
            _count(counts.by_status, agent.status, times)
            _count(counts.by_campaign, agent.campaign_id, times)
        if not counts.sessions:
            del self.on_dialer[agent.server_ip]

    def _latest_of(self, name: str) -> AgentRow | None:
        return max(self._sessions_of.get(name, ()), key=lambda each: each.live_agent_id, default=None)


def _count(counter: Counter[Any], what: object, times: int) -> None:
    """Count, and forget what is there no longer."""
    counter[what] += times
    if not counter[what]:
        del counter[what]
