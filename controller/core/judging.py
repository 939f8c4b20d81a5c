"""Judge a cluster's dialers by all that is known of it: a live controller and a replay do so alike. Pure."""

from controller.core.detector import judge_fleet
from controller.core.fences import fenced
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.records import FleetHealth, Poll


def judge(state: ClusterState, poll: Poll, policy: Policy) -> FleetHealth:
    """Return the states of the dialers after the poll just folded."""
    observed = state.observed
    return judge_fleet(
        observed.health,
        poll,
        policy,
        state.decided.orders,
        fenced=fenced(state),
        newest_session=observed.newest_session,
        sessions=observed.agents.values(),
    )
