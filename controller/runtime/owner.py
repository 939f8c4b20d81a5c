"""This process as an owner: its ownership, which its threads share, and the claims that it decides through.

The ownership is a value (`controller.core.ownership`). The membership's thread, the reader's and the event loop change
it one after the other, under a lock that is held for the change alone; whoever asks reads the value whole, and waits
for nobody.

Making a claim and closing one may wait for the log, and for seconds if that has no coordinator for transactions. So
both have threads of their own: the reader goes on, and with it the news and the picks of every cluster.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

import structlog

from controller.core.ownership import Ownership, Progress
from messages.codes import Reason
from messages.topics import Topic, partition_of
from stream.log import Claim, Entry, Log, LogError, LogUnavailableError, Tail
from stream.warn_once import WarnOnce

GROUP = "hotdesk-controllers"
CLAIM_LOOK_SECONDS = 0.05
"""How often it is looked whether there is something to claim."""
POLL_SECONDS = 0.2
"""How often the group is asked which partitions it assigns to this process."""
SILENT_SECONDS = 15.0
"""How long a member that had partitions stays in a group that does not answer. A broker that dies takes the group's
answers with it, until Kafka gives it up after 9 s and another one answers; and one that joins anew has to wait until
the group has given up the member that it was before."""

STOPPED_SECONDS = 3.0
"""One question that took longer was asked before this process stood still: the group has gone on without it, and it
joins anew."""

Change = Callable[[Ownership[Claim]], Ownership[Claim]]

log = structlog.get_logger()


class Owner:
    """Knows for which clusters this process may decide and act, and stores what it decides."""

    def __init__(self, to: Log) -> None:
        self._log = to
        self._ownership: Ownership[Claim] = Ownership()
        self._changing = threading.Lock()
        self._made: dict[int, tuple[Claim, Mapping[tuple[Topic, int], int]]] = {}
        """By partition: the claims that the reader has not taken yet, and where each topic ended after that."""
        self._warn_once = WarnOnce()

    @property
    def ownership(self) -> Ownership[Claim]:
        """Return what is owned at this moment. From any thread."""
        return self._ownership

    def act_for(self, clusters: Iterable[str]) -> None:
        """Claim the partitions of these clusters from now on, and no others. From any thread."""
        partitions = frozenset(map(self._partition_of, clusters))
        self._change(lambda ownership: ownership.act_for(partitions))

    def why_not(self, cluster: str) -> Reason | None:
        """Return why this process may not act for a cluster at this moment, or None if it may. From any thread."""
        return self._ownership.why_not(self._partition_of(cluster), time.monotonic())

    def decides(self, cluster: str) -> bool:
        """Return True if decisions about a cluster can be stored now. From any thread."""
        return self._partition_of(cluster) in self._ownership.claims

    async def commit(self, cluster: str, entries: Sequence[Entry]) -> None:
        """Store decisions through the claim on their partition. A claim that fails is given up and made anew.

        Raises:
            LogError: they were not stored, or that is not known.
        """
        partition = self._partition_of(cluster)
        claim = self._ownership.claims.get(partition)
        if claim is None:
            raise LogUnavailableError(f"the partition of {cluster} is not claimed now")
        try:
            await _in_a_thread(partial(claim.append, entries))
        except LogError:
            # of no more use; what it left is read before there is another
            self._change(lambda ownership: ownership.commit_failed(partition, claim))
            await _in_a_thread(claim.close)
            raise

    # --- for the threads that follow the log and keep the membership --------------------------------------------------

    def keep_membership(self, stop: threading.Event) -> None:
        """Be a member of the group, and hear which partitions it assigns, until `stop` is set.

        While the group is silent the assignment stands and is not believed, so nothing is owned.

        Raises:
            LogError: the group cannot be heard; nothing is assigned meanwhile.
        """
        membership = self._log.join(GROUP)
        assigned: frozenset[int] = frozenset()
        heard_at = time.monotonic()
        try:
            while not stop.is_set() and not self._ownership.outdated:
                asked_at = time.monotonic()
                try:
                    assigned = membership.owned(POLL_SECONDS)
                except LogUnavailableError:
                    now = time.monotonic()
                    if not assigned or now - heard_at > SILENT_SECONDS or now - asked_at > STOPPED_SECONDS:
                        raise
                    stop.wait(POLL_SECONDS)
                    continue
                heard_at = time.monotonic()
                self._change(lambda ownership: ownership.assign(assigned, heard_at))  # noqa: B023 # called at once
        finally:
            self._change(Ownership.leave)
            membership.close()
        # one that is outdated stays away, so that the group reassigns its partitions
        stop.wait()

    def keep_claims(self, stop: threading.Event) -> None:
        """Claim what is to be claimed until `stop` is set, for the reader to take."""
        last = -1
        while not stop.wait(CLAIM_LOOK_SECONDS):
            made = set(self._made)  # before: one that is taken meanwhile is owned then, and not claimed again
            due = [each for each in self._ownership.to_claim(time.monotonic()) if each not in made]
            if not due:
                continue
            # in turn: one that cannot be claimed holds up no other
            last = next((each for each in due if each > last), due[0])
            try:
                self._made[last] = self._claim(last)
            except LogError as error:
                self._change(lambda ownership: ownership.claim_failed(time.monotonic()))
                if self._warn_once.is_new(str(error)):
                    log.warning("a partition cannot be claimed, so no agent is moved; trying again", why=str(error))

    def take_claims(self, tails: Iterable[Tail]) -> None:
        """Accept the claims that were made, and have their partitions read to their end once more."""
        for partition, (claim, ends) in list(self._made.items()):
            for tail in tails:
                tail.mark_end(ends)
            self._close(self._change(lambda ownership: ownership.add_claim(partition, claim)))  # noqa: B023 # called at once
            # only now: until then it is not claimed again
            del self._made[partition]

    def settle(self, progress: Progress) -> None:
        """Apply how far the log is read."""
        was_outdated = self._ownership.outdated
        self._close(self._change(lambda ownership: ownership.settle(progress, time.monotonic())))
        if self._ownership.outdated and not was_outdated:
            log.warning(
                "a newer hotdesk decides here: this one decides nothing any more; upgrade it and start it again"
            )

    def stand_down(self) -> None:
        """Own nothing that is not known to be assigned."""
        self._change(lambda ownership: ownership.stand_down(time.monotonic()))

    def forget(self, partitions: frozenset[int]) -> None:
        """Own these partitions no more, since they are not followed any more or are read anew."""
        self._close(self._change(lambda ownership: ownership.forget(partitions)))

    def give_up_claims(self) -> None:
        """Drop every claim: the log broke off, and is read again before anything is decided."""
        everything = frozenset(range(self._log.partitions))
        self._close(self._change(lambda ownership: ownership.give_up(everything)))

    def _partition_of(self, cluster: str) -> int:
        return partition_of(cluster, self._log.partitions)

    def _claim(self, partition: int) -> tuple[Claim, Mapping[tuple[Topic, int], int]]:
        """Claim a partition, and ask for the ends up to which it must be read before the claim counts."""
        claim = self._log.claim(partition)
        try:
            return claim, self._log.ends((topic, partition) for topic in Topic)
        except LogError:
            claim.close()
            raise

    def _change(self, change: Change) -> list[Claim]:
        """Make a change, and return the claims that are held no more."""
        with self._changing:
            before, self._ownership = self._ownership, change(self._ownership)
            return [claim for claim in before.held if claim not in self._ownership.held]

    def _close(self, claims: Iterable[Claim]) -> None:
        """Close claims, each in a thread that nothing waits for."""
        for claim in claims:
            threading.Thread(target=claim.close, name="commit", daemon=True).start()


async def _in_a_thread(what: Callable[[], None]) -> None:
    """Do what may wait for the log. Not as asyncio has it: Python would wait for those threads before a process ends.

    Raises:
        Exception: what `what` raises.
    """
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # what has begun cannot be called off

    def work() -> None:
        try:
            what()
        except Exception as error:  # noqa: BLE001 # it is raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    threading.Thread(target=work, name="commit", daemon=True).start()
    await asyncio.wrap_future(done)
