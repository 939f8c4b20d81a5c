"""The Containerfile: its rules, and its steps taken as far as that goes without an engine."""

import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from tests.packaging.release import Built, run, tool

ROOT = Path(__file__).parents[2]
BASE = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
FOR_THE_BUILD = {
    "tools/requirements-uv.txt",
    "tools/requirements-build.txt",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.lock",
    "packaging/",
}
"""What a wheel is built with, beside what it holds."""


class Step(NamedTuple):
    """One instruction."""

    name: str
    words: str


def _steps() -> list[Step]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [Step(*line.split(" ", 1)) for line in lines if line]


STEPS = _steps()
SECOND = [index for index, step in enumerate(STEPS) if step.name == "FROM"][1]
BUILD, FINAL = STEPS[:SECOND], STEPS[SECOND:]


def _words(steps: list[Step], name: str) -> list[str]:
    return [step.words for step in steps if step.name == name]


def _copied() -> list[str]:
    """Return what is copied out of this folder."""
    return [word for words in _words(BUILD, "COPY") for word in words.split()[:-1]]


def test_both_stages_stand_on_one_image_pinned_by_its_digest() -> None:
    first, second = (step.words.removesuffix(" AS build") for step in STEPS if step.name == "FROM")
    assert first == second
    assert BASE.fullmatch(first)
    assert "latest" not in first


def test_what_runs_is_small_and_no_root() -> None:
    assert [step.name for step in FINAL if step.name in {"RUN", "ADD", "ARG", "SHELL"}] == []
    assert all(words.startswith("--from=build ") for words in _words(FINAL, "COPY"))
    assert _words(FINAL, "USER") == ["65532:65532"]
    assert _words(FINAL, "STOPSIGNAL") == ["SIGTERM"]
    # by itself, not by a shell: signals reach it
    assert _words(FINAL, "ENTRYPOINT") == ['["hotdesk"]']
    assert _words(FINAL, "CMD") == ['["run"]']
    (environment,) = _words(FINAL, "ENV")
    assert environment.startswith("PATH=/opt/hotdesk/bin:")


def test_no_step_has_a_compiler_a_secret_or_a_download_of_its_own() -> None:
    text = "\n".join(" ".join(step) for step in STEPS)
    assert not re.search(r"apt-get|\bgcc\b|build-essential|curl|wget|://", text)
    assert not re.search(r"(?i)(password|secret|token|key)\b", text)
    assert set(_words(BUILD, "ARG")) == {"BUILD_VERSION", "BUILD_COMMIT"}
    assert "--constraint requirements.lock" in text
    assert "--only-binary :all:" in text


def test_the_engine_is_sent_what_is_copied_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line.removeprefix("!/") for line in lines if line.startswith("!")}
    assert sent == {each.rstrip("/") for each in _copied()}
    assert "**/__pycache__" in lines
    # its secrets would lie in a layer
    assert lines.index("/packaging/compose") > lines.index("!/packaging")


def test_its_steps_make_the_same_wheel_and_an_environment_that_runs(built: Built, tmp_path: Path) -> None:
    source = tmp_path / "src"
    for words in _words(BUILD, "COPY"):
        *patterns, to = words.split()
        for pattern in patterns:
            for each in sorted(ROOT.glob(pattern.rstrip("/"))):
                target = source / to
                if each.is_dir():
                    shutil.copytree(each, target, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(each, target)
    of_uv, *commands = _words(BUILD, "RUN")
    assert of_uv.endswith(
        "/uv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r tools/requirements-uv.txt"
    )
    here = {
        "/uv/bin/uv": tool("uv"),
        "/wheel": f"{tmp_path}/wheel",
        "/opt/hotdesk": f"{tmp_path}/opt",
        "/state": f"{tmp_path}/state",
        "/usr/local/bin/python3": str(Path(sys.executable).resolve()),
        "--no-cache ": "",  # what is here already need not be fetched again
    }
    for command in commands:
        mapped = re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], command)
        run("sh", "-euc", mapped, cwd=source, BUILD_VERSION="1.2.3", BUILD_COMMIT="0123456789ab")
    told = run(tmp_path / "opt" / "bin" / "hotdesk", "--version", cwd=tmp_path)
    assert told.startswith("1.2.3 (commit 0123456789ab, Python 3.")
    assert (tmp_path / "state").is_dir()

    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    ours, theirs = (
        {re.sub(r"^hotdesk-[\w.]+?\.(?=data/|dist-info/)", "", name) for name in zipfile.ZipFile(file).namelist()}
        for file in (wheel, built.wheel)
    )
    assert ours | {"hotdesk/commit.txt"} == theirs | {"hotdesk/commit.txt"}
    # nothing is copied that is in no wheel and builds none
    for copied in {*_copied()} - FOR_THE_BUILD:
        folder = copied.split("/")[0]
        assert any(f"{folder}/" in name for name in ours), copied
