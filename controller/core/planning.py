"""Make one plan for each poll: follow up moves and arrivals, then incidents, orders, fences, agent pauses. Pure."""

from collections.abc import Set as AbstractSet

from controller.core.actions import AttemptId
from controller.core.agent_pauses import AgentPausePlanner
from controller.core.arrivals import Arrivals
from controller.core.fences import fence_changes
from controller.core.incidents import Incidents
from controller.core.moves import Moves
from controller.core.plan import NOTHING, Plan, PlanBuilder, trouble_of, why_withheld
from controller.core.policy import Policy
from controller.core.screen_restores import plan_restores
from controller.core.state import ClusterState
from messages.codes import Reason
from messages.records import AgentSession, DialerState, Incident, ServerIp


def make_plan(  # noqa: PLR0913 # its facts, each once
    state: ClusterState,
    policy: Policy,
    by: str,
    *,
    acts: bool,
    doubt: Reason | None = None,
    submitted: AbstractSet[AttemptId] = frozenset(),
) -> Plan:
    """Return the plan of the latest poll.

    Args:
        state: as of that poll, judged. It is not changed: `controller.core.plan.apply_plan` does that.
        policy: the cluster's.
        by: name of the process that decides.
        acts: the mode is act: actions are carried out; otherwise they are advice.
        doubt: a reason that the records cannot have, such as that the poll is old; it only ever withholds.
        submitted: the attempts that an executor has, and has not reported.
    """
    decided = state.decided
    under_way = decided.incidents or decided.relogins or decided.agent_pauses or decided.arrivals or decided.fences
    screens = decided.screen_restores or any(each.lost_screens for each in state.observed.dialers.values())
    if not (under_way or screens or decided.orders.moves or _is_troubled(state, policy)):
        return NOTHING
    plan = PlanBuilder(
        state, policy, by, acts=acts, withheld=why_withheld(state, doubt, acts=acts), submitted=submitted
    )
    moves = Moves(plan)
    moves.follow_up()
    arrivals = Arrivals(plan, moves.logged_in)
    arrivals.follow_up()
    dead = _plan_incidents(plan, moves, arrivals)
    moves.move_by_order()
    for change in fence_changes(state, policy, by, acts=acts, withheld=plan.withheld):
        plan.change(change)
    pauses = AgentPausePlanner(state, policy, moves.relogins, dead, by)
    for change in pauses.changes(acts=acts, withheld=plan.withheld):
        plan.change(change)
    if screens:
        plan_restores(plan)
    moves.end_advice()
    return plan.plan


def _is_troubled(state: ClusterState, policy: Policy) -> bool:
    return any(trouble_of(policy, each) is not None for each in state.observed.health.dialers.values())


def _plan_incidents(plan: PlanBuilder, moves: Moves, arrivals: Arrivals) -> dict[str, Incident]:
    """Update every dialer's incident; return the open incidents of dialers that are down, by id."""
    state, incidents = plan.state, Incidents(plan, moves, arrivals)
    on_dialer = _agents_by_dialer(state)
    open_by_dialer = {each.server_ip: each for each in state.decided.incidents.values()}
    dead: dict[str, Incident] = {}
    for server_ip, health in state.observed.health.dialers.items():
        incident = incidents.reconsider(server_ip, health, open_by_dialer.pop(server_ip, None))
        if incident is not None:
            incidents.move_agents(incident, on_dialer.get(server_ip, []))
            if incident.kind is DialerState.DOWN:
                dead[incident.incident] = incident
    for incident in open_by_dialer.values():
        incidents.close(incident, "the dialer no longer exists")
    return dead


def _agents_by_dialer(state: ClusterState) -> dict[ServerIp, list[AgentSession]]:
    found: dict[ServerIp, list[AgentSession]] = {}
    for session in state.observed.agents.values():
        found.setdefault(session.server_ip, []).append(session)
    return found
