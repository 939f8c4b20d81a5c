"""The API's view of orders: those that stand, and what one would do before it is given."""

from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from litestar import get
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from controller.api.auth import SECURED, cluster_or_404, needs
from controller.api.errors import guarded
from controller.api.order_subjects import brake_of, dialer_of, session_of, standing_fence_of
from controller.api.schemas import StandingOrder
from controller.api.tokens import Scope, Tokens
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.previews import (
    Preview,
    ordered_words,
    preview_of_drain,
    preview_of_move,
    preview_of_opening,
    preview_of_pause,
    preview_of_release,
)
from controller.core.state import ClusterState


class Previewed(StrEnum):
    """An order that can be previewed."""

    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    MOVE = "move"
    UNBRAKE = "unbrake"
    UNFENCE = "unfence"


def preview_of(cluster: Cluster, order: Previewed, subject: str) -> Preview:
    """Return what an order would do.

    Raises:
        ProblemDetailsException: its subject does not exist, or the order would make no sense.
    """
    state, policy, acts = cluster.state, cluster.policy, cluster.acts
    match order:
        case Previewed.PAUSE:
            return preview_of_pause(state, acts=acts)
        case Previewed.DRAIN:
            return preview_of_drain(state, policy, dialer_of(cluster, subject), acts=acts)
        case Previewed.MOVE:
            return preview_of_move(state, policy, session_of(cluster, subject), acts=acts)
        case Previewed.UNDRAIN:
            return preview_of_opening(state, dialer_of(cluster, subject))
        case Previewed.UNFENCE:
            return preview_of_opening(state, standing_fence_of(cluster, subject).server_ip)
        case Previewed.UNBRAKE:
            brake_of(cluster)
    return preview_of_release(state, policy, acts=acts)


def standing_orders(state: ClusterState, *, acts: bool) -> Iterator[StandingOrder]:
    """Yield the orders that stand, and mean something still."""
    for key, order in state.decided.orders.standing.items():
        if state.is_in_force(order):
            yield StandingOrder(
                kind=key.kind,
                subject=key.name,
                by=order.by,
                why=order.why,
                ordered_at_ms=order.ordered_at_ms,
                words=ordered_words(state, order, acts=acts),
            )


def preview_routes(clusters: Clusters, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Return the routes that list standing orders and preview others."""
    guards = [needs(Scope.READ, tokens)]

    @get(
        "/v1/clusters/{cluster:str}/orders",
        tags=["order"],
        summary="The orders that stand, each of which can be taken back",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def standing(cluster: FromPath[str]) -> list[StandingOrder]:
        found = cluster_or_404(clusters, cluster)
        return list(standing_orders(found.state, acts=found.acts))

    @get(
        "/v1/clusters/{cluster:str}/previews/{order:str}",
        tags=["order"],
        summary="What an order would do, if it were given now",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    )
    async def preview(
        cluster: FromPath[str],
        order: FromPath[Previewed],
        subject: Annotated[str, QueryParameter(description="the dialer or agent", max_length=255)] = "",
    ) -> Preview:
        return preview_of(cluster_or_404(clusters, cluster), order, subject)

    return [standing, preview]
