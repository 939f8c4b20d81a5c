"""The operator's settings for decisions about a cluster."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

from messages.records import ServerIp

AHEAD_MINUTES = 10
"""A maintenance window begins this long before its dialers go away: no new logins, and time for calls to end."""
WEEK_MINUTES = 7 * 24 * 60


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A time at which dialers are known to go away, such as a nightly reboot."""

    start_minute: int
    """Start of the window in minutes after midnight, in its time zone."""
    minutes: int
    """How long the dialers are away, at most a day."""
    weekdays: frozenset[int] = frozenset(range(7))
    """Weekdays on which it starts; 0 is Monday."""
    server_ips: frozenset[ServerIp] = frozenset()
    """Empty: all dialers of the cluster."""
    zone: tzinfo = UTC

    def covers(self, server_ip: ServerIp, wall_ms: int) -> bool:
        """Return True if the window covers a dialer now, by the wall clock; `AHEAD_MINUTES` included."""
        if self.server_ips and server_ip not in self.server_ips:
            return False
        now = datetime.fromtimestamp(wall_ms / 1000, UTC)
        today = now.astimezone(self.zone).date()
        # a window that began yesterday may not be over, and one right after midnight begins the day before
        starts = (self._start_on(today + timedelta(days=days)) for days in (-1, 0, 1))
        ahead, away = timedelta(minutes=AHEAD_MINUTES), timedelta(minutes=self.minutes)
        return any(start is not None and start - ahead <= now < start + away for start in starts)

    def _start_on(self, day: date) -> datetime | None:
        """Return the instant at which the window starts on a day; None: not on that weekday.

        Local times make instants only here. In the night in which clocks go forward, a time that does not exist is
        taken as so much later; in the one in which they go back, the first of the two counts. So each window happens
        once, and lasts as long as it says.
        """
        if day.weekday() not in self.weekdays:
            return None
        start = datetime.combine(day, time(self.start_minute // 60, self.start_minute % 60), self.zone)
        return start.astimezone(UTC)


def covers_all_time(windows: Sequence[MaintenanceWindow]) -> bool:
    """Return True if windows take all dialers of a cluster away at every time of a week."""
    whole = [each for each in windows if not each.server_ips]
    if sum((each.minutes + AHEAD_MINUTES) * len(each.weekdays) for each in whole) < WEEK_MINUTES:
        return False
    begin_ms = round(datetime(2025, 1, 6, tzinfo=UTC).timestamp() * 1000)
    sampled = range(0, WEEK_MINUTES, 10)
    return all(any(each.covers("", begin_ms + minute * 60_000) for each in whole) for minute in sampled)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules for decisions about one cluster. The defaults suit a cluster without settings."""

    stalled_after_seconds: float = 2.5
    """A dialer whose heartbeat has not advanced for this long takes no new logins. Heartbeats come every 0.4 s at a
    resolution of one second and are polled every 0.5 s, so a sound one may look stalled for 2 s. VICIdial waits 120."""
    max_agents: int | None = None
    """Most agents on any dialer; None: as many as it has rooms."""
    max_agents_of: dict[ServerIp, int] = {}
    """The same for single dialers."""
    slot_seconds: float = 30.0
    """How long a slot counts before the agent's row is seen."""

    acts: bool = False
    """The mode is act: actions are carried out; otherwise hotdesk only reports what it would do."""
    dead_call_status: str = ""
    """Status for a call that died with its dialer and whose agent chooses none before the logout; empty: none."""
    moves_per_second: float = 10.0
    """Most agents to move in a second: each logs in again at once, and a dialer must place the calls to their
    phones."""
    act_on_heartbeat_alone: bool = False
    """Agents also leave a dialer whose death no probe confirms; their calls are not ended."""
    moves_of_a_user: int = 2
    """How often a user is moved at most in ten minutes, whatever the reason: it bounds every loop not thought of."""
    wrapup_seconds: float = 60.0
    """How long an agent who has still to choose a disposition is waited for on a dialer that is not dead."""
    restore_state: bool = True
    """Agents who waited for calls before a move wait again after it."""
    calls_phones: bool = False
    """An agent's phone can be called into its room again: only VICIdial's agent API does that."""
    tells_agents: bool = False
    """Agents who were moved are told on their screens what happened: only VICIdial's agent API does that."""
    move_on_closed: bool = False
    """Agents also leave a dialer that is only closed to new logins."""
    emergency_logout: bool = False
    """A session whose screen does not react is ended in VICIdial's own tables."""
    fence: bool | None = False
    """A dead dialer is closed to VICIdial's own logins too; None: where hotdesk acts and no login hook asked lately."""
    windows: tuple[MaintenanceWindow, ...] = ()

    def in_maintenance(self, server_ip: ServerIp, wall_ms: int) -> bool:
        """Return True if a maintenance window covers a dialer, or soon will."""
        return bool(self.windows) and any(window.covers(server_ip, wall_ms) for window in self.windows)

    def max_agents_on(self, server_ip: ServerIp) -> int | None:
        """Return the most agents for one dialer; None: as many as it has rooms."""
        return self.max_agents_of.get(server_ip, self.max_agents)
