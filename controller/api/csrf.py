"""What a browser may be made to send here by a page of another site. Pure."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

OURS = {"same-origin", "none"}
"""What `Sec-Fetch-Site` says where our own page, or the person at the browser, asked."""


def why_foreign(headers: Mapping[str, str]) -> str | None:
    """Return why a request comes from a page of another site; None: it does not, or no browser sent it."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return None if site in OURS else "a page of another site sent this"
    origin = headers.get("origin")
    if origin is not None and _place(origin) != headers.get("host", ""):
        return "a page of another site sent this"
    return None


def why_embedded(headers: Mapping[str, str]) -> str | None:
    """Return why a page of another site may be reading this behind its visitor's back; None: it is not."""
    followed = headers.get("sec-fetch-mode", "navigate") == "navigate"
    return None if followed else why_foreign(headers)


def why_rebound(headers: Mapping[str, str]) -> str | None:
    """Return why a request may have been sent here under another machine's name; None: it was not.

    Where there are no tokens, being reached from this machine is all that protects; a page of another site may have
    its own name point here (DNS rebinding). An address, or localhost, is nobody else's name.
    """
    given = headers.get("host", "")
    try:
        host = urlsplit(f"//{given}").hostname or ""
        if host != "localhost" and not host.endswith(".localhost"):
            ipaddress.ip_address(host)
    except ValueError:
        return f"without a token file hotdesk answers to its address only, not to the name {given[:80]!r}"
    return None


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
