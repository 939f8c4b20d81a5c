"""The running version, and the commit that it was built from."""

import platform
from importlib import resources
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
"""The repository, where hotdesk runs from one."""
SHOWN = 12
"""Characters of a commit."""

try:
    VERSION = version("hotdesk")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+source"


def version_line() -> str:
    """Return version, commit and Python version in one line, as a bug report should have it."""
    try:
        # packaging/release.py adds the file to a build; a clone has none
        commit = resources.files("hotdesk").joinpath("commit.txt").read_text().strip()
    except FileNotFoundError:
        commit = commit_of_clone(CLONE) or "unknown"
    return f"{VERSION} (commit {commit}, Python {platform.python_version()})"


def commit_of_clone(folder: Path) -> str:
    """Return the commit that a clone has checked out, without asking git; empty: it is none, or it is not known."""
    try:
        head = (folder / ".git" / "HEAD").read_text().strip()
        branch = head.removeprefix("ref: ")
        if branch == head:
            return head[:SHOWN]
        loose = folder / ".git" / branch
        if loose.exists():
            return loose.read_text().strip()[:SHOWN]
        packed = (folder / ".git" / "packed-refs").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line.split()[0][:SHOWN] for line in packed if line.endswith(f" {branch}")), "")
