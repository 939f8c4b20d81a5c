"""From a decision to an act: first it is committed, and only then is it true.

A decision that may change something in VICIdial goes to the log through the claim on its partition, which a former
owner has lost. Once stored it is taken in and carried out; if it cannot be stored it was never made, and the next poll
decides anew. One commit a cluster is under way at a time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from controller.core.actions import (
    AttemptId,
    Outcome,
    after,
    attempt_of,
    done_code,
    is_due,
    may_be_repeated,
    subject_of,
)
from controller.core.cluster import Cluster, entries_of
from controller.core.clusters import Clusters
from controller.core.plan import Plan
from messages.codes import Reply
from messages.keys import key_of
from messages.records import Action, Decision, Pause
from messages.words import sentence
from stream.entries import entry_of
from stream.log import Entry, LogError

RESEND_SECONDS = 2.0
"""An order that could not be carried out now is tried again so much later."""

UNDER_WAY = float("inf")
"""In place of when an order came back unsent: the executor has it."""
NEVER = float("-inf")

Append = Callable[[str, Sequence[Entry]], Awaitable[None]]
"""Stores a cluster's decisions through the claim on its partition.

Raises:
    LogError: they were not stored, or nobody knows.
"""

log = structlog.get_logger()


class ActionSink(Protocol):
    """Carries out what it is given, in that order."""

    def submit(self, action: Action) -> None: ...


@dataclass
class _Done:
    """What an executor did, and what follows from it."""

    action: Action
    outcome: Outcome
    at_ms: int | None
    """When, by the log's clock; None: it was not known."""
    pause: Pause | None = None
    """Ordered for it, since the account was refused."""


class Committer:
    """Commits the plans of the clusters that act, and hands their orders to the executors. On the event loop."""

    def __init__(  # what it connects, each once
        self,
        clusters: Clusters,
        append: Append,
        executors: Mapping[str, ActionSink],
        decides: Callable[[str], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clusters = clusters
        self._decides = decides
        self._append = append
        self._executors = executors
        self._clock = clock
        self._busy: set[str] = set()
        self._submitted: dict[str, dict[AttemptId, float]] = {}
        """By cluster: the actions given to its executor, and when they came back undone. Each does come back, or what
        came of it does."""
        self._done: dict[str, list[_Done]] = {}
        """By cluster: what is not stored yet; no more than its executor was given."""
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, plans: Mapping[str, Plan]) -> None:
        """Commit what was decided; what comes while a cluster's last commit is under way is decided again."""
        for cluster, plan in plans.items():
            if not self._decides(cluster):
                continue
            # what was done comes first: this was decided without knowing of it, and is decided again
            self._commit_done(cluster)
            self._submit(cluster)
            if cluster not in self._busy and (plan.records or plan.ended):
                self._begin(cluster, plan)

    def report(self, action: Action, outcome: Outcome) -> None:
        """Take in what an executor did."""
        cluster = action.cluster
        if outcome.reply is Reply.UNSENT or (outcome.reply is Reply.UNCLEAR and may_be_repeated(action)):
            # it is given to the executor again after a while
            self._submitted.get(cluster, {})[attempt_of(action)] = self._clock()
            log.warning("a decision could not be carried out now", cluster=cluster, why=outcome.said)
            return
        view = self._clusters.by_name.get(cluster)
        at_ms = None if view is None else view.state.observed.observed_at_ms
        self._done.setdefault(cluster, []).append(_Done(action, outcome, at_ms))
        self._commit_done(cluster)

    def _begin(self, cluster: str, plan: Plan, more: Sequence[Entry] = (), done: Sequence[_Done] = ()) -> None:
        self._busy.add(cluster)
        task = asyncio.get_running_loop().create_task(self._commit(cluster, plan, more, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit(self, cluster: str, plan: Plan, more: Sequence[Entry], done: Sequence[_Done]) -> None:
        stored = False
        try:
            await self._append(cluster, [*entries_of(plan, self._clusters.me.name), *more])
            stored = True
        except LogError as error:
            said = (
                "what was done could not be stored yet" if done else "a decision could not be stored, and was not made"
            )
            log.warning(said, cluster=cluster, why=str(error))
        finally:
            self._busy.discard(cluster)
            if done and not stored:
                self._done[cluster] = [*done, *self._done.get(cluster, ())]
        if stored:
            for each in done:
                # one that stays due, since the account was refused, is given again once somebody has mended that
                self._submitted.get(cluster, {}).pop(attempt_of(each.action), None)
            view = self._clusters.by_name.get(cluster)
            if view is not None:
                view.committed(plan)
            self._submit(cluster)
            self._commit_done(cluster)

    def _commit_done(self, cluster: str) -> None:
        """Store what was done; what cannot be stored now is with the next decisions, or once the log was read anew."""
        view = self._clusters.by_name.get(cluster)
        if cluster not in self._busy and view is not None and (waiting := self._done.pop(cluster, [])):
            plan, orders = self._after(view, waiting)
            self._begin(cluster, plan, orders, waiting)

    def _after(self, view: Cluster, done: Sequence[_Done]) -> tuple[Plan, list[Entry]]:
        """Say what is to be stored of what was done."""
        plan, orders = Plan([], []), []
        for each in done:
            action, outcome = each.action, each.outcome
            at_ms = view.state.observed.observed_at_ms if each.at_ms is None else each.at_ms
            known = view.state.decided.action(key_of(action))
            # it may have been decided anew since it was given to the executor
            if known is not None and attempt_of(known) == attempt_of(action):
                stands = after(known, outcome, at_ms, self._clusters.me.name)
                if stands is None:
                    plan.ended.append(key_of(known))
                elif stands is not known:
                    plan.records.append(stands)
            plan.records.append(
                Decision(
                    cluster=action.cluster,
                    at_ms=at_ms,
                    actor=self._clusters.me.name,
                    code=done_code(action),
                    what=sentence(done_code(action), reply=sentence(outcome.reply)),
                    why=outcome.said,
                    subject=subject_of(action),
                )
            )
            if outcome.reply is Reply.DENIED and (pause := _pause_for(each, view)) is not None:
                orders.append(entry_of(pause))
        return plan, orders

    def _submit(self, cluster: str) -> None:
        """Give the executor every committed order that it was not given yet, also those of a former owner."""
        view, executor = self._clusters.by_name.get(cluster), self._executors.get(cluster)
        if view is None or not view.owned or executor is None or view.withheld is not None:
            return
        before, now = self._submitted.get(cluster, {}), self._clock()
        given: dict[AttemptId, float] = {}
        for action in view.state.decided.actions:
            if not is_due(action):
                continue
            number = attempt_of(action)
            undone_at = before.get(number, NEVER)
            if undone_at != UNDER_WAY and now - undone_at >= RESEND_SECONDS:
                executor.submit(action)
                undone_at = UNDER_WAY
            given[number] = undone_at
        self._submitted[cluster] = given


def _pause_for(done: _Done, view: Cluster) -> Pause | None:
    """Have the cluster paused since the account was refused; None: people have gone on since."""
    if done.pause is None:
        why = f"VICIdial refused hotdesk's account: {done.outcome.said}; mend it, then 'hotdesk resume'"
        done.pause = Pause(
            cluster=done.action.cluster, ordered_at_ms=time.time_ns() // 1_000_000, by="hotdesk", why=why
        )
        # at once, not only when it comes back from the log: each further try may lock the account
        view.state.decided.orders.add(done.pause)
        view.publish()
    return done.pause if view.state.decided.orders.pause == done.pause else None
