"""How a replica asks an owner in its client's name: by a proof that it was shown the client's token, not by the token.

Where the owner answers stands in the log, and whoever could write that would have every token sent to them. The proof
is good for one request, with its body, however often it is sent within two minutes, and at one owner only: whoever was
named falsely cannot send it on to the right one. Owners and replicas have the same token file. Where that has only the
token's digest, an owner cannot check the proof, and the replica picks by itself.
"""

import hashlib
import hmac
from typing import NamedTuple

from controller.api.tokens import FINGERPRINT, Known, Tokens, digest_of

KIND = "Hotdesk-Proof"
FRESH_SECONDS = 120
"""Time for which a proof is good: clocks of two machines may be that far apart."""
_PARTS = 3


class Asked(NamedTuple):
    """A request that is passed on."""

    owner_url: str
    """The address of the owner, as it has published it."""
    method: str
    path: str
    """The path, without any encoding."""
    body: bytes


def prove(authorization: str, asked: Asked, now: float) -> str:
    """Return the Authorization header that proves a client's own; empty: it had none."""
    token = authorization.partition(" ")[2].strip()
    if not token:
        return ""
    at = round(now)
    return f"{KIND} {digest_of(token)[:FINGERPRINT]}.{at}.{_sign(token.encode(), asked, at)}"


def proved(authorization: str, asked: Asked, tokens: Tokens, now: float) -> tuple[str, Known] | None:
    """Return the fingerprint of the token that a header proves, and what is known of it; None: it proves none."""
    parts = authorization.partition(" ")[2].strip().split(".")
    if not is_proof(authorization) or len(parts) != _PARTS or not parts[1].isascii() or not parts[1].isdigit():
        return None
    at = int(parts[1][:12])
    if abs(now - at) > FRESH_SECONDS:
        return None
    for fingerprint, known in tokens.items():
        signed = _sign(known.key, asked, at)
        if fingerprint == parts[0] and hmac.compare_digest(signed.encode(), parts[2].encode()):
            return fingerprint, known
    return None


def cannot_tell(authorization: str, tokens: Tokens) -> bool:
    """Return True for a proof by a token of which only the digest is known here: it may be right."""
    return is_proof(authorization) and not tokens.shows(authorization.partition(" ")[2].strip().partition(".")[0])


def is_proof(authorization: str) -> bool:
    """Return True for a header that is to prove something."""
    return authorization.partition(" ")[0].lower() == KIND.lower()


def shown_by(authorization: str) -> str:
    """Return what stays the same of a header: the digest of its token, or the part of it that a proof names."""
    content = authorization.partition(" ")[2].strip()
    return f"{KIND} {content.partition('.')[0]}" if is_proof(authorization) else digest_of(content)


def _sign(key: bytes, asked: Asked, at: int) -> str:
    body = hashlib.sha256(asked.body).hexdigest()
    return hmac.new(
        key,
        "\n".join(("hotdesk passes on", asked.owner_url, asked.method, asked.path, body, str(at))).encode(),
        "sha256",
    ).hexdigest()
