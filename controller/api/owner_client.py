"""Pass requests on from a replica to a cluster's owner."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from controller.api.proofs import Asked, prove
from controller.api.schemas import PickAnswer, PickBody, ReloginAnswer, ReloginBody
from controller.api.tokens import Tokens

OWNER_SECONDS = 0.05
"""Time for the owner to answer; after that the replica picks by itself."""

RELOGIN_SECONDS = 0.2
"""The same for a re-login, which only the owner can answer: an answer that comes too late is lost, and the screen waits
for a second."""

FORWARDED = "x-hotdesk-forwarded"
"""Marks a request that a replica has passed on: it is not passed on again."""


REFUSALS = {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS}
"""Refusals of an owner that are final: no such alias, no dialer that takes logins, or too many picks."""


UNKNOWN_CLUSTER = "unknown cluster"
"""The title of the refusal of a process that does not know a cluster."""


Answer = TypeVar("Answer", PickAnswer, ReloginAnswer)


class Refusal(NamedTuple):
    """An owner's refusal of a request."""

    status: int
    problem: dict[str, Any]


def _read(answer: httpx.Response | None, kind: type[Answer]) -> Answer | Refusal | None:
    if answer is None:
        return None
    try:
        if answer.status_code in REFUSALS:
            problem = msgspec.json.decode(answer.content, type=dict[str, Any])
            # an owner that has just started to read the log does not know the cluster yet
            return None if problem.get("title") == UNKNOWN_CLUSTER else Refusal(answer.status_code, problem)
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError:
        pass
    return None


class OwnerClient:
    """Connections to owners.

    Args:
        trust: The authorities for TLS.
        tokens: This process's tokens. An owner has the same: by one of which only the digest is known it is not asked.
    """

    def __init__(self, trust: ssl.SSLContext | bool = True, tokens: Tokens | None = None) -> None:
        self._tokens = Tokens({}) if tokens is None else tokens
        self._client = httpx.AsyncClient(
            verify=trust,
            timeout=OWNER_SECONDS,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def pick(
        self, owner_url: str, cluster: str, body: PickBody, authorization: str
    ) -> PickAnswer | Refusal | None:
        """Return the owner's pick; None: no answer in time, or no useful one."""
        path = ("v1", "clusters", cluster, "picks")
        return _read(await self._send("POST", owner_url, path, authorization, body), PickAnswer)

    async def relogin(
        self, owner_url: str, cluster: str, body: ReloginBody, authorization: str
    ) -> ReloginAnswer | Refusal | None:
        """Return the owner's answer about a re-login; None as above."""
        path = ("v1", "clusters", cluster, "relogins")
        answer = await self._send("POST", owner_url, path, authorization, body, seconds=RELOGIN_SECONDS)
        return _read(answer, ReloginAnswer)

    async def release(self, owner_url: str, cluster: str, user: str, authorization: str) -> bool:
        """Ask the owner to release a slot; return True if it did."""
        answer = await self._send("DELETE", owner_url, ("v1", "clusters", cluster, "picks", user), authorization, None)
        return answer is not None and answer.is_success

    async def _send(  # noqa: PLR0913 # what a request has
        self,
        method: str,
        owner_url: str,
        path: Sequence[str],
        authorization: str,
        body: PickBody | ReloginBody | None,
        *,
        seconds: float = OWNER_SECONDS,
    ) -> httpx.Response | None:
        if not self._tokens.shows(self._tokens.fingerprint_of(authorization)):
            return None
        content = b"" if body is None else msgspec.json.encode(body)
        headers = {FORWARDED: "1", "content-type": "application/json"}
        if proof := prove(authorization, Asked(owner_url, method, "/" + "/".join(path), content), time.time()):
            headers["authorization"] = proof
        url = "/".join((owner_url, *(quote(part, safe="") for part in path)))
        try:
            # httpx's time-outs are for each step; a slow owner could use all of them
            async with asyncio.timeout(seconds):
                return await self._client.request(method, url, headers=headers, content=content, timeout=seconds)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None
