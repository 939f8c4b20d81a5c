"""Who looks at the status page, and what they may do.

Whoever signs in with a token of the token file gets a cookie that is signed with that token: nothing is stored here,
every replica understands it, and it ends with the token. It names the address it was given to, so that a stolen one is
worth nothing elsewhere. A form carries a mark that only a page of ours could have told.
"""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from controller.api.tokens import Scope, Tokens, fingerprint

COOKIE = "hotdesk"
SIGNED_IN_SECONDS = 12 * 3600
"""A shift: after that the token is asked for again."""
LONGEST_NAME = 60
_PARTS = 4
_WHEN = re.compile(r"[0-9]{1,12}")


class Visitor(NamedTuple):
    """Somebody whom the page is shown to."""

    name: str
    """As they signed in; empty: there are no tokens, so nobody signs in."""
    scope: Scope
    mark: str
    """What their forms must carry."""
    token: str = ""
    """The fingerprint of the token they signed in with."""


class Visitors:
    """Gives cookies, and reads them.

    Where there are no tokens, everybody who reaches the API may do everything: that is this machine only.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._own_key = secrets.token_bytes(32)

    @property
    def sign_in(self) -> bool:
        """Tell whether there is anything to sign in with."""
        return self._tokens.required

    def cookie_for(self, name: str, token: str, address: str, now: float) -> str | None:
        """Give a cookie to whoever knows a token; None: it is none.

        Args:
            name: how the visitor wants to be called, for those who read what they ordered.
            token: what they typed.
            address: where they are.
            now: wall clock, seconds since 1970.
        """
        token = token.strip()
        if self._tokens.scope_of(f"Bearer {token}") is None:
            self._tokens.refused += 1
            return None
        called = base64.urlsafe_b64encode(name.strip()[:LONGEST_NAME].encode()).decode().rstrip("=")
        says = f"{called}.{round(now) + SIGNED_IN_SECONDS}.{secrets.token_hex(8)}"
        return f"{says}.{_sign(token.encode(), 'cookie', address, says)}"

    def visitor(self, cookie: str, address: str, now: float) -> Visitor | None:
        """Tell who carries a cookie; None: nobody who may look."""
        if not self._tokens.required:
            return Visitor("", Scope.ADMIN, _sign(self._own_key, "mark"))
        parts = cookie.split(".")
        if len(parts) != _PARTS or not _WHEN.fullmatch(parts[1]) or int(parts[1]) < now:
            return None
        says = ".".join(parts[:3])
        for token, scope in self._tokens.known():
            if hmac.compare_digest(_sign(token, "cookie", address, says).encode(), parts[3].encode()):
                called = base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)).decode()
                return Visitor(called, scope, _sign(token, "mark", says), fingerprint(token))
        return None


def _sign(key: bytes, *says: str) -> str:
    return hmac.new(key, "\n".join(("hotdesk", *says)).encode(), hashlib.sha256).hexdigest()
