"""What hotdesk's processes meet of a cluster: its VICIdial, its part of the log, and how it is to be acted for."""

from typing import NamedTuple

from controller.core.policy import Policy
from tests.simulation.hands import Hands
from tests.simulation.processes import CLUSTER, Sees
from tests.simulation.wire import Wire
from tests.simulation.world import World


class ClusterSetup(NamedTuple):
    """One cluster."""

    world: World
    wire: Wire
    """The partition of its records, which other clusters may share."""
    policy: Policy
    hands: Hands
    seen: Sees
    name: str = CLUSTER
