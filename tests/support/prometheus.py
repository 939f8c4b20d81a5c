"""A real Prometheus and a real Alertmanager of one's own, on ports of their own, and a receiver for what they send.

Each dies with the thread that started it, so that a killed test run leaves none behind.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
from mirakuru import HTTPExecutor

from simulator.ports import free_port

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
START_SECONDS = 30


def tool(name: str) -> str:
    """Return the path of prometheus, promtool, alertmanager or amtool."""
    home = Path(os.environ.get("HOTDESK_PROMETHEUS_HOME") or ROOT / ".parts" / "prometheus")
    return str(home / name)


def run_tool(*command: str | Path, at: Path = ROOT, given: str = "") -> None:
    """Run one of Prometheus's tools, which must find nothing wrong."""
    program, *arguments = command
    done = subprocess.run(  # noqa: S603 # our own tools
        [tool(str(program)), *map(str, arguments)],
        cwd=at,
        # a fifth of its work would be to give back memory that it has enough of
        env=os.environ | {"GOGC": "off", "GOMEMLIMIT": "512MiB"},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout + done.stderr


class _Server:
    """One of the two; a context manager."""

    def __init__(self, folder: Path, ready: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=10.0, trust_env=False)
        self._ready = ready
        self._executor: HTTPExecutor | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        setpriv = shutil.which("setpriv")
        # its words go to a file, and nobody has to read them for it to go on
        with (self.folder / "output.log").open("ab") as output:
            self._executor = HTTPExecutor(
                [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *self.command()],
                url=self.url + self._ready,
                timeout=START_SECONDS,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=tool(""),  # Alertmanager's templates lie there
            )
            self._executor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self._executor is not None:
            self._executor.kill()


class Prometheus(_Server):
    """Prometheus with a configuration file; what it stores lies in `folder`.

    Args:
        folder: created.
        settings: the whole configuration, as JSON can say it (JSON is YAML).
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(folder, "/-/ready")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(json.dumps(settings))

    def command(self) -> list[str]:
        return [
            tool("prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
            "--log.level=warn",
        ]

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the samples of an instant query, as Prometheus writes them: `metric` and `value`."""
        return self._ask("/api/v1/query", query=expression, time=at or time.time())

    def query_range(self, expression: str, start: float, end: float, step: float = 1.0) -> list[dict[str, Any]]:
        """Return the series of a range query: `metric` and `values`."""
        return self._ask("/api/v1/query_range", query=expression, start=start, end=end, step=step)

    def _ask(self, path: str, **parameters: str | float) -> list[dict[str, Any]]:
        answer = self.http.get(path, params=parameters).json()
        assert answer["status"] == "success", answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


class Alertmanager(_Server):
    """Alertmanager with a configuration file."""

    def __init__(self, folder: Path, file: Path) -> None:
        super().__init__(folder, "/-/ready")
        self._file = file

    def command(self) -> list[str]:
        return [
            tool("alertmanager"),
            f"--config.file={self._file}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={HOST}:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]


class Receiver:
    """Takes what Alertmanager sends to a webhook, and when it came."""

    def __init__(self) -> None:
        self.got: list[tuple[float, str, dict[str, Any]]] = []
        """Monotonic seconds, the path, the body."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                receiver.got.append((time.monotonic(), self.path, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log no request."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def alerts(self, status: str, name: str) -> Sequence[tuple[float, str, dict[str, Any]]]:
        """Return the alerts of a name that came as firing or resolved: when, on which path, and the alert."""
        return [
            (at, path, alert)
            for at, path, body in list(self.got)
            for alert in body["alerts"]
            if alert["status"] == status and alert["labels"]["alertname"] == name
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
