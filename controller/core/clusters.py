"""All clusters that this process knows: the event loop folds them, and the API reads them. For one thread."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from controller.core.cluster import Cluster, Process, no_decisions
from controller.core.dead_letters import DeadLetters
from controller.core.news import DECIDED, News, Result, Tombstone, Undecodable, address_of
from controller.core.observed import Folded
from controller.core.plan import Plan
from controller.core.policy import Policy
from messages.codes import DecisionCode
from messages.records import DeadLetter, Decision, Row
from messages.topics import Topic, partition_of
from stream.entries import entry_of
from stream.log import Entry

DEFAULT_POLICY = Policy()
READ_AGAIN_SECONDS = 600.0
"""A log is read anew no more often: another collector, with a log or a lock of its own, may be the reason."""


class FoldedBatch(NamedTuple):
    """The results of folding a batch of records."""

    entries: list[Entry]
    """Entries for the log."""
    results: dict[tuple[str, Result], int]
    """Number of records by cluster and result."""
    polled: set[str]
    """Clusters with a new poll."""
    plans: dict[str, Plan]
    """Plans for the clusters in mode act: they take effect only once they are committed."""
    decisions: list[Decision]
    """Decisions that just came in about clusters that this process owns."""


class Clusters:
    """The clusters by name, and for which of them this process decides."""

    def __init__(self, name: str, url: str, partitions: int, policies: Mapping[str, Policy]) -> None:
        """Start without any records; `name` and `url` are this process's, for the clusters that it owns."""
        self.me = Process(name, url)
        self._partitions = partitions
        self._policies = policies
        self._owned: frozenset[int] = frozenset()
        self.by_name: dict[str, Cluster] = {}
        self._ahead: dict[str, deque[Decision]] = {}
        """The latest decisions about clusters of which no other record is known: not yet, or no longer."""
        self._dead_letters = DeadLetters()
        self._read_again_at: dict[str, float] = {}
        """When each cluster was last found to be read anew."""
        self._newer: dict[tuple[Topic, str], int] = {}
        """Topic and key of each record of a newer hotdesk that decides something, with its partition."""

    def own(self, partitions: frozenset[int]) -> tuple[list[str], list[str]]:
        """Own the clusters of these partitions from now on, and no others; return those gained, and those lost."""
        self._owned = partitions
        before = {name for name, cluster in self.by_name.items() if cluster.owned}
        for name, cluster in self.by_name.items():
            cluster.owned = partition_of(name, self._partitions) in partitions
        after = {name for name, cluster in self.by_name.items() if cluster.owned}
        return sorted(after - before), sorted(before - after)

    def judge_by(self, policies: Mapping[str, Policy]) -> None:
        """Use other policies from the next poll on."""
        self._policies = policies
        for name, cluster in self.by_name.items():
            cluster.policy = policies.get(name, DEFAULT_POLICY)

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop all that is known of the clusters of these partitions."""
        gone = set(partitions)
        for known in (self.by_name, self._ahead):
            for name in [name for name in known if partition_of(name, self._partitions) in gone]:
                del known[name]
        self._newer = {of: partition for of, partition in self._newer.items() if partition not in gone}

    @property
    def forgotten(self) -> list[str]:
        """The clusters whose latest decision is that a person had them forgotten."""
        return [
            name
            for name, decisions in self._ahead.items()
            if decisions and decisions[-1].code is DecisionCode.CLUSTER_FORGOTTEN
        ]

    def to_read_again(self, now: float) -> frozenset[int]:
        """Return the partitions whose log began anew, so that what is known is not of this log; each once in a while.

        Whoever created a topic anew, or emptied it, has collectors begin with the first epoch again. All that they
        publish is older than what is known, and would be dropped for ever.
        """
        found = {
            name
            for name, cluster in self.by_name.items()
            if cluster.freshness.is_contradicted(now)
            and now - self._read_again_at.get(name, float("-inf")) >= READ_AGAIN_SECONDS
        }
        self._read_again_at |= dict.fromkeys(found, now)
        return frozenset(partition_of(name, self._partitions) for name in found)

    def outdated_in(self, partitions: frozenset[int]) -> bool:
        """Return True if these partitions have an order or a decision of a newer hotdesk."""
        return not partitions.isdisjoint(self._newer.values())

    def fold(self, batch: Sequence[News], now: float, *, live: bool) -> FoldedBatch:
        """Fold records.

        Args:
            batch: in the log's order.
            now: this process's monotonic clock, in seconds.
            live: this process has caught up with the log; before that, it decides nothing and no poll is fresh.
        """
        folded = FoldedBatch([], {}, set(), {}, [])
        at = 0
        while at < len(batch):
            news = batch[at]
            if isinstance(news, Row):  # nearly all records: nothing is decided until the poll that closes them
                at = self._fold_rows(batch, at, news.cluster, folded.results)
            else:
                _count(folded.results, self._fold_one(news, folded, now, live=live), 1)
                at += 1
        if live:
            for name in folded.polled & self.by_name.keys():
                self._decide(self.by_name[name], folded, now)
            folded.entries.extend(map(entry_of, self._dead_letters.to_report(self._owned, now)))
            decisions = (each for each in batch if isinstance(each, Decision))
            folded.decisions.extend(
                each for each in decisions if partition_of(each.cluster, self._partitions) in self._owned
            )
        return folded

    def _fold_rows(self, batch: Sequence[News], at: int, name: str, results: dict[tuple[str, Result], int]) -> int:
        """Fold the rows of one cluster that stand one after the other from `at` on; return where they end."""
        rows: list[Row] = []
        while at < len(batch) and isinstance(news := batch[at], Row) and news.cluster == name:
            rows.append(news)
            at += 1
        stale = (self.by_name.get(name) or self._add(name)).state.fold_rows(rows)
        _count(results, (name, Result.STALE), stale)
        _count(results, (name, Result.FOLDED), len(rows) - stale)
        return at

    def _fold_one(self, news: News, folded: FoldedBatch, now: float, *, live: bool) -> tuple[str, Result]:
        if isinstance(news, Undecodable):
            return self._keep_undecodable(news), Result.DEAD
        if self._newer:
            self._newer.pop(address_of(news), None)  # the newest record of an address counts
        name = news.key.cluster if isinstance(news, Tombstone) else news.cluster
        if isinstance(news, DeadLetter):
            self._dead_letters.note_reported(news)
            return name, Result.FOLDED
        cluster = self._cluster_of(name, news)
        if cluster is None:
            self._keep_decision(name, news, live=live)
            return name, Result.FOLDED
        did = cluster.fold(news, live=live)
        if live:
            cluster.record_arrival(news, did, now)
        if did is Folded.POLL:
            folded.polled.add(name)
            if live and cluster.owned:
                folded.entries.extend(cluster.judge())
        if isinstance(news, Tombstone) and cluster.state.is_blank:
            # topics arrive independently: a cluster is forgotten only once all of them have ended it
            self._ahead[name] = self.by_name.pop(name).decisions
        return name, Result.STALE if did is Folded.STALE else Result.FOLDED

    def _cluster_of(self, name: str, news: News) -> Cluster | None:
        """Return the cluster of a record, adding it if it is new; None if such a record adds none."""
        cluster = self.by_name.get(name)
        if cluster is None and not isinstance(news, Tombstone | Decision):
            return self._add(name)
        return cluster

    def _add(self, name: str) -> Cluster:
        self.by_name[name] = cluster = Cluster(
            name,
            self._policies.get(name, DEFAULT_POLICY),
            self.me,
            owned=partition_of(name, self._partitions) in self._owned,
            decisions=self._ahead.pop(name, no_decisions()),
        )
        return cluster

    def _keep_decision(self, name: str, news: News, *, live: bool) -> None:
        """Keep a decision about a cluster of which no other record is known."""
        if isinstance(news, Decision):
            decisions = self._ahead.setdefault(name, no_decisions())
            if live or news not in decisions:
                decisions.append(news)

    def _keep_undecodable(self, news: Undecodable) -> str:
        """Keep a dead letter until it is reported; return the cluster to count it for."""
        letter = news.letter
        self._dead_letters.keep(letter)
        if news.newer and letter.topic in DECIDED:
            self._newer[Topic(letter.topic), letter.key] = letter.partition
        # an unreadable record may have anything as its cluster
        return letter.cluster if letter.cluster in self.by_name else ""

    def _decide(self, cluster: Cluster, folded: FoldedBatch, now: float) -> None:
        """Make the plan of a cluster after its poll, if this process owns it, and publish its ranking."""
        if not cluster.owned or self.outdated_in(frozenset({partition_of(cluster.name, self._partitions)})):
            return
        # see Note [A process that has just begun] in controller.core.freshness
        if cluster.freshness.is_settled(now):
            plan = cluster.make_plan(now)
            if cluster.policy.acts:
                folded.plans[cluster.name] = plan
            else:
                folded.entries.extend(cluster.advise(plan))
        folded.entries.append(entry_of(cluster.snapshot()))


def _count(results: dict[tuple[str, Result], int], counted: tuple[str, Result], records: int) -> None:
    if records:
        results[counted] = results.get(counted, 0) + records
