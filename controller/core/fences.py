"""The fence: VICIdial itself is kept from sending new logins to a dead dialer. Pure.

VICIdial's own page goes on choosing a dead dialer for up to two minutes, and where no login hook asks hotdesk only
`servers.active_agent_login_server` stops that. It is somebody else's switch, so hotdesk notes what it intends before it
touches it, gives back only what it took itself, and never the other way round: an intent without an outcome is left to
people.
"""

from collections.abc import Iterator

import msgspec

from controller.core.actions import ONLY_ADVISES, Step
from controller.core.detector import doubt_about
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.records import DialerState, Fence, FenceStage, ServerIp

_OURS = {FenceStage.PLANNED, FenceStage.TAKEN, FenceStage.RETURNING}
STANDING = {FenceStage.TAKEN, FenceStage.UNCLEAR}
"""Of these somebody may order that they are given back."""
_OVER = {FenceStage.NOT_TAKEN, FenceStage.RETURNED}


def fenced(state: ClusterState) -> frozenset[ServerIp]:
    """Name the dialers whose `active_agent_login_server='N'` is hotdesk's own doing, and nobody's wish."""
    return frozenset(each.server_ip for each in state.fences.values() if each.stage in _OURS)


def fence_steps(state: ClusterState, policy: Policy, by: str, *, acts: bool, withheld: str) -> Iterator[Step]:
    """Decide which fences are taken, given back and forgotten."""
    for fence in state.fences.values():
        step = _reconsider(state, fence, by, withheld=withheld)
        if step is not None:
            yield step
    if policy.fence and not withheld:
        yield from _new(state, by, acts=acts)


def _reconsider(state: ClusterState, fence: Fence, by: str, *, withheld: str) -> Step | None:
    down = _is_down(state, fence.server_ip)
    order = state.orders.unfences.get(fence.server_ip)
    ordered = order is not None and order.planned_at_ms == fence.planned_at_ms
    if fence.stage in _OVER and not down:
        return Step(fence, "", over=True)
    if fence.stage is FenceStage.PLANNED and not down:
        answer = "the dialer came back before it was known whether the fence was taken"
        return Step(_changed(state, fence, FenceStage.UNCLEAR, by, answer), "left a fence to people", answer)
    if withheld:
        return None
    if fence.stage is FenceStage.TAKEN and not down:
        return Step(
            _changed(state, fence, FenceStage.RETURNING, by), "ordered a fence given back", "the dialer is back"
        )
    if ordered and order is not None and fence.stage in STANDING:
        why = f"ordered by {order.by}"
        return Step(_changed(state, fence, FenceStage.RETURNING, by), "ordered a fence given back", why)
    return None


def _new(state: ClusterState, by: str, *, acts: bool) -> Iterator[Step]:
    now_ms = state.observed_at_ms
    taking = fenced(state)
    for incident in state.incidents.values():
        server_ip = incident.server_ip
        dialer = state.dialers.get(server_ip)
        if incident.kind is not DialerState.DOWN or server_ip in state.fences or dialer is None:
            continue
        if not dialer.agent_logins or not _is_down(state, server_ip) or doubt_about(state, server_ip):
            continue
        fence = Fence(
            cluster=state.cluster,
            server_ip=server_ip,
            incident=incident.incident,
            planned_at_ms=now_ms,
            changed_at_ms=now_ms,
            by=by,
        )
        if not any(_takes_logins(state, other) for other in state.dialers.keys() - taking - {server_ip}):
            why = "it is the last dialer that VICIdial could send a login to"
            yield Step(_changed(state, fence, FenceStage.NOT_TAKEN, by, why), "did not fence a dialer", why)
        elif not acts:
            what = f"would have fenced a dialer{ONLY_ADVISES}"
            yield Step(_changed(state, fence, FenceStage.NOT_TAKEN, by, what), what, incident.why)
        else:
            taking |= {server_ip}
            yield Step(fence, "ordered a dialer fenced", incident.why)


def _takes_logins(state: ClusterState, server_ip: ServerIp) -> bool:
    dialer, health = state.dialers[server_ip], state.health.dialers.get(server_ip)
    return dialer.active and dialer.agent_logins and health is not None and health.state is DialerState.UP


def _is_down(state: ClusterState, server_ip: ServerIp) -> bool:
    health = state.health.dialers.get(server_ip)
    return health is not None and health.life is DialerState.DOWN


def _changed(state: ClusterState, fence: Fence, stage: FenceStage, by: str, answer: str = "") -> Fence:
    return msgspec.structs.replace(fence, stage=stage, changed_at_ms=state.observed_at_ms, answer=answer, by=by)
