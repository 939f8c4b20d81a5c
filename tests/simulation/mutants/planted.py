"""Bugs that could have been made, one by one: each breaks something that the simulation must find.

A bug is planted by replacing an attribute of the real code, so it stands or falls with that code.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

import msgspec

from collectors.heartbeats import Heartbeats
from collectors.leadership import Leadership
from collectors.phones_in_rooms import Back, PhonesInRooms
from collectors.probes.pacing import Pacing
from controller.core import (
    arrivals,
    calls,
    cluster,
    detector,
    fences,
    incidents,
    move_progress,
    moves,
    ownership,
    planning,
    ranking,
    verdicts,
)
from controller.core import fleet_brake as fleet_brake_rules
from controller.core.actions import ActionChange, SessionRow, attempt_of
from controller.core.actions import agent_pause as agent_pause_action
from controller.core.actions import arrival as arrival_action
from controller.core.agent_pauses import AgentPausePlanner
from controller.core.arrivals import Arrivals
from controller.core.calls import Calls
from controller.core.cluster import Cluster, Permit
from controller.core.clusters import Clusters
from controller.core.fleet_brake import FleetBrake
from controller.core.freshness import Freshness
from controller.core.moves import Moves
from controller.core.news import NEVER
from controller.core.observed import Folded, Observed
from controller.core.orders import Orders
from controller.core.ownership import Ownership, Progress
from controller.core.plan import PlanBuilder, apply_plan, trouble_of
from controller.core.policy import AHEAD_MINUTES, MaintenanceWindow
from controller.core.slots import Slots
from controller.core.state import ClusterState
from controller.core.targets import Targets
from controller.core.withdrawals import Withdrawals
from controller.runtime import committer, executor
from controller.runtime.action_queue import ActionQueue
from controller.runtime.backlog import Backlog
from controller.runtime.committer import Committer
from messages import beats
from messages.codes import Precondition
from messages.records import (
    AgentSession,
    AnyOrder,
    Arrival,
    DialerState,
    Fence,
    Ineligible,
    Pause,
    ProbeResult,
    Row,
)


class Change(NamedTuple):
    """One attribute of the real code, and what it becomes."""

    place: Any
    attribute: str
    instead: Any


class Mutant(NamedTuple):
    """A bug. What is guarded twice shows only where both guards fall."""

    name: str
    changes: tuple[Change, ...]
    shown_by: int | str
    """A seed that has shown it, looked at first, since which one does changes with the simulation; or the scenario in
    `tests/scenarios` that is to show it."""


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


def _fold_at_once(self: Observed, rows: Sequence[Row]) -> int:
    """File what belongs to a poll before the record that closes it is there."""
    fresh = [row for row in rows if (row.epoch, row.sequence) > self.stamp]
    self._file(fresh)
    return len(rows) - len(fresh)


def _close_whatever_comes(self: Observed, poll: Any, stamp: tuple[int, int]) -> Any:
    """Take a poll although a newer one is known."""
    self._seen = self._seen if stamp > self.stamp else (-1, -1)
    if stamp <= self.stamp:
        self.poll, self.stamp = None, NEVER
    return _close(self, poll, stamp)


_close = Observed._close


def _as_if_all_were_of_moves(self: Slots) -> Slots:
    other = Slots()
    for slot in self:
        other.add(msgspec.structs.replace(slot, planned=True))
    return other


def _plan_a_move_as_the_first(self: Moves, incident: str, session: Any, *target: Any, why: str) -> Any:
    """Plan a move, and forget its slot before the next one of the same poll."""
    move = _plan_move(self, incident, session, *target, why=why)
    self._ahead.decided.slots.release(session.user)
    return move


_plan_move = Moves._plan_move


def _hear_everybody(self: Arrivals, arrival: Arrival, session: AgentSession) -> Arrival:
    """Take an agent whose session is there for one who has arrived."""
    return _next_arrival(self, arrival, msgspec.structs.replace(session, phone_in_room=True))


_next_arrival = Arrivals._next


def _act_before_it_is_committed(self: Committer, plans: Any) -> None:
    for name, plan in plans.items():
        if self._executors:
            view = self._clusters.by_name[name]
            apply_plan(view.state, plan)
            self._submit(name)
    _commit_plans(self, plans)


_commit_plans = Committer.commit_plans


def _own_whatever_was_owned(self: Clusters, partitions: frozenset[int]) -> None:
    _own(self, partitions or self._owned)


_own = Clusters.own


def _say_nothing(self: PlanBuilder, code: Any, why: str, subject: str, **facts: object) -> None:
    return None


def _offer_what_is_switched_off(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    reasons = _reasons_against(state, policy, dialer, load, slots)
    return tuple(each for each in reasons if each not in {Ineligible.SWITCHED_OFF, Ineligible.DRAINING})


def _offer_what_is_down(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    return tuple(each for each in _reasons_against(state, policy, dialer, load, slots) if each is not Ineligible.DOWN)


_reasons_against = ranking._reasons_against


def _let_the_pause_be(self: AgentPausePlanner, pause: Any, session: Any) -> ActionChange:
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


def _let_it_be(*_: object, **__: object) -> None:
    return None


def _ask_once(self: executor.Executor, action: Any) -> Any:
    """Ask before the first action whether it may be carried out, and never again."""
    if getattr(self, "_asked", False):
        return None
    self._asked = True  # type: ignore[attr-defined]
    return _withheld(self, action)


_withheld = executor.Executor._withheld


def _refused_is_dead(probed: Any, failing_for: float, life: DialerState, *, is_beating: bool) -> Any:
    """Take a refusal for Asterisk's own word, however well its heartbeat beats."""
    if failing_for >= verdicts.HUNG_SECONDS:
        return verdicts.Verdict(DialerState.DOWN, "refused", confirmed=True)
    return _while_it_advances(probed, failing_for, life, is_beating=is_beating)


_while_it_advances = verdicts._while_it_advances


def _no_row_is_dead(before: Any, dialer: Any, *rest: Any) -> Any:
    if dialer.heartbeat is None:
        return verdicts.Verdict(DialerState.DOWN, "no row", confirmed=True)
    return _verdict(before, dialer, *rest)


_verdict = verdicts.verdict_of


def _dead_by_its_heartbeat(self: Calls, server_ip: str) -> bool:
    """Take a dialer for dead as soon as it is down, confirmed or not."""
    return self._plan.state.observed.health.dialers[server_ip].life is not DialerState.DOWN


def _take_the_last_resort(self: Targets, session: Any, *, last_resort: bool) -> Any:
    return _choose(self, session, last_resort=True)


_choose = Targets.choose


def _covers_by_the_clock_on_the_wall(self: MaintenanceWindow, server_ip: str, now_ms: int) -> bool:
    """Compare what clocks show, as if each time came once in every night."""
    now = datetime.fromtimestamp(now_ms / 1000, self.zone).replace(tzinfo=None)
    start = datetime.combine(now.date(), time()) + timedelta(minutes=self.start_minute)
    ends = start + timedelta(minutes=self.minutes)
    return server_ip in self.server_ips and start - timedelta(minutes=AHEAD_MINUTES) <= now < ends


def _leave_what_is_closed(policy: Any, health: Any) -> Any:
    return health.state if health.state is DialerState.CLOSED else _trouble_of(policy, health)


_trouble_of = trouble_of


def _forget_what_was_judged(self: ClusterState, ranking_snapshot: Any) -> Folded:
    return _publish(self, msgspec.structs.replace(ranking_snapshot, health=None))


_publish = ClusterState._publish


def _offer_what_is_suspect(state: ClusterState, policy: Any, dialer: Any, load: int, slots: int) -> Any:
    return tuple(
        each for each in _reasons_against(state, policy, dialer, load, slots) if each is not Ineligible.SUSPECT
    )


def _settle_under_the_brake(dialer: Any, *, braked: bool) -> bool:
    return _in_service(dialer, braked=False)


_in_service = fleet_brake_rules._in_service


def _settle_by_any_clock(known: Any, life: Any, life_since_ms: int, now_ms: int, _: int) -> bool:
    return _settles(known, life, life_since_ms, now_ms, 0)


_settles = fleet_brake_rules.settles


def _check_whose_pause_it_is_never(pause: Any, rows: Any, *, names_user: bool) -> Precondition:
    done = _check_pause(pause, rows, names_user=names_user)
    return Precondition.SEND if done is Precondition.NOT_OURS else done


_check_pause = agent_pause_action.check


def _carry_out_as_the_first(self: executor.Executor, action: Any) -> Any:
    """Carry out a fence as if no earlier owner could have done so."""
    first = msgspec.structs.replace(action, by=self._name) if isinstance(action, Fence) else action
    return _carry_out(self, first)


_carry_out = executor.Executor.carry_out


def _what_was_withdrawn_stands(self: Permit, action: Any, now: float, not_owner: Any) -> Any:
    return _objection(self._replace(due=self.due | {attempt_of(action)}), action, now, not_owner)


def _the_view_is_fresh(self: Permit, action: Any, now: float, not_owner: Any) -> Any:
    return _objection(self._replace(fresh_at=now), action, now, not_owner)


def _fresh_when_it_comes(
    self: Freshness, stamp: tuple[int, int], observed_at_ms: int, waited_ms: int, now: float
) -> None:
    _record_poll(self, stamp, observed_at_ms, waited_ms, now)
    self.fresh_at, self.believed_since = now, 0.0


def _look_for_no_phone(self: PhonesInRooms, server_ip: str) -> None: ...


def _never_newly_back(self: Heartbeats, now_ms: int) -> dict[str, Back]:
    return {}


_record_poll = Freshness.record_poll


def _it_is_the_owners(self: Permit, action: Any, now: float, _: Any) -> Any:
    return _objection(self, action, now, None)


def _nothing_withholds(self: Permit, action: Any, now: float, not_owner: Any) -> Any:
    return _objection(self._replace(withheld=None), action, now, not_owner)


_objection = Permit.objection


def _fold_the_loudest_alone(self: Backlog) -> Any:
    """Fold of no cluster but the one of which most waits."""
    loudest = max(self._waiting, key=lambda cluster: len(self._waiting[cluster]))
    others = {cluster: records for cluster, records in self._waiting.items() if cluster != loudest}
    self._waiting = {loudest: self._waiting[loudest]}
    taken = _turn(self)
    self._waiting |= others
    return taken


_turn = Backlog.turn


def _drop_every_claim_with_one(self: Ownership[Any], progress: Progress, now: float) -> Ownership[Any]:
    settled = _settle(self, progress, now)
    lost = self.claims.keys() - settled.claims.keys()
    return msgspec.structs.replace(settled, claims={}) if lost else settled


_settle = Ownership.settle


def _own_all_or_none(self: Clusters, partitions: frozenset[int]) -> Any:
    return _own(self, frozenset(range(self._partitions)) if partitions else partitions)


def _commit_for_one_at_a_time(self: Committer, plans: Any) -> None:
    if not self._busy:
        _commit_plans(self, plans)


def _give_orders_to_all(self: Clusters, news: Any, folded: Any, now: float, *, live: bool) -> Any:
    if isinstance(news, AnyOrder):
        for cluster in self.by_name:
            _fold_one(self, msgspec.structs.replace(news, cluster=cluster), folded, now, live=live)
    return _fold_one(self, news, folded, now, live=live)


_fold_one = Clusters._fold_one


def _leave_as_it_is(_: Any, action: Any) -> Any:
    return action


def _mutant(name: str, shown_by: int | str, place: Any, attribute: str, instead: Any) -> Mutant:
    return Mutant(name, (Change(place, attribute, instead),), shown_by)


MUTANTS = (
    _mutant("slots of moves do not count", 328, Slots, "planned_on", _always(0)),
    _mutant(
        "a mover's slot does not count for the next mover",
        "room_for_some",
        Moves,
        "_plan_move",
        _plan_a_move_as_the_first,
    ),
    _mutant("act without looking at VICIdial's row", 163, executor, "check", _always(Precondition.SEND)),
    _mutant("no fleet brake", "two_of_three_die", detector, "fleet_brake", _always(FleetBrake())),
    _mutant("blind probes are believed", 107, detector, "fail_together", _always(frozenset())),
    _mutant("half a poll is folded", 6, Observed, "wait_for_poll", _fold_at_once),
    _mutant("an older poll overwrites a newer one", 154, Observed, "_close", _close_whatever_comes),
    _mutant("a pause is not heeded", "suspended", Orders, "add", _ignore_a_pause),
    Mutant(
        "no pace",
        (Change(Moves, "_moves_left", _always(10**6)), Change(ActionQueue, "_paced", _always(value=True))),
        shown_by="undrained",
    ),
    _mutant("act before it is committed", 9, Committer, "commit_plans", _act_before_it_is_committed),
    _mutant("who lost a partition goes on", 33, Clusters, "own", _own_whatever_was_owned),
    _mutant("a record that came late to a new owner is not new to it", 17, Cluster, "_knows", _always(True)),
    _mutant("nothing says why", 3, PlanBuilder, "decide", _say_nothing),
    _mutant("switched off is offered", 32, ranking, "_reasons_against", _offer_what_is_switched_off),
    _mutant("down is offered", 24, ranking, "_reasons_against", _offer_what_is_down),
    _mutant(
        "a claim counts before what was read under it is folded",
        1383,
        Ownership,
        "_counting",
        _count_before_it_is_folded,
    ),
    _mutant("sure of the membership for a minute", 7, ownership, "SURE_SECONDS", 60.0),
    _mutant("a leader that lost its lock goes on", 6, Leadership, "lock_lost", _keep_the_term),
    _mutant("an epoch used twice", 509, Leadership, "is_beaten", property(_always(value=False))),
    _mutant("a pause is never taken back", "paused_and_resumed", AgentPausePlanner, "_release", _let_the_pause_be),
    _mutant(
        "it is never asked whether an action may be carried out", "withdrawn_and_slow", Permit, "objection", _let_it_be
    ),
    _mutant("it is asked once, and never again", "withdrawn_and_slow", executor.Executor, "_withheld", _ask_once),
    _mutant("old polls are fresh", "polls_stop_and_slow", cluster, "STALE_SECONDS", 10.0**6),
    _mutant(
        "phones that are gone show no new start",
        "asterisk_restarts_with_sip",
        PhonesInRooms,
        "look_back",
        _look_for_no_phone,
    ),
    _mutant(
        "rows of before a silence show phones",
        "asterisk_restarts_with_sip_older",
        Heartbeats,
        "newly_back",
        _never_newly_back,
    ),
    _mutant("polls are as fresh as they come", "old_polls", Freshness, "record_poll", _fresh_when_it_comes),
    _mutant(
        "a suspect dialer is as good as any",
        "drain_towards_suspect",
        ranking,
        "_reasons_against",
        _offer_what_is_suspect,
    ),
    _mutant("no agent is paused", "two_of_three_die", AgentPausePlanner, "_needs_pause", _always(value=False)),
    _mutant(
        "the brake keeps agents from being paused",
        "two_of_three_die",
        committer,
        "withholds",
        lambda withheld, _: withheld,
    ),
    _mutant(
        "dialers settle under the brake",
        "all_links_cut_without_probes",
        fleet_brake_rules,
        "_in_service",
        _settle_under_the_brake,
    ),
    _mutant("silence under the brake counts", "six_back_one_by_one", detector, "lets_go", _always(value=False)),
    _mutant("a refusal is a death", "refused_for_two_minutes", verdicts, "_while_it_advances", _refused_is_dead),
    _mutant("a missing row is a death", "database_restarts", detector, "verdict_of", _no_row_is_dead),
    _mutant("a denied login is a sign", "denied_and_updater_restarts", verdicts, "VOTES", {*ProbeResult}),
    _mutant("a step is a beat", "hang_and_logins", beats, "BEATS", 1),
    _mutant("8 s without a probe", "updater_killed_without_probes", verdicts, "ALONE_SECONDS", 8.0),
    _mutant("a heartbeat alone ends calls", "heartbeat_alone_acted_on", Calls, "dialer_lives", _dead_by_its_heartbeat),
    _mutant(
        "a new start of Asterisk is nothing", "asterisk_restarts", detector, "_interruption", _always((None, False))
    ),
    Mutant(
        "no disposition is waited for",
        tuple(Change(place, "in_wrapup", property(_always(value=False))) for place in (AgentSession, SessionRow)),
        shown_by="drain_in_wrapup",
    ),
    _mutant(
        "a disposition is waited for without end",
        "drain_in_endless_wrapup",
        Calls,
        "wrapup_is_over",
        _always(value=False),
    ),
    Mutant(
        "a dead call is not waited for",
        tuple(Change(place, "DEAD_WRAPUP_SECONDS", 0.0) for place in (calls, move_progress)),
        shown_by="asterisk_killed",
    ),
    Mutant(
        "a dead call is waited for without end",
        tuple(Change(place, "DEAD_WRAPUP_SECONDS", 10.0**6) for place in (calls, move_progress)),
        shown_by="dead_call_status",
    ),
    _mutant("a drain takes the last resort", "drain_into_silence", Targets, "choose", _take_the_last_resort),
    Mutant(
        "a user is moved without end",
        (
            Change(Moves, "_is_moved_often", _always(value=False)),
            *(Change(place, "is_moved_often", _always(value=False)) for place in (moves, cluster)),
        ),
        shown_by="without_the_hook",
    ),
    _mutant("slots of visitors close dialers", "typed_names", Slots, "planned", _as_if_all_were_of_moves),
    _mutant(
        "a fence that an earlier owner may have taken is no longer hotdesk's",
        "fence_of_an_earlier_owner",
        executor.Executor,
        "carry_out",
        _carry_out_as_the_first,
    ),
    _mutant("logged in is heard", "phone_dead", Arrivals, "_next", _hear_everybody),
    _mutant("a takeover makes every call young", "takeover_then_restart", Observed, "_go_on", _always(None)),
    _mutant("a refusal before a new start is nothing", "restart_before_the_minute", detector, "STARTS_MS", 0),
    _mutant("who fails alone is blind", "refused_and_the_other_dies", verdicts, "TOGETHER_SECONDS", 10.0**6),
    _mutant("a ban brakes", "refused_and_the_other_dies", fleet_brake_rules, "_is_only_refused", _always(value=False)),
    _mutant("missing phones are not listed", "phone_dead", arrivals, "MISSING_SECONDS", 10.0**6),
    _mutant("no phone is called again", "called_again", arrivals, "CALL_SECONDS", 10.0**6),
    _mutant(
        "no agent is called where they are", "asterisk_restarts_by_api", Arrivals, "call_here", _always(value=False)
    ),
    _mutant("no agent is ready again", "ready_again", arrivals, "RESUME_SECONDS", 0.0),
    Mutant(
        "agents are ready again whatever they did",
        (
            Change(Arrivals, "_is_touched", _always(value=False)),
            Change(arrival_action, "check", _always(Precondition.SEND)),
        ),
        shown_by="called_again",
    ),
    _mutant("a fence is left behind", "fence_given_back", fences, "_reconsider", _let_it_be),
    _mutant("the next owner judges from nothing", 1, ClusterState, "_publish", _forget_what_was_judged),
    _mutant(
        "windows by the clock on the wall",
        "clocks_go_forward",
        MaintenanceWindow,
        "covers",
        _covers_by_the_clock_on_the_wall,
    ),
    Mutant(
        "closed dialers are emptied",
        tuple(Change(place, "trouble_of", _leave_what_is_closed) for place in (incidents, planning)),
        shown_by="closed",
    ),
    _mutant("switched off for a moment is switched off", 10, detector, "DRAIN_SECONDS", 0.0),
    _mutant("a call that the new Asterisk began is ended", 40, calls, "call_began_after_restart", _always(value=False)),
    _mutant("work is not heeded", "refused_and_updater_dies", verdicts, "worked_lately", _always(value=False)),
    _mutant(
        "a clock makes a death an old one", "clock_ahead_between_deaths", detector, "settles", _settle_by_any_clock
    ),
    _mutant("a crowd in doubt is asked as each alone", "six_back_by_sip", Pacing, "_many", _always(value=False)),
    _mutant("a gap in the polls is none", "vanishes_in_a_gap", detector, "GAP_SECONDS", 10.0**6),
    _mutant("no doubt after a gap", "switched_off_around_a_gap", detector, "DOUBT_SECONDS", 0.0),
    _mutant("no probation", "back_and_dead_again", detector, "PROBATION_SECONDS", 0.0),
    Mutant(
        "a death in doubt moves agents",
        (Change(Cluster, "_doubts", _always({})), Change(incidents, "doubt_about", _always(None))),
        shown_by="heartbeat_alone",
    ),
    _mutant(
        "anybody's pause is taken back",
        "paused_by_a_manager",
        agent_pause_action,
        "check",
        _check_whose_pause_it_is_never,
    ),
    Mutant(
        "what was planned is not withdrawn",
        (Change(Moves, "withdraw", _let_it_be), Change(Cluster, "_doubts", _always({}))),
        shown_by="withdrawn_and_slow",
    ),
    Mutant(
        "what was withdrawn is carried out all the same",
        (
            Change(Permit, "objection", _what_was_withdrawn_stands),
            Change(Committer, "_take_back", _let_it_be),
            Change(Cluster, "_doubts", _always({})),
        ),
        shown_by="withdrawn_and_slow",
    ),
    _mutant("an act on an old view", "polls_stop_and_slow", Permit, "objection", _the_view_is_fresh),
    _mutant("an act by who may be no owner", "owner_cut_off_and_slow", Permit, "objection", _it_is_the_owners),
    _mutant("an act though something withholds it", "suspended_and_slow", Permit, "objection", _nothing_withholds),
    _mutant(
        "a logout that comes late is forgotten",
        "web_hangs_in_failover",
        Withdrawals,
        "expect_late_logout",
        _leave_as_it_is,
    ),
    Mutant(
        "an order to suspend withholds nothing",
        tuple(Change(place, "why_withheld", _let_it_be) for place in (planning, cluster)),
        shown_by="suspended",
    ),
    _mutant("a turn is the loudest cluster's", 17, Backlog, "turn", _fold_the_loudest_alone),
    _mutant("a claim that goes takes those of other partitions", 39, Ownership, "settle", _drop_every_claim_with_one),
    _mutant("who owns one partition decides for all clusters", 17, Clusters, "own", _own_all_or_none),
    _mutant("no plan is committed beside another's", 17, Committer, "commit_plans", _commit_for_one_at_a_time),
    _mutant("an order for one cluster is one for all", 50, Clusters, "_fold_one", _give_orders_to_all),
)
