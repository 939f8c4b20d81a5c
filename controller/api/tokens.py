"""Bearer tokens with a scope, from a file that only hotdesk reads.

A line has the token itself or its SHA-256: with that, whoever reads the file can ask nothing by it.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, Self

import structlog

from controller.api.guesses import Guesses
from controller.api.secret_files import UnsafeFileError, read_private
from messages.shown import reason_of

LEAST_LENGTH = 16
LOOK_SECONDS = 1.0
FINGERPRINT = 6
"""Characters of a token's SHA-256 that may be shown."""

DIGEST = "sha256:"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)#.*")

SAMPLES = ("read-only-token-1", "pick-token-0123456", "admin-token-0123456", "a-token-of-scope-pick")
"""Tokens of hotdesk's own documents, which everybody knows."""

log = structlog.get_logger()


class TokenFileError(Exception):
    """The token file cannot be used; `str()` is one line that says why, without a token in it."""


class Scope(IntEnum):
    """The permission of a token; a higher one includes the lower."""

    READ = 1
    PICK = 2
    ADMIN = 3


class Known(NamedTuple):
    """A token of the file."""

    scope: Scope
    key: bytes
    """The key that signs the cookies of its visitors: the token, or where only its digest is known, one of this process
    alone."""
    shown: bool = True
    """False: only its digest is known, so no proof by it can be checked."""


class Tokens:
    """The known tokens. Without any, every client that can connect may do everything: loopback only.

    A changed file is read again within `LOOK_SECONDS`; if it cannot be used any more, the tokens stay as they were.
    """

    def __init__(self, known: dict[str, Known], path: Path | None = None) -> None:
        self._known = known
        """By the token's SHA-256."""
        self._path = path
        self._read_at = _changed_at(path)
        self._look_at = time.monotonic() + LOOK_SECONDS
        self.own_url = ""
        """Where this process answers, which a proof must name."""
        self.guesses = Guesses()
        self.refused = 0
        """Requests without a known token, since the process started."""
        self.too_low = 0
        """Requests with a known token whose scope is too low."""

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Load a file of lines `scope token` or `scope sha256:digest`; # starts a comment.

        Raises:
            TokenFileError: the file cannot be read, or a line is malformed.
        """
        return cls({} if path is None else _read(path), path)

    def _reload_if_changed(self) -> None:
        now = time.monotonic()
        if self._path is None or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        changed_at = _changed_at(self._path)
        if changed_at == self._read_at:
            return
        self._read_at = changed_at
        try:
            self._known = _read(self._path)
            log.info("the token file was read again", tokens=len(self._known))
        except TokenFileError as error:
            log.warning("the token file changed and cannot be used; the tokens stay as they were", why=str(error))

    @property
    def required(self) -> bool:
        """True if a request needs a token at all."""
        return bool(self._known)

    def items(self) -> Iterator[tuple[str, Known]]:
        """Yield the fingerprint of every token, with what is known of it."""
        self._reload_if_changed()
        yield from ((digest[:FINGERPRINT], known) for digest, known in self._known.items())

    def fingerprint_of(self, authorization: str) -> str:
        """Return the fingerprint of a request's token; empty: no known token.

        It is the beginning of the token's SHA-256: enough to distinguish the lines of a file, too little to guess by.
        """
        token = authorization.partition(" ")[2].strip()
        return "" if self.scope_of(authorization) is None else digest_of(token)[:FINGERPRINT]

    def scope_of(self, authorization: str) -> Scope | None:
        """Return the scope of an Authorization header, in the same time whatever its content; None: no known token."""
        kind, _, token = authorization.partition(" ")
        found = self.find(token.strip())
        return found.scope if found is not None and kind.lower() == "bearer" else None

    def shows(self, fingerprint: str) -> bool:
        """Return False if only the digest is known of every token with a fingerprint, and there is one."""
        found = [known.shown for each, known in self.items() if each == fingerprint]
        return not found or any(found)

    def find(self, token: str) -> Known | None:
        """Return what is known of a token, in the same time whatever it is; None: it is not known."""
        self._reload_if_changed()
        given, found = digest_of(token), None
        for digest, known in self._known.items():
            if hmac.compare_digest(digest, given):
                found = known
        return found


def digest_of(token: str) -> str:
    """Return a token's SHA-256, as `sha256sum` prints it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


_EVERYBODYS = frozenset(map(digest_of, SAMPLES))


def _read(path: Path) -> dict[str, Known]:
    try:
        lines = read_private(path).splitlines()
    except UnsafeFileError as error:
        raise TokenFileError(f"token file {path} is refused: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"token file {path} cannot be read: {reason_of(error)}") from error
    known: dict[str, Known] = {}
    for number, line in enumerate(lines, start=1):
        words = _COMMENT.sub("", line).split()
        if not words:
            continue
        where = f"token file {path}, line {number}"
        scope = Scope.__members__.get(words[0].upper())
        if scope is None or len(words) != 2 or len(words[1]) < LEAST_LENGTH:  # noqa: PLR2004 # scope, token
            raise TokenFileError(
                f"{where}: write 'read', 'pick' or 'admin', a space, and a token of at"
                f" least {LEAST_LENGTH} characters, or {DIGEST} and its SHA-256"
            )
        digest, one = _one(scope, words[1], where)
        if known.get(digest, one).scope is not scope:
            raise TokenFileError(f"{where}: this token has another scope on a line before; take one of them out")
        known.setdefault(digest, one)
    if not known:
        raise TokenFileError(f"token file {path} has no token: every request would be refused")
    return known


def _one(scope: Scope, word: str, where: str) -> tuple[str, Known]:
    """Return the digest of a line's token, and what is known of it."""
    digest, key, shown = digest_of(word), word.encode(), True
    if word.lower().startswith(DIGEST):
        found = _DIGEST.fullmatch(word)
        if found is None:
            raise TokenFileError(f"{where}: after {DIGEST} come the 64 hexadecimal digits of a token's SHA-256")
        digest, shown = found[1].lower(), False
        # whoever has read the digest must not be able to sign a cookie with it
        key = hmac.digest(_OWN_KEY, digest.encode(), "sha256")
    if digest in _EVERYBODYS:
        raise TokenFileError(f"{where}: this token stands in hotdesk's documents, so everybody knows it: make another")
    return digest, Known(scope, key, shown)


_OWN_KEY = secrets.token_bytes(32)
"""Of this process."""


def _changed_at(path: Path | None) -> tuple[int, int] | None:
    """Return when a file or its mode changed, and its inode: an editor may replace the file."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ctime_ns, found.st_ino)
