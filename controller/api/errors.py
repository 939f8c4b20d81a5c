"""How the API refuses: RFC 9457 problem details, and which of them its OpenAPI document announces."""

from http import HTTPStatus

import msgspec
from litestar.openapi.datastructures import ResponseSpec

PROBLEM = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused; some kinds say more in fields of their own."""

    status: int
    title: str
    detail: str


FOR_ANYBODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""What every route that asks for a token may answer."""
WITH_A_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS)


def problems(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Announce refusals, for a route's `responses`."""
    return {
        status.value: ResponseSpec(Problem, generate_examples=False, description=status.phrase, media_type=PROBLEM)
        for status in statuses
    }


def guarded(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Announce what every route that asks for a token may refuse with, and these."""
    return problems(*FOR_ANYBODY, *statuses)
