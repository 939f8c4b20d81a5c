"""The site, as far as that goes without mkdocs: no page is left out, and no link leads out of it.

`make site` builds it, and ends with an error where a link, an anchor or a page is missing.
"""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """Return the hook that mkdocs runs."""
    spec = importlib.util.spec_from_file_location("pages", ROOT / "packaging" / "pages.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_has_every_page_once(pages: ModuleType) -> None:
    listed = [page for part in pages.navigation(DOCS) for value in part.values() for page in _flat(value)]
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)
    assert listed[0] == "README.md"
    at = [listed.index(page) for page in ("guide/hot-desking.md", "guide/upgrades.md", "reference/settings.md")]
    assert at == sorted(at)


def _flat(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_of_it_leads_to_nothing_that_it_has_not(pages: ModuleType, page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", pages.inward(page.read_text(), page, DOCS)):
        if not link.startswith(("https://", "http://", "#")):
            target = (page.parent / link.partition("#")[0]).resolve()
            assert target.is_relative_to(DOCS)
            assert target.suffix in {".md", ".png", ".svg"}, link


def test_a_file_of_the_repository_is_named(pages: ModuleType) -> None:
    page = DOCS / "guide" / "install.md"
    assert pages.inward("[CHANGELOG.md](../../CHANGELOG.md) and", page, DOCS) == "CHANGELOG.md and"
    assert pages.inward("[the rules](../../alerts/)", page, DOCS) == "the rules (`alerts`)"
    assert pages.inward("[x](nowhere.md)", page, DOCS) == "[x](nowhere.md)"
    assert pages.inward("[steps](#steps), [x](helm.md#y)", page, DOCS) == "[steps](#steps), [x](helm.md#y)"


def test_what_belongs_to_an_entry_stays_in_it(pages: ModuleType) -> None:
    written = """\
A sentence:
- one
  and more of it
  - in it

    ```sh
    - no entry
      deeper
    ```
1. first

   ```sh
   as it is
   ```

After it.
"""
    assert (
        pages.deepened(written)
        == """\
A sentence:

- one
    and more of it
    - in it

        ```sh
        - no entry
          deeper
        ```
1. first

    ```sh
    as it is
    ```

After it.
"""
    )
