"""Texts of others on a terminal and on the status page: they are shown, whatever they are, and obeyed by nothing."""

import ast
import io
import json
import logging
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

import hotdesk
from hotdesk import logs
from messages.shown import printable
from tests.support.builders import ONE
from tests.support.commands import Command
from tests.support.log_scene import Scene, playing
from tests.support.processes import CLUSTER, until

MARKS = "\x1b]0;owned\x07\x9b31m\u202e\u200b\ue000"
"""A terminal's title and colours, the direction of writing, a character without a width, one that no font has."""
MARKS_SHOWN = "\\x1b]0;owned\\x07\\x9b31m\\u202e\\u200b\\ue000"
ODD, ODD_SHOWN = f"[bold]:smile:{MARKS}", f"[bold]:smile:{MARKS_SHOWN}"
"""Markup that would vanish. A name in a path cannot have a slash."""
WORSE, WORSE_SHOWN = f"[/nope]{MARKS}", f"[/nope]{MARKS_SHOWN}"
"""Markup that ends what never began."""
ADAPTER = Path("cli/terminal.py")
"""The module that everything goes through."""


COLOURS = re.compile("\x1b\\[[0-9;]*m")
"""What the log itself writes to a terminal."""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Yield a cluster with odd names whose first dialer has died."""
    with playing(tmp_path_factory.mktemp("odd")) as scene:
        scene.seat(ONE, ODD, WORSE)
        scene.silent_screens = {WORSE}
        scene.silent = {ONE}
        until(lambda: scene.client.incidents() and len(scene.client.incidents()[0].moves) == 2, "moves are advised")
        yield scene


@pytest.fixture
def told(odd: Scene, command: Command, tmp_path: Path) -> Command:
    """Return the command, with settings by which it asks that cluster."""
    (tmp_path / "hotdesk.toml").write_text(f'[api]\nurl = "{odd.url}"\n[clusters.{CLUSTER}]\nhost = "127.0.0.1"\n')
    return command


def is_plain(text: str) -> bool:
    """Return whether a terminal would obey nothing in a text."""
    return all(each == "\n" or each.isprintable() for each in text)


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [
        (("rank", f"desk-{ODD}"), ODD_SHOWN),
        (("explain", ODD), ODD_SHOWN),
        (("explain", f"desk-{ODD}"), ODD_SHOWN),
        (("top",), WORSE_SHOWN),
        (("top",), ODD_SHOWN),
        (("incidents",), "incidents of west"),
        (("readiness",), "severity"),
        (("rank", f"no {ODD}"), ODD_SHOWN),
        (("explain", f"no {ODD}"), ODD_SHOWN),
        (("rank", "x", "--cluster", ODD), ODD_SHOWN),
        (("drain", ODD), ODD_SHOWN),
        (("move", ODD), ODD_SHOWN),
        ((WORSE,), WORSE_SHOWN),
        (("replay", "--until", WORSE), WORSE_SHOWN),
        (("check", f"--{WORSE}"), WORSE_SHOWN),
    ],
    ids=str,
)
def test_a_command_shows_odd_names_and_obeys_nothing_in_them(
    told: Command, arguments: tuple[str, ...], shows: str
) -> None:
    outcome = told(*arguments)
    said = outcome.output + outcome.errors
    assert is_plain(said), said
    assert "Traceback" not in said
    assert shows in said


def test_json_says_odd_names_by_number_and_loses_nothing(told: Command) -> None:
    outcome = told("rank", f"desk-{ODD}", "--json")
    assert is_plain(outcome.output)
    assert json.loads(outcome.output)["alias"] == f"desk-{ODD}"


def test_a_fault_of_our_own_controls_no_terminal_either(told: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(WORSE)

    monkeypatch.setattr("hotdesk.cli.views.only_cluster", broken)
    outcome = told("top")
    assert outcome.code == 1
    assert is_plain(outcome.errors)
    assert f"RuntimeError: {WORSE_SHOWN}" in outcome.errors.splitlines()


def test_a_line_of_the_log_controls_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers, terminal = list(logging.getLogger().handlers), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    try:
        logs.configure()
        fault = RuntimeError(WORSE)
        structlog.get_logger().error(WORSE, why=WORSE, of=[WORSE], error=ValueError(WORSE), exc_info=fault)
        logging.getLogger("another").warning("%s", WORSE)
    finally:
        logging.getLogger().handlers = handlers
        structlog.reset_defaults()
    said = COLOURS.sub("", terminal.getvalue())
    assert is_plain(said)
    assert said.count(WORSE_SHOWN) == 6
    assert len([line for line in said.splitlines() if not line.startswith((" ", "Traceback", "RuntimeError"))]) == 2


@pytest.mark.parametrize("path", ["", "/live", f"?explain={quote(ODD)}"])
def test_the_status_page_shows_odd_names_and_marks_as_such(odd: Scene, path: str) -> None:
    with odd.http.stream("GET", f"/clusters/{CLUSTER}{path}") as answer:
        shown = ""
        for piece in answer.iter_text():
            shown += piece
            if "</html>" in shown or shown.endswith("\n\n"):
                break
    if path == "/live":
        shown = json.loads(shown.partition("data: ")[2])
    assert is_plain(shown)
    assert WORSE_SHOWN in shown
    assert path != "?explain" or ODD_SHOWN in shown


def test_nothing_reaches_a_terminal_past_the_one_way_there() -> None:
    root = Path(hotdesk.__file__).parent
    past = [
        f"{path.relative_to(root)}:{at} {what}"
        for path in sorted(root.rglob("*.py"))
        if path.relative_to(root) != ADAPTER
        for at, what in _ways_out(ast.parse(path.read_text()))
    ]
    # the log has a way of its own
    assert not [each for each in past if not each.startswith("logs.py") and not each.endswith(("isatty", "fileno"))]


def _ways_out(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if any(each.name.split(".")[0] in {"rich", "curses"} for each in names):
                yield node.lineno, "imports rich"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in {"rich", "curses"}:
                yield node.lineno, "imports rich"
            case ast.Call(func=ast.Name(id="print")):
                yield node.lineno, "prints"
            case ast.Attribute(value=ast.Attribute(attr="stdout" | "stderr"), attr=attribute):
                yield node.lineno, f"uses an output's {attribute}"
            case ast.keyword(arg="file"):
                yield node.value.lineno, "chooses an output"


def test_what_is_shown_can_be_seen() -> None:
    said = printable("".join(map(chr, (*range(0x3000), *range(0xD700, 0x11000), *range(0xE0000, 0xE0200)))))
    assert said.isprintable()
    assert not {unicodedata.category(each) for each in said} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
