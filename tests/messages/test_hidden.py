"""A password in a text, in whatever form a filter has given it."""

import base64
import html
import json
import re
import time
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.hidden import LOOKED_AT, Hidden
from tests.support.timing import on_this_machine

PASSWORDS = (
    "Summer!2026@Dallas#",
    "pä ss'wört\"12",
    "a+b c%20d&e<f>g",
    "日本語password1",
    "o'Brien\\n;DROP",
    "emoji\N{PILE OF POO}9876",
    "m4rked-5ecre7.é",
)
PHP: dict[str, Callable[[str], str]] = {
    "as typed": lambda word: word,
    "api.php": lambda word: re.sub(r"[^-.+/=_0-9a-zA-Z]", "", word),
    "api.php, not latin": lambda word: "".join(
        each for each in word if each in "-.+/=_" or each.isdigit() or each.isalpha()
    ),
    "admin.php": lambda word: re.sub(r"[^-_0-9a-zA-Z]", "", word),
    "letters and digits": lambda word: re.sub(r"[^0-9a-zA-Z]", "", word),
    "quotes": lambda word: re.sub(r"['\"\\; ]", "", word),
}
ESCAPES: dict[str, Callable[[str], str]] = {
    "none": lambda word: word,
    "rawurlencode": lambda word: quote(word, safe=""),
    "urlencode": quote_plus,
    "of a path": quote,
    "small hex": lambda word: re.sub(r"%..", lambda found: found[0].lower(), quote(word, safe="")),
    "twice": lambda word: quote(quote(word, safe=""), safe=""),
    "latin1": lambda word: quote(word.encode("latin-1", "replace"), safe=""),
    "htmlspecialchars": html.escape,
    "ENT_QUOTES": lambda word: html.escape(word).replace("&#x27;", "&#039;"),
    "htmlentities": lambda word: word.encode("ascii", "xmlcharrefreplace").decode(),
    "html twice": lambda word: html.escape(html.escape(word)),
    "addslashes": lambda word: re.sub(r"(['\"\\])", r"\\\1", word),
    "json": lambda word: json.dumps(word)[1:-1],
    "repr": lambda word: repr(word)[1:-1],
    "repr of bytes": lambda word: repr(word.encode())[2:-1],
    "base64": lambda word: base64.b64encode(word.encode()).decode(),
    "hex": lambda word: word.encode().hex(),
    "capitals": str.upper,
    "decomposed": lambda word: unicodedata.normalize("NFD", word),
    "misread": lambda word: word.encode().decode("latin-1"),
    "unread": lambda word: word.encode().decode("ascii", "replace"),
    "transliterated": lambda word: unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode(),
    "question marks": lambda word: word.encode("ascii", "replace").decode(),
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("password", PASSWORDS)
def test_no_form_of_a_password_is_left(password: str, escape: Callable[[str], str]) -> None:
    hidden = Hidden(password)
    for name, clean in PHP.items():
        form = escape(clean(password))
        assert hidden.out_of(f"ERROR: |hotdesk|{form}|0|1|") == "ERROR: |hotdesk|***|0|1|", name
    assert password not in repr(hidden) + str(vars(hidden).keys())


@given(st.text(max_size=30), st.text(max_size=200))
def test_other_text_stays_and_any_password_goes(password: str, text: str) -> None:
    said = Hidden(password).out_of(f"{text}|{password}|")
    assert not password or password == "*" * len(password) or f"|{password}|" not in said or password in text


def test_short_passwords_hide_no_ordinary_words() -> None:
    assert Hidden("a!").out_of("a banana a! a%21") == "a banana *** ***"
    assert Hidden("").out_of("anything") == "anything"
    assert Hidden("!!!!").out_of("well!!!! %21%21%21%21") == "well*** ***"


@pytest.mark.parametrize(
    "password",
    ["a!" * 50, "!" * 100, "ab" * 100, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 60 + "abcd", "%" * 30 + "abcd1234"],
)
def test_no_text_takes_long_whatever_the_password(password: str) -> None:
    hidden = Hidden(password)
    began = time.process_time()
    for text in (password[:-1] * 40, *(each * 8192 for each in ("a", "!", "%25", "&amp;", "\\", "?"))):
        hidden.out_of(text)
    assert time.process_time() - began < on_this_machine(4)


def test_of_a_long_text_only_the_beginning_is_looked_at_and_no_half_of_a_password_is_shown() -> None:
    password = "m4rked-5ecret"
    hidden = Hidden(password)
    assert hidden.out_of_beginning(f"a {password} b") == "a *** b"
    for before in range(LOOKED_AT - len(password) - 1, LOOKED_AT + 1):
        shown = hidden.out_of_beginning(f"{password} {'x' * (before - len(password) - 1)}{password}" + "y" * 64_000)
        assert shown.startswith("*** xxx")
        assert set(shown) == set("* x")
        assert len(shown) <= LOOKED_AT
