"""Addresses of probes. They are numbers, since a name would make a probe depend on a name server."""

import ipaddress
import socket


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of an IP address.

    Raises:
        ValueError: `host` is not an IP address.
    """
    return socket.AF_INET if ipaddress.ip_address(host).version == 4 else socket.AF_INET6  # noqa: PLR2004 # its name
