"""A web server with a login page, the hook beside it, and what may answer the hook."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self

import httpx

from simulator.ports import free_port
from tests.support.processes import CLUSTER, PASSWORD, Site, until

ROOT = Path(__file__).parents[2]
HOOK = [ROOT / "hook" / name for name in ("options.php", "hotdesk-hook.php", "hotdesk.php", "hotdesk.js")]
PAGE = Path(__file__).parent / "login_page"
BOUND = "$read['deadline_ms'] : '', HOTDESK_LEAST_MS, 150, 150)"
PATIENT_MS = 10_000
"""How long the hook waits in tests of something else than its bound: a busy machine may need more than 150 ms."""
LOGIN = {"phone_pass": "phonepass", "VD_pass": "secret", "VD_campaign": "SALES", "JS_browser_height": "900"}


MODULES = Path("/usr/lib/apache2/modules")
APACHE = """
ServerRoot "{folder}"
ServerName 127.0.0.1
DefaultRuntimeDir run
PidFile run/apache.pid
ErrorLog run/error.log
Listen 127.0.0.1:{port}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule env_module {modules}/mod_env.so
LoadModule php_module {php}
StartServers 2
DocumentRoot "{folder}/agc"
SetEnv HOTDESK_HOOK_INI {folder}/hook.ini
php_flag display_errors on
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
"""


class Shown(NamedTuple):
    """What the login page answered."""

    phone_login: str
    """What the page went on with."""
    took_ms: float
    """How long its second loading of options.php took."""
    html: str

    @property
    def logged_in(self) -> bool:
        return 'id="server"' in self.html

    @property
    def screen(self) -> str:
        """The mark that this screen alone knows; empty: it has none."""
        found = re.search(r'"screen":"([0-9a-f]{32})"', self.html)
        return found[1] if found else ""


class Web:
    """A running web server."""

    def __init__(self, url: str, ini: Path, group: int) -> None:
        self.url = url
        self._group = group
        self.http = httpx.Client(base_url=url, timeout=10.0, trust_env=False)
        self._ini = ini

    def stop(self) -> None:
        """Stop all of its processes, which keep what they are sent."""
        os.killpg(self._group, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them go on."""
        os.killpg(self._group, signal.SIGCONT)

    @property
    def folder(self) -> Path:
        """Where its settings are."""
        return self._ini.parent

    def set_up(self, *urls: str, **settings: str | int) -> None:
        """Write the hook's settings."""
        lines = [f'urls = "{" ".join(urls)}"', f'cluster = "{settings.pop("cluster", CLUSTER)}"']
        state = self._ini.parent / f"state-{os.urandom(4).hex()}"
        state.mkdir()
        state.chmod(0o777)  # Apache's user writes there
        settings.setdefault("state_dir", str(state))
        lines += [f'{name} = "{value}"' for name, value in settings.items()]
        self._ini.write_text("\n".join(lines))

    def write(self, ini: str) -> None:
        """Write the hook's settings just so."""
        self._ini.write_text(ini)

    def log_in(self, user: str, alias: str, **more: str) -> Shown:
        """Send the login form."""
        answer = self.http.post("/vicidial.php", data=LOGIN | {"VD_login": user, "phone_login": alias} | more)
        assert answer.status_code == httpx.codes.OK, answer.text
        return Shown(answer.headers["x-phone-login"], float(answer.headers["x-took-ms"]), answer.text)

    def ask(self, screen: str) -> dict[str, object]:
        """Ask as a screen that was logged out does."""
        told: dict[str, object] = self.http.post("/hotdesk.php", data={"screen": screen}).json()
        return told

    def answer(self, screen: str) -> dict[str, object]:
        """Ask as such a screen does: again as long as hotdesk does not answer in time, as on a busy machine."""
        return until(lambda: not (told := self.ask(screen)).get("again") and told, "hotdesk answers in time")


def copy_hook(root: Path) -> None:
    """Install the hook where there is no options.php yet."""
    for file in HOOK:
        shutil.copy(file, root)


@contextmanager
def web_server(  # noqa: PLR0913 # a web server has this many sides, and a test names the one it is about
    folder: Path,
    site: Site,
    workers: int = 8,
    php: Sequence[str] = (),
    *,
    patient: bool = False,
    install: Callable[[Path], None] = copy_hook,
) -> Iterator[Web]:
    """Serve the test page with the hook beside it.

    Args:
        folder: Where the pages go.
        site: The cluster whose database the pages use.
        workers: Number of PHP's processes.
        php: Settings of PHP's, `NAME=VALUE`.
        patient: Let the hook wait for PATIENT_MS instead of for 150 ms.
        install: Puts the hook beside the page.
    """
    root, ini = folder / "agc", folder / "hook.ini"
    shutil.copytree(PAGE, root)
    install(root)
    if patient:
        hook = root / "hotdesk-hook.php"
        before, bound, after = hook.read_text().partition(BOUND)
        assert bound
        hook.write_text(before + bound.replace("150", str(PATIENT_MS)) + after)
    port = free_port()
    flags = [word for each in php for word in ("-d", each)]
    command = [shutil.which("php") or "php", "-d", "display_errors=1", *flags]
    environment = _environment(site) | {"PHP_CLI_SERVER_WORKERS": str(workers), "HOTDESK_HOOK_INI": str(ini)}
    with _serving(folder, [*command, "-S", f"127.0.0.1:{port}", "-t", str(root)], environment, port) as group:
        yield from _web(port, ini, group)


@contextmanager
def apache_server(folder: Path, site: Site) -> Iterator[Web]:
    """Serve the same by Apache and its PHP, as VICIdial's web servers do; Apache tells the hook where its settings are.

    Apache runs as a user without rights, as it does anywhere: `folder` has to be open to that user.
    """
    root, ini, port = folder / "agc", folder / "hook.ini", free_port()
    shutil.copytree(PAGE, root)
    copy_hook(root)
    (folder / "run").mkdir()
    user = "www-data" if os.getuid() == 0 else None
    if user is not None:
        shutil.chown(folder / "run", user)
    module = next(MODULES.glob("libphp*.so"))
    (folder / "apache.conf").write_text(APACHE.format(folder=folder, port=port, modules=MODULES, php=module))
    command = [shutil.which("apache2") or "apache2", "-D", "FOREGROUND", "-f", str(folder / "apache.conf")]
    with _serving(folder, command, _environment(site), port, user) as group:
        yield from _web(port, ini, group)


def _web(port: int, ini: Path, group: int) -> Iterator[Web]:
    web = Web(f"http://127.0.0.1:{port}", ini, group)
    try:
        yield web
    finally:
        web.http.close()


def _environment(site: Site) -> dict[str, str]:
    settings = site.settings
    site.run(f"GRANT ALL ON `{site.name}`.* TO '{site.user}'@'%'")
    return os.environ | {
        "PAGE_DB_HOST": settings.host,
        "PAGE_DB_PORT": str(settings.port),
        "PAGE_DB_USER": site.user,
        "PAGE_DB_PASSWORD": PASSWORD,
        "PAGE_DB_NAME": site.name,
    }


@contextmanager
def _serving(
    folder: Path, command: Sequence[str], environment: dict[str, str], port: int, user: str | None = None
) -> Iterator[int]:
    """Run a web server, and yield the group of its processes."""
    with (folder / "web.log").open("wb") as said:
        server = subprocess.Popen(  # noqa: S603 (our own command)
            command, env=environment, stdout=said, stderr=said, start_new_session=True, user=user
        )
    try:
        until(lambda: _answers(port), "the web server serves")
        yield server.pid
    finally:
        # its workers are of its session, and none of them outlives the test
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class FakeApi:
    """Something that answers where hotdesk should, wrongly. `path` names how."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()
        self.answer: tuple[int, bytes] | None = (200, b"")
        """Status and body; None: nothing."""
        self.hangs_after_headers = False
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                api.asked.append(body)
                if api.answer is None:
                    api.released.wait()
                    return
                status, content = api.answer
                self.send_response(status)
                self.send_header("content-length", str(len(content) or 10))
                self.end_headers()
                if api.hangs_after_headers:
                    self.wfile.flush()
                    api.released.wait()
                    return
                self.wfile.write(content or b"0123456789")

            do_GET = do_POST  # noqa: N815 # the name is of http.server

            def log_message(self, *_: object) -> None:
                """Log no request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
