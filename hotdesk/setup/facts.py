"""Facts of a machine and of a database, and how they are read. Pure.

The form of `/etc/astguiclient.conf` is VICIdial's: `NAME => value`, where everything from # or ; on is a remark.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hotdesk.grants import Column, Right
from hotdesk.setup.steps import ROOT, Owner

ASTGUICLIENT = "/etc/astguiclient.conf"
SINCE_CREDENTIALS = 252
"""The first systemd that hands secrets over as the units want them."""

_LINE = re.compile(r"^[ \t]*(\w+)[ \t]*=+>([^#;\n]*)", re.MULTILINE)
_SYSTEMD = re.compile(r"^systemd (\d+)", re.MULTILINE)
_INTERFACE = re.compile(r"^\d+: +(\S+?)(?:@\S+)? +inet6? ([0-9a-fA-F.:]+)/", re.MULTILINE)
_TABLE = re.compile(r"^table (?P<family>inet|ip) (?P<table>\S+) \{")
_CHAIN = re.compile(r"^\s+chain (?P<chain>\S+) \{")
_INPUT = re.compile(r"^\s+type filter hook input\b")


class Vicidial(NamedTuple):
    """The settings of a VICIdial machine; empty: they do not say, or it is none."""

    server_ip: str = ""
    host: str = ""
    port: int = 0
    database: str = ""
    user: str = ""
    password: str = ""
    web: str = ""
    """The web server's document root."""

    def __repr__(self) -> str:
        return f"Vicidial({self.server_ip}, {self.host}/{self.database})"


class Dialer(NamedTuple):
    """A row of `servers` that runs Asterisk."""

    server_ip: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.server_ip})" if self.name else self.server_ip


class WebServer(NamedTuple):
    """A web server that VICIdial has seen agents on."""

    name: str
    address: str
    """Empty: its name cannot be resolved here."""

    def __str__(self) -> str:
        return f"{self.name} ({self.address})" if self.address not in {"", self.name} else self.name


class InDatabase(NamedTuple):
    """Facts that were read in VICIdial's database."""

    columns: frozenset[Column] = frozenset()
    creates_if_absent: bool = True
    dialers: tuple[Dialer, ...] = ()
    web_servers: tuple[WebServer, ...] = ()
    administers: bool = False
    """It was read as an administrator, who may create the account."""
    by_account: bool = False
    """It was read by the account itself, which sees only what it has a right to."""
    has_account: bool = False
    """There is such an account already, as an administrator sees it."""
    held: frozenset[Right] | None = None
    """The rights that the account has; None: it cannot log in."""
    unread: str = ""
    """Why it could not be read; empty: it could."""


class InKafka(NamedTuple):
    """Facts that were read in Kafka."""

    brokers: int = 0
    absent: tuple[str, ...] = ()
    """Topics that are not there yet."""


class Firewall(NamedTuple):
    """The firewall of this machine."""

    kind: str = ""
    """firewalld, ufw or nftables; empty: none is at work."""
    zone: str = ""
    """Of firewalld: where the machine's address is. Of nftables: family, table and chain of what comes in."""
    rules: str = ""
    """Those that it has, as it lists them."""


class Machine(NamedTuple):
    """Facts that were found on this machine."""

    owner: Owner = ROOT
    """The user and group that carry setup out: files belong to them."""
    vicidial: Vicidial = Vicidial()
    systemd: int = 0
    """Its version; 0: none is at work here."""
    has_user: bool = False
    """There is a user `hotdesk`."""
    packaged: bool = False
    """A package has brought the unit."""
    active: bool = False
    """The services are enabled, and run."""
    alone: bool = False
    """The service of a machine whose log is a file is enabled."""
    firewall: Firewall = Firewall()
    program: str = ""
    """The command that runs now."""
    shipped: Mapping[str, str] = MappingProxyType({})
    """The units, and the drop-ins with their secrets, by name, as they are shipped."""


def read_vicidial(text: str) -> Vicidial:
    """Return what /etc/astguiclient.conf says."""
    said = {name: value.strip() for name, value in _LINE.findall(text)}
    port = said.get("VARDB_port", "")
    return Vicidial(
        server_ip=said.get("VARserver_ip", ""),
        host=said.get("VARDB_server", ""),
        port=int(port) if port.isdecimal() else 0,
        database=said.get("VARDB_database", ""),
        user=said.get("VARDB_user", ""),
        password=said.get("VARDB_pass", ""),
        web=said.get("PATHweb", ""),
    )


def systemd_version(said: str) -> int:
    """Return the number in what `systemctl --version` says; 0: there is none."""
    found = _SYSTEMD.search(said)
    return int(found[1]) if found else 0


def interface_of(address: str, said: str) -> str:
    """Return the interface that has an address, by what `ip -o addr` says; empty: none."""
    return next((name for name, has in _INTERFACE.findall(said) if has == address), "")


def input_chain(ruleset: str) -> str:
    """Return family, table and chain of the first chain that filters what comes in, by `nft list ruleset`."""
    table, chain = "", ""
    for line in ruleset.splitlines():
        if found := _TABLE.match(line):
            table, chain = f"{found['family']} {found['table']}", ""
        elif line.startswith("table "):
            table = ""
        elif found := _CHAIN.match(line):
            chain = found["chain"]
        elif table and chain and _INPUT.match(line):
            return f"{table} {chain}"
    return ""


def settled_in(tables: Mapping[str, object], cluster: str) -> dict[str, str | int]:
    """Return what a settings file that is there says of what setup asks: its only cluster, or the one that is named."""
    clusters = tables.get("clusters")
    known = clusters if isinstance(clusters, dict) else {}
    name = cluster or (next(iter(known)) if len(known) == 1 else "")
    table, api = known.get(name), tables.get("api")
    found: dict[str, str | int] = {"cluster": name} if isinstance(table, dict) else {}
    log = tables.get("log")
    if isinstance(log, dict) and isinstance(brokers := log.get("bootstrap"), list):
        found["log_bootstrap"] = ",".join(map(str, brokers))
    for prefix, at, names in (
        ("", table, ("host", "port", "database", "user", "mode", "fence", "emergency_logout", "ami_user")),
        ("api_", api, ("host", "port")),
        ("log_", log, ("replication",)),
    ):
        if isinstance(at, dict):
            found |= {prefix + each: at[each] for each in names if isinstance(at.get(each), str | int)}
    return found
