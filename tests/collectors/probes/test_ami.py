"""AMI: whatever comes is cut within bounds, and each kind of silence or refusal has its own name."""

import asyncio
import re
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import md5
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probes.ami import (
    IN_USE,
    LONGEST_LINE,
    LONGEST_MESSAGE,
    MOST_LISTED,
    AmiConversation,
    AmiError,
    AmiFraming,
    AmiProbe,
    AmiTarget,
    LoginDeniedError,
    NotAmiError,
    denied_seconds,
    probe_ami,
)
from messages.records import ProbeResult
from simulator.ports import free_port
from tests.support.ami_manager import SECRET as MANAGERS_SECRET
from tests.support.ami_manager import USER, Manager
from tests.support.timing import on_this_machine

HOST = "127.0.0.1"
SECRET = "opensesame"
GREETING = b"Asterisk Call Manager/5.0.5\r\n"
SECONDS = 0.3

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(answering: Answering) -> AsyncIterator[int]:
    """Yield the port of a server that treats each connection so, and hangs up after."""
    tasks: set[asyncio.Task[None]] = set()
    accepted: list[asyncio.StreamWriter] = []

    async def treat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await answering(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        tasks.add(asyncio.ensure_future(treat(reader, writer)))

    server = await asyncio.start_server(accept, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in accepted:
            # one whose task had not begun when it was cancelled is open yet
            writer.transport.abort()


def target_at(port: int, secret: str = SECRET) -> AmiTarget:
    return AmiTarget(host=HOST, port=port, user="hotdesk", secret=secret)


def probed(answering: Answering, seconds: float = SECONDS) -> ProbeResult:
    async def run() -> ProbeResult:
        async with served(answering) as port:
            return (await probe_ami(target_at(port), seconds)).result

    return asyncio.run(run())


async def asked(reader: asyncio.StreamReader) -> dict[str, str]:
    """Read one action."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode()
    return dict(line.split(": ", 1) for line in text.split("\r\n") if line)


def response(action: dict[str, str], kind: str = "Success", **more: str) -> bytes:
    lines = {"Response": kind, "ActionID": action["ActionID"], **more}
    return "".join(f"{key}: {value}\r\n" for key, value in lines.items()).encode() + b"\r\n"


async def log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do as Asterisk does up to the login, and to the question that follows it."""
    writer.write(GREETING)
    writer.write(response(await asked(reader), Challenge="123456"))
    login = await asked(reader)
    good = login["Key"] == md5(f"123456{SECRET}".encode(), usedforsecurity=False).hexdigest()
    writer.write(response(login, "Success" if good else "Error"))
    status = await asked(reader)
    assert status["Action"] == "CoreStatus"
    writer.write(response(status, CoreStartupDate="2026-11-26", CoreStartupTime="08:00:00"))


async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Do as Asterisk does."""
    await log_in(reader, writer)
    while (action := await asked(reader))["Action"] == "Ping":
        writer.write(response(action, Ping="Pong"))


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Stay silent until the other hangs up."""
    await reader.read()


def saying(*pieces: bytes) -> Answering:
    """Send this, then nothing until the other hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        await reader.read()

    return say


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_after_the_banner_are_messages_or_none(pieces: list[bytes]) -> None:
    framing = AmiFraming()
    framing.feed(GREETING)
    for piece in pieces:
        for message in framing.feed(piece):
            assert all(key == key.lower() for key in message)


@given(st.binary(max_size=300))
def test_any_bytes_are_ami_or_not(data: bytes) -> None:
    conversation = AmiConversation("hotdesk", SECRET)
    with suppress(AmiError):
        conversation.receive(data)
    assert not conversation.answered


@given(st.lists(st.integers(min_value=1, max_value=40), max_size=30))
def test_how_the_bytes_are_cut_does_not_matter(lengths: list[int]) -> None:
    text = GREETING + b"Event: FullyBooted\r\nStatus: Fully Booted\r\n\r\nResponse: Success\r\nPing: Pong\r\n\r\n"
    framing, found, begin = AmiFraming(), [], 0
    for length in lengths:
        found += framing.feed(text[begin : begin + length])
        begin += length
    found += framing.feed(text[begin:])
    assert framing.banner == "Asterisk Call Manager/5.0.5"
    assert found == [{"event": "FullyBooted", "status": "Fully Booted"}, {"response": "Success", "ping": "Pong"}]


TALK = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"Response: Success\r\n", b"Response: Error\r\n", b"Challenge: 1\r\n", b"\r\n", b"\n", b":"]),
    st.integers(1, 4).map(lambda number: b"ActionID: hotdesk-%d\r\n" % number),
)


@given(st.lists(TALK, max_size=40), st.lists(st.integers(min_value=0, max_value=99), max_size=8))
def test_any_talk_is_the_same_however_it_is_cut(talk: list[bytes], cuts: list[int]) -> None:
    text = GREETING + b"".join(talk)

    def heard(*pieces: bytes) -> list[dict[str, str]] | None:
        framing = AmiFraming()
        try:
            return [message for piece in pieces for message in framing.feed(piece)]
        except NotAmiError:
            return None

    at = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    assert heard(*(text[begin:end] for begin, end in pairwise(at))) == heard(text)


@given(st.lists(TALK, max_size=40))
def test_any_talk_is_answered_without_the_secret_or_ends_the_conversation(talk: list[bytes]) -> None:
    conversation = AmiConversation("hotdesk", SECRET)
    with suppress(AmiError):
        said = conversation.receive(GREETING)
        for piece in talk:
            said += conversation.receive(piece) + conversation.ping() + conversation.list_phones()
        assert SECRET.encode() not in said
        assert len(said) < 64 * 1024


ENDLESS: dict[str, Callable[[int], bytes]] = {
    "one line": lambda _: b"x" * 100,
    "lines of one message": lambda number: b"Key-%d: %d\r\n" % (number, number),
    "lines that say nothing": lambda _: b"no colon\r\n",
    "messages": lambda number: b"Event: %d\r\n\r\n" % number,
    "empty lines": lambda _: b"\r\n",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_who_talks_without_end_takes_no_memory(kind: str) -> None:
    framing, piece = AmiFraming(), ENDLESS[kind]
    framing.feed(GREETING)
    tracemalloc.start()
    try:
        with suppress(NotAmiError):
            for number in range(20_000):
                framing.feed(piece(number))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # what other threads of this process took meanwhile is counted too
    assert most < 32 * LONGEST_MESSAGE


def test_a_list_of_phones_without_end_ends_with_its_connection() -> None:
    sent = 0

    async def list_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await log_in(reader, writer)
        writer.write(response(await asked(reader), Ping="Pong"))
        of = (await asked(reader))["ActionID"].encode()
        for number in count():
            entry = b"Event: PeerEntry\r\nActionID: %s\r\nObjectName: %d\r\nDynamic: yes\r\n\r\n" % (of, number)
            sent += len(entry)
            writer.write(entry)
            if number % 100 == 0:
                await writer.drain()

    async def run() -> tuple[bool, object]:
        async with served(list_for_ever) as port:
            probe = AmiProbe(target_at(port))
            assert await probe.probe(SECONDS) is ProbeResult.ALIVE
            return await probe.list_phones(30.0), probe.registered

    assert asyncio.run(run()) == (True, None)
    assert sent < 2 * MOST_LISTED


@pytest.mark.parametrize(
    "rubbish",
    [b"SSH-2.0-OpenSSH\r\n", b"\r\n", b"Asterisk\r\n", b"Asterisk Call Manager/" + b"9" * LONGEST_LINE],
)
def test_no_banner_is_no_ami(rubbish: bytes) -> None:
    with pytest.raises(NotAmiError):
        AmiFraming().feed(rubbish)


def test_lines_and_messages_have_a_longest_length() -> None:
    framing = AmiFraming()
    framing.feed(GREETING + b"a: " + b"b" * (LONGEST_LINE - 4) + b"\r\n\r\n")
    with pytest.raises(NotAmiError, match="line"):
        framing.feed(b"c" * (LONGEST_LINE + 1))
    framing = AmiFraming()
    framing.feed(GREETING)
    with pytest.raises(NotAmiError, match="message"):
        framing.feed(b"key: value\r\n" * (LONGEST_MESSAGE // 12 + 1))


def test_it_works() -> None:
    assert probed(work) is ProbeResult.ALIVE


@pytest.mark.parametrize(
    ("kind", "facts", "started", "again"),
    [
        ("Success", {"CoreStartupDate": "2026-11-26", "CoreStartupTime": "08:00:00"}, "2026-11-26 08:00:00", False),
        ("Success", {"CoreStartupDate": "1970-01-01", "CoreStartupTime": "00:00:00"}, "", True),
        ("Success", {"CoreStartupDate": "1969-12-31", "CoreStartupTime": "19:00:00"}, "", True),
        ("Success", {}, "", True),
        ("Error", {"Message": "Permission denied"}, "", False),
        ("Error", {"Message": "Invalid/unknown command: CoreStatus."}, "", True),
    ],
    ids=["said", "loads its modules", "loads them west of Greenwich", "nothing said", "not permitted", "not yet"],
)
def test_it_is_asked_when_asterisk_started_until_it_says_so(
    kind: str, facts: dict[str, str], started: str, *, again: bool
) -> None:
    conversation = AmiConversation("hotdesk", SECRET)

    def answered(asked: bytes, kind: str = "Success", **facts: str) -> bytes:
        number = re.findall(rb"ActionID: (\S+)", asked)[0].decode()
        return conversation.receive(response({"ActionID": number}, kind, **facts))

    status = answered(answered(conversation.receive(GREETING), Challenge="1"))
    assert b"Action: CoreStatus" in status
    ping = answered(status, kind, **facts)
    assert b"Action: Ping" in ping
    assert conversation.started == started
    assert answered(ping, Ping="Pong") == b""
    assert conversation.answered
    assert (b"Action: CoreStatus" in conversation.ping()) == again


def test_phones_are_asked_for_only_once_the_login_has_succeeded() -> None:
    """Before that Asterisk denies it, and it would not be asked again on this connection."""
    conversation = AmiConversation("hotdesk", SECRET)
    sent = conversation.receive(GREETING)
    for answer in ({"Challenge": "1"}, {}):
        assert conversation.list_phones() == b""
        number = re.findall(rb"ActionID: (\S+)", sent)[0].decode()
        sent = conversation.receive(response({"ActionID": number}, **answer))
    assert b"Action: SIPpeers" in conversation.list_phones()


def test_events_and_foreign_answers_in_between_do_not_matter() -> None:
    async def chatter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        ping = await asked(reader)
        writer.write(b"Event: FullyBooted\r\n\r\nResponse: Error\r\nActionID: else\r\n\r\nno colon\r\n\r\n")
        writer.write(response(ping, Ping="Pong"))
        await reader.read()

    assert probed(chatter) is ProbeResult.ALIVE


def test_a_ping_that_is_not_permitted_is_answered_too() -> None:
    async def forbid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await log_in(reader, writer)
        writer.write(response(await asked(reader), "Error", Message="Permission denied"))
        await reader.read()

    assert probed(forbid) is ProbeResult.ALIVE


@pytest.mark.parametrize(
    "answering",
    [
        silence,
        saying(b"Asterisk Call Man"),
        saying(GREETING),
        saying(GREETING + b"Response: Succ"),
        saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        saying(GREETING, b"Response: Success\r\nActionID: hotdesk-2\r\nPing: Pong\r\n\r\n"),
        saying(GREETING, b"Response: Error\r\nActionID: hotdesk-1\r\nMessage: Invalid/unknown command\r\n\r\n"),
        saying(GREETING, b"Event: Noise\r\n\r\n" * 100_000),
        log_in,
    ],
    ids=["nothing", "half a line", "banner", "half an answer", "web", "foreign answer", "no challenge", "noise", "bye"],
)
def test_what_does_not_answer_is_mute(answering: Answering) -> None:
    assert probed(answering) is ProbeResult.MUTE


def test_a_line_without_end_is_mute_at_once() -> None:
    sent = 0

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(GREETING)
        while sent < 100_000_000:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    assert probed(pour, seconds=20) is ProbeResult.MUTE
    assert sent < 20_000_000


def test_a_wrong_secret_is_denied() -> None:
    async def run() -> ProbeResult:
        async with served(work) as port:
            return (await probe_ami(target_at(port, "wrong"), SECONDS)).result

    assert asyncio.run(run()) is ProbeResult.DENIED


def test_a_denied_login_is_not_tried_again_at_once() -> None:
    logins = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        logins += 1
        await work(reader, writer)

    async def run() -> list[ProbeResult]:
        async with served(count) as port:
            probe = AmiProbe(AmiTarget(host=HOST, port=port, user="hotdesk", secret="wrong"))
            return [await probe.probe(SECONDS) for _ in range(3)]

    assert asyncio.run(run()) == [ProbeResult.DENIED] * 3
    assert logins == 1


def test_a_denied_login_is_tried_again_after_minutes_and_more_of_them_each_time() -> None:
    assert [denied_seconds(denials) for denials in range(1, 8)] == [60, 120, 240, 480, 960, 960, 960]


def test_a_refusal_that_takes_its_second_is_heard_by_the_next_probe() -> None:
    gave_up = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        writer.write(response(await asked(reader), Challenge="1"))
        login = await asked(reader)
        await gave_up.wait()
        writer.write(response(login, "Error", Message="Authentication failed"))

    async def run() -> list[ProbeResult]:
        async with served(slow) as port:
            probe = AmiProbe(AmiTarget(host=HOST, port=port, user="hotdesk", secret="wrong"))
            first = await probe.probe(SECONDS)
            gave_up.set()
            return [first, await probe.probe(SECONDS)]

    assert asyncio.run(run()) == [ProbeResult.MUTE, ProbeResult.DENIED]


def test_nobody_listens() -> None:
    assert asyncio.run(probe_ami(target_at(free_port()), SECONDS)).result is ProbeResult.REFUSED


def test_a_reset_is_a_refusal() -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    assert probed(reset) is ProbeResult.REFUSED


def test_a_connection_nobody_takes_up_is_unreachable() -> None:
    with socket.create_server((HOST, 0), backlog=0) as full, socket.create_connection(full.getsockname()):
        port = full.getsockname()[1]
        assert asyncio.run(probe_ami(target_at(port), SECONDS)).result is ProbeResult.UNREACHABLE


def test_one_connection_serves_many_probes_and_a_broken_one_is_made_anew() -> None:
    connections: list[asyncio.StreamWriter] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await work(reader, writer)

    async def run() -> list[ProbeResult]:
        async with served(note) as port:
            probe = AmiProbe(AmiTarget(host=HOST, port=port, user="hotdesk", secret=SECRET))
            told = [await probe.probe(SECONDS) for _ in range(5)]
            assert len(connections) == 1
            connections[0].close()
            told += [await probe.probe(SECONDS) for _ in range(2)]
            assert len(connections) == 2
        # no longer served; the second connection is broken off from there
        connections[1].close()
        told.append(await probe.probe(SECONDS))
        probe.close()
        probe.close()
        return told

    assert asyncio.run(run()) == [ProbeResult.ALIVE] * 7 + [ProbeResult.REFUSED]


def test_who_fell_silent_is_waited_for_on_the_same_connection() -> None:
    connections = pings = 0
    go_on = asyncio.Event()

    async def pause(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, pings
        connections += 1
        await log_in(reader, writer)
        writer.write(response(await asked(reader)))
        while (action := await asked(reader))["Action"] == "Ping":
            pings += 1
            await go_on.wait()
            writer.write(response(action))

    async def run() -> list[ProbeResult]:
        async with served(pause) as port:
            probe = AmiProbe(AmiTarget(host=HOST, port=port, user="hotdesk", secret=SECRET))
            told = [await probe.probe(SECONDS / 3) for _ in range(8)]
            assert (connections, pings) == (1, 1)
            go_on.set()
            told.append(await probe.probe(SECONDS))
            probe.close()
            return told

    assert asyncio.run(run()) == [ProbeResult.ALIVE, *[ProbeResult.MUTE] * 7, ProbeResult.ALIVE]


def test_the_secret_is_neither_shown_nor_sent() -> None:
    conversation = AmiConversation("hotdesk", SECRET)
    said = conversation.receive(GREETING)
    said += conversation.receive(b"Response: Success\r\nActionID: hotdesk-1\r\nChallenge: 1\r\n\r\n")
    with pytest.raises(LoginDeniedError) as denied:
        conversation.receive(b"Response: Error\r\nActionID: hotdesk-2\r\n\r\n")
    target = AmiTarget(host=HOST, user="hotdesk", secret=SECRET)
    assert re.search(rb"Key: [0-9a-f]{32}\r\n", said)
    assert SECRET not in f"{conversation!r} {target!r} {target} {denied.value!r} {said!r}"


@pytest.mark.parametrize("line", ["a\r\nAction: Originate", "a\0"])
def test_nothing_can_be_slipped_into_the_login(line: str) -> None:
    with pytest.raises(ValueError, match="AMI secret") as error:
        AmiTarget(host=HOST, user="hotdesk", secret=line)
    assert line not in str(error.value)
    with pytest.raises(ValueError, match="AMI user"):
        AmiTarget(host=HOST, user=line, secret="")


def test_time_is_kept() -> None:
    begin = time.monotonic()
    probed(silence, seconds=0.2)
    assert time.monotonic() - begin < on_this_machine(1)


@pytest.mark.parametrize(
    ("extensions", "told"),
    [(("8600051", "8600052", "8600051"), frozenset({"8600051", "8600052"})), ((), frozenset()), (None, None)],
    ids=["some", "none", "not permitted"],
)
def test_channels_are_listed_while_they_are_wanted(extensions: tuple[str, ...] | None, told: frozenset[str]) -> None:
    async def run(manager: Manager) -> list[object]:
        probe = AmiProbe(AmiTarget(host=HOST, port=manager.port, user=USER, secret=MANAGERS_SECRET))
        found: list[object] = []
        for lists in (False, True, True, False, False):
            probe.lists = lists
            assert await probe.probe(SECONDS) is ProbeResult.ALIVE
            found.append(probe.extensions)
        probe.close()
        return found

    with Manager() as manager:
        manager.extensions = extensions
        assert asyncio.run(run(manager)) == [None, None, told, None, None]
        assert manager.lists == 2


PEERS, DEVICES = {"2001": True, "2002": False}, {"PJSIP/2003": "NOT_INUSE", "PJSIP/2004": "UNAVAILABLE"}
SIP, PJSIP = {"SIP/2001": True, "SIP/2002": False}, {"PJSIP/2003": True, "PJSIP/2004": False}


@pytest.mark.parametrize(
    ("peers", "devices", "told"),
    [(PEERS, DEVICES, SIP | PJSIP), (PEERS, None, SIP), (None, DEVICES, PJSIP), ({}, {}, {}), (None, None, None)],
    ids=["both", "chan_sip alone", "no chan_sip", "no phones", "not permitted"],
)
def test_phones_are_listed_by_the_one_login_that_is_allowed(
    peers: dict[str, bool] | None, devices: dict[str, str] | None, told: dict[str, bool] | None
) -> None:
    async def run(port: int) -> None:
        probe = AmiProbe(AmiTarget(host=HOST, port=port, user=USER, secret=MANAGERS_SECRET))
        assert not await probe.list_phones(SECONDS)
        for _ in range(3):
            assert await probe.probe(SECONDS) is ProbeResult.ALIVE
            assert await probe.list_phones(SECONDS)
            assert probe.registered == told
        probe.close()

    with Manager() as manager:
        manager.one_login, manager.peers, manager.devices = True, peers, devices
        asyncio.run(run(manager.port))
        assert manager.logins == 1
        # what is refused is asked once for each connection
        assert manager.phone_lists == (1 if peers is None else 3)


def test_a_list_that_takes_longer_than_there_is_time_is_read_with_the_next_answer() -> None:
    async def run(port: int) -> None:
        probe = AmiProbe(AmiTarget(host=HOST, port=port, user=USER, secret=MANAGERS_SECRET))
        assert await probe.probe(SECONDS) is ProbeResult.ALIVE
        assert await probe.list_phones(0)
        at_once = probe.registered
        assert at_once is None
        while probe.registered is None:
            assert await probe.probe(SECONDS) is ProbeResult.ALIVE
        assert probe.registered == SIP
        probe.close()

    with Manager() as manager:
        manager.peers = PEERS
        asyncio.run(run(manager.port))
        assert (manager.logins, manager.phone_lists) == (1, 1)


def test_a_login_that_is_in_use_is_no_wrong_secret_and_soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(port: int) -> None:
        target = AmiTarget(host=HOST, port=port, user=USER, secret=MANAGERS_SECRET)
        first, second = AmiProbe(target), AmiProbe(target)
        assert await first.probe(SECONDS) is ProbeResult.ALIVE
        assert [await second.probe(SECONDS) for _ in range(2)] == [ProbeResult.DENIED] * 2
        assert (second.refusal, manager.logins) == (IN_USE, 2)
        first.close()
        monkeypatch.setattr("collectors.probes.ami.IN_USE_SECONDS", 0.0)
        while await second.probe(SECONDS) is ProbeResult.DENIED:
            pass
        assert second.refusal == ""
        second.close()

    with Manager() as manager:
        manager.one_login = True
        asyncio.run(run(manager.port))
