"""What clusters do to each other, which is to be nothing: looked at where a seed has several."""

from collections.abc import Mapping, Sequence

from messages.topics import Topic, partition_of
from tests.simulation.faults import Stage
from tests.simulation.watch import BELIEF_SECONDS, BrokenError
from tests.simulation.wire import Wire
from tests.support.invariants import Invariant

SETTLED_SECONDS = 8.0
"""What happened to a cluster, or to what all share, keeps hotdesk from its work there no longer than this."""
RANKED_SECONDS = 3.0
"""From one ranking of a cluster to the next: a poll, two turns, and an append that is lost."""
COMMITTED_SECONDS = 3.0
"""From a plan to the beginning of its commit: a claim that is lost is made anew meanwhile."""
BEGUN_SECONDS = 12.0
"""From a committed action to its beginning: the pace of moves holds up the last of them."""


class Apart:
    """Check that each cluster is decided for in its time, by one process, and under its own name.

    What happens to the one cluster excuses nothing in the other.
    """

    def __init__(self, stages: Sequence[Stage], wires: Sequence[Wire], marks: Mapping[str, Sequence[str]]) -> None:
        """Begin; `marks` are words by cluster that no record of another has."""
        self._stages = stages
        self._wires = wires
        self._marks = marks
        self._ranked_at: dict[str, float] = {}
        self._read = [0] * len(wires)
        """By partition: how many rankings were looked at."""
        self._troubled_at = dict.fromkeys((each.watch.cluster for each in stages), 0.0)
        """When acts in a cluster last had to wait for VICIdial."""
        self.over = False
        """The collectors have ended, so nothing new is decided."""

    def look(self) -> None:
        """Check each cluster."""
        self._look_at_rankings()
        for stage in self._stages:
            self._has_one_owner(stage)
            now, world, watch = stage.world.clock.now, stage.world, stage.watch
            if stage.hands.hang or world.slow or world.locked or not world.database_up:
                self._troubled_at[watch.cluster] = now
            if not (watch.hindered or self.over) and now - watch.unsteady_at > SETTLED_SECONDS:
                self._is_in_time(stage, now)

    def _look_at_rankings(self) -> None:
        for number, wire in enumerate(self._wires):
            rankings = wire.topics[Topic.RANKINGS]
            for each in rankings[self._read[number] :]:
                self._ranked_at[each.key.partition("/")[0]] = wire.clock.now
            self._read[number] = len(rankings)

    def _is_in_time(self, stage: Stage, now: float) -> None:
        cluster = stage.watch.cluster
        waits = {"no ranking": (now - self._ranked_at.get(cluster, now), RANKED_SECONDS)}
        for controller in stage.controllers:
            if controller.decides(cluster):
                waits["no commit of a plan"] = now - controller.plan_waits_since(cluster), COMMITTED_SECONDS
                if now - self._troubled_at[cluster] > SETTLED_SECONDS:
                    waits["an action not begun"] = now - controller.action_waits_since(cluster), BEGUN_SECONDS
        for what, (seconds, most) in waits.items():
            if seconds > most:
                why = f"{what} for {seconds:.1f} s in {cluster}, where nothing is wrong"
                raise BrokenError(Invariant.ONE_FOR_ANOTHER, why)

    def _has_one_owner(self, stage: Stage) -> None:
        cluster, partition = stage.watch.cluster, stage.wire.partition
        acting = [each.name for each in stage.controllers if each.answers and each.may_act(cluster)]
        late = [each for each in acting if stage.group.lost_seconds(each, partition) > BELIEF_SECONDS]
        if late:
            raise BrokenError(Invariant.DECIDED_BY_ANOTHER, f"{late[0]} may act for {cluster}, and does not own it")

    def at_rest(self) -> None:
        """Check that every record is in its cluster's partition, and names nothing of another cluster."""
        for wire in self._wires:
            for topic in Topic:
                for stored in wire.topics[topic]:
                    cluster = stored.key.partition("/")[0]
                    text = stored.key.encode() + (stored.value or b"")
                    foreign = [
                        word
                        for other, words in self._marks.items()
                        for word in words
                        if other != cluster and word.encode() in text
                    ]
                    if foreign or partition_of(cluster, len(self._wires)) != wire.partition:
                        raise BrokenError(
                            Invariant.ONE_FOR_ANOTHER, f"{stored.key} of {topic} names {foreign}, of another cluster"
                        )
