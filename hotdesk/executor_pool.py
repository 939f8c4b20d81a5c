"""Role control: what is decided is carried out, by an executor for each cluster that acts.

They come and change while the process runs.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from controller.core.actions import Outcome
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.plan import Plan
from controller.core.policy import Policy
from controller.runtime.committer import Committer
from controller.runtime.executor import Executor
from controller.runtime.metrics import ControllerInstruments
from controller.runtime.owner import Owner
from controller.vicidial.ports import Actuators
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.actuators import reach
from hotdesk.part import Part, Shared
from hotdesk.wanted import Wanted
from messages.codes import Reason, ReasonCode
from messages.records import Action
from messages.words import reason


class _Acting(NamedTuple):
    """How a cluster is acted for."""

    settings: ActuatorSettings
    dead_call_status: str
    moves_per_second: float

    def actuators(self) -> Actuators:
        return Actuators(*reach(self.settings), self.dead_call_status, self.moves_per_second)


def _acting(settings: ActuatorSettings, policy: Policy) -> _Acting:
    return _Acting(settings, policy.dead_call_status, policy.moves_per_second)


class ExecutorPool(Part):
    """Has plans committed and their actions carried out.

    A cluster keeps its executor for good, with other actuators or with none: two that act at once would be worse than
    none. Executors have threads of their own. What they ask last of all is answered from what the event loop has
    published, whole and never changed; the clusters themselves belong to the loop.
    """

    def __init__(
        self, wanted: Wanted, shared: Shared, clusters: Clusters, owner: Owner, instruments: ControllerInstruments
    ) -> None:
        self._wanted = wanted
        self._name = shared.name
        self._loop = shared.loop
        self._clusters = clusters
        self._owner = owner
        self._instruments = instruments
        self._executors: dict[str, Executor] = {}
        """By cluster; of those that act, and that did."""
        self._acting: Mapping[str, _Acting] = {}
        self._watched: frozenset[str] = frozenset()
        """The clusters that have an executor, or are about to."""
        self._known: Mapping[str, Cluster] = {}
        """The watched clusters of which something is known. Made anew each time, never changed; other threads read only
        what each publishes as its permit."""
        self._committer = Committer(clusters, owner.commit, self._executors, owner.decides)

    def start(self) -> None:
        """Begin to act."""
        self.apply(self._wanted)

    def apply(self, wanted: Wanted) -> None:
        """Act for these clusters and no others; what is under way ends as it began, and what waits goes on."""
        acting = {name: _acting(settings, wanted.policies[name]) for name, settings in wanted.actuators.items()}
        self._watched = self._watched.union(acting)
        for name in self._acting.keys() - acting.keys():
            self._executors[name].use(None)
        for name, how in acting.items():
            if name not in self._executors:
                self._executors[name] = self._begin(name, how.actuators())
            elif how != self._acting.get(name):
                self._executors[name].use(how.actuators())
        self._acting = acting
        self._owner.act_for(acting)

    def stop(self) -> None:
        """Ask all executors to end."""
        for executor in self._executors.values():
            executor.stop()

    def take(self, plans: Mapping[str, Plan]) -> None:
        """Commit plans and have them carried out. On the event loop."""
        self._publish()
        self._committer.commit_plans(plans)

    def _begin(self, name: str, actuators: Actuators) -> Executor:
        def report(action: Action, outcome: Outcome) -> None:
            self._instruments.note_outcome(action, outcome)
            self._loop.call_soon_threadsafe(self._committer.report, action, outcome)

        executor = Executor(name, self._name, actuators, objection=partial(self._objection, name), report=report)
        executor.start()
        self._instruments.in_progress.labels(name).set_function(executor.seconds_in_progress)
        self._instruments.actions_waiting.labels(name).set_function(executor.waiting)
        return executor

    def _objection(self, name: str, action: Action) -> Reason | None:
        """Return why an action must not be carried out at this very moment; None: it may. From any thread."""
        cluster = self._known.get(name)
        if cluster is None:
            return reason(ReasonCode.CLUSTER_UNKNOWN)
        return cluster.permit.objection(action, time.monotonic(), self._owner.why_not(name))

    def _publish(self) -> None:
        """Let executors know the clusters. On the event loop."""
        known = {name: self._clusters.by_name.get(name) for name in self._watched}
        self._known = {name: cluster for name, cluster in known.items() if cluster is not None}
