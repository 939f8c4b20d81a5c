"""Work done, as the collector sees it while a heartbeat is in doubt."""

from collectors.work import LOOK_SECONDS, MOST, Work
from tests.support.builders import NOW_MS, ONE, TWO


class Watching:
    """The work of a cluster, and the time of its polls."""

    def __init__(self) -> None:
        self.work = Work()
        self.now_ms = NOW_MS

    def polls(self, *in_doubt: str, counts: dict[str, int] | None = None, after_ms: int = 500) -> int | None:
        """Let one more poll be watched, and return when `ONE` was last seen to work, in milliseconds from the start."""
        self.now_ms += after_ms
        self.work.watch(self.now_ms, in_doubt, counts)
        worked_at_ms = self.work.of(ONE)
        return None if worked_at_ms is None else worked_at_ms - NOW_MS


def test_only_dialers_in_doubt_are_read() -> None:
    watching = Watching()
    assert not list(watching.work.to_read)
    watching.polls()
    assert not list(watching.work.to_read)
    watching.polls(ONE)
    assert watching.work.to_read == (ONE,)
    watching.polls(counts={ONE: 7})
    assert not list(watching.work.to_read)


def test_a_count_that_rises_is_work_and_the_first_one_none_whatever_it_is() -> None:
    watching = Watching()
    watching.polls(ONE)
    assert watching.polls(ONE, counts={ONE: 7}) is None
    assert watching.polls(ONE, counts={ONE: 7}) is None
    assert watching.polls(ONE, counts={ONE: 8}) == 2000
    assert watching.polls(ONE, counts={ONE: 8}) == 2000
    assert watching.polls(ONE, counts={ONE: 9}) == 3000


def test_a_count_that_falls_is_none_since_the_clean_up_lowers_it_too() -> None:
    watching = Watching()
    watching.polls(ONE)
    watching.polls(ONE, counts={ONE: 7})
    assert watching.polls(ONE, counts={ONE: 3}) is None
    assert watching.polls(ONE, counts={}) is None
    assert watching.polls(ONE, counts={ONE: 1}) == 2500


def test_a_poll_that_could_not_read_it_begins_anew() -> None:
    """It may have worked at any time since then, and be dead by now."""
    watching = Watching()
    watching.polls(ONE)
    watching.polls(ONE, counts={ONE: 7})
    watching.polls(ONE)
    assert watching.polls(ONE, counts={ONE: 8}) is None
    assert watching.polls(ONE, counts={ONE: 9}) == 2500


def test_what_was_seen_in_one_doubt_is_forgotten_in_the_next() -> None:
    watching = Watching()
    watching.polls(ONE)
    watching.polls(ONE, counts={ONE: 7})
    assert watching.polls(ONE, counts={ONE: 8}) == 1500
    assert watching.polls() is None
    assert watching.polls(ONE) is None
    assert watching.polls(ONE, counts={ONE: 90}) is None


def test_one_that_shows_no_work_is_soon_read_no_more_and_one_that_does_is() -> None:
    watching = Watching()
    watching.polls(ONE, TWO)
    watching.polls(ONE, TWO, counts={ONE: 1, TWO: 1})
    watching.polls(ONE, TWO, counts={ONE: 2, TWO: 1})
    watching.polls(ONE, TWO, counts={ONE: 2, TWO: 1}, after_ms=round(LOOK_SECONDS * 1000) - 1000)
    assert watching.work.to_read == (ONE,)
    watching.polls(ONE, TWO, counts={ONE: 2}, after_ms=1000)
    assert not list(watching.work.to_read)


def test_a_few_are_read_at_once_the_latest_doubts_first() -> None:
    watching = Watching()
    old = [f"10.0.1.{number}" for number in range(MOST)]
    watching.polls(*old)
    watching.polls(*old, ONE)
    assert watching.work.to_read == (ONE, *old[: MOST - 1])


def test_a_count_that_was_not_asked_for_yet_is_none_and_its_rise_no_work() -> None:
    """A reading may answer what the poll before asked for."""
    work = Work()
    work.watch(NOW_MS, [ONE], None)
    work.watch(NOW_MS + 500, [ONE, TWO], {ONE: 7}, [ONE])
    work.watch(NOW_MS + 1000, [ONE, TWO], {ONE: 7}, [ONE])
    work.watch(NOW_MS + 1500, [ONE, TWO], {ONE: 7, TWO: 50}, [ONE, TWO])
    assert (work.of(ONE), work.of(TWO)) == (None, None)
    work.watch(NOW_MS + 2000, [ONE, TWO], {ONE: 7, TWO: 51}, [ONE, TWO])
    assert (work.of(ONE), work.of(TWO)) == (None, NOW_MS + 2000)
