"""An Asterisk that has started again, told from an updater that did: by the phones that are gone."""

from collections.abc import Collection, Sequence

import pytest

from collectors.observer import Observer, Reading, RestRows
from collectors.vicidial.rows import Row
from messages.records import AgentSession, Poll

ONE = "10.0.0.1"
START_MS = 1_000_000
AWAY = 50
"""For how many seconds an updater is away."""
FOUR = (1, 2, 3, 4)


class Floor:
    """Agents on one dialer, whose Asterisk and updater do as a test says, read once a second."""

    def __init__(self, numbers: Sequence[int] = FOUR) -> None:
        self.observer = Observer("west", "collector-1", 1)
        self.now_ms, self.beat = START_MS, 0
        self.agents: list[int] = list(numbers)
        self.written: set[int] = set(numbers)
        """Whose phones are in their rooms by the rows."""
        self.started: dict[str, str] = {}
        self._restarted_after_ms: int | None = None
        self.in_room: dict[int, bool | None] = {}

    def pass_seconds(self, seconds: int, *, beats: bool = True, readable: bool = True) -> None:
        for _ in range(seconds):
            self.now_ms, self.beat = self.now_ms + 1000, self.beat + beats
            rooms = self.observer.rooms_to_read
            there = [(ONE.encode(), _room(number)) for number in self.written if (ONE, _room(number).decode()) in rooms]
            rest = RestRows(
                agents=[_agent(each) for each in self.agents], channels=there if rooms and readable else None
            )
            dialers = [(ONE.encode(), b"D1", b"", b"Y", b"Y", b"Y", b"", b"MEETME")]
            reading = Reading(
                dialers=dialers,
                heartbeats=[(ONE.encode(), b"%d" % self.beat, None, b"0")],
                rest=rest,
                started=self.started,
            )
            for each in self.observer.observe(self.now_ms, reading):
                if isinstance(each, Poll):
                    self._restarted_after_ms = each.dialers[0].restarted_after_ms
                elif isinstance(each, AgentSession):
                    self.in_room[each.live_agent_id] = each.phone_in_room

    def restarted_after(self) -> int | None:
        return self._restarted_after_ms

    def lose(self, phones: Collection[int]) -> None:
        self.written -= set(phones)


def _room(number: int) -> bytes:
    return b"%d" % (8600050 + number)


def _agent(number: int) -> Row:
    return (
        b"%d" % number,
        b"%d" % (1000 + number),
        ONE.encode(),
        b"SIP/1",
        _room(number),
        b"READY",
        b"",
        b"",
        b"",
        b"N",
        b"0",
    )


def at_work(numbers: Sequence[int] = FOUR) -> Floor:
    floor = Floor(numbers)
    floor.pass_seconds(5)
    assert list(floor.in_room.values()) == [True] * len(numbers)
    return floor


def test_an_asterisk_whose_phones_are_all_gone_has_started_again() -> None:
    floor = at_work()
    last_ms = floor.now_ms
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.pass_seconds(6)
    assert floor.restarted_after() is None, "they may be back with the next pass"
    floor.pass_seconds(6)
    assert floor.restarted_after() == last_ms
    # and those that are called again are seen
    floor.pass_seconds(60)
    floor.written = set(FOUR)
    floor.pass_seconds(3)
    assert list(floor.in_room.values()) == [True] * 4


def test_an_updater_that_ended_by_itself_took_no_phone_with_it() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.in_room.clear()
    floor.pass_seconds(40)
    assert (floor.restarted_after(), floor.in_room, floor.observer.rooms_to_read) == (None, {}, ())


@pytest.mark.parametrize(("gone", "restarted"), [(3, True), (2, False)])
def test_nearly_all_phones_must_be_gone(gone: int, restarted: bool) -> None:  # one case
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR[:gone])
    floor.pass_seconds(40)
    assert (floor.restarted_after() is not None) == restarted


def test_one_phone_that_is_gone_was_hung_up() -> None:
    floor = at_work([1])
    floor.pass_seconds(AWAY, beats=False)
    floor.lose([1])
    floor.pass_seconds(40)
    assert floor.restarted_after() is None


def test_rows_that_are_deleted_and_back_a_moment_later_are_no_new_start() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.pass_seconds(4)
    floor.written = set(FOUR)
    floor.pass_seconds(40)
    assert floor.restarted_after() is None
    assert list(floor.in_room.values()) == [True] * 4


def test_an_updater_that_leaves_old_rows_for_ten_seconds_hides_no_new_start() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.pass_seconds(10)
    floor.lose(FOUR)
    floor.pass_seconds(8)
    assert floor.restarted_after() is not None


def test_phones_that_were_hung_up_hours_before_prove_nothing() -> None:
    """Of a phone that has come it is not known when it goes."""
    floor = at_work()
    floor.lose([1, 2, 3])
    floor.pass_seconds(300)
    floor.pass_seconds(AWAY, beats=False)
    floor.pass_seconds(40)
    assert floor.restarted_after() is None


@pytest.mark.parametrize("seconds", [10, 200])
def test_a_second_silence_hides_no_new_start(seconds: int) -> None:
    floor = at_work()
    last_ms = floor.now_ms
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.pass_seconds(5)
    floor.pass_seconds(seconds, beats=False)
    floor.pass_seconds(15)
    assert floor.restarted_after() == last_ms


def test_a_silence_that_took_nothing_is_forgotten() -> None:
    """Or a later one would seem to have lasted since then."""
    floor = at_work()
    for _ in range(3):
        floor.pass_seconds(AWAY, beats=False)
        floor.lose([1])
        floor.pass_seconds(40)
    last_ms = floor.now_ms
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.pass_seconds(40)
    assert floor.restarted_after() == last_ms


def test_rows_that_cannot_be_read_prove_nothing() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.in_room.clear()
    floor.pass_seconds(40, readable=False)
    assert (floor.restarted_after(), floor.in_room) == (None, {})


def test_agents_who_have_left_meanwhile_prove_nothing() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.agents = [1]
    floor.pass_seconds(40)
    assert floor.restarted_after() is None


def test_where_ami_answers_it_says_so_itself() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.started = {ONE: "2026-11-26 12:00:00"}
    floor.pass_seconds(40)
    assert floor.restarted_after() is None


def test_ami_that_is_denied_since_says_nothing() -> None:
    floor = Floor()
    floor.started = {ONE: "2026-11-26 08:00:00"}
    floor.pass_seconds(5)
    floor.started = {}
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.pass_seconds(40)
    assert floor.restarted_after() is not None


def test_to_a_collector_that_begins_in_a_silence_old_rows_show_no_phone() -> None:
    floor = Floor()
    floor.pass_seconds(AWAY, beats=False)
    floor.pass_seconds(10)
    assert set(floor.in_room.values()) == {None}
    floor.lose(FOUR)
    floor.pass_seconds(3)
    assert set(floor.in_room.values()) == {False}


@pytest.mark.parametrize(("left", "restarted"), [([1, 2], True), ([1, 2, 3], False)])
def test_some_help_themselves_meanwhile_and_what_is_left_of_many_proves_nothing(
    left: list[int], restarted: bool
) -> None:  # one case
    floor = at_work([1, 2, 3, 4, 5])
    floor.pass_seconds(AWAY, beats=False)
    floor.lose([1, 2, 3, 4, 5])
    floor.agents = [each for each in floor.agents if each not in left]
    floor.pass_seconds(40)
    assert (floor.restarted_after() is not None) == restarted


def test_sessions_with_phones_that_began_meanwhile_outvote_old_ones_without() -> None:
    floor = at_work([1, 2])
    floor.pass_seconds(1000, beats=False)
    floor.agents += range(3, 9)
    floor.pass_seconds(3, beats=False)
    floor.written = set(range(3, 9))
    floor.pass_seconds(40)
    assert floor.restarted_after() is None


def test_seconds_without_a_look_prove_nothing() -> None:
    floor = at_work()
    floor.pass_seconds(AWAY, beats=False)
    floor.lose(FOUR)
    floor.pass_seconds(4)
    floor.pass_seconds(10, readable=False)
    floor.written = set(FOUR)
    floor.pass_seconds(40)
    assert floor.restarted_after() is None


def test_phones_that_were_hung_up_hours_before_hide_no_new_start() -> None:
    floor = at_work([1, 2, 3, 4, 5, 6])
    floor.lose([1, 2, 3])
    floor.pass_seconds(300)
    floor.pass_seconds(AWAY, beats=False)
    floor.lose([4, 5, 6])
    floor.pass_seconds(40)
    assert floor.restarted_after() is not None
