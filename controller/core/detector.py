"""The failure detector: what the dialers of a cluster are judged to be. Pure, and in the log's time.

Two thresholds, because avoiding a dialer is cheap and reversible, and moving people is neither: a dialer under
suspicion gets no new logins, and only one that is down loses its agents. Each poll is a verdict of its own; what was
known before turns verdicts into states.

What could be the observer's own trouble is never held against a dialer. Silence is counted only while polls came
without a gap; a probe counts only where it has succeeded before; probes that fail everywhere at once are blind;
and while more than half the fleet looks bad, a brake keeps everybody where they are.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

import msgspec

from controller.core.fleet_brake import SEVERAL, fleet_brake, lets_go
from controller.core.observed import stalled_seconds
from controller.core.orders import Orders
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import Reason, ReasonCode
from messages.records import (
    DialerHealth,
    DialerReading,
    DialerState,
    FleetHealth,
    Heartbeat,
    Poll,
    ProbeHistory,
    ProbeResult,
    ServerIp,
)
from messages.words import reason

CONFIRMED_SECONDS = 3.5
"""A heartbeat that stood still for so long and probes that fail: down."""
TWICE_SECONDS = 1.0
"""Probes must fail for so long to confirm that: they are asked every second, and one answer may get lost."""
ALONE_SECONDS = 8.0
"""Without a probe, and for a dialer whose heartbeat goes on while its Asterisk does not answer."""
PROBE_DOUBT_SECONDS = 2.5
"""Probes of a dialer with a living heartbeat that fail for so long make it suspect; one lost probe does not."""
UNSEEN_SECONDS = 16.0
"""The same for one that was up under a former collector, and whose heartbeat the present one never saw advance: it may
have died while nobody looked. One that nobody ever saw alive may have been dead for years, and loses nobody now."""
DRAIN_SECONDS = 10.0
"""`active='N'` for so long is meant: agents leave."""
GAP_SECONDS = 2.0
"""Polls come every half second; after a longer gap the observer was asleep, and watching begins anew."""
DOUBT_SECONDS = 2.0
"""For so long after such a gap nobody is moved: the picture may be from before it."""
PROBATION_SECONDS = 30.0
PROBATION_MOST_SECONDS = 600.0
FLAP_MEMORY_SECONDS = 1800.0
"""A dialer that stayed up for so long has its deaths forgotten."""
BLIND_DOUBT_SECONDS = 60.0
"""For so long after all probes began to fail nobody is moved: what they reach, the collector may reach no better.
After that they are taken for absent: a firewall that keeps them out for good must not keep everybody where they are."""

VOTES = {ProbeResult.ALIVE, ProbeResult.MUTE, ProbeResult.REFUSED, ProbeResult.UNREACHABLE}
"""A refused password is no vote: the account is wrong, and the dialer may be well."""


class _ProbeOutcome(Enum):
    """What a dialer's probes say together."""

    NONE = "no probe"
    ALIVE = "alive"
    MUTE = "mute"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class _Probed(NamedTuple):
    outcome: _ProbeOutcome
    since_ms: int
    """For how long they say so."""
    words: str


class _Verdict(NamedTuple):
    state: DialerState
    evidence: str
    confirmed: bool = False


_FAILING = {_ProbeOutcome.MUTE, _ProbeOutcome.REFUSED, _ProbeOutcome.UNREACHABLE}


def judge_fleet(
    before: FleetHealth, poll: Poll, policy: Policy, orders: Orders, *, fenced: Collection[ServerIp] = frozenset()
) -> FleetHealth:
    """Judge every dialer of a poll, from how the fleet was judged before and what people ordered.

    `fenced`: dialers that hotdesk itself has closed to new logins; that flag says nothing about them.
    """
    now_ms = poll.observed_at_ms
    gap_ms = now_ms - before.polled_at_ms
    steady_since_ms = before.steady_since_ms
    if poll.epoch != before.epoch or not 0 <= gap_ms <= GAP_SECONDS * 1000:
        steady_since_ms = now_ms
    plain_since_ms = now_ms - round(policy.stalled_after_seconds * 1000)
    dialers: dict[ServerIp, DialerHealth] = {}
    doubtful: list[DialerReading] = []
    for dialer in poll.dialers:
        if not dialer.asterisk:
            continue
        known = before.dialers.get(dialer.server_ip)
        if (
            known is not None
            and _simply_up(known, dialer, plain_since_ms)
            and not _to_drain(dialer, policy, orders, now_ms)
        ):
            dialers[dialer.server_ip] = known
        else:
            doubtful.append(dialer)
    watched = {
        each.server_ip: _watch(before.dialers.get(each.server_ip), each, now_ms, steady_since_ms) for each in doubtful
    }
    heard = {each.server_ip: _hear(each, watched[each.server_ip]) for each in doubtful}
    blind = _all_fail(heard.values())
    blind_since_ms = None if not blind else now_ms if before.blind_since_ms is None else before.blind_since_ms
    for dialer in doubtful:
        dialers[dialer.server_ip] = _judge(
            before.dialers.get(dialer.server_ip),
            dialer,
            histories=watched[dialer.server_ip],
            heard=heard[dialer.server_ip],
            watch=_Watch(now_ms, max(steady_since_ms, before.counted_since_ms), blind=blind),
            policy=policy,
            drain=_to_drain(dialer, policy, orders, now_ms),
            fenced=dialer.server_ip in fenced,
        )
    brake = fleet_brake(before, dialers, orders, now_ms)
    counted_since_ms = before.counted_since_ms
    if lets_go(before, brake):
        counted_since_ms = now_ms
        dialers = {ip: _counted_anew(each) for ip, each in dialers.items()}
    return FleetHealth(
        epoch=poll.epoch,
        polled_at_ms=now_ms,
        steady_since_ms=steady_since_ms,
        dialers=dialers,
        bad_since_ms=brake.bad_since_ms,
        brake=_doubt(now_ms, steady_since_ms, blind_since_ms) or brake.reason,
        braked=tuple(sorted(brake.braked)),
        counted_since_ms=counted_since_ms,
        blind_since_ms=blind_since_ms,
    )


def _doubt(now_ms: int, steady_since_ms: int, blind_since_ms: int | None) -> Reason | None:
    """Return why hotdesk doubts its own view at this poll; None: it does not."""
    if now_ms - steady_since_ms < DOUBT_SECONDS * 1000:
        return reason(ReasonCode.WATCHING_ANEW)
    if blind_since_ms is not None and now_ms - blind_since_ms < BLIND_DOUBT_SECONDS * 1000:
        return reason(ReasonCode.PROBES_BLIND)
    return None


def _counted_anew(dialer: DialerHealth) -> DialerHealth:
    """Return a dialer whose death was only seen while the brake held: it is suspected, and its silence counts anew."""
    if dialer.verdict is not DialerState.DOWN:
        return dialer
    evidence = "its silence counts anew, since most dialers are back"
    return msgspec.structs.replace(dialer, verdict=DialerState.SUSPECT, evidence=evidence)


def doubt_about(state: ClusterState, server_ip: ServerIp) -> Reason | None:
    """Return why a dialer that was judged down may not be dead now; None: the latest poll says that it is.

    It stays down until it is seen to be up; but no agent is moved for what was only seen before.
    """
    health = state.observed.health.dialers.get(server_ip)
    if health is None or health.verdict is DialerState.DOWN:
        return None
    return reason(ReasonCode.DEATH_IN_DOUBT, evidence=health.evidence)


def _simply_up(known: DialerHealth, dialer: DialerReading, since_ms: int) -> bool:
    """Tell whether a dialer is up as before, with nothing to remember: nearly all are, at nearly every poll.

    Not one with probes: since when they tell what must be remembered, and whether all fail.
    """
    heartbeat = dialer.heartbeat
    return (
        known.verdict is known.life is known.state is DialerState.UP
        and heartbeat is not None
        and heartbeat.progressed_at_ms is not None
        and heartbeat.progressed_at_ms > since_ms
        and dialer.active
        and dialer.agent_logins
        and known.switched_off_since_ms is None
        and not known.deaths
        and not known.probes
        and not dialer.probes
    )


def _to_drain(dialer: DialerReading, policy: Policy, orders: Orders, now_ms: int) -> bool:
    """Tell whether somebody wants the dialer empty."""
    return dialer.server_ip in orders.drains or policy.in_maintenance(dialer.server_ip, now_ms)


class _Watch(NamedTuple):
    """The circumstances of a judgement."""

    now_ms: int
    steady_since_ms: int
    blind: bool

    def seconds_since(self, ms: int) -> float:
        """Tell for how long something has lasted, as far as it was watched without a gap."""
        return (self.now_ms - max(ms, self.steady_since_ms)) / 1000


def _watch(
    before: DialerHealth | None, dialer: DialerReading, now_ms: int, steady_since_ms: int
) -> dict[str, ProbeHistory]:
    """Remember since when each probe has told what it tells."""
    known = {} if before is None else before.probes
    # a probe that says nothing now (its collector has only begun) is as credible as before when it speaks again
    histories = {kind: each for kind, each in known.items() if kind not in dialer.probes}
    for kind, told in dialer.probes.items():
        earlier = known.get(kind)
        lasted = earlier is not None and earlier.told is told
        since_ms = max(earlier.since_ms, steady_since_ms) if earlier is not None and lasted else now_ms
        credible = told is ProbeResult.ALIVE or (earlier is not None and earlier.credible)
        if earlier is not None and lasted and (earlier.since_ms, earlier.credible) == (since_ms, credible):
            histories[kind] = earlier
        else:
            histories[kind] = ProbeHistory(told=told, since_ms=since_ms, credible=credible)
    return histories


def _hear(dialer: DialerReading, histories: Mapping[str, ProbeHistory]) -> _Probed:
    """Put together what a dialer's credible probes tell now."""
    speaking = {kind: each for kind, each in histories.items() if kind in dialer.probes}
    voters = {kind: each for kind, each in speaking.items() if each.credible and each.told in VOTES}
    if not voters:
        return _Probed(_ProbeOutcome.NONE, 0, "no probe")
    told = {each.told for each in voters.values()}
    words = ", ".join(f"{kind.upper()} {each.told}" for kind, each in sorted(voters.items()))
    if ProbeResult.ALIVE in told:
        return _Probed(_ProbeOutcome.ALIVE, 0, words)
    since_ms = max(each.since_ms for each in voters.values())
    if ProbeResult.UNREACHABLE in told:
        return _Probed(_ProbeOutcome.UNREACHABLE, since_ms, words)
    if ProbeResult.REFUSED in told:
        return _Probed(_ProbeOutcome.REFUSED, since_ms, words)
    # A datagram that is not answered may not have arrived; only a connection that was accepted shows that the host
    # lives and Asterisk does not.
    if "ami" in voters:
        return _Probed(_ProbeOutcome.MUTE, since_ms, words)
    return _Probed(_ProbeOutcome.UNREACHABLE, since_ms, words)


def _all_fail(heard: Iterable[_Probed]) -> bool:
    """Tell whether the probes of all dialers fail, of at least two."""
    votes = [each.outcome for each in heard if each.outcome is not _ProbeOutcome.NONE]
    return len(votes) >= SEVERAL and all(outcome in _FAILING for outcome in votes)


def _verdict(
    before: DialerHealth | None, dialer: DialerReading, heard: _Probed, watch: _Watch, policy: Policy
) -> _Verdict:
    """Say what one poll tells of a dialer. The table stands in docs/guide/failover.md."""
    was_down = before is not None and before.life is DialerState.DOWN
    failing = heard.outcome in _FAILING and not watch.blind
    failing_for = watch.seconds_since(heard.since_ms) if failing else 0.0
    heartbeat = dialer.heartbeat
    if heartbeat is None:
        if failing_for >= ALONE_SECONDS:
            words = f"no heartbeat row, {heard.words} for {failing_for:.1f} s"
            return _Verdict(DialerState.DOWN, words, confirmed=True)
        return _Verdict(DialerState.UNKNOWN, f"no heartbeat row, {heard.words}")
    stalled = stalled_seconds(heartbeat, watch.now_ms) or 0.0
    if stalled < policy.stalled_after_seconds:
        if heartbeat.progressed_at_ms is None:
            return _Verdict(DialerState.UNKNOWN, "its heartbeat was not yet seen to advance")
        return _while_it_beats(heard, failing_for, was_down=was_down)
    alone_seconds = ALONE_SECONDS
    if heartbeat.progressed_at_ms is None and not was_down:
        alone_seconds = UNSEEN_SECONDS if before is not None and before.served else float("inf")
    return _while_it_stands_still(
        heartbeat,
        stalled,
        heard,
        watch,
        failing_for=failing_for if failing else None,
        alone_seconds=alone_seconds,
    )


def _while_it_stands_still(  # noqa: PLR0913 # what such a verdict rests on
    heartbeat: Heartbeat,
    stalled: float,
    heard: _Probed,
    watch: _Watch,
    *,
    failing_for: float | None,
    alone_seconds: float,
) -> _Verdict:
    """Say what a heartbeat that does not advance means, beside what the probes tell; None: nothing ill."""
    stands = f"heartbeat stands still for {stalled:.1f} s, {heard.words}"
    steady = watch.seconds_since(heartbeat.progressed_at_ms or heartbeat.watched_since_ms)
    if heard.outcome is _ProbeOutcome.ALIVE:
        return _Verdict(DialerState.SUSPECT, f"{stands}: only its updater may have died")
    if failing_for is not None:
        sure = failing_for >= TWICE_SECONDS and steady >= CONFIRMED_SECONDS
        return _Verdict(DialerState.DOWN if sure else DialerState.SUSPECT, stands, confirmed=sure)
    return _Verdict(DialerState.DOWN if steady >= alone_seconds else DialerState.SUSPECT, stands)


def _while_it_beats(heard: _Probed, failing_for: float, *, was_down: bool) -> _Verdict:
    """Say what is left to doubt of a dialer whose heartbeat advances; `failing_for` is 0 where probes are blind."""
    if failing_for >= ALONE_SECONDS and heard.outcome is _ProbeOutcome.MUTE:
        words = f"{heard.words} for {failing_for:.1f} s, though its heartbeat goes on"
        return _Verdict(DialerState.DOWN, words, confirmed=True)
    if failing_for >= PROBE_DOUBT_SECONDS or (was_down and heard.outcome in _FAILING):
        return _Verdict(DialerState.SUSPECT, f"{heard.words}, though its heartbeat goes on")
    return _Verdict(DialerState.UP, "")


def _judge(  # noqa: PLR0913 # what a judgement rests on
    before: DialerHealth | None,
    dialer: DialerReading,
    *,
    histories: dict[str, ProbeHistory],
    heard: _Probed,
    watch: _Watch,
    policy: Policy,
    drain: bool,
    fenced: bool,
) -> DialerHealth:
    verdict = _verdict(before, dialer, heard, watch, policy)
    known = before or DialerHealth(state=DialerState.UNKNOWN, since_ms=watch.now_ms, life_since_ms=watch.now_ms)
    after = _live_on(known, verdict, watch.now_ms)
    switched_off_since_ms = None if dialer.active else (known.switched_off_since_ms or watch.now_ms)
    state, evidence = after.life, verdict.evidence
    if after.life is not DialerState.DOWN:
        if switched_off_since_ms is not None and watch.now_ms - switched_off_since_ms >= DRAIN_SECONDS * 1000:
            state, evidence = DialerState.DRAINING, "active=N"
        elif drain:
            state, evidence = DialerState.DRAINING, "ordered, or a maintenance window"
        elif not dialer.agent_logins and not fenced:
            state, evidence = DialerState.CLOSED, "active_agent_login_server=N"
        elif after.life is DialerState.RECOVERING:
            seconds = (after.probation_until_ms - after.probation_since_ms) / 1000
            evidence = f"back after {after.deaths} deaths, on probation for {seconds:.0f} s"
    return msgspec.structs.replace(
        after,
        state=state,
        since_ms=known.since_ms if state is known.state else watch.now_ms,
        evidence=evidence,
        verdict=verdict.state,
        switched_off_since_ms=switched_off_since_ms,
        probes=histories,
    )


def _live_on(known: DialerHealth, verdict: _Verdict, now_ms: int) -> DialerHealth:
    """Plan a verdict into the state of a dialer's life: what is down stays down until it is seen to be up."""
    life = known.life
    changes: dict[str, object] = {}
    match verdict.state:
        case DialerState.DOWN:
            if life is not DialerState.DOWN:
                changes["deaths"] = known.deaths + 1
            life = DialerState.DOWN
            changes["confirmed"] = verdict.confirmed or (known.life is life and known.confirmed)
        case DialerState.UP:
            if life is DialerState.DOWN:
                probation = min(PROBATION_SECONDS * 2 ** (known.deaths - 1), PROBATION_MOST_SECONDS)
                changes |= {"probation_since_ms": now_ms, "probation_until_ms": now_ms + round(probation * 1000)}
                life = DialerState.RECOVERING
            elif now_ms < known.probation_until_ms:
                life = DialerState.RECOVERING
            else:
                life = DialerState.UP
                if now_ms - known.probation_until_ms >= FLAP_MEMORY_SECONDS * 1000:
                    changes["deaths"] = 0
            changes |= {"confirmed": False, "served": True}
        case DialerState.SUSPECT:
            if life is not DialerState.DOWN:
                life = DialerState.SUSPECT
        case _:
            pass  # unknown: as last judged
    if life is not known.life:
        changes["life_since_ms"] = now_ms
    return msgspec.structs.replace(known, life=life, **changes)
