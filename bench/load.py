"""HTTP requests at a fixed rate, independent of the answers.

Each request has its time, and its latency counts from that time: a stall of the server counts for every request that
had to wait, not only for the one it stalled on.
"""

import asyncio
import gc
import ssl
import time
from collections.abc import Sequence
from typing import NamedTuple

CONNECTIONS = 32
LEAD_SECONDS = 0.0005
"""The event loop's timers are exact to a millisecond; the rest is a busy wait."""


class Offered(NamedTuple):
    """The latencies and the answers."""

    latencies_ms: list[float]
    statuses: dict[int, int]
    """Answers by HTTP status."""


class Door(NamedTuple):
    """The port of an API on 127.0.0.1, and what it wants of a client."""

    port: int
    token: str = ""
    tls: ssl.SSLContext | None = None

    def head(self, path: str) -> str:
        """Return the head of a POST with JSON, but for its length."""
        authorization = f"\r\nauthorization: Bearer {self.token}" if self.token else ""
        return f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json{authorization}"


def offer(door: Door, path: str, bodies: Sequence[bytes], per_second: float) -> Offered:
    """POST each body to 127.0.0.1 at its time."""
    # A collection here would stop the clock that every latency is read from.
    gc.collect()
    gc.disable()
    try:
        return asyncio.run(_offer(door, path, bodies, per_second))
    finally:
        gc.enable()


async def _offer(door: Door, path: str, bodies: Sequence[bytes], per_second: float) -> Offered:
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", door.port, ssl=door.tls))
    head, offered = door.head(path), Offered([], {})
    began = time.perf_counter() + 0.1

    async def send(number: int, body: bytes) -> None:
        due = began + number / per_second
        reader, writer = await free.get()
        writer.write(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        status = await _answer(reader)
        offered.latencies_ms.append((time.perf_counter() - due) * 1000)
        offered.statuses[status] = offered.statuses.get(status, 0) + 1
        free.put_nowait((reader, writer))

    async with asyncio.TaskGroup() as tasks:
        for number, body in enumerate(bodies):
            wait = began + number / per_second - time.perf_counter()
            if wait > LEAD_SECONDS:
                await asyncio.sleep(wait - LEAD_SECONDS)
            while time.perf_counter() < began + number / per_second:
                await asyncio.sleep(0)
            tasks.create_task(send(number, body))
    while not free.empty():
        _, writer = free.get_nowait()
        writer.close()
        await writer.wait_closed()
    return offered


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))
    return status
