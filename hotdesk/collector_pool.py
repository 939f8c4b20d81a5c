"""Role collect: the collectors of one process, a thread for each cluster: they come, change and go while it runs."""

import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from collectors.collector import NO_PROBES, Collector
from collectors.metrics import CollectorInstruments
from collectors.probes.prober import ProbeSettings
from collectors.vicidial.settings import DatabaseSettings
from hotdesk.part import Part, Shared
from hotdesk.wanted import Wanted

CHANGE_SECONDS = 1.5
"""Time that all collectors which end together have for it; one that waits for a database ends a little later. A process
that is asked to end meanwhile must still do so within five seconds."""


class _Working(NamedTuple):
    settings: tuple[DatabaseSettings, ProbeSettings]
    stop: threading.Event
    thread: threading.Thread


class CollectorPool(Part):
    """Collects for the clusters that are wanted, and for no others."""

    def __init__(self, wanted: Wanted, shared: Shared) -> None:
        self._wanted = wanted
        self._shared = shared
        self._instruments = CollectorInstruments(shared.registry)
        self._working: dict[str, _Working] = {}
        """By cluster."""
        self._leaving: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to collect."""
        self.apply(self._wanted)

    def apply(self, wanted: Wanted) -> None:
        """Collect for these clusters and no others; whose settings are as they were goes on undisturbed."""
        settings = {
            cluster: (database, wanted.probes.get(cluster, NO_PROBES)) for cluster, database in wanted.databases.items()
        }
        for cluster in [each for each, working in self._working.items() if settings.get(each) != working.settings]:
            self._let_go(cluster)
        self.join(time.monotonic() + CHANGE_SECONDS)
        for cluster, how in settings.items():
            if cluster not in self._working:
                self._begin(cluster, how)

    def stop(self) -> None:
        """Ask all of them to end."""
        for cluster in list(self._working):
            self._let_go(cluster)

    def join(self, deadline: float) -> None:
        """Wait for those that were asked to end."""
        for thread in self._leaving:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._leaving = [each for each in self._leaving if each.is_alive()]

    def ended(self) -> Sequence[str]:
        """Return the collectors that ended by themselves."""
        return [each.thread.name for each in self._working.values() if not each.thread.is_alive()]

    def _let_go(self, cluster: str) -> None:
        working = self._working.pop(cluster)
        working.stop.set()
        self._leaving.append(working.thread)

    def _begin(self, cluster: str, settings: tuple[DatabaseSettings, ProbeSettings]) -> None:
        database, probes = settings
        collector = Collector(
            cluster,
            database,
            self._shared.log,
            self._shared.outbox,
            self._instruments,
            name=self._shared.name,
            probes=probes,
        )
        stop = threading.Event()

        def work() -> None:
            collector.run(stop)
            if cluster not in self._working:
                self._instruments.end(cluster)

        thread = threading.Thread(target=work, name=f"collector-{cluster}", daemon=True)
        self._working[cluster] = _Working(settings, stop, thread)
        thread.start()
