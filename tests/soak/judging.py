"""What counts as broken, from plain data: who was told to leave and when, what was offered, and what was true. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.support.logout_notes import Telling

SURE_SECONDS = 1.5
"""No dialer may lose its agents earlier: its heartbeat has to stand still for 3 s. The value counts whole seconds and
is written every 0.4 s, so it may have changed last 1.4 s before the dialer died."""
DRAIN_SECONDS = 8.5
"""The same for one that is switched off: it is left alone for 10 s, by a poll that may be 1 s older."""
UNDERWAY_SECONDS = 3.0
"""A poll, and what may lie between looking and telling: so long after its trouble is over an agent may be told."""
OFFER_SECONDS = 13.0
"""A dead dialer may be offered so long: it is watched for up to 8 s, and what is known may be 5 s old."""
ANEW_SECONDS = 21.0
"""The same after hotdesk could not see: who takes over watches anew, for up to 16 s."""


class Why(StrEnum):
    """What ails a dialer. Those of one whose heartbeat alone has stalled stay, since it answers SIP."""

    DEAD = "dead"
    STALLED = "stalled"
    OFF = "switched off"


@dataclass
class Trouble:
    """What truly ails a dialer; times are seconds since 1970."""

    server_ip: str
    why: Why
    began: float
    ended: float | None = None
    braked_until: float = 0.0
    """Until when so many were in trouble at once that nobody might be moved; infinite: to the end."""

    def covers(self, at: float, grace: float = 0.0) -> bool:
        """Return True if it lasted at a moment."""
        return self.began <= at and (self.ended is None or at <= self.ended + grace)


def wrongly_told(telling: Telling, troubles: Iterable[Trouble]) -> str:
    """Return why an agent should not have been told to log out; empty: it was right."""
    where = f"agent {telling.user} was told to log out of {telling.server_ip}"
    found = [
        each for each in troubles if each.server_ip == telling.server_ip and each.covers(telling.at, UNDERWAY_SECONDS)
    ]
    if not found:
        return f"{where}, which lives"
    if all(each.why is Why.STALLED for each in found):
        return f"{where}, whose calls go on"
    if all(telling.at < each.braked_until for each in found):
        return f"{where} while most of the fleet was dead"
    soonest = min(each.began + (DRAIN_SECONDS if each.why is Why.OFF else SURE_SECONDS) for each in found)
    if telling.at < soonest:
        return f"{where} {soonest - telling.at:.1f} s before that could be sure"
    return ""


def told_twice(
    tellings: Iterable[Telling], troubles: Sequence[Trouble], own_choices: Mapping[str, Sequence[float]]
) -> list[str]:
    """Return the users who were sent a logout more than once for one incident.

    Args:
        tellings: all of them, in order.
        troubles: all of them.
        own_choices: when a user's login was VICIdial's own choice, since no hotdesk answered: it may be the dead
            dialer again, and whoever landed there is moved once more.
    """
    found = []
    sessions: dict[int, Telling] = {}
    users: dict[tuple[str, float, str], Telling] = {}
    for telling in tellings:
        if telling.live_agent_id in sessions:
            after = telling.at - sessions[telling.live_agent_id].at
            found.append(f"agent {telling.user}'s session was told to log out again after {after:.1f} s")
        sessions[telling.live_agent_id] = telling
        for trouble in troubles:
            if trouble.server_ip != telling.server_ip or not trouble.covers(telling.at, UNDERWAY_SECONDS):
                continue
            incident = (telling.user, trouble.began, trouble.server_ip)
            before = users.get(incident)
            users[incident] = telling
            if before is None or before.live_agent_id == telling.live_agent_id:
                continue
            if not any(before.at <= at <= telling.at for at in own_choices.get(telling.user, ())):
                found.append(f"agent {telling.user} was told twice to leave {trouble.server_ip}, once sent there again")
    return found


def wrongly_offered(
    offered: Iterable[str], troubles: Iterable[Trouble], at: float, blind_until: float
) -> dict[str, float]:
    """Return the dialers that are dead and offered, and for how many seconds they have been.

    Args:
        offered: dialers that take new logins, by a ranking that is not stale.
        troubles: all of them.
        at: now.
        blind_until: until when a fault of hotdesk's own parts, or of what it sees by, lasted: what stood still
            meanwhile is counted anew.
    """
    dead = {each.server_ip: each.began for each in troubles if each.why is not Why.OFF and each.covers(at)}
    late = {}
    for server_ip in dead.keys() & set(offered):
        began = dead[server_ip]
        due = max(began + OFFER_SECONDS, blind_until + ANEW_SECONDS if blind_until > began else 0.0)
        if at > due:
            late[server_ip] = at - began
    return late
