"""Bugs that could have been made, one by one: each breaks something that the simulation must find.

A bug is planted by replacing an attribute of the real code, so it stands or falls with that code.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import msgspec

from collectors.observer import Observer, _Watched
from controller.core import acting, detector, incidents, ranking
from controller.core.actions import Step
from controller.core.agent_pauses import Holding
from controller.core.clusters import Clusters
from controller.core.incidents import _Deciding
from controller.core.orders import Orders
from controller.core.slots import Slots
from controller.core.state import ClusterState, Folded
from controller.runtime import executor
from controller.runtime.committer import Committer
from messages.records import Heartbeat, Pause, Ineligible


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


def _watch_by_the_wall_clock(self: Observer, now_ms: int, seen: dict[str, Any]) -> None:
    """Take a heartbeat for advancing as long as its value is young, as VICIdial does, instead of looking at it."""
    self._heartbeats = {
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


def _fold_at_once(self: ClusterState, stamp: tuple[int, int], news: Any) -> Folded:
    """File what belongs to a poll before the record that closes it is there."""
    if stamp <= self.stamp:
        return Folded.STALE
    self._file(news)
    return Folded.WAITS


def _close_whatever_comes(self: ClusterState, poll: Any, stamp: tuple[int, int]) -> Folded:
    """Take a poll although a newer one is known."""
    self._seen = self._seen if stamp > self.stamp else (-1, -1)
    if stamp <= self.stamp:
        self.poll = None
    return _close(self, poll, stamp)


_close = ClusterState._close


def _hang_everybody_up(self: _Deciding, incident: str, session: Any, *rest: Any, why: str) -> Any:
    relogin = _order(self, incident, session, *rest, why=why)
    at = self._records.index(relogin)
    self._records[at] = msgspec.structs.replace(relogin, in_call=session.status in incidents.IN_CALL)
    return self._records[at]


_order = _Deciding._order


def _act_before_it_is_committed(self: Committer, turns: Any) -> None:
    for cluster, turn in turns.items():
        if self._executors:
            view = self._clusters.by_name[cluster]
            incidents.apply_plan(view.state, turn)
            self._submit(cluster)
    _take(self, turns)


_take = Committer.take


def _own_whatever_was_owned(self: Clusters, partitions: frozenset[int]) -> None:
    _own(self, partitions or self._owned)


_own = Clusters.own


def _tell_nobody_twice(self: _Deciding, relogin: Any) -> Any:
    return relogin


def _say_nothing(self: _Deciding, what: str, why: str, subject: str) -> None:
    return None


def _offer_what_is_switched_off(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    reasons = _reasons_against(state, policy, dialer, load, slots)
    return tuple(each for each in reasons if each not in {Ineligible.SWITCHED_OFF, Ineligible.DRAINING})


def _offer_what_is_down(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    return tuple(each for each in _reasons_against(state, policy, dialer, load, slots) if each is not Ineligible.DOWN)


_reasons_against = ranking._reasons_against


def _let_the_pause_be(self: Holding, hold: Any) -> Step:
    return Step(hold, "", over=True)


def _ignore_a_pause(self: Orders, order: Any) -> None:
    if not isinstance(order, Pause):
        _take_order(self, order)


_take_order = Orders.take


def _mutant(name: str, shown_by: int, place: Any, attribute: str, instead: Any) -> Mutant:
    return Mutant(name, (Change(place, attribute, instead),), shown_by)


MUTANTS = (
    _mutant("slots do not count", 449, Slots, "on", _always(0)),
    _mutant("act without looking at VICIdial's row", 178, executor, "check", _always(acting.Check.SEND)),
    _mutant("no fleet brake", 146, detector, "_brake", _always((None, ""))),
    _mutant("blind probes are believed", 182, detector, "_all_fail", _always(False)),
    _mutant("what was seen before is enough", 1188, incidents, "doubt_about", _always("")),
    _mutant("a heartbeat's age instead of its progress", 11, Observer, "_watch", _watch_by_the_wall_clock),
    _mutant("half a poll is folded", 8, ClusterState, "_wait", _fold_at_once),
    _mutant("an older poll overwrites a newer one", 593, ClusterState, "_close", _close_whatever_comes),
    _mutant("a pause is not heeded", 100, Orders, "take", _ignore_a_pause),
    _mutant("calls on living dialers are hung up", 2, _Deciding, "_order", _hang_everybody_up),
    Mutant(
        "no pace",
        (Change(_Deciding, "_moves_left", _always(10**6)), Change(executor.Executor, "wait_before", _always(0.0))),
        shown_by=31,
    ),
    _mutant("act before it is committed", 29, Committer, "take", _act_before_it_is_committed),
    _mutant("who lost a partition goes on", 46, Clusters, "own", _own_whatever_was_owned),
    _mutant("what came late to an heir is not its news", 2, Clusters, "_knows", _always(True)),
    _mutant("a lost order is never repeated", 356, _Deciding, "_tell_again", _tell_nobody_twice),
    _mutant("nothing says why", 2, _Deciding, "_decide", _say_nothing),
    _mutant("switched off is offered", 23, ranking, "_reasons_against", _offer_what_is_switched_off),
    _mutant("down is offered", 23, ranking, "_reasons_against", _offer_what_is_down),
    _mutant("emergency logout of who was never told", 1522, incidents, "MOST_ATTEMPTS", 0),
    _mutant("a pause is never taken back", 632, Holding, "_release", _let_the_pause_be),
)
