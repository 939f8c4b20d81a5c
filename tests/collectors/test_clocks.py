"""Clocks that differ are said, once each time, and measured."""

import structlog
from prometheus_client import CollectorRegistry

from collectors.clocks import APART_SECONDS, Clocks
from collectors.metrics import CollectorInstruments

WALL_MS = 1_700_000_000_000
APART_MS = round(APART_SECONDS * 1000)


def test_clocks_that_differ_are_said_once_and_again_when_they_differ_again() -> None:
    registry = CollectorRegistry()
    clocks = Clocks("west", CollectorInstruments(registry))
    with structlog.testing.capture_logs() as said:
        for ahead_ms in (0, APART_MS - 1, APART_MS, 2 * APART_MS, 0, -2 * APART_MS):
            clocks.note("database", WALL_MS + ahead_ms, WALL_MS)
        clocks.note("log", WALL_MS - APART_MS, WALL_MS)
    assert [(each["of"], each["ahead_seconds"]) for each in said] == [
        ("database", 60),
        ("database", -120),
        ("log", -60),
    ]
    ahead = {
        of: registry.get_sample_value("hotdesk_collector_clock_ahead_seconds", {"cluster": "west", "of": of})
        for of in ("database", "log")
    }
    assert ahead == {"database": -120.0, "log": -60.0}
