"""A follower at work on a real event loop, with an owner, for tests of what a process decides for."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from controller.core.clusters import Clusters
from controller.runtime.follower import Follower
from controller.runtime.metrics import ControllerInstruments
from controller.runtime.owner import Owner
from messages.records import Record
from stream.embedded.log import EmbeddedLog
from stream.outbox import Outbox
from tests.support.builders import CLUSTER, PARTITIONS, arrived, eventually


class Following:
    """A follower at work, and the log it follows."""

    def __init__(self, log: EmbeddedLog, cluster: str = CLUSTER, *, reads_all: bool = True) -> None:
        self.log = log
        self.registry = CollectorRegistry()
        self.clusters = Clusters("me", "", PARTITIONS, {})
        self.outbox = Outbox(self.log)
        self.owner = Owner(self.log)
        self.owner.act_for([cluster])
        self.loop = asyncio.new_event_loop()
        self.follower = Follower(
            self.log,
            self.clusters,
            self.outbox,
            ControllerInstruments(self.registry),
            self.owner,
            loop=self.loop,
            on_plans=lambda _: None,
            owns=True,
            reads_all=reads_all,
        )
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.follower.start()

    def close(self) -> None:
        self.follower.stop()
        self.follower.join(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.outbox.close()
        self.log.close()

    def fold(self, record: Record) -> None:
        """Have it know a record that does not stand in the log."""

        async def fold() -> None:
            self.clusters.fold(arrived(record), time.monotonic(), live=True)

        asyncio.run_coroutine_threadsafe(fold(), self.loop).result(10)

    @property
    def folded(self) -> float:
        return (
            self.registry.get_sample_value("hotdesk_records_folded_total", {"cluster": CLUSTER, "result": "folded"})
            or 0
        )


@contextmanager
def following_all(folder: Path) -> Iterator[Following]:
    """Yield a follower that owns everything and decides for the one cluster."""
    with closing(Following(EmbeddedLog(folder / "log.db", PARTITIONS))) as made:
        assert eventually(lambda: made.owner.decides(CLUSTER))
        yield made
