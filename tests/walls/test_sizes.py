"""No class of the product is longer than a reader takes in at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("messages", "stream", "collectors", "controller", "hotdesk", "simulator")
MOST_LINES = 250


def _long(room: str) -> Iterator[str]:
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= MOST_LINES - 1:
                yield f"{path.relative_to(ROOT)}: {node.name}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_class_has_fewer_lines_than_250(room: str) -> None:
    assert list(_long(room)) == []
