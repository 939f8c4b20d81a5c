"""Verdicts: what one poll shows of one dialer, by its heartbeat, its probes and its work. Pure, in the log's time.

The table is in docs/guide/failover.md. What a verdict makes of a dialer's state, `detector` decides.
"""

from collections.abc import Mapping
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

import msgspec

from controller.core.fleet_brake import SEVERAL
from controller.core.observed import stalled_seconds
from controller.core.policy import Policy
from messages.beats import advances, beats
from messages.records import DialerHealth, DialerReading, DialerState, Heartbeat, ProbeHistory, ProbeResult, ServerIp

CONFIRMED_SECONDS = 3.0
"""A heartbeat that has stalled this long while probes fail: down, by two independent signs."""
TWICE_SECONDS = 1.0
"""Probes must fail this long to confirm that: they are sent every second, and one answer may get lost."""
ALONE_SECONDS = 75.0
"""The time without a credible probe: longer than the minute after which VICIdial starts a dead updater again."""
HUNG_SECONDS = 8.0
"""Probes must be mute this long beside a heartbeat that advances, or fail this long where there is no row for one."""
CONTRADICTED_SECONDS = 10.0
"""A probe that fails this long beside a heartbeat that beats, or beside work, confirms no death until it has succeeded
again: a firewall or a ban answers in Asterisk's place, and an updater that restarts would be taken for the second
sign."""
TOGETHER_SECONDS = 30.0
"""Probes of several dialers that begin to fail within this time of each other may have the prober to blame."""
WORK_SECONDS = 5.0
"""A dialer that was seen to work this lately is not dead, whatever its heartbeat and its probes say."""
PROBE_DOUBT_SECONDS = 2.5
"""Probes that fail this long make a dialer with an advancing heartbeat suspect; one lost probe does not."""
FAILURES = {ProbeResult.MUTE, ProbeResult.REFUSED, ProbeResult.UNREACHABLE}
VOTES = {ProbeResult.ALIVE} | FAILURES
"""Results that count. A refused password does not: the account is wrong, and the dialer may be well."""


class ProbeOutcome(Enum):
    """The combined result of a dialer's probes."""

    NONE = "no probe"
    ALIVE = "alive"
    MUTE = "mute"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class Probed(NamedTuple):
    """The combined result of a dialer's credible probes."""

    outcome: ProbeOutcome
    since_ms: int
    """Since when none of them is alive."""
    words: str
    confirms: bool = False
    """It may be the second sign of a death."""
    same_since_ms: int = 0
    """Since when each of them says what it says now."""
    failing_since_ms: int = 0
    """When the last of them began to fail; what it said since then may have changed."""


class Verdict(NamedTuple):
    """The state of a dialer as one poll alone shows it."""

    state: DialerState
    evidence: str
    confirmed: bool = False


_MUST_BEAT = {DialerState.SUSPECT, DialerState.DOWN, DialerState.RECOVERING}
_FAILING = {ProbeOutcome.MUTE, ProbeOutcome.REFUSED, ProbeOutcome.UNREACHABLE}


class Watch(NamedTuple):
    """The circumstances of a verdict."""

    now_ms: int
    steady_since_ms: int
    blind: bool
    newest_session: int

    def seconds_since(self, ms: int) -> float:
        """Return the seconds since `ms`, counted only while polls came without a gap."""
        return (self.now_ms - max(ms, self.steady_since_ms)) / 1000


def histories_of(
    before: DialerHealth | None, dialer: DialerReading, now_ms: int, steady_since_ms: int
) -> dict[str, ProbeHistory]:
    """Return the history of each probe: its result, and since when."""
    known = {} if before is None else before.probes
    beats_on, works = _beats_on(before, dialer, now_ms), worked_lately(dialer, now_ms)
    # a probe without a result now (its collector has just started) is as credible as before once it has one again; a
    # failure that the heartbeat outlives was none of Asterisk's
    histories = {
        kind: msgspec.structs.replace(
            each,
            absent=True,
            contradicted=each.contradicted or ((beats_on or works) and each.told is not ProbeResult.ALIVE),
            alive_until_ms=now_ms if _is_alive(each) else each.alive_until_ms,
        )
        for kind, each in known.items()
        if kind not in dialer.probes
    }
    for kind, told in dialer.probes.items():
        earlier = known.get(kind)
        same = earlier is not None and earlier.told is told
        lasted = same and earlier is not None and not earlier.absent
        since_ms = max(earlier.since_ms, steady_since_ms) if earlier is not None and lasted else now_ms
        alive = told is ProbeResult.ALIVE
        until_ms = None if earlier is None else earlier.alive_until_ms
        failing_ms = now_ms if earlier is None or earlier.failing_since_ms is None else earlier.failing_since_ms
        beaten_ms = now_ms - since_ms if beats_on else 0
        worked_ms = 0 if dialer.worked_at_ms is None else dialer.worked_at_ms - since_ms
        long = lasted and max(beaten_ms, worked_ms) >= CONTRADICTED_SECONDS * 1000
        history = ProbeHistory(
            told=told,
            since_ms=since_ms,
            credible=alive or (earlier is not None and earlier.credible),
            contradicted=not alive and (long or (earlier is not None and same and earlier.contradicted)),
            failing_since_ms=failing_ms if told in FAILURES else None,
            alive_until_ms=now_ms if not alive and _is_alive(earlier) else until_ms,
        )
        histories[kind] = earlier if earlier is not None and earlier == history else history
    return histories


def _is_alive(history: ProbeHistory | None) -> bool:
    return history is not None and history.told is ProbeResult.ALIVE and not history.absent


def _beats_on(before: DialerHealth | None, dialer: DialerReading, now_ms: int) -> bool:
    """Return True if a dialer's heartbeat beats, whatever its probes say."""
    stalled = stalled_seconds(dialer.heartbeat, now_ms)
    return stalled is not None and stalled < PROBE_DOUBT_SECONDS and is_beating(before, dialer, now_ms)


def worked_lately(dialer: DialerReading, now_ms: int) -> bool:
    """Return True if a dialer was seen to work a moment ago."""
    return dialer.worked_at_ms is not None and now_ms - dialer.worked_at_ms < WORK_SECONDS * 1000


def probed_of(dialer: DialerReading, histories: Mapping[str, ProbeHistory]) -> Probed:
    """Return the combined result of a dialer's credible probes now."""
    speaking = {kind: each for kind, each in histories.items() if kind in dialer.probes}
    voters = {kind: each for kind, each in speaking.items() if each.credible and each.told in VOTES}
    if not voters:
        return Probed(ProbeOutcome.NONE, 0, "no probe")
    told = {each.told for each in voters.values()}
    words = ", ".join(f"{kind.upper()} {each.told}" for kind, each in sorted(voters.items()))
    if ProbeResult.ALIVE in told:
        return Probed(ProbeOutcome.ALIVE, 0, words)
    confirming = [each for each in voters.values() if not each.contradicted]
    # the first failure that may confirm a death, but not before the last of them was alive: one that is only asked in
    # doubt, and fails too, must not put off what the other has shown
    first_ms = min(each.since_ms for each in confirming or voters.values())
    since_ms = max([first_ms, *(each.alive_until_ms or 0 for each in histories.values() if each.credible)])
    outcome = ProbeOutcome.MUTE
    if ProbeResult.UNREACHABLE in told:
        outcome = ProbeOutcome.UNREACHABLE
    elif ProbeResult.REFUSED in told:
        outcome = ProbeOutcome.REFUSED
    return Probed(
        outcome,
        since_ms,
        words,
        confirms=bool(confirming),
        same_since_ms=max(each.since_ms for each in voters.values()),
        failing_since_ms=max(each.failing_since_ms or since_ms for each in voters.values()),
    )


def fail_together(probed: Mapping[ServerIp, Probed]) -> frozenset[ServerIp]:
    """Return the dialers whose probes began to fail together, where those of all dialers fail, and there are several.

    The prober's own fault begins for all at once. Who fails alone is no part of it, though the others have long been
    dead, or refuse hotdesk beside a beating heartbeat.
    """
    votes = {ip: each for ip, each in probed.items() if each.outcome is not ProbeOutcome.NONE}
    if len(votes) < SEVERAL or any(each.outcome not in _FAILING for each in votes.values()):
        return frozenset()
    ordered = sorted(votes, key=lambda ip: votes[ip].failing_since_ms)
    near = [
        {before, now}
        for before, now in pairwise(ordered)
        if votes[now].failing_since_ms - votes[before].failing_since_ms <= TOGETHER_SECONDS * 1000
    ]
    return frozenset().union(*near)


def verdict_of(
    before: DialerHealth | None, dialer: DialerReading, probed: Probed, watch: Watch, policy: Policy
) -> Verdict:
    """Return the verdict of one poll on a dialer. The table is in docs/guide/failover.md."""
    life = DialerState.UNKNOWN if before is None else before.life
    failing = probed.outcome in _FAILING and not watch.blind
    failing_for = watch.seconds_since(probed.since_ms) if failing else 0.0
    heartbeat = dialer.heartbeat
    works = worked_lately(dialer, watch.now_ms)
    if heartbeat is None:
        if failing_for >= HUNG_SECONDS and probed.confirms and not works:
            words = f"no heartbeat row, {probed.words} for {failing_for:.1f} s"
            return Verdict(DialerState.DOWN, words, confirmed=True)
        return Verdict(DialerState.UNKNOWN, f"no heartbeat row, {probed.words}")
    stalled = stalled_seconds(heartbeat, watch.now_ms) or 0.0
    beats_now = is_beating(before, dialer, watch.now_ms)
    # only mute probes can mean that it hangs, and only if the heartbeat steps: the updater asks Asterisk before each
    # write. A refusal may be a firewall's word, and a cut may be on our own path
    mutes = failing and probed.outcome is ProbeOutcome.MUTE and probed.confirms
    mute_for = watch.seconds_since(max(probed.since_ms, probed.same_since_ms)) if mutes else 0.0
    hangs = mute_for >= HUNG_SECONDS and not beats_now and not works
    if stalled < policy.stalled_after_seconds:
        if heartbeat.progressed_at_ms is None:
            return Verdict(DialerState.UNKNOWN, "its heartbeat has not yet been seen to advance")
        if hangs:
            words = f"{probed.words} for {failing_for:.1f} s, and its heartbeat steps"
            return Verdict(DialerState.DOWN, words, confirmed=True)
        return _while_it_advances(probed, failing_for, life, is_beating=beats_now)
    # it may have died between two collectors; a dialer that was never seen up may have been dead for years
    was_up = heartbeat.progressed_at_ms is not None or (before is not None and before.served)
    alone_seconds = ALONE_SECONDS if was_up or life is DialerState.DOWN else float("inf")
    return _while_stalled(
        dialer,
        heartbeat,
        stalled,
        probed,
        watch,
        failing_for=failing_for if failing else None,
        alone_seconds=alone_seconds,
        hangs=hangs,
    )


def _while_stalled(  # noqa: PLR0913 # the facts of a verdict
    dialer: DialerReading,
    heartbeat: Heartbeat,
    stalled: float,
    probed: Probed,
    watch: Watch,
    *,
    failing_for: float | None,
    alone_seconds: float,
    hangs: bool,
) -> Verdict:
    """Return the verdict on a dialer whose heartbeat has stalled, or stands still between two steps.

    `failing_for` None: its probes do not fail. `hangs`: they have long been mute, so each step is no new beginning.
    """
    stalled_words = f"heartbeat stalled for {stalled:.1f} s, {probed.words}"
    since_ms = heartbeat.progressed_at_ms or heartbeat.watched_since_ms
    steady, silent = watch.seconds_since(since_ms), watch.seconds_since(max(since_ms, dialer.worked_at_ms or 0))
    works = worked_lately(dialer, watch.now_ms)
    if works:
        stalled_words += ", though it works"
    if probed.outcome is ProbeOutcome.ALIVE:
        return Verdict(DialerState.SUSPECT, f"{stalled_words}: perhaps only its updater has died")
    if failing_for is not None and probed.confirms:
        sure = hangs or (failing_for >= TWICE_SECONDS and steady >= CONFIRMED_SECONDS and not works)
        return Verdict(DialerState.DOWN if sure else DialerState.SUSPECT, stalled_words, confirmed=sure)
    return Verdict(DialerState.DOWN if silent >= alone_seconds else DialerState.SUSPECT, stalled_words)


def _while_it_advances(probed: Probed, failing_for: float, life: DialerState, *, is_beating: bool) -> Verdict:
    """Return the verdict on a dialer whose heartbeat advances; `failing_for` is 0 if the probes are blind.

    `life` is its state before, flags and orders aside: a dialer in doubt must beat, and one step does not do.
    """
    if life is DialerState.DOWN and probed.outcome in _FAILING and is_beating and not probed.confirms:
        return Verdict(DialerState.UP, "")  # by now it is a firewall that fails: one that beats for long is back
    if failing_for >= PROBE_DOUBT_SECONDS or (life is DialerState.DOWN and probed.outcome in _FAILING):
        refused = "though it works: perhaps a firewall or a ban"
        by_firewall = probed.outcome is ProbeOutcome.REFUSED and life is not DialerState.DOWN
        why = refused if by_firewall else "though its heartbeat advances"
        return Verdict(DialerState.SUSPECT, f"{probed.words}, {why}")
    if not is_beating and life in _MUST_BEAT:
        return Verdict(DialerState.SUSPECT, "its heartbeat has advanced, and does not yet beat")
    return Verdict(DialerState.UP, "")


def is_beating(before: DialerHealth | None, dialer: DialerReading, now_ms: int) -> bool:
    """Return True if a heartbeat has advanced often enough lately: one step is no beat."""
    return beats(advances_of(before, dialer, now_ms))


def advances_of(before: DialerHealth | None, dialer: DialerReading, now_ms: int) -> tuple[int, ...]:
    """Return when a heartbeat advanced lately."""
    heartbeat = dialer.heartbeat
    latest_ms = None if heartbeat is None else heartbeat.progressed_at_ms
    return advances(() if before is None else before.advances, latest_ms, now_ms)
