"""`hotdesk setup`: from a machine with the program on it to a service that watches a cluster; and all of it back."""

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, TypeVar

import httpx
import msgspec
import pymysql
from cyclopts import Parameter
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from controller.api.tokens import Tokens
from hotdesk import settings
from hotdesk.api_server import tokens_of
from hotdesk.cli.carrying import Asking, carry_out, show_steps, take_back
from hotdesk.cli.check import check_everything, show
from hotdesk.cli.finding import (
    SOMEWHERE,
    Where,
    address_towards,
    administrator,
    in_database,
    in_kafka,
    settings_there,
    this_machine,
    vicidial,
)
from hotdesk.cli.terminal import say
from hotdesk.errors import ApiFailure, DatabaseFailure, SettingsError
from hotdesk.findings import wrong
from hotdesk.grants import Purpose
from hotdesk.misfits import Sources, misfit
from hotdesk.notify.settings import notify_settings
from hotdesk.settings import BROKER, CLUSTER_NAME, LOOPBACK, ApiOptions, LogOptions, Options
from hotdesk.setup.alone import alone
from hotdesk.setup.facts import InDatabase, InKafka
from hotdesk.setup.known import (
    API_PORT,
    DATABASE_PORT,
    DEFAULT_REPLICATION,
    FOLDER,
    Answers,
    Known,
    Made,
    account_of,
)
from hotdesk.setup.machine import RunSql, Tree
from hotdesk.setup.service import closing, paths, steps
from hotdesk.setup.steps import paths_of, undoing
from hotdesk.tls import trust
from messages.shown import one_line

NOTES = "setup.json"
"""The notes of what was done here, in the folder of the settings."""
STARTS_SECONDS = 30.0
T = TypeVar("T")
HOMES = ("/home/", "/root/")


@Parameter(name="*")
@dataclass(frozen=True)
class Rights:
    """Rights of the database account beyond reading, as `hotdesk grants` has them."""

    act: Annotated[bool, Parameter(negative="", help="Move agents from the first day (mode = act).")] = False
    fence: Annotated[bool, Parameter(negative="", help="Close dead dialers to VICIdial's own logins.")] = False
    screens: Annotated[bool, Parameter(negative="", help="Restore screens after a database restart.")] = False
    readiness: Annotated[bool, Parameter(negative="", help="Compare phones' passwords.")] = False
    emergency: Annotated[bool, Parameter(negative="", help="End sessions whose screens do not react.")] = False

    def purposes(self) -> frozenset[Purpose]:
        """Return them as uses of the account."""
        chosen = {
            Purpose.ACT: self.act or self.emergency,
            Purpose.FENCE: self.fence,
            Purpose.SCREENS: self.screens,
            Purpose.READINESS: self.readiness,
            Purpose.EMERGENCY: self.emergency,
        }
        return frozenset(purpose for purpose, is_chosen in chosen.items() if is_chosen)


@Parameter(name="*")
@dataclass(frozen=True)
class Database:
    """VICIdial's database. What is left out is found, or asked."""

    database_host: Annotated[
        str, Parameter(show_default=False, help="Address of VICIdial's database; default: its own settings say.")
    ] = ""
    database_port: Annotated[int, Parameter(show_default=False, help="Its port; default: the same, or 3306.")] = 0
    database: Annotated[str, Parameter(show_default=False, help="Its name; default: the same, or asterisk.")] = ""
    option_file: Annotated[
        Path | None,
        Parameter(help="A MySQL option file with an administrator's user and password, to run the grants with."),
    ] = None
    account: Annotated[
        str, Parameter(show_default=False, help="The account that hotdesk gets there; default: hotdesk.")
    ] = ""
    account_from: Annotated[
        str,
        Parameter(
            show_default=False,
            help="The machine that it comes from, as SQL writes it; default: this machine's address.",
        ),
    ] = ""


@Parameter(name="*")
@dataclass(frozen=True)
class Choice:
    """All else that there is to decide."""

    cluster: Annotated[str, Parameter(show_default=False, help="The cluster's name, for good; default: main.")] = ""
    address: Annotated[str, Parameter(show_default=False, help="This machine's address, as web servers reach it.")] = ""
    port: Annotated[int, Parameter(show_default=False, help="The port of API and status page; default: 8470.")] = 0
    let_in: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="An address or network to let in through the firewall, beside the web servers that VICIdial names.",
        ),
    ] = ()
    ami: Annotated[bool, Parameter(negative="", help="Ask the dialers by AMI too, with an account of its own.")] = False
    kafka: Annotated[
        str,
        Parameter(
            show_default=False, help="Kafka's brokers, HOST:PORT, with commas between: for several machines of hotdesk."
        ),
    ] = ""
    folder: Annotated[
        Path | None,
        Parameter(help="Write all into this folder, and set up no service: to try it out, or for a container."),
    ] = None


NO_RIGHTS, FOUND, DEFAULTS = Rights(), Database(), Choice()


def setup(  # noqa: PLR0913 # each a choice of the operator's
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Show every step, and change nothing.")] = False,
    undo: Annotated[bool, Parameter(negative="", help="Take back what setup made here.")] = False,
    yes: Annotated[bool, Parameter(negative="", help="Ask nothing: take what is found, and carry all out.")] = False,
    database: Database = FOUND,
    choice: Choice = DEFAULTS,
    rights: Rights = NO_RIGHTS,
) -> int:
    """Set hotdesk up on this machine: account, settings, secrets, service, firewall; then check it.

    It finds what it can, shows each step with its way back, and asks before it changes anything. It may be run again:
    what is right stays as it is, and so does what somebody has changed since.
    """
    folder = FOLDER if choice.folder is None else str(choice.folder.expanduser().absolute())
    if folder == FOLDER and os.geteuid() != 0 and not dry_run:
        raise SettingsError("run it as root; or, to try it out without a service, with --folder FOLDER")
    asking = Asking(yes or dry_run)
    asking.must_answer()
    with nullcontext() if dry_run else alone(folder):
        tree = Tree(f"{folder}/{NOTES}")
        if undo:
            return _undo(tree, asking, database, choice.cluster, folder, dry_run=dry_run)
        known = _known(tree, asking, folder, database, choice, rights)
        made = steps(known)
        show_steps(made)
        if dry_run:
            say("Nothing was changed.")
            return 0
        carry_out(tree, made, asking, _sql(_where(database, known.answers)))
    code = _checked(known)
    for line in closing(known):
        say(line)
    return code


def _known(  # noqa: PLR0913, PLR0917 # the choices, each once
    tree: Tree, asking: Asking, folder: str, database: Database, choice: Choice, rights: Rights
) -> Known:
    there = settings_there(Path(folder) / "hotdesk.toml", choice.cluster)
    answers = _answered(asking, there, folder, database, choice, rights)
    found_in_kafka = InKafka()
    if answers.kafka:
        found_in_kafka = in_kafka(_log_options(answers))
        copies = int(there.get("log_replication", 0)) or min(DEFAULT_REPLICATION, found_in_kafka.brokers)
        answers = msgspec.structs.replace(answers, replication=copies)
    made = Made(secrets.token_urlsafe(18), (_token(), _token(), _token()), _token())
    machine = this_machine(answers)
    if machine.systemd and machine.program.startswith(HOMES):
        raise SettingsError(
            f"{machine.program} is in a home directory, which no service sees: install it as docs/guide/install.md says"
            ", or try it out with --folder FOLDER"
        )
    known = Known(machine, InDatabase(), answers, made, tree.seen(paths(answers)), tree.notes, found_in_kafka)
    found = in_database(_where(database, answers), account_of(known), machine.vicidial)
    of_web = (_of_others(each.address) for each in found.web_servers)
    let_in = tuple(dict.fromkeys((*filter(None, of_web), *map(_network, choice.let_in))))
    return known._replace(database=found, answers=msgspec.structs.replace(answers, let_in=let_in))


def _answered(  # noqa: PLR0913, PLR0917 # the choices, each once
    asking: Asking, there: Mapping[str, str | int], folder: str, database: Database, choice: Choice, rights: Rights
) -> Answers:
    """Return the answers: an option first, then the settings that are there, then what VICIdial says, then a person."""
    of_vicidial = vicidial()
    host = database.database_host or str(there.get("host", "")) or of_vicidial.host
    host = host or asking.text("the address of VICIdial's database", "")
    host = "127.0.0.1" if host == "localhost" else host
    towards = address_towards(host)
    address = choice.address or str(there.get("api_host", ""))
    if not address:
        found = _of_others(towards) or of_vicidial.server_ip or _of_others(address_towards(SOMEWHERE))
        found = found or ("127.0.0.1" if folder != FOLDER else "")
        address = asking.text("this machine's address, as web servers reach it", found)
    cluster = choice.cluster or str(there.get("cluster", ""))
    cluster = cluster or asking.text("a name for this cluster, which cannot be changed later", "main")
    if not CLUSTER_NAME.fullmatch(cluster):
        raise SettingsError(f"cluster name {cluster!r}: use lower-case letters, digits and -, beginning with no -")
    set_already = {
        purpose
        for purpose, is_set in (
            (Purpose.ACT, there.get("mode") == "act"),
            (Purpose.FENCE, bool(there.get("fence"))),
            (Purpose.EMERGENCY, bool(there.get("emergency_logout"))),
        )
        if is_set
    }
    return Answers(
        cluster=cluster,
        host=host,
        port=database.database_port or int(there.get("port", 0)) or of_vicidial.port or DATABASE_PORT,
        database=database.database or str(there.get("database", "")) or of_vicidial.database or "asterisk",
        account=database.account or str(there.get("user", "")) or "hotdesk",
        address=address,
        comes_from=database.account_from or towards or "%",
        api_port=choice.port or int(there.get("api_port", 0)) or API_PORT,
        purposes=rights.purposes() | set_already,
        ami=choice.ami or bool(there.get("ami_user")),
        kafka=_brokers(choice.kafka or str(there.get("log_bootstrap", ""))),
        folder=folder,
    )


def _brokers(text: str) -> tuple[str, ...]:
    named = tuple(each.strip() for each in text.split(",") if each.strip())
    for each in named:
        if not BROKER.fullmatch(each):
            raise SettingsError(f"--kafka {each}: write a broker as HOST:PORT")
    return named


def _log_options(answers: Answers) -> LogOptions:
    """Return how Kafka is reached: a login and its like stand in settings that are there already."""
    there = LogOptions()
    if Path(answers.settings).exists():
        there = _converted(answers.settings, LogOptions, "log")
    return replace(there, bootstrap=answers.kafka)


def _of_others(address: str) -> str:
    """Return an address if other machines can reach it, or ""."""
    return "" if address in LOOPBACK else address


def _token() -> str:
    return secrets.token_hex(24)


def _network(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise SettingsError(f"--let-in {text}: it is no address and no network") from error
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _where(database: Database, answers: Answers) -> Where:
    return Where(answers.host, answers.port, answers.database, database.option_file)


def _sql(where: Where) -> RunSql:
    def run_sql(statements: Sequence[str]) -> None:
        with administrator(where) as connection, connection.cursor() as cursor:
            for statement in statements:
                try:
                    cursor.execute(statement)
                except pymysql.MySQLError as error:
                    # what a server says of a statement that it cannot read goes on with the statement, and its password
                    said = str(error.args[-1]).partition(" near ")[0]
                    raise DatabaseFailure(f"{where.host} refuses {statement.split()[0]}: {one_line(said)}") from None

    return run_sql


def _undo(  # noqa: PLR0913 # the choices, each once
    tree: Tree, asking: Asking, database: Database, cluster: str, folder: str, *, dry_run: bool
) -> int:
    notes = tree.notes
    if not notes.entries:
        say("There is nothing to take back: setup made nothing here, or it was taken back already.")
        return 0
    made = undoing(notes, tree.seen(paths_of(notes)))
    show_steps([step for step, _ in made])
    if dry_run:
        say("Nothing was changed.")
        return 0
    there = settings_there(Path(folder) / "hotdesk.toml", cluster)
    host = database.database_host or str(there.get("host", ""))
    port = database.database_port or int(there.get("port", DATABASE_PORT))
    where = Where(host, port, database.database or str(there.get("database", "")), database.option_file)
    run_sql = _sql(where) if host else _unknown_where
    take_back(tree, made, asking, run_sql)
    return 0


def _unknown_where(_: Sequence[str]) -> None:
    """Refuse: on another server an account of that name may be somebody else's."""
    raise DatabaseFailure("the settings do not say where VICIdial's database is: name it with --database-host")


def _checked(known: Known) -> int:
    """Run `hotdesk check` with the settings that were written, and return its exit code."""
    file = known.answers.settings
    read = settings.read_file(Path(file), must_exist=True)
    log, api = _converted(file, LogOptions, "log"), _converted(file, ApiOptions, "api")
    with suppress(SettingsError):  # the check says it
        if token := to_ask_with(tokens_of(api)):
            os.environ.setdefault("HOTDESK_TOKEN", token)
    silent = known.answers.serves and known.machine.systemd and not _answers_soon(api)
    late = ApiFailure(f"it does not answer within {STARTS_SECONDS:g} s")
    wanted = settings.clusters(read.clusters, Options(log, api), os.environ)
    code = 0
    for finding in (
        *([wrong(late, "service", "journalctl -u hotdesk says why")] if silent else []),
        *check_everything(log, api, wanted, notify_settings(read.notify, os.environ)),
    ):
        show(finding)
        code = max(code, finding.exit_code)
    return code


def _converted(file: str, kind: type[T], table: str) -> T:
    """Return a table of a settings file as options."""
    read = settings.read_file(Path(file), must_exist=True)
    given = read.tables.get(table, {})
    try:
        return msgspec.convert(given, kind, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        wrong = misfit(error, given, kind)
        raise Sources(table, read.tables, {}, {}).refusal(wrong.path, wrong.what) from error


def to_ask_with(tokens: Tokens) -> str:
    """Return the first token of the lowest scope; empty: the file has digests only, by which nobody can ask."""
    known = [each for _, each in tokens.items() if each.shown]
    return min(known, key=lambda each: each.scope).key.decode() if known else ""


def _path(kind: type, value: object) -> Path:
    if kind is not Path:
        raise NotImplementedError
    return Path(str(value))


def _answers_soon(api: ApiOptions) -> bool:
    """Wait until the service answers, or for STARTS_SECONDS."""
    url = api.reached_at(api.port, this_machine="127.0.0.1")
    try:
        for attempt in Retrying(
            stop=stop_after_delay(STARTS_SECONDS), wait=wait_fixed(0.3), retry=retry_if_exception_type(httpx.HTTPError)
        ):
            with attempt:
                httpx.get(f"{url}/healthz", timeout=2.0, trust_env=False, verify=trust(api.tls_ca))
    except RetryError:
        return False
    return True
