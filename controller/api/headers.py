"""Headers that every answer has, whatever made it."""

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

ALWAYS = {
    # an answer is data, whatever it looks like, and stands in no cache
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
BY_TLS = {"strict-transport-security": "max-age=3600"}
"""Browsers that have seen it ask this host by TLS only, on every port, for an hour: VICIdial may be there without."""


async def add_headers(message: Message, scope: Scope) -> None:
    """Add what an answer does not say itself."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    for name, value in (ALWAYS | BY_TLS if scope["scheme"] == "https" else ALWAYS).items():
        headers.setdefault(name, value)
