"""Readiness checks over HTTP and as metrics: they run in slices, so that no login waits for them."""

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

from controller.api.auth import SECURED, cluster_or_404, known_or_503, needs
from controller.api.errors import guarded
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import Clusters
from controller.core.readiness import ReadinessFinding, Severity, readiness_slices
from controller.core.state import ClusterState
from messages import metrics

EVERY_SECONDS = 60.0

log = structlog.get_logger()


async def run_check(state: ClusterState) -> list[ReadinessFinding]:
    """Return the readiness findings of a cluster, the worst first; other tasks run between the slices."""
    found: list[ReadinessFinding] = []
    for part in readiness_slices(state):
        found += part
        await asyncio.sleep(0)
    order = list(Severity)
    return sorted(found, key=lambda each: (order.index(each.severity), each.kind, each.where, each.what))


class ReadinessMetrics(Collector):
    """Checks every cluster's readiness once a minute for the metrics. It belongs to the event loop."""

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self._counts: dict[str, Counter[tuple[str, str]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the task."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="readiness")

    async def stop(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self._task.cancel()

    def describe(self) -> Iterator[Metric]:
        """Return no names: there is nothing to collect before a cluster is known."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the number of findings of each kind in the latest checks."""
        spec = metrics.READINESS_FINDINGS
        family = GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
        for cluster, counts in list(self._counts.items()):
            for (severity, kind), count in counts.items():
                family.add_metric((cluster, severity, kind), count)
        yield family

    async def _run(self) -> None:
        while True:
            for name, cluster in list(self._clusters.by_name.items()):
                try:
                    found = await run_check(cluster.state)
                except Exception:  # an oddity of one cluster must not end the checks of all
                    log.exception("a readiness check failed", cluster=name)
                    continue
                self._counts[name] = Counter((each.severity.value, each.kind) for each in found)
            for name in self._counts.keys() - self._clusters.by_name.keys():
                del self._counts[name]
            await asyncio.sleep(EVERY_SECONDS)


def readiness_routes(clusters: Clusters, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Return the route that runs the readiness checks."""

    @get(
        "/v1/clusters/{cluster:str}/readiness",
        tags=["readiness"],
        summary="What this VICIdial lacks for hot-desking, and how to mend it; the worst first",
        guards=[needs(Scope.READ, tokens)],
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def readiness(cluster: FromPath[str]) -> list[ReadinessFinding]:
        return await run_check(known_or_503(cluster_or_404(clusters, cluster)).state)

    return [readiness]
