"""Who may ask what: bearer tokens with a scope, from a file that only hotdesk reads."""

import hmac
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Self

LEAST_LENGTH = 16


class TokenFileError(Exception):
    """The token file cannot be used; `str()` is one line that says why, without a token in it."""


class Scope(IntEnum):
    """What a token allows; a higher one includes the lower."""

    READ = 1
    PICK = 2
    ADMIN = 3


class Tokens:
    """The known tokens. Without any, whoever can connect may do everything: loopback only."""

    def __init__(self, known: dict[bytes, Scope]) -> None:
        self._known = known
        self.refused = 0
        """Requests that carried none of them, since the process began."""

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Read a file of lines `scope token`, where scope is read, pick or admin; # begins a comment.

        Raises:
            TokenFileError: the file cannot be read, or a line does not fit.
        """
        if path is None:
            return cls({})
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenFileError(f"token file {path} cannot be read: {error}") from error
        known = {}
        for number, line in enumerate(lines, start=1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            scope = Scope.__members__.get(words[0].upper())
            if scope is None or len(words) != 2 or len(words[1]) < LEAST_LENGTH:  # noqa: PLR2004 # scope, token
                raise TokenFileError(
                    f"token file {path}, line {number}: write 'read', 'pick' or 'admin', a space, and a token of at"
                    f" least {LEAST_LENGTH} characters"
                )
            known[words[1].encode()] = scope
        if not known:
            raise TokenFileError(f"token file {path} holds no token: nobody could ask anything")
        return cls(known)

    @property
    def required(self) -> bool:
        """Tell whether a request needs a token at all."""
        return bool(self._known)

    def known(self) -> Iterator[tuple[bytes, Scope]]:
        """Give every token, and what it allows."""
        yield from self._known.items()

    def scope_of(self, authorization: str) -> Scope | None:
        """Tell what an Authorization header allows, in the same time whatever it holds; None: nothing."""
        kind, _, token = authorization.partition(" ")
        given = token.strip().encode()
        found = None
        for known, scope in self._known.items():
            if hmac.compare_digest(known, given):
                found = scope
        return found if kind.lower() == "bearer" else None
