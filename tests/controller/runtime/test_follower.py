"""Following a real log on a real event loop: in what order what a loud cluster wrote is taken in."""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import msgspec
import pytest

from controller.runtime.backlog import FEW
from controller.runtime.owner import GROUP
from messages.topics import Topic, partition_of
from stream.embedded.log import EmbeddedClaim, EmbeddedLog, EmbeddedTail
from stream.entries import entry_of
from stream.log import LogFencedError
from tests.support.builders import CLUSTER, MOVE, ONE, PARTITIONS, dialer, eventually, poll
from tests.support.following import Following, following_all

ROUNDS = 8


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    """Yield a follower that owns everything and decides for the one cluster."""
    with following_all(tmp_path) as made:
        yield made


def test_nothing_that_a_loud_cluster_wrote_is_overtaken_when_its_partition_is_claimed_anew(
    following: Following,
) -> None:
    partition, written = partition_of(CLUSTER, PARTITIONS), 0
    theirs = msgspec.structs.replace(MOVE, by="another")
    for _ in range(ROUNDS):
        with closing(following.log.claim(partition)):
            moves = [msgspec.structs.replace(theirs, changed_at_ms=written + at) for at in range(1, 2 * FEW)]
            following.log.append([entry_of(each) for each in moves])
            written += len(moves)
            # another has claimed it: this process has to claim it again, while what was written waits
            with pytest.raises(LogFencedError):
                asyncio.run_coroutine_threadsafe(
                    following.owner.commit(CLUSTER, [entry_of(moves[0])]), following.loop
                ).result(10)
        written += 1
        following.log.append([entry_of(msgspec.structs.replace(theirs, changed_at_ms=written))])
        assert eventually(lambda: following.folded >= written)  # noqa: B023 # at once
        assert following.clusters.by_name[CLUSTER].state.decided.relogins[1].changed_at_ms == written
        assert eventually(lambda: following.owner.decides(CLUSTER))


def test_a_log_that_began_anew_is_read_again_and_followed(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known comes from a topic that is gone: its epochs were far beyond those that begin now."""
    monkeypatch.setattr("controller.core.freshness.ANEW_SECONDS", 0.3)
    following.fold(poll(dialer(ONE), epoch=57))
    published = count(1)

    def polls_again() -> bool:
        following.log.append([entry_of(poll(dialer(ONE), epoch=1, sequence=next(published)))])
        known = following.clusters.by_name.get(CLUSTER)
        return known is not None and known.state.observed.stamp[0] == 1

    assert eventually(polls_again)
    assert eventually(lambda: following.owner.decides(CLUSTER))


class Looking(EmbeddedLog):
    """A log that looks, whenever partitions begin to be read, whether somebody decides for the cluster already."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, PARTITIONS)
        self.decides: Callable[[], bool] = lambda: False
        self.decided: list[bool] = []

    def tail(
        self, topics: Iterable[Topic], partitions: Iterable[int], *, from_start: bool, recent: Collection[Topic] = ()
    ) -> EmbeddedTail:
        self.decided.append(self.decides())
        return super().tail(topics, partitions, from_start=from_start, recent=recent)


def test_nothing_is_decided_for_a_cluster_that_stays_while_it_is_read_anew(tmp_path: Path) -> None:
    # of two members the first keeps the even partitions
    stays = next(name for name in map(str, range(100)) if partition_of(name, PARTITIONS) % 2 == 0)
    log = Looking(tmp_path / "log.db")
    with closing(Following(log, stays, reads_all=False)) as following:
        log.decides = lambda: following.owner.decides(stays)
        assert eventually(lambda: following.owner.decides(stays))
        with closing(log.join(GROUP)) as another:
            assert eventually(lambda: 0 < len(another.owned(0.1)) < PARTITIONS)
            assert eventually(lambda: len(log.decided) > 1)
            assert eventually(lambda: following.owner.decides(stays)), "it does so again when all was read"
    assert log.decided == [False] * len(log.decided)


class Uncoordinated(EmbeddedLog):
    """A log whose claims wait, as those of a Kafka do that has no coordinator for transactions."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, PARTITIONS)
        self.asked = threading.Event()
        self.coordinated = threading.Event()

    def claim(self, partition: int) -> EmbeddedClaim:
        self.asked.set()
        assert self.coordinated.wait(60)
        return super().claim(partition)


def test_news_are_folded_while_a_claim_has_to_wait(tmp_path: Path) -> None:
    log = Uncoordinated(tmp_path / "log.db")
    with closing(Following(log)) as following:
        assert log.asked.wait(20)
        for written in range(1, 4):
            log.append([entry_of(msgspec.structs.replace(MOVE, changed_at_ms=written))])
            assert eventually(lambda: following.folded == written)  # noqa: B023 # at once
        assert eventually(lambda: following.clusters.by_name[CLUSTER].owned)
        assert not following.owner.decides(CLUSTER)
        log.coordinated.set()
        assert eventually(lambda: following.owner.decides(CLUSTER))


class Lame(EmbeddedLog):
    """A log of which one partition cannot be read to its end, as that of a Kafka whose leader is gone."""

    def __init__(self, path: Path, lost: int) -> None:
        super().__init__(path, PARTITIONS)
        self._lost = lost

    def tail(
        self, topics: Iterable[Topic], partitions: Iterable[int], *, from_start: bool, recent: Collection[Topic] = ()
    ) -> EmbeddedTail:
        tail = super().tail(topics, partitions, from_start=from_start, recent=recent)
        tail.mark_end({(Topic.OBSERVATIONS, self._lost): 1_000_000})
        return tail


def test_a_partition_that_cannot_be_read_keeps_no_other_from_its_decisions(tmp_path: Path) -> None:
    lost = next(
        name for name in map(str, range(100)) if partition_of(name, PARTITIONS) != partition_of(CLUSTER, PARTITIONS)
    )
    with closing(Following(Lame(tmp_path / "log.db", partition_of(lost, PARTITIONS)))) as following:
        following.owner.act_for([CLUSTER, lost])
        assert eventually(lambda: following.owner.decides(CLUSTER))
        following.log.append([entry_of(poll(dialer(ONE)))])
        assert eventually(lambda: CLUSTER in following.clusters.by_name and following.clusters.by_name[CLUSTER].owned)
        assert not following.owner.decides(lost)
        assert not following.follower.caught_up
