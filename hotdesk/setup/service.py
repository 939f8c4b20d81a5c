"""The steps of `hotdesk setup`, in order: from what was found and what was answered. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from hotdesk.grants import Account, Purpose, grants, needed
from hotdesk.setup.facts import SINCE_CREDENTIALS, InDatabase, Machine
from hotdesk.setup.firewalls import opening
from hotdesk.setup.steps import (
    RELOAD,
    UNITS,
    Commands,
    File,
    Folder,
    Notes,
    Owner,
    Seen,
    State,
    Statements,
    Step,
    shell,
    step_of,
)

FOLDER = "/etc/hotdesk"
LOG = "/var/lib/hotdesk/hotdesk.db"
UNIT = f"{UNITS}hotdesk.service"
DROP_IN = f"{UNITS}hotdesk.service.d/secrets.conf"
PROFILE = "/etc/profile.d/hotdesk.sh"
PROGRAM = "/opt/hotdesk/current/bin/hotdesk"
"""The one that stands in the unit as it is shipped."""
SERVICE = "hotdesk"
API_PORT = 8470
DATABASE_PORT = 3306
SCOPES = ("read", "pick", "admin")
OF_OWN_USER = "[Service]\nDynamicUser=no\nBindReadOnlyPaths=\n"
"""The drop-in where the secrets belong to a group of the service's own user."""
HIDDEN = "the-password-of-"
_OF_MAIN = re.compile(r"LoadCredential=main\.(\S+?):\S+")
_PASSWORD = re.compile(r"IDENTIFIED BY '(?:[^'\\]|\\.)*'")


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of a person, or of an option."""

    cluster: str = "main"
    host: str
    """VICIdial's database."""
    port: int = DATABASE_PORT
    database: str = "asterisk"
    account: str = "hotdesk"
    address: str
    """This machine's, as web servers reach it; the database sees it come from there, too."""
    comes_from: str
    """The account's host."""
    api_port: int = API_PORT
    purposes: frozenset[Purpose] = frozenset()
    ami: bool = False
    let_in: tuple[str, ...] = ()
    """Addresses and networks that may ask: web servers, people."""
    folder: str = FOLDER
    """Any other than FOLDER: no service is set up."""

    @property
    def serves(self) -> bool:
        """True: it becomes a service of this machine."""
        return self.folder == FOLDER

    @property
    def secrets(self) -> str:
        """The folder of passwords and tokens."""
        return f"{self.folder}/secrets"

    @property
    def password_file(self) -> str:
        """The file of the database account's password."""
        return f"{self.secrets}/{self.cluster}.password"

    @property
    def ami_file(self) -> str:
        """The file of the AMI account's secret."""
        return f"{self.secrets}/{self.cluster}.ami"

    @property
    def settings(self) -> str:
        """The settings file."""
        return f"{self.folder}/hotdesk.toml"

    @property
    def url(self) -> str:
        """Where the API and the status page answer."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.api_port}"


class Made(NamedTuple):
    """Secrets for what has none yet."""

    password: str
    tokens: tuple[str, str, str]
    """For SCOPES."""
    ami: str

    def __repr__(self) -> str:
        return "Made()"


class Known(NamedTuple):
    """All that `steps` go by."""

    machine: Machine
    database: InDatabase
    answers: Answers
    made: Made
    seen: Mapping[str, Seen]
    """At `paths`."""
    notes: Notes


def paths(answers: Answers) -> list[str]:
    """Return every path that setup may have something to do with."""
    mine = [answers.folder, answers.secrets, answers.password_file, answers.ami_file, answers.settings]
    mine += [f"{answers.secrets}/tokens", f"{answers.secrets}/grants.sql"]
    folders = [LOG.rpartition("/")[0], DROP_IN.rpartition("/")[0]]
    return [*mine, *folders, UNIT, DROP_IN, PROFILE] if answers.serves else mine


def steps(known: Known) -> list[Step]:
    """Return all steps, those that are done already too."""
    made = list(_files(known))
    if known.answers.serves and known.machine.systemd:
        made += _unit(known)
    elif known.answers.serves:
        folder = Folder(LOG.rpartition("/")[0], 0o700, known.machine.owner)
        made.append(step_of(folder, f"make {folder.path}, for the log", known.seen, known.notes))
    made += _grants(known)
    if known.answers.serves:
        openings = (opening(known.machine.firewall, known.answers.api_port, each) for each in known.answers.let_in)
        made += [each for each in openings if each is not None]
        if known.machine.systemd:
            made.append(_service(known, made))
    return made


def _has_own_user(known: Known) -> bool:
    """Return whether a user must be made who may read the secrets: an older systemd cannot hand them over."""
    return known.answers.serves and 0 < known.machine.systemd < SINCE_CREDENTIALS


def _user(known: Known) -> Iterator[Step]:
    if not _has_own_user(known):
        return
    yield Step(
        what="make the user hotdesk, who may read the secrets: this systemd cannot hand them to a service",
        back="the user is removed",
        act=Commands(run=(("useradd", "--system", "--user-group", "hotdesk"),), back=(("userdel", "hotdesk"),)),
        state=State.DONE if known.machine.has_user else State.TO_DO,
    )


def _files(known: Known) -> Iterator[Step]:
    answers, made = known.answers, known.made

    def step(act: File | Folder, what: str) -> Step:
        return step_of(act, what, known.seen, known.notes)

    owner, mode = known.machine.owner, 0o600
    if _has_own_user(known):
        owner, mode = Owner("root", "hotdesk"), 0o640
    of_folder = mode | (mode & 0o444) >> 2
    yield step(Folder(answers.folder, 0o755, known.machine.owner), f"make {answers.folder}")
    # after the folder that the notes are in, which goes last
    yield from _user(known)
    yield step(Folder(answers.secrets, of_folder, owner, exact=True), f"make {answers.secrets}, closed to others")

    def secret(path: str, text: str, what: str) -> Step:
        return step(File(path, f"{text}\n".encode(), mode, owner, secret=True, stays=True), f"write {path}: {what}")

    yield secret(answers.password_file, made.password, "the password of the database account")
    tokens = "\n".join(f"{scope} {token}" for scope, token in zip(SCOPES, made.tokens, strict=True))
    yield secret(f"{answers.secrets}/tokens", tokens, "a token to read, one for web servers, one to give orders")
    if answers.ami:
        yield secret(answers.ami_file, made.ami, "the secret of the AMI account on the dialers")
    settings = File(answers.settings, settings_text(answers).encode(), 0o644, known.machine.owner)
    yield step(settings, f"write {answers.settings}: the settings, without a secret")
    if answers.serves:
        line = f"export HOTDESK_CONFIG={answers.settings}\n"
        what = f"write {PROFILE}: commands find the settings"
        made_step = step(File(PROFILE, line.encode(), 0o644, known.machine.owner), what)
        there = known.seen.get(PROFILE)
        says_so = there is not None and line.strip().encode() in (there.content or b"")
        yield msgspec.structs.replace(made_step, state=State.DONE) if says_so else made_step


def settings_text(answers: Answers) -> str:
    """Return the settings file."""

    def text(value: str) -> str:
        return msgspec.json.encode(value).decode()

    log = LOG if answers.serves else f"{answers.folder}/hotdesk.db"
    lines = [
        "# Settings of hotdesk, as `hotdesk setup` wrote them. `hotdesk init` writes all that there are, with their",
        "# meanings. Secrets never belong here.",
        "[log]",
        f"path = {text(log)}",
        "",
        "[api]",
        f"host = {text(answers.address)}",
        *([f"port = {answers.api_port}"] if answers.api_port != API_PORT else []),
        f"token_file = {text(f'{answers.secrets}/tokens')}",
        "",
        f"[clusters.{answers.cluster}]",
        f"host = {text(answers.host)}",
        *([f"port = {answers.port}"] if answers.port != DATABASE_PORT else []),
        f"user = {text(answers.account)}",
        f"password_file = {text(answers.password_file)}",
        f"database = {text(answers.database)}",
        *(['ami_user = "hotdesk"', f"ami_secret_file = {text(answers.ami_file)}"] if answers.ami else []),
        f'mode = "{"act" if Purpose.ACT in answers.purposes else "advise"}"',
        *(["fence = true"] if Purpose.FENCE in answers.purposes else []),
        *(["emergency_logout = true"] if Purpose.EMERGENCY in answers.purposes else []),
    ]
    return "\n".join(lines) + "\n"


def _unit(known: Known) -> Iterator[Step]:
    answers, machine = known.answers, known.machine
    if not machine.packaged:
        text = machine.unit.replace(f"ExecStart={PROGRAM} ", f"ExecStart={machine.program or PROGRAM} ")
        yield step_of(File(UNIT, text.encode(), 0o644), f"write {UNIT}: the service", known.seen, known.notes)
    yield step_of(Folder(DROP_IN.rpartition("/")[0], 0o755), "make the folder of its drop-ins", known.seen, known.notes)
    text = OF_OWN_USER if _has_own_user(known) else drop_in_text(machine.drop_in, answers)
    there = known.seen.get(DROP_IN)
    # as a package brought it, it is nobody's change
    brought = there is not None and there.content == machine.drop_in.encode()
    act = File(DROP_IN, text.encode(), 0o644, takes_over=brought)
    yield step_of(act, f"write {DROP_IN}: the secrets that it is given", known.seen, known.notes)


def drop_in_text(shipped: str, answers: Answers) -> str:
    """Return the drop-in with this cluster's secrets, those of AMI too if it is asked."""
    cluster = answers.cluster
    text = _OF_MAIN.sub(rf"LoadCredential={cluster}.\1:{answers.secrets}/{cluster}.\1", shipped)
    return text.replace(f"#LoadCredential={cluster}.ami:", f"LoadCredential={cluster}.ami:") if answers.ami else text


def account_of(known: Known) -> Account:
    """Return the database account, with the password that is in use."""
    there = known.seen.get(known.answers.password_file)
    in_use = there.content.decode(errors="replace").strip() if there is not None and there.content is not None else ""
    answers = known.answers
    return Account(answers.account, answers.comes_from, in_use or known.made.password, answers.database)


def _grants(known: Known) -> Iterator[Step]:
    answers, database = known.answers, known.database
    account = account_of(known)
    what = f"give {account} what it needs in {answers.database} on {answers.host}"
    if not database.columns:
        why = f"{database.unread or 'its schema was not seen'}: `hotdesk grants` prints the statements there"
        yield Step(what=what, back="", act=Statements((), ()), state=State.BY_HAND, why=why)
        return
    lines = tuple(grants(account, answers.purposes, database.columns, creates_if_absent=database.creates_if_absent))
    hidden = f"IDENTIFIED BY '{HIDDEN}{answers.password_file}'"
    shown = tuple(_PASSWORD.sub(lambda _: hidden, line) for line in lines)
    # it may be dropped by hand before it is taken back here
    drop = "DROP USER IF EXISTS" if database.creates_if_absent else "DROP USER"
    back = "" if database.has_account else f"{drop} {account};"
    act = Statements(run=tuple(line for line in lines if not line.startswith("--")), shown=shown, back=back)
    if _holds(known):
        yield Step(what=what, back="", act=act, state=State.DONE)
        return
    if database.has_account and database.held is None:
        why = f"there is such an account, and its password is another one: put that into {answers.password_file}"
        yield Step(what=what, back="", act=act, state=State.BY_HAND, why=why)
        return
    if database.administers:
        taken = f"DROP USER {account}" if back else "the account was there before: its new rights stay"
        yield Step(what=what, back=taken, act=act, state=State.TO_DO, asks="run these grants now")
        return
    file = f"{answers.secrets}/grants.sql"
    text = "".join(f"{line}\n" for line in lines).encode()
    yield step_of(
        File(file, text, 0o600, known.machine.owner, secret=True, takes_over=True),
        f"write {file}: the statements, with the password",
        known.seen,
        known.notes,
    )
    why = f"as an administrator of the database: mysql -h {answers.host} -u root -p < {file}"
    yield Step(what=what, back=f"DROP USER {account}", act=act, state=State.BY_HAND, why=why)


def _holds(known: Known) -> bool:
    """Return whether the account has all that it needs already."""
    wanted = needed(known.answers.purposes, known.database.columns)
    return bool(wanted) and wanted <= (known.database.held or frozenset())


def _service(known: Known, made: list[Step]) -> Step:
    what = "start the service, now and at each start of the machine"
    back = (("systemctl", "disable", "--now", SERVICE),)
    changed = any(
        each.state is State.TO_DO and isinstance(each.act, File) and each.act.path != PROFILE for each in made
    )
    if not known.machine.active:
        act = Commands(run=(RELOAD, ("systemctl", "enable", "--now", SERVICE)), back=back)
        return Step(what=what, back="it is stopped and disabled", act=act, state=State.TO_DO)
    if changed:
        act = Commands(run=(RELOAD, ("systemctl", "restart", SERVICE)))
        return Step(what="restart the service", back="", act=act, state=State.TO_DO)
    return Step(what=what, back="", act=Commands((), back), state=State.DONE)


def manager_block(answers: Answers) -> list[str]:
    """Return the lines of a dialer's manager.conf, without the secret."""
    return [
        "[hotdesk]",
        f"secret = {HIDDEN}{answers.ami_file}",
        "deny = 0.0.0.0/0.0.0.0",
        f"permit = {answers.address}/255.255.255.255",
        "read =",
        "write = reporting",
    ]


def closing(known: Known) -> Iterator[str]:
    """Yield what a person does next, on this and on other machines."""
    answers, database = known.answers, known.database
    tokens = f"{answers.secrets}/tokens"
    if not (database.administers or _holds(known)):
        yield "The database account lacks rights as yet: see the step to be done by hand."
    if answers.serves and known.machine.systemd:
        yield f"The status page: {answers.url}/ - sign in with your name and a token of {tokens}"
    else:
        yield f"Start it: {shell(('hotdesk', 'run', '--config', answers.settings))}"
        yield f"The status page is then at {answers.url}/ - sign in with your name and a token of {tokens}"
    if answers.serves and not known.machine.firewall.kind:
        yield f"No firewall was found here. If there is one, let web servers and people in to TCP {answers.api_port}."
    elif answers.serves and not answers.let_in:
        yield "Nobody was let in through the firewall: name web servers and your own network with --let-in ADDRESS."
    named = ", ".join(map(str, database.web_servers)) or "VICIdial's database names none"
    yield f"On each web server ({named}), with hotdesk installed there too: the login hook"
    at = database.web_servers[0].address if len(database.web_servers) == 1 else ""
    give = f"""awk '$1 == "pick" {{print $2; exit}}' {tokens}"""
    install = f"hotdesk hook install --url {answers.url} --cluster {answers.cluster} --token-file - --yes"
    yield f"    {give} | ssh root@{at or 'WEB-SERVER'} {install}"
    dialers = ", ".join(map(str, database.dialers)) or "none is known yet"
    yield f"On each dialer ({dialers}): let {answers.address} in to UDP 5060" + (
        " and TCP 5038, and put this into /etc/asterisk/manager.conf; then: asterisk -rx 'manager reload'"
        if answers.ami
        else ""
    )
    if answers.ami:
        yield from (f"    {line}" for line in manager_block(answers))
    yield f"Then: hotdesk check{'' if answers.serves else f' --config {answers.settings}'}"
