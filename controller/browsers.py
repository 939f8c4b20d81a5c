"""What a browser may be made to send here by a page of another site. Pure."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def why_foreign(headers: Mapping[str, str]) -> str:
    """Say why a request comes from a page of another site; empty: it does not, or no browser sent it."""
    site = headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"}:
        return "a page of another site sent this"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        return "a page of another site sent this"
    return ""


def why_rebound(headers: Mapping[str, str]) -> str:
    """Say why a request may have been sent here under another machine's name; empty: it was not.

    Where there are no tokens, being reached from this machine is all that protects; a page of another site may have
    its own name point here (DNS rebinding). An address, or localhost, is nobody else's name.
    """
    host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"without a token file hotdesk answers to its address only, not to the name {host[:80]!r}"
    return ""
