"""`hotdesk aliases apply`: the plan carried out through VICIdial's own API, and taken back."""

import os
import secrets
import string
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from cyclopts import Parameter

from controller.api.secret_files import read_private
from controller.vicidial.non_agent_api import Answered, NonAgentApi
from hotdesk import settings
from hotdesk.aliases import private_files, softphones, undoing
from hotdesk.aliases.applying import Progress, carried_out
from hotdesk.aliases.reading import existing_in
from hotdesk.aliases.records import NEW_PASSWORD, NEW_SECRET, AnyStep, DeskPlan, Existing
from hotdesk.aliases.steps import SECRET_FIELDS, Credentials, filled, line_of, request_of
from hotdesk.aliases.words import counted
from hotdesk.cli.aliases.desks import ALL_THERE_IS, DEFAULTS, Choice, Wanted, settings_of, wanted_by
from hotdesk.cli.aliases.handed_out import make_folder, write_files
from hotdesk.cli.aliases.planned import Gone, occupied, planned_for, say_right, show_plan
from hotdesk.cli.client import ClusterName
from hotdesk.cli.terminal import agrees, complain, say
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.settings import LOOPBACK, ClusterSettings, ClusterTables, Settings, read_secret
from hotdesk.setup.steps import Words, shell
from messages.codes import Reply
from messages.shown import reason_of

TYPED = "abcdefghjkmnpqrstuvwxyz23456789"
"""The signs of a new login password: agents type it, so none looks like another."""
KEPT = string.ascii_letters + string.digits
"""The signs of a new registration secret: VICIdial and every softphone leave them as they are."""
CONFIG = "--config"
Write = Callable[[str], object]
"""Adds a line to the undo file."""
Yes = Annotated[bool, Parameter(name="--yes", negative="", help="Do not ask: for scripts.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Files:
    """The softphones' files, to be written once all is made."""

    wanted_format: Annotated[
        softphones.Format | None,
        Parameter(name="--format", help="Then write the softphones' files, too, as 'hotdesk aliases phones' does."),
    ] = None
    to: Annotated[Path | None, Parameter(help="Folder for those; made if it is not there.")] = None


NO_FILES = Files()


def apply(  # noqa: PLR0913 # the same
    *,
    vicidial: Annotated[str, Parameter(help="VICIdial's API: https://WEB/vicidial/non_agent_api.php")],
    user: Annotated[str, Parameter(help="A VICIdial user of level 8 with agent API access and AST admin access.")],
    password_file: Annotated[Path, Parameter(help="File with that user's password.")],
    choice: Choice = ALL_THERE_IS,
    gone: Gone = (),
    files: Files = NO_FILES,
    undo: Annotated[Path | None, Parameter(help="Take back what an earlier run made, by the file it wrote.")] = None,
    cluster: ClusterName = "",
    yes: Yes = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Make what `hotdesk aliases plan` shows, through VICIdial's own API; asked first.

    A file of what was there before is written first, and the command that takes all back by it is printed. Run again,
    it goes on from what there is. The exit code is 1 if something was not done.
    """
    if (files.wanted_format is None) != (files.to is None) or (undo is not None and files != NO_FILES):
        raise SettingsError("--format and --to go together, and not with --undo")
    api = NonAgentApi(_address(vicidial), user, read_secret(str(password_file), "VICIdial user's password"))
    if undo is not None:
        return _take_back(undo, api, cluster, settings.clusters(clusters, options, os.environ), yes=yes)
    wanted, planned = planned_for(wanted_by(choice, cluster, options, clusters), gone)
    show_plan(planned, wanted)
    left_out = 1 if planned.contradictions else 0
    if not planned.steps:
        return max(left_out, _handed_out(files, wanted))
    if why := occupied(planned.steps, wanted.existing):
        raise HotdeskError(f"nothing was changed: {why}")
    _refuse_useless(api)
    say(_where(wanted.cluster, wanted.settings, api))
    if not (yes or agrees(f"make these {len(planned.steps)} changes in {wanted.cluster} through {api.url}")):
        raise HotdeskError("nothing was changed")
    if files.to is not None:
        make_folder(files.to)  # what would fail at the end had better fail before anything is made
    made = {desk.alias_id: _new_credentials() for desk in planned.desks if desk.new_password or desk.new_secret}
    whole = filled(planned, made)
    file = _undo_path(wanted.cluster)
    account = ("--vicidial", vicidial, "--user", user, "--password-file", str(password_file.expanduser().absolute()))
    back = shell(("hotdesk", *_config(sys.argv), "aliases", "apply", "--undo", str(file), *account))
    with _UndoFile(file) as journal:
        journal.write(undoing.head(wanted.cluster, whole.steps, wanted.existing))
        say(f"{file} has what was there before; this takes back what is made from here on:")
        say(f"    {back}")
        mark = partial(_mark, journal.write)
        last = _followed(carried_out([desk for desk in whole.desks if desk.steps], partial(_asked, api), mark))
    _refresh(api, last)
    if code := _ended(last, wanted.existing):
        if files != NO_FILES:
            complain("no softphone's file was written: when that is mended, run it again")
        return code
    return max(left_out, _handed_out(files, wanted))


def _handed_out(files: Files, wanted: Wanted) -> int:
    """Write the softphones' files if they are wanted, by what VICIdial has now, and return the exit code."""
    if files.wanted_format is None or files.to is None:
        return 0
    now = wanted._replace(existing=existing_in(wanted.settings.database_settings()))
    return write_files(now, files.wanted_format, files.to)


def _config(words: Sequence[str]) -> Words:
    """Return the words of a command that name its settings file, as they fit any folder."""
    for word, following in pairwise([*words, ""]):
        name, is_given, value = word.partition("=")
        if name == CONFIG:
            return (CONFIG, str(Path(value if is_given else following).absolute()))
    return ()


def _address(url: str) -> str:
    if "@" in url:
        raise SettingsError("--vicidial: an address has no user and no password: set --user and --password-file")
    wrong = f"--vicidial: {url!r} is no address: write https://WEB/vicidial/non_agent_api.php"
    try:
        parts = urlsplit(url)
        _ = parts.port  # it is looked at only when it is asked for
    except ValueError as error:
        raise SettingsError(wrong) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(wrong)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        complain(f"hotdesk: {url} is plain HTTP: whoever is in between reads the password and the phones' secrets")
    return url


def _where(cluster: str, of_cluster: ClusterSettings, api: NonAgentApi) -> str:
    """Return what a person must see to belong together: nothing else says that this API is that database's."""
    database = of_cluster.database_settings().where
    return f"read from the database {database} of {cluster}; changed through {api.url}: both must be the same VICIdial"


class _UndoFile:
    """A new undo file; without it nothing more is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._or_stop():
            self._journal = private_files.Journal(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def write(self, text: str) -> None:
        with self._or_stop():
            self._journal.write(text)

    @contextmanager
    def _or_stop(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HotdeskError(
                f"{self._path} cannot be written, and without it nothing more is made: {error.strerror}"
            ) from error


def _undo_path(cluster: str) -> Path:
    """Return a name that no file has; `Journal` refuses one that another run has taken since."""
    here = Path.cwd()
    begins = f"hotdesk-aliases-{cluster}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    names = (here / f"{begins}{f'-{number}' if number else ''}.undo" for number in count())
    return next(each for each in names if not each.exists())


def _refuse_useless(api: NonAgentApi) -> None:
    useless = api.why_useless()
    if useless is not None:
        raise HotdeskError(useless.said)


def _new_credentials() -> Credentials:
    return Credentials(
        "".join(secrets.choice(TYPED) for _ in range(NEW_PASSWORD)),
        "".join(secrets.choice(KEPT) for _ in range(NEW_SECRET)),
    )


def _asked(api: NonAgentApi, step: AnyStep) -> Answered:
    request = request_of(step)
    return api.ask(request.function, request.fields, SECRET_FIELDS)


def _mark(write: Write, step: int, reply: Reply) -> None:
    write(undoing.mark(step, reply))


def _followed(progress: Iterable[Progress], what: str = "desk") -> Progress:
    """Show the progress of each batch, and return the last."""
    last = Progress(0, 0, 0)
    for last in progress:
        say(f"{last.desks} of {counted(last.of_desks, what)}: {counted(last.done, 'change')} made")
    return last


def _refresh(api: NonAgentApi, last: Progress) -> None:
    """Make all dialers write their configuration anew, as they do by themselves within a minute."""
    if not last.done or last.stopped:
        return
    answered = api.ask("server_refresh", {"stage": "REFRESH"})
    if answered.reply is not Reply.DONE:
        complain(f"the dialers were not asked to load their phones at once, and do so within a minute: {answered.said}")


def _ended(last: Progress, existing: Existing) -> int:
    """Report what was not done, and return the exit code."""
    for each in last.refused:
        complain(f"{each.alias_id or 'not done'}: {line_of(each.step, existing)}: {each.said}")
    if last.stopped:
        complain(
            f"stopped after {counted(last.done, 'change')}: {last.stopped}; when that is mended, run it again: it goes"
            " on from what there is"
        )
    return 1 if last.refused or last.stopped else 0


def _take_back(file: Path, api: NonAgentApi, cluster: str, known: Mapping[str, ClusterSettings], *, yes: bool) -> int:
    try:
        undo = undoing.read(read_private(file))
    except undoing.UndoFileError as error:
        raise SettingsError(f"{file}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {reason_of(error)}") from error
    if cluster and cluster != undo.cluster:
        raise SettingsError(f"{file} is of the cluster {undo.cluster}")
    of_cluster = settings_of(known, undo.cluster)
    existing = existing_in(of_cluster.database_settings())
    for step in undo.steps:
        say(line_of(step, existing))
    for step, why in undoing.left_by(undo.steps, existing):
        say(f"would be left: {line_of(step, existing)}: {why}")
    if undo.lost:
        say(f"{counted(undo.lost, 'change')} cannot be taken back: VICIdial's API would not set it as it was")
    if not undo.steps:
        say("there is nothing to take back")
        return 0
    _refuse_useless(api)
    say_right(undo.steps)
    say(_where(undo.cluster, of_cluster, api))
    if not (yes or agrees(f"take back {counted(len(undo.steps), 'change')} in {undo.cluster} through {api.url}")):
        raise HotdeskError("nothing was changed")
    each_alone = [DeskPlan(alias_id="", extension="", steps=(step,)) for step in undo.steps]
    asked_back = partial(_asked_back, api, undoing.Lists(existing))
    last = _followed(carried_out(each_alone, asked_back, lambda _step, _reply: None), "step")
    _refresh(api, last)
    return _ended(last, existing)


def _asked_back(api: NonAgentApi, lists: undoing.Lists, step: AnyStep) -> Answered:
    """Ask for a step, unless an alias needs the phone still that it would delete."""
    if why := lists.why_kept(step):
        return Answered(Reply.REFUSED, why)
    answered = _asked(api, step)
    if answered.reply in {Reply.DONE, Reply.GONE}:
        lists.follow(step)
    return answered
