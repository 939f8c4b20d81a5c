"""Ownership: for which clusters this process judges, plans, stores decisions and acts, and why not for the others.

A cluster is owned with its partition (`messages.topics.partition_of`).

Two things give a partition to a process, and neither is enough alone. The *assignment* is the consumer group's word:
who should own it. The *claim* is the log's fencing token: who can store decisions in it. This module is the rule that
joins them. It is told what happened and answers what follows; threads, the log and the clock are elsewhere.

========================  ==========================================================================================
may this process          only if
========================  ==========================================================================================
judge, plan, pick         it is assigned, the group was heard within a second, and the partition is read to its end
store decisions           its claim counts: everything that stood there when it claimed is read and folded
act now                   it is assigned, the group was heard within a second of this moment, and its claim counts
========================  ==========================================================================================

Note [Claim, read, then decide]. A former owner can store decisions until the moment we claim, and none after it. So
what it decided is known once everything before that moment is folded: claim, mark the end, read up to there, fold,
and only then does the claim count. A claim that counted any sooner would let us decide again what was decided already.

Note [A process that stood still]. A process that was paused, or cut off, wakes up with an assignment that may have
been given to another one meanwhile, and with a claim that may still be the newest. It must not decide for its
successor, nor claim the partition back: until it has heard from the group again, nothing is its own.

Note [Read anew]. When a partition is read by another tail, or the log could not be read, nothing of it is known until
it is read to its end again; decisions stored meanwhile would be made without knowing what stands there.
"""

from collections.abc import Mapping
from typing import Generic, NamedTuple, Self, TypeVar

import msgspec
from msgspec.structs import replace

from messages.codes import Reason, ReasonCode
from messages.words import reason

SURE_SECONDS = 1.0
"""How long an assignment is believed after the group was heard: the group is asked every 0.2 s."""
CLAIM_AGAIN_SECONDS = 1.0
"""How long after a claim that failed the next one is tried. Rankings and picks go on meanwhile."""
NEVER = float("-inf")

ClaimT = TypeVar("ClaimT")
"""A claim as the log gives it. It is only kept here, and never looked into."""


class Assignment(NamedTuple):
    """Which partitions the group has given to this process, and when the group was last heard.

    Times are of the process's monotonic clock, in seconds.
    """

    partitions: frozenset[int] = frozenset()
    heard_at: float = NEVER

    def believed(self, now: float) -> frozenset[int]:
        """Return the assigned partitions, or none if the group was not heard lately."""
        return self.partitions if now - self.heard_at <= SURE_SECONDS else frozenset()


class Progress(NamedTuple):
    """How far this process has followed the log."""

    read: frozenset[int]
    """The partitions that are read to their end, as it was marked last."""
    folded: bool
    """Everything that was read is folded too: nothing waits in the backlog."""
    newer: frozenset[int] = frozenset()
    """The partitions in which a newer hotdesk has decided something that holds."""


class Ownership(msgspec.Struct, Generic[ClaimT], frozen=True):
    """The ownership of one process at one moment. A change makes a new value, so a reader sees it whole."""

    assignment: Assignment = Assignment()
    acted_for: frozenset[int] = frozenset()
    """The partitions with clusters that hotdesk acts for. They are claimed; the others need no claim."""
    unread: Mapping[int, ClaimT] = msgspec.field(default_factory=dict)
    """By partition: the claims that do not count yet, since something before them is not read or not folded."""
    claims: Mapping[int, ClaimT] = msgspec.field(default_factory=dict)
    """By partition: the claims that count. Decisions are stored through these."""
    claim_again_at: float = NEVER
    owned: frozenset[int] = frozenset()
    """The partitions whose clusters this process judges, plans and picks for."""
    outdated: bool = False
    """A newer hotdesk decides here, so this process decides nothing any more, for good."""

    # --- answers ----------------------------------------------------------------------------------------------------

    @property
    def held(self) -> tuple[ClaimT, ...]:
        """Return every claim, whether it counts or not."""
        return (*self.claims.values(), *self.unread.values())

    def to_claim(self, now: float) -> list[int]:
        """Return the partitions to claim now."""
        if self.outdated or now < self.claim_again_at:
            return []
        return sorted((self.assignment.believed(now) & self.acted_for) - self.claims.keys() - self.unread.keys())

    def why_not(self, partition: int, now: float) -> Reason | None:
        """Return why this process may not act for a partition's clusters now, or None if it may."""
        if self.outdated:
            return reason(ReasonCode.NEWER_HOTDESK)
        if partition not in self.assignment.believed(now):
            return reason(ReasonCode.NOT_OWNER)
        if partition not in self.claims:
            return reason(ReasonCode.NOT_CLAIMED)
        return None

    # --- what happened ----------------------------------------------------------------------------------------------

    def assign(self, partitions: frozenset[int], now: float) -> Self:
        """Apply what the group said just now. Claims on what was taken away are given up when this is settled."""
        return replace(self, assignment=Assignment(partitions, now))

    def leave(self) -> Self:
        """Apply that this process is no member of the group any more."""
        return replace(self, assignment=Assignment())

    def act_for(self, partitions: frozenset[int]) -> Self:
        """Apply for which partitions hotdesk acts from now on."""
        return replace(self, acted_for=partitions)

    def add_claim(self, partition: int, claim: ClaimT) -> Self:
        """Add a claim that was made just now: it counts once what stood there is folded."""
        return replace(self, unread={**self.unread, partition: claim})

    def claim_failed(self, now: float) -> Self:
        """Apply that a partition could not be claimed: none is tried again for a while."""
        return replace(self, claim_again_at=now + CLAIM_AGAIN_SECONDS)

    def commit_failed(self, partition: int, claim: ClaimT) -> Self:
        """Drop the claim that a commit failed through. A newer one of the same partition stays."""
        if self.claims.get(partition) is not claim:
            return self
        return replace(self, claims=_without(self.claims, frozenset({partition})))

    def give_up(self, partitions: frozenset[int]) -> Self:
        """Drop the claims of these partitions. What is known of them stays known, and so owned."""
        return replace(self, claims=_without(self.claims, partitions), unread=_without(self.unread, partitions))

    def forget(self, partitions: frozenset[int]) -> Self:
        """Own these partitions no more, and give up their claims: nothing is known of them until they are read anew."""
        return replace(self.give_up(partitions), owned=self.owned - partitions)

    def stand_down(self, now: float) -> Self:
        """Own nothing that the group was not heard lately to have assigned."""
        believed = self.owned & self.assignment.believed(now)
        return self if believed == self.owned else replace(self, owned=believed)

    def settle(self, progress: Progress, now: float) -> Self:
        """Apply how far the log is read: what is owned, which claims count, and which are given up."""
        assigned = self.assignment.partitions
        if self.outdated or not progress.newer.isdisjoint(assigned & progress.read):
            return replace(self, outdated=True, owned=frozenset(), claims={}, unread={})
        owned = self.assignment.believed(now) & progress.read
        if owned == self.owned and not self.unread and self.claims.keys() <= assigned:
            return self  # nearly always
        counting = self._counting(progress)
        counted = {each: claim for each, claim in self.unread.items() if each in counting}
        return replace(
            self,
            owned=owned,
            claims={each: claim for each, claim in {**self.claims, **counted}.items() if each in assigned},
            unread={each: claim for each, claim in self.unread.items() if each in assigned - counting},
        )

    def _counting(self, progress: Progress) -> frozenset[int]:
        """Return the partitions whose new claim counts from now on."""
        return frozenset(self.unread) & progress.read if progress.folded else frozenset()


def _without(claims: Mapping[int, ClaimT], partitions: frozenset[int]) -> dict[int, ClaimT]:
    return {partition: claim for partition, claim in claims.items() if partition not in partitions}
