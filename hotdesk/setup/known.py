"""The facts, answers and new secrets that `hotdesk setup` goes by. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from hotdesk.grants import Account, Purpose
from hotdesk.setup.facts import SINCE_CREDENTIALS, InDatabase, InKafka, Machine
from hotdesk.setup.steps import Notes, Seen

FOLDER = "/etc/hotdesk"
API_PORT = 8470
DATABASE_PORT = 3306
DEFAULT_REPLICATION = 3
SERVICE = "hotdesk"
ROLES = {"hotdesk-collect": 8471, "hotdesk-control": 8472, "hotdesk-serve": 0}
"""The services of a machine whose log is Kafka, and the port that each unit sets; 0: that of the settings."""


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
    kafka: tuple[str, ...] = ()
    """Brokers, host:port; empty: the log is a file of this machine."""
    replication: int = DEFAULT_REPLICATION
    """Copies of each of Kafka's partitions."""
    let_in: tuple[str, ...] = ()
    """Addresses and networks that may ask: web servers, people."""
    folder: str = FOLDER
    """Any other than FOLDER: no service is set up."""

    @property
    def serves(self) -> bool:
        """True: it becomes a service of this machine."""
        return self.folder == FOLDER

    @property
    def services(self) -> tuple[str, ...]:
        """Return the services of this machine."""
        return tuple(ROLES) if self.kafka else (SERVICE,)

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
    kafka: InKafka = InKafka()


def account_of(known: Known) -> Account:
    """Return the database account, with the password that is in use."""
    there = known.seen.get(known.answers.password_file)
    in_use = there.content.decode(errors="replace").strip() if there is not None and there.content is not None else ""
    answers = known.answers
    return Account(answers.account, answers.comes_from, in_use or known.made.password, answers.database)


def has_own_user(known: Known) -> bool:
    """Return whether a user must be made who may read the secrets: an older systemd cannot hand them over."""
    return known.answers.serves and 0 < known.machine.systemd < SINCE_CREDENTIALS
