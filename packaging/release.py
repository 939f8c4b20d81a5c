"""What a build says of itself: the version, and the commit it was made from.

pyproject.toml names this file twice: hatchling takes the version from `version()`, and lets `BuildInfo` put the commit
into what it builds. It runs where hatchling runs, and is no part of hotdesk. In this order:

1. `BUILD_VERSION` and `BUILD_COMMIT`, for a build that has no git, such as the image's;
2. what an sdist wrote down when it was made;
3. git: a commit tagged v1.2.3, and nothing changed since, is version 1.2.3;
4. else the next version, as a development one. That needs neither tag nor git.
"""

# ruff: noqa: INP001 - a package of this name would hide PyPI's own `packaging`

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NEXT = "0.1.0"
"""What the next tag will be: v and this. CHANGELOG.md and the chart's appVersion say it, too."""
COMMIT_FILE = "hotdesk/commit.txt"
ROOT = Path(__file__).resolve().parents[1]


def version(root: Path = ROOT) -> str:
    """Name the version that a build of `root` has."""
    if given := os.environ.get("BUILD_VERSION", ""):
        return given
    if written := _written_down(root):
        return written
    tag = _git(root, "describe", "--tags", "--exact-match", "--match", "v[0-9]*")
    return tag.removeprefix("v") if tag and not _changed(root) else f"{NEXT}.dev0"


def commit(root: Path = ROOT) -> str:
    """Name the commit that a build of `root` is made from; empty: not known."""
    if given := os.environ.get("BUILD_COMMIT", ""):
        return given
    if _written_down(root):
        return ""  # in an sdist the file is there already
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    return f"{head}-changed" if head and _changed(root) else head


class BuildInfo(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]
    """Puts the commit into wheel and sdist. Not into an editable installation, whose commit is any that comes."""

    _folder: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file, if the commit is known."""
        made_from = commit(Path(self.root))
        if version == "editable" or not made_from:
            return
        self._folder = TemporaryDirectory()
        file = Path(self._folder.name) / "commit.txt"
        file.write_text(f"{made_from}\n")
        build_data["force_include"][str(file)] = COMMIT_FILE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Forget the file."""
        if self._folder is not None:
            self._folder.cleanup()


def _written_down(root: Path) -> str:
    """Read the version that an sdist carries."""
    try:
        lines = (root / "PKG-INFO").read_text().splitlines()
    except FileNotFoundError:
        return ""
    return next((line.removeprefix("Version: ") for line in lines if line.startswith("Version: ")), "")


def _changed(root: Path) -> bool:
    return bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


def _git(root: Path, *arguments: str) -> str:
    """Ask git about `root` itself, not about a repository that it happens to lie in; empty: there is no answer."""
    if not (root / ".git").exists():
        return ""
    try:
        asked = subprocess.run(  # noqa: S603 (our own arguments)
            ["git", "-C", str(root), *arguments],  # noqa: S607 (whichever git builds)
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()
