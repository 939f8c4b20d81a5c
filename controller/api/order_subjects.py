"""The subjects of orders: a dialer by its name or address, an agent, an incident, an order that stands.

Each function raises ProblemDetailsException, with the names that there are, if its subject does not exist.
"""

from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_404_NOT_FOUND, HTTP_409_CONFLICT

from controller.core.cluster import Cluster
from controller.core.explanations import name_of
from controller.core.fences import STANDING
from messages.keys import key_of
from messages.records import AgentSession, AnyOrder, Fence, Incident, ServerIp
from messages.topics import Key

ON_ITS_WAY_SECONDS = 2.0
"""An order that is stored is read back from the log within this time."""


def dialer_of(cluster: Cluster, name: str) -> ServerIp:
    """Return the address of a dialer that is named by its address, or by its `server_id` in whatever case."""
    dialers = cluster.state.observed.dialers
    if name in dialers:
        return name
    found = [each.server_ip for each in dialers.values() if each.server_id.lower() == name.lower()]
    if len(found) == 1:
        return found[0]
    if found:
        raise _conflict("ambiguous name", f"several dialers are named {name!r}: name one of {', '.join(sorted(found))}")
    there = ", ".join(name_of(cluster.state, each) for each in sorted(dialers)) or "none"
    raise _unknown("unknown dialer", f"{cluster.name} has no dialer {name!r}; it has {there}")


def session_of(cluster: Cluster, user: str) -> AgentSession:
    """Return an agent's session."""
    session = cluster.state.observed.agents.get(user.lower())
    if session is None:
        raise _unknown("unknown agent", f"no agent is logged in as {user!r}")
    return session


def incident_of(cluster: Cluster, name: str) -> Incident:
    """Return an open incident, by its name or by that of its dialer."""
    opened = cluster.state.decided.incidents
    if name in opened:
        return opened[name]
    dialers = cluster.state.observed.dialers.values()
    ips = {name} | {each.server_ip for each in dialers if each.server_id.lower() == name.lower()}
    found = [each for each in opened.values() if each.server_ip in ips]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(opened)) or "none"
    raise _unknown("no such open incident", f"{name!r} is not open; open: {there}")


def standing_fence_of(cluster: Cluster, name: str) -> Fence:
    """Return the fence of a dialer that hotdesk has closed."""
    server_ip = dialer_of(cluster, name)
    fence = cluster.state.decided.fences.get(server_ip)
    if fence is None or fence.stage not in STANDING:
        raise _conflict("no fence", f"hotdesk has not fenced {name_of(cluster.state, server_ip)}")
    return fence


def brake_of(cluster: Cluster) -> int:
    """Return since when the present fleet brake holds, ms."""
    health = cluster.state.observed.health
    if health.bad_since_ms is None:
        another = f", but another reason: {health.brake}" if health.brake else ""
        raise _conflict("no brake", f"no fleet brake holds{another}")
    return health.bad_since_ms


class JustGiven:
    """The orders that were given here a moment ago, and may not have come back from the log yet."""

    def __init__(self) -> None:
        self._orders: dict[Key, tuple[AnyOrder, float]] = {}

    def note(self, order: AnyOrder, now: float) -> None:
        """Record an order that is stored."""
        self._orders = {key: each for key, each in self._orders.items() if now - each[1] <= ON_ITS_WAY_SECONDS}
        self._orders[key_of(order)] = order, now

    def of(self, key: Key, now: float) -> AnyOrder | None:
        """Return the order of a key, if it was given just now."""
        order, given_at = self._orders.get(key, (None, now))
        return order if now - given_at <= ON_ITS_WAY_SECONDS else None

    def drop(self, key: Key) -> None:
        """Drop an order that was taken back."""
        self._orders.pop(key, None)


def key_to_take_back(cluster: Cluster, kind: str, subject: str) -> Key:
    """Return the key of an order that is to be taken back; its dialer, agent or incident may be gone by now."""
    orders = cluster.state.decided.orders
    name = subject
    if kind in {"drain", "unfence"} and subject not in {*orders.drains, *orders.unfences}:
        name = dialer_of(cluster, subject)
    if kind == "move" and (move := orders.moves.get(subject.lower())) is not None:
        name = move.user
    if kind == "acknowledge" and subject not in orders.acknowledged:
        name = incident_of(cluster, subject).incident
    return Key(cluster.name, kind, name)


def no_such_order(cluster: Cluster, kind: str, subject: str) -> ProblemDetailsException:
    """Return the refusal to take back an order that does not stand."""
    standing = cluster.state.decided.orders.standing
    of_kind = [name_of(cluster.state, each.name) for each in standing if each.kind == kind]
    name = f" of {name_of(cluster.state, subject)}" if subject else ""
    there = f"; there is one of {', '.join(sorted(of_kind))}" if any(of_kind) else ""
    planned = ""
    if kind == "drain" and cluster.policy.in_maintenance(subject, cluster.state.observed.wall_ms):
        planned = "; a maintenance window covers it, which only the settings change"
    return _conflict("no such order", f"no {kind}{name} is ordered{there}{planned}")


def _unknown(title: str, detail: str) -> ProblemDetailsException:
    return ProblemDetailsException(status_code=HTTP_404_NOT_FOUND, title=title, detail=detail)


def _conflict(title: str, detail: str) -> ProblemDetailsException:
    return ProblemDetailsException(status_code=HTTP_409_CONFLICT, title=title, detail=detail)
