"""Receivers of notifications: a web server, a mail server and a command, each real."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from simulator.ports import free_port

USER, PASSWORD = "hotdesk", "a-password-for-mail"


class Web:
    """A web server that takes JSON."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                web.bodies.append(json.loads(self.rfile.read(length)))
                self.send_response(web.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/a-token-in-the-address"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Mail:
    """A mail server that wants STARTTLS and a login, if it has a certificate."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.mails: list[str] = []
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=_authenticated,
            auth_require_tls=tls is not None,
            auth_required=tls is not None,
            require_starttls=tls is not None,
            tls_context=tls,
        )
        self._controller.start()

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 # aiosmtpd's name
        content = envelope.content or b""
        self.mails.append(content if isinstance(content, str) else content.decode())
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()


def _authenticated(_: SMTP, __: Session, ___: Envelope, ____: str, data: object) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def web() -> Iterator[Web]:
    """Run a web server."""
    made = Web()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def mail(tls: ssl.SSLContext | None = None) -> Iterator[Mail]:
    """Run a mail server."""
    made = Mail(tls)
    try:
        yield made
    finally:
        made.close()


def writing_command(folder: Path) -> tuple[Path, Path]:
    """Write a command that appends the facts it is given to a file; return both."""
    command, file = folder / "tell.sh", folder / "told.txt"
    command.write_text(
        "#!/bin/sh\n"
        f'printf "%s|%s|%s|%s|%s\\n" "$HOTDESK_CLUSTER" "$HOTDESK_EVENT" "$HOTDESK_STATE" "$HOTDESK_SEVERITY"'
        f' "$HOTDESK_TEXT" >> {file}\n'
        f"env >> {folder / 'environment.txt'}\n"
    )
    command.chmod(0o755)
    return command, file
