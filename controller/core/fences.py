"""Fences: close a dialer to the logins that VICIdial itself would send there. Pure.

VICIdial's own page goes on choosing a dead dialer for up to two minutes, and one that hotdesk drains for good: it would
send those who were logged out straight back. Without the login hook only `servers.active_agent_login_server` stops
that. The switch belongs to other people, so hotdesk records its plan before it touches the switch, and sets it back
only if hotdesk itself had changed it. A plan without a known outcome is looked at until it is known, and an opening
that VICIdial refused is tried again.
"""

from collections.abc import Iterator
from functools import partial

import msgspec

from controller.core.actions import ActionChange
from controller.core.detector import doubt_about, is_down, is_seen_up, is_to_be_emptied
from controller.core.hooks import asked_lately
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.codes import DecisionCode, NotFenced, Reason
from messages.records import DialerState, Fence, FenceStage, Incident, ServerIp, Unfence
from messages.words import sentence

OPENED_SECONDS = 30.0
"""A poll that was read before hotdesk opened a dialer again may be folded this much later: its N is still hotdesk's."""
AGAIN_SECONDS = 60.0
"""After this time a fence that could not be opened is opened again, and one that is not clear is looked at again: the
database was read-only, or the account lacked a grant that it has by now."""
LOOKED_AT_SHARE = 0.1
"""A fence that is not clear for long is looked at ever more seldom: after this share of its age."""
_OURS = {FenceStage.PLANNED, FenceStage.LOOKING, FenceStage.TAKEN, FenceStage.RETURNING}
STANDING = {FenceStage.TAKEN, FenceStage.UNCLEAR}
"""Stages of a fence that a person may order to be opened again."""
_TAKING_LOGINS = {DialerState.UP, DialerState.RECOVERING}
_OVER = {FenceStage.NOT_TAKEN, FenceStage.RETURNED}


def fenced(state: ClusterState) -> frozenset[ServerIp]:
    """Return the dialers whose `active_agent_login_server='N'` comes from hotdesk and from no person."""
    return frozenset(each.server_ip for each in state.decided.fences.values() if _is_ours(state, each))


def fence_changes(
    state: ClusterState, policy: Policy, by: str, *, acts: bool, withheld: Reason | None
) -> Iterator[ActionChange]:
    """Yield the changes of this poll: fences to take, to open again and to end."""
    for fence in state.decided.fences.values():
        change = _reconsider(state, policy, fence, by, acts=acts, withheld=withheld)
        if change is not None:
            yield change
    if _fences(state, policy) and withheld is None:
        yield from _new_fences(state, policy, by, acts=acts)


def _fences(state: ClusterState, policy: Policy) -> bool:
    """Return True if dialers are fenced. Nothing is fenced by default where the login hook keeps agents away."""
    if policy.fence is not None:
        return policy.fence
    return policy.acts and not asked_lately(state.decided.hooks, state.observed.observed_at_ms)


def _reconsider(  # noqa: PLR0913 # what a fence rests on
    state: ClusterState, policy: Policy, fence: Fence, by: str, *, acts: bool, withheld: Reason | None
) -> ActionChange | None:
    closing = _is_to_be_closed(state, policy, fence.server_ip)
    needed = closing or _is_down(state, fence.server_ip)
    order = state.decided.orders.unfences.get(fence.server_ip)
    ordered = order is not None and order.planned_at_ms == fence.planned_at_ms
    # advice from before the mode became act is no order: a fence is planned anew, if there is to be one
    advice = acts and fence.not_yet is NotFenced.ADVISED
    if advice or (fence.stage in _OVER and not (needed or _is_being_opened(state, fence))):
        return ActionChange(fence, None, over=True)
    if fence.stage is FenceStage.PLANNED and not (closing or (needed and not _works_again(state, fence.server_ip))):
        answer = "the dialer was to take logins again before hotdesk knew whether it had closed it"
        return ActionChange(_changed(state, fence, FenceStage.LOOKING, by, answer), DecisionCode.FENCE_UNCLEAR, answer)
    if withheld is not None:
        return None
    return _opened_or_looked_at(state, fence, by, order if ordered else None, needed=needed)


def _opened_or_looked_at(
    state: ClusterState, fence: Fence, by: str, order: Unfence | None, *, needed: bool
) -> ActionChange | None:
    """Return the change of a fence that stands: a person ordered it opened, it is needed no more, or is not clear."""
    if fence.stage not in STANDING:
        return None
    waits = fence.stage is FenceStage.UNCLEAR and not _is_due_again(state, fence)
    opened = partial(ActionChange, _changed(state, fence, FenceStage.RETURNING, by), DecisionCode.UNFENCE_PLANNED)
    # what VICIdial refused after the order waits as any other
    if order is not None and not (waits and order.ordered_at_ms < fence.changed_at_ms):
        return opened(f"ordered by {order.by}")
    if waits:
        return None
    if fence.taken:
        up = is_seen_up(state.observed.health.dialers.get(fence.server_ip))
        return opened("the dialer takes logins again") if up and not needed else None
    return ActionChange(_changed(state, fence, FenceStage.LOOKING, by, fence.answer), None)


def _is_due_again(state: ClusterState, fence: Fence) -> bool:
    age_ms = 0 if fence.taken else fence.changed_at_ms - fence.planned_at_ms
    waits_ms = max(AGAIN_SECONDS * 1000, LOOKED_AT_SHARE * age_ms)
    return state.observed.observed_at_ms - fence.changed_at_ms >= waits_ms


def _new_fences(state: ClusterState, policy: Policy, by: str, *, acts: bool) -> Iterator[ActionChange]:
    taking = fenced(state)
    for incident in state.decided.incidents.values():
        server_ip = incident.server_ip
        if not _needs_fence(state, policy, incident):
            continue
        fence = Fence(
            cluster=state.cluster,
            server_ip=server_ip,
            incident=incident.incident,
            planned_at_ms=state.observed.observed_at_ms,
            wanted=policy.fence is True,
            changed_at_ms=state.observed.observed_at_ms,
            by=by,
        )
        known = state.decided.fences.get(server_ip)
        if not any(_takes_logins(state, other) for other in state.observed.dialers.keys() - taking - {server_ip}):
            not_yet = NotFenced.LAST_DIALER
        elif not acts:
            not_yet = NotFenced.ADVISED
        else:
            taking |= {server_ip}
            yield ActionChange(fence, DecisionCode.FENCE_PLANNED, incident.why)
            continue
        if known is not None and known.not_yet is not_yet:
            continue  # it has been said
        why = sentence(not_yet)
        not_taken = msgspec.structs.replace(fence, stage=FenceStage.NOT_TAKEN, not_yet=not_yet, answer=why)
        if not_yet is NotFenced.ADVISED:
            yield ActionChange(not_taken, DecisionCode.FENCE_ADVISED, incident.why)
        else:
            yield ActionChange(not_taken, DecisionCode.FENCE_NOT_TAKEN, why)


def _needs_fence(state: ClusterState, policy: Policy, incident: Incident) -> bool:
    server_ip = incident.server_ip
    dialer, known = state.observed.dialers.get(server_ip), state.decided.fences.get(server_ip)
    decided = known is not None and known.not_yet is None
    if decided or dialer is None or not dialer.agent_logins:
        return False
    if incident.kind is DialerState.DRAINING:
        # with active='N' VICIdial sends no logins there
        return dialer.active and _is_to_be_closed(state, policy, server_ip)
    if incident.kind is not DialerState.DOWN:
        return False
    if _works_again(state, server_ip):
        return False
    return _is_down(state, server_ip) and doubt_about(state, policy, server_ip) is None


def _works_again(state: ClusterState, server_ip: ServerIp) -> bool:
    """Return True if a dialer is down only since its Asterisk has started again."""
    health = state.observed.health.dialers.get(server_ip)
    return health is not None and health.interrupted


def _takes_logins(state: ClusterState, server_ip: ServerIp) -> bool:
    dialer, health = state.observed.dialers[server_ip], state.observed.health.dialers.get(server_ip)
    return dialer.active and dialer.agent_logins and health is not None and health.state in _TAKING_LOGINS


def _is_ours(state: ClusterState, fence: Fence) -> bool:
    """Return True if the flag of a dialer says what hotdesk has made of it, and no person."""
    if fence.stage is FenceStage.UNCLEAR or (fence.stage is FenceStage.LOOKING and fence.was_unclear):
        return fence.taken
    return fence.stage in _OURS or _was_just_opened(state, fence)


def _is_being_opened(state: ClusterState, fence: Fence) -> bool:
    """Return True if hotdesk has just opened a dialer again, and no poll shows that yet."""
    dialer = state.observed.dialers.get(fence.server_ip)
    return _was_just_opened(state, fence) and dialer is not None and not dialer.agent_logins


def _was_just_opened(state: ClusterState, fence: Fence) -> bool:
    opened_ms = state.observed.observed_at_ms - fence.changed_at_ms
    return fence.stage is FenceStage.RETURNED and opened_ms < OPENED_SECONDS * 1000


def _is_to_be_closed(state: ClusterState, policy: Policy, server_ip: ServerIp) -> bool:
    """Return True if no login is to reach a dialer that lives: it is to be emptied, and another one can take them."""
    others = (each for ip, each in state.observed.dialers.items() if ip != server_ip)
    if not any(each.active and each.agent_logins and not _is_down(state, each.server_ip) for each in others):
        return False  # agents who could log in nowhere would be worse off than without hotdesk
    return is_to_be_emptied(server_ip, state.decided.orders, policy, state.observed.wall_ms)


def _is_down(state: ClusterState, server_ip: ServerIp) -> bool:
    return is_down(state.observed.health.dialers.get(server_ip))


def _changed(state: ClusterState, fence: Fence, stage: FenceStage, by: str, answer: str = "") -> Fence:
    return msgspec.structs.replace(
        fence, stage=stage, changed_at_ms=state.observed.observed_at_ms, answer=answer, by=by
    )
