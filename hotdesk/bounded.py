"""Bounds on what a connection to the API may cost before its client has shown a token.

uvicorn's protocol reads heads of any length, keeps any number of pipelined requests, and waits for a first request for
ever. Here each of these has a bound, and whoever exceeds one is hung up on: an answer such as 503 would have a login
hook believe that hotdesk is down.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stream.warn_once import WarnOnce

HEAD_BYTES = 64 * 1024
"""Most bytes of a request besides its body: request line, headers, sizes of chunks, trailers."""
HEAD_LINES = 100
PIPELINED = 16
"""Most requests of one connection that wait for the answer to an earlier one."""
REQUEST_SECONDS = 10.0
"""How long a request may take to come in, from the opening of the connection, or its first byte, to its last."""
CONNECTIONS = 1500
"""Most connections at once: room for the 500 viewers of a status page and two thousand picks a second."""
OF_ADDRESS = 1000
"""Most of them of one address, so that others are still served."""
SPARE_DESCRIPTORS = 256
"""Descriptors kept back for the database, the log and probes."""
SLICE = 16 * 1024
"""Bytes that are parsed between two looks at the bounds."""

log = structlog.get_logger()


class Connections:
    """The connections of one server, and what was refused. It belongs to the server's event loop."""

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = (
            CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, soft - SPARE_DESCRIPTORS))
        )
        self._of: Counter[str] = Counter()
        self._warn_once = WarnOnce()
        self.refused = 0
        """Connections that were hung up on for exceeding a bound."""

    def add(self, address: str) -> bool:
        """Count a connection; return False if there are too many, in all or of this address."""
        self._of[address] += 1
        return self._of.total() <= self._most and self._of[address] <= OF_ADDRESS

    def remove(self, address: str) -> None:
        """Count a connection no more."""
        self._of[address] -= 1
        if not self._of[address]:
            del self._of[address]

    def refuse(self, why: str) -> None:
        """Record that a connection was hung up on, and log each reason once."""
        self.refused += 1
        if self._warn_once.is_new(why):
            log.warning("a client of the API was hung up on", why=why)

    def protocol(self) -> type[asyncio.Protocol]:
        """Return what makes the protocol of each new connection, as uvicorn wants it."""
        made: Callable[..., BoundedProtocol] = lambda **of: BoundedProtocol(self, **of)  # noqa: E731 # a class to uvicorn
        return cast("type[asyncio.Protocol]", made)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds."""

    def __init__(self, connections: Connections, **of: Any) -> None:  # noqa: ANN401 # uvicorn's own
        super().__init__(**of)
        self._all = connections
        self._address = ""
        self._overhead = 0
        """Bytes of the present request besides its body."""
        self._lines = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Begin, unless there are too many."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        if self._all.add(self._address):
            self._await_request()
        else:
            self._refuse("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._all.remove(self._address)
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, a slice at a time."""
        self._unset_keepalive_if_required()
        if self._timer is None:
            self._await_request()
        for begin in range(0, len(data), SLICE):
            if self._is_refused or self.transport.is_closing():
                return
            self._parse(data[begin : begin + SLICE])

    def _parse(self, piece: bytes) -> None:
        self._overhead += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            pass  # there is nothing to upgrade to; the request is answered as it is
        except httptools.HttpParserError:
            if not self._is_refused:
                self.send_400_response("Invalid HTTP request received.")
            return
        if self._overhead > HEAD_BYTES:
            self._refuse("a request with too many bytes besides its body")

    # --- called by the parser ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._lines = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Record a header, or a trailer."""
        self._lines += 1
        if self._lines > HEAD_LINES:
            self._refuse("a request with too many lines in its head")
        elif not self._is_refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Answer the request, or have it wait for its turn."""
        if len(self.pipeline) >= PIPELINED:
            self._refuse("too many requests at once")
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Record a part of the body."""
        self._overhead -= len(body)
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request."""
        self._overhead = 0
        self._end_wait()
        if not self._is_refused:
            super().on_message_complete()

    # --- the bounds --------------------------------------------------------------------------------------------------

    def _await_request(self) -> None:
        self._timer = self.loop.call_later(REQUEST_SECONDS, self._refuse, "a request that did not come in time")

    def _end_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, why: str) -> None:
        if not self._is_refused:
            self._is_refused = True
            self._all.refuse(why)
            self.transport.abort()
