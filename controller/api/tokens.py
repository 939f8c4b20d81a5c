"""Bearer tokens with a scope, from a file that only hotdesk reads."""

import hashlib
import hmac
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Self

import structlog

from controller.api.secret_files import ReadableByAllError, read_private

LEAST_LENGTH = 16
LOOK_SECONDS = 1.0
FINGERPRINT = 6
"""Characters of a token's SHA-256 that may be shown."""

log = structlog.get_logger()


class TokenFileError(Exception):
    """The token file cannot be used; `str()` is one line that says why, without a token in it."""


class Scope(IntEnum):
    """The permission of a token; a higher one includes the lower."""

    READ = 1
    PICK = 2
    ADMIN = 3


class Tokens:
    """The known tokens. Without any, every client that can connect may do everything: loopback only.

    A changed file is read again within `LOOK_SECONDS`; if it cannot be used any more, the tokens stay as they were.
    """

    def __init__(self, known: dict[bytes, Scope], path: Path | None = None) -> None:
        self._known = known
        self._path = path
        self._read_at = _changed_at(path)
        self._look_at = time.monotonic() + LOOK_SECONDS
        self.refused = 0
        """Requests without a known token, since the process started."""
        self.too_low = 0
        """Requests with a known token whose scope is too low."""

    @classmethod
    def load(cls, path: Path | None) -> Self:
        """Load a file of lines `scope token`, where scope is read, pick or admin; # starts a comment.

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

    def items(self) -> Iterator[tuple[bytes, Scope]]:
        """Yield every token with its scope."""
        self._reload_if_changed()
        yield from self._known.items()

    def fingerprint_of(self, authorization: str) -> str:
        """Return the fingerprint of a request's token; empty: no known token.

        It is the beginning of the token's SHA-256: enough to distinguish the lines of a file, too little to guess by.
        """
        if self.scope_of(authorization) is None:
            return ""
        return fingerprint(authorization.partition(" ")[2].strip().encode())

    def scope_of(self, authorization: str) -> Scope | None:
        """Return the scope of an Authorization header, in the same time whatever its content; None: no known token."""
        self._reload_if_changed()
        kind, _, token = authorization.partition(" ")
        given = token.strip().encode()
        found = None
        for known, scope in self._known.items():
            if hmac.compare_digest(known, given):
                found = scope
        return found if kind.lower() == "bearer" else None


def fingerprint(token: bytes) -> str:
    """Return the first characters of a token's SHA-256, as `sha256sum` prints it."""
    return hashlib.sha256(token).hexdigest()[:FINGERPRINT]


def _read(path: Path) -> dict[bytes, Scope]:
    try:
        lines = read_private(path).splitlines()
    except ReadableByAllError as error:
        raise TokenFileError(f"token file {path} is refused: {error}") from error
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
        raise TokenFileError(f"token file {path} has no token: every request would be refused")
    return known


def _changed_at(path: Path | None) -> tuple[int, int] | None:
    """Return when a file or its mode changed, and its inode: an editor may replace the file."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ctime_ns, found.st_ino)
