"""`hotdesk check`: check settings, databases, grants, probes, the log and its topics."""

import asyncio
import os
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import httpx
import msgspec
from cyclopts import Parameter

from collectors.clocks import APART_SECONDS, REMEDY
from collectors.observer import Observer
from collectors.outages import NO_LIMITS
from collectors.probes.ami import IN_USE, AmiTarget, Answer, probe_ami
from collectors.probes.prober import AT_ONCE, KIND_AMI, KIND_SIP, ProbeSettings
from collectors.probes.sip import SipTarget, probe_sip
from collectors.vicidial.database import DatabaseError, VicidialDatabase
from collectors.vicidial.parts import Wanted
from controller.api.schemas import RankingAnswer
from controller.core.hooks import asked_lately
from controller.vicidial.ports import VicidialError
from controller.vicidial.sql import SqlSessionReader
from hotdesk.actuators import reach
from hotdesk.api_server import tokens_of
from hotdesk.cli.client import AsJson, ask, open_api
from hotdesk.cli.leader import check_leader
from hotdesk.cli.terminal import Console, joined, say_json
from hotdesk.cli.times import local_clock
from hotdesk.errors import ApiFailure, DatabaseFailure, HotdeskError, LogFailure, SettingsError, TokenFailure
from hotdesk.findings import Finding, Verdict, ok, wrong
from hotdesk.notify.settings import NotifySettings, notify_settings
from hotdesk.service import open_log
from hotdesk.settings import (
    LOOPBACK,
    ApiOptions,
    ClusterSettings,
    ClusterTables,
    LogOptions,
    NotifyTables,
    Options,
    Settings,
    unknown_variables,
)
from hotdesk.settings import clusters as clusters_of
from hotdesk.tls import trust
from messages.codes import Odd, ReasonCode, Unreadable
from messages.records import DialerReading, Poll, ProbeResult, Relogin
from messages.shown import one_line
from messages.topics import Topic
from messages.words import remedy as remedy_of
from messages.words import sentence
from stream.kafka.topics import check_topics
from stream.log import LogError, LogInUseError

DEFAULTS = Options()
DATABASE_PAGE = "docs/guide/database.md"
ABANDONED = "DROP"
"""VICIdial's status of an abandoned call, which its statistics and a regulator's limits count."""
PROBE_SECONDS = 3.0
"""Time limit of a probe here: Asterisk delays the refusal of a login by a second, for which a regular probe does not
wait."""


def check(  # noqa: PLR0913 # each a choice of the operator's
    *,
    web: Annotated[bool, Parameter(negative="", help="Check this machine as a web server of VICIdial's.")] = False,
    dialer: Annotated[bool, Parameter(negative="", help="Check this machine as a dialer.")] = False,
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
    notify: NotifyTables,
) -> int:
    """Check settings, log, topics, API, databases and grants, and show how to mend what is wrong.

    On a web server or a dialer, --web or --dialer says instead what that lacks, seen from there.
    """
    if web or dialer:
        from hotdesk.cli.machines import check_dialer, check_web  # noqa: PLC0415 # it is seldom meant

        findings = [*(check_web() if web else ()), *(check_dialer() if dialer else ())]
    else:
        recipients = notify_settings(notify, os.environ)
        wanted = clusters_of(clusters, options, os.environ)
        findings = list(check_everything(options.log, options.api, wanted, recipients))
    if as_json:
        say_json(findings)
    else:
        for finding in findings:
            show(finding)
    return max((finding.exit_code for finding in findings), default=0)


def check_everything(
    log: LogOptions,
    api: ApiOptions,
    clusters: Mapping[str, ClusterSettings],
    recipients: Mapping[str, NotifySettings] = MappingProxyType({}),
) -> Iterator[Finding]:
    """Yield the findings one after the other; a fault does not stop the rest."""
    for variable, meant in unknown_variables(os.environ).items():
        remedy = f"did you mean {meant}?" if meant else "see docs/reference/settings.md"
        yield Finding(
            verdict=Verdict.NOTE, subject="settings", what=f"{variable} is no setting: ignored", remedy=remedy
        )
    yield from _check_log(log)
    yield from _check_api(api)
    for name, recipient in recipients.items():
        yield from _check_recipient(name, recipient, clusters)
    if not clusters:
        remedy = "'hotdesk setup' sets one up; or write a [clusters.NAME] table into the TOML file"
        yield wrong(SettingsError("no cluster is set"), "settings", remedy)
    for name, settings in clusters.items():
        yield from _check_cluster(name, settings, log, api)
    try:
        with open_api(api) as client:
            for name in clusters:
                yield from _check_hooks(client, name)
    except SettingsError:
        pass  # said above
    except ApiFailure as error:
        if not isinstance(error.__cause__, httpx.ConnectError):
            refused = isinstance(error, TokenFailure) and api.token_file is not None
            remedy = f"the token file of these settings is {api.token_file}" if refused else ""
            yield Finding(verdict=Verdict.NOTE, subject="login hook", what=f"not known: {error}", remedy=remedy)


def show(finding: Finding) -> None:
    """Print a finding as one line."""
    colour = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}[finding.verdict]
    remedy = f": {finding.remedy}" if finding.remedy else ""
    line = joined((f"{finding.verdict:5}", colour), (f" {finding.subject}: {finding.what}{remedy}", ""))
    Console(soft_wrap=True).print(line)


def _check_recipient(name: str, settings: NotifySettings, clusters: Iterable[str]) -> Iterator[Finding]:
    """Check that a recipient could be told; nothing is sent."""
    subject = f"notify {name}"
    try:
        settings.send()
    except SettingsError as error:
        yield wrong(error, subject, "see docs/guide/notifications.md")
        return
    wanted = settings.recipient(name)
    events, where = ", ".join(sorted(wanted.events)), ", ".join(sorted(wanted.clusters)) or "all clusters"
    yield ok(subject, f"{settings.kind}, told of {events}, in {where}; 'hotdesk notify test {name}' tries it out")
    for unknown in sorted(wanted.clusters - set(clusters)):
        what, remedy = f"there is no cluster {unknown}", "correct clusters"
        yield Finding(verdict=Verdict.NOTE, subject=subject, what=what, remedy=remedy)


def _check_hooks(api: httpx.Client, name: str) -> Iterator[Finding]:
    """Report when the login hook of each web server last asked the hotdesk that runs."""
    subject = f"cluster {name}"
    answer = msgspec.json.decode(ask(api, "GET", "clusters", name, "ranking"), type=RankingAnswer)
    for each in answer.hooks:
        yield ok(subject, f"the login hook of {each.web} was last seen at {local_clock(each.seen_at_ms)}")
    if not asked_lately({each.web: each for each in answer.hooks}, answer.observed_at_ms):
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what="no login hook was seen within a day",
            remedy="install it on every web server, see docs/guide/login-hook.md: until then VICIdial sends logins to a"
            " dead dialer",
        )


def _check_api(options: ApiOptions) -> Iterator[Finding]:
    """Check that a process could start with these settings. The port may be in use, by the hotdesk that runs."""
    try:
        tokens = tokens_of(options)
        certificate = options.certificate()
        options.proxies()
        options.dashboards()
        trust(options.tls_ca)
    except SettingsError as error:
        yield wrong(error, "api", "mend what the message says")
        return
    spoken = "plain HTTP" if certificate is None else "TLS"
    clients = "this machine only" if options.token_file is None else f"clients with a token of {options.token_file}"
    yield ok("api", f"answers {clients} at {options.host}, port {options.port}, by {spoken}")
    if not all(known.shown for _, known in tokens.items()):
        yield Finding(
            verdict=Verdict.NOTE,
            subject="api",
            what=f"{options.token_file} has digests in place of tokens, by which a replica cannot ask a cluster's owner"
            " in its client's name: it picks by itself",
            remedy="write the tokens themselves for the roles serve and control; fine where one process is all, or only"
            " collects",
        )


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
            if options.security_protocol in {"PLAINTEXT", "SASL_PLAINTEXT"} and not options.on_this_machine:
                yield Finding(
                    verdict=Verdict.NOTE,
                    subject="log",
                    what=f"Kafka is spoken to by {options.security_protocol}: whoever is in between can change records",
                    remedy="set log.security_protocol to SSL or SASL_SSL; or fine, in a network that only you are in",
                )
            if not problems:
                yield ok("log", f"Kafka at {','.join(options.bootstrap)} has the {len(Topic)} topics as needed")
            return
        if not options.path.exists():
            yield _fresh_log(options.path)
            return
        with open_log(options):
            yield ok("log", f"the embedded log {options.path} can be opened")
    except LogFailure as error:
        if isinstance(error.__cause__, LogInUseError):
            yield Finding(verdict=Verdict.NOTE, subject="log", what=str(error), remedy="fine, if that is your hotdesk")
        else:
            yield wrong(error, "log", "mend what the message says, or set log.path")
    except HotdeskError as error:
        yield wrong(error, "log", "mend what the message says")
    except LogError as error:
        yield wrong(LogFailure(str(error)), "log", "check log.bootstrap and the broker")


def _fresh_log(path: Path) -> Finding:
    """Check that an absent log could be created, without creating it."""
    folder = path.absolute().parent
    if os.access(folder, os.W_OK | os.X_OK):
        return ok("log", f"the embedded log {path} will be created at the first start")
    return wrong(
        LogFailure(f"the embedded log {path} cannot be created"),
        "log",
        f"let this user write to {folder}, or set log.path",
    )


def _check_cluster(name: str, settings: ClusterSettings, log: LogOptions, api: ApiOptions) -> Iterator[Finding]:
    subject = f"cluster {name}"
    try:
        with VicidialDatabase(settings.database_settings()) as database:
            tried = database.run_each()
            refused = {statement: error for statement, error in tried.items() if error is not None}
            for statement, error in refused.items():
                yield wrong(DatabaseFailure(str(error)), subject, _remedy_for(statement, error))
            if refused:
                return
            for doubt in database.doubts():
                yield _about_doubt(doubt, subject, acts=settings.mode == "act")
            leader = database.leader_host()
            yield ok(subject, f"{settings.database_settings().where}: all {len(tried)} statements may run")
            yield from _check_clock(subject, database)
            if database.missing_columns:
                yield Finding(
                    verdict=Verdict.NOTE,
                    subject=subject,
                    what=f"absent, or not granted: {', '.join(database.missing_columns)}",
                    remedy="an older VICIdial lacks some; grant those that are there",
                )
            if not database.keeps_limits:
                yield Finding(
                    verdict=Verdict.NOTE,
                    subject=subject,
                    what=NO_LIMITS,
                    remedy="MariaDB 10.1, MySQL 5.7.8 and newer keep one: upgrade when you can",
                )
            dialers = yield from _check_dialers(subject, database)
            yield from _check_names(subject, settings, dialers)
        # after the connection: the server hangs up on one that is silent
        yield from check_leader(subject, name, leader, log, api)
        yield from _check_ways(subject, settings)
        if settings.mode == "act":
            yield from _check_actuators(subject, settings)
        yield from _check_probes(
            subject,
            settings.probe_settings(),
            dialers,
            needed=settings.mode == "act" and not settings.act_on_heartbeat_alone,
        )
    except DatabaseError as error:
        # most name the page themselves
        remedy = "" if DATABASE_PAGE in str(error) else f"see {DATABASE_PAGE}"
        yield wrong(DatabaseFailure(str(error)), subject, remedy)
    except HotdeskError as error:
        yield wrong(error, subject, "")
    except Exception as error:  # noqa: BLE001 # rows that are none of VICIdial's are taken apart all over the place
        where, why = settings.database_settings().where, f"{type(error).__name__}: {one_line(error)}"
        odd = DatabaseFailure(f"{where} answers as no VICIdial does: {why}")
        yield wrong(odd, subject, "check that host and port are those of VICIdial's database")


def _check_ways(subject: str, settings: ClusterSettings) -> Iterator[Finding]:
    """Report by which ways somebody in between could read or change what is said."""
    if not (settings.tls_ca or settings.socket or settings.host in LOOPBACK):
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"the certificate of {settings.host} is not verified: whoever is in between can change what is read",
            remedy="set tls_ca; or fine, in a network that only you are in",
        )
    plain = [url for url in settings.agent_api if url.startswith("http:") and urlsplit(url).hostname not in LOOPBACK]
    if settings.mode == "act" and settings.acts_by == "api" and plain:
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"{', '.join(plain)}: agent_api_password goes there in clear",
            remedy="use https; or fine, in a network that only you are in",
        )


def _remedy_for(statement: str, error: DatabaseError) -> str:
    """Return what to do about a statement that failed; only what was refused needs a grant."""
    if error.why is Unreadable.REFUSED:
        return f"the '{statement}' statement needs that grant"
    return f"the '{statement}' statement needs that table"


def _about_doubt(doubt: ReasonCode, subject: str, *, acts: bool) -> Finding:
    if acts or doubt is not ReasonCode.REPLICA:
        return wrong(DatabaseFailure(sentence(doubt)), subject, remedy_of(doubt))
    return Finding(verdict=Verdict.NOTE, subject=subject, what=sentence(doubt), remedy=remedy_of(doubt))


def _check_clock(subject: str, database: VicidialDatabase) -> Iterator[Finding]:
    """Report a database's clock that differs from this machine's by much."""
    ahead_seconds = database.clock_ms() / 1000 - time.time()
    if abs(ahead_seconds) >= APART_SECONDS:
        differs = f"{abs(ahead_seconds):.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'}"
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"the database's clock is {differs} this machine's",
            remedy=f"{REMEDY}: maintenance windows go by the database's",
        )


def _check_actuators(subject: str, settings: ClusterSettings) -> Iterator[Finding]:
    """Check the rights for each kind of action, by a trial on a session or dialer that does not exist."""
    reader, control, interventions = reach(settings.actuator_settings())
    remedy = (
        "it needs controller/grants.sql too"
        if settings.acts_by == "sql"
        else "see docs/guide/failover.md, 'The agent API', for the rights of its user"
    )
    tried = [
        (
            "agents' screens may be sent logouts and pauses",
            control.missing_rights(settings.dead_call_status, tells=settings.tell_agents),
            remedy,
        )
    ]
    if settings.tell_agents and settings.acts_by == "sql":
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what="agents who are moved are told nothing: tell_agents works by the agent API only",
            remedy="set agent_api, or leave tell_agents out",
        )
    if settings.emergency_logout:
        why = interventions.missing_end_rights(_impossible_relogin(subject))
        tried.append(("sessions may be ended in the tables", why, "it needs controller/grants-emergency.sql too"))
    fencing = None if settings.fence is False else interventions.missing_fence_rights()
    if settings.fence:
        tried.append(("dialers may be fenced", fencing, "it needs controller/grants-fence.sql too"))
    elif fencing is not None:
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what="dialers may not be fenced",
            remedy="give controller/grants-fence.sql, unless every web server has the login hook: VICIdial goes on"
            " sending logins to a dead dialer",
        )
    restoring = interventions.missing_restore_rights()
    if restoring is not None:
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what="agents' screens may not be restored after a restart of the database",
            remedy="give controller/grants-screens.sql: else every agent must log in again then",
        )
    for what, why, remedy in tried:
        yield wrong(DatabaseFailure(why), subject, remedy) if why else ok(subject, what)
    yield from _check_status(subject, settings.dead_call_status, reader)


def _check_status(subject: str, status: str, reader: SqlSessionReader) -> Iterator[Finding]:
    """Check the disposition of calls that die with their dialer."""
    try:
        if not status:
            yield Finding(
                verdict=Verdict.NOTE,
                subject=subject,
                what="dead_call_status is not set",
                remedy="set it to a status of VICIdial's: without one, a call on a dead dialer is hung up, and"
                " counts as whatever its agent chooses within 20 s, or as nothing",
            )
        elif not reader.knows_status(status):
            unknown = SettingsError(f"VICIdial has no status {status!r}")
            yield wrong(unknown, subject, "set dead_call_status to one of Admin, System Statuses")
        elif status.upper() == ABANDONED:
            yield Finding(
                verdict=Verdict.NOTE,
                subject=subject,
                what=f"dead_call_status is {status}: VICIdial counts each call that died with its dialer as abandoned",
                remedy="make a status of your own in Admin, System Statuses, and set dead_call_status to that",
            )
    except VicidialError as error:
        yield wrong(DatabaseFailure(str(error)), subject, "it needs controller/grants.sql")


def _impossible_relogin(cluster: str) -> Relogin:
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
    """Check the contents of a poll, and return its dialers."""
    poll = Observer("check", "check", 1).observe(0, database.read(Wanted(agents=True, catalogue=True)))[-1]
    if not isinstance(poll, Poll):
        raise TypeError("an observation ends with the record that closes it")
    dialers = [dialer for dialer in poll.dialers if dialer.asterisk and dialer.active]
    if len(dialers) < 2:  # noqa: PLR2004 # with one there is no choice
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"{len(dialers)} active dialer(s)",
            remedy="with fewer than two there is nothing to balance, and no agent needs a phone alias",
        )
    else:
        yield ok(subject, f"{len(dialers)} active dialers, {sum(sum(d.agents.values()) for d in dialers)} agents")
    for kind, count in poll.odd_rows.items():
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"{count} x {sentence(Odd(kind))}",
            remedy="hotdesk works without it; mend it in VICIdial's admin pages",
        )
    return [dialer for dialer in poll.dialers if dialer.asterisk]


def _check_names(subject: str, settings: ClusterSettings, dialers: list[DialerReading]) -> Iterator[Finding]:
    """Report dialers that the settings name and VICIdial does not have: what they say takes no effect."""
    addresses = {each.server_ip for each in dialers}
    names = {each.server_id.lower(): each.server_ip for each in dialers if each.server_id}
    of_windows = [ip for each in settings.maintenance for ip in each.dialers]
    for setting, named in (
        ("probes", settings.probes),
        ("max_agents_of", settings.max_agents_of),
        ("maintenance", of_windows),
    ):
        for each in sorted(set(named) - addresses):
            what = f"{setting} names {each!r}, and no dialer has that address: it takes no effect"
            address = names.get(each.lower())
            if address is not None:
                yield wrong(SettingsError(what), subject, f"write its address, {address}")
            else:
                remedy = "correct it, or take it out"
                yield Finding(verdict=Verdict.NOTE, subject=subject, what=what, remedy=remedy)


class _Probe(NamedTuple):
    """One probe of one dialer."""

    dialer: DialerReading
    kind: str
    target: AmiTarget | SipTarget

    @property
    def where(self) -> str:
        return f"{self.target.host}:{self.target.port}"


_FAILURES = {
    (KIND_AMI, ProbeResult.DENIED): (
        "refuses the login as {user!r}",
        "check its manager.conf: the secret of [{user}], and a permit line for this machine's address",
    ),
    (KIND_AMI, ProbeResult.REFUSED): (
        "refuses the connection",
        "check that Asterisk runs, and enabled, bindaddr and port in its manager.conf; or a firewall has a REJECT",
    ),
    (KIND_AMI, ProbeResult.MUTE): (
        "accepts the connection, but does not answer as AMI",
        "Asterisk hangs, or another service listens there: check ami_port",
    ),
    (KIND_AMI, ProbeResult.UNREACHABLE): (
        "cannot be reached",
        "let this machine through the dialer's firewall (TCP), and check that the dialer runs",
    ),
    (KIND_SIP, ProbeResult.REFUSED): (
        "refuses",
        "check that Asterisk runs, and its port for SIP by UDP; or a firewall has a REJECT",
    ),
    (KIND_SIP, ProbeResult.MUTE): (
        "does not answer",
        "let this machine through the dialer's firewall (UDP), and check that Asterisk runs and does not hang",
    ),
    (KIND_SIP, ProbeResult.UNREACHABLE): (
        "cannot be reached",
        "let this machine through the dialer's firewall (UDP), and check that the dialer runs",
    ),
}
"""The meaning of each probe result but alive, and the remedy."""


def _check_probes(
    subject: str, settings: ProbeSettings, dialers: list[DialerReading], *, needed: bool
) -> Iterator[Finding]:
    """Send every probe once, all at the same time; where they are `needed`, one must answer on each dialer."""
    known = {dialer.server_ip: dialer for dialer in dialers}
    sent = []
    for server_ip, probes in settings.probes_of(known).items():
        targets = ((KIND_AMI, probes.ami), (KIND_SIP, probes.sip))
        sent += [_Probe(known[server_ip], kind, target) for kind, target in targets if target is not None]
    try:
        answers = list(zip(sent, asyncio.run(_send(sent)), strict=True))
    except OSError as error:
        raise HotdeskError(f"this machine cannot probe its dialers: {error}") from error
    for kind in (KIND_AMI, KIND_SIP):
        of_kind = [(each, answer) for each, answer in answers if each.kind == kind]
        alive = sum(answer.result is ProbeResult.ALIVE for _, answer in of_kind)
        if alive:
            yield ok(subject, f"{alive} of {len(of_kind)} dialers answer by {kind.upper()}")
        for each, answer in of_kind:
            if answer.result is not ProbeResult.ALIVE:
                yield _failed(subject, each, answer, settings.ami_user)
    if needed and sent and all(each.kind != KIND_AMI for each in sent):
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what="no dialer is asked by AMI: an Asterisk that starts again by itself is noticed a minute later, by its"
            " phones that are gone; never without the rights on live_sip_channels and live_channels, or if fewer than"
            " two were in their rooms",
            remedy="set ami_user and its secret: docs/guide/probes.md has the lines for each manager.conf",
        )
    if needed:
        answered = {
            each.dialer.server_ip
            for each, answer in answers
            if answer.result is ProbeResult.ALIVE or answer.refusal == IN_USE
        }
        yield from (_unconfirmed(subject, each) for each in dialers if each.active and each.server_ip not in answered)
    probed = {each.dialer.server_ip for each in sent}
    for server_ip in (each for each in known if settings.any_probe and each not in probed):
        yield Finding(
            verdict=Verdict.NOTE,
            subject=subject,
            what=f"dialer {server_ip} has no probe",
            remedy="by the settings; or its server_ip is not an IP address: see docs/guide/probes.md",
        )


async def _send(probes: list[_Probe]) -> list[Answer]:
    at_once = asyncio.Semaphore(AT_ONCE)

    async def send(one: _Probe) -> Answer:
        async with at_once:
            match one.target:
                case AmiTarget() as ami:
                    return await probe_ami(ami, PROBE_SECONDS)
                case SipTarget() as sip:
                    return Answer(await probe_sip(sip, PROBE_SECONDS), "")

    return await asyncio.gather(*map(send, probes))


def _failed(subject: str, probe: _Probe, answer: Answer, user: str) -> Finding:
    failure, remedy = _FAILURES[probe.kind, answer.result]
    said = f" ({answer.refusal})" if answer.refusal else ""
    what = f"dialer {probe.dialer.server_ip}: {probe.kind.upper()} at {probe.where} {failure.format(user=user)}{said}"
    remedy = remedy.format(user=user)
    if answer.refusal == IN_USE:
        remedy = "fine, if your hotdesk is the one; its manager.conf has allowmultiplelogin = no"
        return Finding(verdict=Verdict.NOTE, subject=subject, what=what, remedy=remedy)
    if not probe.dialer.active:
        return Finding(verdict=Verdict.NOTE, subject=subject, what=what, remedy="fine, if the dialer is switched off")
    if probe.kind == KIND_SIP:
        # it is on without having been asked for, and by itself no fault
        return Finding(verdict=Verdict.NOTE, subject=subject, what=what, remedy=remedy)
    return wrong(HotdeskError(what), subject, remedy)


def _unconfirmed(subject: str, dialer: DialerReading) -> Finding:
    """Return the finding on a dialer whose death hotdesk could not confirm, and whose agents it would not move."""
    return wrong(
        HotdeskError(f'mode is "act", and no probe of dialer {dialer.server_ip} answered'),
        subject,
        "let it answer by SIP or AMI (docs/guide/probes.md): a stalled heartbeat alone does not prove that it is dead,"
        " and its agents would stay, unless act_on_heartbeat_alone is set",
    )
