"""Asking a running hotdesk, for the commands that do."""

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

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for scripts.")]
ClusterName = Annotated[str, Parameter(help="Which cluster; not needed where there is only one.")]


def open_api(options: ApiOptions, *, seconds: float = API_SECONDS) -> httpx.Client:
    """Give a client of the API that the options name; its token is that of HOTDESK_TOKEN."""
    token = os.environ.get("HOTDESK_TOKEN", "")
    return httpx.Client(
        base_url=options.reached_at(options.port, this_machine="127.0.0.1"),
        verify=trust(options.tls_ca),
        headers={"authorization": f"Bearer {token}"} if token else {},
        timeout=seconds,
        trust_env=False,
    )


def ask(api: httpx.Client, method: str, *path: str, body: object = None, **parameters: str) -> bytes:
    """Send a request to a path given in parts, which may hold any characters.

    Raises:
        ApiFailure: nobody answers, or the answer is a refusal.
    """
    where = "/v1/" + "/".join(quote(part, safe="") for part in path)
    content = None if body is None else msgspec.json.encode(body)
    try:
        answer = api.request(
            method, where, params=parameters, content=content, headers={"content-type": "application/json"}
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiFailure(f"no hotdesk answers at {api.base_url}: {error}; is it running, and api.url right?") from error
    if answer.is_success:
        return answer.content
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    said = problem.get("detail") or problem.get("title") or answer.reason_phrase
    raise ApiFailure(f"{api.base_url} says: {said}")


def only_cluster(api: httpx.Client) -> str:
    """Give the name of the only cluster.

    Raises:
        SettingsError: there are several, or none.
    """
    known = [each.cluster for each in msgspec.json.decode(ask(api, "GET", "clusters"), type=list[ClusterAnswer])]
    if len(known) != 1:
        raise SettingsError(f"say which cluster, with --cluster: {', '.join(known) or 'none is known yet'}")
    return known[0]


def printable(text: str) -> str:
    """Make control characters visible: names out of a database may hold what steers a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def print_json(what: object) -> None:
    """Print for scripts."""
    print(msgspec.json.format(msgspec.json.encode(what), indent=2).decode())
