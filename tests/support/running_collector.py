"""A collector at work in this process, and what the log then holds."""

import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from collectors.collector import NO_PROBES, Collector
from collectors.leading import Pace
from collectors.metrics import CollectorInstruments
from collectors.probes.prober import ProbeSettings
from collectors.vicidial.settings import DatabaseSettings
from controller.core.state import ClusterState
from controller.runtime.decoding import read
from messages.topics import Topic, partition_of
from stream.embedded.log import EmbeddedLog
from stream.log import Log
from stream.outbox import Outbox
from tests.support.builders import CLUSTER, PARTITIONS, eventually, fold_all

QUICK = Pace(flags=0.1, agents=0.2, catalogue=0.5)
PARTITION = partition_of(CLUSTER, PARTITIONS)


class Running:
    """A collector at work in a thread of its own, with its own way to the log."""

    def __init__(
        self, log: Log, settings: DatabaseSettings, name: str, bound: int, probes: ProbeSettings = NO_PROBES
    ) -> None:
        self.registry = CollectorRegistry()
        self.outbox = Outbox(log, bound=bound)
        self._stop = threading.Event()
        self._collector = Collector(
            CLUSTER,
            settings,
            log,
            self.outbox,
            CollectorInstruments(self.registry),
            name=name,
            pace=QUICK,
            probes=probes,
        )
        self._thread = threading.Thread(target=self._collector.run, args=(self._stop,), name=name)
        self._thread.start()

    def stop(self) -> float:
        """End it, and tell how many seconds that took."""
        began = time.monotonic()
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        took = time.monotonic() - began
        self.outbox.close(0.2)
        return took

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, {"cluster": CLUSTER, **labels}) or 0.0

    @property
    def leads(self) -> bool:
        return self.metric("hotdesk_collector_leading") == 1

    @property
    def failures(self) -> float:
        return sum(self.metric("hotdesk_poll_errors_total", kind=kind) for kind in ("unavailable", "refused"))


class Following:
    """What the log tells, folded as it comes."""

    def __init__(self, log: EmbeddedLog) -> None:
        self._log = log
        self._state = ClusterState(CLUSTER)
        self._next = 0

    @property
    def state(self) -> ClusterState:
        while new := self._log.read(Topic.OBSERVATIONS, PARTITION, self._next):
            fold_all(self._state, new)
            self._next = new[-1].offset + 1
        return self._state

    def polls_on(self, count: int = 3) -> None:
        """Wait for some further polls."""
        sequence, epoch = self.state.observed.stamp[1], self.state.observed.stamp[0]
        assert eventually(lambda: self.state.observed.stamp > (epoch, sequence + count))

    def until(self, condition: Callable[[ClusterState], bool], seconds: float = 20) -> ClusterState:
        assert eventually(lambda: condition(self.state), seconds), self._state
        return self.state

    def records(self, *kinds: type) -> list[object]:
        """Return every record of these kinds that stands in the log."""
        found: list[object] = []
        offset = 0
        while new := self._log.read(Topic.OBSERVATIONS, PARTITION, offset):
            found += [record for record in map(read, new) if isinstance(record, kinds)]
            offset = new[-1].offset + 1
        return found
