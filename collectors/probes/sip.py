"""Probe a dialer by SIP OPTIONS: phones cannot work on a dialer that does not answer it.

OPTIONS asks for a server's capabilities and changes nothing; Asterisk answers it without an account. Any final answer
is a sign of life, also 404: VICIdial's dialplan has nothing at the requested address. Framing after RFC 3261 (sections
7, 8.1.1, 11, 17.1.2, 20) and RFC 3581 (rport).

Each probe has a UDP socket of its own, connected to the dialer: only a connected socket gets ICMP errors for a closed
port or a missing route, and it receives datagrams only from the dialer. It lasts as long as the probe, so that a late
answer never counts for the next probe, and a changed route is found again. It costs microseconds.
"""

import asyncio
import re
import secrets
import socket
from contextlib import suppress
from typing import NamedTuple

import msgspec

from collectors.probes.addresses import family_of
from messages.records import ProbeResult

SIP_PORT = 5060
LONGEST_ANSWER = 8192
"""Bytes. Asterisk's answer to OPTIONS takes half a kilobyte."""
RESEND_SECONDS = 0.5
"""RFC 3261's T1: when a request over UDP is sent again, so that one lost datagram does not make a dialer mute."""
MOST_READ = 64
"""Most datagrams that one probe reads."""
SEQUENCE = 1
"""Each request is the first of its own Call-ID."""
FIRST_FINAL = 200
STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2}) [^\r\n]*")
HEADER = re.compile(r"([A-Za-z0-9.!%*_+`'~-]+)[ \t]*:[ \t]*(.*)")
CSEQ = re.compile(r"([0-9]{1,10})[ \t]+([A-Z]+)")
COMPACT = {"i": "call-id"}
"""Short names of the headers that are read."""

_IPV4_RECVERR = 11
_IPV6_RECVERR = 25
"""`IP_RECVERR` and `IPV6_RECVERR` of Linux, which Python's socket module does not name."""


class NotSipError(Exception):
    """The datagram is not a SIP answer."""


class SipTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a dialer's SIP, by UDP."""

    host: str
    """An IP address: a name would make the probe depend on a name server."""
    port: int = SIP_PORT

    def __post_init__(self) -> None:
        family_of(self.host)


class Answer(NamedTuple):
    """The status of an answer, and the fields that match it to a request."""

    status: int
    call_id: str
    sequence: int
    method: str


class Request(NamedTuple):
    """One OPTIONS request, and the Call-ID that its answer repeats."""

    call_id: str
    text: bytes

    def is_answered_by(self, answer: Answer) -> bool:
        """Return True for the final answer to this request; a provisional one does not count."""
        ours = (self.call_id, SEQUENCE, "OPTIONS")
        return answer.status >= FIRST_FINAL and (answer.call_id, answer.sequence, answer.method) == ours


def options_request(target: SipTarget, local_host: str, local_port: int, *, unique: str) -> Request:
    """Return a request to the target, from the address for its answer; `unique` was never used before."""
    here, there = f"{_bracketed(local_host)}:{local_port}", f"{_bracketed(target.host)}:{target.port}"
    call_id = f"{unique}@{_bracketed(local_host)}"
    lines = (
        f"OPTIONS sip:{there} SIP/2.0",
        f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{unique};rport",
        "Max-Forwards: 70",
        f"From: <sip:hotdesk@{here}>;tag={unique[:16]}",
        f"To: <sip:{there}>",
        f"Call-ID: {call_id}",
        f"CSeq: {SEQUENCE} OPTIONS",
        f"Contact: <sip:hotdesk@{here}>",
        "Accept: application/sdp",
        "User-Agent: hotdesk",
        "Content-Length: 0",
    )
    return Request(call_id, "\r\n".join((*lines, "", "")).encode())


def parse_answer(datagram: bytes) -> Answer:
    """Return the answer in a datagram.

    Raises:
        NotSipError: it is not a complete SIP answer, or has a header twice that may come once.
    """
    if len(datagram) > LONGEST_ANSWER:
        raise NotSipError(f"longer than {LONGEST_ANSWER} bytes")
    head, end, _body = datagram.partition(b"\r\n\r\n")
    if not end:
        raise NotSipError("its head does not end")
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        raise NotSipError("its head is not UTF-8") from error
    # A line that begins with a blank continues the one before.
    first, *lines = re.sub(r"\r\n[ \t]+", " ", text).split("\r\n")
    status = STATUS_LINE.fullmatch(first)
    if status is None:
        raise NotSipError("it does not begin with a status")
    headers: dict[str, list[str]] = {}
    for line in lines:
        header = HEADER.fullmatch(line)
        if header is None:
            raise NotSipError("a line of its head is not a header")
        name = header[1].lower()
        headers.setdefault(COMPACT.get(name, name), []).append(header[2].strip())
    sequence = CSEQ.fullmatch(_only(headers, "cseq"))
    if sequence is None:
        raise NotSipError("its CSeq is not a number and a method")
    return Answer(int(status[1]), _only(headers, "call-id"), int(sequence[1]), sequence[2])


async def probe_sip(target: SipTarget, timeout_seconds: float, *, resend: bool = True) -> ProbeResult:
    """Return the result of one probe within the time limit; with `resend` it may send its request twice.

    Without any answer a host that is gone looks mute too: UDP is not acknowledged.

    Raises:
        OSError: this host has no socket left, which is no result about the dialer.
    """
    with _new_socket(family_of(target.host)) as connection:
        try:
            async with asyncio.timeout(timeout_seconds):
                answered = await _is_answered(connection, target, resend=resend)
                return ProbeResult.ALIVE if answered else ProbeResult.MUTE
        except TimeoutError:
            return ProbeResult.MUTE
        except ConnectionRefusedError:
            return ProbeResult.REFUSED
        except OSError:
            return ProbeResult.UNREACHABLE


async def _is_answered(connection: socket.socket, target: SipTarget, *, resend: bool) -> bool:
    """Send a request, and with `resend` once more if no answer comes; return True for its final answer.

    Return False for noise.

    Raises:
        OSError: the host, or one on the route to it, refused.
    """
    connection.connect((target.host, target.port))  # with UDP this sets the address, and sends nothing
    local_host, local_port = connection.getsockname()[:2]
    request = options_request(target, local_host, local_port, unique=secrets.token_hex(16))
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, request.text)
    if resend:
        with suppress(TimeoutError):
            async with asyncio.timeout(RESEND_SECONDS):
                return await _receive_answer(connection, request)
        await loop.sock_sendall(connection, request.text)
    return await _receive_answer(connection, request)


async def _receive_answer(connection: socket.socket, request: Request) -> bool:
    loop = asyncio.get_running_loop()
    for _ in range(MOST_READ):
        datagram = await loop.sock_recv(connection, LONGEST_ANSWER + 1)
        with suppress(NotSipError):
            if request.is_answered_by(parse_answer(datagram)):
                return True
        await asyncio.sleep(0)  # a host that sends without end must not keep the loop from other probes
    return False


def _only(headers: dict[str, list[str]], name: str) -> str:
    values = headers.get(name, [])
    if len(values) != 1:
        raise NotSipError(f"it has {len(values)} of {name}")
    return values[0]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _new_socket(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    # Without this Linux reports only a closed port to a UDP socket, not a missing route to the host.
    if family is socket.AF_INET:
        made.setsockopt(socket.IPPROTO_IP, _IPV4_RECVERR, 1)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    return made
