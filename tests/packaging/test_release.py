"""What is handed to others: a wheel that has all it needs, a version that says what it is, and a changelog."""

import json
import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import httpx
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hotdesk.version import VERSION
from tests.packaging.release import Built, run, tool, uv
from tests.support.processes import clean_environment, until

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
SHARED = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
NEXT = re.search(r'^NEXT = "(.*)"$', (ROOT / "packaging" / "release.py").read_text(), re.MULTILINE)
PINNED = re.compile(r"^([\w.-]+)==([\w.]+)")


def _pins(file: Path) -> dict[str, set[str]]:
    """Return what a locked file pins: the hashes of each name and version."""
    pins: dict[str, set[str]] = {}
    for line in file.read_text().splitlines():
        if line[:1].isalnum():
            pins[line.split(" ")[0]] = set()
        elif "--hash" in line:
            pins[list(pins)[-1]].add(line.strip(" \\"))
    return pins


def _outside(folder: Path, *words: str | Path) -> str:
    """Run a command in a folder that has nothing to do with this checkout."""
    return run(*words, cwd=folder, PYTHONPATH="", HOME=str(folder))


def test_the_wheel_has_every_file_of_its_rooms(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        inside = set(wheel.namelist())
    kinds = {".py", ".sql", ".toml", ".html", ".css", ".js", ".svg", ".txt"}
    wanted = {
        str(file.relative_to(ROOT))
        for room in ROOMS
        for file in (ROOT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {Path(each).suffix for each in wanted} == kinds
    assert wanted <= inside
    assert {each.split("/")[0] for each in inside if "-info" not in each and ".data" not in each} == set(ROOMS)


def test_the_environment_has_what_an_operator_copies_elsewhere(installed: Path) -> None:
    share = installed.parents[1] / "share" / "hotdesk"
    there = {str(file.relative_to(share)) for file in share.rglob("*") if file.is_file()}
    folders = ("hook", "packaging/systemd", "docs/guide", "docs/reference", "docs/runbooks")
    wanted = {str(file.relative_to(ROOT)) for folder in folders for file in (ROOT / folder).iterdir()}
    wanted |= {"docs/README.md"}
    wanted |= {str(file.relative_to(ROOT)) for file in ROOT.glob("co*/grants*.sql")}
    wanted |= {str(file.relative_to(ROOT)) for file in ROOT.glob("dashboards/*.json")}
    wanted |= {str(file.relative_to(ROOT)) for file in ROOT.glob("alerts/*.yml")}
    wanted |= {str(file.relative_to(ROOT)) for file in ROOT.glob("packaging/*.zabbix.yaml")}
    wanted |= {str(file.relative_to(ROOT)) for file in (ROOT / "packaging" / "ansible").rglob("*.*")}
    assert there == wanted
    assert all((share / each).read_bytes() == (ROOT / each).read_bytes() for each in there)
    # the paths are those of the repository, so that every document holds for both
    assert all(target == f"share/hotdesk/{source}" for source, target in SHARED.items())


def test_it_has_the_locked_versions_and_nothing_for_development(built: Built, installed: Path) -> None:
    listed = uv("pip", "freeze", "--quiet", "--python", installed.parent / "python")
    versions = {found[1]: found[2] for line in listed.splitlines() if (found := PINNED.match(line))}
    locked, needed = (
        {key: hashes for key, hashes in _pins(file).items() if hashes}
        for file in (ROOT / "requirements.lock", built.requirements)
    )
    assert {f"{name}=={version}" for name, version in versions.items()} <= set(needed)
    # what `make dist` writes is a part of the lock, hash for hash
    assert needed.items() <= locked.items()
    assert not any(each.startswith(("pytest", "mypy", "ruff")) for each in needed)


def test_its_bill_names_each_requirement_with_its_hashes(built: Built) -> None:
    text = built.bill.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == "hotdesk"
    listed = {
        f"{each['name']}=={each['version']}": {
            f"--hash=sha256:{found['content']}" for link in each["externalReferences"] for found in link["hashes"]
        }
        for each in bill["components"]
    }
    assert listed == {key: hashes for key, hashes in _pins(built.requirements).items() if hashes}
    assert {each["purl"] for each in bill["components"]} == {f"pkg:pypi/{key.replace('==', '@')}" for key in listed}


def test_it_runs_anywhere(installed: Path, tmp_path: Path) -> None:
    told = _outside(tmp_path, installed, "--version").strip()
    assert re.fullmatch(r"\S+ \(commit [0-9a-f]{12}(-changed)?, Python 3\.\d+\.\d+\)", told)
    assert "replay" in _outside(tmp_path, installed, "--help")
    assert _outside(tmp_path, installed, "init").startswith("wrote hotdesk.toml")
    assert (tmp_path / "hotdesk.toml").read_text() == (ROOT / "hotdesk" / "example.toml").read_text()


def test_its_pages_came_along(installed: Path, tmp_path: Path) -> None:
    environment = clean_environment({"HOTDESK_CLUSTERS__MAIN__PORT": "9", "HOTDESK_API_PORT": "0", "PYTHONPATH": ""})
    said = tmp_path / "said"
    with said.open("wb") as errors:
        process = subprocess.Popen([installed, "run"], cwd=tmp_path, env=environment, stderr=errors)  # noqa: S603
    try:

        def url() -> str:
            found = re.search(r'"url":\s*"(\S+?)"', said.read_text())
            return found[1] if found else ""

        with httpx.Client(base_url=until(url, "it is ready", 40), trust_env=False, follow_redirects=True) as http:
            page = http.get("/")
            assert page.status_code == httpx.codes.OK
            files = set(re.findall(r'(?:href|src)="(/[\w./-]+\.(?:css|js|svg))', page.text))
            assert len(files) == 4
            assert all(http.get(each).is_success for each in files)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def source(built: Built, tmp_path: Path) -> Path:
    """Return the sdist's content as somebody else's checkout: with git, one commit, and no tag."""
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.glob("hotdesk-*")
    (folder / "PKG-INFO").unlink()
    (folder / "hotdesk" / "commit.txt").unlink(missing_ok=True)
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "all of it")
    return folder


def _git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "-c", "commit.gpgsign=false")
    return run(tool("git"), *who, *words, cwd=folder, HOME=str(folder), GIT_CONFIG_NOSYSTEM="1").strip()


def _build(source: Path, *flags: str, **environment: str) -> tuple[str, str]:
    """Build a wheel (or an sdist, and the wheel from that); give its version and its commit."""
    folder = source.parent / f"out-{len(list(source.parent.iterdir()))}"
    uv("build", "--quiet", *flags, "--out-dir", folder, cwd=source, **environment)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as built:
        commit = built.read("hotdesk/commit.txt").decode().strip() if "hotdesk/commit.txt" in built.namelist() else ""
    return wheel.name.split("-")[1], commit


def test_the_tag_is_the_version(source: Path) -> None:
    assert NEXT
    development = f"{NEXT[1]}.dev0"
    head = _git(source, "rev-parse", "--short=12", "HEAD")
    assert _build(source, "--wheel") == (development, head)

    _git(source, "tag", "not-a-version")
    _git(source, "tag", "v9.8.7")
    assert _build(source, "--wheel") == ("9.8.7", head)
    # by way of the sdist, which has no git, and lies in somebody else's
    assert _build(source) == ("9.8.7", head)

    (source / "README.md").write_text("changed\n")
    assert _build(source, "--wheel") == (development, f"{head}-changed")
    # where a build cannot ask git, it may be told: the image's is
    assert _build(source, "--wheel", BUILD_VERSION="1.2.3", BUILD_COMMIT="abc") == ("1.2.3", "abc")


def test_without_git_it_is_the_next_version(source: Path) -> None:
    assert NEXT
    aside = source.parent / "aside"
    (source / ".git").rename(aside)
    _git(source.parent, "init", "--quiet")  # of which this is no part
    _git(source.parent, "commit", "--quiet", "--allow-empty", "--message", "another project")
    assert _build(source, "--wheel") == (f"{NEXT[1]}.dev0", "")


def test_the_next_version_is_the_same_everywhere() -> None:
    assert NEXT
    assert VERSION.startswith(NEXT[1])
    assert yaml.safe_load((ROOT / "helm" / "hotdesk" / "Chart.yaml").read_text())["appVersion"] == NEXT[1]
    assert f"The first release will be {NEXT[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_licence_is_the_same_everywhere_and_each_text_comes_along() -> None:
    licence, packaging = PYPROJECT["project"]["license"], ROOT / "packaging"
    assert yaml.safe_load((packaging / "nfpm.yaml").read_text())["license"] == licence
    assert f'image.licenses="{licence}"' in (ROOT / "Containerfile").read_text()
    (texts,) = re.findall(r'^cat (.*) >"\$root/doc/copyright"$', (packaging / "packages").read_text(), re.MULTILINE)
    assert re.findall(r'"\$project/(\S+)"', texts) == PYPROJECT["project"]["license-files"]


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each) for each in releases[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (ROOT / link).exists()
