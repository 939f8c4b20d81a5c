"""The hook is written in the PHP of 7.2: a parser reads it, and finds nothing that came later."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter_php
from tree_sitter import Language, Node, Parser

from tests.support.web import HOOK

LATER_SYNTAX = {
    "arrow_function": "7.4",
    "attribute_group": "8.0",
    "attribute_list": "8.0",
    "enum_declaration": "8.1",
    "final_modifier": "8.1",
    "match_expression": "8.0",
    "nullsafe_member_access_expression": "8.0",
    "nullsafe_member_call_expression": "8.0",
    "property_promotion_parameter": "8.0",
    "readonly_modifier": "8.1",
    "throw_expression": "8.0",
    "union_type": "8.0",
    "intersection_type": "8.1",
    "variadic_placeholder": "8.1",
    "heredoc": "7.3, where its end is indented",
    "nowdoc": "7.3, where its end is indented",
    "??=": "7.4",
}
LATER_FUNCTIONS = {
    *("hrtime", "is_countable", "array_key_first", "array_key_last"),  # 7.3
    *("mb_str_split", "password_algos", "str_contains", "str_starts_with", "str_ends_with", "get_debug_type"),
    *("array_is_list", "fsync", "json_validate", "mb_str_pad", "str_increment", "array_find", "array_any"),
}
PHP = [file for file in HOOK if file.suffix == ".php"]


def _tree(source: bytes) -> Node:
    return Parser(Language(tree_sitter_php.language_php())).parse(source).root_node


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def too_new(source: bytes) -> list[str]:
    """Return what PHP 7.2 would not understand."""
    found = []
    for node in _all(_tree(source)):
        text = (node.text or b"").decode()
        if node.is_error or node.is_missing:
            found.append(f"line {node.start_point[0] + 1}: no PHP")
        if node.type in LATER_SYNTAX:
            found.append(f"{node.type}: {text}")
        if node.type == "property_declaration" and any("type" in child.type for child in node.children):
            found.append(f"typed property: {text}")
        if node.type == "argument" and node.child_by_field_name("name") is not None:
            found.append(f"named argument: {text}")
        if node.type in {"arguments", "formal_parameters"}:
            ends = [child.type for child in node.children][-2:]
            if ends == [",", ")"]:
                found.append(f"comma before the bracket: {text}")
        if node.type == "function_call_expression":
            called = node.child_by_field_name("function")
            if called is not None and (called.text or b"").decode() in LATER_FUNCTIONS:
                found.append(f"function: {text}")
    return found


@pytest.mark.parametrize("file", PHP, ids=lambda file: file.name)
def test_php_7_2_understands_the_hook(file: Path) -> None:
    assert too_new(file.read_bytes()) == []


@pytest.mark.parametrize(
    "source",
    [
        "$a ??= 1;",
        "$f = fn($x) => $x;",
        "class A { private int $x; }",
        "f(1, 2,);",
        "f(a: 1);",
        "$a?->b;",
        "$x = match(1) { 1 => 2 };",
        "str_contains('a', 'b');",
        "function f(int|string $x) {}",
        "if (",
    ],
)
def test_what_came_later_would_be_found(source: str) -> None:
    assert too_new(f"<?php\n{source}\n".encode())


@pytest.mark.parametrize("file", HOOK, ids=lambda file: file.name)
def test_each_file_may_be_loaded_into_a_page_of_another_licence(file: Path) -> None:
    assert "SPDX-License-Identifier: MIT" in file.read_text()
