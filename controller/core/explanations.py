"""Explain a dialer, an agent or a phone alias in words: the facts, and the decisions that follow. Pure.

The sentences come from the same state and the same rules as picks and plans, so they cannot contradict them.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from controller.core.claims import resolve
from controller.core.picks import rank_alias
from controller.core.plan import collectors_doubt
from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, RankedPhone, rank_dialers
from controller.core.readiness import alias_findings
from controller.core.state import ClusterState
from messages.names import compared
from messages.records import (
    NOT_ARRIVED,
    AgentSession,
    Decision,
    DialerReading,
    DialerState,
    Incident,
    Ineligible,
    Listed,
    RankedDialer,
    Relogin,
    ReloginStage,
    ServerIp,
)
from messages.words import sentence

STALE_NOTICE = (
    "Nothing is known now, so hotdesk offers nothing and VICIdial chooses. The facts below are as of the last poll."
)
UNJUDGED_MS = 5000
"""A controller judges every poll; without a verdict for this long, no controller is at work."""

BEATS_SECONDS = 2.0
"""A heartbeat of one-second resolution, polled twice a second, may look stalled for this long and be sound."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one dialer, agent or alias, in sentences."""

    kind: str
    """Dialer, agent or alias."""
    name: str
    words: tuple[str, ...]
    decisions: tuple[Decision, ...] = ()
    """The latest decisions about it, the newest first."""


def explain(
    state: ClusterState, policy: Policy, decisions: Iterable[Decision], name: str, *, stale: bool = False
) -> list[Explanation]:
    """Explain everything with this name: a dialer by address or id, an agent, an alias or a phone's login.

    Empty: the name is unknown. `stale`: no poll came in for a while, so that nothing is offered.
    """
    notice = (STALE_NOTICE,) if stale else ()
    latest = list(decisions)[::-1]
    found = [
        Explanation(kind="dialer", name=dialer.server_ip, words=(*notice, *_dialer_words(state, policy, dialer)))
        for dialer in state.observed.dialers.values()
        if name.lower() in {dialer.server_ip.lower(), dialer.server_id.lower()}
    ]
    user = name.lower()
    about_user = [each for each in latest if each.subject.lower() == user]
    known_agent = user in state.observed.agents or state.decided.slots.of(name) is not None
    if known_agent or (about_user and not found):
        found.append(Explanation(kind="agent", name=name, words=(*notice, *_agent_words(state, name))))
    if resolve(state.observed, name):
        found.append(Explanation(kind="alias", name=name, words=(*notice, *_alias_words(state, policy, name))))
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


def heartbeat_words(ranked: RankedDialer) -> str:
    """Return a dialer's heartbeat in words, which stay the same while it is sound."""
    stalled = ranked.heartbeat_stalled_seconds
    if stalled is None:
        return "no heartbeat row"
    if stalled < BEATS_SECONDS:
        return "beats"
    return f"stalled for {stalled:.0f} s"


_RANK_WORDS = (
    "Where the next login goes depends on its alias: to the least loaded dialer with a phone of it, and of equals to"
    " the one that the alias lists last; hotdesk explain ALIAS says which."
)


# --- a dialer -----------------------------------------------------------------------------------------------------


def _dialer_words(state: ClusterState, policy: Policy, dialer: DialerReading) -> Iterator[str]:
    server_ip = dialer.server_ip
    if not dialer.asterisk:
        yield "It runs no Asterisk (active_asterisk_server=N), so no agent is sent there."
        return
    ranked = next(each for each in rank_dialers(state, policy) if each.server_ip == server_ip)
    evidence = f": {ranked.evidence}" if ranked.evidence else ""
    since = f" since {clock(ranked.since_ms)}" if ranked.since_ms else ""
    yield f"It is {ranked.state}{since}{evidence}."
    yield f"Its heartbeat: {heartbeat_words(ranked)}."
    yield from (f"Its {kind.upper()} is {result}." for kind, result in sorted(dialer.probes.items()))
    full = "" if ranked.max_agents is None else f", {ranked.max_agents} at most"
    yield f"{agents_words(ranked.agents)} and {_slots(ranked.slots)} there{full}; {ranked.rooms_free} rooms free."
    if ranked.rank is not None:
        yield f"It has rank {ranked.rank}. {_RANK_WORDS}"
    else:
        yield f"It takes no new logins: {because(ranked.ineligible_because)}."
    health = state.observed.health.dialers.get(server_ip)
    if health is not None and health.deaths:
        yield f"It went down {_times(health.deaths)} lately."
    drain = state.decided.orders.drains.get(server_ip)
    if drain is not None:
        yield f"{drain.by} ordered the drain{_why(drain.why)}."
    fence = state.decided.fences.get(server_ip)
    if fence is not None:
        yield f"hotdesk's fence: {sentence(fence.stage)}{_why(fence.answer)}."
    for incident in state.decided.incidents.values():
        if incident.server_ip == server_ip:
            yield from _incident_words(state, incident)


def _incident_words(state: ClusterState, incident: Incident) -> Iterator[str]:
    planned = ", as planned (a maintenance window)" if incident.in_maintenance else ""
    yield f"Incident {incident.incident} has been open since {clock(incident.opened_at_ms)}{planned}: {incident.why}."
    yield f"{progress_words(incident, advice=is_advice(_moves_of(state, incident)))}."
    if incident.withheld:
        yield f"No agent is moved now: {incident.withheld}."
    for listed in incident.listed:
        yield f"{listed_words(listed)}."
    acknowledged = state.decided.orders.acknowledged.get(incident.incident)
    if acknowledged is not None:
        yield f"Acknowledged by {acknowledged.by}{_why(acknowledged.why)}."


# --- an agent -----------------------------------------------------------------------------------------------------


def _agent_words(state: ClusterState, user: str) -> Iterator[str]:
    name = user.lower()
    session = state.observed.agents.get(name)
    if session is None:
        yield "No agent of that name is logged in."
    else:
        where = f"{session.server_ip} as {session.extension}" if session.extension else session.server_ip
        yield f"Logged in on {where}, {session.status}, campaign {session.campaign_id or 'none'}."
        if session.remote:
            yield "A remote agent, without a screen: hotdesk never moves them."
        login = state.decided.logins.get(name)
        if login is not None and login.used_by == session.live_agent_id:
            chosen = f"alias {login.alias_id}, phone {login.phone_login}"
            if login.server_ip == session.server_ip:
                yield f"hotdesk picked that dialer: {chosen}."
            else:
                yield f"hotdesk had picked {login.server_ip} for that login: {chosen}."
        elif not session.remote:
            typed = f"; typed {session.typed}" if session.typed else ""
            yield f"VICIdial chose that dialer: no pick of hotdesk's is known for that login{typed}."
        if session.external_pause:
            yield f"That screen was sent {session.external_pause}."
        yield from _screen_words(state, session)
    slot = state.decided.slots.of(user)
    if slot is not None:
        purpose = "for their move" if slot.planned else "for a login"
        yield f"A slot {purpose} on {slot.server_ip} as {slot.phone_login}, until {clock(slot.until_ms)}."
    number = None if session is None else session.live_agent_id
    yield from _action_words(state, name, number)


def _screen_words(state: ClusterState, session: AgentSession) -> Iterator[str]:
    restore = state.decided.screen_restores.get(session.live_agent_id)
    if session.screen_lost:
        yield "VICIdial no longer knows that screen, since its database was restarted."
    elif session.screen_silent_since_ms is not None:
        yield f"That screen has been silent since {clock(session.screen_silent_since_ms)}: closed, asleep, or dead."
    if restore is not None:
        yield f"A restore of that screen: {sentence(restore.stage)}{_why(restore.answer)}."


def _action_words(state: ClusterState, name: str, live_agent_id: int | None) -> Iterator[str]:
    for move in state.decided.relogins.values():
        if move.user.lower() == name:
            route = f"from {move.from_server_ip} to {move.to_server_ip} for {move.incident}"
            yield f"A move {route}: {sentence(move.stage)}{_why(move.answer)}."
    for pause in state.decided.agent_pauses.values():
        if pause.user.lower() == name:
            yield f"An agent pause, so that they get no calls: {sentence(pause.stage)}{_why(pause.answer)}."
    for arrival in state.decided.arrivals.values():
        if arrival.user.lower() == name:
            yield f"An arrival on {arrival.server_ip}: {sentence(arrival.stage)}{_why(arrival.answer)}."
    for incident in state.decided.incidents.values():
        for listed in incident.listed:
            if listed.user.lower() == name and listed.live_agent_id == live_agent_id:
                yield f"In the incident of {incident.server_ip}: {listed_words(listed)}."


# --- an alias -----------------------------------------------------------------------------------------------------


def _alias_words(state: ClusterState, policy: Policy, typed: str) -> Iterator[str]:
    alias = state.observed.aliases.get(compared(typed))
    logins = resolve(state.observed, typed)
    if alias is not None:
        yield f"A phone alias that stands for {', '.join(logins)}."
    elif len(logins) > 1:
        yield "A list of phone logins, treated like an alias."
    else:
        yield "One phone's login: there is nothing to choose."
    ranking = rank_alias(state, policy, typed, "")
    if ranking is not None:
        yield _next_login(ranking, weighed=bool(state.observed.weight_shares))
        yield from map(_phone_words, ranking.phones)
    if alias is not None:
        yield from (f"{each.severity}: {each.what}; {each.remedy}." for each in alias_findings(state, alias))


def _next_login(ranking: AliasRanking, *, weighed: bool) -> str:
    load = "fewest agents and slots for its weight" if weighed else "fewest agents and slots"
    best = ranking.best
    if best is None:
        return "No pick now: none of its dialers takes new logins. VICIdial chooses."
    offered = [phone for phone in ranking.phones if phone.rank is not None]
    goes = f"The next login goes to {best.phone_login} on {best.server_ip}"
    if len(offered) == 1:
        return f"{goes}: the only one that takes new logins."
    if offered[1].load == best.load:
        return f"{goes}: the load is equal, and of equals VICIdial chooses the last listed."
    return f"{goes}: the {load}."


def _phone_words(phone: RankedPhone) -> str:
    where = f"{phone.phone_login} on {phone.server_ip}" if phone.server_ip else phone.phone_login
    if not phone.server_ip:
        return f"{where}: {because(phone.ineligible_because)}."
    there = f"{where}: {agents_words(phone.agents)}, {_slots(phone.slots)}"
    if phone.rank is None:
        return f"{there}; not offered: {because(phone.ineligible_because)}."
    doubt = f"; only as a last resort: {because(phone.ineligible_because)}" if phone.ineligible_because else ""
    return f"{there}; rank {phone.rank}{doubt}."


# --- words --------------------------------------------------------------------------------------------------------


def agents_words(count: int) -> str:
    """Return a number of agents in words."""
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
    """Return True if an incident's moves are only advised, and no screen is sent a logout."""
    return any(each.stage is ReloginStage.ADVISED for each in moves)


def _moves_of(state: ClusterState, incident: Incident) -> Iterator[Relogin]:
    return (each for each in state.decided.relogins.values() if each.incident == incident.incident)


def progress_words(incident: Incident, *, advice: bool) -> str:
    """Return the progress of an incident's moves in words; advice moves no agent."""
    left = f"{agents_words(incident.agents)} still there"
    moves = "1 move" if incident.moves == 1 else f"{incident.moves} moves"
    return (
        f"{left}, {moves} advised"
        if advice
        else f"{left}, {moves} planned, {incident.sent} sent, {incident.moved} logged in on another dialer,"
        f" {incident.arrived} arrived"
    )


def listed_words(listed: Listed) -> str:
    """Return in words why an agent is listed."""
    arrived = "has not arrived" if listed.why in NOT_ARRIVED else "is not moved"
    facts = (listed.phone_login, listed.server_ip and f"on {listed.server_ip}", listed.peer_status.lower())
    phone = " ".join(filter(None, facts))
    return f"{listed.user} {arrived}: {sentence(listed.why)}{f' ({phone})' if phone else ''}"


def silent_screens(state: ClusterState) -> int:
    """Return how many agents have a screen that asks VICIdial for nothing."""
    return sum(each.silent_screens for each in state.observed.dialers.values())


def lost_screens(state: ClusterState) -> int:
    """Return how many agents have a screen that VICIdial no longer knows."""
    return sum(each.lost_screens for each in state.observed.dialers.values())


def is_unjudged(state: ClusterState) -> bool:
    """Return True if polls come in that no controller judges."""
    return state.observed.observed_at_ms - state.observed.health.polled_at_ms > UNJUDGED_MS


def why_words(ranked: RankedDialer) -> str:
    """Return the evidence for a dialer's state and the reasons against new logins there; empty: it is simply up."""
    # a state that is also the reason is listed once
    reasons = [sentence(each) for each in ranked.ineligible_because if each.value != ranked.state.value]
    return "; ".join(each for each in (ranked.evidence, *reasons) if each)


def name_of(state: ClusterState, server_ip: ServerIp) -> str:
    """Return a dialer's name for people: its id and address."""
    dialer = state.observed.dialers.get(server_ip)
    return server_ip if dialer is None or not dialer.server_id else f"{dialer.server_id} ({server_ip})"


def sentence_about(state: ClusterState, *, stale: bool) -> str:
    """Return the summary of a cluster, in one sentence."""
    doubt = _doubt_words(state, stale=stale)
    lost = lost_screens(state)
    if not doubt and lost:
        return f"VICIdial no longer knows the screens of {agents_words(lost)}: its database was restarted."
    return " ".join(filter(None, (doubt or _dialers_words(state), "" if stale else unread_words(state))))


def unread_words(state: ClusterState) -> str:
    """Return which tables of VICIdial's cannot be read, since when and why; empty: all are read."""
    poll = state.observed.poll
    if poll is None:
        return ""
    return " ".join(
        f"{each.table} has not been read for {round((poll.observed_at_ms - each.since_ms) / 1000)} s:"
        f" {sentence(each.why)}."
        for each in poll.unread
    )


def why_nothing_is_known(state: ClusterState) -> str:
    """Return why no answer about aliases, phones or agents would mean anything; empty: they were read."""
    poll = state.observed.poll
    if poll is None:
        return why_unknown(state)
    if not state.observed.agents_known:
        return "its agents have not been read yet"
    unread = poll.full_sequence is None and not (state.observed.phones and state.observed.aliases)
    return "its phones and aliases have not been read yet" if unread else ""


def why_unknown(state: ClusterState) -> str:
    """Return why nothing is known of a cluster without polls: what its collector says, if it says something."""
    if state.observed.outage is not None:
        return f"the database cannot be read: {state.observed.outage.why}"
    return "no poll came in yet" if state.observed.poll is None else "no poll came in for 5 seconds"


def _doubt_words(state: ClusterState, *, stale: bool) -> str:
    """Return why no agent is moved, whatever the dialers' states; empty: no such reason."""
    if stale:
        return f"Nothing is known: {why_unknown(state)}. VICIdial chooses where agents log in."
    if state.observed.outage is not None:
        return f"The database cannot be read: {state.observed.outage.why}. No agent is moved for that."
    if state.observed.poll is not None and (none := no_dialer_words(state)):
        return none
    return _withheld_words(state)


def _withheld_words(state: ClusterState) -> str:
    """Return why no agent is moved although the view is fresh and there are dialers; empty: no such reason."""
    pause = state.decided.orders.pause
    if pause is not None:
        dead = [f" {name_of(state, ip)} is down." for ip in sorted(_down(state))]
        return f"Suspended by {pause.by}{_why(pause.why)}.{''.join(dead)}"
    doubt = collectors_doubt(state.observed) or state.observed.health.brake
    if doubt:
        return f"No agent is moved: {doubt}."
    if is_unjudged(state):
        return "No controller decides: the dialers have no recent verdict, and no agent is moved."
    return ""


def _down(state: ClusterState) -> list[ServerIp]:
    return [ip for ip, each in state.observed.health.dialers.items() if each.state is DialerState.DOWN]


def no_dialer_words(state: ClusterState) -> str:
    """Return why no dialer at all could take a login, by VICIdial's own table of servers; empty: one could."""
    servers = state.observed.dialers.values()
    dialers = [each for each in servers if each.asterisk]
    if not servers:
        return "There is no dialer: VICIdial's table servers is empty. Is it the right database?"
    if not dialers:
        return "There is no dialer: no server has active_asterisk_server=Y in VICIdial."
    if not any(each.active for each in dialers):
        return f"No dialer is switched on: {_all(len(dialers))} active=N in VICIdial."
    if not any(each.active and each.agent_logins for each in dialers):
        return f"No dialer takes agent logins: {_all(len(dialers))} active_agent_login_server=N in VICIdial."
    return ""


def _all(dialers: int) -> str:
    return "the only one has" if dialers == 1 else f"all {dialers} have"


def _dialers_words(state: ClusterState) -> str:
    troubled = [
        f"{name_of(state, ip)} is {each.state}"
        for ip, each in sorted(state.observed.health.dialers.items())
        if each.state is not DialerState.UP
    ]
    if not troubled:
        return f"All {len(state.observed.health.dialers)} dialers are up."
    moved = [each for each in state.decided.incidents.values() if each.moves]
    total, landed = sum(each.moves for each in moved), sum(each.moved for each in moved)
    so_far = f" {landed} of {total} moved agents are logged in on another dialer." if moved else ""
    if any(is_advice(_moves_of(state, each)) for each in moved):
        so_far = f" hotdesk only advises: {total} agents should be moved."
    return f"{'; '.join(troubled)}.{so_far}"
