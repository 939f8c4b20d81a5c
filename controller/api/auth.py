"""Authentication: tokens and scopes, clients and their limits; and refusals that all routes share."""

import math
import time
from typing import Any, NamedTuple

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_429_TOO_MANY_REQUESTS, HTTP_503_SERVICE_UNAVAILABLE
from litestar.types import Guard

from controller.api.csrf import why_embedded, why_foreign, why_rebound
from controller.api.owner_client import UNKNOWN_CLUSTER
from controller.api.proofs import Asked, cannot_tell, is_proof, proved, shown_by
from controller.api.tokens import Scope, Tokens
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.explanations import why_nothing_is_known

AnyRequest = Request[Any, Any, Any]

TOO_MANY = "too many requests"
WRONG_TOKENS = "wrong tokens of this address"

SAFE = {"GET", "HEAD"}
"""Methods that change nothing."""

BEARER = "bearer"
SECURED = [{BEARER: list[str]()}]
"""The security of a route, for its description."""

_SHOWN = "hotdesk_shown"
"""Where a request's state has the fingerprint of the token that a replica was shown."""


class Client(NamedTuple):
    """The sender of a request, as far as can be known without trusting them."""

    address: str
    token: str
    """The fingerprint of their token; empty: there are no tokens."""

    @property
    def limited(self) -> str:
        """The key of this client's limit: requests with one token share it, from whatever address."""
        return self.token or self.address

    def __str__(self) -> str:
        return ", ".join(part for part in (f"token {self.token}" if self.token else "", self.address) if part)


def client_of(request: ASGIConnection[Any, Any, Any, Any], tokens: Tokens) -> Client:
    """Return the client that sent a request."""
    shown: str | None = request.scope["state"].get(_SHOWN)
    return Client(
        address="" if request.client is None else request.client.host,
        token=tokens.fingerprint_of(request.headers.get("authorization", "")) if shown is None else shown,
    )


def needs(scope: Scope, tokens: Tokens) -> Guard:
    """Return a guard that admits only requests with a token of at least `scope`."""

    # If it were not async, it would be sent to a thread and back at every request.
    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not tokens.required:
            # only this machine can send this, but its browser may show pages of other sites
            headers, changes = connection.headers, connection.scope.get("method") not in SAFE
            if why := why_rebound(headers) or (why_foreign if changes else why_embedded)(headers):
                raise PermissionDeniedException(why)
            return
        address = "" if connection.client is None else connection.client.host
        shown = shown_by(authorization := connection.headers.get("authorization", ""))
        if seconds := tokens.guesses.seconds_to_wait(address, shown):
            raise too_many(WRONG_TOKENS, seconds)
        found = await _scope_of(connection, tokens)
        if found is None and cannot_tell(authorization, tokens):
            # a replica's, and no guess: none could be right
            raise NotAuthorizedException(
                "of this token only the digest is known here, so no proof by it can be checked"
            )
        if found is None:
            tokens.refused += 1
            if authorization:
                # one that was right, and is no more, waits like every other
                if seconds := tokens.guesses.seconds_to_wait(address):
                    raise too_many(WRONG_TOKENS, seconds)
                await tokens.guesses.wrong(address)
            raise NotAuthorizedException(
                "this token is not known: the token file has no such token"
                if authorization.lower().startswith("bearer ")
                else "send 'Authorization: Bearer TOKEN' with a token of the token file",
                headers={"www-authenticate": "Bearer"},
            )
        tokens.guesses.right(address, shown)
        if found < scope:
            record_too_low(tokens, client_of(connection, tokens), connection)
            raise PermissionDeniedException(f"this needs a token of scope '{scope.name.lower()}'")

    return guard


async def _scope_of(connection: ASGIConnection[Any, Any, Any, Any], tokens: Tokens) -> Scope | None:
    """Return the scope of a request's token, or of the token that a replica was shown for it; None: there is none."""
    authorization = connection.headers.get("authorization", "")
    if not (is_proof(authorization) and isinstance(connection, Request)):
        return tokens.scope_of(authorization)
    asked = Asked(tokens.own_url, connection.method, connection.scope["path"], await connection.body())
    found = proved(authorization, asked, tokens, time.time())
    if found is None:
        return None
    fingerprint, known = found
    connection.scope["state"][_SHOWN] = fingerprint
    return known.scope


def record_too_low(tokens: Tokens, client: Client, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Count a request whose token's scope is too low; log the first of a client that would have changed something."""
    tokens.too_low += 1
    method, path = connection.scope.get("method", ""), connection.scope["path"]
    if method not in SAFE:
        tokens.guesses.warn(
            "a request was refused: the scope of its token is too low",
            client.address,
            client=str(client),
            what=f"{method} {path[:200]}",
        )


def cluster_or_404(clusters: Clusters, name: str) -> Cluster:
    """Return the cluster of a name.

    Raises:
        ProblemDetailsException: the log has no observation of it.
    """
    cluster = clusters.by_name.get(name)
    if cluster is None:
        known = ", ".join(sorted(clusters.by_name)) or "none yet"
        raise ProblemDetailsException(
            status_code=404, title=UNKNOWN_CLUSTER, detail=f"no observations of cluster {name!r}; known: {known}"
        )
    return cluster


def known_or_503(cluster: Cluster) -> Cluster:
    """Return a cluster of which something is known.

    Raises:
        ProblemDetailsException: nothing was ever read of it, and why: any answer would be about nothing.
    """
    if why := why_nothing_is_known(cluster.state):
        raise ProblemDetailsException(
            status_code=HTTP_503_SERVICE_UNAVAILABLE,
            title="nothing is known",
            detail=f"nothing is known of {cluster.name} yet: {why}",
        )
    return cluster


def age_ms(cluster: Cluster, now: float) -> int | None:
    """Return the age of a cluster's latest poll in milliseconds; None: no poll came in yet."""
    age = cluster.age_seconds(now)
    return None if age is None else round(age * 1000)


def too_many(what: str, seconds: float) -> ProblemDetailsException:
    """Return the refusal of a request over a limit, with the seconds to wait."""
    wait = max(1, math.ceil(seconds))
    return ProblemDetailsException(
        status_code=HTTP_429_TOO_MANY_REQUESTS,
        title=TOO_MANY,
        detail=f"too many {what}: retry in {wait} s",
        extra={"retry_after_seconds": wait},
        headers={"retry-after": str(wait)},
    )
