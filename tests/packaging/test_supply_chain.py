"""What builds and installs hotdesk has a version and a hash each, and nothing else is taken."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packaging.release import tool
from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]
OF_TOOLS = ("uv", "build", "packagers", "mkdocs", "ansible")
LOCKS = ("requirements.lock", *(f"tools/requirements-{name}.txt" for name in OF_TOOLS))
BUILD = ROOT / "tools" / "requirements-build.txt"
INSTALLS = re.compile(r"(?:pip install|pip sync|uv build|\$\(UV\) build)")
NAMES_HASHES = re.compile(r'--no-deps "\$wheel"|--require-hashes|--constraint requirements\.lock|--build-constraints')


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_has_one_version_and_a_hash(name: str) -> None:
    for requirement in (ROOT / name).read_text().replace("\\\n", " ").splitlines():
        assert re.fullmatch(r"[\w.-]+==\S+( ;[^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", requirement), requirement


def test_the_backend_is_locked_in_the_version_that_the_project_wants() -> None:
    (wanted,) = re.findall(r'^requires = \["(.*)"\]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"{wanted} \\" in BUILD.read_text().splitlines()


@pytest.mark.parametrize("name", ["Makefile", "Containerfile", "packaging/packages"])
def test_nothing_is_installed_or_built_without_hashes(name: str) -> None:
    lines = (ROOT / name).read_text().replace("\\\n", " ").splitlines()
    installing = [line for line in lines if INSTALLS.search(line) and not line.lstrip().startswith("#")]
    assert installing
    assert [line for line in installing if not NAMES_HASHES.search(line)] == []


def test_a_backend_with_another_hash_is_refused(tmp_path: Path) -> None:
    forged = tmp_path / "build.txt"
    forged.write_text(re.sub(r"(--hash=sha256:)[0-9a-f]{64}", rf"\g<1>{'0' * 64}", BUILD.read_text()))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for options in (("build", "--require-hashes"), ("pip", "install", "--no-deps", "--target", str(tmp_path / "to"))):
        done = subprocess.run(  # noqa: S603 # our own
            [tool("uv"), *options, "--quiet", "--build-constraints", str(forged), str(tmp_path)],
            env=clean_environment({}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode != 0
        assert "hash" in done.stderr.lower(), done.stderr
