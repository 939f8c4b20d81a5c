"""Maintenance windows are instants: each happens once, and lasts as long as it says, also when clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.core.policy import AHEAD_MINUTES, MaintenanceWindow
from tests.support.builders import ONE

BERLIN = ZoneInfo("Europe/Berlin")
USUAL, FORWARD, BACK = (
    datetime(2026, 3, 28, tzinfo=UTC),
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
)


def covered(window: MaintenanceWindow, night: datetime) -> list[tuple[str, str]]:
    """Return from when to when a window covers a dialer in the hours around a midnight, in UTC."""
    first = night - timedelta(hours=3)
    minutes = [first + timedelta(minutes=number) for number in range(9 * 60)]
    inside = [window.covers(ONE, round(each.timestamp() * 1000)) for each in minutes]
    edges = [each for each, before, now in zip(minutes[1:], inside, inside[1:], strict=False) if before != now]
    return [
        (begins.strftime("%H:%M"), ends.strftime("%H:%M")) for begins, ends in zip(edges[::2], edges[1::2], strict=True)
    ]


@pytest.mark.parametrize(
    ("start", "minutes", "night", "expected"),
    [
        ("02:30", 20, USUAL, ("01:20", "01:50")),
        ("02:30", 20, FORWARD, ("01:20", "01:50")),  # 03:30 in summer time: 02:30 does not exist
        ("02:30", 20, BACK, ("00:20", "00:50")),  # the first of the two
        ("03:00", 20, FORWARD, ("00:50", "01:20")),
        ("01:45", 60, FORWARD, ("00:35", "01:45")),
        ("01:45", 60, BACK, ("23:35", "00:45")),
        ("00:05", 10, USUAL, ("22:55", "23:15")),
    ],
)
def test_a_window_happens_once_and_lasts_as_long_as_it_says(
    start: str, minutes: int, night: datetime, expected: tuple[str, str]
) -> None:
    hour, minute = map(int, start.split(":"))
    window = MaintenanceWindow(start_minute=60 * hour + minute, minutes=minutes, zone=BERLIN)
    assert covered(window, night) == [expected]
    begins, ends = (datetime.strptime(each, "%H:%M") for each in expected)  # noqa: DTZ007 # both of one zone
    assert (ends - begins) % timedelta(days=1) == timedelta(minutes=minutes + AHEAD_MINUTES)
