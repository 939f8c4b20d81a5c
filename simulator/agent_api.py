"""A fake of VICIdial's agent API: it answers 200 whatever happens, and can be made to misbehave."""

import gzip
import re
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qs

from pymysql.connections import Connection

from simulator.phones import PhoneCall, Phones, PhonesThatAnswer
from simulator.web import Listening, WebServer

_LOGGED_IN = "SELECT status FROM vicidial_live_agents WHERE user = %s"
_WRITES = {
    "logout": "UPDATE vicidial_live_agents SET external_pause = 'LOGOUT' WHERE user = %(user)s",
    "external_pause": """
        UPDATE vicidial_live_agents SET external_pause = CONCAT(%(value)s, '!', UNIX_TIMESTAMP()) WHERE user = %(user)s
    """,
    "external_hangup": "UPDATE vicidial_live_agents SET external_hangup = %(value)s WHERE user = %(user)s",
    "external_status": "UPDATE vicidial_live_agents SET external_status = %(value)s WHERE user = %(user)s",
}
_SESSIONS = "SELECT server_ip, extension, conf_exten FROM vicidial_live_agents WHERE user = %s"
_BUSY = {"READY", "QUEUE", "INCALL", "CLOSER"}
LOCKS_AFTER = 10
"""Wrong passwords, after which the right one is refused too."""
REPEATED = re.compile(r"[^-.+/=_0-9A-Za-z]")
"""Characters that VICIdial takes out of a password before it repeats it, and before it stores one."""
DRIBBLE_SECONDS = 0.05
HUGE_BYTES = 10_000_000


class Misbehavior(Enum):
    """A fault of a web server."""

    HTML_ERROR = auto()
    """A page with status 500."""
    HTML_PAGE = auto()
    """A page with status 200."""
    ERROR = auto()
    """Status 200 and an unknown ERROR."""
    HANG = auto()
    """It reads, does nothing and never answers."""
    HANG_AFTER_ACT = auto()
    WARNINGS = auto()
    """PHP's warnings before the answer."""
    RESET = auto()
    """The connection breaks in the middle of the answer."""
    REDIRECT = auto()
    """A redirect to a login page."""
    DRIBBLE = auto()
    """A byte now and then."""
    DRIBBLED_HEADERS = auto()
    """A header line now and then."""
    HUGE = auto()
    COMPRESSED = auto()
    """The answer is compressed, as Apache's mod_deflate does for whoever says that they can read it."""


class Asked(NamedTuple):
    """A request."""

    function: str
    agent_user: str
    value: str


class FakeAgentApi(WebServer):
    """A web server with the agent API, on a free port of 127.0.0.1, while it is entered."""

    def __init__(
        self, connect: Callable[[], Connection], *, user: str, password: str, phones: Phones | None = None
    ) -> None:
        super().__init__(_Handler, "/agc/api.php")
        self.user = user
        self.password = password
        self.functions = {*_WRITES, "call_agent", "send_notification"}
        """The functions that its user may use."""
        self.notifications = True
        """The system setting is on."""
        self.told: list[tuple[str, str]] = []
        """Users, and what was put on their screens."""
        self.misbehavior: Misbehavior | None = None
        self.asked: list[Asked] = []
        self.wrong_passwords = 0
        self._connect = connect
        self._phones = phones or PhonesThatAnswer()

    def answer(self, form: dict[str, str]) -> str:
        """Carry out a request, and return the answer that VICIdial would give."""
        asked = Asked(form.get("function", ""), form.get("agent_user", ""), form.get("value", ""))
        self.asked.append(asked)
        if len(form.get("source", "")) < 2:  # noqa: PLR2004 (VICIdial's own limit)
            return "ERROR: Invalid Source - "
        denied = self._why_denied(form, asked)
        if not denied and asked.function == "send_notification":
            return self._tell(form["recipient"], form.get("recipient_type", ""), form.get("notification_text", ""))
        return denied or self._act(asked)

    def _tell(self, user: str, kind: str, text: str) -> str:
        if not self.notifications:
            return "ERROR: Agent API Notifications are disabled on this system - 0"
        if kind != "USER" or not text or set(text) & set("'|;#+"):
            return "ERROR: invalid request - "
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM vicidial_users WHERE user = %s", (user,))
            if cursor.fetchone() is None:
                return f"ERROR: {user} DOES NOT EXIST in vicidial_users - |{user}"
        self.told.append((user, text))
        return f"SUCCESS: notification queued - {user}|USER|{len(self.told)}"

    def _why_denied(self, form: dict[str, str], asked: Asked) -> str:
        user, password = form.get("user", ""), form.get("pass", "")
        right = (user, password) == (self.user, self.password)
        self.wrong_passwords += not right
        if not right or self.wrong_passwords >= LOCKS_AFTER:
            message = "LOCK" if self.wrong_passwords >= LOCKS_AFTER else "BAD"
            return f"ERROR: Invalid Username/Password: |{user}|{REPEATED.sub('', password)}|0|1|{message}|"
        if asked.function not in self.functions:
            return (
                "ERROR: auth USER DOES NOT HAVE PERMISSION TO USE THIS FUNCTION - "
                f"{asked.value}|{user}|{asked.function}|ADMIN"
            )
        return ""

    def _act(self, asked: Asked) -> str:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(_LOGGED_IN, (asked.agent_user,))
            found = [status for (status,) in cursor.fetchall()]
            if not found:
                return f"ERROR: agent_user is not logged in - {asked.agent_user}"
            if asked.value == "RESUME" and _BUSY & set(found):
                return f"ERROR: external_pause agent is not paused - RESUME|{asked.agent_user}"
            if asked.function == "call_agent":
                cursor.execute(_SESSIONS, (asked.agent_user,))
                self._phones.call(connection, [PhoneCall(ip, phone, room or "") for ip, phone, room in cursor])
                return f"SUCCESS: call_agent function sent - {asked.agent_user}"
            cursor.execute(_WRITES[asked.function], {"user": asked.agent_user, "value": asked.value})
        return f"SUCCESS: {asked.function} function set - {asked.value}|{asked.agent_user}"


_ACTS = {
    Misbehavior.HANG_AFTER_ACT,
    Misbehavior.WARNINGS,
    Misbehavior.RESET,
    Misbehavior.DRIBBLE,
    Misbehavior.COMPRESSED,
}
"""Those that carry out what they are asked."""


class _Handler(BaseHTTPRequestHandler):
    server: Listening

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        wrong = self.server.page.misbehavior
        if form.get("function") == "version" and wrong is not Misbehavior.HANG:
            self._send("VERSION: 2.14-47|BUILD: 240101-0000|DATE: 2024-01-01 00:00:00|EPOCH: 1704067200\n")
            return
        if wrong in {None, *_ACTS}:
            text = self.server.page.answer(form) + "\n"
        else:
            asked = Asked(form.get("function", ""), form.get("agent_user", ""), form.get("value", ""))
            self.server.page.asked += [] if asked.function == "version" else [asked]
            text = "ERROR: the moon is full\n"
        if wrong is Misbehavior.COMPRESSED:
            self._send_compressed(text)
            return
        self._misbehave(wrong, text)

    def _misbehave(self, wrong: Misbehavior | None, text: str) -> None:
        page = "<html><body>Something happened</body></html>"
        match wrong:
            case Misbehavior.HTML_ERROR:
                self._send(page, HTTPStatus.INTERNAL_SERVER_ERROR)
            case Misbehavior.HTML_PAGE:
                self._send(page)
            case Misbehavior.HANG | Misbehavior.HANG_AFTER_ACT:
                self.server.page.wait_for_release()
            case Misbehavior.RESET:
                self._send(text, promised=len(text) + 100)
            case Misbehavior.REDIRECT:
                self.send_response(HTTPStatus.FOUND)
                self.send_header("location", "/login.php")
                self.send_header("content-length", "0")
                self.end_headers()
            case Misbehavior.WARNINGS:
                self._send(f"<br />\n<b>Warning</b>:  Undefined variable $DB in <b>api.php</b><br />\n{text}")
            case Misbehavior.DRIBBLE:
                self._dribble(text)
            case Misbehavior.DRIBBLED_HEADERS:
                self._dribble_headers()
            case Misbehavior.HUGE:
                self._send("x" * HUGE_BYTES)
            case _:
                self._send(text)

    def _send(self, text: str, status: HTTPStatus = HTTPStatus.OK, promised: int | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body) if promised is None else promised))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client has read enough

    def _send_compressed(self, text: str) -> None:
        body = gzip.compress(text.encode())
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _dribble(self, text: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("content-length", str(10 * len(text)))
        self.end_headers()
        try:
            for letter in text * 10:
                self.wfile.write(letter.encode())
                self.wfile.flush()
                if self.server.page.wait_for_release(DRIBBLE_SECONDS):
                    return
        except OSError:
            self.close_connection = True

    def _dribble_headers(self) -> None:
        self.send_response(HTTPStatus.OK)
        try:
            while not self.server.page.wait_for_release(DRIBBLE_SECONDS):
                self.send_header("x-patience", "please")
                self.flush_headers()
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""
