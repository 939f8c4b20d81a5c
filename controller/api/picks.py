"""Picks over HTTP: slots to hand out and to take back.

Any replica may be asked. The cluster's owner answers a pick, since one at a time in one memory is what spreads a herd
of logins; a replica passes it on, and when the owner does not answer in time it picks by itself and says `degraded`.
"""

import time
from http import HTTPStatus
from typing import NamedTuple

from litestar import delete, post
from litestar.params import FromPath, JSONBody
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_204_NO_CONTENT,
    HTTP_404_NOT_FOUND,
    HTTP_429_TOO_MANY_REQUESTS,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import ControllerRouterHandler

from controller.api.auth import SECURED, AnyRequest, Client, age_ms, client_of, known, needs, too_many
from controller.api.errors import WITH_A_BODY, guarded
from controller.api.owner_client import FORWARDED, OwnerClient, Refusal
from controller.api.rate_limits import Limit, Limits
from controller.api.schemas import PickAnswer, PickBody, ReloginAnswer, ReloginBody
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import STALE_SECONDS, Cluster, Clusters
from controller.core.picks import NoOrder, NoPick, PickRequest, Refused
from controller.runtime.metrics import ControllerInstruments, Limited, PickOutcome
from stream.outbox import Put


class Asker(NamedTuple):
    """What a request says about who sent it."""

    authorization: str
    forwarded: bool
    """A replica passed it on."""
    client: Client


class Picker:
    """Answers picks, or has the cluster's owner answer them."""

    def __init__(
        self, clusters: Clusters, put: Put, owners: OwnerClient, instruments: ControllerInstruments, limits: Limits
    ) -> None:
        self._clusters = clusters
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
        view = known(self._clusters, cluster)
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
        view = known(self._clusters, cluster)
        if view.owned:
            slot, entries = self._clusters.take_order(view, body.screen)
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
        view = known(self._clusters, cluster)
        _, entries = self._clusters.release(view, user)
        if _passes_on(view, asker) and await self._owners.release(view.owner_url, cluster, user, asker.authorization):
            # the owner's own word ends the slot; one of ours, later, might end the user's next
            return
        self._put(entries)

    async def _ask_owner(self, view: Cluster, body: PickBody, asker: Asker) -> PickAnswer | None:
        """Pass a pick on; None: it is for this process to answer."""
        cluster = view.state.cluster
        if asker.forwarded and not view.owned:
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="not the owner",
                detail=f"{self._clusters.name} does not own {cluster}",
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

    def _pick_here(self, view: Cluster, body: PickBody) -> PickAnswer:
        # only where slots are handed out, so once, whether a replica passed it on or said that it did
        self._limit(self._limits.cluster_picks, view.state.cluster, view.state.cluster, Limited.CLUSTER)
        now = time.monotonic()
        age = age_ms(view, now)
        if age is None or view.stale(now):
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="stale",
                detail=f"no poll of {view.state.cluster} came in for {STALE_SECONDS:g} seconds: let VICIdial choose",
                extra={"age_ms": age},
            )
        picked, entries = self._clusters.pick(view, PickRequest(body.user, body.alias, body.campaign, body.screen))
        self._put(entries)
        if isinstance(picked, Refused):
            raise refusal(picked, body.alias)
        return PickAnswer(
            cluster=view.state.cluster,
            user=body.user,
            alias=body.alias,
            phone_login=picked.slot.phone_login,
            server_ip=picked.slot.server_ip,
            age_ms=age,
            degraded=not view.owned,
            answered_by=self._clusters.name,
        )


def picking_routes(picker: Picker, tokens: Tokens) -> list[ControllerRouterHandler]:
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


def _asker(request: AnyRequest, tokens: Tokens) -> Asker:
    return Asker(request.headers.get("authorization", ""), FORWARDED in request.headers, client_of(request, tokens))


def _passes_on(view: Cluster, asker: Asker) -> bool:
    return not view.owned and bool(view.owner_url) and not asker.forwarded


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


def refusal(refused: Refused, alias: str) -> ProblemDetailsException:
    """Say why there is no pick, phone by phone."""
    if refused.why is NoPick.UNKNOWN_ALIAS:
        return ProblemDetailsException(status_code=404, title="unknown alias", detail=f"{refused.why}: {alias!r}")
    phones = [
        {"phone_login": phone.phone_login, "server_ip": phone.server_ip, "ineligible_because": list(phone.ineligible_because)}
        for phone in refused.phones
    ]
    return ProblemDetailsException(
        status_code=409, title="no dialer", detail=refused.why.value, extra={"phones": phones}
    )
