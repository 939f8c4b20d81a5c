"""What `hotdesk check` looks at: settings, databases, grants, the log and its topics."""

import os
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from collectors.database import DatabaseError, VicidialDatabase
from collectors.observer import Observer
from hotdesk.failures import DatabaseFailure, HotdeskError, LogFailure, SettingsError
from hotdesk.service import open_log
from hotdesk.settings import ClusterSettings, LogOptions
from messages.records import Poll
from messages.topics import Topic
from stream.log import LogError, LogInUseError
from stream.topics import check_topics


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `hotdesk check`."""

    verdict: Verdict
    subject: str
    what: str
    remedy: str = ""
    exit_code: int = 0
    """What the command ends with, if this is the worst."""


def check_everything(log: LogOptions, clusters: Mapping[str, ClusterSettings]) -> Iterator[Finding]:
    """Look at everything, one finding after the other; nothing found wrong stops the rest."""
    yield from _check_log(log)
    if not clusters:
        yield _wrong(SettingsError("no cluster is set"), "settings", "write a [clusters.NAME] table into the TOML file")
    for name, settings in clusters.items():
        yield from _check_cluster(name, settings)


def _check_log(options: LogOptions) -> Iterator[Finding]:
    try:
        if options.bootstrap:
            problems = check_topics(options.kafka())
            for problem in problems:
                yield Finding(
                    verdict=Verdict.WRONG,
                    subject=f"topic {problem.topic}",
                    what=problem.wrong,
                    remedy=problem.remedy,
                    exit_code=LogFailure.exit_code,
                )
            if not problems:
                yield _ok(
                    "log", f"Kafka at {','.join(options.bootstrap)} has the {len(Topic)} topics as they should be"
                )
            return
        if not options.path.exists():
            yield _fresh_log(options.path)
            return
        with open_log(options):
            yield _ok("log", f"the embedded log {options.path} can be opened")
    except LogFailure as error:
        if isinstance(error.__cause__, LogInUseError):
            yield Finding(
                verdict=Verdict.NOTE, subject="log", what=str(error), remedy="as it should be, if that is your hotdesk"
            )
        else:
            yield _wrong(error, "log", "mend what the message says, or set log.path")
    except HotdeskError as error:
        yield _wrong(error, "log", "mend what the message says")
    except LogError as error:
        yield _wrong(LogFailure(str(error)), "log", "check log.bootstrap and the broker")


def _fresh_log(path: Path) -> Finding:
    """Look whether a log that is not there yet could be made, without making it."""
    folder = path.absolute().parent
    if os.access(folder, os.W_OK | os.X_OK):
        return _ok("log", f"the embedded log {path} will be made at the first start")
    return _wrong(
        LogFailure(f"the embedded log {path} cannot be made"),
        "log",
        f"let this user write into {folder}, or set log.path",
    )


def _check_cluster(name: str, settings: ClusterSettings) -> Iterator[Finding]:
    subject = f"cluster {name}"
    try:
        with VicidialDatabase(settings.database_settings()) as database:
            tried = database.run_each()
            refused = {statement: error for statement, error in tried.items() if error is not None}
            for statement, error in refused.items():
                yield _wrong(DatabaseFailure(str(error)), subject, f"the '{statement}' statement needs that grant")
            if refused:
                return
            yield _ok(subject, f"{settings.database_settings().where}: all {len(tried)} statements may run")
            if database.missing_columns:
                yield Finding(
                    verdict=Verdict.NOTE,
                    subject=subject,
                    what=f"absent, or not granted: {', '.join(database.missing_columns)}",
                    remedy="an older VICIdial lacks some; grant those that are there",
                )
            yield from _check_dialers(subject, database)
    except DatabaseError as error:
        yield _wrong(DatabaseFailure(str(error)), subject, "see docs/database.md")
    except HotdeskError as error:
        yield _wrong(error, subject, "")


def _check_dialers(subject: str, database: VicidialDatabase) -> Iterator[Finding]:
    """Look at what a poll would tell."""
    poll = Observer("check", "check", 1).observe(0, database.read(agents=True, catalogue=True))[-1]
    if not isinstance(poll, Poll):
        raise TypeError("an observation ends with the record that closes it")
    dialers = [dialer for dialer in poll.dialers if dialer.asterisk and dialer.active]
    if len(dialers) < 2:  # noqa: PLR2004 # one is none to choose from
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"{len(dialers)} active dialer(s)",
            remedy="with fewer than two there is nothing to balance, and nobody needs a phone alias",
        )
    else:
        yield _ok(subject, f"{len(dialers)} active dialers, {sum(sum(d.agents.values()) for d in dialers)} agents")
    for kind, count in poll.odd_rows.items():
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"{count} x {kind}",
            remedy="hotdesk goes on without it; mend it in VICIdial's admin pages",
        )


def _ok(subject: str, what: str) -> Finding:
    return Finding(verdict=Verdict.OK, subject=subject, what=what)


def _wrong(error: HotdeskError, subject: str, remedy: str) -> Finding:
    return Finding(verdict=Verdict.WRONG, subject=subject, what=str(error), remedy=remedy, exit_code=error.exit_code)
