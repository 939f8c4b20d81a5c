"""Visitors of the status page, and their permissions.

A visitor who signs in with a token of the token file gets a cookie that is signed with that token: nothing is stored
here, every replica understands it, and it ends with the token. Where the file has only the token's digest, the key is
one of this process, and the visitor signs in anew at another or after a restart. It includes the visitor's address, so
that a stolen one is useless elsewhere. A form has a mark that only a page of this site can know.
"""

import hashlib
import secrets
from typing import Any, NamedTuple

import msgspec
from itsdangerous import BadData, Signer, URLSafeSerializer

from controller.api.tokens import Scope, Tokens

COOKIE = "hotdesk"
SIGNED_IN_SECONDS = 12 * 3600
"""A shift; after that the visitor signs in again."""
LONGEST_NAME = 60
_HOW: Any = {"key_derivation": "hmac", "digest_method": hashlib.sha256}


class _Signed(msgspec.Struct, frozen=True, array_like=True):
    """The content of a cookie."""

    name: str
    ends_at: int
    """Wall clock, seconds since 1970."""
    nonce: str


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
        content = [name.strip()[:LONGEST_NAME], round(now) + SIGNED_IN_SECONDS, secrets.token_hex(8)]
        cookie: str = _serializer(known.key, address).dumps(content)
        return cookie

    def visitor(self, cookie: str, address: str, now: float) -> Visitor | None:
        """Return the visitor of a cookie; None: the cookie is not valid."""
        if not self._tokens.required:
            return Visitor("", Scope.ADMIN, _mark(self._own_key, ""))
        for fingerprint, known in self._tokens.items():
            try:
                signed = msgspec.convert(_serializer(known.key, address).loads(cookie), _Signed)
            except (BadData, msgspec.ValidationError):
                continue
            if signed.ends_at < now:
                return None
            return Visitor(signed.name, known.scope, _mark(known.key, signed.nonce), fingerprint)
        return None


def _serializer(key: bytes, address: str) -> URLSafeSerializer:
    """Return what signs and reads the cookies of an address."""
    return URLSafeSerializer(key, salt=f"hotdesk cookie {address}", signer_kwargs=_HOW)


def _mark(key: bytes, nonce: str) -> str:
    """Return the mark of the forms of one cookie."""
    return Signer(key, salt="hotdesk mark", **_HOW).get_signature(nonce).decode()
