"""The API for incidents and orders.

An order is a record like any other: it goes to the log, every process reads it from there, and the cluster's owner
obeys it. It goes there in front of everything else, and is answered when it is stored. So the answer says that it will
be obeyed, not that it was.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from litestar import delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.status_codes import (
    HTTP_202_ACCEPTED,
    HTTP_503_SERVICE_UNAVAILABLE,
)
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace

from controller.api.auth import SECURED, AnyRequest, Client, client_of, cluster_or_404, needs, too_many
from controller.api.errors import WITH_A_BODY, guarded
from controller.api.order_subjects import (
    JustGiven,
    brake_of,
    dialer_of,
    incident_of,
    key_to_take_back,
    no_such_order,
    session_of,
    standing_fence_of,
)
from controller.api.rate_limits import Limit
from controller.api.schemas import AcknowledgeBody, IncidentAnswer, OrderAnswer, OrderBody
from controller.api.tokens import Scope, Tokens
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.previews import ordered_words, taken_back_words
from controller.runtime.metrics import ControllerInstruments, Limited
from messages.codes import DecisionCode
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
    Unbrake,
    Unfence,
)
from messages.topics import Topic
from messages.words import sentence
from stream.entries import entry_of
from stream.log import Entry, LogError
from stream.outbox import Outbox

MINUTE_MS = 60_000
STORED_SECONDS = 4.0
"""How long a person waits until an order is stored: less than hotdesk's own commands wait for an answer."""

By = Annotated[str, QueryParameter(description="name of the person who orders it", min_length=1, max_length=100)]
Why = Annotated[str, QueryParameter(description="why, for the audit", max_length=500)]
_Routed = Callable[[Callable[..., Any]], ControllerRouterHandler]


def wall_clock_ms() -> int:
    """Return the time for people to read: no decision depends on the time of an order."""
    return time.time_ns() // 1_000_000


log = structlog.get_logger()

_Ordering = Callable[..., Coroutine[Any, Any, OrderAnswer]]


def _journalled(order: _Ordering) -> _Ordering:
    """Write a refused order to the journal; one that is accepted is a decision."""

    @wraps(order)
    async def given(orderer: "Orderer", cluster: str, *about: Any) -> OrderAnswer:  # noqa: ANN401 # whatever the order has
        try:
            return await order(orderer, cluster, *about)
        except ProblemDetailsException as refused:
            *subject, body, client = about
            if refused.status_code != HTTPStatus.TOO_MANY_REQUESTS:  # which are counted, and may be very many
                log.warning(
                    "an order was refused",
                    cluster=cluster[:64],
                    order=order.__name__,
                    subject=" ".join(map(str, subject))[:100],
                    by=_actor(body.by, client),
                    why=refused.detail,
                )
            raise

    return given


class Orderer:
    """Accepts people's orders, from the API or the status page, and publishes each with its author.

    Each method raises ProblemDetailsException, with the reason, if an order makes no sense, is over the limit, or is
    not stored within `STORED_SECONDS`.
    """

    def __init__(
        self,
        clusters: Clusters,
        outbox: Outbox,
        limit: Limit,
        instruments: ControllerInstruments,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._clusters = clusters
        self._outbox = outbox
        self._limit = limit
        self._instruments = instruments
        self._clock_ms = clock_ms
        self._given = JustGiven()

    @_journalled
    async def resynchronise(self, cluster: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Order the collector to publish everything again."""
        found = self.admit_order(cluster, client)
        return await self._order(found, Resynchronise(**self._common(cluster, body)), client)

    @_journalled
    async def pause(self, cluster: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Suspend automatic moves."""
        found = self.admit_order(cluster, client)
        return await self._order(found, Pause(**self._common(cluster, body)), client)

    @_journalled
    async def drain(self, cluster: str, dialer: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Order a dialer to be emptied."""
        found = self.admit_order(cluster, client)
        server_ip = dialer_of(found, dialer)
        return await self._order(found, Drain(**self._common(cluster, body), server_ip=server_ip), client)

    @_journalled
    async def move(self, cluster: str, user: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Order an agent's move to the least-loaded of the other dialers."""
        found = self.admit_order(cluster, client)
        session = session_of(found, user)
        order = Move(**self._common(cluster, body), user=session.user, live_agent_id=session.live_agent_id)
        return await self._order(found, order, client)

    @_journalled
    async def acknowledge(self, cluster: str, incident: str, body: AcknowledgeBody, client: Client) -> OrderAnswer:
        """Record that a person is working on an incident."""
        found = self.admit_order(cluster, client)
        name = incident_of(found, incident).incident
        until_ms = self._clock_ms() + body.silence_minutes * MINUTE_MS if body.silence_minutes else None
        order = Acknowledge(**self._common(cluster, body), incident=name, silence_until_ms=until_ms)
        return await self._order(found, order, client)

    @_journalled
    async def unbrake(self, cluster: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Order the release of the present fleet brake."""
        found = self.admit_order(cluster, client)
        return await self._order(found, Unbrake(**self._common(cluster, body), bad_since_ms=brake_of(found)), client)

    @_journalled
    async def unfence(self, cluster: str, dialer: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Order a fenced dialer to be opened again."""
        found = self.admit_order(cluster, client)
        fence = standing_fence_of(found, dialer)
        order = Unfence(**self._common(cluster, body), server_ip=fence.server_ip, planned_at_ms=fence.planned_at_ms)
        return await self._order(found, order, client)

    @_journalled
    async def take_back(self, cluster: str, kind: str, subject: str, body: OrderBody, client: Client) -> OrderAnswer:
        """Revoke an order that stands, by its kind and the dialer, agent or incident that it is about."""
        found = self.admit_order(cluster, client)
        key = key_to_take_back(found, kind, subject)
        order = found.state.decided.orders.standing.get(key) or self._given.of(key, time.monotonic())
        if order is None:
            raise no_such_order(found, kind, key.name)
        ended = replace(order, **self._common(cluster, body))
        await self._give(Entry(Topic.ORDERS, str(key), None), _decision(ended, client, DecisionCode.ORDER_TAKEN_BACK))
        self._given.drop(key)
        return OrderAnswer(ordered=taken_back_words(found.state, ended))

    async def forget(self, cluster: str, ends: Sequence[Entry], body: OrderBody, client: Client) -> None:
        """Order the end of all records of a cluster; `ends` are their tombstones."""
        decision = Decision(
            cluster=cluster,
            at_ms=self._clock_ms(),
            actor=_actor(body.by, client),
            code=DecisionCode.CLUSTER_FORGOTTEN,
            what=sentence(DecisionCode.CLUSTER_FORGOTTEN),
            why=body.why,
        )
        self._outbox.put([entry_of(decision)])
        # what the collector wrote last: with its poll the cluster is gone
        await self._stored([each for each in ends if each.topic is not Topic.OBSERVATIONS])
        await self._stored([each for each in ends if each.topic is Topic.OBSERVATIONS])

    def admit_order(self, name: str, client: Client) -> Cluster:
        """Count an order of this client against its limit, and return the cluster that it is for.

        Raises:
            ProblemDetailsException: the cluster is unknown, or the client has given too many orders.
        """
        cluster = cluster_or_404(self._clusters, name)
        seconds = self._limit.spend(client.limited, time.monotonic())
        if seconds:
            self._instruments.limited.labels(name, Limited.ORDERS).inc()
            raise too_many("orders of this client", seconds)
        return cluster

    def _common(self, cluster: str, body: OrderBody) -> dict[str, Any]:
        return {"cluster": cluster, "ordered_at_ms": self._clock_ms(), "by": body.by, "why": body.why}

    async def _order(self, cluster: Cluster, order: AnyOrder, client: Client) -> OrderAnswer:
        await self._give(entry_of(order), _decision(order, client, DecisionCode.ORDERED))
        self._given.note(order, time.monotonic())
        return OrderAnswer(ordered=ordered_words(cluster.state, order, acts=cluster.acts))

    async def _give(self, entry: Entry, decision: Decision) -> None:
        """Store an order, and its line of the audit."""
        try:
            await self._stored([entry])
        except ProblemDetailsException:
            # an append that was under way may store it all the same
            decision = replace(decision, why=f"{decision.why} (answered: not ordered)".strip())
            raise
        finally:
            self._outbox.put([entry_of(decision)])

    async def _stored(self, entries: Sequence[Entry]) -> None:
        """Wait until entries are stored."""
        waiting = [asyncio.wrap_future(each) for each in self._outbox.store(entries)]
        try:
            await asyncio.wait_for(asyncio.gather(*waiting), STORED_SECONDS)
        except TimeoutError as error:
            raise _not_stored(
                f"the log has not taken it within {STORED_SECONDS:g} s, and hotdesk gives it up: look whether it is in"
                " force, and order again"
            ) from error
        except LogError as error:
            raise _not_stored(str(error)) from error


def _not_stored(why: str) -> ProblemDetailsException:
    return ProblemDetailsException(status_code=HTTP_503_SERVICE_UNAVAILABLE, title="not ordered", detail=why)


def _actor(by: str, client: Client) -> str:
    """Return the author of an order: the name that they gave, and the client, which they cannot choose."""
    return f"{by} ({client})"


def _decision(order: AnyOrder, client: Client, code: DecisionCode) -> Decision:
    """Return the line of the audit for an order."""
    key = key_of(order)
    return Decision(
        cluster=order.cluster,
        at_ms=order.ordered_at_ms,
        actor=_actor(order.by, client),
        code=code,
        what=sentence(code, kind=key.kind),
        why=order.why,
        subject=key.name,
    )


def incident_routes(clusters: Clusters, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Return the route that reads incidents."""

    @get(
        "/v1/clusters/{cluster:str}/incidents",
        tags=["incident"],
        summary="Open incidents, then those that closed last, with the move of each agent",
        guards=[needs(Scope.READ, tokens)],
        security=SECURED,
        responses=guarded(HTTPStatus.NOT_FOUND),
    )
    async def incidents(cluster: FromPath[str]) -> list[IncidentAnswer]:
        return incidents_of(cluster_or_404(clusters, cluster))

    return [incidents]


def incidents_of(cluster: Cluster) -> list[IncidentAnswer]:
    """Return a cluster's incidents: the open ones, then those that closed last, each the newest first."""
    newest_first = sorted(cluster.state.decided.incidents.values(), key=lambda each: -each.opened_at_ms)
    return [_incident(cluster, each) for each in (*newest_first, *reversed(cluster.state.decided.closed))]


def _route_of(tokens: Tokens) -> Callable[[Callable[..., _Routed], str, str], _Routed]:
    """Return a decorator for an order's route, made of `post` or `delete`, its path and its summary."""
    guards = [needs(Scope.ADMIN, tokens)]
    refusals = guarded(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE, *WITH_A_BODY)

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
    """Return the routes for people's orders."""
    order = _route_of(tokens)

    @order(post, "/v1/clusters/{cluster:str}/resynchronise", "Have the collector publish everything again")
    async def resynchronise(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> OrderAnswer:
        return await orderer.resynchronise(cluster, OrderBody(by=by, why=why), client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/pause",
        "Suspend automatic moves: keep detecting and reporting, but move no one",
    )
    async def pause(cluster: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest) -> OrderAnswer:
        return await orderer.pause(cluster, data, client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/dialers/{dialer:str}/drain",
        "Empty a dialer: send no new logins there, and move its agents away after their calls",
    )
    async def drain(
        cluster: FromPath[str], dialer: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest
    ) -> OrderAnswer:
        return await orderer.drain(cluster, dialer, data, client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/agents/{user:str}/move",
        "Move this agent to the least-loaded of the other dialers",
    )
    async def move(
        cluster: FromPath[str], user: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest
    ) -> OrderAnswer:
        return await orderer.move(cluster, user, data, client_of(request, tokens))

    @order(
        post,
        "/v1/clusters/{cluster:str}/incidents/{incident:str}/acknowledge",
        "Record that a person is working on an incident, and silence its alarms for a while",
    )
    async def acknowledge(
        cluster: FromPath[str], incident: FromPath[str], data: JSONBody[AcknowledgeBody], request: AnyRequest
    ) -> OrderAnswer:
        return await orderer.acknowledge(cluster, incident, data, client_of(request, tokens))

    @order(post, "/v1/clusters/{cluster:str}/unbrake", "Release the present fleet brake")
    async def unbrake(cluster: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest) -> OrderAnswer:
        return await orderer.unbrake(cluster, data, client_of(request, tokens))

    @order(post, "/v1/clusters/{cluster:str}/dialers/{dialer:str}/unfence", "Open a fenced dialer to logins again, now")
    async def unfence(
        cluster: FromPath[str], dialer: FromPath[str], data: JSONBody[OrderBody], request: AnyRequest
    ) -> OrderAnswer:
        return await orderer.unfence(cluster, dialer, data, client_of(request, tokens))

    return [resynchronise, pause, drain, move, acknowledge, unbrake, unfence, *_ends(orderer, tokens)]


def _ends(orderer: Orderer, tokens: Tokens) -> list[ControllerRouterHandler]:
    """Return the routes that take orders back: each at the address at which the order is given."""
    order = _route_of(tokens)

    async def end(kind: str, of: tuple[str, str], request: AnyRequest, said: tuple[str, str]) -> OrderAnswer:
        body = OrderBody(by=said[0], why=said[1])
        return await orderer.take_back(of[0], kind, of[1], body, client_of(request, tokens))

    @order(delete, "/v1/clusters/{cluster:str}/pause", "Resume automatic moves")
    async def resume(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> OrderAnswer:
        return await end("pause", (cluster, ""), request, (by, why))

    @order(delete, "/v1/clusters/{cluster:str}/unbrake", "Take the release of the fleet brake back")
    async def brake(cluster: FromPath[str], request: AnyRequest, by: By = "api", why: Why = "") -> OrderAnswer:
        return await end("unbrake", (cluster, ""), request, (by, why))

    @order(delete, "/v1/clusters/{cluster:str}/dialers/{dialer:str}/drain", "Take a drain back")
    async def undrain(
        cluster: FromPath[str], dialer: FromPath[str], request: AnyRequest, by: By = "api", why: Why = ""
    ) -> OrderAnswer:
        return await end("drain", (cluster, dialer), request, (by, why))

    @order(
        delete, "/v1/clusters/{cluster:str}/dialers/{dialer:str}/unfence", "Take an order to open a fenced dialer back"
    )
    async def fence(
        cluster: FromPath[str], dialer: FromPath[str], request: AnyRequest, by: By = "api", why: Why = ""
    ) -> OrderAnswer:
        return await end("unfence", (cluster, dialer), request, (by, why))

    @order(delete, "/v1/clusters/{cluster:str}/agents/{user:str}/move", "Take the order of a move back, while it waits")
    async def unmove(
        cluster: FromPath[str], user: FromPath[str], request: AnyRequest, by: By = "api", why: Why = ""
    ) -> OrderAnswer:
        return await end("move", (cluster, user), request, (by, why))

    @order(delete, "/v1/clusters/{cluster:str}/incidents/{incident:str}/acknowledge", "Take an acknowledgement back")
    async def unacknowledge(
        cluster: FromPath[str], incident: FromPath[str], request: AnyRequest, by: By = "api", why: Why = ""
    ) -> OrderAnswer:
        return await end("acknowledge", (cluster, incident), request, (by, why))

    return [resume, brake, undrain, fence, unmove, unacknowledge]


def _incident(cluster: Cluster, incident: Incident) -> IncidentAnswer:
    decided = cluster.state.decided
    acknowledged = decided.orders.acknowledged.get(incident.incident)
    return IncidentAnswer(
        incident=incident,
        acknowledged_by="" if acknowledged is None else acknowledged.by,
        silenced_until_ms=None if acknowledged is None else acknowledged.silence_until_ms,
        moves=tuple(each for each in decided.relogins.values() if each.incident == incident.incident),
        agent_pauses=tuple(each for each in decided.agent_pauses.values() if each.incident == incident.incident),
        arrivals=tuple(each for each in decided.arrivals.values() if each.incident == incident.incident),
    )
