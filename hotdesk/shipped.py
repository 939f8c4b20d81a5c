"""The files that hotdesk comes with beside its code: in a clone, or where an installation has put them."""

import sys
from pathlib import Path

from hotdesk.version import CLONE

PLACES = (CLONE, Path(sys.prefix) / "share" / "hotdesk")
"""Where they may be; in both they have the same paths."""


def shipped(path: str) -> Path:
    """Return where a file or a folder is, or should be."""
    return next((found for place in PLACES if (found := place / path).exists()), PLACES[-1] / path)
