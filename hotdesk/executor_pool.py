"""The executors of one process, one for each cluster that acts: they come and change while it runs."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from controller.core.acting import Outcome
from controller.core.clusters import Clusters
from controller.core.policy import Policy
from controller.runtime.committer import Committer
from controller.runtime.executor import Executor, Actuators
from controller.runtime.follower import Follower
from controller.runtime.metrics import ControllerInstruments
from hotdesk.actuators import ActuatorSettings, reach
from messages.records import Action


class _Wanted(NamedTuple):
    """How a cluster is acted for."""

    hands: ActuatorSettings
    dead_call_status: str
    moves_per_second: float

    def means(self) -> Actuators:
        return Actuators(*reach(self.hands), self.dead_call_status, self.moves_per_second)


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
        follower.on_plans = self._committer.take

    def fit(self, hands: Mapping[str, ActuatorSettings], policies: Mapping[str, Policy]) -> None:
        """Act for these clusters and no others; what is under way ends as it began, and what waits goes on."""
        wanted = {
            cluster: _Wanted(settings, policies[cluster].dead_call_status, policies[cluster].moves_per_second)
            for cluster, settings in hands.items()
        }
        for cluster in self._acting.keys() - wanted.keys():
            self._executors[cluster].use(None)
        for cluster, how in wanted.items():
            if cluster not in self._executors:
                self._executors[cluster] = self._begin(cluster, how.means())
            elif how != self._acting.get(cluster):
                self._executors[cluster].use(how.means())
        self._acting = wanted
        self._follower.act_for(wanted)

    def stop(self) -> None:
        """Ask all of them to end."""
        for executor in self._executors.values():
            executor.stop()

    def _begin(self, cluster: str, means: Actuators) -> Executor:
        def why_not() -> str:
            view = self._clusters.by_name.get(cluster)
            return self._follower.why_not(cluster) or (
                "nothing is known of the cluster now" if view is None else view.why_withheld
            )

        def report(action: Action, outcome: Outcome) -> None:
            self._instruments.note_outcome(action, outcome)
            self._follower.on_loop_soon(partial(self._committer.report, action, outcome))

        executor = Executor(cluster, self._name, means, why_not=why_not, report=report)
        executor.start()
        return executor
