"""A client of a running hotdesk's API, for commands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import quote

import httpx
import msgspec
from cyclopts import Parameter

from controller.api.schemas import ClusterAnswer
from controller.vicidial.exchange import BoundedTransport
from controller.vicidial.names import Names
from hotdesk.errors import ApiFailure, SettingsError, TokenFailure
from hotdesk.settings import ApiOptions
from hotdesk.tls import trust
from messages.shown import one_line

API_SECONDS = 5.0

MOST_BYTES = 64 * 1024 * 1024
"""Of an answer: far more than the largest cluster needs."""

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, for scripts.")]
AsCsv = Annotated[bool, Parameter(name="--csv", negative="", help="Print CSV, for spreadsheets.")]
ClusterName = Annotated[str, Parameter(help="Name of the cluster; not needed if there is only one.")]


@contextmanager
def open_api(options: ApiOptions, *, seconds: float = API_SECONDS) -> Iterator[httpx.Client]:
    """Yield a client of the API in the options; its token is that of HOTDESK_TOKEN. `seconds`: for each answer, whole.

    Raises:
        SettingsError: that is no token.
        ApiFailure: what answers is no hotdesk.
    """
    token = os.environ.get("HOTDESK_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        # httpx would repeat it
        raise SettingsError("HOTDESK_TOKEN is no token: it has characters that none has")
    url = options.reached_at(options.port, this_machine="127.0.0.1")
    names = Names()
    with httpx.Client(
        base_url=url,
        transport=BoundedTransport(seconds, trust(options.tls_ca), names),
        headers={"authorization": f"Bearer {token}"} if token else {},
        timeout=None,  # noqa: S113 # the transport has one for the whole
        trust_env=False,
    ) as api:
        # what comes is not unpacked, so that it is never more than it was
        api.headers["accept-encoding"] = "identity"
        try:
            yield api
        except msgspec.DecodeError as error:
            raise ApiFailure(
                f"what answers at {url} is no hotdesk, or one of another version: {one_line(error)}"
            ) from error
        except ApiFailure as error:
            if options == ApiOptions() and isinstance(error.__cause__, httpx.ConnectError):
                # nothing says that there is one
                raise ApiFailure(f"{error}; if there is none yet: 'hotdesk setup'") from error.__cause__
            raise


def ask(api: httpx.Client, method: str, *path: str, body: object = None, **parameters: str) -> bytes:
    """Send a request to a path in parts, which may have any characters, and return the answer's body.

    Raises:
        TokenFailure: the token is refused, or that there is none.
        ApiFailure: no answer, or another refusal.
    """
    where = "/v1/" + "/".join(quote(part, safe="") for part in path)
    content = None if body is None else msgspec.json.encode(body)
    try:
        with api.stream(
            method, where, params=parameters, content=content, headers={"content-type": "application/json"}
        ) as answer:
            said = b"".join(_bounded(answer))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ApiFailure(
            f"no hotdesk answers at {api.base_url}: {one_line(error)}; check that it runs, and that api.url is right"
        ) from error
    if answer.is_success:
        return said
    try:
        problem = msgspec.json.decode(said, type=dict[str, Any])
    except msgspec.DecodeError:
        problem = {}
    detail = problem.get("detail") or problem.get("title") or answer.reason_phrase
    said_so = f"{api.base_url} says: {one_line(detail)}"
    if answer.status_code not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise ApiFailure(said_so)
    if "authorization" in api.headers or answer.status_code == httpx.codes.FORBIDDEN:
        raise TokenFailure(f"{said_so}; a command sends the one in HOTDESK_TOKEN")
    raise TokenFailure(f"{said_so}; a command sends the one in the environment: export HOTDESK_TOKEN=TOKEN")


def _bounded(answer: httpx.Response) -> Iterator[bytes]:
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > MOST_BYTES:
            raise ApiFailure(f"what answers at {answer.url.host} is no hotdesk: its answer has no end")
        yield part


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
