"""What is built and installed once, for all tests of what is handed to others."""

import fcntl
import os
import re
from pathlib import Path

import pytest

from tests.packaging.release import Built, install, run, system_python, tool


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Do what `make dist` does, into another folder: the processes of a run do it once, and change nothing there."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / "release"
    with (base / "release.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = base / "release.draft"
            draft.mkdir(exist_ok=True)
            commands = run(tool("make"), "--dry-run", "--no-print-directory", "dist").replace("\\\n", " ")
            for line in commands.splitlines():
                run("sh", "-euc", re.sub(r"(?<![\w.-])dist(?![\w.-])", str(draft), line))
            draft.rename(folder)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist, folder / "requirements.txt", folder / "hotdesk.cdx.json")


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `hotdesk` of the wheel, in an environment that has nothing else."""
    return install(built.wheel, tmp_path_factory.mktemp("installed") / "environment", system_python())
