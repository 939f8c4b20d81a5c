"""Forgetting a cluster that is no more: what the log keeps of it for ever is ended, and nobody lists it any longer."""

import asyncio
import time
from http import HTTPStatus

from litestar import delete
from litestar.params import FromPath
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_202_ACCEPTED
from litestar.types import ControllerRouterHandler

from controller.api import SECURED, AnyRequest, Put, client_of, known, needs
from controller.desk import FORGOTTEN, ClusterView, Desk
from controller.ordering import By, Why, wall_clock_ms
from controller.problems import guarded
from controller.tokens import Scope, Tokens
from messages.records import Decision
from messages.topics import RETENTION, Key, Retention, Topic
from stream.log import Entry, Log, LogError
from stream.writing import end_of_observation, entry_of

KEPT = tuple(topic for topic in Topic if RETENTION[topic] is Retention.COMPACTED)
"""Topics in which a record stays for ever unless a tombstone ends it."""


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


def forgetting_routes(desk: Desk, log: Log, put: Put, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the route that forgets."""

    @delete(
        "/v1/clusters/{cluster:str}",
        tags=["order"],
        summary="Forget a cluster for which nobody collects any more",
        guards=[needs(Scope.ADMIN, tokens)],
        status_code=HTTP_202_ACCEPTED,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def forget(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> None:
        stamp = _idle(desk, cluster).state.stamp
        try:
            ends = await asyncio.to_thread(ends_of, log, cluster, stamp)
        except LogError as error:
            raise ProblemDetailsException(
                status_code=HTTPStatus.SERVICE_UNAVAILABLE, title="the log cannot be read", detail=str(error)
            ) from error
        _idle(desk, cluster)  # that took a while
        decision = Decision(
            cluster=cluster,
            at_ms=wall_clock_ms(),
            actor=f"{by} ({client_of(request, tokens)})",
            what=FORGOTTEN,
            why=why,
        )
        put([entry_of(decision), *ends])

    return [forget]


def _idle(desk: Desk, cluster: str) -> ClusterView:
    """Give a cluster's view, unless polls of it come in."""
    view = known(desk, cluster)
    if not view.stale(time.monotonic()):
        raise ProblemDetailsException(
            status_code=HTTPStatus.CONFLICT,
            title="still collected",
            detail=f"a collector still works for {cluster}: take it out of the settings of all collectors first",
        )
    return view
