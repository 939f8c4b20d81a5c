"""Addresses of probes are numbers: a name would make a probe depend on a name server."""

import ipaddress
import socket


def family_of(host: str) -> socket.AddressFamily:
    """Tell IPv4 from IPv6.

    Raises:
        ValueError: it is no IP address.
    """
    return socket.AF_INET if ipaddress.ip_address(host).version == 4 else socket.AF_INET6  # noqa: PLR2004 # its name
