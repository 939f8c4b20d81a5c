"""What a client may cost before it has shown a token: one that exceeds a bound is hung up on, and all others go on."""

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import httpx
import pytest

from hotdesk.bounded import CONNECTIONS, HEAD_BYTES, HEAD_LINES, OF_ADDRESS, PIPELINED, REQUEST_SECONDS
from tests.support import floods
from tests.support.floods import FLOODS, GET, PIECE, flooding
from tests.support.processes import Process, Start, until
from tests.support.timing import on_this_machine

MOST_MB = 150
HEALTH_SECONDS, HEALTH_CHECKS = 0.05, 20


@pytest.fixture
def served(start: Start) -> Process:
    """Return a process of all roles whose API answers."""
    process = start("run", "--api.port", "0", "--clusters.west.port", "1")
    assert process.client.http.get("/healthz").is_success
    return process


def connected(served: Process, host: str = "127.0.0.1") -> socket.socket:
    address = httpx.URL(served.client.url)
    return floods.connected(address.host, address.port or 0, host)


def megabytes(served: Process) -> float:
    """Return the memory that a process has in use."""
    status = Path(f"/proc/{served.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def health_seconds(served: Process) -> float:
    """Return how long a health check takes, which must succeed."""
    began = time.monotonic()
    assert served.client.http.get("/healthz").is_success
    return time.monotonic() - began


def is_hung_up(connection: socket.socket) -> bool:
    with suppress(ConnectionError):
        while data := connection.recv(PIECE):
            assert b"503" not in data.split(b"\r\n", 1)[0], "a login hook would believe that hotdesk is down"
    return True


def test_twenty_megabytes_of_anything_take_no_memory_and_hold_nobody_up(served: Process) -> None:
    before = megabytes(served)
    for name, (begin, rest) in FLOODS.items():
        address = httpx.URL(served.client.url)
        with flooding(address.host, address.port or 0, begin, rest, 20_000_000) as took:
            seconds = [health_seconds(served) for _ in range(HEALTH_CHECKS)]
        assert took, name
        assert max(took) < 20_000_000, name
        assert median(seconds) < on_this_machine(HEALTH_SECONDS), name
        # this process floods and asks, so one answer may wait for what else the machine does
        assert max(seconds) < on_this_machine(4 * HEALTH_SECONDS), name
        assert megabytes(served) < min(MOST_MB, before + 30), name
    assert served.client.metric("hotdesk_connections_refused_total") >= len(FLOODS) - 1
    assert len(served.lines("a client of the API was hung up on")) <= len(FLOODS), "each reason is logged once"


@pytest.mark.parametrize(
    ("request_of", "bound"),
    [
        (lambda lines: GET + b"a: b\r\n" * (lines - 1) + b"\r\n", HEAD_LINES),
        (lambda size: GET + b"a: " + b"b" * (size - len(GET) - 7) + b"\r\n\r\n", HEAD_BYTES),
    ],
    ids=["lines", "bytes"],
)
def test_a_head_at_the_bound_is_answered_and_a_longer_one_is_not(
    served: Process, request_of: Callable[[int], bytes], bound: int
) -> None:
    with connected(served) as fits, connected(served) as exceeds:
        fits.sendall(request_of(bound))
        assert fits.recv(100).startswith(b"HTTP/1.1 200")
        exceeds.sendall(request_of(bound + 1))
        assert is_hung_up(exceeds)


def test_some_requests_may_wait_for_their_turn(served: Process) -> None:
    with connected(served) as client:
        client.sendall((GET + b"\r\n") * PIPELINED)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < PIPELINED:
            answers += client.recv(PIECE)


def test_who_asks_for_nothing_or_too_slowly_is_hung_up_on(served: Process) -> None:
    began = time.monotonic()
    with connected(served) as silent, connected(served) as slow, connected(served) as after:
        slow.sendall(GET)
        after.sendall(GET + b"\r\n")
        assert after.recv(100).startswith(b"HTTP/1.1 200")
        until(lambda: served.client.metric("hotdesk_connections_refused_total") >= 2, "both", REQUEST_SECONDS + 10)
        assert time.monotonic() - began >= REQUEST_SECONDS - 0.5
        assert is_hung_up(silent)
        assert is_hung_up(slow)


def test_one_address_cannot_take_all_connections(served: Process) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = round(CONNECTIONS * OF_ADDRESS)
    with ExitStack() as stack:
        if soft < most + 500:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(most + 50):
            stack.enter_context(connected(served, "127.0.0.9"))
        until(lambda: served.client.metric("hotdesk_connections_refused_total") >= 50, "the rest is hung up on")
        assert served.client.http.get("/healthz").is_success
    until(lambda: is_served(served, "127.0.0.9"), "the address is served again")


def is_served(served: Process, host: str) -> bool:
    with connected(served, host) as client, suppress(ConnectionError):
        client.sendall(GET + b"\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 200")
    return False


@pytest.mark.parametrize(
    ("proxies", "shown"), [("", "127.0.0.1"), ("192.0.2.0/24", "127.0.0.1"), ("127.0.0.1", "203.0.113.9")]
)
def test_only_a_proxy_that_was_named_can_give_a_client_another_address(start: Start, proxies: str, shown: str) -> None:
    """By it limits are kept, and orders are recorded."""
    client = start("run", "--api.port", "0", "--clusters.west.port", "1", "--api.trusted-proxies", proxies).client
    until(lambda: client.http.get("/v1/clusters").json(), "the outage makes the cluster known")
    order = {"by": "anna", "why": "a test"}
    ordered = client.http.post("/v1/clusters/west/pause", json=order, headers={"X-Forwarded-For": "203.0.113.9"})
    assert ordered.status_code == httpx.codes.ACCEPTED, ordered.text
    decision = until(lambda: client.http.get("/v1/clusters/west/decisions").json(), "the order is recorded")[0]
    assert shown in str(decision)
