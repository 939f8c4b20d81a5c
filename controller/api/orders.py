"""The part of the API by which people read about incidents and order something.

An order is a record like any other: it goes to the log, every process learns of it from there, and the cluster's
owner follows it. So the answer says that it was accepted, not that it was done.
"""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_404_NOT_FOUND, HTTP_409_CONFLICT
from litestar.types import ControllerRouterHandler

from controller.api.auth import SECURED, AnyRequest, Client, client_of, known, needs, too_many
from controller.api.errors import WITH_A_BODY, guarded
from controller.api.rate_limits import Limit
from controller.api.schemas import AcknowledgeBody, IncidentAnswer, OrderBody
from controller.api.tokens import Scope, Tokens
from controller.core.clusters import FORGOTTEN, Cluster, Clusters
from controller.core.fences import STANDING
from controller.runtime.metrics import ControllerInstruments, Limited
from messages.keys import key_of
from messages.records import (
    Acknowledge,
    AnyOrder,
    Decision,
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
from stream.entries import entry_of
from stream.log import Entry
from stream.outbox import Put

MINUTE_MS = 60_000

By = Annotated[str, QueryParameter(description="who orders it", min_length=1, max_length=100)]
Why = Annotated[str, QueryParameter(description="why, for those who read about it later", max_length=500)]
_Routed = Callable[[Callable[..., Any]], ControllerRouterHandler]


def wall_clock_ms() -> int:
    """Tell the time for people: nothing is decided by when something was ordered."""
    return time.time_ns() // 1_000_000


class Orderer:
    """Takes people's orders, by API or on the status page, and brings them to the log, each with who gave it.

    Each method raises ProblemDetailsException, which says why, where an order makes no sense or is one too many.
    """

    def __init__(
        self,
        clusters: Clusters,
        put: Put,
        limit: Limit,
        instruments: ControllerInstruments,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._clusters = clusters
        self._put = put
        self._limit = limit
        self._instruments = instruments
        self._clock_ms = clock_ms

    def resynchronise(self, cluster: str, body: OrderBody, client: Client) -> None:
        """Have the collector publish everything it knows again."""
        self.known(cluster, client)
        self._order(Resynchronise(**self._given(cluster, body)), client)

    def pause(self, cluster: str, body: OrderBody, client: Client) -> None:
        """Observe only."""
        self.known(cluster, client)
        self._order(Pause(**self._given(cluster, body)), client)

    def resume(self, cluster: str, body: OrderBody, client: Client) -> None:
        """Go on after a pause."""
        self.known(cluster, client)
        self._take_back(Pause(**self._given(cluster, body)), client)

    def drain(self, cluster: str, server_ip: ServerIp, body: OrderBody, client: Client) -> None:
        """Empty a dialer."""
        _known_dialer(self.known(cluster, client), server_ip)
        self._order(Drain(**self._given(cluster, body), server_ip=server_ip), client)

    def undrain(self, cluster: str, server_ip: ServerIp, body: OrderBody, client: Client) -> None:
        """Take an order to drain back."""
        self.known(cluster, client)  # not the dialer, which may be gone by now
        self._take_back(Drain(**self._given(cluster, body), server_ip=server_ip), client)

    def move(self, cluster: str, user: str, body: OrderBody, client: Client) -> None:
        """Move an agent to the least-loaded of the other dialers."""
        session = self.known(cluster, client).state.agents.get(user.lower())
        if session is None:
            raise ProblemDetailsException(
                status_code=HTTP_404_NOT_FOUND, title="unknown agent", detail=f"nobody is logged in as {user!r}"
            )
        self._order(Move(**self._given(cluster, body), user=session.user, live_agent_id=session.live_agent_id), client)

    def acknowledge(self, cluster: str, incident: str, body: AcknowledgeBody, client: Client) -> None:
        """Say that somebody is on an incident."""
        state = self.known(cluster, client).state
        if incident not in state.incidents:
            open_ones = ", ".join(sorted(state.incidents)) or "none"
            raise ProblemDetailsException(
                status_code=HTTP_404_NOT_FOUND,
                title="no such open incident",
                detail=f"{incident!r} is not open; open: {open_ones}",
            )
        until_ms = self._clock_ms() + body.silence_minutes * MINUTE_MS if body.silence_minutes else None
        self._order(Acknowledge(**self._given(cluster, body), incident=incident, silence_until_ms=until_ms), client)

    def unbrake(self, cluster: str, body: OrderBody, client: Client) -> None:
        """Release the fleet brake that holds now."""
        health = self.known(cluster, client).state.health
        if health.bad_since_ms is None:
            raise ProblemDetailsException(
                status_code=HTTP_409_CONFLICT,
                title="no brake",
                detail="no fleet brake holds" + (f" that could be released: {health.brake}" if health.brake else ""),
            )
        self._order(Unbrake(**self._given(cluster, body), bad_since_ms=health.bad_since_ms), client)

    def unfence(self, cluster: str, server_ip: ServerIp, body: OrderBody, client: Client) -> None:
        """Give back what the fence of a dialer took."""
        fence = self.known(cluster, client).state.fences.get(server_ip)
        if fence is None or fence.stage not in STANDING:
            raise ProblemDetailsException(
                status_code=HTTP_409_CONFLICT, title="no fence", detail=f"hotdesk has not fenced {server_ip}"
            )
        self._order(
            Unfence(**self._given(cluster, body), server_ip=server_ip, planned_at_ms=fence.planned_at_ms), client
        )

    def forget(self, cluster: str, ends: Sequence[Entry], body: OrderBody, client: Client) -> None:
        """End all that the log keeps of a cluster."""
        decision = Decision(
            cluster=cluster, at_ms=self._clock_ms(), actor=_actor(body.by, client), what=FORGOTTEN, why=body.why
        )
        self._put([entry_of(decision), *ends])

    def known(self, cluster: str, client: Client) -> Cluster:
        """Give the view of a cluster about which this client orders something: it counts as one order."""
        view = known(self._clusters, cluster)
        seconds = self._limit.wait_for(client.limited, time.monotonic())
        if seconds:
            self._instruments.limited.labels(cluster, Limited.ORDERS).inc()
            raise too_many("orders of this client", seconds)
        return view

    def _given(self, cluster: str, body: OrderBody) -> dict[str, Any]:
        return {"cluster": cluster, "ordered_at_ms": self._clock_ms(), "by": body.by, "why": body.why}

    def _order(self, given: AnyOrder, client: Client) -> None:
        self._put([entry_of(given), entry_of(_decision(given, client, "ordered"))])

    def _take_back(self, given: AnyOrder, client: Client) -> None:
        ended = Entry(Topic.ORDERS, str(key_of(given)), None)
        self._put([ended, entry_of(_decision(given, client, "took back"))])


def _actor(by: str, client: Client) -> str:
    """Name who ordered something: as they called themselves, and by what they cannot give themselves."""
    return f"{by} ({client})"


def _decision(given: AnyOrder, client: Client, what: str) -> Decision:
    """Say who ordered it, for the audit: the name as it was given, and what nobody can give themselves."""
    key = key_of(given)
    return Decision(
        cluster=given.cluster,
        at_ms=given.ordered_at_ms,
        actor=_actor(given.by, client),
        what=f"{what}: {key.kind}",
        why=given.why,
        subject=key.name,
    )


def incident_routes(clusters: Clusters, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the route that reads incidents."""

    @get(
        "/v1/clusters/{cluster:str}/incidents",
        tags=["incident"],
        summary="Open incidents, then those that closed last, with what was decided about each agent",
        guards=[needs(Scope.READ, tokens)],
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def incidents(cluster: FromPath[str]) -> list[IncidentAnswer]:
        return incidents_of(known(clusters, cluster))

    return [incidents]


def incidents_of(view: Cluster) -> list[IncidentAnswer]:
    """Give a cluster's incidents: the open ones, then those that closed last, each the newest first."""
    newest_first = sorted(view.state.incidents.values(), key=lambda each: -each.opened_at_ms)
    return [_incident(view, each) for each in (*newest_first, *reversed(view.state.closed))]


def _route_of(tokens: Tokens) -> Callable[[Callable[..., _Routed], str, str], _Routed]:
    """Give what makes an order's route of `post` or `delete`, its path and its summary."""
    guards = [needs(Scope.ADMIN, tokens)]
    refusals = guarded(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, *WITH_A_BODY)

    def order(method: Callable[..., _Routed], path: str, summary: str) -> _Routed:
        return method(
            path,
            tags=["order"],
            summary=summary,
            guards=guards,
            status_code=HTTP_202_ACCEPTED,
            security=SECURED,
            responses=refusals,
        )

    return order


def ordering_routes(orderer: Orderer, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Make the routes by which people order something."""
    order = _route_of(tokens)

    @order(post, "/v1/clusters/{cluster:str}/resynchronise", "Have the collector publish everything it knows again")
    async def resynchronise(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> None:
        orderer.resynchronise(cluster, OrderBody(by=by, why=why), client_of(request, tokens))

    @order(post, "/v1/clusters/{cluster:str}/pause", "Observe only: detect and say, and move nobody")
    async def pause(cluster: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest) -> None:
        orderer.pause(cluster, data, client_of(request, tokens))

    @order(delete, "/v1/clusters/{cluster:str}/pause", "Go on after a pause")
    async def resume(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> None:
        orderer.resume(cluster, OrderBody(by=by, why=why), client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/dialers/{server_ip:str}/drain",
        "No new logins on this dialer; its agents leave when their calls have ended",
    )
    async def drain(
        cluster: FromPath[str], server_ip: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest
    ) -> None:
        orderer.drain(cluster, server_ip, data, client_of(request, tokens))

    @order(delete, "/v1/clusters/{cluster:str}/dialers/{server_ip:str}/drain", "Take an order to drain back")
    async def undrain(
        cluster: FromPath[str], server_ip: FromPath[str], request: AnyRequest, by: By = "api", why: Why = ""
    ) -> None:
        orderer.undrain(cluster, server_ip, OrderBody(by=by, why=why), client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/agents/{user:str}/move",
        "Move this agent to the least-loaded of the other dialers",
    )
    async def move(cluster: FromPath[str], user: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest) -> None:
        orderer.move(cluster, user, data, client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/incidents/{incident:str}/acknowledge",
        "Say that somebody is on an incident, and silence it for a while",
    )
    async def acknowledge(
        cluster: FromPath[str], incident: FromPath[str], data: JSONBody[AcknowledgeBody], request: AnyRequest
    ) -> None:
        orderer.acknowledge(cluster, incident, data, client_of(request, tokens))

    @order(post, "/v1/clusters/{cluster:str}/unbrake", "Release the fleet brake that holds now")
    async def unbrake(cluster: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest) -> None:
        orderer.unbrake(cluster, data, client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/dialers/{server_ip:str}/unfence",
        "Give back what the fence of this dialer took, now",
    )
    async def unfence(
        cluster: FromPath[str], server_ip: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest
    ) -> None:
        orderer.unfence(cluster, server_ip, data, client_of(request, tokens))

    return [resynchronise, pause, resume, drain, undrain, move, acknowledge, unbrake, unfence]


def _known_dialer(view: Cluster, server_ip: str) -> None:
    if server_ip not in view.state.dialers:
        dialers = ", ".join(sorted(view.state.dialers))
        raise ProblemDetailsException(
            status_code=HTTP_404_NOT_FOUND,
            title="unknown dialer",
            detail=f"{view.state.cluster} has no dialer {server_ip!r}; it has {dialers}",
        )


def _incident(view: Cluster, incident: Incident) -> IncidentAnswer:
    acknowledged = view.state.orders.acknowledged.get(incident.incident)
    return IncidentAnswer(
        incident=incident,
        acknowledged_by="" if acknowledged is None else acknowledged.by,
        silenced_until_ms=None if acknowledged is None else acknowledged.silence_until_ms,
        moves=tuple(each for each in view.state.relogins.values() if each.incident == incident.incident),
        agent_pauses=tuple(each for each in view.state.agent_pauses.values() if each.incident == incident.incident),
    )
