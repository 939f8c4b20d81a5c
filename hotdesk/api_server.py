"""The API's server: a thread with the event loop that answers and folds."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import structlog
import uvicorn
from litestar import Litestar

from controller.api.tokens import TokenFileError, Tokens
from hotdesk.bounded import Connections
from hotdesk.errors import SettingsError
from hotdesk.part import Part
from hotdesk.settings import LOOPBACK, ApiOptions
from hotdesk.tls import Certificate
from hotdesk.wanted import Wanted

GONE_MS = 20_000
"""A client that takes nothing of what is sent is cut off after this time: a status page in a sleeping browser."""

log = structlog.get_logger()

Beside = Callable[[], AbstractAsyncContextManager[None]]
"""The work that goes on beside the answers, on the same loop: entered before the first request, left after the last."""


class ApiServer(Part):
    """Answers over HTTP, in a thread of its own."""

    def __init__(  # noqa: PLR0913, PLR0917 # what it needs, each once
        self,
        app: Litestar,
        listener: socket.socket,
        certificate: Certificate | None,
        loop: asyncio.AbstractEventLoop,
        beside: Sequence[Beside],
        connections: Connections,
        proxies: Sequence[str],
    ) -> None:
        self._listener = listener
        self._certificate = certificate
        self._loop = loop
        self._beside = beside
        self._ending = threading.Event()
        config = uvicorn.Config(
            app,
            http=connections.protocol(),
            ws="none",
            # an address that a client gives itself is none
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            server_header=False,
            ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    def start(self) -> None:
        """Begin to answer.

        Raises:
            SettingsError: it could not be started.
        """
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise SettingsError("the API could not be started; see the log above")
            self._ending.wait(0.01)

    def apply(self, wanted: Wanted) -> None:  # noqa: ARG002 # where it answers stays as it was
        """Show the certificate as it is now; one that cannot be used must not hold up anything else."""
        if self._certificate is None:
            return
        try:
            self._certificate.read_again()
        except SettingsError as error:
            log.warning("the certificate changed and cannot be used; the former one is shown on", why=str(error))

    def stop(self) -> None:
        """Answer what was asked, and take no more."""
        self._ending.set()
        self._server.should_exit = True

    def join(self, deadline: float) -> None:
        """Wait for its end, a moment at least."""
        if self._began:
            self._thread.join(max(0.1, deadline - time.monotonic()))

    def ended(self) -> Sequence[str]:
        """Return the server's thread if it ended by itself."""
        return [self._thread.name] if self._began and not self._thread.is_alive() else []

    @property
    def _began(self) -> bool:
        return self._thread.ident is not None

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._answer())

    async def _answer(self) -> None:
        async with AsyncExitStack() as running:
            for each in self._beside:
                await running.enter_async_context(each())
            await self._server.serve(sockets=[self._listener])


def tokens_of(api: ApiOptions) -> Tokens:
    """Return the tokens of an API.

    Raises:
        SettingsError: there are none and others could ask, or they cannot be read.
    """
    if api.token_file is None and api.host not in LOOPBACK:
        raise SettingsError(
            f"api.host is {api.host}, so others can reach the API: set api.token_file, or bind to 127.0.0.1"
        )
    try:
        return Tokens.load(api.token_file)
    except TokenFileError as error:
        raise SettingsError(str(error)) from error


def listen(api: ApiOptions) -> socket.socket:
    """Return a socket that listens where the API is to answer.

    Raises:
        SettingsError: that place is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # what it accepts inherits this
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
    try:
        listener.bind((api.host, api.port))
    except OSError as error:
        listener.close()
        raise SettingsError(f"the API cannot answer at {api.host}:{api.port}: {error.strerror}") from error
    return listener
