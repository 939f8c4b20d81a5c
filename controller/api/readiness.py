"""The audit as the API and Prometheus show it: in slices, so that no login waits for it."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus

import structlog
from litestar import get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.api.auth import SECURED, known, needs
from controller.api.errors import guarded
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import Clusters
from controller.core.readiness import ReadinessFinding, Severity, readiness_slices
from controller.core.state import ClusterState
from messages import metrics

EVERY_SECONDS = 60.0

log = structlog.get_logger()


async def look(state: ClusterState) -> list[ReadinessFinding]:
    """Audit a cluster, and let others have their turn in between; the worst comes first."""
    found: list[ReadinessFinding] = []
    for part in readiness_slices(state):
        found += part
        await asyncio.sleep(0)
    order = list(Severity)
    return sorted(found, key=lambda each: (order.index(each.severity), each.kind, each.where, each.what))


class ReadinessMetrics(Collector):
    """Audits every cluster once a minute for the metrics. It belongs to the event loop."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self._counts: dict[str, Counter[tuple[str, str]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="audit")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    def describe(self) -> Iterator[Metric]:
        """Tell no names: there is nothing to collect before a cluster is known."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Give how many findings of each kind there were when it last looked."""
        spec = metrics.READINESS_FINDINGS
        family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
        for cluster, counts in list(self._counts.items()):
            for (severity, kind), count in counts.items():
                family.add_metric((cluster, severity, kind), count)
        yield family

    async def _run(self) -> None:
        while True:
            for name, view in list(self._clusters.by_name.items()):
                try:
                    found = await look(view.state)
                except Exception:  # one cluster's oddity must not end it for all
                    log.exception("an audit failed", cluster=name)
                    continue
                self._counts[name] = Counter((each.severity.value, each.kind) for each in found)
            for name in self._counts.keys() - self._clusters.by_name.keys():
                del self._counts[name]
            await asyncio.sleep(EVERY_SECONDS)


def readiness_routes(clusters: Clusters, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the route that audits."""

    @get(
        "/v1/clusters/{cluster:str}/readiness",
        tags=["audit"],
        summary="What hot-desking needs of this VICIdial and lacks, and how to mend it; the worst first",
        guards=[needs(Scope.READ, tokens)],
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def audit(cluster: FromPath[str]) -> list[ReadinessFinding]:
        return await look(known(clusters, cluster).state)

    return [audit]
