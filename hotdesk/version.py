"""The running version, and the commit that it was built from."""

import platform
from importlib import resources
from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("hotdesk")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+source"


def version_line() -> str:
    """Return version, commit and Python version in one line, as a bug report should have it."""
    try:
        # packaging/release.py adds the file to a build; a checkout has none
        commit = resources.files("hotdesk").joinpath("commit.txt").read_text().strip()
    except FileNotFoundError:
        commit = "unknown"
    return f"{VERSION} (commit {commit}, Python {platform.python_version()})"
