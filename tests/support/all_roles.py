"""hotdesk with all its roles in this process, and a call center whose agents log in through it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.core.policy import Policy
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from simulator.agents import Habits
from simulator.cluster import SimulatedCluster
from simulator.desks import Pick
from tests.support.processes import CLUSTER, Client, Site, until

AT_WORK = Habits(arrival=(0, 2), session=(10_000, 10_000), relogin=(0.2, 0.5))
"""Everybody comes in at once and stays; a screen that was told to log out is back within half a second."""


@contextmanager
def running(
    folder: Path, at: Site, *, acts: bool, policy: Policy | None = None, actuators: ActuatorSettings | None = None
) -> Iterator[Client]:
    """Run all roles in this process; moves are carried out by SQL if nothing else is said, or only advised."""
    wanted = Wanted(
        roles=frozenset(Role),
        log=LogOptions(path=folder / "log.db", partitions=4),
        api=ApiOptions(port=0),
        databases={CLUSTER: at.settings},
        policies={CLUSTER: policy or Policy(acts=acts)},
        probes={CLUSTER: at.probes},
        actuators={CLUSTER: actuators or ActuatorSettings(database=at.settings)} if acts else {},
    )
    with Service(wanted) as service:
        client = Client(service.url)
        try:
            until(lambda: client.alias(at.plan.agent_plans[-1].alias), "the last desk is known")
            until(lambda: [each.state for each in client.dialers()] == ["up"] * 3, "every dialer was seen to live")
            yield client
        finally:
            client.close()


def picking(client: Client) -> Pick:
    """Let agents ask hotdesk at each login, as the login hook does."""

    def pick(user: str, alias: str, campaign: str) -> str | None:
        answer = client.ask(user, alias, campaign)
        return answer.json()["phone_login"] if answer.is_success else None

    return pick


@contextmanager
def at_work(client: Client, at: Site) -> Iterator[SimulatedCluster]:
    """Yield the cluster with everybody logged in, through hotdesk."""
    with at.living(picking(client), AT_WORK) as cluster:
        until(lambda: cluster.logged_in == len(at.plan.agent_plans), "everybody is in", 40)
        until(lambda: client.metric("hotdesk_dialer_agents") == len(at.plan.agent_plans), "everybody is counted")
        yield cluster
