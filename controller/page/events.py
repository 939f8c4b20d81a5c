"""News for open status pages: server-sent events, rendered once for all who watch the same.

A viewer gets the whole changing part of the page whenever it changed, at most once a second. None is waited for: each
has room for one event, which the next one replaces. One that takes nothing for a while is cut off by the kernel, as the
API's listener asks it to.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

EVERY_SECONDS = 1.0
ALIVE_SECONDS = 2.0
"""A viewer hears at least so often, and knows by it that what it shows is true."""
FRESH_SECONDS = 4.0
"""Nobody is told that all is alive after what is shown could not be looked at for so long."""
LONGEST_SECONDS = 600.0
"""Then a browser connects anew by itself, and has to show once more that it may."""
MOST_VIEWERS = 500
"""Each costs some kilobytes and, once a second, a tenth of a millisecond; the next one is asked to look again later."""

ALIVE = b"event: alive\ndata: 1\n\n"

log = structlog.get_logger()


class Watched(NamedTuple):
    """What some viewers watch."""

    cluster: str
    orders: bool
    """With the buttons to order something."""


class _Channel:
    """The latest news of one thing watched, and those who wait for the next."""

    def __init__(self) -> None:
        self.event = b""
        self.number = 0
        self.viewers = 0
        self.changed = asyncio.Event()
        self.looked_at = time.monotonic()
        self.over = False
        """The cluster is no more."""

    def tell(self, html: str) -> None:
        self.event = b"event: page\ndata: " + msgspec.json.encode(html) + b"\n\n"
        self.number += 1
        self.changed.set()
        self.changed = asyncio.Event()


class Live:
    """Keeps the viewers of this process up to date. It belongs to the event loop.

    Args:
        contents: what a cluster shows now, as plain data; None: the cluster is no more.
        render: makes HTML of that; called in another thread.
    """

    def __init__(
        self,
        contents: Callable[[Watched], Any],
        render: Callable[[Watched, Any], str],
    ) -> None:
        self._contents = contents
        self._render = render
        self._channels: dict[Watched, _Channel] = {}
        self._tasks: dict[Watched, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.viewers = 0

    def close(self) -> None:
        """Let everybody go, from any thread: a process that ends waits for nobody."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and everybody with it
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for channel in self._channels.values():
            channel.changed.set()

    def app(self, watched: Watched, headers: Mapping[str, str]) -> ASGIApp:
        """Give what answers one viewer; where there are too many already, it says so and ends."""

        async def answer(_: Scope, receive: Receive, send: Send) -> None:
            full = self._closed or self.viewers >= MOST_VIEWERS
            told = {**headers, "Content-Type": "text/event-stream"} | ({"Retry-After": "10"} if full else {})
            await send(
                {
                    "type": "http.response.start",
                    "status": HTTPStatus.SERVICE_UNAVAILABLE if full else HTTPStatus.OK,
                    "headers": [(name.lower().encode(), value.encode()) for name, value in told.items()],
                }
            )
            if full:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await self._serve(watched, receive, send)

        return answer

    async def _serve(self, watched: Watched, receive: Receive, send: Send) -> None:
        """Send a viewer news until it leaves, or takes none."""
        self._loop = asyncio.get_running_loop()
        channel = self._channels.setdefault(watched, _Channel())
        channel.viewers += 1
        self.viewers += 1
        if watched not in self._tasks:
            self._tasks[watched] = self._loop.create_task(self._follow(watched, channel), name="page")
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await self._tell(channel, send, leaving)
        finally:
            leaving.cancel()
            self.viewers -= 1
            channel.viewers -= 1
            if not channel.viewers:
                self._channels.pop(watched, None)
                self._tasks.pop(watched).cancel()

    async def _tell(self, channel: _Channel, send: Send, leaving: "asyncio.Future[None]") -> None:
        known, ends = 0, time.monotonic() + LONGEST_SECONDS
        while not leaving.done() and time.monotonic() < ends:
            if channel.number == known:
                waiting = asyncio.ensure_future(channel.changed.wait())
                await asyncio.wait((waiting, leaving), timeout=ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            if self._closed or channel.over:
                break
            if channel.number != known:
                known = channel.number
                await send({"type": "http.response.body", "body": channel.event, "more_body": True})
            elif time.monotonic() - channel.looked_at < FRESH_SECONDS:
                await send({"type": "http.response.body", "body": ALIVE, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, watched: Watched, channel: _Channel) -> None:
        shown: Any = None
        while True:
            began = time.monotonic()
            try:
                contents = self._contents(watched)
                if contents is None:
                    channel.over = True
                    channel.changed.set()
                    return
                if contents != shown:
                    channel.tell(await asyncio.to_thread(self._render, watched, contents))
                    shown = contents
                channel.looked_at = time.monotonic()
            except Exception:  # a page that cannot be rendered must not end it for the next one
                log.exception("the status page could not be rendered", cluster=watched.cluster)
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
