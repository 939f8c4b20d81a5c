"""The steps of `hotdesk hook` on a web server: from what was found to what is done, and back. Pure.

`options.php` is VICIdial's own place for additions, and a site may have one already: then only a line is added at its
end, before a closing tag, since what stands below that would be printed into each page.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hotdesk.setup.steps import (
    ROOT,
    Entry,
    File,
    Folder,
    Notes,
    Owner,
    Remove,
    Seen,
    State,
    Step,
    step_of,
    undoing,
)

SETTINGS = "/etc/hotdesk"
PAGE = "vicidial.php"
OPTIONS = "options.php"
OURS = "hotdesk-options.php"
"""The name of our options.php beside one that is there already."""
FILES = ("hotdesk-hook.php", "hotdesk.php", "hotdesk.js")
INI = "hotdesk.ini"
LINE = f'require __DIR__ . "/{OURS}";'
INSERTS = b"INSERT_before_body_close"
"""A variable of every page that prints what the hook adds: since build 220916-0906."""
USERS = ("wwwrun", "www-data", "apache", "nginx", "http")
"""Whom web servers run as on openSUSE, Debian, EL, with nginx, on Arch."""
PLACES = ("/srv/www/htdocs", "/var/www/html", "/var/www", "/usr/local/apache2/htdocs")
"""Document roots, beside the one that VICIdial's own settings name."""

_CODE = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|/\*.*?\*/|(?://|\#(?!\[))[^\n]*?(?=\?>|\n|\Z)"""
    r"""|<<<[ \t]*(['"]?)(\w+)\1\n.*?\n[ \t]*\2\b|\?>""",
    re.DOTALL,
)
"""Strings and remarks, in which a closing tag may be none, and the tag itself; as PHP's manual has them."""
_OPEN = re.compile(r"<\?(?:php\b|=)", re.IGNORECASE)
_END = re.compile(r"\s*(\?>\s*)?\Z")
_OUR_LINE = re.compile(r"\n?[^\n]*hotdesk-options\.php[^\n]*\n?")
_SETTING = re.compile(r"^[ \t]*(\w+)[ \t]*=[ \t]*(?:\"([^\"\n]*)\"|([^;\n]*))", re.MULTILINE)


class Web(NamedTuple):
    """Facts of a web server, and what is wanted there."""

    folder: str
    """Where vicidial.php is."""
    shipped: Mapping[str, bytes]
    """The hook's files as they are shipped: FILES, OPTIONS, INI."""
    user: str
    """Whom the web server runs as."""
    urls: str = ""
    """hotdesk's addresses, blanks between; empty: those that are set already."""
    cluster: str = ""
    token: str = ""
    """Empty: the one that is there already."""
    settings: str = SETTINGS
    owner: Owner = ROOT
    """Whom all but the token belongs to."""

    @property
    def ini(self) -> str:
        """The hook's settings."""
        return f"{self.settings}/hook.ini"

    @property
    def token_file(self) -> str:
        """The hook's token."""
        return f"{self.settings}/hook.token"

    def at(self, name: str) -> str:
        """Return the path of a file beside the page."""
        return f"{self.folder}/{name}"


class UnfitError(Exception):
    """The line cannot be added to options.php; `str()` says why and what to do."""


def paths(web: Web) -> list[str]:
    """Return every path that the hook may have something to do with."""
    beside = [web.at(name) for name in (*FILES, OURS, OPTIONS, PAGE)]
    return [web.settings, web.ini, web.token_file, *beside]


def has_line(text: str) -> bool:
    """Return True if an options.php loads ours."""
    return OURS in text


def is_ours(text: str) -> bool:
    """Return True if an options.php is hotdesk's own, as it is or with additions."""
    return FILES[0] in text


def in_code(text: str) -> bool:
    """Return True if a line at the end of a PHP file would be code, and not printed."""
    at = 0
    while opened := _OPEN.search(text, at):
        closed = next((each for each in _CODE.finditer(text, opened.end()) if each[0] == "?>"), None)
        if closed is None:
            return True
        at = closed.end()
    return False


def with_line(text: str) -> str:
    """Return an options.php that loads ours at its end.

    Raises:
        UnfitError: it ends outside PHP.
    """
    body = _END.sub("", text, count=1)
    if not in_code(body):
        raise UnfitError(f"{OPTIONS} ends with text outside PHP: put this line into its PHP by hand: {LINE}")
    return f"{body}\n{LINE}\n"


def without_line(text: str) -> str:
    """Return an options.php that does not load ours."""
    return _OUR_LINE.sub("\n", text)


def ini_values(text: str) -> dict[str, str]:
    """Return what an ini file sets, as far as the hook's settings need it."""
    return {name: (quoted or plain).strip() for name, quoted, plain in _SETTING.findall(text)}


def ini_text(shipped: str, values: Mapping[str, str]) -> str:
    """Return the shipped ini file with these values in place of its own."""

    def line(found: re.Match[str]) -> str:
        return f'{found[1]} = "{values[found[1]]}"' if found[1] in values else found[0]

    return re.sub(r"(?m)^(\w+) = .*$", line, shipped)


def steps(web: Web, seen: Mapping[str, Seen], notes: Notes) -> list[Step]:
    """Return the steps that put the hook in; the line in options.php is last, so that no page loads what is not there.

    Raises:
        UnfitError: the line cannot be added.
    """
    made = [step_of(Folder(web.settings, 0o755, web.owner), f"make {web.settings}", seen, notes)]
    token = File(
        web.token_file,
        f"{web.token}\n".encode(),
        0o400,
        Owner(web.user, web.owner.group),
        secret=True,
        stays=not web.token,
        takes_over=bool(web.token),
    )
    made.append(step_of(token, f"write {web.token_file}: the token, for {web.user} only", seen, notes))
    values = {"urls": web.urls, "cluster": web.cluster, "token_file": web.token_file}
    ini = File(web.ini, ini_text(_text(web.shipped[INI]), values).encode(), 0o644, web.owner)
    made.append(step_of(ini, f"write {web.ini}: the hook's settings", seen, notes))
    for name in FILES:
        act = File(web.at(name), web.shipped[name], 0o644, web.owner, ours=True)
        made.append(step_of(act, f"write {web.at(name)}", seen, notes))
    made += _of_options(web, seen, notes)
    return made


def _of_options(web: Web, seen: Mapping[str, Seen], notes: Notes) -> Iterator[Step]:
    path, ours = web.at(OPTIONS), web.shipped[OPTIONS]
    there = seen.get(path)
    if there is None or there.content is None or is_ours(_text(there.content)):
        act = File(path, ours, 0o644, web.owner)
        yield step_of(act, f"write {path}: there is none yet, so it is hotdesk's", seen, notes)
        return
    beside = File(web.at(OURS), ours, 0o644, web.owner, ours=True)
    yield step_of(beside, f"write {web.at(OURS)}", seen, notes)
    text = _text(there.content)
    wanted = text if has_line(text) else with_line(text)
    # its mode and owner stay: it is the site's
    act = File(path, wanted.encode("latin-1"), there.mode, there.owner, secret=True, takes_over=True)
    yield step_of(act, f"add a line at the end of {path}: {LINE}", seen, notes)


def removal(web: Web, seen: Mapping[str, Seen], notes: Notes) -> list[tuple[Step, Entry | None]]:
    """Return the steps that take the hook out, however it came there, each with the entry that it settles.

    The line in options.php goes first. If nobody has changed that file since, it is again what it was.
    """
    undone = undoing(notes, seen)
    path = web.at(OPTIONS)
    there = seen.get(path)
    restored = any(entry is not None and entry.path == path and step.state is State.TO_DO for step, entry in undone)
    first: list[tuple[Step, Entry | None]] = []
    if there is not None and there.content is not None and not restored:
        text = _text(there.content)
        if has_line(text):
            act = File(path, without_line(text).encode("latin-1"), there.mode, there.owner, secret=True)
            mine = notes.of(path)
            kept = f"; as it was before hotdesk it is in {mine.copy}" if mine is not None and mine.copy else ""
            what = f"take hotdesk's line out of {path}{kept}"
            first.append((Step(what=what, back="", act=act, state=State.TO_DO), mine))
        elif there.content == web.shipped[OPTIONS]:
            step = Step(what=f"remove {path}", back="", act=Remove(path), state=State.TO_DO)
            first.append((step, notes.of(path)))
    handled = {entry.path for _, entry in first if entry is not None}
    known = {entry.path for entry in notes.entries}
    stray = [web.at(name) for name in (*FILES, OURS) if web.at(name) in seen and web.at(name) not in known]
    more = [Step(what=f"remove {each}", back="", act=Remove(each), state=State.TO_DO) for each in stray]
    rest = [(step, entry) for step, entry in undone if entry is None or entry.path not in handled]
    return [*first, *((step, None) for step in more), *rest]


def refused(web: Web, seen: Mapping[str, Seen]) -> str:
    """Return why the hook cannot go in here, or "" if it can."""
    page = seen.get(web.at(PAGE))
    if page is None or page.content is None:
        return f"there is no {web.at(PAGE)}: name the folder of VICIdial's agent page with --folder"
    if INSERTS not in page.content:
        return (
            f"{web.at(PAGE)} is too old for the hook: it prints nothing that is inserted. It needs a build of"
            " 220916-0906 or later"
        )
    if not web.urls or not web.cluster:
        return "name hotdesk's address with --url, and the cluster with --cluster"
    if not web.token and web.token_file not in seen:
        return "give the token of scope pick with --token-file FILE; - reads it from standard input"
    return ""


def _text(content: bytes) -> str:
    """Return any bytes as text that can be written back as it was."""
    return content.decode("latin-1")
