"""What an operator may decide about a cluster's ranking."""

import msgspec

from messages.records import ServerIp


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

    def max_agents_on(self, server_ip: ServerIp) -> int | None:
        """Tell the limit of one dialer."""
        return self.max_agents_of.get(server_ip, self.max_agents)
