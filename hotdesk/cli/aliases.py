"""`hotdesk aliases`: the phones and aliases of all desks, planned, made, written for softphones, and verified."""

import asyncio
import os
import secrets
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Annotated, NamedTuple, Self
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from controller.api.secret_files import UnsafeFileError, read_private, refuse_readable_by_all
from controller.core.readiness import ReadinessFinding
from controller.vicidial.non_agent_api import Answered, NonAgentApi
from hotdesk import settings
from hotdesk.aliases import choosing, desk_file, planning, private_files, softphones, undoing
from hotdesk.aliases.applying import Progress, carried_out
from hotdesk.aliases.reading import existing_in
from hotdesk.aliases.records import (
    NEW_PASSWORD,
    NEW_SECRET,
    AnyStep,
    DeleteAlias,
    DeletePhone,
    Desk,
    DeskPlan,
    Dialer,
    Existing,
    Phone,
    Plan,
)
from hotdesk.aliases.registered import Place, Registration, ask_dialers, places_of, station_of
from hotdesk.aliases.ringing import ring
from hotdesk.aliases.steps import SECRET_FIELDS, Credentials, filled, line_of, request_of
from hotdesk.aliases.words import counted, sum_of, to_do
from hotdesk.cli.client import AsJson, ClusterName
from hotdesk.cli.log_reader import the_only
from hotdesk.cli.terminal import Console, agrees, complain, row, say, say_json, table
from hotdesk.errors import DatabaseFailure, HotdeskError, SettingsError
from hotdesk.settings import LOOPBACK, ClusterSettings, ClusterTables, Options, Settings, read_secret
from messages.codes import Reply
from messages.names import compared
from messages.records import AliasDefect, ServerIp
from messages.shown import reason_of
from messages.words import remedy, sentence

DEFAULTS = Options()
TYPED = "abcdefghjkmnpqrstuvwxyz23456789"
"""The signs of a new login password: agents type it, so none looks like another."""
KEPT = string.ascii_letters + string.digits
"""The signs of a new registration secret: VICIdial and every softphone leave them as they are."""
READINESS = "run collectors/grants-readiness.sql"

Write = Callable[[str], object]
"""Adds a line to the undo file."""

Yes = Annotated[bool, Parameter(name="--yes", negative="", help="Do not ask: for scripts.")]
Gone = Annotated[
    tuple[str, ...],
    Parameter(
        consume_multiple=True,
        negative="",
        help="Dialers that go away: aliases list their phones no more, and these are deleted.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Choice:
    """Which desks, on which dialers."""

    desks: Annotated[Path | None, Parameter(help="File of desks (CSV); default: the aliases that there are.")] = None
    from_dialer: Annotated[str, Parameter(help="A desk for each active phone of this dialer, by name or address.")] = ""
    dialers: Annotated[
        tuple[str, ...],
        Parameter(
            consume_multiple=True, negative="", help="Dialers, by name or address; default: all that take agents."
        ),
    ] = ()


ALL_THERE_IS = Choice()


class _Wanted(NamedTuple):
    """The subject of a command."""

    cluster: str
    settings: ClusterSettings
    existing: Existing
    desks: Sequence[Desk]
    dialers: Sequence[Dialer]


class _DeskAnswer(msgspec.Struct, frozen=True, kw_only=True):
    alias: str
    extension: str
    steps: Sequence[str]
    contradictions: Sequence[ReadinessFinding]
    remarks: Sequence[ReadinessFinding]


class _PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    cluster: str
    dialers: Sequence[ServerIp]
    desks: Sequence[_DeskAnswer]
    kept_for_good: Sequence[str]
    """Steps that --undo could not take back."""


class _RingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    alias: str
    server_ip: ServerIp
    dialer: str
    answered: bool
    why: str
    """Why it was not answered."""


def plan(  # noqa: PLR0913 # one for each flag
    *,
    choice: Choice = ALL_THERE_IS,
    gone: Gone = (),
    cluster: ClusterName = "",
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Show what the desks lack and what contradicts, and what would be made, changed or left; nothing is changed.

    The exit code is 1 if some desk contradicts itself and would be left out.
    """
    wanted, planned = _planned(_wanted(choice, cluster, options, clusters), gone)
    if as_json:
        say_json(
            _PlanAnswer(
                cluster=wanted.cluster,
                dialers=[each.server_ip for each in wanted.dialers],
                desks=[_answer(desk, wanted.existing) for desk in planned.desks],
                kept_for_good=[
                    line_of(step, wanted.existing) for step in undoing.kept_for_good(planned.steps, wanted.existing)
                ],
            )
        )
    else:
        _show(planned, wanted)
    return 1 if planned.contradictions else 0


def apply(  # noqa: PLR0913 # the same
    *,
    vicidial: Annotated[str, Parameter(help="VICIdial's API: https://WEB/vicidial/non_agent_api.php")],
    user: Annotated[str, Parameter(help="A VICIdial user of level 8 with agent API access and AST admin access.")],
    password_file: Annotated[Path, Parameter(help="File with that user's password.")],
    choice: Choice = ALL_THERE_IS,
    gone: Gone = (),
    undo: Annotated[Path | None, Parameter(help="Take back what an earlier run made, by the file it wrote.")] = None,
    cluster: ClusterName = "",
    yes: Yes = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Make what `hotdesk aliases plan` shows, through VICIdial's own API; asked first.

    A file to take it back is written before the first change. Run again, it goes on from what there is. The exit code
    is 1 if something was not done.
    """
    api = NonAgentApi(_address(vicidial), user, read_secret(str(password_file), "VICIdial user's password"))
    if undo is not None:
        return _take_back(undo, api, cluster, settings.clusters(clusters, options, os.environ), yes=yes)
    wanted, planned = _planned(_wanted(choice, cluster, options, clusters), gone)
    _show(planned, wanted)
    left_out = 1 if planned.contradictions else 0
    if not planned.steps:
        return left_out
    if occupied := _occupied(planned.steps, wanted.existing):
        raise HotdeskError(f"nothing was changed: {occupied}")
    _refuse_useless(api)
    say(_where(wanted.cluster, wanted.settings, api))
    if not (yes or agrees(f"make these {len(planned.steps)} changes in {wanted.cluster} through {api.url}")):
        raise HotdeskError("nothing was changed")
    made = {desk.alias_id: _new_credentials() for desk in planned.desks if desk.new_password or desk.new_secret}
    whole = filled(planned, made)
    file = _undo_path(wanted.cluster)
    with _UndoFile(file) as journal:
        journal.write(undoing.head(wanted.cluster, whole.steps, wanted.existing))
        say(f"'hotdesk aliases apply --undo {file}' takes back what is made from here on")
        mark = partial(_mark, journal.write)
        last = _followed(carried_out([desk for desk in whole.desks if desk.steps], partial(_asked, api), mark))
    _refresh(api, last)
    return max(left_out, _ended(last, wanted.existing))


def phones(  # noqa: PLR0913 # the same
    *,
    wanted_format: Annotated[softphones.Format, Parameter(name="--format", help="The softphone.")],
    to: Annotated[Path, Parameter(help="Folder for the files; made if it is not there.")],
    choice: Choice = ALL_THERE_IS,
    cluster: ClusterName = "",
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Write a file for each desk's softphone, with an account for each dialer; only you can read them.

    The exit code is 1 if some desk has no file.
    """
    wanted = _wanted(choice, cluster, options, clusters)
    left_out = 0
    try:
        to.mkdir(mode=private_files.FOLDER_MODE, parents=True, exist_ok=True)
        written = 0
        for desk in wanted.desks:
            try:
                file = softphones.file_of(_softphone(desk, wanted), wanted_format)
            except softphones.NoFileError as error:
                complain(f"{desk.alias_id} is left out: {error}")
                left_out = 1
                continue
            private_files.replace(to / file.name, file.text)
            written += 1
    except OSError as error:
        raise HotdeskError(f"{to} cannot be written: {error.strerror}") from error
    say(f"wrote {counted(written, 'file')} for {wanted_format} to {to}: each has a secret, and only you can read it")
    return left_out


def verify(  # noqa: PLR0913 # the same
    *,
    choice: Choice = ALL_THERE_IS,
    ring_desk: Annotated[
        str, Parameter(name="--ring", help="Call this desk (alias or extension) from each dialer, with a short tone.")
    ] = "",
    yes: Yes = False,
    cluster: ClusterName = "",
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Show which desks are registered on which dialers now, asked of the dialers by AMI.

    The exit code is 0 if all of them are.
    """
    wanted = _wanted(choice, cluster, options, clusters)
    if ring_desk:
        return _ring(ring_desk, wanted, yes=yes, as_json=as_json)
    ips = [each.server_ip for each in wanted.dialers]
    listed = asyncio.run(ask_dialers(wanted.settings.probe_settings(), ips))
    places = places_of(wanted.existing, wanted.desks, wanted.dialers, listed)
    fine = {Registration.REGISTERED, Registration.NOT_ASKED}
    missing = [each for each in places if each.registration not in fine]
    if as_json:
        say_json(places)
    else:
        _show_places(places, missing, wanted)
    return 1 if missing else 0


def _wanted(choice: Choice, cluster: str, options: Options, tables: ClusterTables) -> _Wanted:
    known = settings.clusters(tables, options, os.environ)
    name = cluster or the_only(list(known))
    of_cluster = _settings_of(known, name)
    # the file first: its faults are found without a database
    from_file = None if choice.desks is None else _read_desks(choice.desks)
    if from_file is not None and choice.from_dialer:
        raise SettingsError("--desks and --from-dialer both say which desks: use one of them")
    existing = existing_in(of_cluster.database_settings())
    if choice.dialers:
        dialers = [_dialer(existing, each) for each in choice.dialers]
    else:
        dialers = [each for each in existing.dialers if each.takes_agents]
    if from_file is not None:
        desks = from_file
    elif choice.from_dialer:
        desks = choosing.desks_of_dialer(existing, _dialer(existing, choice.from_dialer).server_ip)
    else:
        desks = choosing.desks_of_aliases(existing)
    if not dialers:
        raise DatabaseFailure(
            "no dialer takes agents: active_asterisk_server and active_agent_login_server say which do"
        )
    if not desks:
        raise SettingsError("there are no desks: name a file with --desks, or a dialer with --from-dialer")
    return _Wanted(name, of_cluster, existing, desks, dialers)


def _settings_of(known: Mapping[str, ClusterSettings], name: str) -> ClusterSettings:
    if name not in known:
        raise SettingsError(f"there is no cluster {name!r} in the settings; there are {', '.join(known) or 'none'}")
    return known[name]


def _read_desks(file: Path) -> list[Desk]:
    try:
        text = file.read_text(encoding="utf-8")
        desks = desk_file.parse(text, str(file))
        if any(desk.password or desk.secret for desk in desks):
            refuse_readable_by_all(file, file.stat().st_mode)
    except desk_file.DeskFileError as error:
        raise SettingsError(str(error)) from error
    except UnsafeFileError as error:
        raise SettingsError(f"{file} has secrets: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8: save it as 'CSV UTF-8'") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error
    return desks


def _dialer(existing: Existing, name: str) -> Dialer:
    found = choosing.dialer_named(existing, name)
    if found is None:
        raise SettingsError(
            f"there is no dialer {name!r}; there are {', '.join(each.shown for each in existing.dialers)}"
        )
    return found


def _planned(wanted: _Wanted, gone: Sequence[str]) -> tuple[_Wanted, Plan]:
    """Return what is wanted on the dialers that stay, and the plan for it."""
    leaving = [_dialer(wanted.existing, each).server_ip for each in gone]
    left = wanted._replace(dialers=[each for each in wanted.dialers if each.server_ip not in leaving])
    ips = [each.server_ip for each in left.dialers]
    return left, planning.plan(left.existing, left.desks, ips, leaving)


def _answer(desk: DeskPlan, existing: Existing) -> _DeskAnswer:
    return _DeskAnswer(
        alias=desk.alias_id,
        extension=desk.extension,
        steps=[line_of(step, existing) for step in desk.steps],
        contradictions=desk.contradictions,
        remarks=desk.remarks,
    )


def _show(planned: Plan, wanted: _Wanted) -> None:
    concerned = [desk for desk in planned.desks if desk.steps or desk.contradictions or desk.remarks]
    if concerned:
        rows = table("alias", "extension", "to do", "what contradicts", title=f"desks of {wanted.cluster}")
        for desk in concerned:
            found = [*desk.contradictions, *desk.remarks]
            why = "\n".join(f"{each.what}: {each.remedy}" for each in found)
            row(rows, desk.alias_id, desk.extension, to_do(desk, wanted.existing), why)
        Console().print(rows)
    for step in planned.steps:
        say(line_of(step, wanted.existing))
    _say_right(planned.steps)
    if occupied := _occupied(planned.steps, wanted.existing):
        say(f"'hotdesk aliases apply' would refuse this now: {occupied}")
    for step in undoing.kept_for_good(planned.steps, wanted.existing):
        say(f"could not be taken back by --undo: {line_of(step, wanted.existing)}")
    left = sum(not desk.steps and not desk.contradictions for desk in planned.desks)
    refused = sum(bool(desk.contradictions) for desk in planned.desks)
    say(
        f"{wanted.cluster}: {counted(len(planned.desks), 'desk')} on {counted(len(wanted.dialers), 'dialer')}:"
        f" {sum_of(planned.steps) or 'nothing to do'}; {left} as they should be, {refused} left out"
    )


def _say_right(steps: Sequence[AnyStep]) -> None:
    """Name the right that a deletion needs: it cannot be tried without deleting something."""
    if any(isinstance(step, DeletePhone | DeleteAlias) for step in steps):
        say("deleting needs a VICIdial user with AST delete phones")


def _occupied(steps: Sequence[AnyStep], existing: Existing) -> str:
    """Return which dialers have agents, who may sit at phones that would be deleted; empty: none has."""
    leaving = {step.server_ip for step in steps if isinstance(step, DeletePhone)}
    there = [each for each in existing.dialers if each.server_ip in leaving and each.agents]
    if not there:
        return ""
    counts = ", ".join(f"{counted(each.agents, 'agent')} on {each.shown}" for each in there)
    return (
        f"{counts} would lose the phones there: 'hotdesk drain {there[0].server_ip}', and wait until no agent is left"
    )


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
    begins = f"hotdesk-aliases-{cluster}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    names = (Path(f"{begins}{f'-{number}' if number else ''}.undo") for number in count())
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
    of_cluster = _settings_of(known, undo.cluster)
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
    _say_right(undo.steps)
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


def _softphone(desk: Desk, wanted: _Wanted) -> softphones.SoftphoneDesk:
    """Return a desk as its softphone needs it.

    Raises:
        NoFileError: it has no phones that register, or their secret is not known, or is not one.
    """
    there = wanted.existing.phones_by_extension.get(compared(desk.extension), {})
    ips = {each.server_ip: each for each in wanted.dialers if each.server_ip in there}
    if not ips:
        raise softphones.NoFileError("it has no phones there: 'hotdesk aliases apply' makes them")
    mine = [phone for phone in map(there.__getitem__, ips) if softphones.registers_by_sip(phone)]
    if not mine:
        raise softphones.NoFileError(
            "none of its phones there registers by SIP: they are not active, webphones, or of another protocol"
        )
    known = {phone.secret for phone in mine}
    if desk.secret:
        known = {desk.secret}
    if None in known:
        raise softphones.NoFileError(f"its secret cannot be read: {READINESS}, or write it into the file of desks")
    if len(known) > 1:
        defect = AliasDefect.SECRETS_DIFFER
        raise softphones.NoFileError(f"{sentence(defect)}: {remedy(defect)}")
    secret = known.pop()
    if not secret:
        raise softphones.NoFileError("its secret is empty, so nothing can register: write one into the file of desks")
    return softphones.SoftphoneDesk(
        alias_id=desk.alias_id,
        name=desk.name or desk.alias_id,
        extension=mine[0].extension,
        password=desk.password or mine[0].password or "",
        secret=secret,
        accounts=tuple(
            softphones.Account(
                phone.server_ip, _sip_port(wanted.settings, phone), ips[phone.server_ip].shown, phone.login
            )
            for phone in mine
        ),
    )


def _sip_port(cluster: ClusterSettings, phone: Phone) -> int:
    own = cluster.probes.get(phone.server_ip)
    return cluster.sip_port if own is None or own.sip_port is None else own.sip_port


def _show_places(places: Sequence[Place], missing: Sequence[Place], wanted: _Wanted) -> None:
    if missing:
        rows = table("alias", "extension", "dialer", "registration", "why")
        for each in missing:
            row(rows, each.alias_id, each.extension, each.dialer, each.registration, each.why)
        Console().print(rows)
    registered = sum(each.registration is Registration.REGISTERED for each in places)
    away = len({each.alias_id for each in missing})
    lacking = f"{counted(away, 'desk')} {'is' if away == 1 else 'are'} not registered everywhere"
    say(
        f"{wanted.cluster}: {counted(registered, 'registration')} of {counted(len(wanted.desks), 'desk')} on"
        f" {counted(len(wanted.dialers), 'dialer')}; {lacking if missing else 'none is missing'}"
    )


def _ring(name: str, wanted: _Wanted, *, yes: bool, as_json: bool) -> int:
    desk = next(
        (each for each in wanted.desks if compared(name) in {compared(each.alias_id), compared(each.extension)}), None
    )
    if desk is None:
        raise SettingsError(f"there is no desk {name!r}: name an alias or an extension")
    probes = wanted.settings.probe_settings()
    targets = probes.probes_of([each.server_ip for each in wanted.dialers])
    there = wanted.existing.phones_by_extension.get(compared(desk.extension), {})
    phones = [(dialer, phone) for dialer in wanted.dialers if (phone := there.get(dialer.server_ip)) is not None]
    calls = [
        (dialer, phone, target) for dialer, phone in phones if (target := targets[dialer.server_ip].ami) is not None
    ]
    if not phones:
        raise SettingsError(f"{desk.alias_id} has no phone on these dialers")
    if len(calls) < len(phones):
        raise SettingsError("there is no AMI account to call with: set ami_user and ami_secret_file")
    if as_json and not yes:
        raise SettingsError("nothing was called: with --json nobody is asked, so say --yes")
    if not yes and not agrees(f"call {desk.alias_id} from {counted(len(calls), 'dialer')}, one after the other"):
        raise HotdeskError("nothing was called")
    answers = []
    for dialer, phone, target in calls:
        rung = ring(target, station_of(phone))
        answers.append(
            _RingAnswer(
                alias=desk.alias_id,
                server_ip=dialer.server_ip,
                dialer=dialer.shown,
                answered=rung.answered,
                why=rung.said,
            )
        )
        if not as_json:
            say(f"{dialer.shown}: {'answered' if rung.answered else rung.said}")
    if as_json:
        say_json(answers)
    return 0 if all(each.answered for each in answers) else 1
