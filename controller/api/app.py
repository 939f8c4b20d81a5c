"""The HTTP API: the application, and the routes of all roles. Errors are RFC 9457 problem details."""

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

from controller.api.auth import BEARER, SECURED, age_ms, cluster_or_404, known_or_503, needs
from controller.api.errors import guarded
from controller.api.headers import add_headers
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
from controller.core.cluster import DECISIONS_KEPT, Cluster
from controller.core.clusters import Clusters
from controller.core.explanations import Explanation, explain, sentence_about, why_unknown
from controller.core.picks import Refused, rank_alias
from controller.core.tones import tone_of
from messages.codes import NoPick
from messages.records import Decision

Doubts = Callable[[], tuple[str, ...]]
"""Returns why this process is not ready, in words; nothing: it is ready."""


Name = Annotated[str, PathParameter(max_length=255)]
"""An alias, as long as VICIdial's column for a list of logins, or another name."""

BODIES = (PickBody, ReloginBody, OrderBody, AcknowledgeBody)
"""Bodies that Litestar describes as if they accepted unknown fields, which they do not."""

BODY = "data"
"""Litestar's name for a request's body."""

log = structlog.get_logger()


def create_app(  # noqa: PLR0913 # its parts, each once
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
    """Return the application: health, readiness, metrics, and the `routes` of this process's roles.

    `more_metrics` returns metrics outside the `registry`, in Prometheus's text format.
    """

    @get("/healthz", tags=["process"], summary="Does the process answer?")
    async def healthz() -> HealthAnswer:
        return HealthAnswer(status="ok", version=version)

    @get(
        "/readyz",
        tags=["process"],
        summary="Is the process ready?",
        responses={
            HTTP_503_SERVICE_UNAVAILABLE: ResponseSpec(HealthAnswer, generate_examples=False, description="Not ready")
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
        before_send=[add_headers],
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
    """Return the routes that read rankings."""
    guards = [needs(Scope.READ, tokens)]

    @get(
        "/v1/clusters",
        tags=["ranking"],
        summary="The clusters known here",
        guards=guards,
        security=SECURED,
        responses=guarded(),
    )
    async def listed() -> list[ClusterAnswer]:
        now = time.monotonic()
        return [_listed(cluster, now) for _, cluster in sorted(clusters.by_name.items())]

    @get(
        "/v1/clusters/{cluster:str}/ranking",
        tags=["ranking"],
        summary="The dialers, least loaded first, with every reason against each",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def ranking(cluster: FromPath[str]) -> RankingAnswer:
        found, now = cluster_or_404(clusters, cluster), time.monotonic()
        snapshot = found.snapshot()
        return RankingAnswer(
            cluster=cluster,
            epoch=snapshot.epoch,
            sequence=snapshot.sequence,
            observed_at_ms=snapshot.observed_at_ms,
            age_ms=age_ms(found, now),
            stale=found.stale(now),
            owner=snapshot.owner,
            answered_by=clusters.me.name,
            imbalance=snapshot.imbalance,
            database_unreachable_since_ms=snapshot.outage_since_ms,
            brake=None if snapshot.health is None else snapshot.health.brake,
            paused_by="" if found.state.decided.orders.pause is None else found.state.decided.orders.pause.by,
            dialers=snapshot.dialers,
            summary=sentence_about(found.state, stale=found.stale(now)),
            fences=tuple(found.state.decided.fences.values()),
            hooks=tuple(found.state.decided.hooks.values()),
            unread=() if found.state.observed.poll is None else found.state.observed.poll.unread,
        )

    @get(
        "/v1/clusters/{cluster:str}/aliases/{alias:str}/ranking",
        tags=["ranking"],
        summary="The phones of an alias, the next pick first, with every reason against each",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def alias_ranking(
        cluster: FromPath[str],
        alias: Name,
        campaign: Annotated[str, QueryParameter(description="campaign to log in to")] = "",
    ) -> AliasAnswer:
        found, now = cluster_or_404(clusters, cluster), time.monotonic()
        ranked = rank_alias(found.state, found.policy, alias, campaign)
        if ranked is None:
            known_or_503(found)
            raise refusal(Refused(NoPick.UNKNOWN_ALIAS, ()), alias)
        return AliasAnswer(
            cluster=cluster,
            alias=alias,
            campaign=campaign,
            age_ms=age_ms(found, now),
            stale=found.stale(now),
            why_stale=why_unknown(found.state) if found.stale(now) else "",
            forced_by=ranked.forced_by,
            phones=tuple(PhoneAnswer(**phone._asdict()) for phone in ranked.phones),
        )

    @get(
        "/v1/clusters/{cluster:str}/explanations/{name:str}",
        tags=["explanation"],
        summary="Explain the dialer, agent or alias of this name, in words",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
    )
    async def explanations(cluster: FromPath[str], name: Name) -> list[Explanation]:
        found = cluster_or_404(clusters, cluster)
        explained = explain(found.state, found.policy, found.decisions, name, stale=found.stale(time.monotonic()))
        if not explained:
            known_or_503(found)
            raise ProblemDetailsException(
                status_code=HTTP_404_NOT_FOUND,
                title="unknown name",
                detail=f"{cluster} has no dialer, agent, alias or phone login {name!r}",
            )
        return explained

    @get(
        "/v1/clusters/{cluster:str}/decisions",
        tags=["explanation"],
        summary="Decisions, orders and actions with their reasons, the newest first",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def decisions(
        cluster: FromPath[str],
        subject: Annotated[str, QueryParameter(description="only about this dialer, agent or order")] = "",
        limit: Annotated[int, QueryParameter(description="how many at most", ge=1, le=DECISIONS_KEPT)] = 100,
    ) -> list[Decision]:
        latest = reversed(cluster_or_404(clusters, cluster).decisions)
        return list(islice((each for each in latest if subject.lower() in {"", each.subject.lower()}), limit))

    return [listed, ranking, alias_ranking, explanations, decisions]


def _listed(cluster: Cluster, now: float) -> ClusterAnswer:
    stale, ranked = cluster.stale(now), cluster.snapshot().dialers
    return ClusterAnswer(
        cluster=cluster.name,
        stale=stale,
        age_ms=age_ms(cluster, now),
        owned=cluster.owned,
        summary=sentence_about(cluster.state, stale=stale),
        tone=tone_of(cluster.state, stale=stale),
        dialers=len(ranked),
        taking=0 if stale else sum(each.rank is not None for each in ranked),
        agents=sum(each.agents for each in ranked),
        incidents=len(cluster.state.decided.incidents),
    )


def _problem(error: HTTPException) -> ProblemDetailsException:
    """Return Litestar's error as a problem: its kind as the title, the cause as the detail."""
    phrase, detail = HTTPStatus(error.status_code).phrase, error.detail
    if isinstance(error.extra, list):
        detail = "; ".join(_complaint(each.get("key", BODY), each.get("message", "")) for each in error.extra)
    return ProblemDetailsException(status_code=error.status_code, title=phrase, detail=detail, headers=error.headers)


def _complaint(key: str, message: str) -> str:
    """Return what is wrong with one part of a request; for an absent body Litestar only repeats its own name for it."""
    where = "body" if key == BODY else key
    return f"{where}: {'it is missing' if message == repr(key) else message}"


def _too_deep(_: RecursionError) -> ProblemDetailsException:
    """Refuse JSON nested too deep to read: only a request's body can be."""
    return ProblemDetailsException(
        status_code=HTTP_400_BAD_REQUEST,
        title=HTTPStatus.BAD_REQUEST.phrase,
        detail="body: its JSON is nested too deep",
    )


def _no_utf8(_: UnicodeDecodeError) -> ProblemDetailsException:
    """Refuse text in another encoding: only a request's body is decoded so strictly."""
    return ProblemDetailsException(
        status_code=HTTP_400_BAD_REQUEST, title=HTTPStatus.BAD_REQUEST.phrase, detail="body: its text is not UTF-8"
    )


async def _no_page(response: Response[Any]) -> Response[Any]:
    """Replace Litestar's own 404 page, since clients expect problem details."""
    if response.status_code == HTTP_404_NOT_FOUND:
        raise NotFoundException
    return response


def _failure(error: Exception) -> ProblemDetailsException:
    """Return the problem for a bug of ours: the client learns no details, the log has them all."""
    log.error("a request failed", exc_info=error)
    return ProblemDetailsException(
        status_code=HTTP_500_INTERNAL_SERVER_ERROR,
        title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
        detail="hotdesk made a mistake; its log says more",
    )
