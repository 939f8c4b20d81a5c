"""The executors of one process, one for each cluster that acts: they come and change while it runs."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from controller.core.actions import Outcome
from controller.core.clusters import Clusters
from controller.core.policy import Policy
from controller.runtime.committer import Committer
from controller.runtime.executor import Executor
from controller.runtime.follower import Follower
from controller.runtime.metrics import ControllerInstruments
from controller.vicidial.ports import Actuators
from hotdesk.actuators import ActuatorSettings, reach
from messages.codes import Reason, ReasonCode
from messages.records import Action
from messages.words import reason


class _Wanted(NamedTuple):
    """How a cluster is acted for."""

    actuators: ActuatorSettings
    dead_call_status: str
    moves_per_second: float

    def open(self) -> Actuators:
        return Actuators(*reach(self.actuators), self.dead_call_status, self.moves_per_second)


class Executors:
    """Has what the follower decides carried out. Belongs to the thread that made it.

    A cluster keeps its executor for good, with other means or with none: two that act at once would be worse than none.
    """

    def __init__(self, name: str, clusters: Clusters, follower: Follower, instruments: ControllerInstruments) -> None:
        self._name = name
        self._clusters = clusters
        self._follower = follower
        self._instruments = instruments
        self._executors: dict[str, Executor] = {}
        """By cluster; of those that act, and that did."""
        self._acting: dict[str, _Wanted] = {}
        self._committer = Committer(clusters, follower.commit, self._executors, follower.decides)
        follower.on_plans = self._committer.commit_plans

    def fit(self, actuators: Mapping[str, ActuatorSettings], policies: Mapping[str, Policy]) -> None:
        """Act for these clusters and no others; what is under way ends as it began, and what waits goes on."""
        wanted = {
            cluster: _Wanted(settings, policies[cluster].dead_call_status, policies[cluster].moves_per_second)
            for cluster, settings in actuators.items()
        }
        for cluster in self._acting.keys() - wanted.keys():
            self._executors[cluster].use(None)
        for cluster, how in wanted.items():
            if cluster not in self._executors:
                self._executors[cluster] = self._begin(cluster, how.open())
            elif how != self._acting.get(cluster):
                self._executors[cluster].use(how.open())
        self._acting = wanted
        self._follower.act_for(wanted)

    def stop(self) -> None:
        """Ask all of them to end."""
        for executor in self._executors.values():
            executor.stop()

    def _begin(self, cluster: str, means: Actuators) -> Executor:
        def withheld() -> Reason | None:
            view = self._clusters.by_name.get(cluster)
            return self._follower.why_not(cluster) or (
                reason(ReasonCode.CLUSTER_UNKNOWN) if view is None else view.withheld
            )

        def report(action: Action, outcome: Outcome) -> None:
            self._instruments.note_outcome(action, outcome)
            self._follower.on_loop_soon(partial(self._committer.report, action, outcome))

        executor = Executor(cluster, self._name, means, withheld=withheld, report=report)
        executor.start()
        return executor
