"""What an operator may decide about a cluster's ranking."""

from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from messages.records import ServerIp

AHEAD_MINUTES = 10
"""A maintenance window begins so long before its dialers go away: no new logins, and calls can end."""


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A time at which dialers are known to go away, such as a nightly reboot."""

    start_minute: int
    """Minutes after midnight, in the window's time zone."""
    minutes: int
    """How long the dialers are away, at most a day."""
    weekdays: frozenset[int] = frozenset(range(7))
    """Of the start; 0 is Monday."""
    server_ips: frozenset[ServerIp] = frozenset()
    """Empty: all dialers of the cluster."""
    zone: tzinfo = UTC

    def covers(self, server_ip: ServerIp, now_ms: int) -> bool:
        """Tell whether it covers a dialer now, `AHEAD_MINUTES` included."""
        if self.server_ips and server_ip not in self.server_ips:
            return False
        now = datetime.fromtimestamp(now_ms / 1000, self.zone)
        # one that began yesterday may still last, and one after midnight is prepared for before it
        for days in (-1, 0, 1):
            day = (now + timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
            start = day + timedelta(minutes=self.start_minute)
            begins, ends = start - timedelta(minutes=AHEAD_MINUTES), start + timedelta(minutes=self.minutes)
            if start.weekday() in self.weekdays and begins <= now < ends:
                return True
        return False


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How one cluster is judged. The defaults suit a cluster nobody has said anything about."""

    stalled_after_seconds: float = 2.5
    """A heartbeat that did not advance for so long takes no new logins. Heartbeats come every 0.4 s at a resolution
    of one second and are polled every 0.5 s, so a living one may look still for 2 s. VICIdial waits 120."""
    max_agents: int | None = None
    """Most agents on any dialer; None: as many as it has rooms."""
    max_agents_of: dict[ServerIp, int] = {}
    """The same for single dialers."""
    slot_seconds: float = 30.0
    """How long a pick counts before the agent's row is seen."""

    acts: bool = False
    """Whether moves are carried out; else hotdesk says what it would do."""
    dead_call_status: str = ""
    """What a call is disposed as that died with its dialer; VICIdial's screen waits for one before it logs out."""
    moves_per_second: float = 10.0
    """How many agents are moved at most: each logs in again at once, and a dialer must take the calls to their
    phones."""
    moves_of_a_user: int = 2
    """How often a user is moved at most in ten minutes, whatever the reason: it bounds every loop not thought of."""
    move_on_closed: bool = False
    """Whether agents leave a dialer that is only closed to new logins."""
    emergency_logout: bool = False
    """Whether a session whose screen does not react is ended in VICIdial's own tables."""
    fence: bool = False
    """Whether a dead dialer is closed to VICIdial's own logins, too."""
    windows: tuple[MaintenanceWindow, ...] = ()

    def in_maintenance(self, server_ip: ServerIp, now_ms: int) -> bool:
        """Tell whether a dialer is, or soon will be, away as planned."""
        return bool(self.windows) and any(window.covers(server_ip, now_ms) for window in self.windows)

    def max_agents_on(self, server_ip: ServerIp) -> int | None:
        """Tell the limit of one dialer."""
        return self.max_agents_of.get(server_ip, self.max_agents)
