"""Bugs that could have been made, one by one: each breaks something that the simulation must find.

A bug is planted by replacing an attribute of the real code, so it stands or falls with that code.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import msgspec

from collectors.heartbeats import Heartbeats, _Watched
from collectors.leadership import Leadership
from controller.core import agent_pauses, detector, fences, incidents, moves, ownership, ranking
from controller.core.actions import ActionChange
from controller.core.actions.relogin import IN_CALL
from controller.core.agent_pauses import AgentPausePlanner
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.fleet_brake import FleetBrake
from controller.core.moves import Moves
from controller.core.observed import Folded, Observed
from controller.core.orders import Orders
from controller.core.ownership import Ownership, Progress
from controller.core.plan import PlanBuilder, apply_plan
from controller.core.slots import Slots
from controller.core.state import ClusterState
from controller.runtime import executor
from controller.runtime.committer import Committer
from messages.codes import Precondition
from messages.records import Heartbeat, Ineligible, Pause


class Change(NamedTuple):
    """One attribute of the real code, and what it becomes."""

    place: Any
    attribute: str
    instead: Any


class Mutant(NamedTuple):
    """A bug. What is guarded twice shows only where both guards fall."""

    name: str
    changes: tuple[Change, ...]
    shown_by: int
    """A seed that has shown it, looked at first; which one does changes with the simulation."""


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Let the bug be there for a while."""
    with ExitStack() as stack:
        for place, attribute, instead in mutant.changes:
            stack.callback(setattr, place, attribute, place.__dict__[attribute])
            setattr(place, attribute, instead)
        yield


def _always(value: object) -> Callable[..., object]:
    return lambda *_, **__: value


def _watch_by_the_wall_clock(self: Heartbeats, now_ms: int, seen: dict[str, Any]) -> None:
    """Take a heartbeat for advancing as long as its value is young, as VICIdial does, instead of looking at it."""
    self._watched = {
        server_ip: _Watched(
            row.value,
            Heartbeat(
                progressed_at_ms=now_ms if (row.age_seconds or 0) < 120 else now_ms - 120_000,
                watched_since_ms=now_ms - 120_000,
                age_seconds=row.age_seconds,
            ),
        )
        for server_ip, row in seen.items()
    }


def _fold_at_once(self: Observed, stamp: tuple[int, int], news: Any) -> Folded:
    """File what belongs to a poll before the record that closes it is there."""
    if stamp <= self.stamp:
        return Folded.STALE
    self._file(news)
    return Folded.WAITS


def _close_whatever_comes(self: Observed, poll: Any, stamp: tuple[int, int]) -> Any:
    """Take a poll although a newer one is known."""
    self._seen = self._seen if stamp > self.stamp else (-1, -1)
    if stamp <= self.stamp:
        self.poll = None
    return _close(self, poll, stamp)


_close = Observed._close


def _hang_everybody_up(self: Moves, incident: str, session: Any, *rest: Any, why: str) -> Any:
    relogin = _plan_move(self, incident, session, *rest, why=why)
    records = self._plan.plan.records
    at = records.index(relogin)
    records[at] = msgspec.structs.replace(relogin, in_call=session.status in IN_CALL)
    return records[at]


_plan_move = Moves._plan_move


def _act_before_it_is_committed(self: Committer, plans: Any) -> None:
    for cluster, plan in plans.items():
        if self._executors:
            view = self._clusters.by_name[cluster]
            apply_plan(view.state, plan)
            self._submit(cluster)
    _commit_plans(self, plans)


_commit_plans = Committer.commit_plans


def _own_whatever_was_owned(self: Clusters, partitions: frozenset[int]) -> None:
    _own(self, partitions or self._owned)


_own = Clusters.own


def _tell_nobody_twice(self: Moves, relogin: Any) -> Any:
    return relogin


def _say_nothing(self: PlanBuilder, code: Any, why: str, subject: str, **facts: object) -> None:
    return None


def _offer_what_is_switched_off(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    reasons = _reasons_against(state, policy, dialer, load, slots)
    return tuple(each for each in reasons if each not in {Ineligible.SWITCHED_OFF, Ineligible.DRAINING})


def _offer_what_is_down(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    return tuple(each for each in _reasons_against(state, policy, dialer, load, slots) if each is not Ineligible.DOWN)


_reasons_against = ranking._reasons_against


def _let_the_pause_be(self: AgentPausePlanner, pause: Any) -> ActionChange:
    return ActionChange(pause, None, over=True)


def _ignore_a_pause(self: Orders, order: Any) -> None:
    if not isinstance(order, Pause):
        _add_order(self, order)


_add_order = Orders.add


def _count_before_it_is_folded(self: Ownership[Any], progress: Progress) -> frozenset[int]:
    """Let a claim count as soon as everything before it is read, though it waits in the backlog."""
    return frozenset(self.unread) & progress.read


def _keep_the_term(self: Leadership) -> None:
    """Go on with the term by another connection."""


def _mutant(name: str, shown_by: int, place: Any, attribute: str, instead: Any) -> Mutant:
    return Mutant(name, (Change(place, attribute, instead),), shown_by)


MUTANTS = (
    _mutant("slots do not count", 3, Slots, "on", _always(0)),
    _mutant("act without looking at VICIdial's row", 135, executor, "check", _always(Precondition.SEND)),
    _mutant("no fleet brake", 27, detector, "fleet_brake", _always(FleetBrake())),
    _mutant("blind probes are believed", 511, detector, "_all_fail", _always(False)),
    Mutant(
        "what was seen before is enough",
        tuple(Change(place, "doubt_about", _always(None)) for place in (incidents, agent_pauses, fences)),
        shown_by=52,
    ),
    _mutant("a heartbeat's age instead of its progress", 11, Heartbeats, "watch", _watch_by_the_wall_clock),
    _mutant("half a poll is folded", 8, Observed, "_wait", _fold_at_once),
    _mutant("an older poll overwrites a newer one", 191, Observed, "_close", _close_whatever_comes),
    _mutant("a pause is not heeded", 39, Orders, "add", _ignore_a_pause),
    _mutant("calls on living dialers are hung up", 177, Moves, "_plan_move", _hang_everybody_up),
    Mutant(
        "no pace",
        (Change(Moves, "_moves_left", _always(10**6)), Change(executor.Executor, "wait_before", _always(0.0))),
        shown_by=31,
    ),
    _mutant("act before it is committed", 12, Committer, "commit_plans", _act_before_it_is_committed),
    _mutant("who lost a partition goes on", 16, Clusters, "own", _own_whatever_was_owned),
    _mutant("a record that came late to a new owner is not new to it", 2, Cluster, "_knows", _always(True)),
    _mutant("a lost order is never repeated", 75, Moves, "_repeat", _tell_nobody_twice),
    _mutant("nothing says why", 2, PlanBuilder, "decide", _say_nothing),
    _mutant("switched off is offered", 23, ranking, "_reasons_against", _offer_what_is_switched_off),
    _mutant("down is offered", 77, ranking, "_reasons_against", _offer_what_is_down),
    _mutant("emergency logout of who was never told", 71, moves, "MOST_ATTEMPTS", 0),
    _mutant(
        "a claim counts before what was read under it is folded", 66, Ownership, "_counting", _count_before_it_is_folded
    ),
    _mutant("sure of the membership for a minute", 24, ownership, "SURE_SECONDS", 60.0),
    _mutant("a leader that lost its lock goes on", 4, Leadership, "lock_lost", _keep_the_term),
    _mutant("an epoch used twice", 355, Leadership, "is_beaten", property(_always(value=False))),
    _mutant("a pause is never taken back", 4578, AgentPausePlanner, "_release", _let_the_pause_be),
)
