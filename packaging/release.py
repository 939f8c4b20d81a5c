"""The version of a build, and the commit that it was made from.

pyproject.toml names this file twice: hatchling gets the version from `version()`, and `BuildInfo` adds the commit to
the wheel and the sdist. It runs inside hatchling, and is not part of hotdesk. The sources, in this order:

1. `BUILD_VERSION` and `BUILD_COMMIT`, for a build without git, such as the image's;
2. the version that was stored in an sdist when it was made;
3. git: a commit tagged v1.2.3, without changes since, is version 1.2.3;
4. otherwise the next version, as a development one. That needs neither tag nor git.
"""

# ruff: noqa: INP001 - a package of this name would hide PyPI's own `packaging`

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NEXT = "0.1.0"
"""The next tag without its v. CHANGELOG.md and the chart's appVersion contain it, too."""
COMMIT_FILE = "hotdesk/commit.txt"
ROOT = Path(__file__).resolve().parents[1]


def version(root: Path = ROOT) -> str:
    """Return the version of a build of `root`."""
    if given := os.environ.get("BUILD_VERSION", ""):
        return given
    if written := _written_down(root):
        return written
    tag = _git(root, "describe", "--tags", "--exact-match", "--match", "v[0-9]*")
    return tag.removeprefix("v") if tag and not _changed(root) else f"{NEXT}.dev0"


def commit(root: Path = ROOT) -> str:
    """Return the commit that a build of `root` is made from; empty: not known."""
    if given := os.environ.get("BUILD_COMMIT", ""):
        return given
    if _written_down(root):
        return ""  # An sdist contains the file already.
    head = _git(root, "rev-parse", "--short=12", "HEAD")
    return f"{head}-changed" if head and _changed(root) else head


class BuildInfo(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]
    """Adds the commit to wheel and sdist. Not to an editable installation, whose commit changes."""

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
    """Return the version that an sdist contains; empty: this is no sdist."""
    try:
        lines = (root / "PKG-INFO").read_text().splitlines()
    except FileNotFoundError:
        return ""
    return next((line.removeprefix("Version: ") for line in lines if line.startswith("Version: ")), "")


def _changed(root: Path) -> bool:
    return bool(_git(root, "status", "--porcelain", "--untracked-files=no"))


def _git(root: Path, *arguments: str) -> str:
    """Return git's output for `root` itself, not for a repository around it; empty: git does not answer."""
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
