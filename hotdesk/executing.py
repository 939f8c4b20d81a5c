"""The executors of one process, one for each cluster that acts: they come, change and go while it runs."""

import time
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import structlog

from controller.acting import Outcome, Reply
from controller.committing import Committer
from controller.desk import Desk
from controller.executor import Executor
from controller.follower import Follower
from controller.instruments import ControllerInstruments
from controller.policy import Policy
from hotdesk.hands import HandSettings, reach
from messages.records import Errand

ACT_SECONDS = 15.0
"""An act is at most some statements, each with a time limit of its own; it is waited for no longer than this."""

log = structlog.get_logger()


class _Means(NamedTuple):
    """What an executor works with."""

    hands: HandSettings
    dead_call_status: str
    moves_per_second: float


class Executors:
    """Has what the follower decides carried out. Belongs to the thread that made it."""

    def __init__(self, name: str, desk: Desk, follower: Follower, instruments: ControllerInstruments) -> None:
        self._name = name
        self._desk = desk
        self._follower = follower
        self._instruments = instruments
        self._working: dict[str, Executor] = {}
        """By cluster."""
        self._means: dict[str, _Means] = {}
        self._stuck: set[str] = set()
        """Clusters whose former executor would not end: two that act at once would be worse than none."""
        self._committer = Committer(desk, follower.commit, self._working, follower.decides)
        follower.on_turns = self._committer.take

    def fit(self, hands: Mapping[str, HandSettings], policies: Mapping[str, Policy]) -> None:
        """Act for these clusters and no others; whose means are as they were goes on undisturbed.

        What an executor had not begun when it was replaced is given back, and comes to the next one.
        """
        wanted = {
            cluster: _Means(settings, policies[cluster].dead_call_status, policies[cluster].moves_per_second)
            for cluster, settings in hands.items()
        }
        former = {cluster: self._working.pop(cluster) for cluster in self._changed(wanted)}
        for executor in former.values():
            executor.stop()
        deadline = time.monotonic() + ACT_SECONDS
        for cluster, executor in former.items():
            if executor.join(max(0.0, deadline - time.monotonic())):
                self._give_back(executor.left())
            else:
                log.warning("an act does not end; nothing more is done here until a restart", cluster=cluster)
                self._stuck.add(cluster)
        for cluster, means in wanted.items():
            if cluster not in self._working.keys() | self._stuck:
                self._working[cluster] = self._begin(cluster, means)
        self._means = wanted
        self._follower.act_for(wanted)

    def stop(self) -> None:
        """Ask all of them to end."""
        for executor in self._working.values():
            executor.stop()

    def _changed(self, wanted: Mapping[str, _Means]) -> list[str]:
        return [cluster for cluster in self._working if wanted.get(cluster) != self._means[cluster]]

    def _give_back(self, left: list[Errand]) -> None:
        for errand in left:
            unsent = Outcome(Reply.UNSENT, "the settings changed")
            self._follower.on_loop_soon(partial(self._committer.report, errand, unsent))

    def _begin(self, cluster: str, means: _Means) -> Executor:
        def why_not() -> str:
            view = self._desk.clusters.get(cluster)
            return self._follower.why_not(cluster) or ("" if view is None else view.why_withheld)

        def report(errand: Errand, outcome: Outcome) -> None:
            self._instruments.note_outcome(errand, outcome)
            self._follower.on_loop_soon(partial(self._committer.report, errand, outcome))

        executor = Executor(
            cluster,
            self._name,
            *reach(means.hands),
            dead_call_status=means.dead_call_status,
            per_second=means.moves_per_second,
            why_not=why_not,
            report=report,
        )
        executor.start()
        return executor
