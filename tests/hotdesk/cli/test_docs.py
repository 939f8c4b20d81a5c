"""`hotdesk docs`: the pages of an installation, and that messages name no others."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from hotdesk.cli.docs import FOLDERS
from tests.support.commands import SETTINGS, Command, one_line
from tests.support.processes import COMMAND, clean_environment

ROOT = Path(__file__).parents[3]
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
NAMED = re.compile(r"\bdocs/[\w/-]+\.md\b")
TEXTS = {".py", ".sql", ".toml", ".html", ".yml", ".yaml", ".php", ".ini", ".service", ".conf"}


def test_all_pages_for_operators_are_listed_with_what_they_are_about(command: Command) -> None:
    said = command("docs").output
    assert re.search(r"guide/install +│ Installing hotdesk", said)
    wanted = {f"{folder}/{file.stem}" for folder in FOLDERS for file in (ROOT / "docs" / folder).glob("*.md")}
    assert re.search(r"│ README +│ Documentation", said)
    assert wanted == set(re.findall(rf"(?:{'|'.join(FOLDERS)})/\w[\w-]*", said))


@pytest.mark.parametrize(
    "name", ["docs/guide/install.md", "guide/install", "install", "docs/guide/install.md#upgrading"]
)
def test_a_page_is_printed_by_whichever_name(command: Command, name: str) -> None:
    assert command("docs", name).output == (ROOT / "docs" / "guide" / "install.md").read_text()


@pytest.mark.parametrize("name", ["docs/README.md", "README", "readme"])
def test_the_page_that_says_what_to_read_is_not_that_of_the_runbooks(command: Command, name: str) -> None:
    assert command("docs", name).output == (ROOT / "docs" / "README.md").read_text()
    assert command("docs", "docs/runbooks/README.md").output == (ROOT / "docs" / "runbooks" / "README.md").read_text()


def test_who_reads_the_first_lines_only_hears_of_no_fault() -> None:
    with subprocess.Popen(  # noqa: S603 (our own command)
        [COMMAND, "docs", "settings"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment({})
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # closed before it writes: what it writes is met by nobody
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_a_runbook_is_found_by_its_alert_however_it_is_typed(command: Command) -> None:
    assert command("docs", "hotdeskdialerdown").output.startswith("# HotdeskDialerDown\n")


def test_a_page_that_is_not_there_is_one_line_with_the_nearest(command: Command) -> None:
    assert "did you mean guide/install?" in one_line(command("docs", "instal"), SETTINGS)
    assert "'hotdesk docs' lists them" in one_line(command("docs", "x/../../pyproject.toml"), SETTINGS)


def test_settings_that_nothing_can_be_run_with_do_not_hide_the_page_about_them(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "hotdesk.toml").write_text("[lgo]\n")
    assert command("docs", "settings").output.startswith("# ")
    assert command("check").code == SETTINGS


def test_each_page_that_an_installation_names_came_with_it() -> None:
    pages = [each for each in WHEEL["shared-data"] if each.startswith("docs/")]
    sources = [ROOT / each for each in (*WHEEL["packages"], *WHEEL["shared-data"]) if not each.startswith("docs/")]
    files = [file for source in sources for file in (source, *source.rglob("*")) if file.suffix in TEXTS]
    named = {(file, name) for file in files for name in NAMED.findall(file.read_text())}
    assert len(named) > 20
    assert [(file, name) for file, name in named if not any(f"{name}/".startswith(f"{page}/") for page in pages)] == []
    assert all((ROOT / name).is_file() for _, name in named)
