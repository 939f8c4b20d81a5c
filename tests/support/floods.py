"""Floods: what a client may send for ever before it has shown a token, and connections without end."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PIECE = 64 * 1024
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def connected(host: str, port: int, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection from this address."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.settimeout(20)
    made.bind((source, 0))
    made.connect((host, port))
    return made


def sent(connection: socket.socket, pieces: Iterator[bytes], most: int) -> int:
    """Send until all is sent or the other side hangs up, and return how many bytes it took."""
    count = 0
    with suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
            count += len(piece)
            if count >= most:
                break
    return count


@contextmanager
def flooding(host: str, port: int, begin: bytes, rest: Callable[[], Iterator[bytes]], most: int) -> Iterator[list[int]]:
    """Flood from a thread, one connection after another, from the first bytes until left; yield what each one took."""
    took: list[int] = []
    begun, end = threading.Event(), threading.Event()

    def send() -> None:
        while not end.is_set():
            with connected(host, port) as connection, suppress(OSError):
                connection.sendall(begin)
                begun.set()
                took.append(sent(connection, rest(), most))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    assert begun.wait(20), "the flood cannot begin"
    try:
        yield took
    finally:
        end.set()
        thread.join()


def forever(piece: bytes) -> Callable[[], Iterator[bytes]]:
    def again() -> Iterator[bytes]:
        while True:
            yield piece

    return again


FLOODS = {
    "header lines": (GET, forever(b"a: b\r\n" * (PIECE // 6))),
    "long headers": (GET, forever(b"a: " + b"b" * 4000 + b"\r\n")),
    "a header without end": (GET + b"a: ", forever(b"b" * PIECE)),
    "a long path": (b"GET /", forever(b"a" * PIECE)),
    "pipelined requests": (b"", forever((GET + b"\r\n") * 1000)),
    "trailers": (
        b"POST /v1/clusters/west/picks HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        forever(b"a: b\r\n" * (PIECE // 6)),
    ),
    "sizes of chunks": (
        b"POST /v1/clusters/west/picks HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        forever(b"1;" + b"x" * 1000 + b"\r\na\r\n"),
    ),
}
