"""Records about desks: what VICIdial has, what is wanted, and what is to be done. Pure.

A record with a password or a secret in it does not show it, whoever prints it.
"""

import re
from collections.abc import Mapping
from functools import cached_property

import msgspec

from controller.core.readiness import ReadinessFinding
from messages.names import compared
from messages.records import ServerIp

LONGEST_LIST = 255
"""Characters of `phones_alias.logins_list`. VICIdial cuts off what is longer, without a word."""
LONGEST_LOGIN = 15
"""Characters of `phones.login` in VICIdial's own schema, though its API takes twenty: the rest would be cut off."""
LONGEST_ALIAS = 20
LONGEST_NAME = 50
NEW_SECRET, NEW_PASSWORD = 20, 10
"""Characters of a new registration secret and login password: what the columns of the oldest VICIdial have room for."""

KEPT = re.compile(r"[-_0-9A-Za-z]+")
"""Signs that VICIdial's API leaves in an extension, a password and a secret; it takes out the rest without a word."""
TYPED_ALIAS = re.compile(rf"[0-9A-Za-z]{{2,{LONGEST_ALIAS}}}")
"""An alias that agents can type, and that VICIdial leaves as it is."""
DIALLED = re.compile(r"[0-9]{3,20}")
"""A dialplan number that each function of VICIdial's API takes."""
KEPT_SECRET = re.compile(r"[-_0-9A-Za-z]{2,30}")
"""A password or secret that each of its functions takes as it is."""
KEPT_ALIAS_NAME = re.compile(rf"[- +.:/@_0-9A-Za-z]{{2,{LONGEST_NAME}}}")
MADE_BY_API = frozenset({"SIP", "IAX2", "Zap", "EXTERNAL"})
"""Protocols of which VICIdial's API makes phones."""
USUAL_PROTOCOL = "SIP"
USUAL_ZONE = "-5.00"
"""VICIdial's own default of `phones.local_gmt`."""
NO_CALLER_ID = "0000000000"
"""As VICIdial's own page for phones in bulk has it."""


class Dialer(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `servers`."""

    server_ip: ServerIp
    server_id: str = ""
    takes_agents: bool = True
    """It runs Asterisk, and agents may log in there."""
    agents: int = 0
    """Agents who are logged in there now; remote ones have no phone, and do not count."""

    @property
    def shown(self) -> str:
        """Its name and address, for people."""
        return f"{self.server_id} ({self.server_ip})" if self.server_id else self.server_ip


class Phone(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `phones`."""

    login: str
    server_ip: ServerIp
    extension: str
    active: bool = True
    protocol: str = USUAL_PROTOCOL
    webphone: bool = False
    peer_status: str = ""
    password: str | None = None
    """None: the database's account may not read it."""
    secret: str | None = None
    """The registration secret; None: the same."""

    def __repr__(self) -> str:
        return f"Phone({self.login}: {self.extension} on {self.server_ip})"


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `phones_alias`."""

    alias_id: str
    name: str = ""
    logins: tuple[str, ...] = ()


class Existing(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """The dialers, phones and aliases of a VICIdial."""

    dialers: tuple[Dialer, ...] = ()
    phones: tuple[Phone, ...] = ()
    aliases: tuple[Alias, ...] = ()

    @cached_property
    def phones_by_extension(self) -> Mapping[str, Mapping[ServerIp, Phone]]:
        """The phones by extension, as names are compared, and dialer."""
        found: dict[str, dict[ServerIp, Phone]] = {}
        for phone in self.phones:
            found.setdefault(compared(phone.extension), {}).setdefault(phone.server_ip, phone)
        return found

    @cached_property
    def aliases_by_id(self) -> Mapping[str, Alias]:
        """The aliases by their name, as names are compared."""
        return {compared(each.alias_id): each for each in self.aliases}


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A desk as it is wanted: one extension on each dialer, and one alias over these phones. Empty: as it is there."""

    extension: str
    alias_id: str
    name: str = ""
    password: str = ""
    secret: str = ""
    protocol: str = ""
    dialplan_number: str = ""
    """Empty: the extension."""
    voicemail_id: str = ""
    """Empty: the extension."""
    outbound_cid: str = NO_CALLER_ID
    local_gmt: str = USUAL_ZONE
    phone_context: str = "default"

    def __repr__(self) -> str:
        return f"Desk({self.alias_id}: {self.extension})"


class Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="step"):
    """One change in VICIdial: one request to its API."""


class AddPhone(Step, frozen=True, kw_only=True, tag="add_phone"):
    """Make a phone."""

    extension: str
    server_ip: ServerIp
    login: str
    password: str | None
    """None: a new one, the same for the whole desk."""
    secret: str | None
    protocol: str
    name: str
    dialplan_number: str
    voicemail_id: str
    outbound_cid: str = NO_CALLER_ID
    local_gmt: str = USUAL_ZONE
    phone_context: str = "default"
    webphone: bool = False

    def __repr__(self) -> str:
        return f"AddPhone({self.login}: {self.extension} on {self.server_ip})"


class ChangePhone(Step, frozen=True, kw_only=True, tag="change_phone"):
    """Change a phone's password, secret or protocol; empty: it stays as it is."""

    extension: str
    server_ip: ServerIp
    login: str
    password: str = ""
    secret: str = ""
    protocol: str = ""

    def __repr__(self) -> str:
        return f"ChangePhone({self.login}: {self.extension} on {self.server_ip})"


class DeletePhone(Step, frozen=True, kw_only=True, tag="delete_phone"):
    """Delete a phone."""

    extension: str
    server_ip: ServerIp
    login: str


class AddAlias(Step, frozen=True, kw_only=True, tag="add_alias"):
    """Make an alias."""

    alias_id: str
    name: str
    logins: tuple[str, ...]


class ChangeAlias(Step, frozen=True, kw_only=True, tag="change_alias"):
    """Change an alias's name or list; empty: it stays as it is."""

    alias_id: str
    name: str = ""
    logins: tuple[str, ...] = ()


class DeleteAlias(Step, frozen=True, kw_only=True, tag="delete_alias"):
    """Delete an alias."""

    alias_id: str


AnyStep = AddPhone | ChangePhone | DeletePhone | AddAlias | ChangeAlias | DeleteAlias


class DeskPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps for one desk, in their order: phones before the alias that lists them."""

    alias_id: str
    extension: str
    steps: tuple[AnyStep, ...] = ()
    contradictions: tuple[ReadinessFinding, ...] = ()
    """Reasons for which nothing is done for this desk."""
    remarks: tuple[ReadinessFinding, ...] = ()
    """Faults that are left as they are."""
    new_password: bool = False
    new_secret: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps for all desks."""

    desks: tuple[DeskPlan, ...] = ()

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        """All steps, in order."""
        return tuple(step for desk in self.desks for step in desk.steps)

    @property
    def contradictions(self) -> tuple[ReadinessFinding, ...]:
        """All contradictions, in the order of the desks."""
        return tuple(each for desk in self.desks for each in desk.contradictions)
