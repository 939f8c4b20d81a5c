"""Those who keep the status page open: many, slow, or gone without a word. None may cost anybody else anything."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import httpx
import pytest
from litestar.types import HTTPDisconnectEvent, Message

from controller.page.events import ALIVE, ALIVE_SECONDS, MOST_VIEWERS, LiveUpdates, PageVariant
from tests.support.builders import ONE, TWO
from tests.support.log_scene import Scene, playing
from tests.support.processes import CLUSTER, until

THOUSAND = 1000
WEST = PageVariant(CLUSTER, orders=False)


@pytest.fixture
def crowd(scene: Scene) -> Iterator[list[socket.socket]]:
    """Open a thousand pages that are never read from."""
    host, port = scene.url.removeprefix("http://").split(":")
    request = f"GET /clusters/{CLUSTER}/live HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode()
    with ExitStack() as stack:
        viewers = []
        for _ in range(THOUSAND):
            viewer = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            viewer.sendall(request)
            viewers.append(viewer)
        yield viewers


def viewers_of(scene: Scene) -> float:
    return scene.client.metric("hotdesk_page_viewers")


def test_a_thousand_viewers_that_stop_reading_cost_no_login_anything(scene: Scene, crowd: list[socket.socket]) -> None:
    until(lambda: viewers_of(scene) == MOST_VIEWERS, "as many as there is room for")
    scene.seat(ONE, "1001", "1002")
    assert scene.client.pick("2001", "desk-1001").server_ip != ONE
    assert scene.http.get(f"/clusters/{CLUSTER}").is_success
    answers = [viewer.recv(12) for viewer in crowd]
    assert answers.count(b"HTTP/1.1 200") == MOST_VIEWERS
    assert answers.count(b"HTTP/1.1 503") == THOUSAND - MOST_VIEWERS
    for viewer in crowd:
        viewer.close()
    until(lambda: viewers_of(scene) == 0, "they are gone")


def test_a_viewer_hears_of_a_change_and_in_between_that_all_is_well(scene: Scene) -> None:
    heard: list[str] = []
    with scene.http.stream("GET", f"/clusters/{CLUSTER}/live") as news:
        lines = news.iter_lines()
        heard.append(next(lines))
        assert heard == ["event: page"]
        while "All 3 dialers are up." not in heard[-1]:
            heard.append(next(lines))
        while heard[-1] != "event: alive":
            heard.append(next(lines))
        threading.Thread(target=scene.seat, args=(ONE, "1001")).start()
        while 'class=\\"count\\">1<' not in heard[-1]:
            heard.append(next(lines))
    until(lambda: viewers_of(scene) == 0, "the viewer is gone")


def test_a_process_that_ends_lets_its_viewers_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with httpx.Client(timeout=20, trust_env=False) as viewer, ExitStack() as stack:
        with playing(tmp_path) as scene:
            lines = stack.enter_context(viewer.stream("GET", f"{scene.page}/live")).iter_lines()
            assert next(lines) == "event: page"
        # the stream ends as streams do, and nothing was cut off
        assert list(lines)[-1] == ""
    assert "graceful shutdown exceeded" not in capsys.readouterr().out


def test_a_viewer_that_takes_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotdesk.api_server.GONE_MS", 1500)
    with playing(tmp_path) as scene, socket.socket() as stuck:
        # so much to show that no buffer holds it for long
        scene.descriptions = {ONE: "x" * 2_000_000}
        host, port = scene.url.removeprefix("http://").split(":")
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect((host, int(port)))
        stuck.sendall(f"GET /clusters/{CLUSTER}/live HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
        until(lambda: viewers_of(scene) == 1, "it watches")
        dialers = cycle((ONE, TWO))

        def change() -> bool:
            scene.agents["1001"] = next(dialers)
            return viewers_of(scene) == 0

        until(change, "it is cut off", 30)


class _Reader:
    """The other end of a connection, as an application server shows it."""

    def __init__(self) -> None:
        self._got = asyncio.Queue[bytes]()
        self.left = asyncio.Event()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self._got.put(message["body"])

    async def receive(self) -> HTTPDisconnectEvent:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> bytes:
        """Return what came next."""
        async with asyncio.timeout(20):
            return await self._got.get()


def _answer(live: LiveUpdates, viewer: _Reader) -> "asyncio.Task[None]":
    return asyncio.create_task(live.app(WEST, {})({}, viewer.receive, viewer.send))  # type: ignore[arg-type] # it looks at no scope


def test_a_page_that_cannot_be_rendered_once_is_rendered_the_next_time() -> None:
    async def play() -> None:
        shown = iter(["broken", "whole"])

        def render(_: PageVariant, contents: str) -> str:
            if contents == "broken":
                raise ValueError(contents)
            return contents

        viewer = _Reader()
        answer = _answer(LiveUpdates(lambda _: next(shown, "whole"), render), viewer)
        assert await viewer.next() == b'event: page\ndata: "whole"\n\n'
        viewer.left.set()
        await asyncio.wait_for(answer, 10)

    asyncio.run(play())


def test_nobody_is_told_that_all_is_alive_while_nothing_can_be_shown() -> None:
    async def play() -> list[bytes]:
        shown = iter(["whole"])

        def contents(_: PageVariant) -> str:
            for each in shown:
                return each
            raise ValueError("broken from now on")

        viewer, live = _Reader(), LiveUpdates(contents, lambda _, contents: contents)
        answer, heard = _answer(live, viewer), []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * ALIVE_SECONDS):
                while True:
                    heard.append(await viewer.next())
        live.close()
        await asyncio.wait_for(answer, 10)
        return heard

    heard = asyncio.run(play())
    assert heard[0] == b'event: page\ndata: "whole"\n\n'
    assert heard[1:] in ([ALIVE], [ALIVE, ALIVE])


def test_the_page_of_a_cluster_that_is_no_more_ends() -> None:
    async def play() -> None:
        shown = iter(["whole"])
        viewer = _Reader()
        answer = _answer(LiveUpdates(lambda _: next(shown, None), lambda _, contents: contents), viewer)
        assert await viewer.next() == b'event: page\ndata: "whole"\n\n'
        await asyncio.wait_for(answer, 10)
        assert await viewer.next() == b""

    asyncio.run(play())


def test_closing_twice_and_late_is_no_mistake() -> None:
    live, viewer = LiveUpdates(lambda _: "whole", lambda _, contents: contents), _Reader()

    async def play() -> None:
        answer = _answer(live, viewer)
        await viewer.next()
        live.close()
        await asyncio.wait_for(answer, 10)

    asyncio.run(play())
    live.close()
    assert live.viewers == 0
