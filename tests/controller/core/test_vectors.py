"""VICIdial's own choices, as its login page was seen to make them, beside hotdesk's."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.vectors import Verdict, compare, main

DATA = Path(__file__).parents[2] / "data"
FILE = DATA / "selection-vectors.jsonl"
BY_RULE = DATA / "selection-vectors-by-rule.jsonl"


@pytest.fixture(scope="module")
def vectors() -> list[dict[str, Any]]:
    """Return every line of the file."""
    return [msgspec.json.decode(line) for line in FILE.read_bytes().splitlines()]


def _without_inactive_phones(vector: dict[str, Any]) -> dict[str, Any]:
    phones = [phone for phone in vector["phones"] if phone["active"] == "Y"]
    active = {phone["login"] for phone in phones}
    logins = [login for login in vector["alias"]["logins_list"] if login in active]
    return vector | {"phones": phones, "alias": vector["alias"] | {"logins_list": logins}}


def _picked_an_inactive_phone(vector: dict[str, Any]) -> bool:
    inactive = {phone["login"] for phone in vector["phones"] if phone["active"] != "Y"}
    return vector["vicidial"]["phone_login"] in inactive


def test_no_line_differs(vectors: list[dict[str, Any]]) -> None:
    assert len(vectors) == 1200
    assert [vector["id"] for vector in vectors if compare(vector).verdict is Verdict.DIFFER] == []


def test_where_vicidial_picks_an_inactive_phone_the_best_usable_one_is_given(vectors: list[dict[str, Any]]) -> None:
    broken = [vector for vector in vectors if _picked_an_inactive_phone(vector)]
    assert broken
    for vector in broken:
        compared = compare(vector)
        assert compared.verdict is Verdict.BETTER, vector["id"]
        assert compared.hotdesk == compare(_without_inactive_phones(vector)).hotdesk, vector["id"]


def test_everywhere_else_the_answers_are_the_same(vectors: list[dict[str, Any]]) -> None:
    for vector in vectors:
        if not _picked_an_inactive_phone(vector):
            assert compare(vector).hotdesk == vector["vicidial"]["phone_login"], vector["id"]


@pytest.mark.parametrize(
    "vector",
    [pytest.param(each, id=each["about"]) for each in map(msgspec.json.decode, BY_RULE.read_bytes().splitlines())],
)
def test_rows_as_people_write_them_are_read_as_vicidial_reads_them(vector: dict[str, Any]) -> None:
    assert compare(vector).verdict is Verdict.AGREE


def test_the_command_counts_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([FILE]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("selection-vectors.jsonl: agree ")
    assert last.endswith(", differ 0")


def test_the_command_fails_and_names_the_line_that_differs(
    tmp_path: Path, vectors: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    picked = next(each for each in vectors if each["vicidial"]["phone_login"] and not _picked_an_inactive_phone(each))
    picked = picked | {"vicidial": picked["vicidial"] | {"phone_login": None}}
    file = tmp_path / "vectors.jsonl"
    file.write_bytes(msgspec.json.encode(picked))
    assert main([file]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("vectors.jsonl, line 1: VICIdial None, hotdesk ")
    assert said[-1] == "vectors.jsonl: agree 0, better 0, differ 1"


def test_what_is_no_file_of_vectors_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "vectors.jsonl"
    assert main([file]) == 2
    file.write_text('{"id": 1}\n')
    assert main([file]) == 2
    file.write_text("id,alias\n")
    assert main([file]) == 2
    absent, odd, other = capsys.readouterr().err.splitlines()
    assert "cannot be read" in absent
    assert "line 1" in odd
    assert "line 1" in other
