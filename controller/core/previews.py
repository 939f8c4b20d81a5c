"""Previews: what an order would do, before it is given, and what one that was given does. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from controller.core.actions.relogin import IN_CALL
from controller.core.explanations import agents_words, name_of
from controller.core.plan import PlanBuilder, trouble_of
from controller.core.policy import Policy
from controller.core.state import ClusterState
from controller.core.targets import Targets
from controller.core.withdrawals import slot_of_move
from messages.records import (
    Acknowledge,
    AgentSession,
    AnyOrder,
    DialerState,
    Drain,
    Move,
    NotMoved,
    Order,
    Pause,
    Relogin,
    ReloginStage,
    Resynchronise,
    ServerIp,
    Unbrake,
    Unfence,
)
from messages.words import sentence

PLACED_AT_MOST = 100
"""Agents for whom a preview looks for a dialer: the loop that answers picks stands still meanwhile."""
ADVISES = "hotdesk only advises here"
"""It begins a clause."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """The effect that an order would have."""

    words: str
    agents: int = 0
    """How many agents it concerns."""
    in_calls: int = 0
    """How many of them are in a call."""
    to: dict[ServerIp, int] = {}
    """How many agents would go to each dialer, as things are now."""
    not_moved: dict[NotMoved, int] = {}
    """How many agents would stay, by the reason."""
    not_placed: int = 0
    """How many more there are, for whom no dialer was looked for."""


def preview_of_drain(state: ClusterState, policy: Policy, server_ip: ServerIp, *, acts: bool) -> Preview:
    """Return what a drain would do: no login goes there, and the dialer's agents leave it."""
    leaving = _leaving(state, policy, _agents_on(state, {server_ip}), last_resort=False)
    name, moved = name_of(state, server_ip), _moved_words(state, leaving, acts=acts)
    return msgspec.structs.replace(leaving, words=f"{name} gets no new logins. {moved}")


def preview_of_move(state: ClusterState, policy: Policy, session: AgentSession, *, acts: bool) -> Preview:
    """Return what the move of one agent would do."""
    leaving = _leaving(state, policy, [session], last_resort=False)
    where = f"{session.user} is on {name_of(state, session.server_ip)}."
    return msgspec.structs.replace(leaving, words=f"{where} {_moved_words(state, leaving, acts=acts)}")


def preview_of_release(state: ClusterState, policy: Policy, *, acts: bool) -> Preview:
    """Return what follows once agents are moved again: after a resume, or a release of the fleet brake."""
    troubled = {ip: trouble_of(policy, each) for ip, each in state.observed.health.dialers.items()}
    left = {ip for ip, kind in troubled.items() if kind is not None}
    last_resort = DialerState.DOWN in troubled.values()
    leaving = _leaving(state, policy, _agents_on(state, left), last_resort=last_resort)
    names = ", ".join(name_of(state, each) for each in sorted(left)) or "no dialer"
    words = (
        f"Agents leave {names}. {_moved_words(state, leaving, acts=acts)}" if leaving.agents else "No agent is moved."
    )
    return msgspec.structs.replace(leaving, words=words)


def preview_of_pause(state: ClusterState, *, acts: bool) -> Preview:
    """Return what a suspension would do."""
    under_way = [each for each in state.decided.relogins.values() if each.stage is ReloginStage.PLANNED]
    advice = "" if acts else f"{ADVISES}: nothing was to be carried out."
    held = f"{agents_words(len(under_way))} who were about to be moved stay." if under_way else ""
    goes_on = "hotdesk goes on judging and answering picks, and moves no agent until a resume."
    return Preview(words=" ".join(filter(None, (goes_on, held, advice))), agents=len(under_way))


def preview_of_opening(state: ClusterState, server_ip: ServerIp) -> Preview:
    """Return what an undrain or an unfence would do."""
    back = [each for each in _moves_off(state, server_ip) if each.stage is ReloginStage.PLANNED]
    kept = f" {agents_words(len(back))} whose move was not sent yet stay." if back else ""
    return Preview(words=f"{name_of(state, server_ip)} gets new logins again, if nothing else speaks against it.{kept}")


def _moves_off(state: ClusterState, server_ip: ServerIp) -> Iterable[Relogin]:
    return (each for each in state.decided.relogins.values() if each.from_server_ip == server_ip)


def _agents_on(state: ClusterState, dialers: set[ServerIp]) -> list[AgentSession]:
    return [each for each in state.observed.agents.values() if each.server_ip in dialers and not each.remote]


def _leaving(state: ClusterState, policy: Policy, sessions: Iterable[AgentSession], *, last_resort: bool) -> Preview:
    """Return where agents would go, one after the other, as a plan would choose."""
    plan = PlanBuilder(state, policy, "", acts=True, withheld=None)
    ahead = replace(state, decided=replace(state.decided, slots=state.decided.slots.planned()))
    targets = Targets(plan, ahead)
    agents = in_calls = not_placed = 0
    to: Counter[ServerIp] = Counter()
    not_moved: Counter[NotMoved] = Counter()
    for session in sessions:
        agents += 1
        in_calls += session.status in IN_CALL
        if agents > PLACED_AT_MOST:
            not_placed += 1
            continue
        target = targets.choose(session, last_resort=last_resort)
        if isinstance(target, NotMoved):
            not_moved[target] += 1
            continue
        alias_id, phone = target
        to[phone.server_ip] += 1
        ahead.decided.slots.add(slot_of_move(plan, session, alias_id, phone.phone_login, phone.server_ip))
    return Preview(
        words="", agents=agents, in_calls=in_calls, to=dict(to), not_moved=dict(not_moved), not_placed=not_placed
    )


def _moved_words(state: ClusterState, leaving: Preview, *, acts: bool) -> str:
    """Return in words where agents go; where hotdesk only advises, where they would go."""
    if not leaving.agents:
        return "No agent is there."
    in_calls = ""
    if leaving.in_calls:
        in_calls = f", {leaving.in_calls} in {'a call' if leaving.in_calls == 1 else 'calls'}"
    moved = sum(leaving.to.values())
    to = ", ".join(f"{name_of(state, ip)} ({count})" for ip, count in sorted(leaving.to.items()))
    goes = ("go" if moved > 1 else "goes") if acts else "would go"
    where = f"{moved} {goes} to {to}" if leaving.to else "none can be moved"
    why = "; ".join(f"{sentence(each)} ({count})" for each, count in leaving.not_moved.items())
    stay = f" Not moved: {why}." if why else ""
    after = ", those in calls when they have ended" if leaving.in_calls and leaving.to else ""
    advice = "" if acts else f" {ADVISES}: no agent is logged out."
    more = f" {leaving.not_placed} more go where there is room then." if leaving.not_placed else ""
    return f"{agents_words(leaving.agents)}{in_calls}: {where}{after}.{more}{stay}{advice}"


_ADVISED = f"; {ADVISES}: no agent is logged out"
_ORDERED: Mapping[type[Order], tuple[str, str, str]] = {
    Pause: ("cluster {cluster} is suspended until 'hotdesk resume'", "", "cluster {cluster} is no longer suspended"),
    Drain: (
        "{dialer} drains until 'hotdesk undrain {typed}'",
        f"{_ADVISED}, unless the mode becomes act before that",
        "{dialer} no longer drains",
    ),
    Move: ("{user} is moved", "", "{user} is not moved, unless that has begun"),
    Acknowledge: ("{incident} is acknowledged", "", "{incident} is no longer acknowledged"),
    Unbrake: (
        "the fleet brake of cluster {cluster} is released",
        _ADVISED,
        "the fleet brake of cluster {cluster} holds again, if as many dialers look bad",
    ),
    Unfence: ("{dialer} is opened again", "", "{dialer} stays as it is"),
    Resynchronise: ("cluster {cluster} is published again", "", ""),
}
"""The words for each order, the words added where hotdesk only advises, and those for its end."""


def ordered_words(state: ClusterState, order: AnyOrder, *, acts: bool) -> str:
    """Return in words what comes of an order; where hotdesk only advises, what would."""
    ordered, advised, _ = _ORDERED[type(order)]
    if isinstance(order, Move) and not acts:
        return f"{ADVISES}: {order.user} would be moved and is not; 'hotdesk explain {order.user}' says where to"
    return (ordered + ("" if acts else advised)).format_map(_facts(state, order))


def taken_back_words(state: ClusterState, order: AnyOrder) -> str:
    """Return in words what comes of an order's end."""
    return _ORDERED[type(order)][2].format_map(_facts(state, order))


def _facts(state: ClusterState, order: AnyOrder) -> dict[str, str]:
    server_ip = getattr(order, "server_ip", "")
    dialer = state.observed.dialers.get(server_ip)
    return {
        "cluster": state.cluster,
        "dialer": name_of(state, server_ip),
        "typed": server_ip if dialer is None or not dialer.server_id else dialer.server_id,
        "user": getattr(order, "user", ""),
        "incident": getattr(order, "incident", ""),
    }
