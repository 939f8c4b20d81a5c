"""SIP: only a final answer to one's own request counts, and whatever else comes is read within bounds."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probes.sip import (
    LONGEST_ANSWER,
    Answer,
    NotSipError,
    SipTarget,
    options_request,
    parse_answer,
    probe_sip,
)
from messages.records import ProbeResult

HOST = "127.0.0.1"
SECONDS = 0.8
"""Longer than it takes until a request is sent again."""

OURS = options_request(SipTarget(host="192.0.2.11"), "192.0.2.1", 40_000, unique="00112233445566778899")

Answering = Callable[[bytes], list[bytes]]


def answer_to(
    request: bytes, status: str = "404 Not Found", *, call_id: str | None = None, cseq: str = "1 OPTIONS"
) -> bytes:
    """Answer as Asterisk does."""
    found = dict(line.split(": ", 1) for line in request.decode().split("\r\n")[1:] if line)
    return (
        f"SIP/2.0 {status}\r\nVia: {found['Via']};received=127.0.0.1\r\nFrom: {found['From']}\r\n"
        f"To: {found['To']};tag=as1\r\nCall-ID: {call_id or found['Call-ID']}\r\nCSeq: {cseq}\r\n"
        "Server: Asterisk PBX\r\nContent-Length: 0\r\n\r\n"
    ).encode()


class _Dialer(asyncio.DatagramProtocol):
    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self.heard: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        for answer in self._answering(data):
            self.transport.sendto(answer, addr)


def probed(answering: Answering, heard: list[bytes] | None = None) -> ProbeResult:
    """Probe a server that answers each datagram with these."""

    async def run() -> ProbeResult:
        transport, dialer = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Dialer(answering), (HOST, 0)
        )
        try:
            port = transport.get_extra_info("sockname")[1]
            return await probe_sip(SipTarget(host=HOST, port=port), SECONDS)
        finally:
            transport.close()
            if heard is not None:
                heard.extend(dialer.heard)

    return asyncio.run(run())


def test_the_request_is_what_the_standard_wants() -> None:
    assert OURS.text == (
        b"OPTIONS sip:192.0.2.11:5060 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.1:40000;branch=z9hG4bK00112233445566778899;rport\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: <sip:hotdesk@192.0.2.1:40000>;tag=0011223344556677\r\n"
        b"To: <sip:192.0.2.11:5060>\r\n"
        b"Call-ID: 00112233445566778899@192.0.2.1\r\n"
        b"CSeq: 1 OPTIONS\r\n"
        b"Contact: <sip:hotdesk@192.0.2.1:40000>\r\n"
        b"Accept: application/sdp\r\n"
        b"User-Agent: hotdesk\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_an_address_of_version_six_is_bracketed() -> None:
    text = options_request(SipTarget(host="2001:db8::b"), "2001:db8::a", 1, unique="x").text.decode()
    assert text.startswith("OPTIONS sip:[2001:db8::b]:5060 SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::a]:1;")


@given(st.binary(max_size=600))
def test_any_bytes_are_an_answer_or_not(datagram: bytes) -> None:
    with suppress(NotSipError):
        assert not OURS.is_answered_by(parse_answer(datagram))


@given(st.lists(st.tuples(st.integers(min_value=0), st.binary(max_size=3)), min_size=1, max_size=5))
def test_a_damaged_answer_is_one_or_not(damages: list[tuple[int, bytes]]) -> None:
    datagram = answer_to(OURS.text)
    for where, what in damages:
        at = where % len(datagram)
        datagram = datagram[:at] + what + datagram[at + 1 :]
    with suppress(NotSipError):
        assert 100 <= parse_answer(datagram).status < 700


def test_short_names_and_folded_lines_are_read() -> None:
    datagram = b"SIP/2.0 200 OK\r\ni : one\r\nCSEQ: 7\r\n  OPTIONS\r\nX:\r\n\r\nbody"
    assert parse_answer(datagram) == Answer(200, "one", 7, "OPTIONS")


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\r\n",
        b"SIP/2.0 999 Odd\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\r\n",
        b"SIP/2.0 200 OK\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n",
        b"SIP/2.0 200 OK\nCall-ID: a\nCSeq: 1 OPTIONS\n\n",
        b"SIP/2.0 200 OK\r\nCall-ID: a\r\nCall-ID: b\r\nCSeq: 1 OPTIONS\r\n\r\n",
        b"SIP/2.0 200 OK\r\nCall-ID: a\r\nCSeq: one OPTIONS\r\n\r\n",
        b"SIP/2.0 200 OK\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\nno header\r\n\r\n",
        b"SIP/2.0 200 OK\r\nCall-ID: \xff\r\nCSeq: 1 OPTIONS\r\n\r\n",
        OURS.text,
        answer_to(OURS.text) + b"x" * LONGEST_ANSWER,
    ],
)
def test_what_is_no_answer(datagram: bytes) -> None:
    with pytest.raises(NotSipError):
        parse_answer(datagram)


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "503 Service Unavailable", "603 Decline"])
def test_any_final_answer_is_alive(status: str) -> None:
    assert probed(lambda request: [answer_to(request, status)]) is ProbeResult.ALIVE


def test_a_final_answer_after_others_is_alive() -> None:
    def answers(request: bytes) -> list[bytes]:
        return [b"noise", answer_to(request, "100 Trying"), answer_to(request, call_id="x"), answer_to(request)]

    assert probed(answers) is ProbeResult.ALIVE


@pytest.mark.parametrize(
    "answering",
    [
        lambda _: [],
        lambda _: [b"", b"\x00" * 70, b"SIP/2.0 200 OK"],
        lambda request: [answer_to(request, "100 Trying")],
        lambda request: [answer_to(request, call_id="somebody-elses@192.0.2.9")],
        lambda request: [answer_to(request, cseq="2 OPTIONS")],
        lambda request: [answer_to(request, cseq="1 INVITE")],
        lambda request: [request],
        lambda _: [b"noise"] * 200,
    ],
    ids=["silence", "rubbish", "provisional", "call", "number", "method", "echo", "flood"],
)
def test_what_does_not_answer_is_mute(answering: Answering) -> None:
    assert probed(answering) is ProbeResult.MUTE


def test_a_lost_datagram_is_sent_again_and_each_probe_asks_anew() -> None:
    heard: list[bytes] = []
    met: set[bytes] = set()

    def at_second_sight(request: bytes) -> list[bytes]:
        if request in met:
            return [answer_to(request)]
        met.add(request)
        return []

    assert probed(at_second_sight, heard) is ProbeResult.ALIVE
    assert len(heard) == 2
    assert heard[0] == heard[1]
    probed(lambda request: [answer_to(request)], heard)
    assert heard[2] != heard[1]


def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind((HOST, 0))
        port = gone.getsockname()[1]
    assert asyncio.run(probe_sip(SipTarget(host=HOST, port=port), SECONDS)) is ProbeResult.REFUSED


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match="dialer1"):
        SipTarget(host="dialer1.example")
