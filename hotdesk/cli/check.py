"""What `hotdesk check` looks at: settings, databases, grants, probes, the log and its topics."""

import asyncio
import os
from collections.abc import Generator, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from collectors.observer import Observer
from collectors.probes.ami import AmiTarget, probe_ami
from collectors.probes.prober import AT_ONCE, KIND_AMI, KIND_SIP, ProbeSettings
from collectors.probes.sip import SipTarget, probe_sip
from collectors.vicidial.database import DatabaseError, VicidialDatabase
from controller.vicidial.ports import VicidialError
from hotdesk.actuators import reach
from hotdesk.api_server import tokens_of
from hotdesk.errors import DatabaseFailure, HotdeskError, LogFailure, SettingsError
from hotdesk.service import open_log
from hotdesk.settings import ApiOptions, ClusterSettings, LogOptions
from hotdesk.tls import trust
from messages.codes import Odd
from messages.records import DialerReading, Poll, ProbeResult, Relogin
from messages.topics import Topic
from messages.words import sentence
from stream.kafka.topics import check_topics
from stream.log import LogError, LogInUseError

PROBE_SECONDS = 3.0
"""How long a probe may take here: Asterisk keeps a refused login waiting for a second, and a poll's probe may not."""


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


def check_everything(log: LogOptions, api: ApiOptions, clusters: Mapping[str, ClusterSettings]) -> Iterator[Finding]:
    """Look at everything, one finding after the other; nothing found wrong stops the rest."""
    yield from _check_log(log)
    yield _check_api(api)
    if not clusters:
        yield _wrong(SettingsError("no cluster is set"), "settings", "write a [clusters.NAME] table into the TOML file")
    for name, settings in clusters.items():
        yield from _check_cluster(name, settings)


def _check_api(options: ApiOptions) -> Finding:
    """Look whether a process could begin with these settings; its port it may hold itself by now."""
    try:
        tokens_of(options)
        certificate = options.certificate()
        trust(options.tls_ca)
    except SettingsError as error:
        return _wrong(error, "api", "mend what the message says")
    spoken = "plain HTTP" if certificate is None else "TLS"
    who = "this machine alone" if options.token_file is None else f"whoever has a token of {options.token_file}"
    return _ok("api", f"answers {who} at {options.host}, port {options.port}, by {spoken}")


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
            dialers = yield from _check_dialers(subject, database)
        if settings.mode == "act":
            yield from _check_hand(subject, settings)
        yield from _check_probes(subject, settings.probe_settings(), dialers)
    except DatabaseError as error:
        yield _wrong(DatabaseFailure(str(error)), subject, "see docs/guide/database.md")
    except HotdeskError as error:
        yield _wrong(error, subject, "")


def _check_hand(subject: str, settings: ClusterSettings) -> Iterator[Finding]:
    """Look whether the chosen ways of acting are open, by trying each on a session or dialer that does not exist."""
    reader, hand, interventions = reach(settings.actuator_settings())
    remedy = (
        "it needs controller/grants.sql too"
        if settings.relogin_via == "sql"
        else "see docs/guide/failover.md, 'The agent API', for what its user needs"
    )
    tried = [
        ("agents' screens may be told to log out and to pause", hand.missing_rights(settings.dead_call_status), remedy)
    ]
    if settings.emergency_logout:
        why = interventions.missing_end_rights(_nobody(subject))
        tried.append(("sessions may be ended in the tables", why, "it needs controller/grants-emergency.sql too"))
    if settings.fence:
        why = interventions.missing_fence_rights()
        tried.append(("dialers may be fenced", why, "it needs controller/grants-fence.sql too"))
    for what, why, remedy in tried:
        yield _wrong(DatabaseFailure(why), subject, remedy) if why else _ok(subject, what)
    status = settings.dead_call_status
    try:
        if not status:
            yield Finding(
                verdict=Verdict.NOTE,
                subject=subject,
                what="dead_call_status is not set",
                remedy="set it to a status of VICIdial's: without one, agents in calls on a dead dialer are hung up,"
                " and their screens wait until they dispose the dead call themselves",
            )
        elif not reader.knows_status(status):
            unknown = SettingsError(f"VICIdial has no status {status!r}")
            yield _wrong(unknown, subject, "set dead_call_status to one of Admin, System Statuses")
    except VicidialError as error:
        yield _wrong(DatabaseFailure(str(error)), subject, "it needs controller/grants.sql")


def _nobody(cluster: str) -> Relogin:
    return Relogin(
        cluster=cluster,
        live_agent_id=0,
        user="",
        incident="",
        from_server_ip="",
        to_server_ip="",
        phone_login="",
        planned_at_ms=0,
        dialer_lives=True,
    )


def _check_dialers(subject: str, database: VicidialDatabase) -> Generator[Finding, None, list[DialerReading]]:
    """Look at what a poll would tell, and give the dialers it shows."""
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
            what=f"{count} x {sentence(Odd(kind))}",
            remedy="hotdesk goes on without it; mend it in VICIdial's admin pages",
        )
    return [dialer for dialer in poll.dialers if dialer.asterisk]


class _Asked(NamedTuple):
    """One probe of one dialer."""

    dialer: DialerReading
    kind: str
    target: AmiTarget | SipTarget

    @property
    def where(self) -> str:
        return f"{self.target.host}:{self.target.port}"


_SAID = {
    (KIND_AMI, ProbeResult.DENIED): (
        "refuses the login as {user!r}",
        "look into its manager.conf: the secret of [{user}], and a permit line for this machine's address",
    ),
    (KIND_AMI, ProbeResult.REFUSED): (
        "refuses the connection",
        "see whether Asterisk runs, and enabled, bindaddr and port in its manager.conf; or a firewall says REJECT",
    ),
    (KIND_AMI, ProbeResult.MUTE): (
        "accepts and does not answer as AMI does",
        "Asterisk hangs, or something else listens there: see ami_port",
    ),
    (KIND_AMI, ProbeResult.UNREACHABLE): (
        "cannot be reached",
        "let this machine through the dialer's firewall (TCP), and see whether the dialer runs",
    ),
    (KIND_SIP, ProbeResult.REFUSED): (
        "refuses",
        "see whether Asterisk runs, and on which port it takes SIP by UDP; or a firewall says REJECT",
    ),
    (KIND_SIP, ProbeResult.MUTE): (
        "does not answer",
        "let this machine through the dialer's firewall (UDP), and see whether Asterisk runs or hangs",
    ),
    (KIND_SIP, ProbeResult.UNREACHABLE): (
        "cannot be reached",
        "let this machine through the dialer's firewall (UDP), and see whether the dialer runs",
    ),
}
"""What a probe that is not alive says, and what to mend."""


def _check_probes(subject: str, settings: ProbeSettings, dialers: list[DialerReading]) -> Iterator[Finding]:
    """Ask every probe once, all at the same time."""
    if not settings.any_probe:
        return
    known = {dialer.server_ip: dialer for dialer in dialers}
    asked = []
    for server_ip, probes in settings.probes_of(known).items():
        targets = ((KIND_AMI, probes.ami), (KIND_SIP, probes.sip))
        asked += [_Asked(known[server_ip], kind, target) for kind, target in targets if target is not None]
    try:
        told = list(zip(asked, asyncio.run(_ask(asked)), strict=True))
    except OSError as error:
        raise HotdeskError(f"this machine cannot probe its dialers: {error}") from error
    for kind in (KIND_AMI, KIND_SIP):
        of_kind = [(each, probe) for each, probe in told if each.kind == kind]
        alive = sum(probe is ProbeResult.ALIVE for _, probe in of_kind)
        if alive:
            yield _ok(subject, f"{alive} of {len(of_kind)} dialers answer by {kind.upper()}")
        for each, probe in of_kind:
            if probe is not ProbeResult.ALIVE:
                yield _silent(subject, each, probe, settings.ami_user)
    with_one = {each.dialer.server_ip for each in asked}
    for unasked in (server_ip for server_ip in known if server_ip not in with_one):
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"dialer {unasked} has no probe",
            remedy="as the settings say; or its server_ip is no IP address: see docs/guide/probes.md",
        )


async def _ask(asked: list[_Asked]) -> list[ProbeResult]:
    places = asyncio.Semaphore(AT_ONCE)

    async def ask(one: _Asked) -> ProbeResult:
        async with places:
            match one.target:
                case AmiTarget(host=host, port=port, user=user, secret=secret):
                    return await probe_ami(host, port, user, secret, PROBE_SECONDS)
                case SipTarget() as target:
                    return await probe_sip(target, PROBE_SECONDS)

    return await asyncio.gather(*map(ask, asked))


def _silent(subject: str, asked: _Asked, probe: ProbeResult, user: str) -> Finding:
    what, remedy = _SAID[asked.kind, probe]
    said = f"dialer {asked.dialer.server_ip}: {asked.kind.upper()} at {asked.where} {what.format(user=user)}"
    if not asked.dialer.active:
        return Finding(
            verdict=Verdict.NOTE, subject=subject, what=said, remedy="as it should be, if it was switched off"
        )
    return _wrong(HotdeskError(said), subject, remedy.format(user=user))


def _ok(subject: str, what: str) -> Finding:
    return Finding(verdict=Verdict.OK, subject=subject, what=what)


def _wrong(error: HotdeskError, subject: str, remedy: str) -> Finding:
    return Finding(verdict=Verdict.WRONG, subject=subject, what=str(error), remedy=remedy, exit_code=error.exit_code)
