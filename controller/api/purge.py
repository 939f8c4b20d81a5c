"""The route that forgets a cluster."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from litestar import delete
from litestar.params import FromPath
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_202_ACCEPTED
from litestar.types import ControllerRouterHandler

from controller.api.auth import SECURED, AnyRequest, client_of, needs
from controller.api.errors import guarded
from controller.api.orders import By, Orderer, Why
from controller.api.schemas import OrderBody
from controller.api.tokens import Scope, Tokens
from controller.core.cluster import Cluster
from controller.runtime.purge import ends_of, obstacle_to_forgetting
from stream.log import Log, LogError


def purge_routes(
    log: Log, orderer: Orderer, tokens: Tokens, listening_since: Callable[[], float | None], *, may: bool
) -> list[ControllerRouterHandler]:
    """Return the route that forgets a cluster; `may`: this process may write the tombstones."""

    def refuse(found: Cluster) -> None:
        if why := obstacle_to_forgetting(found, listening_since(), time.monotonic()):
            raise _not_now(why)

    @delete(
        "/v1/clusters/{cluster:str}",
        tags=["order"],
        summary="Forget a cluster that no longer has a collector",
        guards=[needs(Scope.ADMIN, tokens)],
        status_code=HTTP_202_ACCEPTED,
        security=SECURED,
        responses=guarded(
            HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    )
    async def forget(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> None:
        client = client_of(request, tokens)
        found = orderer.admit_order(cluster, client)
        if not may:
            raise _not_now(
                f"a replica may not: ask its owner, {found.state.published.owner_url or 'which is not known now'}"
            )
        refuse(found)
        try:
            ends = await asyncio.to_thread(ends_of, log, cluster, found.state.observed.stamp)
        except LogError as error:
            raise ProblemDetailsException(
                status_code=HTTPStatus.SERVICE_UNAVAILABLE, title="the log cannot be read", detail=str(error)
            ) from error
        refuse(found)  # again, since reading took a while
        await orderer.forget(cluster, ends, OrderBody(by=by, why=why), client)

    return [forget]


def _not_now(why: str) -> ProblemDetailsException:
    return ProblemDetailsException(status_code=HTTPStatus.CONFLICT, title="not forgotten", detail=why)
