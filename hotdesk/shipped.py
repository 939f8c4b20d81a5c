"""The files that hotdesk comes with beside its code: in a clone, or where an installation has put them."""

import sys
from pathlib import Path

from hotdesk.version import CLONE

_INSTALLED = Path("share") / "hotdesk"
PLACES = (CLONE, CLONE / _INSTALLED, Path(sys.prefix) / _INSTALLED)
"""Where they may be, everywhere under the same paths: beside the code, where a hotdesk.pyz has unpacked itself."""


def shipped(path: str) -> Path:
    """Return where a file or a folder is, or should be."""
    return next((found for place in PLACES if (found := place / path).exists()), PLACES[-1] / path)
