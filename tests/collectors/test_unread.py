"""Statements that fail are left out, tried again with growing pauses, and told of by their table."""

from collections import Counter

from collectors.observer import Unread
from collectors.unread import FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS, TRY_SECONDS, FailingStatements
from messages.codes import Unreadable

BEGAN = 100.0
TABLES = {"agents": "vicidial_live_agents", "silent": "vicidial_live_agents", "logins": "vicidial_user_log"}


def test_what_failed_is_left_out_and_due_again_after_ever_longer() -> None:
    failing, now, pauses = FailingStatements(TABLES, BEGAN), BEGAN, []
    assert failing.seconds_until_due(now) is None
    for _ in range(7):
        failing.failed("logins", Unreadable.LOCKED, now)
        assert "logins" in failing
        assert failing.due(now) == ()
        pause = failing.seconds_until_due(now)
        assert pause is not None
        pauses.append(pause)
        now += pause
        assert failing.due(now) == ("logins",)
    assert pauses == [0.5, 1, 2, 4, 8, 8, 8]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS)
    failing.answered("logins", now)
    assert "logins" not in failing
    assert failing.seconds_until_due(now) is None


def test_a_table_is_unread_since_any_of_its_statements_answered_last() -> None:
    failing = FailingStatements(TABLES, BEGAN)
    failing.answered("silent", BEGAN + 1)
    failing.answered("agents", BEGAN + 15)
    failing.failed("silent", Unreadable.LOCKED, BEGAN + 16)
    failing.failed("agents", Unreadable.LOCKED, BEGAN + 16)
    failing.failed("logins", Unreadable.CRASHED, BEGAN + 16)
    assert failing.tables(BEGAN + 19) == {
        "vicidial_live_agents": Unread(4.0, Unreadable.LOCKED),
        "vicidial_user_log": Unread(3.0 + TRY_SECONDS, Unreadable.CRASHED),
    }
    failing.answered("agents", BEGAN + 20)
    assert failing.tables(BEGAN + 20.5)["vicidial_live_agents"].seconds == 0.5, (
        "one statement is slow, and not the table"
    )


def test_a_statement_that_is_refused_is_so_whatever_others_of_its_table_answer() -> None:
    failing = FailingStatements(TABLES, BEGAN)
    failing.failed("agents", Unreadable.REFUSED, BEGAN + 1)
    failing.answered("silent", BEGAN + 20)
    assert failing.tables(BEGAN + 21) == {"vicidial_live_agents": Unread(21.0, Unreadable.REFUSED)}


def test_each_failure_is_counted_once() -> None:
    failing = FailingStatements(TABLES, BEGAN)
    failing.failed("logins", Unreadable.LOCKED, BEGAN)
    failing.failed("logins", Unreadable.CRASHED, BEGAN + 1)
    assert failing.tables(BEGAN + 1)["vicidial_user_log"].why is Unreadable.CRASHED
    assert failing.take_failures() == Counter(logins=2)
    assert failing.take_failures() == Counter()
