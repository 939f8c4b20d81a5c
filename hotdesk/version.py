"""What is running: which version, and from which commit."""

import platform
from importlib import resources
from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("hotdesk")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+source"


def told() -> str:
    """Say all of it in a line: what whoever reports a fault should send."""
    try:
        # packaging/release.py puts it into what is built; a checkout has none
        commit = resources.files("hotdesk").joinpath("commit.txt").read_text().strip()
    except FileNotFoundError:
        commit = "unknown"
    return f"{VERSION} (commit {commit}, Python {platform.python_version()})"
