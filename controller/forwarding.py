"""Asking a cluster's owner on behalf of whoever asked this replica."""

from urllib.parse import quote

import httpx
import msgspec

from controller.answers import PickAnswer, PickBody

OWNER_SECONDS = 0.05
"""What an owner may take to answer; then the replica picks by itself."""

FORWARDED = "x-hotdesk-forwarded"
"""Marks a request that a replica passed on: it is not passed on again."""


class OwnerClient:
    """Connections to owners."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            timeout=OWNER_SECONDS,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def pick(self, owner_url: str, cluster: str, body: PickBody, authorization: str) -> PickAnswer | None:
        """Ask an owner for a pick; None: no answer in time, or none that helps."""
        answer = await self._send(
            "POST", f"{owner_url}/v1/clusters/{quote(cluster, safe='')}/picks", authorization, body
        )
        if answer is None or answer.status_code != httpx.codes.CREATED:
            return None
        try:
            return msgspec.json.decode(answer.content, type=PickAnswer)
        except msgspec.DecodeError:
            return None

    async def release(self, owner_url: str, cluster: str, user: str, authorization: str) -> None:
        """Tell an owner that a slot is given back."""
        await self._send(
            "DELETE",
            f"{owner_url}/v1/clusters/{quote(cluster, safe='')}/picks/{quote(user, safe='')}",
            authorization,
            None,
        )

    async def _send(self, method: str, url: str, authorization: str, body: PickBody | None) -> httpx.Response | None:
        headers = {FORWARDED: "1", "content-type": "application/json"}
        if authorization:
            headers["authorization"] = authorization
        try:
            return await self._client.request(
                method, url, headers=headers, content=None if body is None else msgspec.json.encode(body)
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
