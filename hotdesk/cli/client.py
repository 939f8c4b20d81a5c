"""A client of a running hotdesk's API, for commands."""

import os
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import msgspec
from cyclopts import Parameter

from controller.api.schemas import ClusterAnswer
from hotdesk.errors import ApiFailure, SettingsError
from hotdesk.settings import ApiOptions
from hotdesk.tls import trust

API_SECONDS = 5.0

_TOKEN_REMEDIES: dict[int, str] = {
    httpx.codes.UNAUTHORIZED: "; a command sends the one in the environment: export HOTDESK_TOKEN=TOKEN",
    httpx.codes.FORBIDDEN: "; a command sends the one in HOTDESK_TOKEN",
}

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for scripts.")]
AsCsv = Annotated[bool, Parameter(name="--csv", negative="", help="Print CSV, for spreadsheets.")]
ClusterName = Annotated[str, Parameter(help="Name of the cluster; not needed if there is only one.")]


def open_api(options: ApiOptions, *, seconds: float = API_SECONDS) -> httpx.Client:
    """Return a client of the API in the options; its token is that of HOTDESK_TOKEN."""
    token = os.environ.get("HOTDESK_TOKEN", "")
    return httpx.Client(
        base_url=options.reached_at(options.port, this_machine="127.0.0.1"),
        verify=trust(options.tls_ca),
        headers={"authorization": f"Bearer {token}"} if token else {},
        timeout=seconds,
        trust_env=False,
    )


def ask(api: httpx.Client, method: str, *path: str, body: object = None, **parameters: str) -> bytes:
    """Send a request to a path in parts, which may have any characters, and return the answer's body.

    Raises:
        ApiFailure: no answer, or a refusal.
    """
    where = "/v1/" + "/".join(quote(part, safe="") for part in path)
    content = None if body is None else msgspec.json.encode(body)
    try:
        answer = api.request(
            method, where, params=parameters, content=content, headers={"content-type": "application/json"}
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiFailure(
            f"no hotdesk answers at {api.base_url}: {error}; check that it runs, and that api.url is right"
        ) from error
    if answer.is_success:
        return answer.content
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    detail = problem.get("detail") or problem.get("title") or answer.reason_phrase
    token = _TOKEN_REMEDIES.get(answer.status_code, "")
    raise ApiFailure(f"{api.base_url} says: {detail}{token}")


def only_cluster(api: httpx.Client) -> str:
    """Return the name of the only cluster.

    Raises:
        SettingsError: there are several, or none.
    """
    known = [each.cluster for each in msgspec.json.decode(ask(api, "GET", "clusters"), type=list[ClusterAnswer])]
    if len(known) != 1:
        raise SettingsError(
            f"name a cluster with --cluster: {', '.join(known)}"
            if known
            else "no cluster is known yet: a collector publishes its first poll within seconds; if it does not,"
            " 'hotdesk check' says why"
        )
    return known[0]
