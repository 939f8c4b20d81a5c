"""Asking a cluster's owner on behalf of whoever asked this replica."""

import asyncio
import ssl
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from controller.api.schemas import PickAnswer, PickBody, ReloginAnswer, ReloginBody

OWNER_SECONDS = 0.05
"""What an owner may take to answer; then the replica picks by itself."""

RELOGIN_SECONDS = 0.5
"""The same for a screen's order, which only the owner can give: an answer that comes too late is an order lost, and the
screen waits for a second."""

FORWARDED = "x-hotdesk-forwarded"
"""Marks a request that a replica passed on: it is not passed on again."""


REFUSALS = {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS}
"""An owner that knows the cluster has the last word: no such alias, no dialer that takes logins, or too many picks."""


UNKNOWN_CLUSTER = "unknown cluster"
"""The title of the refusal of a process that knows nothing of a cluster."""


Answer = TypeVar("Answer", PickAnswer, ReloginAnswer)


class Refusal(NamedTuple):
    """An owner's refusal of a pick."""

    status: int
    problem: dict[str, Any]


def _read(answer: httpx.Response | None, kind: type[Answer]) -> Answer | Refusal | None:
    if answer is None:
        return None
    try:
        if answer.status_code in REFUSALS:
            problem = msgspec.json.decode(answer.content, type=dict[str, Any])
            # one that has only begun to read the log knows no cluster yet
            return None if problem.get("title") == UNKNOWN_CLUSTER else Refusal(answer.status_code, problem)
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError:
        pass
    return None


class OwnerClient:
    """Connections to owners; `trust` says whom they are known by, where they speak TLS."""

    def __init__(self, trust: ssl.SSLContext | bool = True) -> None:
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
        """Ask an owner for a pick; None: no answer in time, or none that helps."""
        url = f"{owner_url}/v1/clusters/{quote(cluster, safe='')}/picks"
        return _read(await self._send("POST", url, authorization, body), PickAnswer)

    async def relogin(
        self, owner_url: str, cluster: str, body: ReloginBody, authorization: str
    ) -> ReloginAnswer | Refusal | None:
        """Ask an owner for a screen's order; None as above."""
        url = f"{owner_url}/v1/clusters/{quote(cluster, safe='')}/relogins"
        return _read(await self._send("POST", url, authorization, body, seconds=RELOGIN_SECONDS), ReloginAnswer)

    async def release(self, owner_url: str, cluster: str, user: str, authorization: str) -> bool:
        """Tell an owner that a slot is given back; tell whether it did."""
        answer = await self._send(
            "DELETE",
            f"{owner_url}/v1/clusters/{quote(cluster, safe='')}/picks/{quote(user, safe='')}",
            authorization,
            None,
        )
        return answer is not None and answer.is_success

    async def _send(
        self,
        method: str,
        url: str,
        authorization: str,
        body: PickBody | ReloginBody | None,
        *,
        seconds: float = OWNER_SECONDS,
    ) -> httpx.Response | None:
        headers = {FORWARDED: "1", "content-type": "application/json"}
        if authorization:
            headers["authorization"] = authorization
        content = None if body is None else msgspec.json.encode(body)
        try:
            # httpx counts its time-outs for each step; an owner that dribbles would take all of them
            async with asyncio.timeout(seconds):
                return await self._client.request(method, url, headers=headers, content=content, timeout=seconds)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None
