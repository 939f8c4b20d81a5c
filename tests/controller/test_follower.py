"""Following a real log on a real event loop: in what order what a loud cluster wrote is taken in."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from controller.backlog import FEW
from controller.desk import Desk
from controller.follower import Follower
from controller.instruments import ControllerInstruments
from messages.records import Relogin, Stage
from messages.topics import partition_of
from stream.embedded import EmbeddedLog
from stream.log import LogFencedError
from stream.outbox import Outbox
from stream.writing import entry_of
from tests.making import CLUSTER, NOW_MS, ONE, PARTITIONS, TWO, eventually

MOVE = Relogin(
    cluster=CLUSTER,
    live_agent_id=1,
    incident="i",
    user="1001",
    from_server_ip=ONE,
    to_server_ip=TWO,
    alias_id="desk",
    phone_login="p2",
    stage=Stage.ORDERED,
    ordered_at_ms=NOW_MS,
    by="another",
)
ROUNDS = 8


class Following:
    """A follower at work, and the log it follows."""

    def __init__(self, folder: Path) -> None:
        self.log = EmbeddedLog(folder / "log.db", PARTITIONS)
        self.registry = CollectorRegistry()
        self.desk = Desk("me", "", PARTITIONS, {})
        self.outbox = Outbox(self.log)
        instruments = ControllerInstruments(self.registry)
        self.follower = Follower(self.log, self.desk, self.outbox, instruments, owns=True, reads_all=True)
        self.follower.act_for([CLUSTER])
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.follower.start(self.loop)

    def close(self) -> None:
        self.follower.stop()
        self.follower.join(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.outbox.close()
        self.log.close()

    @property
    def folded(self) -> float:
        return (
            self.registry.get_sample_value("hotdesk_records_folded_total", {"cluster": CLUSTER, "result": "folded"})
            or 0
        )


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    """Give a follower that owns everything and decides for the one cluster."""
    made = Following(tmp_path)
    with closing(made):
        assert eventually(lambda: made.follower.decides(CLUSTER))
        yield made


def test_nothing_that_a_loud_cluster_wrote_is_overtaken_when_its_partition_is_claimed_anew(
    following: Following,
) -> None:
    partition, written = partition_of(CLUSTER, PARTITIONS), 0
    for _ in range(ROUNDS):
        with closing(following.log.claim(partition)):
            moves = [msgspec.structs.replace(MOVE, changed_at_ms=written + at) for at in range(1, 2 * FEW)]
            following.log.append([entry_of(each) for each in moves])
            written += len(moves)
            # another has claimed it: this process has to claim it again, while what was written waits
            with pytest.raises(LogFencedError):
                asyncio.run_coroutine_threadsafe(
                    following.follower.commit(CLUSTER, [entry_of(moves[0])]), following.loop
                ).result(10)
        written += 1
        following.log.append([entry_of(msgspec.structs.replace(MOVE, changed_at_ms=written))])
        assert eventually(lambda: following.folded >= written)  # noqa: B023 # at once
        assert following.desk.clusters[CLUSTER].state.relogins[1].changed_at_ms == written
        assert eventually(lambda: following.follower.decides(CLUSTER))
