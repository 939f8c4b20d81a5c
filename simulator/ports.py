"""Ports for servers of one's own, which find them free again after a restart."""

import random
import socket
from contextlib import ExitStack, suppress

HOST = "127.0.0.1"
_PORTS = range(20_000, 32_000)
"""Below what the kernel hands to outgoing connections and to whoever asks for any port."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    (port,) = free_ports(1)
    return port


def free_udp_port() -> int:
    """Return a UDP port that no address of this machine has in use, so that every simulated dialer can have it.

    Raises:
        OSError: hundreds were tried in vain.
    """
    for port in random.SystemRandom().sample(_PORTS, k=100):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            tried.bind(("", port))
            return port
    raise OSError(f"of 100 UDP ports tried from {_PORTS.start} to {_PORTS.stop - 1} none is free")


def free_ports(count: int) -> list[int]:
    """Return so many ports that nobody listens on. Not seeded: two test runs on one machine must not pick the same.

    Raises:
        OSError: hundreds were tried in vain.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(_PORTS, k=100 * count):
            with suppress(OSError):
                held.enter_context(socket.create_server((HOST, port)))
                found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"of {100 * count} ports tried from {_PORTS.start} to {_PORTS.stop - 1} only {len(found)} are free")
