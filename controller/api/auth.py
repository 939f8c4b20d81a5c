"""Who asks, and what they may: tokens and scopes, browsers, limits; and what all routes refuse alike."""

import math
from typing import Any, NamedTuple

import structlog
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_429_TOO_MANY_REQUESTS
from litestar.types import Guard

from controller.api.csrf import why_embedded, why_foreign, why_rebound
from controller.api.owner_client import UNKNOWN_CLUSTER
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import Cluster, Clusters

AnyRequest = Request[Any, Any, Any]

TOO_MANY = "too many requests"

SAFE = {"GET", "HEAD"}
"""Methods that change nothing."""

BEARER = "bearer"
SECURED = [{BEARER: list[str]()}]
"""What a route asks for, for its description."""

log = structlog.get_logger()


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


def note_too_low(tokens: Tokens, client: Client, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Count a request whose token allows less; where it would have changed something, say whose it is."""
    tokens.too_low += 1
    method, path = connection.scope.get("method", ""), connection.scope["path"]
    if method not in SAFE:
        log.warning(
            "a request was refused: its token is of too low a scope", client=str(client), what=f"{method} {path[:200]}"
        )


def known(clusters: Clusters, cluster: str) -> Cluster:
    """Give a cluster's view.

    Raises:
        ProblemDetailsException: nothing was ever observed of it.
    """
    view = clusters.by_name.get(cluster)
    if view is None:
        known = ", ".join(sorted(clusters.by_name)) or "none yet"
        raise ProblemDetailsException(
            status_code=404, title=UNKNOWN_CLUSTER, detail=f"no observations of cluster {cluster!r}; known: {known}"
        )
    return view


def age_ms(view: Cluster, now: float) -> int | None:
    """Tell how old what is known of a cluster is, as answers have it; None: no poll came in yet."""
    age = view.age_seconds(now)
    return None if age is None else round(age * 1000)


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
