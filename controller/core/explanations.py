"""Why: what is known of a dialer, an agent or a phone alias, and what follows from it, in words. Pure.

What is said here is read off the same state by the same rules that pick and decide, so it cannot tell another story.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from controller.core.picks import rank_alias, resolve
from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, RankedPhone, rank_dialers
from controller.core.readiness import alias_findings
from controller.core.state import ClusterState
from messages.records import (
    Decision,
    DialerReading,
    DialerState,
    Incident,
    Ineligible,
    RankedDialer,
    Relogin,
    ReloginStage,
    ServerIp,
)
from messages.words import sentence

OLD_NEWS = "Nothing is known now, so hotdesk offers nothing and VICIdial chooses. What follows is as of the last poll."
UNJUDGED_MS = 5000
"""A controller judges every poll; dialers that nobody has judged for so long may be anything by now."""

BEATS_SECONDS = 2.0
"""A heartbeat of one-second resolution, polled twice a second, may look still for so long and be well."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one thing, in sentences."""

    kind: str
    """Dialer, agent or alias."""
    name: str
    words: tuple[str, ...]
    decisions: tuple[Decision, ...] = ()
    """The latest about it, the newest first."""


def explain(
    state: ClusterState, policy: Policy, decisions: Iterable[Decision], name: str, *, stale: bool = False
) -> list[Explanation]:
    """Explain everything that has this name: a dialer by address or id, an agent, an alias or a phone's login.

    Empty: nothing has it. `stale`: no poll came in for a while, so that nothing is offered.
    """
    old = (OLD_NEWS,) if stale else ()
    latest = list(decisions)[::-1]
    found = [
        Explanation(kind="dialer", name=dialer.server_ip, words=(*old, *_dialer_words(state, policy, dialer)))
        for dialer in state.observed.dialers.values()
        if name.lower() in {dialer.server_ip.lower(), dialer.server_id.lower()}
    ]
    user = name.lower()
    told = [each for each in latest if each.subject.lower() == user]
    known_agent = user in state.observed.agents or state.decided.slots.of(name) is not None
    if known_agent or (told and not found):
        found.append(Explanation(kind="agent", name=name, words=(*old, *_agent_words(state, name))))
    if resolve(state, name):
        found.append(Explanation(kind="alias", name=name, words=(*old, *_alias_words(state, policy, name))))
    return [
        msgspec.structs.replace(
            each,
            decisions=tuple(one for one in latest if one.subject.lower() == each.name.lower()),
        )
        for each in found
    ]


def clock(ms: int) -> str:
    """Write a time for people: UTC, and the same on every machine."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def heartbeat_words(standing: RankedDialer) -> str:
    """Say how a dialer's heartbeat is, in words that stay the same while it is well."""
    stalled = standing.heartbeat_stalled_seconds
    if stalled is None:
        return "no heartbeat row"
    if stalled < BEATS_SECONDS:
        return "beats"
    return f"stands still for {stalled:.0f} s"


# --- a dialer -----------------------------------------------------------------------------------------------------


def _dialer_words(state: ClusterState, policy: Policy, dialer: DialerReading) -> Iterator[str]:
    server_ip = dialer.server_ip
    if not dialer.asterisk:
        yield "It runs no Asterisk (active_asterisk_server=N), so no agent is sent there."
        return
    standing = next(each for each in rank_dialers(state, policy) if each.server_ip == server_ip)
    evidence = f": {standing.evidence}" if standing.evidence else ""
    since = f" since {clock(standing.since_ms)}" if standing.since_ms else ""
    yield f"It is {standing.state}{since}{evidence}."
    yield f"Its heartbeat: {heartbeat_words(standing)}."
    yield from (f"Its {kind.upper()} is {told}." for kind, told in sorted(dialer.probes.items()))
    full = "" if standing.max_agents is None else f", {standing.max_agents} at most"
    yield f"{agents_words(standing.agents)} and {_slots(standing.slots)} there{full}; {standing.rooms_free} rooms free."
    if standing.rank is not None:
        ahead = "the next login goes there" if standing.rank == 1 else "by the fewest agents and slots"
        yield f"It is number {standing.rank} in the ranking: {ahead}."
    else:
        yield f"It takes no new logins: {because(standing.ineligible_because)}."
    health = state.observed.health.dialers.get(server_ip)
    if health is not None and health.deaths:
        yield f"It died {_times(health.deaths)} lately."
    drain = state.decided.orders.drains.get(server_ip)
    if drain is not None:
        yield f"{drain.by} ordered it drained{_why(drain.why)}."
    fence = state.decided.fences.get(server_ip)
    if fence is not None:
        yield f"hotdesk's fence: {sentence(fence.stage)}{_why(fence.answer)}."
    for incident in state.decided.incidents.values():
        if incident.server_ip == server_ip:
            yield from _incident_words(state, incident)


def _incident_words(state: ClusterState, incident: Incident) -> Iterator[str]:
    planned = ", as planned (a maintenance window)" if incident.in_maintenance else ""
    yield f"Incident {incident.incident} is open since {clock(incident.opened_at_ms)}{planned}: {incident.why}."
    yield f"{progress_words(incident, advice=is_advice(_moves_of(state, incident)))}."
    if incident.withheld:
        yield f"No agent is moved now: {incident.withheld}."
    for listed in incident.listed:
        yield f"{listed.user} is not moved: {sentence(listed.why)}."
    acknowledged = state.decided.orders.acknowledged.get(incident.incident)
    if acknowledged is not None:
        yield f"{acknowledged.by} is on it{_why(acknowledged.why)}."


# --- an agent -----------------------------------------------------------------------------------------------------


def _agent_words(state: ClusterState, user: str) -> Iterator[str]:
    name = user.lower()
    session = state.observed.agents.get(name)
    if session is None:
        yield "Nobody is logged in by that name."
    else:
        where = f"{session.server_ip} as {session.extension}" if session.extension else session.server_ip
        yield f"Logged in on {where}, {session.status}, campaign {session.campaign_id or 'none'}."
        if session.remote:
            yield "A remote agent: has no browser, so hotdesk moves them nowhere."
        login = state.decided.logins.get(name)
        if login is not None and login.used_by == session.live_agent_id:
            chosen = f"alias {login.alias_id}, phone {login.phone_login}"
            if login.server_ip == session.server_ip:
                yield f"hotdesk chose that: {chosen}."
            else:
                yield f"hotdesk had chosen {login.server_ip} for that login: {chosen}."
        elif not session.remote:
            typed = f"; typed {session.typed}" if session.typed else ""
            yield f"VICIdial chose that: no pick of hotdesk's is known for it{typed}."
        if session.external_pause:
            yield f"VICIdial was told {session.external_pause} for that screen."
    slot = state.decided.slots.of(user)
    if slot is not None:
        kept = "kept for their move" if slot.planned else "handed out to a login"
        yield f"A slot on {slot.server_ip} as {slot.phone_login}, {kept}, until {clock(slot.until_ms)}."
    number = None if session is None else session.live_agent_id
    yield from _action_words(state, name, number)


def _action_words(state: ClusterState, name: str, live_agent_id: int | None) -> Iterator[str]:
    for move in state.decided.relogins.values():
        if move.user.lower() == name:
            ways = f"from {move.from_server_ip} to {move.to_server_ip} for {move.incident}"
            yield f"A move {ways}: {sentence(move.stage)}{_why(move.answer)}."
    for pause in state.decided.agent_pauses.values():
        if pause.user.lower() == name:
            yield f"A pause that keeps calls from them is {sentence(pause.stage)}{_why(pause.answer)}."
    for incident in state.decided.incidents.values():
        for listed in incident.listed:
            if listed.user.lower() == name and listed.live_agent_id == live_agent_id:
                yield f"Not moved off {incident.server_ip}: {sentence(listed.why)}."


# --- an alias -----------------------------------------------------------------------------------------------------


def _alias_words(state: ClusterState, policy: Policy, typed: str) -> Iterator[str]:
    alias = state.observed.aliases.get(typed.lower())
    logins = resolve(state, typed)
    if alias is not None:
        yield f"A phone alias that stands for {', '.join(logins)}."
    elif len(logins) > 1:
        yield "A list of phone logins, which is balanced like an alias."
    else:
        yield "One phone's login: there is nothing to choose."
    ranking = rank_alias(state, policy, typed, "")
    if ranking is not None:
        yield _next_login(ranking, weighed=bool(state.observed.weight_shares))
        yield from map(_phone_words, ranking.phones)
    if alias is not None:
        yield from (f"{each.severity}: {each.what}; {each.remedy}." for each in alias_findings(state, alias))


def _next_login(ranking: AliasRanking, *, weighed: bool) -> str:
    load = "least agents and slots for its weight" if weighed else "fewest agents and slots"
    best = ranking.best
    if best is None:
        return "No login is answered now: none of its dialers takes one. VICIdial chooses."
    offered = [phone for phone in ranking.phones if phone.rank is not None]
    goes = f"The next login goes to {best.phone_login} on {best.server_ip}"
    if len(offered) == 1:
        return f"{goes}: the only one that takes logins."
    if offered[1].load == best.load:
        return f"{goes}: as little load as others, and the last listed of them, as VICIdial chooses."
    return f"{goes}: the {load}."


def _phone_words(phone: RankedPhone) -> str:
    where = f"{phone.phone_login} on {phone.server_ip}" if phone.server_ip else phone.phone_login
    if not phone.server_ip:
        return f"{where}: {because(phone.ineligible_because)}."
    there = f"{where}: {agents_words(phone.agents)}, {_slots(phone.slots)}"
    if phone.rank is None:
        return f"{there}; not offered: {because(phone.ineligible_because)}."
    doubt = f"; only for want of better: {because(phone.ineligible_because)}" if phone.ineligible_because else ""
    return f"{there}; number {phone.rank}{doubt}."


# --- words --------------------------------------------------------------------------------------------------------


def agents_words(count: int) -> str:
    """Count agents in words."""
    return "1 agent" if count == 1 else f"{count} agents"


def because(reasons: Iterable[Ineligible]) -> str:
    """Return why a dialer or a phone takes no new login, in words."""
    return "; ".join(map(sentence, reasons))


def _slots(count: int) -> str:
    return "1 slot" if count == 1 else f"{count} slots"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _why(why: str) -> str:
    return f": {why}" if why else ""


def is_advice(moves: Iterable[Relogin]) -> bool:
    """Tell whether an incident's moves are only said, and nobody is told anything."""
    return any(each.stage is ReloginStage.ADVISED for each in moves)


def _moves_of(state: ClusterState, incident: Incident) -> Iterator[Relogin]:
    return (each for each in state.decided.relogins.values() if each.incident == incident.incident)


def progress_words(incident: Incident, *, advice: bool) -> str:
    """Say how far the moves of an incident have come; of advice nobody comes home."""
    left = f"{agents_words(incident.agents)} still there"
    moves = "1 move" if incident.moves == 1 else f"{incident.moves} moves"
    return (
        f"{left}, {moves} advised"
        if advice
        else f"{left}, {moves} planned, {incident.moved} logged in on another dialer"
    )


def is_unjudged(state: ClusterState) -> bool:
    """Tell whether polls come in that no controller judges."""
    return state.observed.observed_at_ms - state.observed.health.polled_at_ms > UNJUDGED_MS


def why_words(standing: RankedDialer) -> str:
    """Say what speaks for a dialer's state and against new logins there; empty: it is simply up."""
    # a state that is also the reason is said once
    reasons = [sentence(each) for each in standing.ineligible_because if each.value != standing.state.value]
    return "; ".join(each for each in (standing.evidence, *reasons) if each)


def name_of(state: ClusterState, server_ip: ServerIp) -> str:
    """Name a dialer as people do: its id and address."""
    dialer = state.observed.dialers.get(server_ip)
    return server_ip if dialer is None or not dialer.server_id else f"{dialer.server_id} ({server_ip})"


def sentence_about(state: ClusterState, *, stale: bool) -> str:
    """Say in one sentence how a cluster is."""
    return _doubt_words(state, stale=stale) or _dialers_words(state)


def _doubt_words(state: ClusterState, *, stale: bool) -> str:
    """Say why nobody is moved whatever the dialers are; empty: nothing keeps anybody."""
    if stale:
        why = "no poll came in for 5 seconds" if state.observed.outage is None else "the database does not answer"
        return f"Nothing is known: {why}. VICIdial chooses where agents log in."
    if state.observed.outage is not None:
        return "The database does not answer. Nobody is moved for that."
    if state.decided.orders.pause is not None:
        return f"Only observed: suspended by {state.decided.orders.pause.by}{_why(state.decided.orders.pause.why)}."
    if state.observed.health.brake:
        return f"No agent is moved: {state.observed.health.brake}."
    if is_unjudged(state):
        return "No controller decides: nobody has judged the dialers lately, and nobody is moved."
    return ""


def _dialers_words(state: ClusterState) -> str:
    if not state.observed.health.dialers:
        return "No dialer is known yet."
    troubled = [
        f"{name_of(state, ip)} is {each.state}"
        for ip, each in sorted(state.observed.health.dialers.items())
        if each.state is not DialerState.UP
    ]
    if not troubled:
        return f"All {len(state.observed.health.dialers)} dialers are up."
    moved = [each for each in state.decided.incidents.values() if each.moves]
    total, home = sum(each.moves for each in moved), sum(each.moved for each in moved)
    so_far = f" {home} of {total} moved agents are logged in on another dialer." if moved else ""
    if any(is_advice(_moves_of(state, each)) for each in moved):
        so_far = f" hotdesk only advises: {total} of its agents should be moved."
    return f"{'; '.join(troubled)}.{so_far}"
