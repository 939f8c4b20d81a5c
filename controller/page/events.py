"""Live updates of open status pages: server-sent events, rendered once for all viewers of the same page.

A viewer gets the whole changing part of the page whenever it changed, at most once a second. A slow viewer delays no
other: each has room for one event, which the next one replaces. The kernel cuts off a viewer that reads nothing for a
while, as the API's listener asks it to.
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
"""A viewer gets an event at least this often, and so knows that its page is up to date."""
FRESH_SECONDS = 4.0
"""No such event is sent once the page could not be checked for this long."""
LONGEST_SECONDS = 600.0
"""After this time a browser reconnects by itself, and its cookie is checked again."""
MOST_VIEWERS = 500
"""Each costs a few kilobytes and, once a second, a tenth of a millisecond; a further one is asked to retry later."""

ALIVE = b"event: alive\ndata: 1\n\n"

log = structlog.get_logger()


class PageVariant(NamedTuple):
    """One page that some viewers have open."""

    cluster: str
    orders: bool
    """With the buttons for orders."""


class _Channel:
    """The latest event of one page variant, and the viewers that wait for the next."""

    def __init__(self) -> None:
        self.event = b""
        self.number = 0
        self.viewers = 0
        self.changed = asyncio.Event()
        self.checked_at = time.monotonic()
        self.over = False
        """The cluster was forgotten."""

    def publish(self, html: str) -> None:
        self.event = b"event: page\ndata: " + msgspec.json.encode(html) + b"\n\n"
        self.number += 1
        self.changed.set()
        self.changed = asyncio.Event()


class LiveUpdates:
    """Sends updates to the viewers of this process. It belongs to the event loop.

    Args:
        contents: returns the contents of a page now, as plain data; None: the cluster was forgotten.
        render: returns them as HTML; called in another thread.
    """

    def __init__(
        self,
        contents: Callable[[PageVariant], Any],
        render: Callable[[PageVariant, Any], str],
    ) -> None:
        self._contents = contents
        self._render = render
        self._channels: dict[PageVariant, _Channel] = {}
        self._tasks: dict[PageVariant, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.viewers = 0

    def close(self) -> None:
        """End the connections of all viewers, from any thread: a process that stops does not wait for them."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and all connections with it
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for channel in self._channels.values():
            channel.changed.set()

    def app(self, variant: PageVariant, headers: Mapping[str, str]) -> ASGIApp:
        """Return the application that serves one viewer; if there are too many, it refuses."""

        async def answer(_: Scope, receive: Receive, send: Send) -> None:
            full = self._closed or self.viewers >= MOST_VIEWERS
            fields = {**headers, "Content-Type": "text/event-stream"} | ({"Retry-After": "10"} if full else {})
            await send(
                {
                    "type": "http.response.start",
                    "status": HTTPStatus.SERVICE_UNAVAILABLE if full else HTTPStatus.OK,
                    "headers": [(name.lower().encode(), value.encode()) for name, value in fields.items()],
                }
            )
            if full:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await self._serve(variant, receive, send)

        return answer

    async def _serve(self, variant: PageVariant, receive: Receive, send: Send) -> None:
        """Send a viewer updates until it leaves, or reads none."""
        self._loop = asyncio.get_running_loop()
        channel = self._channels.setdefault(variant, _Channel())
        channel.viewers += 1
        self.viewers += 1
        if variant not in self._tasks:
            self._tasks[variant] = self._loop.create_task(self._follow(variant, channel), name="page")
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await self._send_events(channel, send, leaving)
        finally:
            leaving.cancel()
            self.viewers -= 1
            channel.viewers -= 1
            if not channel.viewers:
                self._channels.pop(variant, None)
                self._tasks.pop(variant).cancel()

    async def _send_events(self, channel: _Channel, send: Send, leaving: "asyncio.Future[None]") -> None:
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
            elif time.monotonic() - channel.checked_at < FRESH_SECONDS:
                await send({"type": "http.response.body", "body": ALIVE, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, variant: PageVariant, channel: _Channel) -> None:
        shown: Any = None
        while True:
            began = time.monotonic()
            try:
                contents = self._contents(variant)
                if contents is None:
                    channel.over = True
                    channel.changed.set()
                    return
                if contents != shown:
                    channel.publish(await asyncio.to_thread(self._render, variant, contents))
                    shown = contents
                channel.checked_at = time.monotonic()
            except Exception:  # one page that cannot be rendered must not end the updates of the next
                log.exception("the status page could not be rendered", cluster=variant.cluster)
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - began)))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
