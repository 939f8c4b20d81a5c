"""The language of hotdesk: docstrings begin as sentences of the field, and words that the glossary gave up stay away.

CONTRIBUTING.md has the rules, docs/reference/glossary.md the words.
"""

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App
from rich.console import Console

from hotdesk.cli.main import app
from messages import metrics
from messages import words as sentences
from messages.words import Words

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "reference" / "glossary.md"

PACKAGES = ("messages", "stream", "collectors", "controller", "hotdesk", "simulator", "dashboards", "helm", "packaging")
MODULES = [path for package in (*PACKAGES, "bench") for path in sorted((ROOT / package).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DIALECT = {"Tell", "Give", "Say", "Look", "Whether"}
BEGINNINGS = {"Tell", "Give", "Say", "Look", "Take", "Note", "Whether", "Who", "What", "Have"}

GENERATED = {".parts", ".venv", ".tools", ".git", "dist"}
TEXTS = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".json",
    ".tpl",
    ".txt",
    ".php",
    ".js",
    ".ini",
    ".html",
    ".css",
    ".sql",
}
"""Kinds of files that are searched for words, besides those without an ending."""

PHRASES = re.compile(r"\b(tell\s+whether|for\s+so\s+long|who\s+is|nobody)\b", re.IGNORECASE)
FOR_OPERATORS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "guide").rglob("*.md")),
    *sorted((ROOT / "docs" / "runbooks").rglob("*.md")),
    *sorted((ROOT / "docs" / "reference").rglob("*.md")),
    *sorted((ROOT / "controller" / "page").rglob("*.html")),
    *sorted((ROOT / "alerts").glob("*.yml")),
    *sorted((ROOT / "dashboards").glob("*.json")),
    *sorted((ROOT / "helm" / "hotdesk").glob("*.*")),
    *sorted((ROOT / "helm" / "hotdesk" / "templates").rglob("*.*")),
    ROOT / "hook" / "hotdesk.ini",
    ROOT / "hotdesk" / "example.toml",
]


def name_of(path: Path) -> str:
    """Return a file's path below the repository."""
    return path.relative_to(ROOT).as_posix()


def docstrings(text: str) -> Iterator[str]:
    """Yield every docstring of a module: its own, of classes and functions, and below attributes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def given_up(glossary: str) -> list[str]:
    """Return the words in `code` in the last column of the glossary's tables."""
    rows = [line for line in glossary.splitlines() if line.startswith("| ")]
    columns = [row.strip().strip("|").split("|") for row in rows]
    return sorted({word for column in columns for word in re.findall(r"`([a-z ]+)`", column[-1])})


def searched() -> Iterator[Path]:
    """Yield all files of the repository with text, without the glossary."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        ours = path.is_file() and path != GLOSSARY and not GENERATED & set(parts) and "__pycache__" not in parts
        if ours and (path.suffix in TEXTS or path.name in {"Makefile", "Containerfile"}):
            yield path


def helps(of: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the help of a command and of all commands below it, by their names."""
    shown = io.StringIO()
    app.help_print([*path], console=Console(file=shown, width=120, force_terminal=False))
    yield " ".join(("hotdesk", *path)), shown.getvalue()
    for name in of:
        if not name.startswith("-"):
            yield from helps(of[name], (*path, name))


def beginning_with(words: set[str], module: Path) -> list[str]:
    """Return how those docstrings of a module begin that begin with one of these words."""
    first = [text.split(maxsplit=6) for text in docstrings(module.read_text()) if text.strip()]
    return [" ".join(each) for each in first if re.sub(r"\W+$", "", each[0]) in words]


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_docstrings_begin_with_a_verb_of_the_field_or_a_thing(module: Path) -> None:
    assert beginning_with(BEGINNINGS, module) == []


def test_docstrings_of_tests_say_what_is_returned() -> None:
    assert {name_of(each): found for each in TESTS if (found := beginning_with(DIALECT, each))} == {}


def test_words_that_the_glossary_gave_up_stand_nowhere() -> None:
    words = given_up(GLOSSARY.read_text())
    assert {"reign", "decider"} <= set(words)
    # Letters only, so that names_with_underscores count, and HotdeskTwoDeciders, an alert's name, does not.
    pattern = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(words)})(?:s|es)?(?![A-Za-z])", re.IGNORECASE)
    found = {name_of(path): pattern.findall(path.read_text()) for path in searched() if path != Path(__file__)}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize("document", FOR_OPERATORS, ids=name_of)
def test_operators_read_plain_english(document: Path) -> None:
    assert PHRASES.findall(document.read_text()) == []


def test_commands_help_in_plain_english() -> None:
    texts = dict(helps(app))
    assert {"hotdesk", "hotdesk pause", "hotdesk topics check"} <= set(texts)
    assert {name: found for name, text in texts.items() if (found := PHRASES.findall(text))} == {}


@pytest.mark.parametrize("module", [each for each in MODULES if each.is_relative_to(ROOT / "hotdesk")], ids=name_of)
def test_commands_speak_plain_english(module: Path) -> None:
    """What a command prints, writes or logs: every text in its code that is no docstring."""
    documented = set(docstrings(module.read_text()))
    nodes = ast.walk(ast.parse(module.read_text()))
    texts = {each.value for each in nodes if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    assert {text for text in texts - documented if PHRASES.search(text)} == set()


def test_codes_and_metrics_are_described_in_plain_english() -> None:
    metric = [each.help for each in vars(metrics).values() if isinstance(each, metrics.Metric)]
    tables = [each for each in vars(sentences).values() if isinstance(each, dict)]
    coded = [text for table in tables for each in table.values() if isinstance(each, Words) for text in each[:2]]
    assert metric
    assert coded
    assert [text for text in (*metric, *coded) if PHRASES.search(text)] == []
