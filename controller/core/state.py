"""Fold the records of one cluster, in the log's order, into its state.

Time is the log's: the observation time of the latest poll. Folding the same records again gives an equal state. The
state changes in place, since copying thousands of sessions twice a second would cost more than folding them; it
belongs to one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.core.decided import Decided
from controller.core.news import NEVER, Stamp, Tombstone
from controller.core.observed import Folded, Observed
from messages.records import (
    Acknowledge,
    AgentPause,
    AnyOrder,
    AnyRecord,
    Arrival,
    DeadLetter,
    Decision,
    EpochClaim,
    Fence,
    FleetHealth,
    HookSight,
    Incident,
    LoginSlot,
    Notification,
    Outage,
    Poll,
    RankingSnapshot,
    Relogin,
    Row,
    ScreenRestore,
    Unbrake,
    Unfence,
)
from messages.topics import Topic


class Published(NamedTuple):
    """The poll and the publisher of the latest ranking from the log."""

    stamp: Stamp = NEVER
    owner: str = ""
    owner_url: str = ""
    acts: bool | None = None
    """The owner's mode is act; None: it does not say."""


NOT_PUBLISHED = Published()


@dataclass
class ClusterState:
    """The state of one cluster: one half observed, the other decided. Assigning a new half resets it."""

    cluster: str
    observed: Observed = field(default_factory=Observed)
    decided: Decided = field(default_factory=Decided)
    published: Published = NOT_PUBLISHED

    @property
    def is_blank(self) -> bool:
        """True if nothing at all is known: the cluster was forgotten."""
        return self.observed.poll is None and self == ClusterState(self.cluster)

    def is_in_force(self, order: AnyOrder) -> bool:
        """Return False for an order whose incident, brake or fence is over: it stands, and means nothing any more."""
        match order:
            case Acknowledge():
                return order.incident in self.decided.incidents
            case Unbrake():
                return order.bad_since_ms == self.observed.health.bad_since_ms
            case Unfence():
                fence = self.decided.fences.get(order.server_ip)
                return fence is not None and fence.planned_at_ms == order.planned_at_ms
        return True

    def fold(self, news: AnyRecord | Tombstone) -> Folded:
        """Fold one record of this cluster; only this function knows which part of the state each type changes.

        Returns:
            The effect. Any record but an observation takes effect at once.
        """
        match news:
            case Row():
                return self.observed.wait((news.epoch, news.sequence), news)
            case Poll() | Outage() | EpochClaim():
                folded, changes = self.observed.fold(news)
                if folded is Folded.POLL:
                    self.decided.end_slots(changes, self.observed)
                return folded
            case Tombstone():
                return self._end(news)
            case LoginSlot():
                self.add_slot(news)
            case HookSight() | Notification():
                self.decided.keep(news)
            case RankingSnapshot():
                return self._publish(news)
            case Incident() | Relogin() | AgentPause() | Arrival() | Fence() | ScreenRestore():
                self.decided.add(news)
            case Decision() | DeadLetter():
                pass  # for people to read
            case _:
                self.decided.orders.add(news)
        return Folded.RECORDED

    def fold_rows(self, rows: Sequence[Row]) -> int:
        """Fold rows as `fold` does each; return how many were stale. For the core's hottest loop."""
        return self.observed.wait_for_poll(rows)

    def add_slot(self, slot: LoginSlot) -> None:
        """Add a slot, or the login that it became."""
        self.decided.add_slot(slot, self.observed)

    def _publish(self, ranking: RankingSnapshot) -> Folded:
        stamp = (ranking.epoch, ranking.sequence)
        if stamp < self.published.stamp:
            return Folded.STALE  # a former owner's last ranking, arriving late
        self.published = Published(stamp, ranking.owner, ranking.owner_url, ranking.acts)
        if ranking.health is not None:
            self.observed.health = ranking.health  # a new owner goes on from there
        return Folded.RECORDED

    def _end(self, ended: Tombstone) -> Folded:
        match ended.topic:
            case Topic.OBSERVATIONS if ended.key.kind:
                return self.observed.fold_end(ended.key, ended.stamp)
            case Topic.OBSERVATIONS if ended.stamp < self.observed.stamp:
                return Folded.STALE  # a collector has come back since the cluster was forgotten
            case Topic.OBSERVATIONS:
                self.observed = Observed()
            case Topic.RANKINGS:
                self.published = NOT_PUBLISHED
                if self.observed.poll is None:
                    self.observed.health = FleetHealth()
            case Topic.ORDERS:
                self.decided.orders.remove(ended.key)
            case Topic.INCIDENTS:
                self.decided.remove_incident(ended.key.name)
            case Topic.RELOGINS:
                self.decided.remove_action(ended.key)
            case Topic.LOGINS:
                self.decided.remove_login(ended.key)
            case _:
                pass
        return Folded.RECORDED
