"""The observed half of a cluster's state: its collector's records, and the detector's states of its dialers.

A poll is folded whole or not at all. The records of a poll wait until the one that closes it, so sessions are never
newer than counts. Folding the same records again gives an equal state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import msgspec

from controller.core.news import NEVER, Stamp
from messages.keys import KIND_AGENT, KIND_ALIAS, KIND_CAMPAIGN, KIND_PHONE
from messages.names import compared
from messages.records import (
    AgentSession,
    Campaign,
    DialerReading,
    DialerState,
    EpochClaim,
    FleetHealth,
    Heartbeat,
    Observation,
    Outage,
    Phone,
    PhoneAlias,
    Poll,
    Row,
    ServerIp,
    SystemSettings,
    UnreadTable,
)
from messages.topics import Key

LEAST_SHARE = 1e-9
"""A dialer with a smaller share of the weights counts as unweighted: a load divided by so little overflows."""


class Folded(Enum):
    """The effect of folding a record."""

    WAITS = auto()
    """The record belongs to a poll that is not closed yet."""
    POLL = auto()
    """The record closed a poll, whose state this is now."""
    OUTAGE = auto()
    """The database does not answer."""
    RECORDED = auto()
    """The record is part of the state now."""
    STALE = auto()
    """The record is older than the state, and was dropped."""


@dataclass
class Observed:
    """The observed half of a cluster's state. It changes in place, and belongs to one thread.

    Agents are filed by user, phones by login and aliases by id, each as VICIdial's SQL compares names.
    """

    poll: Poll | None = None
    dialers: dict[ServerIp, DialerReading] = field(default_factory=dict)
    agents: dict[str, AgentSession] = field(default_factory=dict)
    phones: dict[str, Phone] = field(default_factory=dict)
    aliases: dict[str, PhoneAlias] = field(default_factory=dict)
    campaigns: dict[str, Campaign] = field(default_factory=dict)
    settings: SystemSettings | None = None
    weight_shares: dict[ServerIp, float] = field(default_factory=dict)
    """Each weighted dialer's share of the weights; empty if the cluster has no weights."""
    agents_known: bool = field(default=False, compare=False)
    """The agents were read, in this epoch or an earlier one."""
    rooms_known: bool = field(default=False, compare=False)
    """The same of the conference rooms."""
    newest_session: int = field(default=0, compare=False)
    """The highest `live_agent_id` that was ever seen: VICIdial counts up."""
    outage: Outage | None = None
    health: FleetHealth = field(default_factory=FleetHealth)
    """The states of the dialers by `controller.core.detector`; empty before its first verdicts."""
    stamp: Stamp = NEVER
    """The latest poll, of which this is the state; `NEVER` before the first."""
    _began: dict[str, tuple[int, int]] = field(default_factory=dict, compare=False)
    """By user whose status and lead outlived an epoch: when the next collector saw them first, and when they began. No
    part of the state: who reads the log later may find less of it."""
    _waiting: list[tuple[Stamp, Row | Key]] = field(default_factory=list)
    _seen: Stamp = NEVER
    _swept: Stamp = NEVER

    @property
    def observed_at_ms(self) -> int:
        """The log's time, 0 before the first poll."""
        return 0 if self.poll is None else self.poll.observed_at_ms

    @property
    def wall_ms(self) -> int:
        """The wall clock at the latest poll, for times of day; 0 before the first poll."""
        return 0 if self.poll is None else self.poll.wall_ms

    @property
    def even_share(self) -> float | None:
        """The mean number of agents on the dialers that are up; None if none is up."""
        up = [
            sum(self.dialers[server_ip].agents.values())
            for server_ip, each in self.health.dialers.items()
            if each.state is DialerState.UP and server_ip in self.dialers
        ]
        return sum(up) / len(up) if up else None

    def began_ms(self, session: AgentSession) -> int:
        """Return since when a session has had its status and lead; a collector that took over saw them first later."""
        seen_ms, began_ms = self._began.get(compared(session.user), (None, 0))
        return began_ms if seen_ms == session.changed_at_ms else session.changed_at_ms

    def fold(self, record: Observation) -> tuple[Folded, list[Row | Key]]:
        """Fold one observation; return its effect, and the changed rows if it closed a poll."""
        stamp = (record.epoch, record.sequence)
        match record:
            case Row():
                return self.wait(stamp, record), []
            case Poll():
                return self._close(record, stamp)
            case Outage():
                if stamp <= self.stamp:
                    return Folded.STALE, []
                self.outage = record
                return Folded.OUTAGE, []
            case EpochClaim():
                return Folded.WAITS, []

    def fold_end(self, key: Key, stamp: Stamp) -> Folded:
        """Fold the tombstone of `key`."""
        return self.wait(stamp, key)

    def wait(self, stamp: Stamp, news: Row | Key) -> Folded:
        """Keep a row, or the key that ended, until the poll that closes it."""
        if stamp < self._seen or stamp <= self.stamp:
            return Folded.STALE
        self._seen = stamp
        self._waiting.append((stamp, news))
        return Folded.WAITS

    def wait_for_poll(self, rows: Sequence[Row]) -> int:
        """Keep rows as `wait` does each; return how many were stale."""
        closed, seen, waiting = self.stamp, self._seen, self._waiting
        kept = len(waiting)
        for row in rows:
            stamp = (row.epoch, row.sequence)
            if stamp < seen or stamp <= closed:
                continue
            seen = stamp
            waiting.append((stamp, row))
        self._seen = seen
        return len(rows) - (len(waiting) - kept)

    def _close(self, poll: Poll, stamp: Stamp) -> tuple[Folded, list[Row | Key]]:
        if stamp <= self.stamp or stamp < self._seen:
            return Folded.STALE, []
        # Compaction removes polls, but not all records that they closed; the next remaining poll closes them all.
        # But sessions of an earlier epoch do not belong to these counts, and this epoch has published its own.
        # That of an epoch which could not read them yet has none of its own.
        closed = [
            news
            for (epoch, _), news in self._waiting
            if epoch == poll.epoch or not poll.agents_known or not is_session(news)
        ]
        self._waiting.clear()
        self._file(closed)
        self._sweep(poll)
        self.poll, self.stamp = poll, stamp
        self.agents_known |= poll.agents_known or bool(self.agents)
        self.rooms_known |= poll.rooms_known
        before = self.dialers
        self.dialers = {dialer.server_ip: dialer for dialer in poll.dialers}
        if not (poll.agents_known and poll.rooms_known):
            self.dialers |= {
                ip: _completed(poll, each, before[ip]) for ip, each in self.dialers.items() if ip in before
            }
        self.outage = None
        self._seen = stamp
        return Folded.POLL, closed

    def _file(self, closed: Iterable[Row | Key]) -> None:
        for news in closed:
            match news:
                case AgentSession():  # nearly all
                    name = compared(news.user)
                    known = self.agents.get(name)
                    if known is not None and known.epoch != news.epoch:
                        self._go_on(name, known, news)
                    self.agents[name] = news
                    if news.live_agent_id > self.newest_session:  # noqa: PLR1730 # `max` costs as much as all else here
                        self.newest_session = news.live_agent_id
                case Phone():
                    self.phones[compared(news.login)] = news
                case PhoneAlias():
                    self.aliases[compared(news.alias_id)] = news
                case Campaign():
                    self.campaigns[compared(news.campaign_id)] = news
                case SystemSettings():
                    self.settings = news
                    self.weight_shares = _shares(news.weights)
                case Key():
                    self._remove(news)

    def _go_on(self, name: str, known: AgentSession, now: AgentSession) -> None:
        """Keep the time since which a session has had its status and lead, where it outlives an epoch with them."""
        same = (known.live_agent_id, known.status, known.lead_id) == (now.live_agent_id, now.status, now.lead_id)
        if same:
            self._began[name] = now.changed_at_ms, min(self.began_ms(known), now.changed_at_ms)
        else:
            self._began.pop(name, None)

    def _remove(self, key: Key) -> None:
        # A kind without a line here never ends: a cluster keeps its settings, and newer polls replace older ones.
        filed: Any = {
            KIND_AGENT: self.agents,
            KIND_PHONE: self.phones,
            KIND_ALIAS: self.aliases,
            KIND_CAMPAIGN: self.campaigns,
        }.get(key.kind, {})
        filed.pop(compared(key.name), None)
        if key.kind == KIND_AGENT:
            self._began.pop(compared(key.name), None)

    def _sweep(self, poll: Poll) -> None:
        """Drop rows that ended without a tombstone: those that a new epoch, or a full round of it, did not publish."""
        before = self._swept
        if poll.epoch > self._swept[0] and poll.agents_known:
            self._swept = (poll.epoch, 0)
            _drop_older(self.agents, self._swept)
        if poll.full_sequence is not None and (poll.epoch, poll.full_sequence) > self._swept:
            self._swept = (poll.epoch, poll.full_sequence)
            for filed in (self.agents, self.phones, self.aliases, self.campaigns):
                _drop_older(filed, self._swept)
        if self._swept != before:
            for name in self._began.keys() - self.agents.keys():
                del self._began[name]


def unread_of(poll: Poll, table: str) -> UnreadTable | None:
    """Return since when and why a table of VICIdial's cannot be read; None: it is read."""
    return min((each for each in poll.unread if each.table == table), key=lambda each: each.since_ms, default=None)


def stalled_seconds(heartbeat: Heartbeat | None, now_ms: int) -> float | None:
    """Return how long ago a heartbeat last advanced, in seconds; None: no heartbeat row."""
    if heartbeat is None:
        return None
    since_ms = heartbeat.watched_since_ms if heartbeat.progressed_at_ms is None else heartbeat.progressed_at_ms
    return max(0, now_ms - since_ms) / 1000


def is_session(news: Row | Key) -> bool:
    """Return True for the change or the end of an agent's session."""
    return isinstance(news, AgentSession) or (isinstance(news, Key) and news.kind == KIND_AGENT)


def _drop_older(filed: dict[str, Any], stamp: Stamp) -> None:
    for name in [name for name, entity in filed.items() if (entity.epoch, entity.sequence) < stamp]:
        del filed[name]


def _completed(poll: Poll, now: DialerReading, before: DialerReading) -> DialerReading:
    """Return a poll's reading with what its epoch could not read yet, from the reading before."""
    if not poll.agents_known:
        now = msgspec.structs.replace(
            now, agents=before.agents, campaigns=before.campaigns, remote_agents=before.remote_agents
        )
    if not poll.rooms_known:
        now = msgspec.structs.replace(now, rooms=before.rooms, rooms_free=before.rooms_free)
    return now


def _shares(weights: dict[ServerIp, float]) -> dict[ServerIp, float]:
    total = sum(weights.values())
    return {server_ip: weight / total for server_ip, weight in weights.items() if weight > total * LEAST_SHARE}
