"""What only the log in a file promises: one owner, survival of a kill, and compaction."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from messages.topics import HISTORY_MS, LONG_RETENTION_MS, TOMBSTONE_MS, Topic, partition_of
from stream.embedded.log import EXPIRED_PER_APPEND, EmbeddedLog
from stream.log import Entry, LogRefusedError, LogUnavailableError

Opener = Callable[..., EmbeddedLog]
WEST = partition_of("west", 4)

OWNER = """
import sys
from pathlib import Path
from messages.topics import Topic
from stream.embedded.log import EmbeddedLog
from stream.log import Entry

log = EmbeddedLog(Path(sys.argv[1]), 4)
number = 0
while True:
    log.append([Entry(Topic.OBSERVATIONS, "west", b"%d" % number)] * 3)
    print(number, flush=True)
    number += 1
"""


class Clock:
    """A wall clock that a test sets."""

    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def put(log: EmbeddedLog, key: str, value: bytes | None, topic: Topic = Topic.OBSERVATIONS) -> None:
    log.append([Entry(topic, key, value)])


def stored(log: EmbeddedLog, topic: Topic = Topic.OBSERVATIONS) -> list[tuple[int, str, bytes | None]]:
    return [(one.offset, one.key, one.value) for one in log.read(topic, WEST, 0)]


def test_a_second_process_is_refused_and_a_killed_one_loses_nothing_it_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with subprocess.Popen([sys.executable, "-c", OWNER, str(path)], stdout=subprocess.PIPE) as owner:  # noqa: S603
        assert owner.stdout is not None
        try:
            owner.stdout.readline()
            with pytest.raises(LogRefusedError, match=rf"log\.db is in use by process {owner.pid}: stop that one"):
                EmbeddedLog(path, 4)
            for _ in range(50):
                confirmed = int(owner.stdout.readline())
        finally:
            owner.kill()
        confirmed = max([confirmed, *map(int, owner.stdout.read().split())])
    with EmbeddedLog(path, 4) as log:
        found = [value for _offset, _key, value in stored(log)]
        # whole batches only, at least all that were confirmed
        assert found == [b"%d" % number for number in range(len(found) // 3) for _ in range(3)]
        assert len(found) >= 3 * (confirmed + 1)
        put(log, "west", b"next")
        assert stored(log)[-1] == (len(found), "west", b"next")


def test_the_same_process_is_refused_too(open_embedded: Opener) -> None:
    with open_embedded(), pytest.raises(LogRefusedError, match=f"in use by process {os.getpid()}"):
        open_embedded()


def test_what_was_appended_is_there_after_opening_again(open_embedded: Opener) -> None:
    with open_embedded() as log:
        put(log, "west", b"1")
    with open_embedded() as log:
        put(log, "west", b"2")
        assert stored(log) == [(0, "west", b"1"), (1, "west", b"2")]


def test_another_number_of_partitions_is_refused(open_embedded: Opener) -> None:
    open_embedded(4).close()
    with pytest.raises(LogRefusedError, match="has 4 partitions, not 6: set it to 4"):
        open_embedded(6)
    open_embedded(4).close()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all" * 100)
    with pytest.raises(LogRefusedError, match=r"notes\.txt cannot be read"):
        EmbeddedLog(path, 4)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogRefusedError, match=r"log\.db\.lock cannot be written"):
        EmbeddedLog(tmp_path / "file" / "log.db", 4)


def test_a_file_that_a_tool_holds_is_unavailable_and_nothing_is_half_done(
    open_embedded: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.embedded.log.BUSY_SECONDS", 0.05)
    with open_embedded() as log, closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as tool:
        put(log, "west", b"1")
        tool.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailableError, match=r"log\.db cannot be used now: database is locked"):
            put(log, "west", b"2")
        tool.execute("ROLLBACK")
        put(log, "west", b"2")
        assert stored(log) == [(0, "west", b"1"), (1, "west", b"2")]


def test_compaction_keeps_the_latest_and_every_offset(open_embedded: Opener) -> None:
    clock = Clock()
    with open_embedded(clock_ms=clock) as log:
        for number in range(5):
            put(log, "west", b"%d" % number)
            put(log, "west/agent/1", b"%d" % number)
        clock.now_ms += HISTORY_MS - 1
        assert log.compact() == 0, "what was decided by it can be looked at again"
        clock.now_ms += 1
        assert log.compact() == 8
        assert stored(log) == [(8, "west", b"4"), (9, "west/agent/1", b"4")]
        put(log, "west", b"5")
        assert stored(log)[-1] == (10, "west", b"5")
        assert {key: one.value for key, one in log.latest(Topic.OBSERVATIONS, "west").items()} == {
            "west": b"5",
            "west/agent/1": b"4",
        }


def test_a_tombstone_outlives_its_key_for_a_day(open_embedded: Opener) -> None:
    clock = Clock()
    with open_embedded(clock_ms=clock) as log:
        put(log, "west/agent/1", b"here")
        put(log, "west/agent/1", None)
        clock.now_ms += TOMBSTONE_MS - 1
        log.compact()
        assert stored(log) == [(1, "west/agent/1", None)]
        clock.now_ms += 1
        log.compact()
        assert stored(log) == []
        assert log.latest(Topic.OBSERVATIONS, "west") == {}
    with open_embedded(clock_ms=clock) as log:
        put(log, "west/agent/1", b"back")
        assert stored(log) == [(2, "west/agent/1", b"back")], "an offset is never given twice"


def test_a_key_that_came_back_survives_its_old_tombstone(open_embedded: Opener) -> None:
    clock = Clock()
    with open_embedded(clock_ms=clock) as log:
        put(log, "west/agent/1", None)
        put(log, "west/agent/1", b"back")
        clock.now_ms += TOMBSTONE_MS
        log.compact()
        assert stored(log) == [(1, "west/agent/1", b"back")]
        assert list(log.latest(Topic.OBSERVATIONS, "west")) == ["west/agent/1"]


def test_topics_without_compaction_keep_everything_for_their_time(open_embedded: Opener) -> None:
    clock = Clock()
    with open_embedded(clock_ms=clock) as log:
        put(log, "west", b"1", Topic.AUDIT)
        put(log, "west", b"2", Topic.AUDIT)
        clock.now_ms += LONG_RETENTION_MS - 1
        log.compact()
        assert len(stored(log, Topic.AUDIT)) == 2
        clock.now_ms += 1
        log.compact()
        assert stored(log, Topic.AUDIT) == []
        assert log.latest(Topic.AUDIT, "west") == {}


def test_appending_compacts_a_little_each_time(open_embedded: Opener) -> None:
    clock = Clock()
    with open_embedded(clock_ms=clock) as log:
        log.append([Entry(Topic.OBSERVATIONS, "west", b"%d" % number) for number in range(1000)])
        clock.now_ms += HISTORY_MS
        put(log, "west", b"last")
        assert len(stored(log)) == 1001 - (EXPIRED_PER_APPEND + 2)
        for _ in range(1000 // EXPIRED_PER_APPEND):
            put(log, "west", b"last")
        clock.now_ms += HISTORY_MS
        put(log, "west", b"last")
        assert len(stored(log)) == 2


def test_a_tail_passes_over_what_was_compacted_away(open_embedded: Opener) -> None:
    clock = Clock()
    with open_embedded(clock_ms=clock) as log:
        put(log, "west/agent/1", b"here")
        put(log, "west/agent/1", None)
        with closing(log.tail([Topic.OBSERVATIONS], [WEST], from_start=True)) as tail:
            clock.now_ms += TOMBSTONE_MS
            log.compact()
            assert tail.poll(0) == []
            assert tail.caught_up()
            assert tail.lag() == 0
            put(log, "west", b"new")
            assert [one.value for one in tail.poll(0)] == [b"new"]


def test_a_partition_has_no_two_owners_at_any_time(open_embedded: Opener) -> None:
    with open_embedded() as log:
        first = log.join("controllers")
        assert first.owned(0) == {0, 1, 2, 3}
        second = log.join("controllers")
        assert second.owned(0) == frozenset(), "the first one was not yet told that it lost something"
        assert first.owned(0) == {0, 2}
        assert second.owned(0) == {1, 3}
        first.close()
        assert first.owned(0) == frozenset()
        assert second.owned(0) == {0, 1, 2, 3}


def test_closing_ends_the_wait_of_a_tail(open_embedded: Opener) -> None:
    log = open_embedded()
    tail = log.tail([Topic.OBSERVATIONS], [WEST], from_start=True)
    log.close()
    with pytest.raises(LogRefusedError, match="closed"):
        tail.poll(60)
