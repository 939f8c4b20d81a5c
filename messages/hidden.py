"""Passwords out of texts, in whatever form a filter on the way may have given them.

A server may repeat what it was told: with quotes escaped, percent-encoded, as entities of HTML, without the characters
that a filter took out, in another encoding. VICIdial takes the same characters out of a password when it stores it, so
what it repeats is as a rule the password that works.
"""

import base64
import html
import re
import unicodedata
from collections.abc import Iterator
from html.entities import codepoint2name

INSTEAD = "***"
ENOUGH = 4
"""A password with fewer letters and digits is not looked for without its other characters: that could be any word."""

LOOKED_AT = 4000
"""Characters of a text of which only the beginning is wanted."""
LONGEST_FORM = 2000
"""Characters that a password may have in one of its forms, so far."""

FILTERS = tuple(
    map(re.compile, (r"[^-.+/=_0-9A-Za-z]", r"[^-_0-9A-Za-z]", r"[^0-9A-Za-z]", r"['\"\\; ]", r"[^-.+/=_\w]"))
)
"""Characters that VICIdial's pages take out of a password, each page its own."""


class Hidden:
    """A password to be taken out of texts. It shows nothing of itself."""

    def __init__(self, password: str) -> None:
        self._forms = _forms(password) if password else None

    def __repr__(self) -> str:
        return "Hidden()"

    def out_of(self, text: str) -> str:
        """Return a text without the password."""
        return text if self._forms is None else self._forms.sub(INSTEAD, text)

    def out_of_beginning(self, text: str) -> str:
        """Return the beginning of a text of any length, without the password, in little time."""
        beginning = self.out_of(text[:LOOKED_AT])
        # the end of what was cut off may be the half of a password, which is not found
        return beginning if len(text) <= LOOKED_AT else beginning[:-LONGEST_FORM]


def _forms(password: str) -> re.Pattern[str]:
    loose = sum(map(_is_plain, password)) >= ENOUGH
    # each character is looked at once: a pattern that went back over it could take for ever on a text made for that
    typed = "".join(f"(?>{_written(each)}){'?+' if loose and not _is_plain(each) else ''}" for each in password)
    cleaned = {password, *(filtered for each in FILTERS if len(filtered := each.sub("", password)) >= ENOUGH)}
    whole = {form for each in cleaned for form in _encoded(each.encode())} | {re.escape(password)}
    # with the accents of the last letter, where they stand by themselves
    plain = {unicodedata.normalize("NFKD", each).encode("ascii", "ignore").decode() for each in cleaned} - cleaned
    whole |= {re.escape(each) + "[\u0300-\u036f]*" for each in plain if len(each) >= ENOUGH}
    return re.compile("|".join([*sorted(whole, key=len, reverse=True), typed]), re.IGNORECASE)


def _encoded(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield re.escape(encode(raw).decode().rstrip("=")) + "=*"


def _is_plain(character: str) -> bool:
    """Return True for what no filter takes out."""
    return character.isascii() and character.isalnum()


def _written(character: str) -> str:
    """Return a pattern for the ways to write a character."""
    number = ord(character)
    utf8 = character.encode("utf-8", "surrogatepass")
    bytes_of = {utf8, utf8.decode("latin-1").encode()}
    if number < 256:  # noqa: PLR2004 # what latin1 has
        bytes_of.add(bytes([number]))
    names = {name for name, found in html.entities.html5.items() if found == character and name.endswith(";")}
    names |= {f"{codepoint2name[number]};"} if number in codepoint2name else set()
    ways = {
        *(re.escape(each) for each in (character, unicodedata.normalize("NFD", character))),
        rf"\\{{1,4}}{re.escape(character)}",
        rf"&(?:amp;){{0,3}}#0{{0,6}}{number};",
        rf"&(?:amp;){{0,3}}#x0{{0,6}}{number:x};",
        *(f"&(?:amp;){{0,3}}{re.escape(each)}" for each in names),
        rf"\\{{1,4}}u\{{?0{{0,6}}{number:x}\}}?",
        rf"\\{{1,4}}x{number:02x}",
        *("".join(f"%(?:25){{0,3}}{byte:02x}" for byte in each) for each in bytes_of),
        *("".join(rf"\\x{byte:02x}" for byte in each) for each in bytes_of),
    }
    if number > 0xFFFF:  # noqa: PLR2004 # JSON has no number for it, but two
        units = character.encode("utf-16-be").hex()
        ways.add(rf"\\{{1,4}}u{units[:4]}\\{{1,4}}u{units[4:]}")
    if character == " ":
        ways |= {r"\+", r"\s"}
    if not character.isascii():
        # misread as another encoding, or not read at all
        misread = {utf8.decode(encoding, "replace") for encoding in ("latin-1", "cp1252", "ascii")}
        ways |= {*map(re.escape, misread), rf"(?:[?\N{{REPLACEMENT CHARACTER}}]|%3f){{1,{len(utf8)}}}"}
    return "|".join(sorted(ways, key=len, reverse=True))
