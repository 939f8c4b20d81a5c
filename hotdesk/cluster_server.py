"""Roles control and serve: the clusters as the log tells of them, and all that is answered about them."""

from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from litestar.types import ControllerRouterHandler
from prometheus_client import Gauge

from controller.api.app import reading_routes
from controller.api.order_previews import preview_routes
from controller.api.orders import Orderer, incident_routes, ordering_routes
from controller.api.owner_client import OwnerClient
from controller.api.picks import Picker, picking_routes
from controller.api.purge import purge_routes
from controller.api.readiness import ReadinessMetrics, readiness_routes
from controller.core.clusters import Clusters
from controller.page.routes import StatusPage, page_routes
from controller.page.runbooks import Runbooks, runbook_routes
from controller.runtime.follower import Follower
from controller.runtime.metrics import ClusterGauges, ControllerInstruments
from hotdesk.part import Part, Shared
from hotdesk.shipped import shipped
from hotdesk.version import VERSION
from hotdesk.wanted import Role, Wanted
from messages import metrics

FOLLOWER_SECONDS = 1.5
"""The follower's threads may take this long to end."""


class ClusterServer(Part):
    """Follows the log, and answers. What it decides by, where it owns a cluster, is what it shows."""

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        wanted: Wanted,
        shared: Shared,
        clusters: Clusters,
        follower: Follower,
        instruments: ControllerInstruments,
        *,
        owners: OwnerClient,
    ) -> None:
        self._loop = shared.loop
        self._clusters = clusters
        self._follower = follower
        auditor = ReadinessMetrics(clusters)
        shared.registry.register(auditor)
        self.on_startup: Sequence[Callable[[], object]] = (auditor.start,)
        """On the event loop, before the first request."""
        self.on_shutdown: Sequence[Callable[[], object]] = (auditor.stop, owners.close)
        """On the event loop, after the last."""
        self._gauges = ClusterGauges(clusters)
        allowed = wanted.api.limits()
        picker = Picker(clusters, shared.outbox.put, owners, instruments, allowed)
        orderer = Orderer(clusters, shared.outbox, allowed.orders, instruments)
        self._page = page = StatusPage(clusters, orderer, shared.tokens, VERSION, wanted.api.dashboards())
        viewers = Gauge(*metrics.PAGE_VIEWERS, registry=shared.registry)
        viewers.set_function(lambda: page.live.viewers)
        self.routes: Sequence[ControllerRouterHandler] = (
            *reading_routes(clusters, shared.tokens),
            *incident_routes(clusters, shared.tokens),
            *readiness_routes(clusters, shared.tokens),
            *picking_routes(picker, shared.tokens),
            *ordering_routes(orderer, shared.tokens),
            *preview_routes(clusters, shared.tokens),
            *purge_routes(
                shared.log,
                orderer,
                shared.tokens,
                lambda: follower.listening_since,
                may=Role.CONTROL in wanted.roles,
            ),
            page_routes(page),
            runbook_routes(page, Runbooks(shipped("docs/runbooks"))),
        )

    async def metrics_text(self) -> bytes:
        """Return the metrics of the clusters, in Prometheus's text format."""
        return await self._gauges.text()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the log as long as this lasts, on the event loop."""
        self._follower.start()
        try:
            yield
        finally:
            self._follower.stop()
            # its threads wait for this loop to fold their last batch
            with ThreadPoolExecutor(1) as waiter:
                await self._loop.run_in_executor(waiter, self._follower.join, FOLLOWER_SECONDS)

    def apply(self, wanted: Wanted) -> None:
        """Judge by these policies from the next poll on."""
        self._loop.call_soon_threadsafe(self._clusters.judge_by, wanted.policies)

    def stop(self) -> None:
        """Disconnect everybody who watches the status page: a process that ends waits for no one."""
        self._page.live.close()

    def doubts(self) -> Sequence[str]:
        """Return why the clusters are not known as they are."""
        if self._follower.outdated:
            return ("a newer hotdesk decides here: upgrade this one and start it again",)
        if not self._follower.caught_up:
            return ("still reading the log",)
        return ()
