"""Visitors of the status page, and their permissions.

A visitor who signs in with a token of the token file gets a cookie that is signed with that token: nothing is stored
here, every replica understands it, and it ends with the token. Where the file has only the token's digest, the key is
one of this process, and the visitor signs in anew at another or after a restart. It includes the visitor's address, so
that a stolen one is useless elsewhere. A form has a mark that only a page of this site can know.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from controller.api.tokens import Scope, Tokens

COOKIE = "hotdesk"
SIGNED_IN_SECONDS = 12 * 3600
"""A shift; after that the visitor signs in again."""
LONGEST_NAME = 60
_PARTS = 4
_WHEN = re.compile(r"[0-9]{1,12}")


class Visitor(NamedTuple):
    """A visitor of the page."""

    name: str
    """The name from the sign-in; empty: there are no tokens, and so no sign-in."""
    scope: Scope
    mark: str
    """The mark that their forms must have."""
    token: str = ""
    """The fingerprint of their token."""


class Visitors:
    """Creates cookies, and reads them.

    Without tokens, every visitor who can connect to the API may do everything: that is this machine only.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._own_key = secrets.token_bytes(32)

    @property
    def sign_in(self) -> bool:
        """True if there are tokens to sign in with."""
        return self._tokens.required

    def cookie_for(self, name: str, token: str, address: str, now: float) -> str | None:
        """Return a cookie for a visitor with a token; None: the token is unknown.

        Args:
            name: the visitor's name, for the audit.
            token: the token that they typed.
            address: their address.
            now: wall clock, seconds since 1970.
        """
        token = token.strip()
        known = self._tokens.find(token)
        if known is None:
            self._tokens.refused += 1
            return None
        called = base64.urlsafe_b64encode(name.strip()[:LONGEST_NAME].encode()).decode().rstrip("=")
        content = f"{called}.{round(now) + SIGNED_IN_SECONDS}.{secrets.token_hex(8)}"
        return f"{content}.{_sign(known.key, 'cookie', address, content)}"

    def visitor(self, cookie: str, address: str, now: float) -> Visitor | None:
        """Return the visitor of a cookie; None: the cookie is not valid."""
        if not self._tokens.required:
            return Visitor("", Scope.ADMIN, _sign(self._own_key, "mark"))
        parts = cookie.split(".")
        if len(parts) != _PARTS or not _WHEN.fullmatch(parts[1]) or int(parts[1]) < now:
            return None
        content = ".".join(parts[:3])
        for fingerprint, known in self._tokens.items():
            if hmac.compare_digest(_sign(known.key, "cookie", address, content).encode(), parts[3].encode()):
                called = base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)).decode()
                return Visitor(called, known.scope, _sign(known.key, "mark", content), fingerprint)
        return None


def _sign(key: bytes, *parts: str) -> str:
    return hmac.new(key, "\n".join(("hotdesk", *parts)).encode(), hashlib.sha256).hexdigest()
