"""A Debian 12 with Python 3.11 and nothing else, for packages to be installed into; it is forgotten afterwards."""

import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.packaging.release import ROOT

TREE = Path(os.environ.get("HOTDESK_DEBIAN_TREE") or ROOT / ".parts" / "debian")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
HELD = """\
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
mkdir "$2/root/packages"
mount --bind -o ro "$3" "$2/root/packages"
echo there
exec sleep infinity
"""


class Debian:
    """A tree with a layer in memory over it, and with this machine's network.

    Args:
        folder: where it is; empty.
        packages: what is /packages in it.
    """

    def __init__(self, folder: Path, packages: Path) -> None:
        folder.mkdir()
        self._folder, self._packages = folder, packages
        self._holds: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        words = ["unshare", "--mount", "sh", "-c", HELD, "held", str(TREE), str(self._folder), str(self._packages)]
        setpriv = shutil.which("setpriv")
        self._holds = subprocess.Popen(  # noqa: S603 (our own script)
            [setpriv, "--pdeathsig", "KILL", *words] if setpriv else words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holds.stdout is not None
        assert self._holds.stdout.readline() == "there\n", f"no Debian at {TREE}: make test"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holds is not None
        self._holds.kill()  # and its mounts go with it
        self._holds.communicate()

    @property
    def root(self) -> str:
        """Where it is for a program outside that sees its mounts."""
        return str(self._folder / "root")

    @property
    def outside(self) -> tuple[str, ...]:
        """The beginning of a command that sees its mounts, and is a program of this machine."""
        assert self._holds is not None
        return (str(shutil.which("nsenter")), f"--mount=/proc/{self._holds.pid}/ns/mnt")

    @property
    def inside(self) -> tuple[str, ...]:
        """The beginning of a command that is one of its own programs."""
        return (*self.outside, "chroot", self.root, "/usr/bin/env", f"PATH={PATH}", "HOME=/root")

    def run(self, *command: str, code: int = 0) -> str:
        """Run a program of it, which must end with a code; give what it said."""
        return self._run(self.inside, command, code)

    def run_outside(self, *command: str, code: int = 0) -> str:
        """Run a program of this machine that sees it at `root`."""
        return self._run(self.outside, command, code)

    def there(self, path: str) -> bool:
        """Return True if it has a file."""
        return self.run("sh", "-c", 'test -e "$1" && echo yes || echo no', "there", path) == "yes\n"

    def named(self, word: str) -> set[str]:
        """Return all files with a word in their names, but for what was brought to be installed."""
        found = self.run("find", "/", "-xdev", "-path", "/packages", "-prune", "-o", "-name", f"*{word}*", "-print")
        return set(found.split())

    def _run(self, within: tuple[str, ...], command: tuple[str, ...], code: int) -> str:
        done = subprocess.run(  # noqa: S603 (a test's own)
            [*within, *command],
            env={"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, f"{command}: {done.stdout}"
        return done.stdout
