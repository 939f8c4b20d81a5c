"""The steps of `hotdesk setup`, in order: from what was found and what was answered. Pure."""

from collections.abc import Iterator

import msgspec

from hotdesk.grants import Purpose
from hotdesk.setup import units
from hotdesk.setup.firewalls import opening
from hotdesk.setup.giving import HIDDEN, by_administrator, files, giving
from hotdesk.setup.known import API_PORT, DATABASE_PORT, DEFAULT_REPLICATION, ROLES, Answers, Known, has_own_user
from hotdesk.setup.steps import Commands, File, Folder, Owner, State, Step, shell, step_of
from hotdesk.setup.units import PROFILE, PROGRAM

LOG = "/var/lib/hotdesk/hotdesk.db"
SCOPES = ("read", "pick", "admin")


def paths(answers: Answers) -> list[str]:
    """Return every path that setup may have something to do with."""
    mine = [answers.folder, answers.secrets, answers.password_file, answers.ami_file, answers.settings]
    mine += [f"{answers.secrets}/tokens", f"{answers.secrets}/tokens.collect", *files(answers)]
    return [*mine, LOG.rpartition("/")[0], PROFILE, *units.paths(answers)] if answers.serves else mine


def steps(known: Known) -> list[Step]:
    """Return all steps, those that are done already too."""
    answers, machine = known.answers, known.machine
    made = list(_files(known))
    if answers.serves and machine.systemd:
        made += units.units(known)
    elif answers.serves and not answers.kafka:
        folder = Folder(LOG.rpartition("/")[0], 0o700, machine.owner)
        made.append(step_of(folder, f"make {folder.path}, for the log", known.seen, known.notes))
    made += giving(known)
    if answers.kafka:
        made.append(_topics(known))
    if answers.serves:
        openings = (opening(machine.firewall, answers.api_port, each) for each in answers.let_in)
        made += [each for each in openings if each is not None]
        made += units.starting(known, made)
    return made


def _topics(known: Known) -> Step:
    absent = known.kafka.absent
    what = f"create hotdesk's topics in Kafka, at {', '.join(known.answers.kafka)}"
    command = (known.machine.program or PROGRAM, "topics", "create", "--config", known.answers.settings)
    if not absent:
        return Step(what=what, back="", act=Commands((command,)), state=State.DONE)
    back = "they stay: other machines may use them"
    return Step(what=what, back=back, act=Commands((command,)), state=State.TO_DO, asks="create the topics now")


def _user(known: Known) -> Iterator[Step]:
    if not has_own_user(known):
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
    if has_own_user(known):
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
    if answers.kafka:
        there = known.seen.get(f"{answers.secrets}/tokens")
        line = units.tokens_of_collectors(tokens.encode() if there is None else there.content or b"")
        path = f"{answers.secrets}/tokens.collect"
        act = File(path, f"{line}\n".encode(), mode, owner, secret=True)
        yield step(act, f"write {path}: for collectors, a digest by which one may read")
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

    log = [f"path = {text(LOG if answers.serves else f'{answers.folder}/hotdesk.db')}"]
    if answers.kafka:
        log = [f"bootstrap = [{', '.join(map(text, answers.kafka))}]"]
        log += [f"replication = {answers.replication}"] if answers.replication != DEFAULT_REPLICATION else []
    lines = [
        "# Settings of hotdesk, as `hotdesk setup` wrote them. `hotdesk init` writes all that there are, with their",
        "# meanings. Secrets never belong here.",
        "[log]",
        *log,
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
    if command := by_administrator(known):
        yield f"The database account lacks rights as yet. An administrator of the database runs: {command}"
        yield "    Then run setup again, which finds that."
    if answers.serves and known.machine.systemd:
        yield f"The status page: {answers.url}/ - sign in with your name and a token of {tokens}"
    else:
        if answers.serves:
            yield from units.by_other_init(known)
        else:
            yield f"Start it: {shell(('hotdesk', 'run', '--config', answers.settings))}"
        yield f"The status page is then at {answers.url}/ - sign in with your name and a token of {tokens}"
    if answers.serves and answers.kafka:
        yield f"On each other machine of hotdesk: copy {answers.secrets} there, and set it up with the same brokers:"
        yield f"    hotdesk setup --cluster {answers.cluster} --kafka {','.join(answers.kafka)}"
        yield f"    Let those machines in to TCP {ROLES['hotdesk-control']} of this one."
    if answers.serves and not known.machine.firewall.kind:
        yield f"No firewall was found here. If there is one, let web servers and people in to TCP {answers.api_port}."
    elif answers.serves and not answers.let_in:
        yield "The firewall lets no address in yet: name web servers and your own network with --let-in ADDRESS."
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
