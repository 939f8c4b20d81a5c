"""Addresses of names, looked up within a bound.

`getaddrinfo` has no time limit, and a slow name server must not put off what was decided: it would be carried out so
much later than VICIdial's row was read. So a name is looked up in a thread, and an older answer serves while that takes
long.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence

FRESH_SECONDS = 30.0
"""An answer is asked for again after this time, and serves on while no new one comes."""
PATIENCE_SECONDS = 0.2
"""How long a new answer is waited for while there is an older one."""

LookUp = Callable[[str], Sequence[str]]


def look_up(host: str) -> Sequence[str]:
    """Return the addresses of a host by this machine's resolver.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Names:
    """The addresses of a few hosts. A look-up that hangs has a thread until it ends; each host has one at most."""

    def __init__(self, resolve: LookUp = look_up, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Sequence[str], float]] = {}
        """By host: its addresses, and when they were asked for."""
        self._errors: dict[str, OSError] = {}
        """By host: why the latest look-up failed."""
        self._under_way: dict[str, threading.Event] = {}

    def prepare(self, host: str) -> None:
        """Begin to look a host up, for later."""
        self._begin(host)

    def addresses(self, host: str, within_seconds: float) -> Sequence[str]:
        """Return a host's addresses, at least one.

        Raises:
            OSError: it has none, or none is known in time.
        """
        with self._lock:
            known = self._known.get(host)
        if known is not None and self._clock() - known[1] <= FRESH_SECONDS:
            return known[0]
        done = self._begin(host)
        in_time = done.wait(within_seconds if known is None else min(within_seconds, PATIENCE_SECONDS))
        with self._lock:
            known = self._known.get(host)
            error = self._errors.get(host)
        if known is not None:
            return known[0]
        if in_time and error is not None:
            raise OSError(f"the name {host} has no address: {error}") from error
        raise OSError(f"the name {host} could not be looked up in time")

    def _begin(self, host: str) -> threading.Event:
        with self._lock:
            done = self._under_way.get(host)
            if done is not None:
                return done
            done = self._under_way[host] = threading.Event()
        threading.Thread(target=self._ask, args=(host, done), name=f"name-{host}", daemon=True).start()
        return done

    def _ask(self, host: str, done: threading.Event) -> None:
        at = self._clock()
        try:
            found = self._resolve(host)
        except (OSError, UnicodeError) as error:
            with self._lock:
                self._errors[host] = OSError(str(error))
        else:
            with self._lock:
                self._errors.pop(host, None)
                self._known[host] = found, at
        with self._lock:
            del self._under_way[host]
        done.set()


def connect(names: Names, host: str, port: int, seconds: float) -> socket.socket:
    """Connect to a host within so many seconds, by one of its addresses.

    Raises:
        OSError: it could not be.
    """
    deadline = time.monotonic() + seconds
    addresses = names.addresses(host, seconds)
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        share = (deadline - time.monotonic()) / left
        try:
            if share <= 0:
                raise TimeoutError(f"{host} did not answer in time")
            connected = socket.create_connection((address, port), share)
        except OSError as error:
            failed = error
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected
    raise failed
