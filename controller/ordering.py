"""The part of the API by which people read about incidents and order something.

An order is a record like any other: it goes to the log, every process learns of it from there, and the cluster's
owner follows it. So the answer says that it was accepted, not that it was done.
"""

import time
from collections.abc import Callable

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_404_NOT_FOUND, HTTP_409_CONFLICT
from litestar.types import ControllerRouterHandler

from controller.answers import AcknowledgeBody, IncidentAnswer, OrderBody
from controller.api import Put, known, needs
from controller.desk import ClusterView, Desk
from controller.fencing import STANDING
from controller.tokens import Scope, Tokens
from messages.keys import key_of
from messages.records import (
    Acknowledge,
    AnyOrder,
    Drain,
    Incident,
    Move,
    Pause,
    Resynchronise,
    ServerIp,
    Unbrake,
    Unfence,
)
from messages.topics import Topic
from stream.log import Entry
from stream.writing import entry_of

MINUTE_MS = 60_000


def wall_clock_ms() -> int:
    """Tell the time for people: nothing is decided by when something was ordered."""
    return time.time_ns() // 1_000_000


class Orderer:
    """Takes people's orders, by API or on the status page, and brings them to the log.

    Each method raises ProblemDetailsException, which says why, where an order makes no sense.
    """

    def __init__(self, desk: Desk, put: Put, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        self._desk = desk
        self._put = put
        self._clock_ms = clock_ms

    def resynchronise(self, cluster: str) -> None:
        """Have the collector publish everything it knows again."""
        self._known(cluster)
        self._order(Resynchronise(cluster=cluster, ordered_at_ms=self._clock_ms(), by=self._desk.name))

    def pause(self, cluster: str, body: OrderBody) -> None:
        """Observe only."""
        self._known(cluster)
        self._order(Pause(cluster=cluster, ordered_at_ms=self._clock_ms(), by=body.by, why=body.why))

    def resume(self, cluster: str) -> None:
        """Go on after a pause."""
        self._known(cluster)
        self._take_back(Pause(cluster=cluster, ordered_at_ms=0, by=""))

    def drain(self, cluster: str, server_ip: ServerIp, body: OrderBody) -> None:
        """Empty a dialer."""
        _known_dialer(self._known(cluster), server_ip)
        now_ms = self._clock_ms()
        self._order(Drain(cluster=cluster, ordered_at_ms=now_ms, by=body.by, why=body.why, server_ip=server_ip))

    def undrain(self, cluster: str, server_ip: ServerIp) -> None:
        """Take an order to drain back."""
        self._known(cluster)  # not the dialer, which may be gone by now
        self._take_back(Drain(cluster=cluster, ordered_at_ms=0, by="", server_ip=server_ip))

    def move(self, cluster: str, user: str, body: OrderBody) -> None:
        """Move an agent to the least-loaded of the other dialers."""
        session = self._known(cluster).state.agents.get(user.lower())
        if session is None:
            raise ProblemDetailsException(
                status_code=HTTP_404_NOT_FOUND, title="unknown agent", detail=f"nobody is logged in as {user!r}"
            )
        self._order(
            Move(
                cluster=cluster,
                ordered_at_ms=self._clock_ms(),
                by=body.by,
                why=body.why,
                user=session.user,
                live_agent_id=session.live_agent_id,
            )
        )

    def acknowledge(self, cluster: str, incident: str, body: AcknowledgeBody) -> None:
        """Say that somebody is on an incident."""
        state = self._known(cluster).state
        if incident not in state.incidents:
            open_ones = ", ".join(sorted(state.incidents)) or "none"
            raise ProblemDetailsException(
                status_code=HTTP_404_NOT_FOUND,
                title="no such open incident",
                detail=f"{incident!r} is not open; open: {open_ones}",
            )
        now_ms = self._clock_ms()
        self._order(
            Acknowledge(
                cluster=cluster,
                ordered_at_ms=now_ms,
                by=body.by,
                why=body.why,
                incident=incident,
                silence_until_ms=now_ms + body.silence_minutes * MINUTE_MS if body.silence_minutes else None,
            )
        )

    def unbrake(self, cluster: str, body: OrderBody) -> None:
        """Release the fleet brake that holds now."""
        health = self._known(cluster).state.health
        if health.bad_since_ms is None:
            raise ProblemDetailsException(
                status_code=HTTP_409_CONFLICT,
                title="no brake",
                detail="no fleet brake holds" + (f" that could be released: {health.brake}" if health.brake else ""),
            )
        self._order(
            Unbrake(
                cluster=cluster,
                ordered_at_ms=self._clock_ms(),
                by=body.by,
                why=body.why,
                bad_since_ms=health.bad_since_ms,
            )
        )

    def unfence(self, cluster: str, server_ip: ServerIp, body: OrderBody) -> None:
        """Give back what the fence of a dialer took."""
        fence = self._known(cluster).state.fences.get(server_ip)
        if fence is None or fence.stage not in STANDING:
            raise ProblemDetailsException(
                status_code=HTTP_409_CONFLICT, title="no fence", detail=f"hotdesk has not fenced {server_ip}"
            )
        self._order(
            Unfence(
                cluster=cluster,
                ordered_at_ms=self._clock_ms(),
                by=body.by,
                why=body.why,
                server_ip=server_ip,
                intended_at_ms=fence.intended_at_ms,
            )
        )

    def _known(self, cluster: str) -> ClusterView:
        return known(self._desk, cluster)

    def _order(self, given: AnyOrder) -> None:
        self._put([entry_of(given)])

    def _take_back(self, given: AnyOrder) -> None:
        self._put([Entry(Topic.ORDERS, str(key_of(given)), None)])


def incident_routes(desk: Desk, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the route that reads incidents."""

    @get(
        "/v1/clusters/{cluster:str}/incidents",
        tags=["incident"],
        summary="Open incidents, then those that closed last, with what was decided about each agent",
        guards=[needs(Scope.READ, tokens)],
    )
    async def incidents(cluster: FromPath[str]) -> list[IncidentAnswer]:
        return incidents_of(known(desk, cluster))

    return [incidents]


def incidents_of(view: ClusterView) -> list[IncidentAnswer]:
    """Give a cluster's incidents: the open ones, then those that closed last, each the newest first."""
    newest_first = sorted(view.state.incidents.values(), key=lambda each: -each.opened_at_ms)
    return [_incident(view, each) for each in (*newest_first, *reversed(view.state.closed))]


def ordering_routes(orderer: Orderer, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the routes by which people order something."""
    guards = [needs(Scope.ADMIN, tokens)]

    @post(
        "/v1/clusters/{cluster:str}/resynchronise",
        tags=["order"],
        summary="Have the collector publish everything it knows again",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def resynchronise(cluster: FromPath[str]) -> None:
        orderer.resynchronise(cluster)

    @post(
        "/v1/clusters/{cluster:str}/pause",
        tags=["order"],
        summary="Observe only: detect and say, and move nobody",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def pause(cluster: FromPath[str], data: JSONBody[OrderBody]) -> None:
        orderer.pause(cluster, data)

    @delete(
        "/v1/clusters/{cluster:str}/pause",
        tags=["order"],
        summary="Go on after a pause",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def resume(cluster: FromPath[str]) -> None:
        orderer.resume(cluster)

    @post(
        "/v1/clusters/{cluster:str}/dialers/{server_ip:str}/drain",
        tags=["order"],
        summary="No new logins on this dialer; its agents leave when their calls have ended",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def drain(cluster: FromPath[str], server_ip: FromPath[str], data: JSONBody[OrderBody]) -> None:
        orderer.drain(cluster, server_ip, data)

    @delete(
        "/v1/clusters/{cluster:str}/dialers/{server_ip:str}/drain",
        tags=["order"],
        summary="Take an order to drain back",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def undrain(cluster: FromPath[str], server_ip: FromPath[str]) -> None:
        orderer.undrain(cluster, server_ip)

    @post(
        "/v1/clusters/{cluster:str}/agents/{user:str}/move",
        tags=["order"],
        summary="Move this agent to the least-loaded of the other dialers",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def move(cluster: FromPath[str], user: FromPath[str], data: JSONBody[OrderBody]) -> None:
        orderer.move(cluster, user, data)

    @post(
        "/v1/clusters/{cluster:str}/incidents/{incident:str}/acknowledge",
        tags=["order"],
        summary="Say that somebody is on an incident, and silence it for a while",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def acknowledge(cluster: FromPath[str], incident: FromPath[str], data: JSONBody[AcknowledgeBody]) -> None:
        orderer.acknowledge(cluster, incident, data)

    @post(
        "/v1/clusters/{cluster:str}/unbrake",
        tags=["order"],
        summary="Release the fleet brake that holds now",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def unbrake(cluster: FromPath[str], data: JSONBody[OrderBody]) -> None:
        orderer.unbrake(cluster, data)

    @post(
        "/v1/clusters/{cluster:str}/dialers/{server_ip:str}/unfence",
        tags=["order"],
        summary="Give back what the fence of this dialer took, now",
        guards=guards,
        status_code=HTTP_202_ACCEPTED,
    )
    async def unfence(cluster: FromPath[str], server_ip: FromPath[str], data: JSONBody[OrderBody]) -> None:
        orderer.unfence(cluster, server_ip, data)

    return [resynchronise, pause, resume, drain, undrain, move, acknowledge, unbrake, unfence]


def _known_dialer(view: ClusterView, server_ip: str) -> None:
    if server_ip not in view.state.dialers:
        dialers = ", ".join(sorted(view.state.dialers))
        raise ProblemDetailsException(
            status_code=HTTP_404_NOT_FOUND,
            title="unknown dialer",
            detail=f"{view.state.cluster} has no dialer {server_ip!r}; it has {dialers}",
        )


def _incident(view: ClusterView, incident: Incident) -> IncidentAnswer:
    acknowledged = view.state.orders.acknowledged.get(incident.incident)
    return IncidentAnswer(
        incident=incident,
        acknowledged_by="" if acknowledged is None else acknowledged.by,
        silenced_until_ms=None if acknowledged is None else acknowledged.silence_until_ms,
        moves=tuple(each for each in view.state.relogins.values() if each.incident == incident.incident),
        holds=tuple(each for each in view.state.holds.values() if each.incident == incident.incident),
    )
