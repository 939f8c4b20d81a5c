"""The failure detector: judges each dialer of a cluster at each poll. Pure, and in the log's time.

It has two thresholds, because avoiding a dialer is cheap and reversible, and moving people is neither: a suspect dialer
gets no new logins, and only a dialer that is down loses its agents. Each poll has a verdict of its own (`verdicts`);
the state before and the verdict make the state after.

A fault that could be the observer's own never counts against a dialer. Silence counts only while polls come without
a gap; a probe counts only once it has succeeded; probes that fail everywhere, and began to at once, are blind; and
while more than half of the fleet looks bad, the fleet brake keeps all agents where they are.

A heartbeat is written by a script beside Asterisk. That script ends whenever the database or Asterisk stumbles, and is
back within a minute; and while Asterisk hangs it writes every 11 seconds. So a heartbeat that stalls confirms nothing
by itself, and one that has advanced once does not beat.

Work done is a sign of life beside it: the dialer's listener writes what Asterisk announces. Collectors read it only
while a heartbeat is in doubt. Seen lately, it makes a dialer suspect at most; its absence says nothing.
"""

from collections.abc import Collection, Iterable

import msgspec

from controller.core.fleet_brake import FleetBrake, fleet_brake, lets_go, settles
from controller.core.orders import Orders
from controller.core.policy import Policy
from controller.core.state import ClusterState
from controller.core.verdicts import (
    FAILURES,
    Probed,
    Verdict,
    Watch,
    advances_of,
    fail_together,
    histories_of,
    is_beating,
    probed_of,
    verdict_of,
)
from messages.codes import Reason, ReasonCode
from messages.records import (
    AgentSession,
    DialerHealth,
    DialerReading,
    DialerState,
    FleetHealth,
    Poll,
    ProbeHistory,
    ProbeResult,
    ServerIp,
)
from messages.words import reason

RETURN_SECONDS = 10.0
"""A dialer that is down must beat this long to be back."""
INTERRUPTED_SECONDS = 45.0
"""A dialer whose Asterisk has started again is down for at least this long: time to move the agents whose phones are
gone, after their dispositions."""
RESTART_MS = 120_000
"""An Asterisk that was last heard of this long before an incident opened is the one that it was opened for."""
STARTS_MS = 30_000
"""From the end of one Asterisk to the start that the next one tells by AMI."""
SCRIPTS_BACK_MS = 120_000
"""After a new start of Asterisk: cron looks once a minute, and a script needs a while."""
PHONE_COMES_MS = 10_000
"""A phone that has not come this long after a new start of Asterisk was seen went with the earlier one."""
DRAIN_SECONDS = 10.0
"""`active='N'` is taken as meant after this long: agents leave."""
GAP_SECONDS = 2.0
"""Polls come every half second; after a longer gap the observer was asleep, and its watching starts again."""
DOUBT_SECONDS = 2.0
"""No agent is moved for this long after such a gap: the poll may show a moment before it."""
PROBATION_SECONDS = 30.0
PROBATION_MOST_SECONDS = 600.0
FLAP_MEMORY_SECONDS = 1800.0
"""A dialer that has stayed up this long starts again with no deaths."""
BLIND_DOUBT_SECONDS = 60.0
"""No agent is moved for this long after all probes began to fail: the collector itself may be cut off. After that the
probes count as absent: a firewall that blocks them for good must not keep all agents where they are."""


def judge_fleet(  # noqa: PLR0913 # what a verdict rests on
    before: FleetHealth,
    poll: Poll,
    policy: Policy,
    orders: Orders,
    *,
    fenced: Collection[ServerIp] = frozenset(),
    newest_session: int = 0,
    sessions: Iterable[AgentSession] = (),
) -> FleetHealth:
    """Return the state of every dialer of a poll, from the states before and people's orders.

    `fenced`: dialers that hotdesk itself has closed to new logins; for them that flag does not count.
    `newest_session`: the highest `live_agent_id` so far. `sessions`: those of the poll.
    """
    now_ms = poll.observed_at_ms
    gap_ms = now_ms - before.polled_at_ms
    steady_since_ms = before.steady_since_ms
    if poll.epoch != before.epoch or not 0 <= gap_ms <= GAP_SECONDS * 1000:
        steady_since_ms = now_ms
    plain_since_ms = now_ms - round(policy.stalled_after_seconds * 1000)
    may_drain = bool(orders.drains or policy.windows)
    dialers: dict[ServerIp, DialerHealth] = {}
    doubtful: list[DialerReading] = []
    for dialer in poll.dialers:
        if not dialer.asterisk:
            continue
        known = before.dialers.get(dialer.server_ip)
        if (
            known is not None
            and _simply_up(known, dialer, plain_since_ms)
            and not (may_drain and is_to_be_emptied(dialer.server_ip, orders, policy, poll.wall_ms))
        ):
            dialers[dialer.server_ip] = known
        else:
            doubtful.append(dialer)
    watched = {
        each.server_ip: histories_of(before.dialers.get(each.server_ip), each, now_ms, steady_since_ms)
        for each in doubtful
    }
    probed = {each.server_ip: probed_of(each, watched[each.server_ip]) for each in doubtful}
    blind = fail_together(probed)
    blind_since_ms = None if not blind else now_ms if before.blind_since_ms is None else before.blind_since_ms
    for dialer in doubtful:
        dialers[dialer.server_ip] = _judge(
            before.dialers.get(dialer.server_ip),
            dialer,
            histories=watched[dialer.server_ip],
            probed=probed[dialer.server_ip],
            watch=Watch(
                now_ms, max(steady_since_ms, before.counted_since_ms), dialer.server_ip in blind, newest_session
            ),
            policy=policy,
            drain=is_to_be_emptied(dialer.server_ip, orders, policy, poll.wall_ms),
            fenced=dialer.server_ip in fenced,
        )
    brake = fleet_brake(before, dialers, orders, now_ms) if doubtful else FleetBrake()
    counted_since_ms = before.counted_since_ms
    if lets_go(before, brake):
        counted_since_ms = now_ms
        dialers = {ip: _counted_anew(each) for ip, each in dialers.items()}
    dialers |= _removed_while_down(before, dialers.keys(), sessions)
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


def _removed_while_down(
    before: FleetHealth, judged: Collection[ServerIp], sessions: Iterable[AgentSession]
) -> dict[ServerIp, DialerHealth]:
    """Return the dialers that were down and that VICIdial has no longer, or as no Asterisk, with agents left on them.

    That is not back: they stay down, by what was last seen of them, until the last agent has left.
    """
    removed = {ip: known for ip, known in before.dialers.items() if ip not in judged and known.life is DialerState.DOWN}
    if not removed:
        return removed  # nearly always: no need then to go through all sessions
    left_on = {each.server_ip for each in sessions if not each.remote}
    return {ip: known for ip, known in removed.items() if ip in left_on}


def _doubt(now_ms: int, steady_since_ms: int, blind_since_ms: int | None) -> Reason | None:
    """Return why hotdesk doubts its own view at this poll; None: it does not."""
    if now_ms - steady_since_ms < DOUBT_SECONDS * 1000:
        return reason(ReasonCode.WATCHING_ANEW)
    if blind_since_ms is not None and now_ms - blind_since_ms < BLIND_DOUBT_SECONDS * 1000:
        return reason(ReasonCode.PROBES_BLIND)
    return None


def _counted_anew(dialer: DialerHealth) -> DialerHealth:
    """Return a dialer whose death was only seen while the brake held: it is suspected, and its silence counts anew.

    One that is down for a new start of its Asterisk is so by what that said, and not by silence.
    """
    if dialer.verdict is not DialerState.DOWN or dialer.interrupted:
        return dialer
    evidence = "its silence counts anew, since most dialers are back"
    return msgspec.structs.replace(dialer, verdict=DialerState.SUSPECT, confirmed=False, evidence=evidence)


def doubt_about(state: ClusterState, policy: Policy, server_ip: ServerIp) -> Reason | None:
    """Return why a dialer that is down may not be dead now; None: there is no doubt, or the dialer is not judged.

    It stays down until it is seen up; but an earlier verdict alone is no reason to move an agent, and neither is a
    stalled heartbeat that no probe confirms, unless the operator wants that.
    """
    health = state.observed.health.dialers.get(server_ip)
    if health is None:
        return None
    if health.verdict is not DialerState.DOWN:
        return reason(ReasonCode.DEATH_IN_DOUBT, evidence=health.evidence)
    if not (health.confirmed or policy.act_on_heartbeat_alone):
        return reason(ReasonCode.HEARTBEAT_ALONE)
    return None


def is_seen_up(health: DialerHealth | None) -> bool:
    """Return True if a dialer is seen to beat: one that was down is back only then."""
    return health is not None and health.life in {DialerState.UP, DialerState.RECOVERING}


def is_down(health: DialerHealth | None) -> bool:
    """Return True if a dialer is judged down, flags and orders aside."""
    return health is not None and health.life is DialerState.DOWN


def is_dead(health: DialerHealth) -> bool:
    """Return True if the latest poll itself shows by two signs that a dialer is dead, and its calls with it."""
    return health.life is health.verdict is DialerState.DOWN and health.confirmed


def began_after_restart(state: ClusterState, session: AgentSession) -> bool:
    """Return True if an agent has logged in since the dialer's Asterisk started again: their phone works."""
    health = state.observed.health.dialers.get(session.server_ip)
    return health is not None and health.interrupted and not _lost_phone(state, session, health)


def _lost_phone(state: ClusterState, session: AgentSession, health: DialerHealth) -> bool:
    """Return True if a session is from before the latest new start of its Asterisk, which took its phone.

    Who logged in between the last sight of the earlier Asterisk and the first of the new one may have done so before
    or after: that their phone is not seen in its room decides, once it has had the time to come.
    """
    if session.live_agent_id <= health.phones_lost_session:
        return True
    if session.phone_in_room is None and _was_inferred(health):
        return False  # the phones have shown the restart: one of which nothing is known is not among them
    if session.live_agent_id > health.restart_known_session or session.phone_in_room:
        return False
    since_ms = health.interrupted_at_ms or 0
    if session.phone_in_room is None:  # a new collector knows nothing of phones at first
        since_ms = max(since_ms, state.observed.health.steady_since_ms)
    return state.observed.observed_at_ms - since_ms >= PHONE_COMES_MS


def restart_is_inferred(state: ClusterState, server_ip: ServerIp) -> bool:
    """Return True if a dialer is down for a new start of its Asterisk that only the phones have shown."""
    health = state.observed.health.dialers.get(server_ip)
    return health is not None and health.interrupted and _was_inferred(health)


def _was_inferred(health: DialerHealth) -> bool:
    """Return True if only the phones have shown the latest new start of an Asterisk."""
    return health.phones_lost_ms == health.restarted_after_ms


def heard_again(state: ClusterState, session: AgentSession) -> bool:
    """Return True if an agent's phone is back in its room since the dialer's Asterisk has started again."""
    health = state.observed.health.dialers.get(session.server_ip)
    arrival = state.decided.arrivals.get(session.live_agent_id)
    if health is None or not health.interrupted or arrival is None or not arrival.here or not arrival.arrived_at_ms:
        return False
    return arrival.server_ip == session.server_ip and arrival.arrived_at_ms > health.phones_lost_ms


def restarted_on_hook(state: ClusterState, session: AgentSession) -> bool:
    """Return True if an agent's Asterisk has started again, and took no phone from them: it rings for calls only."""
    health = state.observed.health.dialers.get(session.server_ip)
    return session.on_hook and health is not None and health.interrupted


def rings_again(state: ClusterState, session: AgentSession) -> bool:
    """Return True if calls reach an on-hook agent whose Asterisk has started again, whatever its heartbeat does.

    By then all of VICIdial's scripts are back that cron starts again; that the updater stays away keeps no call from
    them.
    """
    health = state.observed.health.dialers.get(session.server_ip)
    if not restarted_on_hook(state, session) or health is None or health.interrupted_at_ms is None:
        return False
    return state.observed.observed_at_ms - health.interrupted_at_ms >= SCRIPTS_BACK_MS


def has_lost_phone(state: ClusterState, session: AgentSession, opened_at_ms: int) -> bool:
    """Return True if an agent's phone went with an Asterisk that has started again, and is not back.

    `opened_at_ms`: when the incident opened that this Asterisk's end was about.
    """
    health, since_ms = state.observed.health.dialers.get(session.server_ip), opened_at_ms - RESTART_MS
    if (
        health is None
        or max(health.restart_seen_ms, health.phones_lost_ms) < since_ms
        or not _lost_phone(state, session, health)
    ):
        return False
    if session.on_hook:
        return False  # each call rings their phone anew
    arrival = state.decided.arrivals.get(session.live_agent_id)
    arrived_at_ms = arrival.arrived_at_ms if arrival is not None and arrival.here else None
    return not session.phone_in_room and (arrived_at_ms is None or arrived_at_ms <= health.phones_lost_ms)


def call_began_after_restart(state: ClusterState, session: AgentSession) -> bool:
    """Return True if a session in a call may have been given it by the Asterisk that has started again.

    The agent does not hear it, since their phone is gone; but the customer is there.
    """
    health = state.observed.health.dialers.get(session.server_ip)
    began_ms = state.observed.began_ms(session)
    return health is not None and health.interrupted and began_ms > health.phones_lost_ms


def _simply_up(known: DialerHealth, dialer: DialerReading, since_ms: int) -> bool:
    """Return True if a dialer is up as before, with nothing new to record: nearly all are, at nearly every poll.

    Never for one with probes: the time of their latest change must be recorded, and whether all fail.
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
        and dialer.restarted_after_ms in {None, known.restarted_after_ms}
        and not known.deaths
        and not known.probes
        and not dialer.probes
    )


def is_to_be_emptied(server_ip: ServerIp, orders: Orders, policy: Policy, wall_ms: int) -> bool:
    """Return True if a dialer is to be emptied by order or for a maintenance window: VICIdial knows nothing of it."""
    return server_ip in orders.drains or policy.in_maintenance(server_ip, wall_ms)


def _interruption(
    verdict: Verdict, before: DialerHealth | None, dialer: DialerReading, watch: Watch
) -> tuple[int | None, bool]:
    """Return when Asterisk was seen to have started again, and whether that alone is why the dialer is down now.

    Its updater ends with the old Asterisk, and its port refuses for a moment: if the heartbeat beats all along and no
    probe has failed, another start time comes from another Asterisk, as when the address to probe was corrected.
    """
    if before is None:
        return None, False
    by_phones = _restarted_by_phones(before, dialer)
    again = by_phones or ("" not in {before.started, dialer.started} and before.started != dialer.started)
    at_ms = watch.now_ms if again else before.interrupted_at_ms
    if at_ms is None or verdict.state is DialerState.DOWN:
        return at_ms, False
    lasted, down = watch.now_ms - at_ms, before.life is DialerState.DOWN
    # cron starts the updater on the full minute: an Asterisk that ends just before it leaves no gap in the heartbeat
    gone = not is_beating(before, dialer, watch.now_ms) or (again and watch.now_ms - before.failed_ms <= STARTS_MS)
    if by_phones or gone or (down and lasted < INTERRUPTED_SECONDS * 1000):
        return at_ms, True
    return (None if not down and lasted >= RETURN_SECONDS * 1000 else at_ms), False


def _restarted_by_phones(before: DialerHealth | None, dialer: DialerReading) -> bool:
    """Return True if a dialer's phones are newly seen to have gone with an earlier Asterisk."""
    return before is not None and dialer.restarted_after_ms not in {None, before.restarted_after_ms}


def _judge(  # noqa: PLR0913 # the facts of a verdict
    before: DialerHealth | None,
    dialer: DialerReading,
    *,
    histories: dict[str, ProbeHistory],
    probed: Probed,
    watch: Watch,
    policy: Policy,
    drain: bool,
    fenced: bool,
) -> DialerHealth:
    verdict = verdict_of(before, dialer, probed, watch, policy)
    known = before or DialerHealth(state=DialerState.UNKNOWN, since_ms=watch.now_ms, life_since_ms=watch.now_ms)
    interrupted_at_ms, interrupted = _interruption(verdict, before, dialer, watch)
    lost = _phones_lost(known, dialer, watch) if interrupted_at_ms == watch.now_ms else {}
    if interrupted:
        words = f"its Asterisk started again at {dialer.started or known.started}: every call and phone there is gone"
        if lost.get("phones_lost_ms", known.phones_lost_ms) == (dialer.restarted_after_ms or known.restarted_after_ms):
            words = "its Asterisk started again while its updater was away: the phones there are gone"
        verdict = Verdict(DialerState.DOWN, words, confirmed=True)
    if ProbeResult.DENIED in dialer.probes.values():
        # who refuses a login is alive: what earlier polls confirmed is refuted
        known = msgspec.structs.replace(known, confirmed=False)
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
            deaths = "1 death" if after.deaths == 1 else f"{after.deaths} deaths"
            evidence = f"back after {deaths}, on probation for {seconds:.0f} s"
    elif after.beating_since_ms is not None:
        evidence = f"its heartbeat beats again, and must do so for {RETURN_SECONDS:.0f} s"
    return msgspec.structs.replace(
        after,
        state=state,
        since_ms=known.since_ms if state is known.state else watch.now_ms,
        evidence=evidence,
        started=dialer.started or known.started,
        started_known_ms=watch.now_ms if dialer.started else known.started_known_ms,
        started_known_session=watch.newest_session if dialer.started else known.started_known_session,
        restarted_after_ms=dialer.restarted_after_ms or known.restarted_after_ms,
        **lost,
        failed_ms=watch.now_ms if FAILURES & set(dialer.probes.values()) else known.failed_ms,
        interrupted_at_ms=None if known.life is DialerState.DOWN is not after.life else interrupted_at_ms,
        interrupted=interrupted,
        advances=advances_of(before, dialer, watch.now_ms),
        verdict=verdict.state,
        settled=settles(known, after.life, after.life_since_ms, watch.now_ms, watch.steady_since_ms),
        switched_off_since_ms=switched_off_since_ms,
        probes=histories,
    )


def _phones_lost(known: DialerHealth, dialer: DialerReading, watch: Watch) -> dict[str, int]:
    """Return which sessions may have lost their phones with an Asterisk that is seen to have started again now.

    Where the phones themselves have shown it, each session's own phone decides.
    """
    lost_ms, lost_session = known.started_known_ms, known.started_known_session
    if _restarted_by_phones(known, dialer):
        lost_ms, lost_session = dialer.restarted_after_ms or 0, 0
    return {
        "phones_lost_ms": lost_ms,
        "phones_lost_session": lost_session,
        "restart_seen_ms": watch.now_ms,
        "restart_known_session": watch.newest_session,
    }


def _live_on(known: DialerHealth, verdict: Verdict, now_ms: int) -> DialerHealth:
    """Return the state after a verdict, flags and orders aside: a dialer that is down stays down until seen up."""
    life = known.life
    if life is DialerState.DOWN and verdict.state is DialerState.UP:
        return _come_back(known, now_ms)
    changes: dict[str, object] = {"beating_since_ms": None, "confirmed": False}
    match verdict.state:
        case DialerState.DOWN:
            if life is not DialerState.DOWN:
                changes["deaths"] = known.deaths + 1
            life = DialerState.DOWN
            changes["confirmed"] = verdict.confirmed or (known.life is life and known.confirmed)
        case DialerState.UP:
            if now_ms < known.probation_until_ms:
                life = DialerState.RECOVERING
            else:
                life = DialerState.UP
                if now_ms - known.probation_until_ms >= FLAP_MEMORY_SECONDS * 1000:
                    changes["deaths"] = 0
            changes["served"] = True
        case DialerState.SUSPECT:
            if life is not DialerState.DOWN:
                life = DialerState.SUSPECT
        case _:
            pass  # unknown: the state stays
    if life is not known.life:
        changes["life_since_ms"] = now_ms
    return msgspec.structs.replace(known, life=life, **changes)


def _come_back(known: DialerHealth, now_ms: int) -> DialerHealth:
    """Return the state of a dialer that is down and beats: it is on probation once it has done so for a while."""
    since_ms = now_ms if known.beating_since_ms is None else known.beating_since_ms
    if now_ms - since_ms < RETURN_SECONDS * 1000:
        return msgspec.structs.replace(known, beating_since_ms=since_ms)
    probation = min(PROBATION_SECONDS * 2 ** (known.deaths - 1), PROBATION_MOST_SECONDS)
    return msgspec.structs.replace(
        known,
        life=DialerState.RECOVERING,
        life_since_ms=now_ms,
        beating_since_ms=None,
        probation_since_ms=now_ms,
        probation_until_ms=now_ms + round(probation * 1000),
        confirmed=False,
    )
