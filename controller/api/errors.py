"""The API's refusals: RFC 9457 problem details, and those that its OpenAPI document announces."""

from http import HTTPStatus

import msgspec
from litestar.openapi.datastructures import ResponseSpec

PROBLEM = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The reason why a request was refused; some kinds have further fields."""

    status: int
    title: str
    detail: str


FOR_ANYBODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
"""Statuses that every route with a token may answer."""
WITH_A_BODY = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS)


def problems(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Return the descriptions of refusals, for a route's `responses`."""
    return {
        status.value: ResponseSpec(Problem, generate_examples=False, description=status.phrase, media_type=PROBLEM)
        for status in statuses
    }


def guarded(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """Return the descriptions of the refusals of every route with a token, and of these."""
    return problems(*FOR_ANYBODY, *statuses)
