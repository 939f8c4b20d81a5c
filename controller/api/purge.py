"""The route by which a cluster is forgotten."""

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
from controller.core.clusters import Cluster
from controller.runtime.purge import ends_of, why_not
from stream.log import Log, LogError


def purge_routes(
    log: Log, orderer: Orderer, tokens: Tokens, listening_since: Callable[[], float | None], *, may: bool
) -> list[ControllerRouterHandler]:
    """Make the route that forgets; `may`: this process may write what that takes. The rest is as for `why_not`."""

    def refuse(view: Cluster) -> None:
        if why := why_not(view, listening_since(), time.monotonic()):
            raise _not_now(why)

    @delete(
        "/v1/clusters/{cluster:str}",
        tags=["order"],
        summary="Forget a cluster for which nobody collects any more",
        guards=[needs(Scope.ADMIN, tokens)],
        status_code=HTTP_202_ACCEPTED,
        security=SECURED,
        responses=guarded(
            HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    )
    async def forget(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> None:
        client = client_of(request, tokens)
        view = orderer.known(cluster, client)
        if not may:
            raise _not_now(f"a replica may not: ask its owner, {view.owner_url or 'which is not known now'}")
        refuse(view)
        try:
            ends = await asyncio.to_thread(ends_of, log, cluster, view.state.stamp)
        except LogError as error:
            raise ProblemDetailsException(
                status_code=HTTPStatus.SERVICE_UNAVAILABLE, title="the log cannot be read", detail=str(error)
            ) from error
        refuse(view)  # that took a while
        orderer.forget(cluster, ends, OrderBody(by=by, why=why), client)

    return [forget]


def _not_now(why: str) -> ProblemDetailsException:
    return ProblemDetailsException(status_code=HTTPStatus.CONFLICT, title="not forgotten", detail=why)
