"""A web server, judged by what was found there: is all there that the login hook needs? Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hotdesk.errors import ApiFailure, HotdeskError, SettingsError
from hotdesk.findings import Finding, note, ok, wrong
from hotdesk.setup.hook import FILES, INSERTS, OPTIONS, OURS, PAGE, Web, has_line, in_code, ini_values, is_ours
from hotdesk.setup.steps import Seen

OLDEST_PHP = (7, 2)
NEEDED = ("curl", "json")
INSTALL = "hotdesk hook install puts it right"
SUBJECT = "login hook"
OK_STATUS, REFUSED, UNKNOWN = 200, (401, 403), 404


class Php(NamedTuple):
    """The PHP of the command line, which is mostly the web server's too."""

    version: str
    extensions: frozenset[str]


class Asked(NamedTuple):
    """hotdesk's answer to this web server's token."""

    url: str
    status: int
    """Of the answer; 0: none."""
    why: str = ""
    """Why there was none."""


def token_of(seen: Mapping[str, Seen], path: str) -> str:
    """Return the token of a file; empty: there is none."""
    there = seen.get(path)
    return "" if there is None or there.content is None else there.content.decode(errors="replace").strip()


def judged(web: Web, seen: Mapping[str, Seen], php: Php | None, asked: tuple[Asked, ...]) -> Iterator[Finding]:
    """Yield what is right and what is wrong on this web server."""
    yield from _of_php(php)
    page = seen.get(web.at(PAGE))
    if page is None or page.content is None:
        error = HotdeskError(f"there is no {web.at(PAGE)}: this is no web server of VICIdial's, or it is elsewhere")
        yield wrong(error, "page", "hotdesk hook test --folder FOLDER looks there")
        return
    if INSERTS in page.content:
        yield ok("page", f"{web.at(PAGE)} prints what the hook adds")
    else:
        error = HotdeskError(f"{web.at(PAGE)} prints nothing that is inserted")
        yield wrong(error, "page", "the hook needs a build of 220916-0906 or later: upgrade VICIdial")
    yield from _of_files(web, seen)
    yield from _of_settings(web, seen)
    for each in asked:
        yield _of_answer(each, web)


def _of_php(php: Php | None) -> Iterator[Finding]:
    if php is None:
        yield note("php", "there is no command php here to ask", "the hook needs PHP 7.2 or newer with curl")
        return
    numbers = tuple(int(each) for each in php.version.split(".")[:2] if each.isdigit())
    if numbers < OLDEST_PHP:
        yield wrong(HotdeskError(f"PHP is {php.version}"), "php", "the hook needs 7.2 or newer")
        return
    missing = [each for each in NEEDED if each not in php.extensions]
    if missing:
        error = HotdeskError(f"PHP {php.version} lacks {', '.join(missing)}")
        yield wrong(error, "php", "install the package of that name for PHP, and restart the web server")
    else:
        yield ok("php", f"PHP {php.version} with {' and '.join(NEEDED)}")


def _of_files(web: Web, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    absent = [name for name in FILES if web.at(name) not in seen]
    other = [name for name in FILES if name not in absent and seen[web.at(name)].content != web.shipped[name]]
    if absent:
        yield wrong(HotdeskError(f"not there: {', '.join(absent)}"), SUBJECT, INSTALL)
    if other:
        yield note(SUBJECT, f"of another version, or changed: {', '.join(other)}", INSTALL)
    if not absent and not other:
        yield ok(SUBJECT, f"its files are beside {PAGE}")
    there = seen.get(web.at(OPTIONS))
    text = "" if there is None or there.content is None else there.content.decode("latin-1")
    if is_ours(text):
        yield ok(SUBJECT, f"{OPTIONS} is hotdesk's own")
    elif not has_line(text):
        yield wrong(HotdeskError(f"{web.at(OPTIONS)} does not load it"), SUBJECT, INSTALL)
    elif not in_code(text[: text.rindex(OURS)]):
        error = HotdeskError(f"the line in {web.at(OPTIONS)} stands outside PHP, and is printed into each page")
        yield wrong(error, SUBJECT, "move it before the closing tag")
    elif web.at(OURS) not in seen:
        yield wrong(HotdeskError(f"{web.at(OPTIONS)} loads {OURS}, which is not there"), SUBJECT, INSTALL)
    else:
        yield ok(SUBJECT, f"{OPTIONS} loads it")


def _of_settings(web: Web, seen: Mapping[str, Seen]) -> Iterator[Finding]:
    ini = seen.get(web.ini)
    if ini is None or ini.content is None:
        yield wrong(SettingsError(f"there is no {web.ini}"), SUBJECT, INSTALL)
        return
    values = ini_values(ini.content.decode(errors="replace"))
    unset = [name for name in ("urls", "cluster") if not values.get(name)]
    if unset:
        yield wrong(SettingsError(f"{web.ini} does not set {' and '.join(unset)}"), SUBJECT, "set it there")
    path = values.get("token_file", "")
    if not path:
        yield note(SUBJECT, f"{web.ini} names no token", "fine, if hotdesk demands none: on this machine only")
        return
    token = seen.get(path)
    if token is None:
        yield wrong(SettingsError(f"there is no {path}"), SUBJECT, INSTALL)
    elif token.mode & 0o004:
        yield wrong(SettingsError(f"every account on this machine may read {path}"), SUBJECT, f"chmod 400 {path}")
    elif web.user and not (token.owner.user == web.user and token.mode & 0o400) and not token.mode & 0o040:
        error = SettingsError(f"the web server, {web.user}, cannot read {path}")
        yield wrong(error, SUBJECT, f"chown {web.user} {path}; chmod 400 {path}")
    else:
        yield ok(SUBJECT, f"{path} is closed to others")


def _of_answer(asked: Asked, web: Web) -> Finding:
    if asked.status == OK_STATUS:
        return ok(SUBJECT, f"{asked.url} knows the cluster {web.cluster}, and takes the token")
    if asked.status in REFUSED:
        error, remedy = "refuses the token", f"put a token of scope pick into {web.token_file}"
    elif asked.status == UNKNOWN:
        error, remedy = f"knows no cluster {web.cluster}, or not yet", f"correct cluster in {web.ini}"
    elif asked.status:
        error, remedy = f"answers {asked.status}", "hotdesk check on its own machine says more"
    else:
        error = f"cannot be reached: {asked.why}"
        remedy = "check that hotdesk runs there, its address, and the firewall in between"
    return wrong(ApiFailure(f"{asked.url} {error}"), SUBJECT, remedy)


def of_options(status: int, body: str, at: str) -> Finding:
    """Return what a request of options.php by itself shows: it sets variables, and prints nothing."""
    if status != OK_STATUS:
        return _no_page(status, body, at)
    if body.strip():
        printed = " ".join(body.split())[:80]
        return wrong(
            HotdeskError(f"{at} prints {printed!r}, which stands in each page and each answer of the agent API"),
            SUBJECT,
            "take out what is printed: text outside PHP, or a warning",
        )
    return ok(SUBJECT, f"{at} loads, and prints nothing")


def of_screen(status: int, body: str, at: str) -> Finding:
    """Return what a request shows as the screen of nobody sends it: there is no order for it."""
    answer = body.strip().replace(" ", "")
    if status == OK_STATUS and answer == '{"order":null}':
        return ok(SUBJECT, f"{at} answers")
    if status == OK_STATUS and answer.startswith('{"order":null'):
        return wrong(ApiFailure(f"{at} answers, and hotdesk did not answer it"), SUBJECT, "see the lines above")
    return _no_page(status, body, at)


def _no_page(status: int, body: str, at: str) -> Finding:
    said = " ".join(body.split())[:80]
    what = f"{at} answers {status}: {said!r}" if status else f"{at} cannot be reached: {said}"
    return wrong(HotdeskError(what), SUBJECT, "name VICIdial's agent page with --at; the web server's log says more")
