"""The HTTP API, and what all processes and replicas answer alike. Errors are RFC 9457 problem details."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

import structlog
from litestar import Litestar, MediaType, Response, Router, get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath, PathParameter, QueryParameter
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException, ProblemDetailsPlugin
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_400_BAD_REQUEST,
    HTTP_404_NOT_FOUND,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import ControllerRouterHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from controller.api.auth import BEARER, SECURED, age_ms, known, needs
from controller.api.errors import guarded
from controller.api.picks import refusal
from controller.api.schemas import (
    AcknowledgeBody,
    AliasAnswer,
    ClusterAnswer,
    HealthAnswer,
    OrderBody,
    PhoneAnswer,
    PickBody,
    RankingAnswer,
    ReloginBody,
)
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import DECISIONS_KEPT, Clusters
from controller.core.explanations import Explanation, explain, sentence_about
from controller.core.picks import NoPick, Refused, rank_alias
from messages.records import Decision

Doubts = Callable[[], tuple[str, ...]]
"""Tells what keeps this process from being ready, in words; nothing: it is."""


Name = Annotated[str, PathParameter(max_length=255)]
"""An alias, as long as VICIdial's column for a list of logins, or what else has a name."""

BODIES = (PickBody, ReloginBody, OrderBody, AcknowledgeBody)
"""What Litestar describes as if unknown fields were taken, which they are not."""

BODY = "data"
"""What Litestar calls a request's body."""

log = structlog.get_logger()


def create_app(  # noqa: PLR0913 # what it connects, each once
    *,
    version: str,
    tokens: Tokens,
    registry: CollectorRegistry,
    doubts: Doubts,
    more_metrics: Callable[[], Awaitable[bytes]] | None = None,
    routes: Sequence[ControllerRouterHandler] = (),
    on_startup: Sequence[Callable[[], object]] = (),
    on_shutdown: Sequence[Callable[[], object]] = (),
) -> Litestar:
    """Make the application: health, readiness, metrics, and the `routes` of the roles this process has.

    `more_metrics` gives what is not in the `registry`, in Prometheus's text format.
    """

    @get("/healthz", tags=["process"], summary="Does the process answer?")
    async def healthz() -> HealthAnswer:
        return HealthAnswer(status="ok", version=version)

    @get(
        "/readyz",
        tags=["process"],
        summary="Is the process of use now?",
        responses={
            HTTP_503_SERVICE_UNAVAILABLE: ResponseSpec(HealthAnswer, generate_examples=False, description="Why not")
        },
    )
    async def readyz() -> Response[HealthAnswer]:
        why = doubts()
        answer = HealthAnswer(status="not ready" if why else "ready", version=version, why=why)
        return Response(answer, status_code=HTTP_503_SERVICE_UNAVAILABLE if why else HTTP_200_OK)

    @get(
        "/metrics",
        tags=["process"],
        summary="Prometheus metrics",
        media_type=MediaType.TEXT,
        guards=[needs(Scope.READ, tokens)],
        security=SECURED,
        responses=guarded(),
    )
    async def metrics() -> Response[bytes]:
        text = await asyncio.to_thread(generate_latest, registry)
        if more_metrics is not None:
            text += await more_metrics()
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    app = Litestar(
        route_handlers=[healthz, readyz, metrics, *routes],
        openapi_config=OpenAPIConfig(
            title="hotdesk",
            version=version,
            components=Components(
                security_schemes={
                    BEARER: SecurityScheme(
                        type="http", scheme="bearer", description="A line of the token file, if there is one"
                    )
                }
            ),
            openapi_router=Router("/openapi", route_handlers=[], include_in_schema=False, after_request=_no_page),
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        ),
        plugins=[
            ProblemDetailsPlugin(
                ProblemDetailsConfig(
                    exception_to_problem_detail_map={
                        HTTPException: _problem,
                        RecursionError: _too_deep,
                        UnicodeDecodeError: _no_utf8,
                        Exception: _failure,
                    }
                )
            )
        ],
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
        request_max_body_size=64 * 1024,
        logging_config=None,
    )
    schemas = app.openapi_schema.components.schemas or {}
    for kind in BODIES:
        if (described := schemas.get(kind.__name__)) is not None:
            described.additional_properties = False
    return app


def reading_routes(clusters: Clusters, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the routes that read rankings."""
    guards = [needs(Scope.READ, tokens)]

    @get(
        "/v1/clusters",
        tags=["ranking"],
        summary="The clusters known here",
        guards=guards,
        security=SECURED,
        responses=guarded(),
    )
    async def clusters() -> list[ClusterAnswer]:
        now = time.monotonic()
        return [
            ClusterAnswer(
                cluster=name,
                stale=view.stale(now),
                age_ms=age_ms(view, now),
                owned=view.owned,
                summary=sentence_about(view.state, stale=view.stale(now)),
            )
            for name, view in sorted(clusters.by_name.items())
        ]

    @get(
        "/v1/clusters/{cluster:str}/ranking",
        tags=["ranking"],
        summary="Which dialer now, and why not the others",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def ranking(cluster: FromPath[str]) -> RankingAnswer:
        view, now = known(clusters, cluster), time.monotonic()
        snapshot = clusters.snapshot(view)
        return RankingAnswer(
            cluster=cluster,
            epoch=snapshot.epoch,
            sequence=snapshot.sequence,
            observed_at_ms=snapshot.observed_at_ms,
            age_ms=age_ms(view, now),
            stale=view.stale(now),
            owner=snapshot.owner,
            answered_by=clusters.name,
            imbalance=snapshot.imbalance,
            database_unreachable_since_ms=snapshot.outage_since_ms,
            brake="" if snapshot.health is None else snapshot.health.brake,
            paused_by="" if view.state.orders.pause is None else view.state.orders.pause.by,
            dialers=snapshot.dialers,
            summary=sentence_about(view.state, stale=view.stale(now)),
            fences=tuple(view.state.fences.values()),
        )

    @get(
        "/v1/clusters/{cluster:str}/aliases/{alias:str}/ranking",
        tags=["ranking"],
        summary="Which phone of an alias now, and why not the others",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def alias_ranking(
        cluster: FromPath[str],
        alias: Name,
        campaign: Annotated[str, QueryParameter(description="campaign to log in to")] = "",
    ) -> AliasAnswer:
        view, now = known(clusters, cluster), time.monotonic()
        ranked = rank_alias(view.state, view.policy, alias, campaign)
        if ranked is None:
            raise refusal(Refused(NoPick.UNKNOWN_ALIAS, ()), alias)
        return AliasAnswer(
            cluster=cluster,
            alias=alias,
            campaign=campaign,
            age_ms=age_ms(view, now),
            stale=view.stale(now),
            forced_by=ranked.forced_by,
            phones=tuple(PhoneAnswer(**phone._asdict()) for phone in ranked.phones),
        )

    @get(
        "/v1/clusters/{cluster:str}/explanations/{name:str}",
        tags=["explanation"],
        summary="Why: what is known of a dialer, agent or alias of this name, in words",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def explanations(cluster: FromPath[str], name: Name) -> list[Explanation]:
        view = known(clusters, cluster)
        found = explain(view.state, view.policy, view.decisions, name, stale=view.stale(time.monotonic()))
        if not found:
            raise ProblemDetailsException(
                status_code=HTTP_404_NOT_FOUND,
                title="unknown name",
                detail=f"{cluster} has no dialer, agent, alias or phone login {name!r}",
            )
        return found

    @get(
        "/v1/clusters/{cluster:str}/decisions",
        tags=["explanation"],
        summary="What was decided, withheld and done, and why; the newest first",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def decisions(
        cluster: FromPath[str],
        subject: Annotated[str, QueryParameter(description="only about this dialer, agent or order")] = "",
        limit: Annotated[int, QueryParameter(description="how many at most", ge=1, le=DECISIONS_KEPT)] = 100,
    ) -> list[Decision]:
        latest = reversed(known(clusters, cluster).decisions)
        return list(islice((each for each in latest if subject.lower() in {"", each.subject.lower()}), limit))

    return [clusters, ranking, alias_ranking, explanations, decisions]


def _problem(error: HTTPException) -> ProblemDetailsException:
    """Put what Litestar has to say where clients look for it: the kind as title, what is wrong as detail."""
    phrase, said = HTTPStatus(error.status_code).phrase, error.detail
    if isinstance(error.extra, list):
        said = "; ".join(_complaint(each.get("key", BODY), each.get("message", "")) for each in error.extra)
    return ProblemDetailsException(status_code=error.status_code, title=phrase, detail=said, headers=error.headers)


def _complaint(key: str, message: str) -> str:
    """Say what is wrong with one part of a request; of an absent body Litestar only repeats its own name for it."""
    where = "body" if key == BODY else key
    return f"{where}: {'it is missing' if message == repr(key) else message}"


def _too_deep(_: RecursionError) -> ProblemDetailsException:
    """Refuse JSON nested so deep that it cannot be read: nothing but a request's body could be."""
    return ProblemDetailsException(
        status_code=HTTP_400_BAD_REQUEST,
        title=HTTPStatus.BAD_REQUEST.phrase,
        detail="body: its JSON is nested too deep",
    )


def _no_utf8(_: UnicodeDecodeError) -> ProblemDetailsException:
    """Refuse text in another encoding: nothing else that comes in is decoded so strictly."""
    return ProblemDetailsException(
        status_code=HTTP_400_BAD_REQUEST, title=HTTPStatus.BAD_REQUEST.phrase, detail="body: its text is not UTF-8"
    )


async def _no_page(response: Response[Any]) -> Response[Any]:
    """Keep Litestar's own page for what is not there away from clients that expect problem details."""
    if response.status_code == HTTP_404_NOT_FOUND:
        raise NotFoundException
    return response


def _failure(error: Exception) -> ProblemDetailsException:
    """Answer for a mistake of ours: nothing of it to whoever asked, all of it to the log."""
    log.error("a request failed", exc_info=error)
    return ProblemDetailsException(
        status_code=HTTP_500_INTERNAL_SERVER_ERROR,
        title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        detail="hotdesk made a mistake; its log says more",
    )
