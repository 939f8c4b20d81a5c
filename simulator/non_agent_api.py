"""A stand-in of VICIdial's non-agent API for phones and aliases, on the tables themselves.

It does what its documentation says of `add_phone`, `update_phone`, `add_phone_alias`, `update_phone_alias` and
`server_refresh`, and what was seen of the real one beside that: it answers 200 whatever happens, takes signs out of
parameters without a word, repeats passwords in some of its answers, and leaves the rest to a MariaDB that cuts off what
does not fit.
"""

import re
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import NoReturn
from urllib.parse import parse_qs

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from simulator.web import Listening, WebServer

Form = Mapping[str, str]

HANG = "hang"
"""Returned by `before`: nothing is done, and no answer comes."""
LOCKS_AFTER = 10
"""Wrong passwords of a user, after which the right one is refused too."""
LEAST_LEVEL = 8

_WORD = r"[^-_0-9a-zA-Z]"
_TAKEN_OUT = {
    **dict.fromkeys(
        (
            "user",
            "pass",
            "extension",
            "phone_login",
            "phone_pass",
            "registration_password",
            "phone_context",
            "alias_id",
        ),
        _WORD,
    ),
    "dialplan_number": r"[^*#0-9a-zA-Z]",
    "voicemail_id": r"[^0-9a-zA-Z]",
    "phone_full_name": r"[^- +._0-9a-zA-Z]",
    "alias_name": r"[^- +.:/@_0-9a-zA-Z]",
    "phone_logins": r"[^-,_0-9a-zA-Z]",
    "outbound_cid": r"[^0-9]",
    "local_gmt": r"[^-.0-9]",
    "server_ip": r"[^.0-9]",
    "protocol": r"[^0-9a-zA-Z]",
}
"""By parameter: the signs that are taken out of it."""
_PROTOCOLS = {"IAX2", "SIP", "Zap", "EXTERNAL"}
_ZONES = {
    *("12.75", "12.00", "11.00", "10.00", "9.50", "9.00", "8.00", "7.00", "6.50", "6.00", "5.75", "5.50", "5.00"),
    *("4.50", "4.00", "3.50", "3.00", "2.00", "1.00", "0.00", "-1.00", "-2.00", "-3.00", "-3.50", "-4.00", "-5.00"),
    *("-6.00", "-7.00", "-8.00", "-9.00", "-10.00", "-11.00", "-12.00"),
}
_PHONE_FIELDS = {
    "extension": 2,
    "dialplan_number": 2,
    "voicemail_id": 1,
    "phone_login": 1,
    "phone_pass": 1,
    "server_ip": 1,
    "protocol": 1,
    "registration_password": 1,
    "phone_full_name": 1,
    "local_gmt": 1,
    "outbound_cid": 1,
}
"""The fields that a new phone must have, in the order in which an answer repeats them, with their least length."""
_CHANGES = {
    "phone_pass": ("pass", 2, 30, "YOU MUST USE A VALID PHONE PASSWORD"),
    "registration_password": ("conf_secret", 2, 30, "YOU MUST USE A VALID REGISTRATION PASSWORD"),
    "phone_full_name": ("fullname", 2, 30, "YOU MUST USE A VALID PHONE NAME"),
    "dialplan_number": ("dialplan_number", 3, 30, "YOU MUST USE A VALID DIALPLAN NUMBER"),
    "voicemail_id": ("voicemail_id", 2, 30, "YOU MUST USE A VALID VOICEMAIL NUMBER"),
}
"""By parameter of a change: its column, its length, and the words for another."""
_PERMISSIONS = {
    "add_phone": "ADD PHONES",
    "update_phone": "UPDATE PHONES",
    "add_phone_alias": "ADD PHONE ALIASES",
    "update_phone_alias": "UPDATE PHONE ALIASES",
    "server_refresh": "REFRESH SERVERS",
}


class _AnswerError(Exception):
    """The answer that ends a request."""


class FakeNonAgentApi(WebServer):
    """A web server with the non-agent API, on a free port of 127.0.0.1, while it is entered. Users are the table's."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        super().__init__(_Handler, "/vicidial/non_agent_api.php")
        self.before: Callable[[Form], str | None] = lambda _form: None
        """Called with each request but for the version: None: carry it out; `HANG`; or an answer, with nothing done."""
        self.asked: list[str] = []
        """The functions that were asked for."""
        self.preface = ""
        """PHP's warnings before an answer."""
        self._connection = connect()
        self._wrong_passwords: dict[str, int] = {}
        self._guard = threading.Lock()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._connection.close()

    def answer(self, sent: Form) -> str:
        """Carry out a request, and return the answer that VICIdial would give; `HANG`: none."""
        function = sent.get("function", "")
        if function == "version":
            return "VERSION: 2.14-932a|BUILD: 241015-1010|DATE: 2026-11-27 10:00:00|EPOCH: 1795773600|DST: 0|TZ: -5|"
        form = {name: re.sub(_TAKEN_OUT.get(name, r"[';\\\"]"), "", value) for name, value in sent.items()}
        with self._guard:
            self.asked.append(function)
            instead = self.before(form)
            if instead is not None:
                return instead
            with self._connection.cursor() as cursor:
                try:
                    return self._act(cursor, function, form)
                except _AnswerError as answer:
                    return str(answer)

    def _act(self, cursor: Cursor, function: str, form: Form) -> str:
        self._let_in(cursor, form)
        if len(form.get("source", "")) < 2:  # noqa: PLR2004 (VICIdial's own limit)
            raise _AnswerError(f"ERROR: Invalid Source - {form.get('source', '')}")
        call = _Call(cursor, function, form)
        if function not in _PERMISSIONS:
            raise _AnswerError(f"ERROR: NO FUNCTION SPECIFIED: |{form.get('user', '')}|")
        call.need(f"USER DOES NOT HAVE PERMISSION TO {_PERMISSIONS[function]}", "ast_admin_access")
        return _FUNCTIONS[function](call)

    def _let_in(self, cursor: Cursor, form: Form) -> None:
        user, password = form.get("user", ""), form.get("pass", "")
        cursor.execute("SELECT pass FROM vicidial_users WHERE user = %s AND active = 'Y'", (user,))
        known = cursor.fetchone()
        wrong = self._wrong_passwords.get(user, 0)
        if wrong >= LOCKS_AFTER:
            raise _AnswerError(f"ERROR: Too many login attempts, try again in 15 minutes: |{user}|LOCK|")
        if known is None or known[0] != password:
            self._wrong_passwords[user] = wrong + 1
            raise _AnswerError(f"ERROR: Login incorrect, please try again: |{user}|{password}|BAD|")


class _Call:
    """One request of a user who is let in."""

    def __init__(self, cursor: Cursor, function: str, form: Form) -> None:
        self._cursor = cursor
        self.function = function
        self.form = form

    def get(self, name: str) -> str:
        return self.form.get(name, "")

    def count(self, table_and_condition: str, *values: str) -> int:
        self._cursor.execute(f"SELECT COUNT(*) FROM {table_and_condition}", values)  # noqa: S608 (our own statements)
        (found,) = self._cursor.fetchone() or (0,)
        return int(found)

    def write(self, statement: str, *values: str) -> int:
        return int(self._cursor.execute(statement, values))

    def need(self, words: str, column: str, kind: str = "ERROR") -> None:
        allowed = self.count(
            f"vicidial_users WHERE user = %s AND vdc_agent_api_access = '1' AND {column} = '1' AND active = 'Y'"
            f" AND user_level >= {LEAST_LEVEL}",
            self.get("user"),
        )
        if not allowed:
            self.refuse(words, "0", kind)

    def refuse(self, words: str, data: str, kind: str = "ERROR") -> NoReturn:
        raise _AnswerError(f"{kind}: {self.function} {words}: |{self.get('user')}|{data}")

    def done(self, words: str, data: str) -> str:
        return f"SUCCESS: {self.function} {words} - {self.get('user')}|{data}"

    def rebuild(self) -> None:
        self.write(
            "UPDATE servers SET rebuild_conf_files = 'Y' WHERE generate_vicidial_conf = 'Y'"
            " AND active_asterisk_server = 'Y' AND server_ip = %s",
            self.get("server_ip"),
        )


def _add_phone(call: _Call) -> str:
    lacks = any(len(call.get(name)) < least for name, least in _PHONE_FIELDS.items())
    if lacks or call.get("protocol") not in _PROTOCOLS:
        call.refuse("YOU MUST USE ALL REQUIRED FIELDS", "|".join(map(call.get, _PHONE_FIELDS)))
    extension, server_ip, login = call.get("extension"), call.get("server_ip"), call.get("phone_login")
    if not call.count("servers WHERE server_ip = %s", server_ip):
        call.refuse("SERVER DOES NOT EXIST", server_ip)
    if call.count("phones WHERE extension = %s AND server_ip = %s", extension, server_ip):
        call.refuse("PHONE ALREADY EXISTS ON THIS SERVER", f"{server_ip}|{extension}")
    if call.count("phones WHERE login = %s", login):
        call.refuse("PHONE LOGIN ALREADY EXISTS", login)
    if call.get("local_gmt") not in _ZONES:
        call.refuse("YOU MUST USE A VALID TIMEZONE", call.get("local_gmt"))
    call.write(
        "INSERT INTO phones SET extension = %s, dialplan_number = %s, voicemail_id = %s, login = %s, pass = %s,"
        " server_ip = %s, protocol = %s, conf_secret = %s, fullname = %s, local_gmt = %s, outbound_cid = %s,"
        " phone_context = %s, active = 'Y', status = 'ACTIVE', user_group = %s, is_webphone = %s",
        *map(call.get, _PHONE_FIELDS),
        call.get("phone_context") or "default",
        call.get("admin_user_group") or "---ALL---",
        call.get("is_webphone") or "N",
    )
    call.rebuild()
    data = f"{extension}|{server_ip}|{call.get('protocol')}|{call.get('dialplan_number')}"
    return call.done("PHONE HAS BEEN ADDED", data)


def _update_phone(call: _Call) -> str:
    extension, server_ip = call.get("extension"), call.get("server_ip")
    if len(extension) < 2 or not server_ip:  # noqa: PLR2004 (VICIdial's own limit)
        call.refuse("YOU MUST USE ALL REQUIRED FIELDS", f"{extension}|{server_ip}")
    if not call.count("servers WHERE server_ip = %s", server_ip):
        call.refuse("SERVER DOES NOT EXIST", server_ip)
    if not call.count("phones WHERE extension = %s AND server_ip = %s", extension, server_ip):
        call.refuse("PHONE DOES NOT EXIST ON THIS SERVER", f"{server_ip}|{extension}")
    if call.get("delete_phone") == "Y":
        call.need("USER DOES NOT HAVE PERMISSION TO DELETE PHONES", "ast_delete_phones", "NOTICE")
        call.write("DELETE FROM phones WHERE extension = %s AND server_ip = %s", extension, server_ip)
        call.rebuild()
        return call.done("PHONE HAS BEEN DELETED", f"{extension}|{server_ip}|")
    changes = _changes(call)
    columns = ", ".join(f"{column} = %s" for column in changes)
    call.write(
        f"UPDATE phones SET {columns} WHERE extension = %s AND server_ip = %s",  # noqa: S608 (our own columns)
        *changes.values(),
        extension,
        server_ip,
    )
    call.rebuild()
    return call.done("PHONE HAS BEEN UPDATED", f"{extension}|{server_ip}|")


def _changes(call: _Call) -> dict[str, str]:
    """Return the columns that a change is about, with what is to be in them."""
    changes: dict[str, str] = {}
    for name, (column, least, most, words) in _CHANGES.items():
        value = call.get(name)
        if value and not least <= len(value) <= most:
            call.refuse(words, value)
        if value:
            changes[column] = value
    if call.get("protocol"):
        if call.get("protocol") not in _PROTOCOLS:
            call.refuse("YOU MUST USE A VALID PROTOCOL", call.get("protocol"))
        changes["protocol"] = call.get("protocol")
    if not changes:
        call.refuse("NO UPDATES DEFINED", "", "NOTICE")
    return changes


def _add_phone_alias(call: _Call) -> str:
    alias_id, name, logins = call.get("alias_id"), call.get("alias_name"), call.get("phone_logins")
    if len(alias_id) < 2 or len(logins) < 2 or not name:  # noqa: PLR2004 (VICIdial's own limits)
        call.refuse("YOU MUST USE ALL REQUIRED FIELDS", f"{alias_id}|{name}|{logins}")
    if call.count("phones_alias WHERE alias_id = %s", alias_id):
        call.refuse("PHONE ALIAS ALREADY EXISTS", alias_id)
    _need_phones(call, logins)
    call.write(
        "INSERT INTO phones_alias (alias_id, alias_name, logins_list) VALUES (%s, %s, %s)", alias_id, name, logins
    )
    return call.done("PHONE ALIAS HAS BEEN ADDED", f"{alias_id}|{name}|{logins}")


def _update_phone_alias(call: _Call) -> str:
    alias_id, name, logins = call.get("alias_id"), call.get("alias_name"), call.get("phone_logins")
    if len(alias_id) < 2 or not (len(logins) > 1 or name or call.get("delete_alias")):  # noqa: PLR2004 (as above)
        call.refuse("YOU MUST USE ALL REQUIRED FIELDS", f"{alias_id}|{name}|{logins}")
    if not call.count("phones_alias WHERE alias_id = %s", alias_id):
        call.refuse("PHONE ALIAS DOES NOT EXIST", alias_id)
    if call.get("delete_alias") == "Y":
        call.need("USER DOES NOT HAVE PERMISSION TO DELETE PHONE ALIASES", "ast_delete_phones", "NOTICE")
        call.write("DELETE FROM phones_alias WHERE alias_id = %s", alias_id)
        return call.done("PHONE ALIAS HAS BEEN DELETED", alias_id)
    if name and not 2 <= len(name) <= 50:  # noqa: PLR2004 (as above)
        call.refuse("YOU MUST USE A VALID ALIAS NAME", name)
    if len(logins) > 1:
        _need_phones(call, logins)
        call.write("UPDATE phones_alias SET logins_list = %s WHERE alias_id = %s", logins, alias_id)
    if name:
        call.write("UPDATE phones_alias SET alias_name = %s WHERE alias_id = %s", name, alias_id)
    return call.done("PHONE ALIAS HAS BEEN UPDATED", f"{alias_id}|")


def _need_phones(call: _Call, logins: str) -> None:
    for login in logins.split(","):
        if not call.count("phones WHERE login = %s", login):
            call.refuse("PHONE DOES NOT EXIST", login)


def _server_refresh(call: _Call) -> str:
    if "REFRESH" not in call.get("stage"):
        call.refuse("YOU MUST USE ALL REQUIRED FIELDS", "||")
    call.write("UPDATE system_settings SET reload_timestamp = NOW()")
    changed = call.write("UPDATE servers SET rebuild_conf_files = 'Y'")
    return call.done("SERVER REFRESH HAS BEEN TRIGGERED", str(changed))


_FUNCTIONS: Mapping[str, Callable[[_Call], str]] = {
    "add_phone": _add_phone,
    "update_phone": _update_phone,
    "add_phone_alias": _add_phone_alias,
    "update_phone_alias": _update_phone_alias,
    "server_refresh": _server_refresh,
}


class _Handler(BaseHTTPRequestHandler):
    server: Listening
    wbufsize = -1
    # else an answer goes out in two parts, of which the second waits for the first to be acknowledged

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        sent = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
        text = self.server.page.answer({name: values[0] for name, values in sent.items()})
        if text == HANG:
            self.server.page.wait_for_release()
            return
        body = f"{self.server.page.preface}{text}\n".encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
