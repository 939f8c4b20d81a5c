"""Agent control by VICIdial's agent API, `agc/api.php` on its web servers.

The API addresses a user and not a session: its LOGOUT would end whatever session that user has when it arrives. So the
caller reads the user's rows just before, and a request's time limit is short. Without an answer it is not known whether
the request was carried out; no second web server is asked then, since the first may still be working on it.

VICIdial answers 200 whatever happens, so the text counts. An answer about a wrong password repeats that password, and
some wrong passwords lock the user: every answer is cleaned before it is passed on, and the caller stops.
"""

import html
import re
import secrets
import ssl
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import httpx

from controller.core.actions import Outcome
from controller.core.actions.relogin import LOGOUT
from messages.codes import Reply
from messages.records import AgentPause, Arrival, Relogin

TIMEOUT_SECONDS = 2.0
MOST_BYTES = 64 * 1024
"""An answer is one line; a longer one does not come from the agent API."""
MOST_SHOWN = 200
REMOVED = re.compile(r"['\"\\; ]")
"""Characters that VICIdial removes from a password before it repeats it."""
SAFE_USER = re.compile(r"[0-9A-Za-z]+")
"""VICIdial removes other characters from a user's name, which may then be another user's."""
NOT_LOGGED_IN = "agent_user is not logged in"
NOT_PAUSED = "agent is not paused"
NO_PERMISSION = "DOES NOT HAVE PERMISSION"
DENIALS = re.compile(r"Invalid Username/Password|DOES NOT HAVE PERMISSION|API NOT ACTIVE|LOCK|BAD\|", re.IGNORECASE)
ANY_STATUS = "A"
"""A status for the permission check if none is configured."""


class Function(StrEnum):
    """A function of the agent API."""

    LOGOUT = "logout"
    PAUSE = "external_pause"
    HANG_UP = "external_hangup"
    STATUS = "external_status"
    CALL = "call_agent"


class _Answer(NamedTuple):
    status: int
    text: str


class AgentApi:
    """A `controller.vicidial.ports.AgentControl`, by VICIdial's agent API.

    Args:
        urls: Addresses of the same VICIdial's `api.php`; the next is asked only if one cannot be connected to.
        user: A VICIdial user with agent API access.
        password: Their password.
        timeout_seconds: Time limit of a request, from the connection to the last byte.
        transport: How requests get to these addresses; None: by the network.
    """

    names_user = True

    def __init__(
        self,
        urls: Sequence[str],
        user: str,
        password: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._urls = list(urls)
        self._user = user
        self._password = password
        self._timeout = timeout_seconds
        self._client = httpx.Client(
            # by default httpx trusts only public authorities, and not those that this machine trusts
            verify=ssl.create_default_context(),
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )
        forms = {password, REMOVED.sub("", password)}
        forms |= {escape(form) for form in forms for escape in (quote, quote_plus, html.escape)}
        self._secret_forms = sorted(filter(None, forms), key=len, reverse=True)

    def __repr__(self) -> str:
        return f"AgentApi({self._urls}, user={self._user!r})"

    def log_out(self, relogin: Relogin, hang_up_as: str | None) -> Outcome:
        """As `AgentControl.log_out`; each step only once the one before has succeeded."""
        first = [] if hang_up_as is None else _hanging_up(hang_up_as)
        return self._ask_each(relogin.user, [*first, (Function.LOGOUT, LOGOUT)])

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """As `AgentControl.hang_up`."""
        return self._ask_each(relogin.user, _hanging_up(hang_up_as))

    def _ask_each(self, user: str, steps: Sequence[tuple[Function, str]]) -> Outcome:
        for function, value in steps:
            outcome = self._ask(function, user, value)
            if outcome.reply is not Reply.DONE:
                break
        return outcome

    def pause(self, pause: AgentPause) -> Outcome:
        """As `AgentControl.pause`."""
        return self._ask(Function.PAUSE, pause.user, "PAUSE")

    def resume(self, action: AgentPause | Arrival) -> Outcome:
        """As `AgentControl.resume`."""
        outcome = self._ask(Function.PAUSE, action.user, "RESUME")
        if outcome.reply is Reply.REFUSED and NOT_PAUSED in outcome.said:
            return Outcome(Reply.GONE, outcome.said)
        return outcome

    def call(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.call`; an account that lacks this permission alone suspends nothing."""
        outcome = self._ask(Function.CALL, arrival.user, "CALL")
        if outcome.reply is Reply.DENIED and NO_PERMISSION in outcome.said:
            return Outcome(Reply.REFUSED, outcome.said)
        return outcome

    def missing_rights(self, dead_call_status: str) -> str | None:
        """As `AgentControl.missing_rights`; VICIdial checks permission before it looks up the user."""
        no_user = secrets.token_hex(10)
        asked = {
            Function.LOGOUT: LOGOUT,
            Function.PAUSE: "PAUSE",
            Function.HANG_UP: "1",
            Function.STATUS: dead_call_status or ANY_STATUS,
            Function.CALL: "CALL",
        }
        for function, value in asked.items():
            outcome = self._ask(function, no_user, value)
            if outcome.reply is not Reply.GONE:
                return f"{function}: {outcome.said}"
        return None

    def _ask(self, function: Function, user: str, value: str) -> Outcome:
        if not SAFE_USER.fullmatch(user):
            why = f"VICIdial's agent API would take {user!r} for another user: use relogin_via = 'sql'"
            return Outcome(Reply.REFUSED, why)
        form = {
            "source": "hotdesk",
            "user": self._user,
            "pass": self._password,
            "agent_user": user,
            "function": function.value,
            "value": value,
        }
        unreached = []
        for url in list(self._urls):
            try:
                answer = self._post(url, form)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreached.append(f"{url} cannot be connected to: {error}")
                continue
            except (httpx.HTTPError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                return Outcome(Reply.UNCLEAR, self._clean(f"{url} did not answer {function} in time: {why}"))
            except httpx.InvalidURL as error:
                return Outcome(Reply.REFUSED, self._clean(f"{url} is not an address: {error}"))
            # a server that works is asked first the next time
            self._urls.remove(url)
            self._urls.insert(0, url)
            return self._read(function, url, answer)
        return Outcome(Reply.UNSENT, self._clean("; ".join(unreached)))

    def _post(self, url: str, form: dict[str, str]) -> _Answer:
        """Send a request and return its answer within the time limit, which httpx has only for each single step.

        Raises:
            httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
            httpx.HTTPError, TimeoutError: it was sent, and may have arrived.
        """
        deadline = time.monotonic() + self._timeout
        body = b""
        with self._client.stream("POST", url, data=form) as response:
            for part in response.iter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError("its answer came too slowly")
        return _Answer(response.status_code, body[:MOST_BYTES].decode(errors="replace"))

    def _read(self, function: Function, url: str, answer: _Answer) -> Outcome:
        """Return the outcome that the text of an answer means."""
        text = answer.text.strip()
        said = self._clean(text)
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            return Outcome(Reply.DENIED, f"{url} answers {answer.status}: this user lacks the permission")
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return Outcome(Reply.UNCLEAR, f"{url} answers {answer.status} to {function}")
        if answer.status != httpx.codes.OK or not text.startswith(("SUCCESS:", "ERROR:")):
            why = f"{url} answers {answer.status}, unlike VICIdial's agent API: check agent_api in the settings"
            return Outcome(Reply.REFUSED, why)
        if text.startswith("SUCCESS:"):
            return Outcome(Reply.DONE, said)
        if NOT_LOGGED_IN in text:
            return Outcome(Reply.GONE, said)
        return Outcome(Reply.DENIED if DENIALS.search(text) else Reply.REFUSED, said)

    def _clean(self, text: str) -> str:
        """Return a line that may be shown and stored: without the password, and without control characters."""
        for form in self._secret_forms:
            text = text.replace(form, "***")
        return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MOST_SHOWN]


def _hanging_up(hang_up_as: str) -> list[tuple[Function, str]]:
    dispose = [(Function.STATUS, hang_up_as)] if hang_up_as else []
    return [(Function.HANG_UP, "1"), *dispose]
