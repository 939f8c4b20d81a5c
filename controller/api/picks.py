"""Picks over HTTP: what the login page gets. Slots are reserved and released; the answer is `schemas.PickAnswer`.

Any replica may be asked. The cluster's owner answers a pick, since a herd of logins spreads only if one process picks
for all, one after the other; a replica passes it on, and if the owner does not answer in time the replica picks by
itself and answers `degraded`.
"""

import re
import time
from collections.abc import Hashable
from http import HTTPStatus
from typing import NamedTuple

import structlog
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

from controller.api.auth import (
    SECURED,
    AnyRequest,
    Client,
    age_ms,
    client_of,
    cluster_or_404,
    known_or_503,
    needs,
    too_many,
)
from controller.api.errors import WITH_A_BODY, guarded
from controller.api.owner_client import FORWARDED, OwnerClient, Refusal
from controller.api.rate_limits import Limit, Limits
from controller.api.schemas import PickAnswer, PickBody, ReloginAnswer, ReloginBody
from controller.api.screens import kept_of, may_be_kept_as
from controller.api.tokens import Scope, Tokens
from controller.core.claims import resolve
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.explanations import why_unknown
from controller.core.picks import PickRequest, Refused, rank_alias
from controller.core.weights import UNUSED_BORNE
from controller.runtime.metrics import ControllerInstruments, Limited, PickOutcome
from messages.codes import NoPick, NoRelogin
from messages.names import compared
from messages.records import DialerState
from messages.words import remedy, sentence
from stream.outbox import Put
from stream.warn_once import WarnOnce

HOOK = "x-hotdesk-hook"
"""The header in which a login hook names its web server."""
WEB_NAME = re.compile(r"[0-9A-Za-z][-.0-9A-Za-z_]{0,62}")
TOO_MANY_PICKS = "picks are refused: too many"
TOO_MANY_RELOGINS = "re-logins are refused: too many"
LIMITED = {
    Limited.CLIENT: "picks of this client",
    Limited.VISITOR: "picks of this visitor",
    Limited.RELOGINS: "questions of screens for their re-login",
}
"""The thing of which there is too much, in words; a cluster is named."""

log = structlog.get_logger()


class Asker(NamedTuple):
    """The sender of a request."""

    authorization: str
    forwarded: bool
    """A replica passed the request on."""
    client: Client
    web: str
    """The web server whose login hook asks; empty: it is no hook."""


class Picker:
    """Answers picks, or passes them on to the cluster's owner."""

    def __init__(
        self, clusters: Clusters, put: Put, owners: OwnerClient, instruments: ControllerInstruments, limits: Limits
    ) -> None:
        self._clusters = clusters
        self._put = put
        self._owners = owners
        self._instruments = instruments
        self._limits = limits
        self._warn_once = WarnOnce()

    async def pick(self, name: str, body: PickBody, asker: Asker) -> PickAnswer:
        """Return the pick for a login in the cluster `name`, and count its outcome.

        Raises:
            ProblemDetailsException: there is no pick; it says why.
        """
        began = time.perf_counter()
        cluster = cluster_or_404(self._clusters, name)
        outcome = PickOutcome.REFUSED
        try:
            self._see_hook(cluster, asker)
            # a forwarded request has its client's token; its address would stand for all clients of that replica
            if asker.client.token or not asker.forwarded:
                if body.visitor:
                    # made-up names use up nothing of what the agents behind the same address need
                    visitor = (asker.client.limited, body.visitor, body.no_user)
                    self._spend(self._limits.visitors, visitor, name, Limited.VISITOR)
                self._spend(self._limits.picks, asker.client.limited, name, Limited.CLIENT)
            answer = await self._ask_owner(cluster, body, asker) or self._pick_here(cluster, body)
            outcome = PickOutcome.DEGRADED if answer.degraded else PickOutcome.PICKED
        finally:
            if not asker.forwarded:  # the replica that passed it on counts the outcome for its client
                self._instruments.picks.labels(name, outcome).inc()
                if outcome is not PickOutcome.REFUSED and _has_dead_phone(cluster, body):
                    self._instruments.kept_off.labels(name).inc()
            self._instruments.pick_seconds.observe(time.perf_counter() - began)
        return answer

    async def relogin(self, name: str, body: ReloginBody, asker: Asker) -> ReloginAnswer:
        """Return the re-login of a screen. Only the owner answers: it knows how far the move is.

        Raises:
            ProblemDetailsException: there is none, or the owner does not answer.
        """
        cluster = cluster_or_404(self._clusters, name)
        self._see_hook(cluster, asker)
        if asker.client.token or not asker.forwarded:
            limit = self._limits.relogins if body.visitor else self._limits.relogins_unknown
            self._spend(limit, (asker.client.limited, body.visitor), name, Limited.RELOGINS)
        if cluster.owned:
            slot = cluster.answer_relogin(may_be_kept_as(body.screen))
            if slot is NoRelogin.NOT_YET:
                raise ProblemDetailsException(
                    status_code=HTTP_503_SERVICE_UNAVAILABLE,
                    title="not yet",
                    detail=f"{sentence(slot)}: {remedy(slot)}",
                )
            if slot is NoRelogin.NONE:
                raise ProblemDetailsException(
                    status_code=HTTP_404_NOT_FOUND, title="no re-login", detail=sentence(slot)
                )
            return ReloginAnswer(
                cluster=name,
                user=slot.user,
                alias=slot.alias_id,
                phone_login=slot.phone_login,
                server_ip=slot.server_ip,
            )
        answer = None
        if _passes_on(cluster, asker):
            answer = await self._owners.relogin(cluster.state.published.owner_url, name, body, asker.authorization)
        if isinstance(answer, ReloginAnswer) and not self._is_one(cluster, answer.alias, answer.phone_login):
            answer = None
        if answer is None:
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="no owner",
                detail=f"the owner of {name} does not answer: ask again",
            )
        if isinstance(answer, Refusal):
            raise _passed_on(answer)
        return answer

    async def release(self, name: str, user: str, asker: Asker) -> None:
        """Release a slot that a login asked for, here and at the owner. It costs as much as the pick did.

        Raises:
            ProblemDetailsException: the client asks too much.
        """
        cluster = cluster_or_404(self._clusters, name)
        if asker.client.token or not asker.forwarded:
            self._spend(self._limits.picks, asker.client.limited, name, Limited.CLIENT)
        entries = cluster.release(user)
        if _passes_on(cluster, asker) and await self._owners.release(
            cluster.state.published.owner_url, name, user, asker.authorization
        ):
            # the owner's tombstone ends the slot; one of ours, coming later, might end the user's next slot
            return
        self._put(entries)

    def _see_hook(self, cluster: Cluster, asker: Asker) -> None:
        if asker.web and not asker.forwarded:
            self._put(cluster.see_hook(asker.web))

    async def _ask_owner(self, cluster: Cluster, body: PickBody, asker: Asker) -> PickAnswer | None:
        """Return the owner's pick; None: this process has to answer."""
        if asker.forwarded and not cluster.owned:
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="not the owner",
                detail=f"{self._clusters.me.name} does not own {cluster.name}",
            )
        if not _passes_on(cluster, asker):
            return None
        answer = await self._owners.pick(cluster.state.published.owner_url, cluster.name, body, asker.authorization)
        if isinstance(answer, Refusal):
            raise _passed_on(answer)
        return answer if answer is None or self._is_one(cluster, body.alias, answer.phone_login) else None

    def _is_one(self, cluster: Cluster, alias: str, phone_login: str) -> bool:
        """Return False for a phone that is none of its alias: who answers as the owner stands in the log."""
        if compared(phone_login) in map(compared, resolve(cluster.state.observed, alias)):
            return True
        why = f"the owner of {cluster.name} answers with a phone that is none of the alias: its answer is left out"
        if self._warn_once.is_new(why):
            log.warning(why, owner=cluster.state.published.owner_url, alias=alias)
        return False

    def _spend(self, limit: Limit, client: Hashable, name: str, what: Limited) -> None:
        seconds = limit.spend(client, time.monotonic())
        if seconds:
            self._instruments.limited.labels(name, what).inc()
            if self._warn_once.is_new(f"{name} {what}"):
                refused = TOO_MANY_RELOGINS if what is Limited.RELOGINS else TOO_MANY_PICKS
                log.warning(refused, cluster=name, limit=what, client=str(client))
            raise too_many(LIMITED.get(what, f"picks of {name}"), seconds)

    def _pick_here(self, cluster: Cluster, body: PickBody) -> PickAnswer:
        # counted only where the slot is reserved, so once, whether a replica passed the request on or claims that
        self._spend(self._limits.cluster_picks, cluster.name, cluster.name, Limited.CLUSTER)
        now = time.monotonic()
        age = age_ms(cluster, now)
        if age is None or cluster.stale(now):
            raise ProblemDetailsException(
                status_code=HTTP_503_SERVICE_UNAVAILABLE,
                title="stale",
                detail=f"nothing is known of {cluster.name}: {why_unknown(cluster.state)}; let VICIdial choose",
                extra={"age_ms": age},
            )
        if not cluster.state.observed.agents_known:
            # every dialer would look empty
            known_or_503(cluster)
        screen = kept_of(body.screen)
        request = PickRequest(body.user, body.alias, body.campaign, screen, body.visitor, body.no_user)
        picked, entries = cluster.pick(request)
        self._put(entries)
        unused = cluster.state.decided.slots.unused
        if unused > UNUSED_BORNE and self._warn_once.is_new(f"{cluster.name} unused"):
            log.warning("many login forms come to nothing: is it an attack?", cluster=cluster.name, slots=unused)
        if isinstance(picked, Refused):
            raise refusal(picked, body.alias)
        return PickAnswer(
            cluster=cluster.name,
            user=body.user,
            alias=body.alias,
            phone_login=picked.slot.phone_login,
            server_ip=picked.slot.server_ip,
            age_ms=age,
            degraded=not cluster.owned,
            answered_by=self._clusters.me.name,
        )


def _has_dead_phone(cluster: Cluster, body: PickBody) -> bool:
    """Return True if the alias has a phone on a dialer that is down."""
    incidents = cluster.state.decided.incidents.values()
    if not (dead := {each.server_ip for each in incidents if each.kind is DialerState.DOWN}):
        return False
    ranked = rank_alias(cluster.state, cluster.policy, body.alias, body.campaign)
    return ranked is not None and any(phone.server_ip in dead for phone in ranked.phones)


def picking_routes(picker: Picker, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Return the routes that reserve and release slots."""
    guards = [needs(Scope.PICK, tokens)]

    @post(
        "/v1/clusters/{cluster:str}/picks",
        tags=["pick"],
        summary="Pick a phone for this login, and reserve a slot",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE, *WITH_A_BODY),
    )
    async def pick(cluster: FromPath[str], data: JSONBody[PickBody], request: AnyRequest) -> PickAnswer:
        return await picker.pick(cluster, data, _asker(request, tokens))

    @post(
        "/v1/clusters/{cluster:str}/relogins",
        tags=["pick"],
        summary="Did hotdesk log this screen out, and should it log in again?",
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
        summary="Release a slot",
        guards=guards,
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
        status_code=HTTP_204_NO_CONTENT,
    )
    async def release(cluster: FromPath[str], user: FromPath[str], request: AnyRequest) -> None:
        await picker.release(cluster, user, _asker(request, tokens))

    return [pick, relogin, release]


def _asker(request: AnyRequest, tokens: Tokens) -> Asker:
    web = request.headers.get(HOOK, "")
    return Asker(
        authorization=request.headers.get("authorization", ""),
        forwarded=FORWARDED in request.headers,
        client=client_of(request, tokens),
        web=web if WEB_NAME.fullmatch(web) else "",
    )


def _passes_on(cluster: Cluster, asker: Asker) -> bool:
    return not cluster.owned and bool(cluster.state.published.owner_url) and not asker.forwarded


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
    """Return the problem that says why there is no pick, phone by phone."""
    if refused.why is NoPick.UNKNOWN_ALIAS:
        return ProblemDetailsException(
            status_code=404,
            title="unknown alias",
            detail=f"{sentence(refused.why)}: {alias!r}",
            extra={"code": refused.why},
        )
    phones = [
        {
            "phone_login": phone.phone_login,
            "server_ip": phone.server_ip,
            "ineligible_because": list(phone.ineligible_because),
        }
        for phone in refused.phones
    ]
    return ProblemDetailsException(
        status_code=409, title="no dialer", detail=sentence(refused.why), extra={"code": refused.why, "phones": phones}
    )
