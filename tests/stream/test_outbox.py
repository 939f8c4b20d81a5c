"""Records on their way to the log: in order, none lost while it is away, and none beyond the bound."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from messages.codec import WAITED_HEADER, decode_wait
from messages.topics import Topic, partition_of
from stream.embedded.log import EmbeddedLog
from stream.lanes import BATCH
from stream.log import Entry, LogRefusedError
from stream.outbox import Outbox
from tests.support.breakable_log import BreakableLog
from tests.support.builders import eventually
from tests.support.timing import on_this_machine


def _entries(first: int, count: int) -> list[Entry]:
    return [Entry(Topic.OBSERVATIONS, "west", b"%d" % number) for number in range(first, first + count)]


def _written(log: BreakableLog) -> list[int]:
    partition = partition_of("west", log.partitions)
    return [int(each.value or b"") for each in log.read(Topic.OBSERVATIONS, partition, 0, 100_000)]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[BreakableLog]:
    """Yield a log in a file, behind a line that may be cut."""
    with BreakableLog(EmbeddedLog(tmp_path / "log.db", 4)) as log:
        yield log


def test_records_are_appended_in_order(line: BreakableLog) -> None:
    outbox = Outbox(line)
    for first in range(0, 300, 3):
        outbox.put(_entries(first, 3))
    assert outbox.wait_until_empty(10)
    assert outbox.close() == 0
    assert _written(line) == list(range(300))
    assert outbox.appended == 300


def test_more_than_one_batch_keeps_its_order(line: BreakableLog) -> None:
    line.cut()
    outbox = Outbox(line)
    outbox.put(_entries(0, BATCH + 7))
    line.mend()
    assert outbox.wait_until_empty(20)
    assert outbox.close() == 0
    assert _written(line) == list(range(BATCH + 7))


def test_records_wait_while_the_log_is_away_and_arrive_in_order(line: BreakableLog) -> None:
    outbox = Outbox(line)
    outbox.put(_entries(0, 5))
    assert outbox.wait_until_empty(10)
    line.cut()
    for first in range(5, 50, 5):
        outbox.put(_entries(first, 5))
    assert eventually(lambda: line.refused >= 2)
    assert str(outbox.failing_since) == "nobody answers"
    assert len(outbox) == 45
    line.mend()
    assert outbox.wait_until_empty(20)
    assert eventually(lambda: outbox.failing_since is None)
    assert outbox.close() == 0
    assert _written(line) == list(range(50))


def test_a_record_that_waited_says_so_and_every_other_says_nothing(
    line: BreakableLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.entries.LEAST_WAIT_SECONDS", 0.05)
    outbox = Outbox(line)
    outbox.put(_entries(0, 1))
    assert outbox.wait_until_empty(10)
    line.cut()
    began = time.monotonic()
    outbox.put(_entries(1, 1))
    assert eventually(lambda: line.refused >= 2)
    line.mend()
    assert outbox.wait_until_empty(20)
    most = time.monotonic() - began
    assert outbox.close() == 0
    _, waited = line.read(Topic.OBSERVATIONS, partition_of("west", line.partitions), 0)
    ((name, value),) = waited.headers
    assert name == WAITED_HEADER
    assert 0.05 <= decode_wait(value) / 1000 <= most + 0.001


def test_at_its_bound_it_is_full_until_records_leave(line: BreakableLog) -> None:
    line.cut()
    outbox = Outbox(line, bound=10)
    outbox.put(_entries(0, 9))
    assert outbox.wait_until_room("west", 0)
    outbox.put(_entries(9, 3))
    assert outbox.full("west")
    assert not outbox.wait_until_room("west", 0.05)
    assert not outbox.wait_until_empty(0.05)
    line.mend()
    assert outbox.wait_until_room("west", 20)
    assert outbox.wait_until_empty(20)
    assert outbox.close() == 0
    assert _written(line) == list(range(12))


def test_closing_appends_what_is_left(line: BreakableLog) -> None:
    outbox = Outbox(line)
    outbox.put(_entries(0, 1000))
    assert outbox.close(10) == 0
    assert _written(line) == list(range(1000))


def test_closing_gives_up_in_time_and_says_how_many(line: BreakableLog) -> None:
    line.cut()
    outbox = Outbox(line)
    outbox.put(_entries(0, 12))
    assert eventually(lambda: line.refused >= 1)
    began = time.monotonic()
    assert outbox.close(0.3) == 12
    assert time.monotonic() - began < on_this_machine(3)
    line.mend()
    assert _written(line) == []


def test_closing_an_empty_one_takes_no_time(line: BreakableLog) -> None:
    began = time.monotonic()
    assert Outbox(line).close(20) == 0
    assert time.monotonic() - began < on_this_machine(10)


class _SlowLog(BreakableLog):
    """A log that takes what it is given, but only at a given moment."""

    def __init__(self, real: EmbeddedLog) -> None:
        super().__init__(real)
        self.asked = threading.Event()
        self.takes_at = float("inf")

    def append(self, entries: Sequence[Entry]) -> None:
        self.asked.set()
        assert eventually(lambda: time.monotonic() >= self.takes_at)
        super().append(entries)


def test_what_the_log_took_at_the_last_moment_was_not_given_up(tmp_path: Path) -> None:
    with closing(_SlowLog(EmbeddedLog(tmp_path / "log.db", 4))) as slow:
        outbox = Outbox(slow)
        outbox.put(_entries(0, 12))
        assert slow.asked.wait(20)
        slow.takes_at = time.monotonic() + 0.7
        assert outbox.close(0.5) == 0
        assert _written(slow) == list(range(12))


class _RefusingLog(BreakableLog):
    """A log that refuses one topic, and takes its time for it."""

    def __init__(self, real: EmbeddedLog) -> None:
        super().__init__(real)
        self.refuses = threading.Event()

    def append(self, entries: Sequence[Entry]) -> None:
        if any(each.topic is Topic.RANKINGS for each in entries):
            assert self.refuses.wait(20)
            raise LogRefusedError("Kafka has no topic hotdesk.rankings: run `hotdesk topics create`")
        super().append(entries)


def test_a_topic_that_the_log_hangs_on_or_refuses_holds_up_no_other(tmp_path: Path) -> None:
    with closing(_RefusingLog(EmbeddedLog(tmp_path / "log.db", 4))) as log:
        outbox = Outbox(log)
        outbox.put([Entry(Topic.RANKINGS, "west", b"{}"), *_entries(0, 3)])
        (order,) = outbox.store([Entry(Topic.ORDERS, "west/pause", b"{}")])
        assert order.result(20) is None, "the log hangs on a ranking meanwhile"
        assert eventually(lambda: _written(log) == [0, 1, 2])
        log.refuses.set()
        assert eventually(lambda: "no topic" in str(outbox.failing_since))
        outbox.put(_entries(3, 3))
        assert eventually(lambda: _written(log) == list(range(6)))
        assert outbox.lengths() == {topic: int(topic is Topic.RANKINGS) for topic in Topic}
        assert outbox.close(0.1) == 1


def test_a_log_that_hangs_is_said_before_the_append_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.outbox.HANGING_SECONDS", 0.1)
    with closing(_SlowLog(EmbeddedLog(tmp_path / "log.db", 4))) as slow:
        outbox = Outbox(slow)
        assert outbox.failing_since is None
        outbox.put(_entries(0, 3))
        assert eventually(lambda: "it has taken nothing for" in str(outbox.failing_since))
        slow.takes_at = time.monotonic()
        assert outbox.wait_until_empty(20)
        assert outbox.failing_since is None
        assert outbox.close() == 0


def test_what_somebody_waits_for_and_gives_up_is_not_stored(line: BreakableLog) -> None:
    line.cut()
    outbox = Outbox(line)
    (order,) = outbox.store([Entry(Topic.ORDERS, "west/pause", b"{}")])
    assert eventually(lambda: line.refused >= 1)
    order.cancel()
    line.mend()
    (order,) = outbox.store([Entry(Topic.ORDERS, "west/pause", b"2")])
    assert order.result(20) is None
    assert outbox.close() == 0
    stored = line.read(Topic.ORDERS, partition_of("west", line.partitions), 0)
    assert [each.value for each in stored] == [b"2"]


def test_any_thread_may_put(line: BreakableLog) -> None:
    outbox = Outbox(line)
    threads = [threading.Thread(target=outbox.put, args=(_entries(first, 50),)) for first in range(0, 500, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert outbox.wait_until_empty(20)
    assert outbox.close() == 0
    written = _written(line)
    assert sorted(written) == list(range(500))
    for first in range(0, 500, 50):
        mine = [number for number in written if first <= number < first + 50]
        assert mine == list(range(first, first + 50))


def test_what_nobody_foresaw_is_a_trouble_too_and_loses_nothing(line: BreakableLog) -> None:
    line.fail_once(KeyError("a mistake"))
    outbox = Outbox(line)
    outbox.put(_entries(0, 5))
    assert outbox.wait_until_empty(10)
    assert outbox.close() == 0
    assert _written(line) == list(range(5))
    assert (outbox.failing_since, outbox.mended("west")) == (None, 1)
