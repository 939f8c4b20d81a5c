"""Times as commands write and read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from controller.core.explanations import clock
from hotdesk.cli.times import iso, local_clock, moment, with_local_clocks
from hotdesk.errors import SettingsError
from tests.support.builders import NOW_MS

INDIA = timezone(timedelta(hours=5, minutes=30))
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


def test_a_time_for_people_is_local_with_its_offset_and_can_be_typed_again() -> None:
    written = local_clock(NOW_MS, INDIA)
    assert written == "2027-01-15 13:30:00+05:30"
    assert moment("--since", written, NOW) == NOW


def test_the_times_in_a_sentence_of_the_api_become_local() -> None:
    sentence = f"It is down since {clock(NOW_MS)}, and was up until {clock(NOW_MS - 1000)}."
    assert with_local_clocks(sentence, INDIA) == (
        "It is down since 2027-01-15 13:30:00+05:30, and was up until 2027-01-15 13:29:59+05:30."
    )
    for odd in ("agent 9999-99-99 99:99:99 UTC", "2027-01-15 08:00:00", "0001-01-01 00:00:00 UTC"):
        assert with_local_clocks(odd, timezone(timedelta(hours=-1))) == odd


def test_a_time_for_scripts_is_in_utc() -> None:
    assert iso(NOW_MS) == "2027-01-15T08:00:00.000+00:00"


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90m", timedelta(minutes=90)),
        ("7d", timedelta(days=7)),
        ("2027-01-15T08:00+00:00", timedelta(0)),
        ("2027-01-15T08:00Z", timedelta(0)),
    ],
)
def test_a_moment_is_so_long_ago_or_a_time_with_an_offset(text: str, ago: timedelta) -> None:
    assert moment("--since", text, NOW) == NOW - ago


@pytest.mark.parametrize("text", ["yesterday", "", "0001-01-01", "7w", "12345d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=f"--since '{text}' is not a time"):
        moment("--since", text, NOW)
