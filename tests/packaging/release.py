"""What a release is made of, and the programs that build and install it."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]
BUILD_SECONDS = 600.0
"""For what hangs."""
HOMES = ("/root/", "/home/")
"""Where no service of ours can look."""


class Built(NamedTuple):
    """A release's files."""

    wheel: Path
    sdist: Path
    requirements: Path
    bill: Path
    """The software bill of materials (SBOM)."""


def tool(name: str) -> str:
    """Return the path of a program that must be there."""
    found = shutil.which(name) or shutil.which(name, path=ROOT / ".tools" / "bin")
    assert found, f"there is no {name}"
    return found


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command, which must succeed; give what it said."""
    done = subprocess.run(  # noqa: S603 (a test's own)
        list(map(str, command)),
        cwd=cwd,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def uv(*arguments: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run uv, which must succeed."""
    return run(tool("uv"), *arguments, cwd=cwd, **environment)


def system_python() -> Path:
    """Return a Python that a service may run: one outside of every home, if this machine has any."""
    own = Path(sys.executable).resolve()
    of_the_system = [Path(f"/usr/bin/python3.{minor}") for minor in range(11, 15)]
    seen = [each for each in (own, *of_the_system) if each.exists() and not str(each).startswith(HOMES)]
    return next(iter(seen), own)


def install(wheel: Path, folder: Path, python: Path | None = None) -> Path:
    """Install a wheel into a fresh environment, with the lock's versions, and give its `hotdesk`."""
    uv("venv", "--quiet", "--relocatable", "--python", python or Path(sys.executable).resolve(), folder)
    lock = ROOT / "requirements.lock"
    into = ("--python", folder / "bin" / "python")
    uv("pip", "install", "--quiet", "--only-binary", ":all:", *into, "--constraint", lock, wheel)
    return folder / "bin" / "hotdesk"
