"""The steps that give the database account its rights: by setup itself, or by an administrator with a file. Pure."""

import re
import shlex
from collections.abc import Iterator

from hotdesk.grants import grants, has_each, needed, self_fitting
from hotdesk.settings import LOOPBACK
from hotdesk.setup.known import DATABASE_PORT, Answers, Known, account_of
from hotdesk.setup.steps import File, Remove, State, Statements, Step, digest, step_of

HIDDEN = "the-password-of-"
_SECRET = "IDENTIFIED BY"  # noqa: S105 # no password, but what stands before one
_PASSWORD = re.compile(r"IDENTIFIED BY '(?:[^'\\]|\\.)*'")


def files(answers: Answers) -> tuple[str, str]:
    """Return where statements are written to: with a password in them, and without one."""
    return f"{answers.secrets}/grants.sql", f"{answers.folder}/grants.sql"


def holds(known: Known) -> bool:
    """Return whether the account has all that it needs already."""
    answers, database = known.answers, known.database
    if database.by_account:
        return has_each(answers.purposes, database.held or frozenset())
    wanted = needed(answers.purposes, database.columns)
    return bool(wanted) and wanted <= (database.held or frozenset())


def by_administrator(known: Known) -> str:
    """Return the command that an administrator of the database runs; empty: nothing is left to one."""
    if holds(known) or known.database.administers:
        return ""
    answers = known.answers
    file = shlex.quote(_file(known))
    if answers.host not in LOOPBACK and answers.host != answers.address:
        return f"ssh root@{answers.host} mysql < {file}"
    if answers.port != DATABASE_PORT:
        return f"mysql -h {answers.host} -P {answers.port} -u root -p < {file}"
    return f"mysql < {file}"


def _file(known: Known) -> str:
    with_password, without = files(known.answers)
    return with_password if known.database.held is None else without


def giving(known: Known) -> Iterator[Step]:
    """Yield the steps that give the account what it needs."""
    answers, database = known.answers, known.database
    account = account_of(known)
    what = f"give {account} what it needs in {answers.database} on {answers.host}"
    is_seen = database.columns and not database.by_account
    if is_seen:
        lines = tuple(grants(account, answers.purposes, database.columns, creates_if_absent=database.creates_if_absent))
    else:  # its schema was not seen, or only what the account may see of it
        lines = tuple(self_fitting(account, answers.purposes))
    if database.held is not None and not database.administers:
        lines = tuple(line for line in lines if _SECRET not in line)  # it is there, with this password
    hidden = f"{_SECRET} '{HIDDEN}{answers.password_file}'"
    # those that fit any schema are long, and in the file
    shown = tuple(_PASSWORD.sub(lambda _: hidden, line) for line in lines) if is_seen else ()
    # it may be dropped by hand before it is taken back here
    drop = "DROP USER IF EXISTS" if database.creates_if_absent else "DROP USER"
    back = "" if database.has_account else f"{drop} {account};"
    act = Statements(run=tuple(line for line in lines if not line.startswith("--")), shown=shown, back=back)
    if holds(known):
        yield Step(what=what, back="", act=act, state=State.DONE)
        yield from _no_more_needed(known)
        return
    if database.has_account and database.held is None:
        why = f"there is such an account, and its password is another one: put that into {answers.password_file}"
        yield Step(what=what, back="", act=act, state=State.BY_HAND, why=why)
        return
    if database.administers:
        taken = f"DROP USER {account}" if back else "the account was there before: its new rights stay"
        yield Step(what=what, back=taken, act=act, state=State.TO_DO, asks="run these grants now")
        return
    yield from _by_file(known, lines)
    found = f"{database.unread}; " if database.unread else ""
    why = f"{found}an administrator of the database runs: {by_administrator(known)}"
    yield Step(what=what, back=f"DROP USER {account}", act=act, state=State.BY_HAND, why=why)


def _by_file(known: Known, lines: tuple[str, ...]) -> Iterator[Step]:
    file = _file(known)
    secret = file == files(known.answers)[0]
    text = "".join(f"{line}\n" for line in lines).encode()
    act = File(file, text, 0o600 if secret else 0o644, known.machine.owner, secret=True, takes_over=True)
    what = f"write {file}: the statements, {'with the password' if secret else 'without a password'}"
    yield step_of(act, what, known.seen, known.notes)


def _no_more_needed(known: Known) -> Iterator[Step]:
    """Yield the removal of statements that were run since; what somebody has changed stays."""
    for file in files(known.answers):
        mine, there = known.notes.of(file), known.seen.get(file)
        if mine is not None and there is not None and mine.digest == digest(there.content or b""):
            act = Remove(file, mine.copy)
            yield Step(what=f"remove {file}: its statements were run", back="", act=act, state=State.TO_DO)
