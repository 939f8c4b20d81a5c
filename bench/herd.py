"""`herd_spread`: how evenly many logins between two polls are spread, against VICIdial's rule and a cached ranking."""

from collections import Counter

import msgspec

from bench.results import Result
from bench.servers import Place
from collectors.observer import Observer, Removal
from controller.core.picks import Picked, PickRequest, pick, rank_alias
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.records import AgentStatus
from tests.support.crowd import Crowd
from tests.support.histories import with_rest

LOGINS, FEW_LOGINS, DIALERS, AT_ONCE = 300, 18, 6, 16
POLICY = Policy(stalled_after_seconds=60.0)


def measure(at: Place) -> list[Result]:
    """Log 300 agents in on 6 empty, equal dialers in three ways."""
    logins = FEW_LOGINS if at.short else LOGINS
    hotdesk, vicidial, cached = _with_slots(logins), _by_counts(logins, AT_ONCE), _by_counts(logins, logins)
    return [
        Result(
            name="herd_spread",
            value=hotdesk,
            unit="agents apart",
            beside=f"VICIdial's rule, {AT_ONCE} at a time: {vicidial}; a cached ranking without slots: {cached}",
            goal="<= 1",
            holds=hotdesk <= 1,
        )
    ]


def _with_slots(logins: int) -> int:
    """Return the spread if hotdesk picks for all of them from one poll."""
    crowd, state = _empty_cluster(logins)
    landed: Counter[str] = Counter()
    for agent in crowd.plan.agent_plans:
        picked = pick(state, POLICY, PickRequest(agent.user, agent.alias), "bench")
        assert isinstance(picked, Picked)
        landed[picked.slot.server_ip] += 1
    return _apart(state, landed)


def _by_counts(logins: int, at_once: int) -> int:
    """Return the spread if logins choose by counts, of which `at_once` read them before any of them shows there."""
    crowd, state = _empty_cluster(logins)
    landed: Counter[str] = Counter()
    for start in range(0, logins, at_once):
        for server_ip, dialer in state.observed.dialers.items():
            state.observed.dialers[server_ip] = msgspec.structs.replace(
                dialer, agents={AgentStatus.READY: landed[server_ip]}
            )
        for agent in crowd.plan.agent_plans[start : start + at_once]:
            ranking = rank_alias(state, POLICY, agent.alias, "")
            assert ranking is not None
            assert ranking.best is not None
            landed[ranking.best.server_ip] += 1
    return _apart(state, landed)


def _empty_cluster(logins: int) -> tuple[Crowd, ClusterState]:
    crowd = Crowd(DIALERS, logins)
    state, observer = ClusterState("bench"), Observer("bench", "bench", 1)
    for outgoing in observer.observe(0, with_rest(crowd.reading(catalogue=True), agents=[])):
        assert not isinstance(outgoing, Removal)
        state.fold(outgoing)  # type: ignore[arg-type] # what an observer publishes is observations
    return crowd, state


def _apart(state: ClusterState, landed: Counter[str]) -> int:
    counts = [landed[server_ip] for server_ip in state.observed.dialers]
    return max(counts) - min(counts)
