"""A web server of VICIdial's for tests, on a free port of 127.0.0.1, while it is entered."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

LOOK_SECONDS = 0.05
"""How long it may take to end."""


class Listening(ThreadingHTTPServer):
    """Listens, and lends its handlers the page that they answer for."""

    daemon_threads = False

    def __init__(self, handler: type[BaseHTTPRequestHandler], page: Any) -> None:  # noqa: ANN401 # each handler's own
        super().__init__(("127.0.0.1", 0), handler)
        self.page = page


class WebServer:
    """Serves one page.

    Args:
        handler: answers requests; its `server.page` is this object.
        path: the page's.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], path: str) -> None:
        self._path = path
        self._released = threading.Event()
        self._server = Listening(handler, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(LOOK_SECONDS,), name=path)

    @property
    def url(self) -> str:
        """The URL of the page."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self._path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for_release(self, seconds: float | None = None) -> bool:
        """Wait until this server ends, or `seconds` have passed; return True if it ends."""
        return self._released.wait(seconds)
