"""Who may ask what, and what a token file that does not fit is told."""

from pathlib import Path

import pytest

from controller.api.tokens import Scope, TokenFileError, Tokens
from tests.support.builders import secret_file

READ, PICK, ADMIN = "reading-is-all-i-do", "i-pick-and-i-choose", "the-admin-may-do-all"
FILE = f"""
# who may do what
read {READ}
pick {PICK}   # the login page
ADMIN {ADMIN}
"""


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """Return tokens of every scope."""
    file = tmp_path / "tokens"
    secret_file(file, FILE)
    return Tokens.load(file)


@pytest.mark.parametrize(
    ("authorization", "scope"),
    [
        (f"Bearer {READ}", Scope.READ),
        (f"Bearer {PICK}", Scope.PICK),
        (f"Bearer {ADMIN}", Scope.ADMIN),
        (f"bearer {ADMIN}", Scope.ADMIN),
        (f"BEARER  {ADMIN} ", Scope.ADMIN),
        ("Bearer nobody-knows-this-one", None),
        (f"Bearer {ADMIN}x", None),
        (f"Bearer {ADMIN[:-1]}", None),
        (f"Bearer {ADMIN.upper()}", None),
        (f"Basic {ADMIN}", None),
        (ADMIN, None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("Bearer tökén-with-ümlauts", None),
    ],
)
def test_what_a_header_allows(tokens: Tokens, authorization: str, scope: Scope | None) -> None:
    assert tokens.required
    assert tokens.scope_of(authorization) is scope


def test_a_higher_scope_includes_the_lower() -> None:
    assert Scope.ADMIN > Scope.PICK > Scope.READ


def test_without_a_file_no_token_is_required() -> None:
    tokens = Tokens.load(None)
    assert not tokens.required
    assert tokens.scope_of(f"Bearer {READ}") is None


@pytest.mark.parametrize(
    "line",
    [
        "write a-token-that-is-long-enough",
        "read",
        "read short",
        "read two-words-are-one too-many-of-them",
        "a-token-that-is-long-enough",
    ],
)
def test_a_line_that_does_not_fit_is_named_without_its_token(tmp_path: Path, line: str) -> None:
    file = tmp_path / "tokens"
    secret_file(file, f"# first\nread {READ}\n{line}\n")
    with pytest.raises(TokenFileError, match=r"line 3: write 'read', 'pick' or 'admin'") as refused:
        Tokens.load(file)
    said = str(refused.value)
    assert "\n" not in said
    assert READ not in said
    assert line.rsplit(maxsplit=1)[-1] not in said.replace("'read'", "")


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing yet\n"])
def test_a_file_without_tokens_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tokens"
    secret_file(file, content)
    with pytest.raises(TokenFileError, match="has no token"):
        Tokens.load(file)


def test_a_file_that_is_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenFileError, match="cannot be read"):
        Tokens.load(tmp_path / "absent")
    file = tmp_path / "tokens"
    file.touch(0o600)
    file.write_bytes(b"read \xff\xfe-not-text-at-all-\xff")
    with pytest.raises(TokenFileError, match="cannot be read"):
        Tokens.load(file)
