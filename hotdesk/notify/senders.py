"""Senders of messages: by webhook, by e-mail, by a command, or by apprise. Each try has a time limit.

What failed is said without the address: an address has a token in it, and may not stand in a log.
"""

import os
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from importlib import import_module
from typing import NamedTuple

import httpx

from controller.core.notifications import Message, Recipient
from controller.vicidial.exchange import BoundedTransport
from controller.vicidial.names import Names
from hotdesk.notify.shapes import body_of, facts

TRY_SECONDS = 10.0
"""Time limit of one try, but for a command."""
COMMAND_SECONDS = 30.0

Send = Callable[[Message], None]
"""Sends a message.

Raises:
    SendError: it was not sent, or that is not known.
"""


class SendError(Exception):
    """A message could not be sent; `str()` says why, in one line and without a secret."""


class Told(NamedTuple):
    """A recipient, and how it is sent a message."""

    recipient: Recipient
    send: Send


def _trusted(tls_ca: str) -> ssl.SSLContext:
    """Return the TLS context by which a server is verified."""
    return ssl.create_default_context(cafile=tls_ca or None)


@dataclass(frozen=True, repr=False)
class Webhook:
    """A chat service, or anything that takes JSON by HTTP."""

    kind: str
    url: str
    chat: str = ""
    tls_ca: str = ""
    """File with the authority of its certificate; empty: the system's."""

    def __repr__(self) -> str:
        return f"Webhook({self.kind})"

    def __call__(self, message: Message) -> None:
        """Post it."""
        try:
            with (
                httpx.Client(transport=BoundedTransport(TRY_SECONDS, _trusted(self.tls_ca), Names())) as client,
                client.stream(
                    "POST",
                    self.url,
                    content=body_of(self.kind, message, self.chat),
                    headers={"content-type": "application/json"},
                ) as answer,
            ):
                pass  # what it says beside its status is not read
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise SendError(f"no answer ({type(error).__name__})") from None
        if not answer.is_success:
            raise SendError(f"it answers {answer.status_code}")


@dataclass(frozen=True, repr=False)
class Email:
    """A mail server."""

    host: str
    port: int
    tls: str
    """`starttls`, `tls` from the first byte, or `none`."""
    user: str
    password: str
    sender: str
    to: Sequence[str]
    tls_ca: str = ""
    """As above."""

    def __repr__(self) -> str:
        return f"Email({self.host}:{self.port})"

    def __call__(self, message: Message) -> None:
        """Hand it to the mail server."""
        shown = facts(message)
        mail = EmailMessage()
        mail["Subject"] = f"{shown['title']}: {shown['text']}"[:200]
        mail["From"] = self.sender
        mail["To"] = ", ".join(self.to)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(f"{shown['title']}\n\n{shown['text']}\n")
        try:
            trusted = _trusted(self.tls_ca)
            with self._connected(trusted) as server:
                if self.tls == "starttls":
                    server.starttls(context=trusted)
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            code = getattr(error, "smtp_code", None)
            raise SendError(f"{self.host}: {type(error).__name__}{'' if code is None else f' {code}'}") from None
        if refused:
            raise SendError(f"{self.host} refuses {len(refused)} of {len(self.to)} addresses")

    def _connected(self, trusted: ssl.SSLContext) -> smtplib.SMTP:
        if self.tls == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TRY_SECONDS, context=trusted)
        return smtplib.SMTP(self.host, self.port, timeout=TRY_SECONDS)


@dataclass(frozen=True, repr=False)
class Program:
    """A command, run without a shell, with the facts in its environment and nothing else of this process's."""

    command: Sequence[str]

    def __repr__(self) -> str:
        return f"Program({self.command[0]})"

    def __call__(self, message: Message) -> None:
        """Run it, and wait for its end."""
        environment = {f"HOTDESK_{name.upper()}": value for name, value in facts(message).items()}
        try:
            ended = subprocess.run(  # noqa: S603 # the operator's own command
                list(self.command),
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SendError(f"{self.command[0]} ran for {COMMAND_SECONDS:g} s, and was ended") from None
        except (OSError, ValueError) as error:
            raise SendError(f"{self.command[0]} cannot be run: {type(error).__name__}") from None
        if ended.returncode:
            raise SendError(f"{self.command[0]} ended with {ended.returncode}")


@dataclass(frozen=True, repr=False)
class Apprise:
    """Any of the services that the library apprise knows."""

    url: str

    def __repr__(self) -> str:
        return "Apprise()"

    def __call__(self, message: Message) -> None:
        """Send it by apprise."""
        try:
            library = import_module("apprise")
        except ImportError:
            raise SendError("apprise is not installed beside hotdesk: see docs/guide/notifications.md") from None
        to = library.Apprise()
        shown = facts(message)
        try:
            sent = to.add(self.url) and to.notify(title=shown["title"], body=shown["text"])
        except Exception as error:  # noqa: BLE001 # whatever a plugin of theirs raises, perhaps with the address in it
            raise SendError(f"apprise: {type(error).__name__}") from None
        if not sent:
            raise SendError("apprise could not send it")
