"""A past window, folded again: what was known and what follows from it, under these settings or others. Pure.

The core knows no time but the log's, so the same records give the same verdicts today as they gave then. Nothing is
carried out here, and the agents in the log did what they did: so moves are told as advice, and each only once.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from controller.core.actions import ONLY_ADVISES
from controller.core.clusters import Tombstone, News
from controller.core.detector import judge_fleet
from controller.core.fences import fenced
from controller.core.incidents import apply_plan, make_plan
from controller.core.policy import Policy
from controller.core.state import ClusterState, Folded
from messages.keys import KIND_FENCE
from messages.records import (
    Acknowledge,
    AgentSession,
    Campaign,
    SystemSettings,
    Decision,
    DialerState,
    Drain,
    Fence,
    LoginSlot,
    Move,
    Outage,
    Pause,
    Phone,
    PhoneAlias,
    Poll,
    RankingSnapshot,
    ServerIp,
    Unbrake,
    Unfence,
)
from messages.topics import Topic

REPLAY = "replay"
WAIT_POLLS = 4
"""So many polls are only folded while no ranking has told yet how the dialers were judged."""


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that changed, or was decided, at a moment of the log's time."""

    at_ms: int
    subject: str
    """The dialer, agent or cluster."""
    what: str
    why: str = ""
    judged: bool = True
    """How things are; else what follows from it for an agent or an incident."""


class Window(NamedTuple):
    """From when to when, milliseconds since 1970 of the log's time; both ends belong to it."""

    from_ms: int
    to_ms: int

    def covers(self, at_ms: int) -> bool:
        """Tell whether a moment lies in it."""
        return self.from_ms <= at_ms <= self.to_ms


class Replay:
    """Folds a cluster's records again, and tells what happened meanwhile."""

    def __init__(self, cluster: str, policy: Policy) -> None:
        """Begin with nothing known; `policy` need not be the one of then."""
        self._state = ClusterState(cluster)
        self._policy = policy
        self._known: dict[ServerIp, DialerState] = {}
        self._brake = ""
        self._outage = False
        self._begun = False
        """What is judged goes on from how it was judged then, or from nothing where that is not known."""
        self.polls = 0
        """How many were folded."""

    def fold(self, news: News) -> Iterator[Happening]:
        """Take in one record of this cluster, in the order in which they were written; gives what happens at it."""
        match news:
            case Poll():
                if self._state.fold(news) is Folded.POLL:
                    self.polls += 1
                    yield from self._judge(news)
            case Outage():
                if self._state.fold(news) is Folded.OUTAGE and not self._outage:
                    self._outage = True
                    yield self._happens(self._state.observed_at_ms, "the database does not answer", news.why)
            case AgentSession() | Phone() | PhoneAlias() | Campaign() | SystemSettings():
                self._state.fold(news)
            case Tombstone():
                self._end(news)
            case LoginSlot() if not news.planned or news.used_by is not None:
                self._state.take_slot(news)
            case Fence():
                # what hotdesk itself did to a flag says nothing about the dialer
                self._state.decided(news)
            case Pause() | Drain() | Acknowledge() | Move() | Unbrake() | Unfence():
                self._state.orders.take(news)
            case _:
                pass  # what was decided then is decided again here

    @property
    def observed_at_ms(self) -> int:
        """Tell the log's time, 0 before the first poll."""
        return self._state.observed_at_ms

    @property
    def logins(self) -> Mapping[str, LoginSlot]:
        """Give the picks that became the sessions which now last, by user."""
        return self._state.logins

    def remember(self, ranking: RankingSnapshot) -> None:
        """Go on judging from how a cluster was judged before the first record of this replay."""
        if not self._begun and ranking.health is not None:
            self._begun = True
            self._state.health = ranking.health
            self._known = {ip: health.state for ip, health in ranking.health.dialers.items()}

    def _judge(self, poll: Poll) -> Iterator[Happening]:
        state = self._state
        if not self._begun and self.polls <= WAIT_POLLS:
            return  # how they were judged before stands in a ranking that comes right after
        self._begun = True
        state.health = judge_fleet(state.health, poll, self._policy, state.orders, fenced=fenced(state))
        if self._outage:
            self._outage = False
            yield self._happens(poll.observed_at_ms, "the database answers again")
        for server_ip, health in state.health.dialers.items():
            if self._known.get(server_ip) is not health.state:
                self._known[server_ip] = health.state
                yield Happening(
                    at_ms=poll.observed_at_ms, subject=server_ip, what=f"is {health.state}", why=health.evidence
                )
        if bool(self._brake) is not bool(state.health.brake):
            what = "nobody may be moved" if state.health.brake else "agents may be moved again"
            yield self._happens(poll.observed_at_ms, what, state.health.brake)
        self._brake = state.health.brake
        turn = make_plan(state, self._policy, REPLAY, acts=False)
        apply_plan(state, turn)
        for record in turn.records:
            if isinstance(record, Decision):
                what = record.what.replace(ONLY_ADVISES, "")  # here nothing is carried out: no need to say so each time
                yield Happening(at_ms=record.at_ms, subject=record.subject, what=what, why=record.why, judged=False)

    def _end(self, ended: Tombstone) -> None:
        if ended.topic is Topic.OBSERVATIONS:
            self._state.fold_end(ended.key, ended.stamp)
        elif ended.topic is Topic.ORDERS:
            self._state.orders.take_back(ended.key)
        elif ended.topic is Topic.LOGINS:
            self._state.release_slot(ended.key.name)
        elif ended.key.kind == KIND_FENCE:
            self._state.remove_action(ended.key)

    def _happens(self, at_ms: int, what: str, why: str = "") -> Happening:
        return Happening(at_ms=at_ms, subject=self._state.cluster, what=what, why=why)


class Difference(NamedTuple):
    """What two replays of the same records do not agree about, in the log's order."""

    only_first: tuple[Happening, ...]
    only_second: tuple[Happening, ...]


def difference(first: Iterable[Happening], second: Iterable[Happening]) -> Difference:
    """Compare two replays: the same thing at another moment is a difference, the same in other words is none."""
    these, those = list(first), list(second)
    known_here, known_there = {_essence(each) for each in these}, {_essence(each) for each in those}
    return Difference(
        tuple(each for each in these if _essence(each) not in known_there),
        tuple(each for each in those if _essence(each) not in known_here),
    )


def _essence(happening: Happening) -> tuple[int, str, str]:
    return happening.at_ms, happening.subject, happening.what
