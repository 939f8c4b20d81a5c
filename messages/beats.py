"""The rule for a heartbeat that beats. Collectors ask SIP in doubt by it, and the failure detector judges by it.

A heartbeat has a resolution of one second, and a sound one advances each second. While Asterisk hangs its updater
writes every 11 seconds: that is a step, and no beat.
"""

BEATS = 3
BEAT_SECONDS = 5.0
"""A heartbeat beats if it has advanced `BEATS` times in this time."""


def advances(known: tuple[int, ...], latest_ms: int | None, now_ms: int) -> tuple[int, ...]:
    """Return when a heartbeat has advanced lately, at most `BEATS` times; `latest_ms`: the latest time, None: never."""
    if latest_ms is not None and (not known or latest_ms > known[-1]):
        known = (*known, latest_ms)
    return tuple(each for each in known[-BEATS:] if each > now_ms - BEAT_SECONDS * 1000)


def beats(advanced: tuple[int, ...]) -> bool:
    """Return True if a heartbeat with these advances beats."""
    return len(advanced) >= BEATS
