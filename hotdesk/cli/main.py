"""The `hotdesk` command: its subcommands in groups, and its main function."""

import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import msgspec
import structlog
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from controller.api.schemas import AliasAnswer
from controller.core.explanations import because
from controller.core.notifications import message_of_test
from controller.core.readiness import ReadinessFinding, Severity, worst
from hotdesk import logs, settings
from hotdesk.cli import orders, views
from hotdesk.cli.alerts import alerts
from hotdesk.cli.check import Finding, Verdict, check_everything
from hotdesk.cli.client import AsCsv, AsJson, ClusterName, ask, only_cluster, open_api
from hotdesk.cli.decisions import decisions
from hotdesk.cli.demo import Size, run_demo
from hotdesk.cli.grants import print_grants
from hotdesk.cli.replay import replay
from hotdesk.cli.status import show_unknown, status
from hotdesk.cli.terminal import Console, complain, complain_of, joined, row, say, say_csv, say_json, shown, table
from hotdesk.errors import HotdeskError, LogFailure, SettingsError
from hotdesk.notify.senders import SendError, Told
from hotdesk.notify.settings import FileFault, NotifySettings, notify_settings, told_by
from hotdesk.service import Service
from hotdesk.settings import ClusterTables, LogOptions, NotifyTables, Options, ReadAgain
from hotdesk.signals import Asked, asked_by, asked_to_end, in_a_terminal
from hotdesk.version import version_line
from hotdesk.wanted import Role, Wanted
from stream.kafka.acls import User, commands
from stream.kafka.client import KafkaSettings
from stream.kafka.topics import check_topics, create_topics
from stream.log import LogError

DEFAULT_FILE = Path("hotdesk.toml")
DEFAULTS = Options()
WATCH_SECONDS = 1.0
_Tables = tuple[dict[str, Any], dict[str, Any]]
"""Those of the clusters, and those of the recipients of notifications."""

log = structlog.get_logger()

RUN, LOOK, INTERVENE, SET_UP, OTHER, PARAMETERS = (
    Group(name, sort_key=number)
    for number, name in enumerate(("Run", "Look", "Intervene", "Set up", "Other", "Parameters"))
)
"""The groups of `hotdesk --help`, in that order."""

app = App(
    name="hotdesk",
    version=version_line,
    help="Event-driven monitoring and failover for VICIdial clusters.",
    error_console=Console(stderr=True, soft_wrap=True),
    error_formatter=lambda error: shown(f"hotdesk: {error}"),
    help_epilogue="Exit codes: 0 fine, 1 other, 2 settings, 3 database, 4 log, 5 API.",
    group_commands=OTHER,
    group_parameters=PARAMETERS,
)
topics = App(
    name="topics", help="Create and check Kafka's topics.", group=SET_UP, group_commands=Group("Commands", sort_key=0)
)
app.command(topics)
notifying = App(
    name="notify", help="Try the notifications out.", group=SET_UP, group_commands=Group("Commands", sort_key=0)
)
app.command(notifying)
app.register_install_completion_command()
app.command(print_grants, name="grants", group=SET_UP)
for group, commands_of_group in (
    (LOOK, (status, *views.COMMANDS, orders.incidents, orders.orders, decisions, replay)),
    (INTERVENE, orders.COMMANDS),
    (SET_UP, (alerts, orders.forget)),
):
    for each in commands_of_group:
        app.command(each, group=group)


class StatusEnd(SystemExit):
    """The end of `hotdesk status` with a code of its own."""


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(help="TOML file; default: HOTDESK_CONFIG, or else ./hotdesk.toml if it exists.")
    ] = None,
) -> int | None:
    """Read the settings, then run the command."""
    from_environment = os.environ.get("HOTDESK_CONFIG")
    path = config or (Path(from_environment) if from_environment else None)
    file = path or DEFAULT_FILE
    tables, clusters, notify = settings.read_file(file, must_exist=path is not None)
    app.config = (
        cyclopts.config.Env(settings.ENVIRONMENT_PREFIX, command=False),
        # Not every command takes every setting; read_file has refused the unknown ones.
        cyclopts.config.Dict(tables, source=str(file), use_commands_as_keys=False, allow_unknown=True),
    )
    command, bound, ignored = app.parse_args(tokens)

    def read_again() -> object:
        now = settings.read_file(file, must_exist=path is not None)
        if now.tables != tables:
            log.warning("[log] and [api] are read only when a process starts: they stay as they were")
        return now.clusters, now.notify

    given = {"clusters": clusters, "notify": notify, "read_again": read_again}
    more = {name: given[name] for name in ignored}
    result: int | None = command(*bound.args, **bound.kwargs, **more)
    if command is status:
        raise StatusEnd(result)
    return result


@app.command(group=RUN)
def run(*, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain) -> None:
    """Run all roles in this process: collect, control and serve."""
    _run_roles(frozenset(Role), options, (clusters, notify), read_again)


@app.command(group=RUN)
def collect(
    *, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain
) -> None:
    """Run collectors only: read the clusters' databases, and publish records."""
    _run_roles(frozenset({Role.COLLECT}), options, (clusters, notify), read_again)


@app.command(group=RUN)
def control(
    *, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain
) -> None:
    """Run a controller only: own a share of the clusters, and decide for them."""
    _run_roles(frozenset({Role.CONTROL}), options, (clusters, notify), read_again)


@app.command(group=RUN)
def serve(*, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables, read_again: ReadAgain) -> None:
    """Run a replica only: answer the API, and decide for no cluster."""
    _run_roles(frozenset({Role.SERVE}), options, (clusters, notify), read_again)


@app.command(group=LOOK)
def rank(
    alias: str,
    *,
    cluster: ClusterName = "",
    campaign: Annotated[str, Parameter(help="Campaign to log in to, since it may group its agents.")] = "",
    as_json: AsJson = False,
    options: Options = DEFAULTS,
) -> None:
    """Show the phones of an alias, the next pick first, with every reason against each.

    If the API wants a token, set it in HOTDESK_TOKEN.
    """
    with open_api(options.api) as api:
        cluster = cluster or only_cluster(api)
        answer = ask(api, "GET", "clusters", cluster, "aliases", alias, "ranking", campaign=campaign)
        ranking = msgspec.json.decode(answer, type=AliasAnswer)
    if as_json:
        say_json(ranking)
        return
    title = f"{ranking.alias} in {cluster}" + (" (stale)" if ranking.stale else "")
    columns = ("rank", "phone login", "dialer", "agents", "slots", "load", "why not")
    rows = table(*columns, numbers=("rank", "agents", "slots", "load"), title=title)
    for phone in ranking.phones:
        row(
            rows,
            phone.rank or "-",
            phone.phone_login,
            phone.server_ip or "-",
            phone.agents,
            phone.slots,
            f"{phone.load:g}",
            because(phone.ineligible_because),
        )
    Console().print(rows)
    if ranking.stale:
        say(f"Nothing is known now: {ranking.why_stale}. The facts are as of the last poll, and VICIdial chooses.")


@app.command(group=SET_UP)
def readiness(
    *, cluster: ClusterName = "", as_json: AsJson = False, as_csv: AsCsv = False, options: Options = DEFAULTS
) -> int:
    """Show what a VICIdial lacks for hot-desking, and how to mend it.

    The exit code is 1 if some agent cannot log in or be moved, or only by luck: for cron.
    """
    with open_api(options.api) as api:
        cluster = cluster or only_cluster(api)
        found = msgspec.json.decode(ask(api, "GET", "clusters", cluster, "readiness"), type=list[ReadinessFinding])
    if as_json:
        say_json(found)
    elif as_csv:
        say_csv(
            ("severity", "kind", "where", "what", "remedy"),
            ((each.severity, each.kind, each.where, each.what, each.remedy) for each in found),
        )
    else:
        title = f"readiness of {cluster}: {len(found)} finding{'' if len(found) == 1 else 's'}"
        rows = table("severity", "where", "what", "how to mend it", title=title)
        for finding in found:
            row(rows, finding.severity, finding.where, finding.what, finding.remedy)
        Console().print(rows)
    return 1 if worst(found) in {Severity.ERROR, Severity.WARNING} else 0


@topics.command(name="create")
def topics_create(*, as_json: AsJson = False, options: Options = DEFAULTS) -> None:
    """Create the absent topics, with the settings they need."""
    with _log_failures():
        created = create_topics(_kafka(options.log), options.log.replication)
    if as_json:
        say_json(created)
        return
    for name in created:
        say(f"created {name}")
    if not created:
        say("all topics exist already; 'hotdesk topics check' checks their settings")


@topics.command(name="check")
def topics_check(*, as_json: AsJson = False, options: Options = DEFAULTS) -> int:
    """Check the topics against what hotdesk needs; it changes nothing."""
    with _log_failures():
        problems = check_topics(_kafka(options.log))
    if as_json:
        say_json(problems)
    else:
        for problem in problems:
            say(f"{problem.topic}: {problem.wrong}; {problem.remedy}")
        if not problems:
            say("all topics are as needed")
    return LogFailure.exit_code if problems else 0


@topics.command(name="acls")
def topics_acls(
    user: Annotated[User, Parameter(help="A role; or setup (topics create and check), look (replay).")],
    *,
    principal: Annotated[str, Parameter(help="Kafka's name for that user; default: User:hotdesk-ROLE.")] = "",
    command_config: Annotated[str, Parameter(help="File with the login of Kafka's tool.")] = "",
    options: Options = DEFAULTS,
) -> None:
    """Print the permissions that a user needs in Kafka, as commands of Kafka's own tool; it runs none of them."""
    for line in commands(user, _kafka(options.log), principal or f"User:hotdesk-{user}", command_config):
        say(line)


@notifying.command(name="test")
def notify_test(name: str = "", *, as_json: AsJson = False, notify: NotifyTables) -> int:
    """Send a test message to one recipient of [notify.NAME], or to all of them; it needs no running hotdesk."""
    known = notify_settings(notify, os.environ)
    if not known or (name and name not in known):
        there = ", ".join(known) or "none: write a [notify.NAME] table, see docs/guide/notifications.md"
        raise SettingsError(f"there is no recipient {name!r}; there are {there}" if known else f"recipients: {there}")
    told = told_by({each: known[each] for each in known if name in {"", each}})
    outcomes = {each: _tried(each, how) for each, how in told.items()}
    if as_json:
        say_json(outcomes)
    else:
        for each, failed in outcomes.items():
            say(f"{each}: {failed or 'sent'}")
    return HotdeskError.exit_code if any(outcomes.values()) else 0


def _tried(name: str, told: Told) -> str:
    """Return why a test message could not be sent, or "" if it was."""
    try:
        told.send(message_of_test(name))
    except SendError as error:
        return f"not sent: {error}"
    return ""


@app.command(group=SET_UP)
def init(path: Path = DEFAULT_FILE) -> None:
    """Write a TOML file with every setting and its meaning, to start from."""
    try:
        # whatever the umask: a file that others may write is refused
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(resources.files("hotdesk").joinpath("example.toml").read_text())
    except FileExistsError:
        raise SettingsError(f"{path} exists already; it is left as it is") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}; set your database in it, then: hotdesk check")


@app.command(group=SET_UP)
def check(
    *, as_json: AsJson = False, options: Options = DEFAULTS, clusters: ClusterTables, notify: NotifyTables
) -> int:
    """Check settings, log, topics, API, databases and grants, and show how to mend what is wrong."""
    recipients = notify_settings(notify, os.environ)
    wanted = settings.clusters(clusters, options, os.environ)
    findings = list(check_everything(options.log, options.api, wanted, recipients))
    if as_json:
        say_json(findings)
    else:
        for finding in findings:
            _print_finding(finding)
    return max((finding.exit_code for finding in findings), default=0)


@app.command(group=RUN)
def demo(
    *,
    seconds: Annotated[float | None, Parameter(help="End after this many seconds.")] = None,
    kafka: Annotated[bool, Parameter(negative="", help="Use a real Kafka broker, started for it.")] = False,
    seed: Annotated[int, Parameter(help="Seed of the simulated cluster.")] = 1,
    dialers: Annotated[int, Parameter(help="Number of dialers.", validator=Number(gte=3, lte=100))] = 6,
    agents: Annotated[int, Parameter(help="Number of agents.", validator=Number(gte=10, lte=5000))] = 180,
) -> None:
    """Run a demonstration on a simulated cluster with a private database; it leaves nothing behind."""
    with asked_to_end() as end:
        run_demo(end, Size(dialers, agents, seed), seconds=seconds, kafka=kafka)


def _result(arguments: list[str]) -> int:
    """Run the command, and return its exit code.

    `hotdesk status` ends with a code of monitoring's own, whatever is at fault: another one would be read as a state.
    """
    if status.__name__ not in arguments:
        return app.meta(arguments) or 0
    try:
        return app.meta(arguments) or 0
    except StatusEnd:
        raise
    except SystemExit as ended:  # flags that do not fit: what is wrong with them was said
        if not ended.code:
            raise
        return show_unknown("the command does not fit: see 'hotdesk status --help'")
    except HotdeskError as error:
        return show_unknown(str(error))
    except Exception as error:  # noqa: BLE001 # the same
        complain_of(error)
        return show_unknown("a fault of hotdesk's own")


def main() -> None:
    """Run the command; report a user's mistake with one line and an exit code."""
    if not in_a_terminal():
        # before it can reload the settings, and when it ends
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        sys.exit(_result(sys.argv[1:]))
    except HotdeskError as error:
        complain(f"hotdesk: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of the pipe has closed it. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 # Python would print it as it is
        complain_of(error)
        sys.exit(1)


def _run_roles(roles: frozenset[Role], options: Options, tables: _Tables, read_again: ReadAgain) -> None:
    logs.configure()
    # a dump of this process would hold every secret
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for variable, meant in settings.unknown_variables(os.environ).items():
        log.warning("a variable looks like a setting, and is none: ignored", variable=variable, meant=meant)
    reload = Asked()
    with (
        asked_to_end() as end,
        nullcontext() if in_a_terminal() else asked_by(signal.SIGHUP, reload),
        Service(_wanted(roles, options, tables)) as service,
    ):
        while not end.wait(WATCH_SECONDS):
            if ended := service.ended():
                raise HotdeskError(
                    f"{', '.join(ended)} ended unexpectedly, and this process cannot work without it; see the log above"
                )
            if reload.consume():
                _change(service, roles, options, read_again)


def _wanted(roles: frozenset[Role], options: Options, tables: _Tables) -> Wanted:
    clusters = settings.clusters(tables[0], options, os.environ)
    recipients = notify_settings(tables[1], os.environ) if Role.CONTROL in roles else {}
    if Role.COLLECT in roles and not clusters:
        raise SettingsError("no cluster to collect from: write a [clusters.NAME] table; 'hotdesk init' shows how")
    return Wanted(
        roles=roles,
        log=options.log,
        api=options.api,
        # The other roles use no database, and need not be able to read its password.
        databases={name: cluster.database_settings() for name, cluster in clusters.items() if Role.COLLECT in roles},
        policies={name: cluster.policy() for name, cluster in clusters.items()},
        actuators={
            name: cluster.actuator_settings()
            for name, cluster in clusters.items()
            if Role.CONTROL in roles and cluster.mode == "act"
        },
        probes={name: cluster.probe_settings() for name, cluster in clusters.items() if Role.COLLECT in roles},
        told=_reachable(recipients),
    )


def _reachable(recipients: Mapping[str, NotifySettings]) -> dict[str, Told]:
    """Return the recipients but for those whose files are at fault: a lost file must not keep hotdesk from working."""
    told: dict[str, Told] = {}
    for name, each in recipients.items():
        try:
            told |= told_by({name: each})
        except FileFault as error:
            log.error("a recipient of notifications is left out", why=str(error))  # noqa: TRY400 # a file is at fault
    return told


def _change(service: Service, roles: frozenset[Role], options: Options, read_again: ReadAgain) -> None:
    """Apply the clusters' settings as they are now; if they are wrong, all stays as it was."""
    try:
        service.change(_wanted(roles, options, read_again()))
    except HotdeskError as error:
        log.warning("the settings changed and cannot be used; all stays as it was", why=str(error))


@contextmanager
def _log_failures() -> Iterator[None]:
    try:
        yield
    except LogError as error:
        raise LogFailure(str(error)) from error


def _kafka(options: LogOptions) -> KafkaSettings:
    if not options.bootstrap:
        raise SettingsError("log.bootstrap is not set: only Kafka has topics, the embedded log needs none")
    return options.kafka()


def _print_finding(finding: Finding) -> None:
    colour = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}[finding.verdict]
    remedy = f": {finding.remedy}" if finding.remedy else ""
    line = joined((f"{finding.verdict:5}", colour), (f" {finding.subject}: {finding.what}{remedy}", ""))
    Console(soft_wrap=True).print(line)


if __name__ == "__main__":
    main()
