"""Times in commands: for people those of this machine, each with its offset; for scripts ISO 8601 in UTC."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from hotdesk.errors import SettingsError

_CLOCK = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b")
"""A time as `controller.core.explanations.clock` writes it."""
_AGO = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def local_clock(ms: int, zone: tzinfo | None = None) -> str:
    """Write a time for the person at this machine; `zone`: of the time, None for that of this machine."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).isoformat(" ", "seconds")


def with_local_clocks(text: str, zone: tzinfo | None = None) -> str:
    """Return a sentence of the API's with its times as `local_clock` writes them."""
    return _CLOCK.sub(lambda found: _local(found[0], zone), text)


def iso(ms: int) -> str:
    """Write a time for scripts and spreadsheets."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def moment(flag: str, text: str, now: datetime) -> datetime:
    """Return a moment that was typed: so long ago, or a time; without an offset it is one of this machine's.

    Raises:
        SettingsError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SettingsError(f"{flag} {text!r} is not a time: write one such as 2026-11-20T14:30, or 7d") from error


def _local(clock: str, zone: tzinfo | None) -> str:
    try:
        return local_clock(
            round(datetime.strptime(f"{clock[:-4]}+0000", "%Y-%m-%d %H:%M:%S%z").timestamp() * 1000), zone
        )
    except (ValueError, OverflowError):
        return clock  # a name of somebody's that looks like one
