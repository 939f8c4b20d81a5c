"""The SIP ports of simulated dialers: answered, mute or closed, and on this machine alone."""

import asyncio
from collections.abc import Iterator

import pytest

from collectors.probes.sip import SipTarget, probe_sip
from messages.records import ProbeResult
from simulator.ports import free_udp_port
from simulator.sip import SipPorts

ONE, TWO, ELSEWHERE = "127.20.9.11", "127.20.9.12", "192.0.2.11"


@pytest.fixture
def ports() -> Iterator[SipPorts]:
    """Yield the ports of two dialers, and of one whose address is not this machine's."""
    made = SipPorts([ONE, TWO, ELSEWHERE], free_udp_port())
    made.start()
    yield made
    made.stop()


def told(ports: SipPorts, server_ip: str) -> ProbeResult:
    return asyncio.run(probe_sip(SipTarget(host=server_ip, port=ports.port), 0.3, resend=False))


def test_a_dialer_answers_until_it_dies_and_again_when_it_is_back(ports: SipPorts) -> None:
    assert told(ports, ONE) is ProbeResult.ALIVE
    ports.close(ONE)
    ports.close(ONE)
    assert told(ports, ONE) is ProbeResult.REFUSED
    assert told(ports, TWO) is ProbeResult.ALIVE
    ports.answer(ONE)
    ports.answer(ONE)
    assert told(ports, ONE) is ProbeResult.ALIVE


def test_one_that_hangs_is_mute(ports: SipPorts) -> None:
    ports.fall_silent(ONE)
    assert told(ports, ONE) is ProbeResult.MUTE
    assert told(ports, TWO) is ProbeResult.ALIVE
    ports.answer(ONE)
    assert told(ports, ONE) is ProbeResult.ALIVE


def test_stopped_all_are_closed_and_after_a_new_start_the_dead_stay_dead(ports: SipPorts) -> None:
    ports.close(ONE)
    ports.stop()
    ports.stop()
    assert told(ports, TWO) is ProbeResult.REFUSED
    ports.start()
    assert told(ports, ONE) is ProbeResult.REFUSED
    assert told(ports, TWO) is ProbeResult.ALIVE
