"""The settings of `[notify.NAME]`: who is told outside, how, and of what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from controller.api.secret_files import UnsafeFileError, refuse_changeable
from controller.core.notifications import DEFAULT_EVENTS, Event, Recipient
from hotdesk.errors import SettingsError
from hotdesk.misfits import Sources, misfit, named_tables
from hotdesk.notify.senders import Apprise, Email, Program, Send, Told, Webhook
from hotdesk.settings import CLUSTER_NAME, LOOPBACK, read_secret
from hotdesk.tls import trust
from messages.shown import reason_of

NOTIFY_PREFIX = "HOTDESK_NOTIFY__"
NOTIFY_SECRETS = {"url": "url_file", "smtp_password": "smtp_password_file"}
"""Keys of secrets, and the setting to use in the file instead: an address has a token in it."""
LISTS = ("to", "events", "clusters", "command")
PORTS = {"starttls": 587, "tls": 465, "none": 25}

Kind = Literal["slack", "teams", "mattermost", "telegram", "json", "email", "command", "apprise"]
EventName = Literal["incident", "agents", "withheld", "suspended", "database", "orders", "owner"]


class FileFault(SettingsError):  # noqa: N818 # the fault is a file's
    """A file that the settings name is absent, unsafe, or of no use: perhaps only now."""


class NotifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recipient."""

    kind: Kind
    url: str = ""
    url_file: str = ""
    tls_ca: str = ""
    chat: str = ""
    smtp_host: str = ""
    smtp_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_password_file: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    events: tuple[EventName, ...] = ()
    clusters: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"NotifySettings({self.kind})"

    def recipient(self, name: str) -> Recipient:
        """Return the recipient, and what it wants to know."""
        events = frozenset(map(Event, self.events)) or DEFAULT_EVENTS
        return Recipient(name=name, events=events, clusters=frozenset(self.clusters))

    def send(self) -> Send:
        """Return how this recipient is sent a message.

        Raises:
            SettingsError: something is missing, or a secret's file cannot be read.
        """
        try:
            trust(self.tls_ca, "tls_ca")
        except SettingsError as error:
            raise FileFault(str(error)) from error
        match self.kind:
            case "email":
                return self._email()
            case "command":
                return self._program()
            case "apprise":
                return Apprise(self._url())
        if self.kind == "telegram" and not self.chat:
            raise SettingsError("chat is not set: Telegram needs the number of the chat")
        url = self._url()
        if not url.startswith(("https://", "http://")):
            raise FileFault(f"the content of {self.url_file or 'url'} is no address: it begins with https://")
        return Webhook(self.kind, url, self.chat, self.tls_ca)

    def _email(self) -> Email:
        for key in ("smtp_host", "sender", "to"):
            if not getattr(self, key):
                raise SettingsError(f"{key} is not set: an e-mail needs smtp_host, sender and to")
        for each in (self.sender, *self.to):
            if "@" not in each or not each.isprintable():
                raise SettingsError(f"{each!r} is no address of e-mail")
        password = self.smtp_password or _secret(self.smtp_password_file)
        if bool(password) != bool(self.smtp_user):
            raise SettingsError("smtp_user and smtp_password_file go together: set both, or neither")
        if password and self.smtp_tls == "none" and self.smtp_host not in LOOPBACK:
            raise SettingsError("smtp_tls is none: smtp_password would be sent in clear; set it to starttls or tls")
        port = self.smtp_port or PORTS[self.smtp_tls]
        return Email(
            self.smtp_host,
            port,
            self.smtp_tls,
            self.smtp_user,
            password,
            self.sender,
            self.to,
            self.tls_ca,
        )

    def _program(self) -> Program:
        if not self.command:
            raise SettingsError('command is not set: write it as a list, such as ["/usr/local/bin/page"]')
        path = Path(self.command[0])
        if not path.is_absolute():
            raise SettingsError(f"command: {path} is no whole path: write one such as /usr/local/bin/page")
        try:
            refuse_changeable(path, path.stat().st_mode)
        except UnsafeFileError as error:
            raise FileFault(f"command: {path} is refused: {error}") from error
        except (OSError, ValueError) as error:
            raise FileFault(f"command: {path} cannot be run: {reason_of(error)}") from error
        return Program(self.command)

    def _url(self) -> str:
        url = self.url or _secret(self.url_file)
        if not url:
            raise SettingsError("the address is not set: write it into a file, and name that in url_file")
        return url


def notify_settings(from_file: object, environment: Mapping[str, str]) -> dict[str, NotifySettings]:
    """Return the recipients' merged settings: environment over file.

    Raises:
        SettingsError: a key is unknown, a value does not fit, or a secret is where it must not be.
    """
    tables = named_tables("notify", from_file)
    merged = {name: dict(table) for name, table in tables.items()}
    variables = {}
    for variable, value in environment.items():
        if variable.startswith(NOTIFY_PREFIX):
            name, _, key = variable.removeprefix(NOTIFY_PREFIX).lower().partition("__")
            name = name.replace("_", "-")
            merged.setdefault(name, {})[key] = value.replace(",", " ").split() if key in LISTS else value
            variables[name, key] = variable
    sources = Sources("notify", from_file, variables, {})
    sources.refuse_secrets(tables, NOTIFY_SECRETS, NOTIFY_PREFIX, "the TOML file")
    found = {}
    for name, table in merged.items():
        if not CLUSTER_NAME.fullmatch(name):
            raise sources.refusal((name,), "is no name of a recipient: use lower-case letters, digits and -")
        try:
            found[name] = msgspec.convert(table, NotifySettings, strict=False)
        except msgspec.ValidationError as error:
            wrong = misfit(error, table, NotifySettings)
            raise sources.refusal((name, *wrong.path), wrong.what) from error
    return found


def told_by(settings: Mapping[str, NotifySettings]) -> dict[str, Told]:
    """Return the recipients, each with how it is sent a message.

    Raises:
        SettingsError: something is missing, or a secret's file cannot be read.
    """
    found = {}
    for name, each in settings.items():
        try:
            found[name] = Told(each.recipient(name), each.send())
        except SettingsError as error:
            raise type(error)(f"notify.{name}: {error}") from error
    return found


def _secret(path: str) -> str:
    try:
        return read_secret(path, "recipient")
    except SettingsError as error:
        raise FileFault(str(error)) from error
