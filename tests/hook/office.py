"""A call center with hotdesk, and a web server that asks it at each login."""

from typing import NamedTuple

from simulator.cluster import SimulatedCluster
from simulator.plan import ClusterPlan
from tests.support.processes import Client, Site
from tests.support.web import Web

PLAN = ClusterPlan(dialers=3, agents=80, remote_agents=1)


class Office(NamedTuple):
    """A call center with hotdesk and the hook."""

    site: Site
    cluster: SimulatedCluster
    hotdesk: Client
    web: Web
