"""The HTTP API: rankings to read, picks to take. Errors are RFC 9457 problem details.

Any replica may be asked. The cluster's owner answers a pick, since one at a time in one memory is what spreads a herd
of logins; a replica passes it on, and when the owner does not answer in time it picks by itself and says `degraded`.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, NamedTuple

import structlog
from litestar import Litestar, MediaType, Request, Response, Router, delete, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import (
    HTTPException,
    NotAuthorizedException,
    NotFoundException,
    PermissionDeniedException,
)
from litestar.handlers import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException, ProblemDetailsPlugin
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_204_NO_CONTENT,
    HTTP_400_BAD_REQUEST,
    HTTP_404_NOT_FOUND,
    HTTP_429_TOO_MANY_REQUESTS,
    HTTP_500_INTERNAL_SERVER_ERROR,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import ControllerRouterHandler, Guard
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from controller.answers import (
    AcknowledgeBody,
    AliasAnswer,
    ClusterAnswer,
    HealthAnswer,
    OrderBody,
    PhoneAnswer,
    PickAnswer,
    PickBody,
    RankingAnswer,
    ReloginAnswer,
    ReloginBody,
)
from controller.browsers import why_embedded, why_foreign, why_rebound
from controller.desk import DECISIONS_KEPT, STALE_SECONDS, ClusterView, Desk
from controller.explaining import Explanation, explain, sentence_about
from controller.forwarding import FORWARDED, UNKNOWN_CLUSTER, OwnerClient, Refusal
from controller.instruments import ControllerInstruments, Limited, PickOutcome
from controller.limits import Limit, Limits
from controller.picking import NoOrder, NoPick, PickRequest, Refused, rank_alias
from controller.problems import WITH_A_BODY, guarded
from controller.tokens import Scope, Tokens
from messages.records import Decision
from stream.log import Entry

Put = Callable[[Sequence[Entry]], None]
"""Hands records to whatever brings them to the log; does not wait."""

Doubts = Callable[[], tuple[str, ...]]
"""Tells what keeps this process from being ready, in words; nothing: it is."""


Name = Annotated[str, PathParameter(max_length=255)]
"""An alias, as long as VICIdial's column for a list of logins, or what else has a name."""

AnyRequest = Request[Any, Any, Any]

TOO_MANY = "too many requests"

BODIES = (PickBody, ReloginBody, OrderBody, AcknowledgeBody)
"""What Litestar describes as if unknown fields were taken, which they are not."""

SAFE = {"GET", "HEAD"}
"""Methods that change nothing."""

BEARER = "bearer"
SECURED = [{BEARER: list[str]()}]
"""What a route asks for, for its description."""

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


def needs(scope: Scope, tokens: Tokens) -> Guard:
    """Let in only who carries a token of at least `scope`."""

    # Not async, it would be sent to a thread and back at every request.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not tokens.required:
            # only this machine gets here, and on it a browser that shows pages of others
            headers, changes = connection.headers, connection.scope.get("method") not in SAFE
            if why := why_rebound(headers) or (why_foreign if changes else why_embedded)(headers):
                raise PermissionDeniedException(why)
            return
        found = tokens.scope_of(connection.headers.get("authorization", ""))
        if found is None:
            tokens.refused += 1
            raise NotAuthorizedException(
                "send 'Authorization: Bearer TOKEN' with a token of the token file",
                headers={"www-authenticate": "Bearer"},
            )
        if found < scope:
            note_too_low(tokens, client_of(connection, tokens), connection)
            raise PermissionDeniedException(f"this needs a token of scope '{scope.name.lower()}'")

    return guard


def note_too_low(tokens: Tokens, client: "Client", connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Count a request whose token allows less; where it would have changed something, say whose it is."""
    tokens.too_low += 1
    method, path = connection.scope.get("method", ""), connection.scope["path"]
    if method not in SAFE:
        log.warning(
            "a request was refused: its token is of too low a scope", client=str(client), what=f"{method} {path[:200]}"
        )


def reading_routes(desk: Desk, tokens: Tokens) -> list[ControllerRouterHandler]:
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
                age_ms=_age_ms(view, now),
                owned=view.owned,
                summary=sentence_about(view.state, stale=view.stale(now)),
            )
            for name, view in sorted(desk.clusters.items())
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
        view, now = known(desk, cluster), time.monotonic()
        snapshot = desk.snapshot(view)
        return RankingAnswer(
            cluster=cluster,
            epoch=snapshot.epoch,
            sequence=snapshot.sequence,
            observed_at_ms=snapshot.observed_at_ms,
            age_ms=_age_ms(view, now),
            stale=view.stale(now),
            owner=snapshot.owner,
            answered_by=desk.name,
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
        view, now = known(desk, cluster), time.monotonic()
        ranked = rank_alias(view.state, view.policy, alias, campaign)
        if ranked is None:
            raise _refusal(Refused(NoPick.UNKNOWN_ALIAS, ()), alias)
        return AliasAnswer(
            cluster=cluster,
            alias=alias,
            campaign=campaign,
            age_ms=_age_ms(view, now),
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
        view = known(desk, cluster)
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
        latest = reversed(known(desk, cluster).decisions)
        return list(islice((each for each in latest if subject.lower() in {"", each.subject.lower()}), limit))

    return [clusters, ranking, alias_ranking, explanations, decisions]


def picking_routes(picker: "Picker", tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the routes that hand out slots and take them back."""
    guards = [needs(Scope.PICK, tokens)]

    @post(
        "/v1/clusters/{cluster:str}/picks",
        tags=["pick"],
        summary="Where does this agent log in? Reserves a slot there",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE, *WITH_A_BODY),
    )
    async def pick(cluster: FromPath[str], data: JSONBody[PickBody], request: AnyRequest) -> PickAnswer:
        return await picker.pick(cluster, data, _asker(request, tokens))

    @post(
        "/v1/clusters/{cluster:str}/relogins",
        tags=["pick"],
        summary="Did hotdesk log this screen out, and should it log in again? Told once",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE),
        status_code=HTTP_200_OK,
    )
    async def relogin(cluster: FromPath[str], data: JSONBody[ReloginBody], request: AnyRequest) -> ReloginAnswer:
        return await picker.relogin(cluster, data, _asker(request, tokens))

    @delete(
        "/v1/clusters/{cluster:str}/picks/{user:str}",
        tags=["pick"],
        summary="Give a slot back",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
        status_code=HTTP_204_NO_CONTENT,
    )
    async def release(cluster: FromPath[str], user: FromPath[str], request: AnyRequest) -> None:
        await picker.release(cluster, user, _asker(request, tokens))

    return [pick, relogin, release]


class Asker(NamedTuple):
    """What a request says about who sent it."""

    authorization: str
    forwarded: bool
    """A replica passed it on."""
    client: "Client"


class Picker:
    """Answers picks, or has the cluster's owner answer them."""

    def __init__(
        self, desk: Desk, put: Put, owners: OwnerClient, instruments: ControllerInstruments, limits: Limits
    ) -> None:
        self._desk = desk
        self._put = put
        self._owners = owners
        self._instruments = instruments
        self._limits = limits

    async def pick(self, cluster: str, body: PickBody, asker: Asker) -> PickAnswer:
        """Pick, and count how it went.

        Raises:
            ProblemDetailsException: there is no pick; it says why.
        """
        began = time.perf_counter()
        view = known(self._desk, cluster)
        outcome = PickOutcome.REFUSED
        try:
            # the token comes along with what a replica passes on; its address would be all that replica's clients
            if asker.client.token or not asker.forwarded:
                self._limit(self._limits.picks, asker.client.limited, cluster, Limited.CLIENT)
            answer = await self._ask_owner(view, body, asker) or self._pick_here(view, body)
            outcome = PickOutcome.DEGRADED if answer.degraded else PickOutcome.PICKED
        finally:
            if not asker.forwarded:  # whoever passed it on counts how it went for the one who asked
                self._instruments.picks.labels(cluster, outcome).inc()
            self._instruments.pick_seconds.observe(time.perf_counter() - began)
        return answer

    async def relogin(self, cluster: str, body: ReloginBody, asker: Asker) -> ReloginAnswer:
        """Give a screen its order. Only the owner does: two who did could give it twice.

        Raises:
            ProblemDetailsException: there is none, or the owner does not answer.
        """
        view = known(self._desk, cluster)
        if view.owned:
            slot, entries = self._desk.take_order(view, body.screen)
            self._put(entries)
            if slot is NoOrder.NOT_YET:
                raise ProblemDetailsException(
                    status_code=HTTP_503_SERVICE_UNAVAILABLE, title="not yet", detail=f"{slot.value}: ask again"
                )
            if slot is NoOrder.NONE:
                raise ProblemDetailsException(status_code=HTTP_404_NOT_FOUND, title="no order", detail=slot.value)
            return ReloginAnswer(
                cluster=cluster,
                user=slot.user,
                alias=slot.alias_id,
                phone_login=slot.phone_login,
                server_ip=slot.server_ip,
            )
        answer = None
        if _passes_on(view, asker):
            answer = await self._owners.relogin(view.owner_url, cluster, body, asker.authorization)
        if answer is None:
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="no owner",
                detail=f"whoever owns {cluster} does not answer: ask again",
            )
        if isinstance(answer, Refusal):
            raise _passed_on(answer)
        return answer

    async def release(self, cluster: str, user: str, asker: Asker) -> None:
        """Give a slot back, here and at the owner."""
        view = known(self._desk, cluster)
        _, entries = self._desk.release(view, user)
        if _passes_on(view, asker) and await self._owners.release(view.owner_url, cluster, user, asker.authorization):
            # the owner's own word ends the slot; one of ours, later, might end the user's next
            return
        self._put(entries)

    async def _ask_owner(self, view: ClusterView, body: PickBody, asker: Asker) -> PickAnswer | None:
        """Pass a pick on; None: it is for this process to answer."""
        cluster = view.state.cluster
        if asker.forwarded and not view.owned:
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="not the owner",
                detail=f"{self._desk.name} does not own {cluster}",
            )
        if not _passes_on(view, asker):
            return None
        answer = await self._owners.pick(view.owner_url, cluster, body, asker.authorization)
        if isinstance(answer, Refusal):
            raise _passed_on(answer)
        return answer

    def _limit(self, limit: Limit, who: str, cluster: str, what: Limited) -> None:
        seconds = limit.wait_for(who, time.monotonic())
        if seconds:
            self._instruments.limited.labels(cluster, what).inc()
            raise too_many(f"picks of {cluster}" if what is Limited.CLUSTER else "picks of this client", seconds)

    def _pick_here(self, view: ClusterView, body: PickBody) -> PickAnswer:
        # only where slots are handed out, so once, whether a replica passed it on or said that it did
        self._limit(self._limits.cluster_picks, view.state.cluster, view.state.cluster, Limited.CLUSTER)
        now = time.monotonic()
        age_ms = _age_ms(view, now)
        if age_ms is None or view.stale(now):
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="stale",
                detail=f"no poll of {view.state.cluster} came in for {STALE_SECONDS:g} seconds: let VICIdial choose",
                extra={"age_ms": age_ms},
            )
        picked, entries = self._desk.pick(view, PickRequest(body.user, body.alias, body.campaign, body.screen))
        self._put(entries)
        if isinstance(picked, Refused):
            raise _refusal(picked, body.alias)
        return PickAnswer(
            cluster=view.state.cluster,
            user=body.user,
            alias=body.alias,
            phone_login=picked.slot.phone_login,
            server_ip=picked.slot.server_ip,
            age_ms=age_ms,
            degraded=not view.owned,
            answered_by=self._desk.name,
        )


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


def _passed_on(refusal: Refusal) -> ProblemDetailsException:
    if refusal.status == HTTP_429_TOO_MANY_REQUESTS:
        seconds = refusal.problem.get("retry_after_seconds")
        return too_many("picks", seconds if isinstance(seconds, int) else 1)
    known_parts = ("type", "status", "title", "detail")
    return ProblemDetailsException(
        status_code=refusal.status,
        title=str(refusal.problem.get("title", "")),
        detail=str(refusal.problem.get("detail", "")),
        extra={key: value for key, value in refusal.problem.items() if key not in known_parts},
    )


def _asker(request: AnyRequest, tokens: Tokens) -> Asker:
    return Asker(request.headers.get("authorization", ""), FORWARDED in request.headers, client_of(request, tokens))


class Client(NamedTuple):
    """Who sent a request, as far as can be told without trusting them."""

    address: str
    token: str
    """The fingerprint of their token; empty: there are no tokens."""

    @property
    def limited(self) -> str:
        """Name those who share a limit: a token is one client, from wherever it comes."""
        return self.token or self.address

    def __str__(self) -> str:
        return ", ".join(part for part in (f"token {self.token}" if self.token else "", self.address) if part)


def client_of(request: ASGIConnection[Any, Any, Any, Any], tokens: Tokens) -> Client:
    """Tell who sent a request."""
    return Client(
        address="" if request.client is None else request.client.host,
        token=tokens.fingerprint_of(request.headers.get("authorization", "")),
    )


def too_many(what: str, seconds: float) -> ProblemDetailsException:
    """Refuse what exceeds a limit; say when to come again."""
    wait = max(1, math.ceil(seconds))
    return ProblemDetailsException(
        status_code=HTTP_429_TOO_MANY_REQUESTS,
        title=TOO_MANY,
        detail=f"too many {what}: come again in {wait} s",
        extra={"retry_after_seconds": wait},
        headers={"retry-after": str(wait)},
    )


def _passes_on(view: ClusterView, asker: Asker) -> bool:
    return not view.owned and bool(view.owner_url) and not asker.forwarded


def known(desk: Desk, cluster: str) -> ClusterView:
    """Give a cluster's view.

    Raises:
        ProblemDetailsException: nothing was ever observed of it.
    """
    view = desk.clusters.get(cluster)
    if view is None:
        known = ", ".join(sorted(desk.clusters)) or "none yet"
        raise ProblemDetailsException(
            status_code=404, title=UNKNOWN_CLUSTER, detail=f"no observations of cluster {cluster!r}; known: {known}"
        )
    return view


def _age_ms(view: ClusterView, now: float) -> int | None:
    age = view.age_seconds(now)
    return None if age is None else round(age * 1000)


def _refusal(refused: Refused, alias: str) -> ProblemDetailsException:
    """Say why there is no pick, phone by phone."""
    if refused.why is NoPick.UNKNOWN_ALIAS:
        return ProblemDetailsException(status_code=404, title="unknown alias", detail=f"{refused.why}: {alias!r}")
    phones = [
        {"phone_login": phone.phone_login, "server_ip": phone.server_ip, "why_not": list(phone.why_not)}
        for phone in refused.phones
    ]
    return ProblemDetailsException(
        status_code=409, title="no dialer", detail=refused.why.value, extra={"phones": phones}
    )
