"""What every log promises, asked of the one in a file and of the one in Kafka alike."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import pytest

from messages.topics import Topic, partition_of
from stream.log import MAX_RECORD_BYTES, Entry, Log, LogRefusedError, Membership, Stored, Tail

DEADLINE_SECONDS = 20
ALL = frozenset(range(4))
WEST, NORTH = "west", "köln-büro ☎"


def entry(key: str, value: bytes | None = b"{}", topic: Topic = Topic.OBSERVATIONS) -> Entry:
    return Entry(topic=topic, key=key, value=value)


def gather(tail: Tail, wanted: int) -> list[Stored]:
    """Poll until `wanted` records came, and once more: none may come twice."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    found: list[Stored] = []
    while len(found) < wanted and time.monotonic() < deadline:
        found += tail.poll(0.5)
    return [*found, *tail.poll(0.1)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


def values(records: Sequence[Stored]) -> list[bytes | None]:
    return [record.value for record in records]


def test_records_come_back_in_order_with_all_they_carried(log: Log) -> None:
    headers = (("stamp", b"7.12"), ("stamp", b""), ("späne", b"\x00\xff"))
    before_ms = time.time_ns() // 1_000_000
    log.append(
        [
            Entry(Topic.OBSERVATIONS, "west/agent/6666", b'{"a":1}', headers),
            Entry(Topic.ORDERS, "west/pause", b"other topic"),
            Entry(Topic.OBSERVATIONS, "west", b""),
        ]
    )
    log.append([entry("west/agent/6666", None)])
    partition = partition_of(WEST, 4)
    records = log.read(Topic.OBSERVATIONS, partition, 0)
    assert [(one.key, one.value, one.headers) for one in records] == [
        ("west/agent/6666", b'{"a":1}', headers),
        ("west", b"", ()),
        ("west/agent/6666", None, ()),
    ]
    assert [(one.topic, one.partition, one.offset) for one in records] == [
        (Topic.OBSERVATIONS, partition, offset) for offset in range(3)
    ]
    assert all(before_ms <= one.appended_at_ms <= time.time_ns() // 1_000_000 for one in records)


def test_reading_begins_and_ends_where_asked(log: Log) -> None:
    log.append([entry(WEST, b"%d" % number) for number in range(10)])
    partition = partition_of(WEST, 4)
    assert values(log.read(Topic.OBSERVATIONS, partition, 4, limit=3)) == [b"4", b"5", b"6"]
    assert values(log.read(Topic.OBSERVATIONS, partition, 8)) == [b"8", b"9"]
    assert log.read(Topic.OBSERVATIONS, partition, 10) == []
    assert log.read(Topic.OBSERVATIONS, (partition + 1) % 4, 0) == []


def test_appending_nothing_is_nothing(log: Log) -> None:
    log.append([])
    assert log.read(Topic.OBSERVATIONS, 0, 0) == []


def test_records_of_a_cluster_go_to_its_partition(log: Log) -> None:
    clusters = [f"cluster-{number}" for number in range(12)]
    log.append([entry(f"{cluster}/agent/{user}") for user in range(3) for cluster in clusters])
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)) as tail:
        found = gather(tail, 36)
    assert len(found) == 36
    for record in found:
        assert record.partition == partition_of(record.key.split("/")[0], 4)
    assert {record.partition for record in found} == ALL


def test_latest_gives_what_holds_now(log: Log) -> None:
    log.append(
        [
            entry("west", b"poll 1"),
            entry("west/agent/1", b"old"),
            entry("west/agent/2", b"gone soon"),
            entry("west/agent/3/with/slashes", b"kept"),
            entry("westend", b"another cluster"),
            entry("west-1/agent/1", b"another cluster"),
            entry("west/agent/1", b"other topic", Topic.ORDERS),
        ]
    )
    log.append([entry("west/agent/1", b"new"), entry("west/agent/2", None), entry("west", b"poll 2")])
    log.append([entry("west/agent/9", None)])
    assert {key: one.value for key, one in log.latest(Topic.OBSERVATIONS, WEST).items()} == {
        "west": b"poll 2",
        "west/agent/1": b"new",
        "west/agent/3/with/slashes": b"kept",
    }
    assert log.latest(Topic.OBSERVATIONS, "nobody") == {}


def test_a_key_may_come_back_after_its_tombstone(log: Log) -> None:
    for value in (b"1", None, b"2"):
        log.append([entry("west/agent/1", value)])
    assert values(list(log.latest(Topic.OBSERVATIONS, WEST).values())) == [b"2"]


def test_latest_works_for_topics_without_compaction(log: Log) -> None:
    log.append([entry(WEST, b"first", Topic.AUDIT), entry(WEST, b"second", Topic.AUDIT)])
    assert values(list(log.latest(Topic.AUDIT, WEST).values())) == [b"second"]


def test_keys_in_any_script(log: Log) -> None:
    log.append([entry(f"{NORTH}/agent/Łódź", "ü".encode())])
    assert list(log.latest(Topic.OBSERVATIONS, NORTH)) == [f"{NORTH}/agent/Łódź"]
    assert log.read(Topic.OBSERVATIONS, partition_of(NORTH, 4), 0)[0].key == f"{NORTH}/agent/Łódź"


def test_a_large_record(log: Log) -> None:
    large = bytes(range(256)) * 4096
    log.append([entry(WEST, large), entry(WEST, b"small")])
    assert values(log.read(Topic.OBSERVATIONS, partition_of(WEST, 4), 0)) == [large, b"small"]
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)) as tail:
        assert values(gather(tail, 2)) == [large, b"small"]


def test_too_large_a_record_is_refused_with_its_whole_batch(log: Log) -> None:
    with pytest.raises(LogRefusedError, match=r"'west/agent/1' of observations has \d+ bytes"):
        log.append([entry(WEST), entry("west/agent/1", bytes(MAX_RECORD_BYTES))])
    assert log.read(Topic.OBSERVATIONS, partition_of(WEST, 4), 0) == []


def test_a_tail_from_the_start_gives_everything_once_and_then_what_comes(log: Log) -> None:
    log.append([entry(WEST, b"%d" % number) for number in range(5)])
    with closing(log.tail([Topic.OBSERVATIONS, Topic.ORDERS], ALL, from_start=True)) as tail:
        assert not tail.caught_up()
        assert values(gather(tail, 5)) == [b"0", b"1", b"2", b"3", b"4"]
        assert tail.caught_up()
        log.append([entry(WEST, b"order", Topic.ORDERS)])
        (record,) = gather(tail, 1)
        assert (record.topic, record.value) == (Topic.ORDERS, b"order")


def test_a_tail_from_the_end_gives_only_what_comes(log: Log) -> None:
    log.append([entry(WEST, b"before")])
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=False)) as tail:
        assert tail.caught_up()
        log.append([entry(WEST, b"after"), entry(WEST, None)])
        assert values(gather(tail, 2)) == [b"after", None]


def test_a_tail_follows_only_its_topics_and_partitions(log: Log) -> None:
    mine, other = partition_of(WEST, 4), (partition_of(WEST, 4) + 1) % 4
    foreign = next(name for name in map("c{}".format, count()) if partition_of(name, 4) == other)
    with closing(log.tail([Topic.OBSERVATIONS], [mine], from_start=True)) as tail:
        log.append([entry(foreign), entry(WEST, b"order", Topic.ORDERS), entry(WEST, b"mine")])
        assert values(gather(tail, 1)) == [b"mine"]


def test_an_empty_log_is_caught_up_at_once(log: Log) -> None:
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)) as tail:
        assert tail.caught_up()
        assert tail.lag() == 0
        assert list(tail.poll(0)) == []


def test_a_tail_hears_of_an_append_promptly(log: Log) -> None:
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=False)) as tail, ThreadPoolExecutor() as pool:
        # not so the first time: connections are made
        log.append([entry(WEST)])
        gather(tail, 1)
        took = []
        for _ in range(5):
            polled = pool.submit(tail.poll, DEADLINE_SECONDS)
            began = time.monotonic()
            log.append([entry(WEST)])
            assert len(polled.result()) == 1
            took.append(time.monotonic() - began)
    assert min(took) < 0.4, "it waited for a time-out of its own instead"


def test_lag_shrinks_to_nothing(log: Log) -> None:
    log.append([entry(WEST, b"%d" % number) for number in range(3000)])
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)) as tail:
        found: list[Stored] = []
        until(lambda: bool(found.extend(tail.poll(0.5)) or found))
        assert tail.lag() == 3000 - len(found) > 0
        found += gather(tail, 3000 - len(found))
        assert values(found) == [b"%d" % number for number in range(3000)]
        assert tail.lag() == 0


def test_two_threads_append_at_once(log: Log) -> None:
    def append(name: str) -> None:
        for number in range(40):
            log.append([entry(f"{WEST}/agent/{name}", b"%d" % number), entry(f"east/agent/{name}")])

    with ThreadPoolExecutor() as pool:
        list(pool.map(append, ["a", "b"]))
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)) as tail:
        found = gather(tail, 160)
    assert len(found) == 160
    for name in ("a", "b"):
        written = [one.value for one in found if one.key == f"{WEST}/agent/{name}"]
        assert written == [b"%d" % number for number in range(40)]
    places = [(one.partition, one.offset) for one in found]
    assert len(set(places)) == 160


def owned_together(members: Sequence[Membership]) -> list[frozenset[int]]:
    return [member.owned(0.2) for member in members]


def test_a_lone_member_owns_everything(log: Log) -> None:
    with closing(log.join("controllers")) as member:
        assert member.owned(DEADLINE_SECONDS) == ALL


def test_two_members_share_and_the_one_that_stays_takes_over(log: Log) -> None:
    with closing(log.join("controllers")) as first:
        assert first.owned(DEADLINE_SECONDS) == ALL
        with closing(log.join("controllers")) as second:
            until(lambda: [len(share) for share in owned_together([first, second])] == [2, 2])
            shares = owned_together([first, second])
            assert shares[0] | shares[1] == ALL
        until(lambda: first.owned(0.2) == ALL)


def test_groups_do_not_share_with_each_other(log: Log) -> None:
    with closing(log.join("controllers")) as first, closing(log.join("replicas")) as second:
        until(lambda: owned_together([first, second]) == [ALL, ALL])


def test_closing_twice_is_fine_and_a_closed_log_says_so(log: Log) -> None:
    log.append([entry(WEST)])
    log.close()
    log.close()
    with pytest.raises(LogRefusedError, match="closed"):
        log.append([entry(WEST)])
    with pytest.raises(LogRefusedError, match="closed"):
        log.read(Topic.OBSERVATIONS, 0, 0)
