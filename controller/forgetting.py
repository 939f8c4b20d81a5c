"""Forgetting a cluster that is no more: what the log keeps of it for ever is ended, and nobody lists it any longer."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from litestar import delete
from litestar.params import FromPath
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_202_ACCEPTED
from litestar.types import ControllerRouterHandler

from controller.admission import SECURED, AnyRequest, client_of, needs
from controller.answers import OrderBody
from controller.desk import ClusterView
from controller.ordering import By, Orderer, Why
from controller.problems import guarded
from controller.tokens import Scope, Tokens
from messages.topics import RETENTION, Key, Retention, Topic
from stream.log import Entry, Log, LogError
from stream.writing import end_of_observation

KEPT = tuple(topic for topic in Topic if RETENTION[topic] is Retention.COMPACTED)
"""Topics in which a record stays for ever unless a tombstone ends it."""
QUIET_SECONDS = 15.0
"""A collector that works says something at least this often: polls, or each time it tried that its database is away."""


def why_not(view: ClusterView, listening_since: float | None, now: float) -> str:
    """Say why a cluster must not be forgotten now; empty: no collector works for it, as far as this process knows.

    `listening_since`: when this process had caught up with the log; None: it has not. Seconds of the monotonic clock.
    """
    if listening_since is not None and now - max(listening_since, view.heard_at or 0.0) >= QUIET_SECONDS:
        return ""
    return (
        f"a collector still works for {view.state.cluster}, or may: take it out of the settings of all collectors, and"
        f" come again {QUIET_SECONDS:.0f} s later"
    )


def ends_of(log: Log, cluster: str, stamp: tuple[int, int]) -> list[Entry]:
    """Make the tombstones that end everything of a cluster; the one of its poll, after which it is gone, comes last.

    Reads the cluster's partition of each topic.

    Raises:
        LogError: the log cannot be read.
    """
    keys = [(topic, key) for topic in KEPT for key in log.latest(topic, cluster)]
    keys.sort(key=lambda each: (each[0] is Topic.OBSERVATIONS, each[1] == cluster))
    return [
        end_of_observation(Key.parse(key), *stamp) if topic is Topic.OBSERVATIONS else Entry(topic, key, None)
        for topic, key in keys
    ]


def forgetting_routes(
    log: Log, orderer: Orderer, tokens: Tokens, listening_since: Callable[[], float | None], *, may: bool
) -> list[ControllerRouterHandler]:
    """Make the route that forgets; `may`: this process may write what that takes. The rest is as for `why_not`."""

    def refuse(view: ClusterView) -> None:
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
