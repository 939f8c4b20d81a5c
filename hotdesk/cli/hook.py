"""`hotdesk hook`: put the login hook beside VICIdial's agent page, prove that it answers, and take it out again."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from controller.api.tokens import DIGEST, LEAST_LENGTH
from hotdesk.cli.carrying import Asking, carry_out, show_steps, take_back
from hotdesk.cli.check import show
from hotdesk.cli.machines import NOTES, check_web, found_web, prove_hook, with_settings
from hotdesk.cli.terminal import say
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.settings import CLUSTER_NAME, read_secret
from hotdesk.setup.hook import UnfitError, paths, refused, removal, steps
from hotdesk.setup.machine import Tree
from hotdesk.setup.steps import paths_of

AT = "http://127.0.0.1/agc"

Folder = Annotated[Path | None, Parameter(help="Where vicidial.php is; default: VICIdial's own settings say.")]
Settings = Annotated[Path | None, Parameter(help="The folder of the hook's settings; default: /etc/hotdesk.")]
User = Annotated[
    str,
    Parameter(
        show_default=False, help="Whom the web server runs as; default: wwwrun, www-data or apache, as there is."
    ),
]
At = Annotated[str, Parameter(help="The address of VICIdial's agent page, as seen from here.")]
DryRun = Annotated[bool, Parameter(negative="", help="Show every step, and change nothing.")]
Yes = Annotated[bool, Parameter(negative="", help="Ask nothing.")]


def install(  # noqa: PLR0913 # each a choice of the operator's
    *,
    url: Annotated[
        tuple[str, ...],
        Parameter(
            negative="", show_default=False, help="hotdesk's address, http://ADDRESS:8470; several: tried in order."
        ),
    ] = (),
    cluster: Annotated[str, Parameter(show_default=False, help="The cluster's name in hotdesk.")] = "",
    token_file: Annotated[
        str,
        Parameter(
            show_default=False, allow_leading_hyphen=True, help="A file with a token of scope pick; -: standard input."
        ),
    ] = "",
    folder: Folder = None,
    settings: Settings = None,
    user: User = "",
    at: At = AT,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Put the login hook in: its files, its settings, and a line in options.php; then prove that it answers.

    It may be run again, as after an upgrade: what is right stays as it is.
    """
    _as_root(settings, dry_run=dry_run)
    if cluster and not CLUSTER_NAME.fullmatch(cluster):
        raise SettingsError(f"cluster name {cluster!r}: use lower-case letters, digits and -, beginning with no -")
    for each in url:
        if not each.startswith(("http://", "https://")) or set(each) & set("\"' \\\n"):
            raise SettingsError(f"--url {each}: write hotdesk's address, such as http://192.0.2.20:8470")
    web = found_web(folder, settings, user)._replace(urls=" ".join(url), cluster=cluster, token=_token(token_file))
    tree = Tree(f"{web.settings}/{NOTES}")
    web = with_settings(web, tree)
    seen = tree.seen(paths(web))
    if why := refused(web, seen):
        raise SettingsError(f"nothing was changed: {why}")
    try:
        made = steps(web, seen, tree.notes)
    except UnfitError as error:
        raise HotdeskError(f"nothing was changed: {error}") from error
    show_steps(made)
    if dry_run:
        return 0
    asking = Asking(yes)
    asking.must_answer()
    carry_out(tree, made, asking, _no_sql)
    return prove(folder=folder, settings=settings, user=user, at=at)


def remove(*, folder: Folder = None, settings: Settings = None, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Remove the login hook, however it came there; what somebody has changed since is left, and said."""
    _as_root(settings, dry_run=dry_run)
    web = found_web(folder, settings, "")
    tree = Tree(f"{web.settings}/{NOTES}")
    made = removal(web, tree.seen([*paths(web), *paths_of(tree.notes)]), tree.notes)
    if not made:
        say(f"There is nothing to take out: {web.folder} has no hook.")
        return
    show_steps([step for step, _ in made])
    if dry_run:
        return
    asking = Asking(yes)
    asking.must_answer()
    take_back(tree, made, asking, _no_sql)


def prove(*, folder: Folder = None, settings: Settings = None, user: User = "", at: At = AT) -> int:
    """Check the login hook: its files and settings, hotdesk's answer to its token, and a request's."""
    code = 0
    for finding in (*check_web(found_web(folder, settings, user)), *prove_hook(at)):
        show(finding)
        code = max(code, finding.exit_code)
    return code


def _as_root(settings: Path | None, *, dry_run: bool) -> None:
    if os.geteuid() != 0 and settings is None and not dry_run:
        raise SettingsError("run it as root: it writes into /etc/hotdesk and beside vicidial.php")


def _token(file: str) -> str:
    token = sys.stdin.readline().strip() if file == "-" else read_secret(file, "token")
    if file and (len(token) < LEAST_LENGTH or not token.isascii() or not token.isprintable() or " " in token):
        raise SettingsError("that is no token: a file of hook tokens has one line, the token of scope pick itself")
    if token.lower().startswith(DIGEST):
        raise SettingsError("that is a token's digest, and the hook needs the token of scope pick itself")
    return token


def _no_sql(_: object) -> None:
    raise AssertionError("the hook has no statements")
