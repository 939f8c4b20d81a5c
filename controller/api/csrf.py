"""Refuse requests that a page of another site makes a browser send. Pure."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

OURS = {"same-origin", "none"}
"""Values of `Sec-Fetch-Site` for a request of our own page, or of the person at the browser."""


def why_foreign(headers: Mapping[str, str]) -> str | None:
    """Return why a request seems to come from a page of another site; None: it does not, or no browser sent it."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return None if site in OURS else "a page of another site sent this"
    origin = headers.get("origin")
    if origin is not None and _host_of(origin) != headers.get("host", ""):
        return "a page of another site sent this"
    return None


def why_embedded(headers: Mapping[str, str]) -> str | None:
    """Return why a page of another site may be reading this without its visitor's knowledge; None: it is not."""
    followed = headers.get("sec-fetch-mode", "navigate") == "navigate"
    return None if followed else why_foreign(headers)


def why_rebound(headers: Mapping[str, str]) -> str | None:
    """Return why a request may have been sent here under another machine's name; None: it was not.

    Without tokens, the only protection is that requests come from this machine; but a page of another site may make
    its own name point here (DNS rebinding). An address, or localhost, cannot be another site's name.
    """
    given = headers.get("host", "")
    try:
        host = urlsplit(f"//{given}").hostname or ""
        if host != "localhost" and not host.endswith(".localhost"):
            ipaddress.ip_address(host)
    except ValueError:
        return f"without a token file hotdesk answers only to its address, not to the name {given[:80]!r}"
    return None


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
