"""The operator's settings: by flag, by environment (HOTDESK_…), or in a TOML file, in that order.

Clusters are tables of the file, `[clusters.NAME]`; a single setting of one may also come by flag
(`--clusters.NAME.KEY VALUE`) or environment (`HOTDESK_CLUSTERS__NAME__KEY`, with _ for each - of the name). Secrets
come by environment or from a file of their own, never by flag and never in the TOML file.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cyclopts import Parameter, Token
from cyclopts.validators import Number

from collectors.probes.ami import AMI_PORT
from collectors.probes.prober import Port, ProbeException, ProbeSettings, SipPace
from collectors.probes.sip import SIP_PORT
from collectors.vicidial.settings import DatabaseSettings
from controller.api.rate_limits import CLUSTER_PICKS, ORDERS, PICKS, VISITOR_PICKS, Limits, Rate, limits
from controller.api.secret_files import (
    UnsafeFileError,
    read_obeyed,
    read_private,
    refuse_changeable,
    refuse_readable_by_all,
)
from controller.core.decided import SENT_KEPT
from controller.core.policy import MaintenanceWindow, Policy, covers_all_time
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.errors import SettingsError
from hotdesk.misfits import Sources, dotted, misfit, named_tables, unknown
from hotdesk.tls import Certificate
from hotdesk.toml_lines import TablesOfFile, TomlLines
from messages.shown import reason_of
from messages.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX
from stream.kafka.settings import KafkaSettings

DEFAULT_FILE = Path("hotdesk.toml")
ENVIRONMENT_PREFIX = "HOTDESK_"
CLUSTERS_PREFIX = "HOTDESK_CLUSTERS__"
CLUSTER_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SECRETS = {
    "password": "password_file",
    "sasl_password": "sasl_password_file",
    "ami_secret": "ami_secret_file",
    "agent_api_password": "agent_api_password_file",
}
"""Keys of secrets, and the setting to use in a file instead."""
BROKER = re.compile(r"([^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
TOPIC_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,200}")
"""Characters that Kafka allows in a topic's name, with room for the topic itself."""

OTHER_VARIABLES = {"HOTDESK_CONFIG", "HOTDESK_TOKEN", "HOTDESK_LOG_SASL_PASSWORD", "HOTDESK_KAFKA_HOME"}
"""Variables that are no setting of a table's."""
OF_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_\w+)$")

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared here, and bound only by an explicit setting
"""Hosts that stand for every address of a machine: to bind to, not to connect to."""

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)

StalledAfter = Annotated[float, msgspec.Meta(ge=2.5, le=120)]
"""A sound heartbeat may look stalled for 2 s; and VICIdial itself offers no dialer after 120."""

MovesPerSecond = Annotated[float, msgspec.Meta(ge=1, le=1000)]
"""It is rounded: with less than one no agent would ever be moved."""


ClusterTables = Annotated[dict[str, Any], Parameter(parse=False)]
"""The `[clusters.NAME]` tables of the file, for which there is no flag."""

NotifyTables = Annotated[dict[str, Any], Parameter(parse=False)]
"""The `[notify.NAME]` tables of the file, for which there is no flag either."""

ReadAgain = Annotated[Callable[[], tuple[dict[str, Any], dict[str, Any]]], Parameter(parse=False)]
"""Returns both as they are in the file now."""


class Maintenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A maintenance window."""

    start: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description='a time of day from "00:00" to "23:59", in quotes'
        ),
    ]
    minutes: Annotated[int, msgspec.Meta(ge=1, le=24 * 60)]
    days: tuple[Day, ...] = DAYS
    dialers: tuple[str, ...] = ()
    zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{self.zone!r} is no time zone: write one such as Europe/Berlin") from error

    def window(self) -> MaintenanceWindow:
        """Return the window in the controller's form."""
        hours, _, minutes = self.start.partition(":")
        return MaintenanceWindow(
            start_minute=int(hours) * 60 + int(minutes),
            minutes=self.minutes,
            weekdays=frozenset(DAYS.index(day) for day in self.days),
            server_ips=frozenset(self.dialers),
            zone=ZoneInfo(self.zone),
        )


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One VICIdial cluster: its database, its dialers' probes, and the rules for decisions."""

    host: str = "127.0.0.1"
    port: Port = 3306
    socket: str = ""
    user: str = "hotdesk"
    password: str = ""
    password_file: str = ""
    database: str = "asterisk"
    tls_ca: str = ""
    ami_user: str = ""
    ami_secret: str = ""
    ami_secret_file: str = ""
    ami_port: Port = AMI_PORT
    sip: bool = True
    sip_port: Port = SIP_PORT
    sip_pace: SipPace = "in_doubt"
    probes: dict[str, ProbeException] = {}
    max_agents: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_agents_of: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    stalled_after_seconds: StalledAfter = Policy().stalled_after_seconds
    mode: Literal["advise", "act"] = "advise"
    relogin_via: Literal["sql", "api"] | None = None
    agent_api: tuple[str, ...] = ()
    agent_api_user: str = ""
    agent_api_password: str = ""
    agent_api_password_file: str = ""
    emergency_logout: bool = False
    fence: bool | None = None
    dead_call_status: str = ""
    moves_per_second: MovesPerSecond = Policy().moves_per_second
    act_on_heartbeat_alone: bool = False
    wrapup_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = Policy().wrapup_seconds
    moves_of_a_user: Annotated[int, msgspec.Meta(ge=1, le=SENT_KEPT)] = Policy().moves_of_a_user
    restore_state: bool = Policy().restore_state
    tell_agents: bool = False
    move_on_closed: bool = False
    maintenance: tuple[Maintenance, ...] = ()

    def __repr__(self) -> str:
        return f"ClusterSettings({self.socket or self.host}/{self.database})"

    def refuse_what_defeats_it(self) -> None:
        """Refuse settings of which each by itself is right, and with which hotdesk would be of no use.

        An `act` in which nothing is probed is none of them: orders are carried out, and `check` says what is not.

        Raises:
            SettingsError: it says which, and what to set instead.
        """
        if self.mode == "act" and covers_all_time([each.window() for each in self.maintenance]):
            raise SettingsError(
                "covers all dialers at every time, so each would be drained for good: write when they are"
                ' really away, or mode = "advise" if no agent is to be moved'
            )

    def database_settings(self) -> DatabaseSettings:
        """Return the collector's settings of the database, with the password from its file.

        Raises:
            SettingsError: the password's file cannot be read.
        """
        return DatabaseSettings(
            host=self.host,
            port=self.port,
            socket=self.socket,
            user=self.user,
            password=self.password or read_secret(self.password_file, "password"),
            database=self.database,
            tls_ca=self.tls_ca,
        )

    def probe_settings(self) -> ProbeSettings:
        """Return the collector's settings of the probes, with the secret from its file.

        Raises:
            SettingsError: there is an account without a secret, or a secret without an account; or its file cannot be
                read.
        """
        if self.ami_user and not (self.ami_secret or self.ami_secret_file):
            raise SettingsError(
                f"ami_user is {self.ami_user!r} and its secret is not set: set ami_secret_file, or"
                f" {CLUSTERS_PREFIX}NAME__AMI_SECRET in the environment"
            )
        if (self.ami_secret or self.ami_secret_file) and not self.ami_user:
            raise SettingsError("there is a secret for AMI and no account: set ami_user")
        secret = self.ami_secret or read_secret(self.ami_secret_file, "AMI secret")
        try:
            return ProbeSettings(
                ami_user=self.ami_user,
                ami_secret=secret,
                ami_port=self.ami_port,
                sip=self.sip,
                sip_port=self.sip_port,
                sip_pace=self.sip_pace,
                dialers=self.probes,
            )
        except ValueError as error:
            raise SettingsError(str(error)) from error

    @property
    def acts_by(self) -> Literal["sql", "api"]:
        """How screens are reached: by SQL, unless there is an agent API to use."""
        return self.relogin_via or ("api" if self.agent_api else "sql")

    def actuator_settings(self) -> ActuatorSettings:
        """Return the controller's settings to reach agents' screens, with the password from its file.

        Raises:
            SettingsError: something is missing, or the password's file cannot be read.
        """
        if self.acts_by == "sql":
            return ActuatorSettings(database=self.database_settings())
        if not self.agent_api:
            raise SettingsError(
                'relogin_via is "api", and agent_api is not set: set it to the addresses of VICIdial\'s agent API,'
                ' such as ["https://web1/agc/api.php"], or set relogin_via = "sql"'
            )
        for url in self.agent_api:
            if "@" in url:
                raise SettingsError(
                    "agent_api: an address has no user and no password: set agent_api_user and agent_api_password_file"
                )
            if not _is_web_address(url):
                raise SettingsError(f"agent_api: {url!r} is not an address: write one such as https://web1/agc/api.php")
        password = self.agent_api_password or read_secret(self.agent_api_password_file, "agent API password")
        if not (self.agent_api_user and password):
            raise SettingsError("agent_api is set: set agent_api_user and agent_api_password_file too")
        return ActuatorSettings(
            database=self.database_settings(),
            api_urls=self.agent_api,
            api_user=self.agent_api_user,
            api_password=password,
        )

    def policy(self) -> Policy:
        """Return the controller's rules for decisions."""
        return Policy(
            stalled_after_seconds=self.stalled_after_seconds,
            max_agents=self.max_agents,
            max_agents_of=dict(self.max_agents_of),
            acts=self.mode == "act",
            dead_call_status=self.dead_call_status,
            moves_per_second=self.moves_per_second,
            act_on_heartbeat_alone=self.act_on_heartbeat_alone,
            wrapup_seconds=self.wrapup_seconds,
            moves_of_a_user=self.moves_of_a_user,
            restore_state=self.restore_state,
            calls_phones=self.acts_by == "api",
            tells_agents=self.tell_agents and self.acts_by == "api",
            move_on_closed=self.move_on_closed,
            emergency_logout=self.emergency_logout,
            fence=self.fence,
            windows=tuple(each.window() for each in self.maintenance),
        )


@dataclass(frozen=True)
class LogOptions:
    """The log: a file of this machine, or Kafka."""

    path: Path = Path("hotdesk.db")
    """File of the embedded log; used if no brokers are set."""
    bootstrap: tuple[str, ...] = ()
    """Kafka brokers, host:port."""
    prefix: str = DEFAULT_PREFIX
    """Prefix of the topics' names."""
    partitions: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = DEFAULT_PARTITIONS
    """Partitions of each topic, fixed for life."""
    replication: Annotated[int, Parameter(validator=Number(gte=1, lte=100))] = 3
    """Copies of each partition, for `hotdesk topics create`."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Protocol of the connections to Kafka."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How this process logs in to Kafka."""
    sasl_username: str = ""
    """User for that; the password comes from HOTDESK_LOG_SASL_PASSWORD or from a file."""
    sasl_password_file: str = ""
    """File with the password."""
    tls_ca: str = ""
    """File with the authority that signed the brokers' certificates."""
    tls_cert: str = ""
    """File with this client's certificate."""
    tls_key: str = ""
    """File with its key."""

    @property
    def on_this_machine(self) -> bool:
        """True if every broker is on this machine."""
        return all(each.rpartition(":")[0].strip("[]") in LOOPBACK for each in self.bootstrap)

    def kafka(self) -> KafkaSettings:
        """Return the settings of the Kafka log.

        Raises:
            SettingsError: an address, the prefix or the login is not valid for Kafka, or the password's file cannot be
                read.
        """
        for broker in self.bootstrap:
            if "@" in broker:
                raise SettingsError(
                    "log.bootstrap: a broker has no user and no password: set log.sasl_username and"
                    " log.sasl_password_file"
                )
            if not BROKER.fullmatch(broker):
                raise SettingsError(
                    f"log.bootstrap: {broker!r} is not a broker's host:port; name several one by one, without commas"
                )
        if not TOPIC_PREFIX.fullmatch(self.prefix):
            raise SettingsError(f"log.prefix: {self.prefix!r} has more than letters, digits, '.', '_' and '-'")
        if self.tls_key:
            _refuse_key(self.tls_key, "log.tls_key")
        password = os.environ.get("HOTDESK_LOG_SASL_PASSWORD", "") or read_secret(self.sasl_password_file, "password")
        if self.security_protocol.startswith("SASL") and not (self.sasl_mechanism and self.sasl_username and password):
            raise SettingsError(
                f"log.security_protocol is {self.security_protocol}: set log.sasl_mechanism and log.sasl_username, and"
                " the password in HOTDESK_LOG_SASL_PASSWORD or log.sasl_password_file"
            )
        if (self.security_protocol, self.sasl_mechanism) == ("SASL_PLAINTEXT", "PLAIN") and not self.on_this_machine:
            raise SettingsError(
                "log.security_protocol is SASL_PLAINTEXT and log.sasl_mechanism is PLAIN: the password would be sent as"
                " it is; set log.security_protocol to SASL_SSL, or log.sasl_mechanism to SCRAM-SHA-512"
            )
        return KafkaSettings(
            bootstrap_servers=self.bootstrap,
            prefix=self.prefix,
            partitions=self.partitions,
            security_protocol=self.security_protocol,
            sasl_mechanism=self.sasl_mechanism,
            sasl_username=self.sasl_username,
            sasl_password=password,
            ssl_cafile=self.tls_ca or None,
            ssl_certfile=self.tls_cert or None,
            ssl_keyfile=self.tls_key or None,
        )


PerSecond = Annotated[float, Parameter(validator=Number(gt=0, lte=1_000_000))]
AtOnce = Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000))]


@dataclass(frozen=True)
class ApiOptions:
    """The API: its address, its clients and their limits."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8470
    """Port to bind; 0: any free one."""
    token_file: Path | None = None
    """File of lines 'read|pick|admin TOKEN'; without it only this machine may ask."""
    url: str = ""
    """URL of this process's API for other replicas; empty: http://HOST:PORT (https with a certificate), with this
    machine's name if HOST stands for every address."""
    tls_cert: str = ""
    """File with the API's certificate and the intermediate ones; with it the API answers only by TLS."""
    tls_key: str = ""
    """File with its key."""
    tls_ca: str = ""
    """File with the authority by which replicas and commands verify the API; default: the system's authorities."""
    trusted_proxies: str = ""
    """Addresses and networks of proxies, with commas, whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    grafana_url: str = ""
    """Address of the Grafana that has hotdesk's dashboards: incidents on the status page lead there; empty: none do."""
    picks_per_second: PerSecond = PICKS.per_second
    """Picks of one token, or of one address if there are no tokens, in the long run."""
    picks_at_once: AtOnce = PICKS.at_once
    """Picks of one token or address at once, before that rate applies."""
    visitor_picks_per_second: PerSecond = VISITOR_PICKS.per_second
    """Picks of one visitor of the login page, by the address that the hook tells, in the long run."""
    visitor_picks_at_once: AtOnce = VISITOR_PICKS.at_once
    """Picks of one visitor at once, before that rate applies: as many as agents log in together in one office."""
    cluster_picks_per_second: PerSecond = CLUSTER_PICKS.per_second
    """Picks of one cluster, all clients together, in the long run."""
    cluster_picks_at_once: AtOnce = CLUSTER_PICKS.at_once
    """Picks of one cluster at once, before that rate applies."""
    orders_per_second: PerSecond = ORDERS.per_second
    """Orders of one token or address, in the long run."""
    orders_at_once: AtOnce = ORDERS.at_once
    """Orders of one token or address at once, before that rate applies."""

    def limits(self) -> Limits:
        """Return the limits, with full buckets."""
        return limits(
            Rate(self.picks_per_second, self.picks_at_once),
            Rate(self.visitor_picks_per_second, self.visitor_picks_at_once),
            Rate(self.cluster_picks_per_second, self.cluster_picks_at_once),
            Rate(self.orders_per_second, self.orders_at_once),
        )

    def reached_at(self, port: int, *, this_machine: str) -> str:
        """Return the URL of an API bound to `port`; `this_machine`: the name of this machine for the client.

        Raises:
            SettingsError: api.url has a user or a password in it, which would stand in the log.
        """
        if "@" in self.url:
            raise SettingsError("api.url: an address has no user and no password; a token goes into HOTDESK_TOKEN")
        host = this_machine if self.host in ANYWHERE else self.host
        scheme = "https" if self.tls_cert else "http"
        return self.url or (f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}")

    def proxies(self) -> list[str]:
        """Return the addresses and networks of trusted proxies.

        Raises:
            SettingsError: one of them is neither.
        """
        named = [each.strip() for each in self.trusted_proxies.split(",") if each.strip()]
        for each in named:
            try:
                ip_network(each)
            except ValueError as error:
                raise SettingsError(
                    f"api.trusted_proxies: {error}: write addresses or networks, with commas"
                ) from error
        return named

    def dashboards(self) -> str:
        """Return the address of Grafana, without a slash at its end; empty: there is none.

        Raises:
            SettingsError: it is no address of a web server.
        """
        if self.grafana_url and not _is_web_address(self.grafana_url):
            raise SettingsError(
                "api.grafana_url is not the address of a Grafana: write one such as https://grafana.example.com,"
                " with no user, password or query"
            )
        return self.grafana_url.rstrip("/")

    def certificate(self) -> Certificate | None:
        """Return the API's certificate; None: it answers by plain HTTP.

        Raises:
            SettingsError: only one of the two files is set, or they cannot be used.
        """
        if bool(self.tls_cert) != bool(self.tls_key):
            raise SettingsError("api.tls_cert and api.tls_key go together: set both, or neither")
        if self.tls_key:
            _refuse_key(self.tls_key, "api.tls_key")
        return Certificate(self.tls_cert, self.tls_key) if self.tls_cert else None


TABLES: dict[str, type[LogOptions | ApiOptions]] = {"log": LogOptions, "api": ApiOptions}
"""The tables of the TOML file but for those of clusters and recipients."""


def _clusters_from_flags(_: type, tokens: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the values of `--clusters.NAME.KEY VALUE`; `clusters` merges the environment's, whose names may have _."""
    given: dict[str, dict[str, str]] = {}
    for name, keys in tokens.items():
        if name.startswith("_"):
            continue  # a variable
        if not isinstance(keys, Mapping):
            raise SettingsError(f"--clusters.{name} has no setting: write --clusters.NAME.KEY VALUE")
        for key, values in keys.items():
            words: list[Token] = values
            given.setdefault(name, {})[key.replace("-", "_")] = words[-1].value
    return given


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """All options of a role."""

    log: LogOptions = field(default_factory=LogOptions)
    api: ApiOptions = field(default_factory=ApiOptions)
    clusters: Annotated[
        dict[str, dict[str, str]],
        Parameter(
            converter=_clusters_from_flags,
            help="One setting of one cluster: --clusters.NAME.KEY VALUE. The rest of it belongs in the TOML file.",
        ),
    ] = field(default_factory=dict)


Settings = Annotated[Options, Parameter(show=False)]
"""The same for a command whose help would be nothing but these: it takes them, and `hotdesk run --help` lists them."""


class FromFile(NamedTuple):
    """The tables of a TOML file."""

    tables: dict[str, Any]
    """`log` and `api`."""
    clusters: object
    notify: object


def read_file(path: Path, *, must_exist: bool) -> FromFile:
    """Return the tables of a TOML file.

    Raises:
        SettingsError: the file does not exist, is not TOML, or has an unknown setting.
    """
    try:
        text = read_obeyed(path, found=not must_exist)
        tables = tomllib.loads(text)
    except FileNotFoundError:
        if must_exist:
            raise SettingsError(
                f"there is no {path}; 'hotdesk setup' makes one for a service, 'hotdesk init' writes one to edit"
            ) from None
        return FromFile({}, {}, {})
    except UnsafeFileError as error:
        raise SettingsError(f"{path} is refused: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        # not text, not TOML, a number of thousands of digits, thousands of nested brackets
        raise SettingsError(f"{path} cannot be read: {reason_of(error)}") from error
    lines = TomlLines(str(path), text)
    named, notify = (_placed(tables, room, lines) for room in ("clusters", "notify"))
    _refuse_what_is_none(tables, lines)
    return FromFile(TablesOfFile(tables, lines), named, notify)


def _placed(tables: dict[str, Any], room: str, lines: TomlLines) -> TablesOfFile:
    named = tables.pop(room, {})
    if not isinstance(named, dict):
        raise SettingsError(f"{lines.place((room,))}: {room} is no table: write [{room}.NAME], and its settings below")
    return TablesOfFile(named, lines)


def _refuse_what_is_none(tables: Mapping[str, object], lines: TomlLines) -> None:
    """Refuse a table or a setting that there is none of, and a secret."""
    for name, table in tables.items():
        if name not in TABLES:
            raise SettingsError(
                f"{lines.place((name,))}: [{name}] is no table of hotdesk's; there are log, api, clusters.NAME and"
                " notify.NAME"
            )
        if not isinstance(table, dict):
            raise SettingsError(f"{lines.place((name,))}: {name} is a table: write [{name}], and its settings below")
        known = {each.name for each in fields(TABLES[name])}
        for key in table:
            if SECRETS.get(key) in known:
                raise SettingsError(
                    f"{lines.place((name, key))}: {name}.{key} stands in the TOML file: secrets come from a file"
                    f" ({SECRETS[key]}) or from the environment ({ENVIRONMENT_PREFIX}{name.upper()}_{key.upper()})"
                )
            if key not in known:
                raise SettingsError(f"{lines.place((name, key))}: {dotted((name, key))} {unknown(key, known)}")


def clusters(from_file: object, options: Options, environment: Mapping[str, str]) -> dict[str, ClusterSettings]:
    """Return the clusters' merged settings: flags over environment over file.

    Raises:
        SettingsError: a key is unknown, a value does not fit, or a secret is where it must not be.
    """
    tables = named_tables("clusters", from_file)
    merged = {name: dict(table) for name, table in tables.items()}
    variables = {}
    for variable, value in environment.items():
        if variable.startswith(CLUSTERS_PREFIX):
            name, _, key = variable.removeprefix(CLUSTERS_PREFIX).lower().partition("__")
            name = name.replace("_", "-")  # no shell allows - in a variable's name
            merged.setdefault(name, {})[key] = value
            variables[name, key] = variable
    sources = Sources("clusters", from_file, variables, options.clusters)
    sources.refuse_secrets(options.clusters, SECRETS, CLUSTERS_PREFIX, "a flag")
    sources.refuse_secrets(tables, SECRETS, CLUSTERS_PREFIX, "the TOML file")
    for name, given in options.clusters.items():
        merged.setdefault(name, {}).update(given)
    for name in merged:
        if not CLUSTER_NAME.fullmatch(name):
            raise sources.refusal(
                (name,), "is no name of a cluster: use lower-case letters, digits and -, beginning with no -"
            )
    return {name: _cluster(name, table, sources) for name, table in merged.items()}


def _cluster(name: str, table: dict[str, Any], sources: Sources) -> ClusterSettings:
    addresses = table.get("agent_api")
    if isinstance(addresses, str):  # a variable or a flag
        table["agent_api"] = addresses.replace(",", " ").split()
    try:
        made = msgspec.convert(table, ClusterSettings, strict=False)
    except msgspec.ValidationError as error:
        wrong = misfit(error, table, ClusterSettings)
        raise sources.refusal((name, *wrong.path), wrong.what) from error
    try:
        made.refuse_what_defeats_it()
    except SettingsError as error:
        raise sources.refusal((name, "maintenance"), str(error)) from error
    return made


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that look like settings and are none, each with the one that was probably meant, or "".

    They are not refused: Kubernetes, for one, puts HOTDESK_API_SERVICE_HOST and its like there for a service.
    """
    known = {
        f"{ENVIRONMENT_PREFIX}{table.upper()}_{each.name.upper()}"
        for table, kind in TABLES.items()
        for each in fields(kind)
    } | OTHER_VARIABLES
    beginnings = tuple(f"{ENVIRONMENT_PREFIX}{table.upper()}_" for table in TABLES)
    return {
        each: next(iter(get_close_matches(each, known, 1, 0.8)), "")
        for each in environment
        if each.startswith(beginnings) and each not in known and not OF_KUBERNETES.search(each)
    }


def read_secret(path: str, what: str) -> str:
    """Return the secret of a file, empty for no file; `what` names it in errors.

    Raises:
        SettingsError: the file cannot be read, or others could read or change it.
    """
    if not path:
        return ""
    try:
        return read_private(Path(path)).strip()
    except UnsafeFileError as error:
        raise SettingsError(f"the {what}'s file {path} is refused: {error}") from error
    except (OSError, ValueError) as error:  # no such file, not text, not a path
        raise SettingsError(f"the {what}'s file {path} cannot be read: {reason_of(error)}") from error


_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~%/-]*)?")


def _is_web_address(url: str) -> bool:
    """Return True if `url` is the address of a web server, with or without a path, and with nothing else in it."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port != 0  # raises for one that is none
    except ValueError:
        return False
    return bool(port_fits and parts.hostname and _WEB_ADDRESS.fullmatch(url))


def _refuse_key(path: str, what: str) -> None:
    """Refuse a key's file that every account on this machine may read, or that others may change."""
    try:
        mode = Path(path).stat().st_mode
        refuse_readable_by_all(Path(path), mode)
        refuse_changeable(Path(path), mode)
    except UnsafeFileError as error:
        raise SettingsError(f"{what} {path} is refused: {error}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{what} {path} cannot be read: {reason_of(error)}") from error
