"""What every log promises, asked of the one in a file and of the one in Kafka alike."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import pytest

from messages.topics import Topic, partition_of
from stream.log import (
    MAX_RECORD_BYTES,
    RECENT_OFFSETS,
    Entry,
    Log,
    LogFencedError,
    LogRefusedError,
    LogUnavailableError,
    Membership,
    Stored,
    Tail,
    later_ends,
)
from tests.support.builders import eventually
from tests.support.timing import on_this_machine

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
    deadline = time.monotonic() + on_this_machine(DEADLINE_SECONDS)
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"


def polled(tail: Tail, found: list[Stored], seconds: float) -> list[Stored]:
    """Add to `found` what one poll returns, and return all of it."""
    found += tail.poll(seconds)
    return found


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
        until(lambda: bool(polled(tail, found, 0.5)))
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


HOME = partition_of(WEST, 4)
DECISIONS = [
    entry("west/session/1", b"move", Topic.RELOGINS),
    entry("west/incident/1", b"open", Topic.INCIDENTS),
    entry(WEST, b"why", Topic.AUDIT),
    entry("west/session/1", b"moved", Topic.RELOGINS),
]
DECIDED = {Topic.RELOGINS: [b"move", b"moved"], Topic.INCIDENTS: [b"open"], Topic.AUDIT: [b"why"]}


def decided(records: Sequence[Stored]) -> dict[Topic, list[bytes | None]]:
    """Sort what came by topic: only within one do records have an order."""
    found: dict[Topic, list[bytes | None]] = {}
    for record in records:
        found.setdefault(record.topic, []).append(record.value)
    return found


def test_of_a_topic_that_is_only_wanted_recent_a_tail_gives_the_last(log: Log) -> None:
    total = RECENT_OFFSETS + 20
    log.append([entry(WEST, b"%d" % number, Topic.AUDIT) for number in range(total)])
    log.append([entry(WEST, b"%d" % number, Topic.ORDERS) for number in range(3)])
    with closing(log.tail([Topic.AUDIT, Topic.ORDERS], ALL, from_start=True, recent=[Topic.AUDIT])) as tail:
        found = gather(tail, RECENT_OFFSETS + 3)
        assert [one.value for one in found if one.topic is Topic.AUDIT] == [b"%d" % n for n in range(20, total)]
        assert len([one for one in found if one.topic is Topic.ORDERS]) == 3
        assert tail.caught_up()
        log.append([entry(WEST, b"next", Topic.AUDIT)])
        assert values(gather(tail, 1)) == [b"next"]


def test_what_a_claim_stores_comes_out_of_a_tail(log: Log) -> None:
    with closing(log.claim(HOME)) as claim, closing(log.tail(DECIDED, [HOME], from_start=False)) as tail:
        claim.append([])
        claim.append(DECISIONS)
        assert decided(gather(tail, 4)) == DECIDED
        for number in range(20):
            claim.append([entry("west/session/2", b"%d" % number, Topic.RELOGINS)])
        assert values(gather(tail, 20)) == [b"%d" % number for number in range(20)]
        assert tail.caught_up()
    assert values(log.read(Topic.INCIDENTS, HOME, 0)) == [b"open"]
    assert log.latest(Topic.RELOGINS, WEST)["west/session/1"].value == b"moved"


def test_a_second_claim_fences_the_first_and_goes_on(log: Log) -> None:
    with closing(log.claim(HOME)) as first:
        first.append([entry(WEST, b"first", Topic.AUDIT)])
        with closing(log.claim(HOME)) as second:
            # the log is closed to a former owner from the claim on, not from the new one's first word
            for _ in range(2):
                with pytest.raises(LogFencedError, match=f"partition {HOME} .*claimed"):
                    first.append(DECISIONS)
            second.append([entry(WEST, b"second", Topic.AUDIT)])
            first.close()
            second.append([entry(WEST, b"still the second", Topic.AUDIT)])
    assert values(log.read(Topic.AUDIT, HOME, 0)) == [b"first", b"second", b"still the second"]
    assert log.read(Topic.RELOGINS, HOME, 0) == []


def test_whoever_was_fenced_may_claim_again(log: Log) -> None:
    with closing(log.claim(HOME)) as first, closing(log.claim(HOME)), closing(log.claim(HOME)) as third:
        with pytest.raises(LogFencedError):
            first.append(DECISIONS)
        third.append(DECISIONS)
    assert values(log.read(Topic.RELOGINS, HOME, 0)) == [b"move", b"moved"]


def test_a_claim_on_one_partition_leaves_the_others_alone(log: Log) -> None:
    other = next(name for name in map("c{}".format, count()) if partition_of(name, 4) != HOME)
    with closing(log.claim(HOME)) as mine, closing(log.claim(partition_of(other, 4))) as theirs:
        mine.append([entry(WEST, b"mine", Topic.AUDIT)])
        theirs.append([entry(other, b"theirs", Topic.AUDIT)])
        mine.append([entry(WEST, b"mine", Topic.AUDIT)])
    assert values(log.read(Topic.AUDIT, HOME, 0)) == [b"mine", b"mine"]


def test_whoever_claims_nothing_appends_as_before(log: Log) -> None:
    with closing(log.claim(HOME)) as claim:
        log.append([entry(WEST, b"an order", Topic.ORDERS)])
        claim.append(DECISIONS)
        log.append([entry(WEST, b"another", Topic.ORDERS)])
    assert values(log.read(Topic.ORDERS, HOME, 0)) == [b"an order", b"another"]


def test_a_claim_stores_all_or_nothing(log: Log) -> None:
    other = next(name for name in map("c{}".format, count()) if partition_of(name, 4) != HOME)
    with closing(log.claim(HOME)) as claim:
        with pytest.raises(
            LogRefusedError, match=rf"'{other}' of audit belongs in partition \d, and {HOME} is claimed"
        ):
            claim.append([*DECISIONS, entry(other, b"foreign", Topic.AUDIT)])
        with pytest.raises(LogRefusedError, match=r"'west' of audit has \d+ bytes"):
            claim.append([*DECISIONS, entry(WEST, bytes(MAX_RECORD_BYTES), Topic.AUDIT)])
        assert [log.read(topic, HOME, 0) for topic in DECIDED] == [[], [], []]
        claim.append(DECISIONS)
    # Kafka says that it is stored, and shows it to readers a moment later
    assert eventually(lambda: values(log.read(Topic.RELOGINS, HOME, 0)) == [b"move", b"moved"])


def test_a_claim_takes_more_than_a_step_at_once(log: Log) -> None:
    with closing(log.claim(HOME)) as claim:
        claim.append([entry(f"west/session/{number}", bytes(9 << 20), Topic.RELOGINS) for number in range(5)])
    assert len(log.latest(Topic.RELOGINS, WEST)) == 5


def test_two_threads_share_a_claim(log: Log) -> None:
    with closing(log.claim(HOME)) as claim, ThreadPoolExecutor() as pool:
        list(pool.map(claim.append, [DECISIONS] * 10))
    assert len(log.read(Topic.AUDIT, HOME, 0)) == 10


def test_a_closed_claim_refuses_and_fences_nobody(log: Log) -> None:
    claim = log.claim(HOME)
    claim.append(DECISIONS[:1])
    claim.close()
    claim.close()
    with pytest.raises(LogRefusedError, match="closed"):
        claim.append(DECISIONS)
    assert values(log.read(Topic.RELOGINS, HOME, 0)) == [b"move"]


def test_there_is_no_claim_on_what_is_no_partition(log: Log) -> None:
    for partition in (-1, 4):
        with pytest.raises(LogRefusedError, match="numbered from 0 to 3"):
            log.claim(partition)


def test_only_the_latest_of_many_claims_writes(log: Log) -> None:
    """Threads claim the same partition in a hurry: in the log each one's decisions end where the next one's begin."""

    def decide(name: int) -> None:
        with closing(log.claim(HOME)) as claim:
            try:
                for _ in range(10):
                    claim.append([entry(WEST, b"%d" % name, Topic.AUDIT)] * 2)
            except (LogFencedError, LogUnavailableError):
                # unavailable: it was fenced while it asked again whether it had committed
                return

    with ThreadPoolExecutor() as pool:
        list(pool.map(decide, range(4)))
    written = values(log.read(Topic.AUDIT, HOME, 0))
    turns = [name for number, name in enumerate(written) if number == 0 or name != written[number - 1]]
    assert len(turns) == len(set(turns)), "one came back after it was fenced"
    assert len(written) >= 20, "the last one to claim had nobody to fear"
    assert len(written) % 2 == 0


def test_a_tail_told_to_mark_the_end_reads_up_to_there(log: Log) -> None:
    with closing(log.tail(DECIDED, [HOME], from_start=True)) as tail, closing(log.claim(HOME)) as former:
        assert tail.caught_up()
        former.append(DECISIONS)
        assert tail.caught_up(), "it only knows where the log ended when it began"
        with closing(log.claim(HOME)) as claim:
            tail.mark_end(log.ends((topic, HOME) for topic in Topic))
            assert not tail.caught_up()
            claim.append([entry(WEST, b"later", Topic.AUDIT)])
            found: list[Stored] = []
            until(lambda: bool(polled(tail, found, 0.5)) and tail.caught_up())
            seen = decided(found)
            assert seen | {Topic.AUDIT: seen[Topic.AUDIT][:1]} == DECIDED
            until(lambda: len(polled(tail, found, 0.1)) >= 5)
            assert decided(found)[Topic.AUDIT] == [b"why", b"later"]
            tail.mark_end(log.ends((topic, HOME) for topic in DECIDED))
            until(lambda: not tail.poll(0.1) and tail.caught_up())


def test_a_partition_that_is_not_read_to_its_end_holds_up_no_other(log: Log) -> None:
    log.append([entry(WEST, b"old")])
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=True)) as tail:
        assert tail.read_to_end() == ALL - {HOME}
        gather(tail, 1)
        assert tail.read_to_end() == ALL
        other = min(ALL - {HOME})
        tail.mark_end({(Topic.OBSERVATIONS, other): 99, (Topic.OBSERVATIONS, HOME): 1})
        assert not tail.caught_up()
        assert tail.read_to_end() == ALL - {other}


def test_marking_the_end_of_what_was_read_is_nothing(log: Log) -> None:
    log.append([entry(WEST, b"old")])
    with closing(log.tail([Topic.OBSERVATIONS], ALL, from_start=False)) as tail:
        tail.mark_end(log.ends([(Topic.OBSERVATIONS, HOME)]))
        assert tail.caught_up()
        log.append([entry(WEST, b"new")])
        tail.mark_end(log.ends([(Topic.OBSERVATIONS, HOME)]))
        assert not tail.caught_up()
        assert values(gather(tail, 1)) == [b"new"]
        assert tail.caught_up()


def owned_by(member: Membership) -> frozenset[int]:
    """Return what a member owns now: nothing while the group does not answer, as on a busy machine."""
    try:
        return member.owned(0.2)
    except LogUnavailableError:
        return frozenset()


def owned_together(members: Sequence[Membership]) -> list[frozenset[int]]:
    return [owned_by(member) for member in members]


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
        until(lambda: owned_by(first) == ALL)


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
    with pytest.raises(LogRefusedError, match="closed"):
        log.claim(0)


def test_how_far_a_place_is_to_be_read_never_goes_back() -> None:
    """What a claim was told may come after a newer tail has marked a later end."""
    told = {(Topic.LOGINS, 1): 3, (Topic.ORDERS, 1): 9}
    assert later_ends({(Topic.LOGINS, 1): 5, (Topic.LOGINS, 2): 4}, told) == {
        (Topic.LOGINS, 1): 5,
        (Topic.LOGINS, 2): 4,
        (Topic.ORDERS, 1): 9,
    }
