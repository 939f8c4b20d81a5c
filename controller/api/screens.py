"""Marks of screens, and what hotdesk keeps of them: a digest, so that whoever reads the log cannot ask as that screen.

An older login hook sends the digest of a screen's mark in place of the mark, and an older hotdesk kept that as it came.
Screens live for a shift, so hook and hotdesk may both be upgraded while one is logged in.
"""

from hashlib import sha256

OWN = "sha256:"
"""How a digest begins that hotdesk made itself: no mark does, so what stands in the log is none."""


def kept_of(mark: str) -> str:
    """Return what is kept of a screen's mark; empty: no mark."""
    return OWN + _digest(mark) if mark else ""


def may_be_kept_as(mark: str) -> frozenset[str]:
    """Return what may be kept of the screen that sends this mark, by whichever hook and hotdesk it logged in."""
    if not mark or mark.startswith(OWN):
        return frozenset()
    by_older_hook = kept_of(_digest(mark))
    by_older_hotdesk = {_digest(mark), mark}
    return frozenset({kept_of(mark), by_older_hook, *by_older_hotdesk})


def _digest(mark: str) -> str:
    return sha256(mark.encode()).hexdigest()
