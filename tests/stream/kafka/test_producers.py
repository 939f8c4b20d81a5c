"""What follows an append that Kafka did not acknowledge, with producers that do what kafka-python's do on a bad day."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from messages.topics import Topic
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.log import Entry, LogUnavailableError
from tests.support.builders import eventually

WEST, EAST = Entry(Topic.RANKINGS, "west", b"1"), Entry(Topic.RANKINGS, "east", b"1")


class Outcome:
    """The future of an acknowledgement."""

    def __init__(self, is_stored: Callable[[], bool]) -> None:
        self._is_stored = is_stored

    @property
    def is_done(self) -> bool:
        return self._is_stored()

    def get(self, timeout: float) -> None:
        if not eventually(self._is_stored, timeout):
            raise KafkaTimeoutError(f"nothing within {timeout} s")


class Producer:
    """A producer that is alive, or one that has stopped: that cannot even be closed."""

    def __init__(self, loses: frozenset[bytes], over: threading.Event, slow: set[bytes]) -> None:
        self._loses = loses
        self._over = over
        self._slow = slow
        self.sent: list[bytes] = []
        self.ended = False
        self.asked = 0
        self._metadata = self._sender = self

    def send(self, _topic: str, *, key: bytes, **_: Any) -> Outcome:  # noqa: ANN401 # as kafka-python has it
        assert not self.ended
        self.sent.append(key)
        return Outcome(lambda: key not in self._loses | self._slow)

    def request_update(self) -> None:
        self.asked += 1

    def wakeup(self) -> None:
        """Do nothing."""

    def force_close(self) -> None:
        self.ended = True

    def close(self, timeout: float) -> None:
        if self._loses:
            assert self._over.wait(60), timeout


class Scene:
    """A log, and the producers that it opens: each loses the records of these keys."""

    def __init__(self, over: threading.Event) -> None:
        self.over = over
        self.losses: list[frozenset[bytes]] = []
        self.slow: set[bytes] = set()
        """The records of these keys wait until a test lets them go."""
        self.opened: list[Producer] = []
        self.log = KafkaLog(KafkaSettings(partitions=4))

    def open(self, *_: object, **__: object) -> Producer:
        self.opened.append(Producer(self.losses.pop(0), self.over, self.slow))
        return self.opened[-1]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Yield a log whose appends fail soon."""
    over = threading.Event()
    made = Scene(over)
    monkeypatch.setattr("stream.kafka.log.open_producer", made.open)
    monkeypatch.setattr("stream.kafka.log.APPEND_SECONDS", 0.1)
    monkeypatch.setattr("stream.kafka.producer.REFRESH_SECONDS", 0.03)
    monkeypatch.setattr(KafkaLog, "_verify", lambda *_: None)
    yield made
    over.set()
    made.log.close()


def test_after_the_first_append_that_timed_out_there_is_a_new_producer_and_nobody_waits_for_the_old_one(
    scene: Scene,
) -> None:
    scene.losses = [frozenset({b"west"}), frozenset()]
    with pytest.raises(LogUnavailableError):
        scene.log.append([WEST])
    first = scene.opened[0]
    assert first.ended, "it sends nothing more"
    assert first.asked > 0, "Kafka was asked who leads"
    scene.log.append([WEST])
    assert not scene.over.is_set(), "the old one is not closed yet"
    assert [each.sent for each in scene.opened] == [[b"west"], [b"west"]]


def test_an_append_that_fails_ends_none_that_is_under_way_beside_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.losses = [frozenset({b"east"}), frozenset()]
    scene.slow.add(b"west")
    monkeypatch.setattr("stream.kafka.log.APPEND_SECONDS", 60.0)
    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(scene.log.append, [WEST])
        assert eventually(lambda: bool(scene.opened) and scene.opened[0].asked > 0), "it waits"
        monkeypatch.setattr("stream.kafka.log.APPEND_SECONDS", 0.2)
        with pytest.raises(LogUnavailableError):
            scene.log.append([EAST])
        assert not scene.opened[0].ended
        scene.log.append([EAST])
        assert len(scene.opened) == 2
        scene.slow.clear()
        assert beside.result(20) is None
    assert eventually(lambda: scene.opened[0].ended)


def test_an_append_that_fails_names_what_failed(scene: Scene) -> None:
    scene.losses = [frozenset({b"east"})]
    with pytest.raises(LogUnavailableError) as failure:
        scene.log.append([WEST, EAST])
    assert failure.value.at_fault == [EAST]


def test_a_topic_whose_producer_is_replaced_disturbs_no_other(scene: Scene) -> None:
    scene.losses = [frozenset(), frozenset({b"west"})]
    orders = [Entry(Topic.ORDERS, "east/pause", b"1")]
    scene.log.append(orders)
    with pytest.raises(LogUnavailableError):
        scene.log.append([WEST])
    scene.log.append(orders)
    assert [each.sent for each in scene.opened] == [[b"east/pause"] * 2, [b"west"]]
