"""Screen restores: whose screen VICIdial is to know again, after a restart of the database. Pure.

VICIdial keeps the session of each screen in a table in memory. A restart empties it, and from then on each screen is
refused whatever it asks: it stands still, its agent can neither hang up nor choose a disposition, and no logout reaches
it. Everything else of the session is still there.
"""

from controller.core.plan import PlanBuilder
from messages.codes import DecisionCode, ReasonCode
from messages.records import ScreenRestore


def plan_restores(plan: PlanBuilder) -> None:
    """Plan the restore of each lost screen, once, and end those whose screens are known again or gone."""
    known = plan.state.decided.screen_restores
    lost = {each.live_agent_id: each for each in plan.state.observed.agents.values() if each.screen_lost}
    for restore in known.values():
        if restore.live_agent_id not in lost:
            plan.end(restore)
    if not plan.acts or (plan.withheld is not None and plan.withheld.code is ReasonCode.SUSPENDED):
        return
    for session in lost.values():
        if session.live_agent_id in known:
            continue
        plan.add(
            ScreenRestore(
                cluster=plan.state.cluster,
                live_agent_id=session.live_agent_id,
                user=session.user,
                server_ip=session.server_ip,
                planned_at_ms=plan.now_ms,
                changed_at_ms=plan.now_ms,
                by=plan.by,
            )
        )
        why = "VICIdial no longer knows their screen: the database was restarted"
        plan.decide(DecisionCode.SCREEN_RESTORE_PLANNED, why, session.user)
