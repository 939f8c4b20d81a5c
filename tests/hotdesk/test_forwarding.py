"""What a replica makes of its owner's answers: an owner that decides has the last word, one that is slow has none."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from controller.api.owner_client import OWNER_SECONDS, OwnerClient, Refusal
from controller.api.schemas import PickAnswer, PickBody
from tests.support.processes import until

BODY = PickBody(user="1001", alias="desk")
PICKED = (
    b'{"cluster":"west","user":"1001","alias":"desk","phone_login":"p1","server_ip":"10.0.0.1","age_ms":1,'
    b'"degraded":false,"answered_by":"owner"}'
)
NO_DIALER = b'{"status":409,"title":"no dialer","detail":"none takes logins","phones":[]}'

Writes = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def ask(writes: Writes) -> tuple[PickAnswer | Refusal | None, float]:
    """Ask an owner that answers with what `writes` writes; tell how long it took."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await writes(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the replica did not wait
        finally:
            writer.close()

    async def run() -> tuple[PickAnswer | Refusal | None, float]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = OwnerClient()
        loop = asyncio.get_running_loop()
        try:
            # the first connection pays for what is loaded only then
            await client.pick("http://127.0.0.1:1", "west", BODY, "")
            began = loop.time()
            return await client.pick(f"http://127.0.0.1:{port}", "west", BODY, ""), loop.time() - began
        finally:
            await client.close()
            server.close()

    return asyncio.run(run())


def says(status: str, body: bytes) -> Writes:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body))
        await writer.drain()

    return write


def heard(status: str, body: bytes) -> object:
    """Return an owner's word; it is asked again where it comes too late, as it may on a busy machine."""
    return until(lambda: ask(says(status, body))[0], "the owner is heard")


def test_an_owners_pick_is_taken() -> None:
    picked = heard("201 Created", PICKED)
    assert isinstance(picked, PickAnswer)
    assert picked.phone_login == "p1"


@pytest.mark.parametrize("status", [404, 409, 429])
def test_an_owners_refusal_is_passed_on_and_not_overruled(status: int) -> None:
    refused = heard(f"{status} No", NO_DIALER)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.problem["detail"]) == (status, "none takes logins")


UNKNOWN = b'{"status":404,"title":"unknown cluster","detail":"known: none yet"}'


@pytest.mark.parametrize(
    ("status", "body"), [("404 No", UNKNOWN), ("503 No", NO_DIALER), ("500 No", b"oops"), ("201 Created", b"{}")]
)
def test_an_owner_that_cannot_decide_leaves_it_to_the_replica(status: str, body: bytes) -> None:
    assert ask(says(status, body))[0] is None


def test_an_owner_that_dribbles_has_no_more_time_than_one_that_is_silent() -> None:
    async def dribble(writer: asyncio.StreamWriter) -> None:
        never = asyncio.Event()
        for byte in answer("201 Created", PICKED):
            writer.write(bytes([byte]))
            await writer.drain()
            try:
                await asyncio.wait_for(never.wait(), OWNER_SECONDS / 5)
            except TimeoutError:
                continue

    picked, seconds = ask(dribble)
    assert picked is None
    assert seconds < 10 * OWNER_SECONDS
