"""Commit plans: a plan is stored first, and only then takes effect.

A plan that may change something in VICIdial goes to the log through the claim on its partition, which a former owner
has lost. Once stored, it is applied and its actions are carried out; if it cannot be stored, it never takes effect, and
the next poll decides again. Each cluster has one commit in progress at a time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
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
from controller.core.plan import Plan, withholds
from messages.codes import Reply
from messages.keys import key_of
from messages.records import Action, Decision, Pause
from messages.topics import Key
from messages.words import sentence
from stream.entries import entry_of
from stream.log import Entry, LogError

RESEND_SECONDS = 2.0
"""An action that could not be carried out is retried after this time."""

UNDER_WAY = float("inf")
"""Stands for the time at which an action came back unsent while the executor still has it."""
NEVER = float("-inf")

Append = Callable[[str, Sequence[Entry]], Awaitable[None]]
"""Stores a cluster's decisions through the claim on its partition.

Raises:
    LogError: they were not stored, or it is not known.
"""

log = structlog.get_logger()


class ActionSink(Protocol):
    """Carries out actions, and reports each that it does not give back."""

    def submit(self, action: Action) -> None: ...

    def withdraw(self, attempts: Collection[AttemptId]) -> Collection[Action]:
        """Return those of these attempts that had not begun: nothing comes of them any more."""
        ...


@dataclass
class _Done:
    """An attempt of an executor, its outcome, and the suspension that follows from a refusal."""

    action: Action
    outcome: Outcome
    at_ms: int | None
    """The log's time of it; None: not known."""
    pause: Pause | None = None
    """The order that suspends the cluster, if VICIdial refused the account."""


class Committer:
    """Commits the plans of the clusters in mode act, and submits their actions. It belongs to the event loop."""

    def __init__(
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
        self._busy: dict[str, frozenset[Key]] = {}
        """By cluster whose plan is being committed: the actions that this plan ends."""
        self._submitted: dict[str, dict[AttemptId, float]] = {}
        """By cluster: the actions submitted to its executor, and when they came back unsent. The executor always
        reports back, either "not sent" or an outcome, unless it gives an action back."""
        self._done: dict[str, list[_Done]] = {}
        """By cluster: outcomes that are not stored yet; no more than actions were submitted."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_progress(self) -> bool:
        """True while a commit is in progress."""
        return bool(self._tasks)

    def commit_plans(self, plans: Mapping[str, Plan]) -> None:
        """Commit plans; skip a cluster whose last commit is in progress, since its next poll decides again."""
        for name, plan in plans.items():
            if not self._decides(name):
                continue
            # outcomes are stored first: this plan was made without them, and the next one is made with them
            self._commit_outcomes(name)
            if name not in self._busy and (plan.records or plan.ended):
                self._begin(name, plan)
            self._submit(name)

    def report(self, action: Action, outcome: Outcome) -> None:
        """Record the outcome of an action, and commit it."""
        name = action.cluster
        if outcome.reply is Reply.UNSENT or (outcome.reply is Reply.UNCLEAR and may_be_repeated(action)):
            # it is submitted again after a while
            self._submitted.get(name, {})[attempt_of(action)] = self._clock()
            self._publish_submitted(name)
            log.warning("an action could not be carried out now", cluster=name, why=outcome.said)
            return
        cluster = self._clusters.by_name.get(name)
        at_ms = None if cluster is None else cluster.state.observed.observed_at_ms
        self._done.setdefault(name, []).append(_Done(action, outcome, at_ms))
        self._commit_outcomes(name)

    def _begin(self, name: str, plan: Plan, more: Sequence[Entry] = (), done: Sequence[_Done] = ()) -> None:
        self._busy[name] = frozenset(plan.ended)
        task = asyncio.get_running_loop().create_task(self._commit(name, plan, more, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit(self, name: str, plan: Plan, more: Sequence[Entry], done: Sequence[_Done]) -> None:
        stored = False
        try:
            await self._append(name, [*entries_of(plan, self._clusters.me.name), *more])
            stored = True
        except LogError as error:
            what = (
                "the outcomes of actions could not be stored yet"
                if done
                else "a plan could not be stored, and takes no effect"
            )
            log.warning(what, cluster=name, why=str(error))
        finally:
            self._busy.pop(name, None)
            if done and not stored:
                self._done[name] = [*done, *self._done.get(name, ())]
        if stored:
            for each in done:
                # an action that is still due, since the account was refused, is submitted again after a resume
                self._submitted.get(name, {}).pop(attempt_of(each.action), None)
            cluster = self._clusters.by_name.get(name)
            if cluster is not None:
                cluster.committed(plan)
            self._take_back(name)
            self._submit(name)
            self._commit_outcomes(name)

    def _commit_outcomes(self, name: str) -> None:
        """Store the outcomes of actions; if that fails, retry with the next plans, or once the log was read again."""
        cluster = self._clusters.by_name.get(name)
        if name not in self._busy and cluster is not None and (waiting := self._done.pop(name, [])):
            plan, orders = self._plan_after(cluster, waiting)
            self._begin(name, plan, orders, waiting)

    def _plan_after(self, cluster: Cluster, done: Sequence[_Done]) -> tuple[Plan, list[Entry]]:
        """Return the plan that stores the outcomes of actions, and the orders that follow from them."""
        plan, orders = Plan([], []), []
        for each in done:
            action, outcome = each.action, each.outcome
            at_ms = cluster.state.observed.observed_at_ms if each.at_ms is None else each.at_ms
            known, code = cluster.state.decided.action(key_of(action)), done_code(action, outcome.reply)
            # a later plan may have changed it since it was submitted
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
                    code=code,
                    what=sentence(code, reply=sentence(outcome.reply)),
                    why=outcome.said,
                    subject=subject_of(action),
                )
            )
            if outcome.reply is Reply.DENIED and (pause := _suspend_for(each, cluster)) is not None:
                orders.append(entry_of(pause))
        return plan, orders

    def _submit(self, name: str) -> None:
        """Submit every due action that is committed and that the executor does not have, also a former owner's."""
        cluster, executor = self._clusters.by_name.get(name), self._executors.get(name)
        if cluster is None or not cluster.owned or executor is None:
            return
        before, now = self._submitted.get(name, {}), self._clock()
        submitted = {attempt: at for attempt, at in before.items() if at == UNDER_WAY}
        ending = self._busy.get(name, frozenset())
        for action in cluster.state.decided.actions:
            if not is_due(action) or key_of(action) in ending:
                continue
            attempt = attempt_of(action)
            unsent_at = before.get(attempt, NEVER)
            withheld = withholds(cluster.withheld, action) is not None
            if not withheld and unsent_at != UNDER_WAY and now - unsent_at >= RESEND_SECONDS:
                executor.submit(action)
                unsent_at = UNDER_WAY
            submitted[attempt] = unsent_at
        self._submitted[name] = submitted
        self._publish_submitted(name)

    def _take_back(self, name: str) -> None:
        """Withdraw from the executor what no longer stands, as far as it has not begun with it."""
        cluster, executor = self._clusters.by_name.get(name), self._executors.get(name)
        submitted = self._submitted.get(name, {})
        if cluster is None or executor is None:
            return
        due = {attempt_of(each) for each in cluster.state.decided.actions if is_due(each)}
        for action in executor.withdraw(
            [each for each, at in submitted.items() if at == UNDER_WAY and each not in due]
        ):
            del submitted[attempt_of(action)]

    def _publish_submitted(self, name: str) -> None:
        """Let the next plan know what the executor has."""
        cluster = self._clusters.by_name.get(name)
        if cluster is not None:
            submitted = self._submitted.get(name, {})
            cluster.submitted = frozenset(attempt for attempt, at in submitted.items() if at == UNDER_WAY)


def _suspend_for(done: _Done, cluster: Cluster) -> Pause | None:
    """Suspend the cluster whose account was refused, and return the order; None: a person has resumed it since."""
    if done.pause is None:
        why = f"VICIdial refused hotdesk's account: {done.outcome.said}; mend it, then 'hotdesk resume'"
        done.pause = Pause(
            cluster=done.action.cluster, ordered_at_ms=time.time_ns() // 1_000_000, by="hotdesk", why=why
        )
        log.error("the cluster is suspended", cluster=done.action.cluster, why=why)
        # at once, not only when it comes back from the log: each further attempt may lock the account
        cluster.state.decided.orders.add(done.pause)
        cluster.publish()
    return done.pause if cluster.state.decided.orders.pause == done.pause else None
