"""Agent control by VICIdial's agent API, `agc/api.php` on its web servers.

The API addresses a user and not a session: its LOGOUT would end whatever session that user has when it arrives. So the
caller reads the user's rows just before, and a request's time limit is short. A web server that hangs may carry out
what it was sent when it goes on, an hour later if need be: nothing here can prevent that. So an address that has not
answered lately is asked for its version before the caller looks (`ready`), and one that hangs is put last and costs its
time limit once. Where the steps of a logout have taken that time together, what the caller saw is too old, and it is
asked anew. Without an answer, the caller looks at the row before another address is asked.

VICIdial answers 200 whatever happens, so the text counts. An answer about a wrong password repeats that password, and
some wrong passwords lock the user: that answer is never passed on, every other is cleaned before, and the caller stops.
"""

import re
import secrets
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, StrEnum, auto
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from controller.core.actions import Outcome
from controller.core.actions.relogin import LOGOUT
from controller.vicidial.exchange import Answer, BoundedTransport, post
from controller.vicidial.names import Names
from controller.vicidial.ports import WhyNot
from messages.codes import Reply
from messages.hidden import Hidden
from messages.records import AgentPause, Arrival, Relogin

TIMEOUT_SECONDS = 2.0
MOST_SHOWN = 200
SAFE_USER = re.compile(r"[0-9A-Za-z]+")
"""VICIdial removes other characters from a user's name, which may then be another user's."""
NOT_LOGGED_IN = "agent_user is not logged in"
NO_SUCH_USER = "DOES NOT EXIST in vicidial_users"
NOT_PAUSED = "agent is not paused"
NO_PERMISSION = "DOES NOT HAVE PERMISSION"
DENIALS = re.compile(r"DOES NOT HAVE PERMISSION|API NOT ACTIVE", re.IGNORECASE)
NO_LOGIN = re.compile(r"Invalid Username/Password|LOCK|BAD\||Login incorrect", re.IGNORECASE)
"""An answer about the account itself, which repeats its password."""
WHY_NO_LOGIN = re.compile(r"\|([0-9])\|([0-9])\|(BAD|LOCK|OK)\|?\s*$")
"""Its end: whether the user is right, whether they may use the agent API, and the reason."""
NOT_LET_IN = (
    "VICIdial answers Invalid Username/Password{why}: agent_api_password is wrong, agent_api_user is locked, or lacks"
    " agent API access (vdc_agent_api_access)"
)
MOST_QUOTED = 80
"""How much of an answer that is none of VICIdial's is quoted."""
ANSWER = re.compile(r"^\s*((?:SUCCESS|ERROR):.*)$", re.MULTILINE)
"""VICIdial's answer, wherever it stands: PHP may print warnings before it."""
ALIVE_SECONDS = 1.0
"""An address that has answered so lately is not asked whether it works."""
VERSION = {"source": "hotdesk", "function": "version"}
"""A request that needs no account and changes nothing."""
ANY_STATUS = "A"
"""A status for the permission check if none is configured."""


class Function(StrEnum):
    """A function of the agent API."""

    LOGOUT = "logout"
    PAUSE = "external_pause"
    HANG_UP = "external_hangup"
    STATUS = "external_status"
    CALL = "call_agent"
    TELL = "send_notification"


class Heard(Enum):
    """The kind of what came back from an address."""

    ANSWER = auto()
    """VICIdial's answer."""
    STRANGE = auto()
    """Something else. It may have been done all the same."""
    NOTHING = auto()


class _Got(NamedTuple):
    heard: Heard
    outcome: Outcome


class AgentApi:
    """A `controller.vicidial.ports.AgentControl`, by VICIdial's agent API. Several threads may use it.

    Args:
        urls: Addresses of the same VICIdial's `api.php`.
        user: A VICIdial user with agent API access.
        password: Their password.
        timeout_seconds: Time limit of a request, from the look-up of the name to the last byte.
        transport: How requests get to these addresses; None: by the network.
    """

    names_user = True

    def __init__(  # noqa: PLR0913 # an address, an account, and what a test puts in their place
        self,
        urls: Sequence[str],
        user: str,
        password: str,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls = list(urls)
        """Those that failed lately are last. Replaced whole."""
        self._lock = threading.Lock()
        self._answered_at: dict[str, float] = {}
        self._user = user
        self._password = password
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        if transport is None:
            names = Names()
            for url in urls:
                names.prepare(urlsplit(url).hostname or "")
            # by default httpx trusts only public authorities, and not those that this machine trusts
            transport = BoundedTransport(timeout_seconds, ssl.create_default_context(), names)
        self._client = httpx.Client(follow_redirects=False, trust_env=False, transport=transport)
        self._hidden = Hidden(password)

    @property
    def ways(self) -> int:
        """As `AgentControl.ways`."""
        return len(self._urls)

    def __repr__(self) -> str:
        return f"AgentApi({self._urls}, user={self._user!r})"

    def ready(self) -> Outcome | None:
        """As `AgentControl.ready`: ask an address that has not answered lately for its version.

        So nothing is left lying at one that hangs.
        """
        url = self._urls[0]
        if self._clock() - self._answered_at.get(url, float("-inf")) <= ALIVE_SECONDS:
            return None
        try:
            self._post(url, VERSION)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._put_last(url)
            why = str(error) or type(error).__name__
            return Outcome(Reply.UNSENT, self._clean(f"{url} does not answer, so it is sent nothing: {why}"), look=True)
        return None

    def log_out(self, relogin: Relogin, hang_up_as: str | None, why_not: WhyNot) -> Outcome:
        """As `AgentControl.log_out`; each step only once the one before has succeeded."""
        first = [] if hang_up_as is None else _hanging_up(hang_up_as)
        return self._ask_each(relogin.user, [*first, (Function.LOGOUT, LOGOUT)], why_not)

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """As `AgentControl.hang_up`."""
        return self._ask_each(relogin.user, _hanging_up(hang_up_as))

    def pause(self, pause: AgentPause) -> Outcome:
        """As `AgentControl.pause`."""
        return self._ask_each(pause.user, [(Function.PAUSE, "PAUSE")])

    def resume(self, action: AgentPause | Arrival) -> Outcome:
        """As `AgentControl.resume`."""
        outcome = self._ask_each(action.user, [(Function.PAUSE, "RESUME")])
        if outcome.reply is Reply.REFUSED and NOT_PAUSED in outcome.said:
            return Outcome(Reply.GONE, outcome.said)
        return outcome

    def call(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.call`."""
        return self._ask_once(arrival.user, Function.CALL, "CALL")

    def tell(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.tell`; VICIdial has it since build 230412-0945."""
        return self._ask_once(arrival.user, Function.TELL, arrival.notice)

    def _ask_once(self, user: str, function: Function, value: str) -> Outcome:
        """Ask for something that is no part of a move; an account that lacks this permission alone suspends nothing.

        The row does not show whether it was done, so no other address is asked unless nothing was sent.
        """
        outcome = self._ask_each(user, [(function, value)])
        if outcome.reply is Reply.DENIED and NO_PERMISSION in outcome.said:
            return Outcome(Reply.REFUSED, outcome.said)
        return outcome if outcome.reply is Reply.UNSENT else outcome._replace(look=False)

    def missing_rights(self, dead_call_status: str, *, tells: bool = False) -> str | None:
        """As `AgentControl.missing_rights`, at every address.

        VICIdial checks permission before it looks up the user.
        """
        no_user = secrets.token_hex(10)
        asked = {
            Function.LOGOUT: LOGOUT,
            Function.PAUSE: "PAUSE",
            Function.HANG_UP: "1",
            Function.STATUS: dead_call_status or ANY_STATUS,
            Function.CALL: "CALL",
        }
        if tells:
            asked[Function.TELL] = "hotdesk"
        missing = []
        for url in self._urls:
            for function, value in asked.items():
                got = self._ask(url, function, no_user, value)
                if got.outcome.reply is Reply.DENIED:
                    return f"{function}: {got.outcome.said}"  # each further attempt may lock the account
                if got.outcome.reply is not Reply.GONE:
                    missing.append(f"{function}: {got.outcome.said}")
                    break
        return "; ".join(missing) or None

    def _ask_each(self, user: str, steps: Sequence[tuple[Function, str]], why_not: WhyNot | None = None) -> Outcome:
        """Ask one address for each step, and go on unless it answers that a step failed."""
        if not SAFE_USER.fullmatch(user):
            why = f"VICIdial's agent API would take {user!r} for another user: use relogin_via = 'sql'"
            return Outcome(Reply.REFUSED, why)
        url, asked_at = self._urls[0], self._clock()
        for function, value in steps:
            if why_not is not None and self._clock() - asked_at > self._timeout_seconds:
                stopped, asked_at = why_not(), self._clock()
                if stopped is not None:
                    return stopped
            got = self._ask(url, function, user, value)
            if not (got.outcome.reply is Reply.DONE or got.heard is Heard.STRANGE):
                break
        if got.heard is not Heard.ANSWER:
            self._put_last(url)
        return got.outcome

    def _put_last(self, url: str) -> None:
        """Ask an address last that failed, and only once it has answered again."""
        with self._lock:
            self._answered_at.pop(url, None)
            self._urls = [*(each for each in self._urls if each != url), url]

    def _ask(self, url: str, function: Function, user: str, value: str) -> _Got:
        form = {"source": "hotdesk", "user": self._user, "pass": self._password, "function": function.value}
        if function is Function.TELL:
            form |= {"recipient": user, "recipient_type": "USER", "notification_text": value}
        else:
            form |= {"agent_user": user, "value": value}
        try:
            answer = self._post(url, form)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            said = self._clean(f"{url} cannot be connected to: {error}")
            return _Got(Heard.NOTHING, Outcome(Reply.UNSENT, said, look=True))
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            return self._unclear(function, f"{url} did not answer {function} in time: {why}")
        except httpx.InvalidURL as error:
            return _Got(Heard.STRANGE, Outcome(Reply.REFUSED, self._clean(f"{url} is not an address: {error}")))
        if answer.status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return self._unclear(function, f"{url} answers {answer.status} to {function}")
        return self._read(url, answer)

    def _unclear(self, function: Function, said: str) -> _Got:
        late = int(function is Function.LOGOUT)
        return _Got(Heard.NOTHING, Outcome(Reply.UNCLEAR, self._clean(said), late=late, look=True))

    def _post(self, url: str, form: dict[str, str]) -> Answer:
        """Send a request and return its answer, as `post` does; an address that answers works."""
        answer = post(self._client, url, form)
        self._answered_at[url] = self._clock()
        return answer

    def _read(self, url: str, answer: Answer) -> _Got:
        """Return the outcome that the text of an answer means."""
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            said = f"{url} answers {answer.status}: this user lacks the permission"
            return _Got(Heard.ANSWER, Outcome(Reply.DENIED, said))
        found = ANSWER.search(answer.text) if answer.status == httpx.codes.OK else None
        if found is None:
            quoted = self._clean(answer.text)[:MOST_QUOTED]
            why = f"{url} answers {answer.status}, unlike VICIdial's agent API: {quoted!r}; check agent_api"
            return _Got(Heard.STRANGE, Outcome(Reply.REFUSED, why, look=True))
        text, said = found[1], self._clean(found[1])
        if NO_LOGIN.search(text) and NO_PERMISSION not in text:
            end = WHY_NO_LOGIN.search(text)
            said = NOT_LET_IN.format(why=f" ({'|'.join(end.groups())})" if end else "")
            return _Got(Heard.ANSWER, Outcome(Reply.DENIED, said))
        if text.startswith("SUCCESS:"):
            return _Got(Heard.ANSWER, Outcome(Reply.DONE, said))
        if NOT_LOGGED_IN in text or NO_SUCH_USER in text:
            return _Got(Heard.ANSWER, Outcome(Reply.GONE, said))
        return _Got(Heard.ANSWER, Outcome(Reply.DENIED if DENIALS.search(text) else Reply.REFUSED, said))

    def _clean(self, text: str) -> str:
        """Return a line that may be shown and stored: without the password, and without control characters."""
        text = self._hidden.out_of_beginning(text)
        return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MOST_SHOWN]


def _hanging_up(hang_up_as: str) -> list[tuple[Function, str]]:
    dispose = [(Function.STATUS, hang_up_as)] if hang_up_as else []
    return [(Function.HANG_UP, "1"), *dispose]
