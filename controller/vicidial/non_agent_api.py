"""VICIdial's non-agent API, `vicidial/non_agent_api.php` on its web servers: it makes and changes phones and aliases.

As the agent API it answers 200 whatever happens, so the text counts: `SUCCESS:`, `ERROR:` or, for what it has left as
it was, `NOTICE:`. An answer about a wrong password repeats that password, and one about a missing parameter repeats all
of them, a phone's password and secret too: so what is passed on is cleaned of each. Some wrong passwords lock the user.
"""

import re
import ssl
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from controller.vicidial.agent_api import MOST_QUOTED, MOST_SHOWN
from controller.vicidial.exchange import Answer, BoundedTransport, post
from controller.vicidial.names import Names
from messages.codes import Reply
from messages.hidden import Hidden

TIMEOUT_SECONDS = 15.0
"""Nothing waits for it, and a busy web server is better waited for than asked twice."""
SOURCE = "hotdesk"

ANSWER = re.compile(r"^\s*((?:SUCCESS|ERROR|NOTICE):.*)$", re.MULTILINE)
"""VICIdial's answer, wherever it stands: PHP may print warnings before it."""
VERSION = re.compile(r"^\s*VERSION: ([^|]*)\|BUILD: ([^|]*)\|", re.MULTILINE)
NO_LOGIN = re.compile(
    r"^ERROR: (?:Login incorrect|Invalid Username/Password|Too many login attempts|Your IP Address is not allowed)"
)
"""An answer about the account itself, which may repeat its password."""
WHY_NO_LOGIN = re.compile(r"\|(BAD|LOCK|IPBLOCK)\|?\s*$")
NO_PERMISSION = re.compile(r"^(?:ERROR|NOTICE): \w+ USER DOES NOT HAVE PERMISSION")
NOT_THERE = re.compile(r"^ERROR: \w+ PHONE (?:DOES NOT EXIST ON THIS SERVER|ALIAS DOES NOT EXIST)")
"""An answer about something to be changed or deleted that does not exist."""
FIELDS_MISSING = "YOU MUST USE ALL REQUIRED FIELDS"
"""Said only to a user who has the permission: it is looked at first."""

NOT_LET_IN = (
    "VICIdial does not let this user in{why}: the user or the password is wrong, the user is locked, or this machine's"
    " address is not allowed"
)
LACKS = "the user needs level 8, agent API access, AST admin access, and for deletions AST delete phones"


class Answered(NamedTuple):
    """VICIdial's answer to one request."""

    reply: Reply
    said: str = ""
    """Its words, cleaned, or why there are none; empty: it was done."""


class NonAgentApi:
    """Asks one web server's non-agent API. It belongs to one thread.

    Args:
        url: its address.
        user: a VICIdial user with API access.
        password: their password.
        timeout_seconds: time limit of a request, from the look-up of the name to the last byte.
        transport: how requests get there; None: by the network.
    """

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url
        """Its address, as it was given."""
        self._account = {"source": SOURCE, "user": user, "pass": password}
        self._password = password
        if transport is None:
            names = Names()
            names.prepare(urlsplit(url).hostname or "")
            transport = BoundedTransport(timeout_seconds, ssl.create_default_context(), names)
        self._client = httpx.Client(follow_redirects=False, trust_env=False, transport=transport)

    def __repr__(self) -> str:
        return f"NonAgentApi({self.url})"

    def ask(self, function: str, fields: Mapping[str, str], secret_fields: Iterable[str] = ()) -> Answered:
        """Ask for a function, once.

        Args:
            function: its name.
            fields: its parameters.
            secret_fields: those of which the answer must not be passed on.
        """
        hidden = [self._password, *(fields[name] for name in secret_fields if fields.get(name))]
        try:
            answer = post(self._client, self.url, self._account | {"function": function} | dict(fields))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Answered(Reply.UNSENT, _cleaned(f"{self.url} cannot be connected to: {error}", hidden))
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            return Answered(Reply.UNCLEAR, _cleaned(f"{self.url} did not answer {function} in time: {why}", hidden))
        except httpx.InvalidURL as error:
            return Answered(Reply.UNSENT, _cleaned(f"{self.url} is not an address: {error}", hidden))
        return self._read(answer, hidden)

    def why_useless(self) -> Answered | None:
        """Return why nothing can be made here; None: the API answers, and this user may make phones.

        Nothing is changed: a phone without any field is asked for, which is refused only after the permission.
        """
        try:
            answer = post(self._client, self.url, {"source": SOURCE, "function": "version"})
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            return Answered(Reply.UNSENT, _cleaned(f"{self.url} does not answer: {why}", [self._password]))
        except httpx.InvalidURL as error:
            return Answered(Reply.UNSENT, _cleaned(f"{self.url} is not an address: {error}", [self._password]))
        if VERSION.search(answer.text) is None:
            return self._strange(answer, [self._password])
        tried = self.ask("add_phone", {})
        return None if FIELDS_MISSING in tried.said else tried

    def _read(self, answer: Answer, hidden: Iterable[str]) -> Answered:  # noqa: PLR0911 # one each
        """Return what an answer means."""
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Answered(Reply.UNCLEAR, f"{self.url} answers {answer.status}")
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            return Answered(Reply.DENIED, f"{self.url} answers {answer.status}: this machine is not let in")
        found = ANSWER.search(answer.text) if answer.status == httpx.codes.OK else None
        if found is None:
            return self._strange(answer, hidden)
        text = found[1].strip()
        if text.startswith("SUCCESS:"):
            return Answered(Reply.DONE)
        if NO_LOGIN.search(text):
            end = WHY_NO_LOGIN.search(text)
            return Answered(Reply.DENIED, NOT_LET_IN.format(why=f" ({end[1]})" if end else ""))
        said = _cleaned(text, hidden)
        if NO_PERMISSION.search(text):
            return Answered(Reply.DENIED, f"{said}; {LACKS}")
        return Answered(Reply.GONE if NOT_THERE.search(text) else Reply.REFUSED, said)

    def _strange(self, answer: Answer, hidden: Iterable[str]) -> Answered:
        quoted = _cleaned(answer.text, hidden)[:MOST_QUOTED]
        return Answered(
            Reply.UNCLEAR,
            f"{self.url} answers {answer.status}, unlike VICIdial's non-agent API: {quoted!r}; its address ends with"
            " /vicidial/non_agent_api.php",
        )


def _cleaned(text: str, hidden: Iterable[str]) -> str:
    """Return a line that may be shown: without what is hidden, and without control characters."""
    for each in hidden:
        text = Hidden(each).out_of_beginning(text)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MOST_SHOWN]
