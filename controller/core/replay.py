"""Replay a past window of the log: fold its records again, under these settings or others. Pure.

The core knows only the log's time, so the same records have the same verdicts today as then. A replay carries nothing
out, and the agents in the log did what they did: so its moves are advice, and it reports each only once.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from controller.core.judging import judge
from controller.core.news import News, Tombstone, Undecodable
from controller.core.observed import Folded
from controller.core.plan import apply_plan
from controller.core.planning import make_plan
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import Code, ReplayCode
from messages.keys import KIND_FENCE
from messages.records import (
    AgentPause,
    AnyRecord,
    Arrival,
    Decision,
    DialerState,
    Incident,
    LoginSlot,
    Outage,
    Poll,
    RankingSnapshot,
    Relogin,
    ScreenRestore,
    ServerIp,
)
from messages.topics import Topic
from messages.words import sentence

REPLAY = "replay"
WAIT_POLLS = 4
"""A replay only folds up to this many polls while it waits for a ranking with the states of the dialers."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """A change or a decision, at a moment of the log's time."""

    at_ms: int
    subject: str
    """The dialer, agent or cluster."""
    code: Code
    what: str
    """Its sentence."""
    why: str = ""
    judged: bool = True
    """A state; otherwise a consequence for an agent or an incident."""


class Window(NamedTuple):
    """A window, milliseconds since 1970 of the log's time; both ends belong to it."""

    from_ms: int
    to_ms: int

    def covers(self, at_ms: int) -> bool:
        """Return True if a moment lies in the window."""
        return self.from_ms <= at_ms <= self.to_ms


class Replay:
    """Folds a cluster's records again, and yields what happens."""

    def __init__(self, cluster: str, policy: Policy) -> None:
        """Start without any records; `policy` need not be the one of that time."""
        self.state = ClusterState(cluster)
        self._policy = policy
        self._known: dict[ServerIp, DialerState] = {}
        self._braked = False
        self._outage = False
        self._begun = False
        """The detector has started, from the states of that time, or from none if they are not known."""
        self.polls = 0
        """Number of polls folded."""

    def fold(self, news: News) -> Iterator[Happening]:
        """Fold one record of this cluster, in the log's order; yield what happens at it."""
        if isinstance(news, Undecodable) or _is_decided_again(news):
            return
        folded = self.state.fold(news)
        if folded is Folded.POLL and isinstance(news, Poll):
            self.polls += 1
            yield from self._judge(news)
        elif folded is Folded.OUTAGE and isinstance(news, Outage) and not self._outage:
            self._outage = True
            yield self._happens(self.state.observed.observed_at_ms, ReplayCode.DATABASE_AWAY, news.why)

    @property
    def observed_at_ms(self) -> int:
        """The log's time, 0 before the first poll."""
        return self.state.observed.observed_at_ms

    @property
    def logins(self) -> Mapping[str, LoginSlot]:
        """The slots of the present sessions, by user."""
        return self.state.decided.logins

    def remember(self, ranking: RankingSnapshot) -> None:
        """Start the detector from the states in a ranking from before the first record of this replay."""
        if not self._begun and ranking.health is not None:
            self._begun = True
            self.state.observed.health = ranking.health
            self._known = {ip: health.state for ip, health in ranking.health.dialers.items()}

    def _judge(self, poll: Poll) -> Iterator[Happening]:
        state = self.state
        if not self._begun and self.polls <= WAIT_POLLS:
            return  # the states from before are in a ranking that comes right after
        self._begun = True
        state.observed.health = judge(state, poll, self._policy)
        if self._outage:
            self._outage = False
            yield self._happens(poll.observed_at_ms, ReplayCode.DATABASE_BACK)
        for server_ip, health in state.observed.health.dialers.items():
            if self._known.get(server_ip) is not health.state:
                self._known[server_ip] = health.state
                yield Happening(
                    at_ms=poll.observed_at_ms,
                    subject=server_ip,
                    code=ReplayCode.DIALER_JUDGED,
                    what=sentence(ReplayCode.DIALER_JUDGED, state=health.state),
                    why=health.evidence,
                )
        brake = state.observed.health.brake
        if self._braked is not (brake is not None):
            code = ReplayCode.MOVES_GO_ON if brake is None else ReplayCode.MOVES_HELD_UP
            yield self._happens(poll.observed_at_ms, code, "" if brake is None else brake.text)
        self._braked = brake is not None
        plan = make_plan(state, self._policy, REPLAY, acts=False)
        apply_plan(state, plan)
        for record in plan.records:
            if isinstance(record, Decision):
                yield Happening(
                    at_ms=record.at_ms,
                    subject=record.subject,
                    code=record.code,
                    what=record.what,
                    why=record.why,
                    judged=False,
                )

    def _happens(self, at_ms: int, code: ReplayCode, why: str = "") -> Happening:
        return Happening(at_ms=at_ms, subject=self.state.cluster, code=code, what=sentence(code), why=why)


def _is_decided_again(news: AnyRecord | Tombstone) -> bool:
    """Return True for a record of a decision that a replay makes again.

    Not a fence: a flag that hotdesk set says nothing about the dialer. Not a slot of a login either.
    """
    match news:
        case Incident() | Relogin() | AgentPause() | Arrival() | ScreenRestore() | RankingSnapshot():
            return True
        case LoginSlot():
            return news.planned and news.used_by is None
        case Tombstone(topic=Topic.RANKINGS | Topic.INCIDENTS):
            return True
        case Tombstone(topic=Topic.RELOGINS):
            return news.key.kind != KIND_FENCE
        case _:
            return False


class Difference(NamedTuple):
    """The differences between two replays of the same records, in the log's order."""

    only_first: tuple[Happening, ...]
    only_second: tuple[Happening, ...]


def difference(first: Iterable[Happening], second: Iterable[Happening]) -> Difference:
    """Compare two replays: the same event at another moment is a difference, other words for it are not."""
    these, those = list(first), list(second)
    known_here, known_there = {_essence(each) for each in these}, {_essence(each) for each in those}
    return Difference(
        tuple(each for each in these if _essence(each) not in known_there),
        tuple(each for each in those if _essence(each) not in known_here),
    )


def _essence(happening: Happening) -> tuple[int, str, str]:
    return happening.at_ms, happening.subject, happening.what
