"""HTTP requests at a fixed rate, independent of the answers.

Each request has its time, and its latency counts from that time: a stall of the server counts for every request that
had to wait, not only for the one it stalled on.
"""

import asyncio
import gc
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


def offer(port: int, path: str, bodies: Sequence[bytes], per_second: float) -> Offered:
    """POST each body to 127.0.0.1 at its time."""
    # A collection here would stop the clock that every latency is read from.
    gc.collect()
    gc.disable()
    try:
        return asyncio.run(_offer(port, path, bodies, per_second))
    finally:
        gc.enable()


async def _offer(port: int, path: str, bodies: Sequence[bytes], per_second: float) -> Offered:
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    offered = Offered([], {})
    began = time.perf_counter() + 0.1

    async def send(number: int, body: bytes) -> None:
        due = began + number / per_second
        reader, writer = await free.get()
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json"
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
