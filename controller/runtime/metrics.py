"""The controller's metrics: the state of each cluster, read at each scrape, and counters of its own work."""

import asyncio
import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.core.actions import KINDS, Outcome
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters, FoldedBatch
from controller.core.fleet_brake import fleet_braked
from controller.core.news import Result
from controller.core.plan import Plan
from controller.core.state import ClusterState
from messages import metrics
from messages.codes import Reply
from messages.records import (
    NOT_ARRIVED,
    Action,
    AgentPauseStage,
    AgentStatus,
    ArrivalStage,
    DialerReading,
    DialerState,
    FenceStage,
    Incident,
    ProbeResult,
    RankedDialer,
    Relogin,
    ReloginStage,
    ServerIp,
)

PICK_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
MOVE_BUCKETS = (1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300)
FOLD_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1)


class PickOutcome(StrEnum):
    """The outcome of a pick; a label."""

    PICKED = "picked"
    DEGRADED = "degraded"
    REFUSED = "refused"


class Limited(StrEnum):
    """The limit that a request exceeded; a label."""

    CLIENT = "client"
    VISITOR = "visitor"
    CLUSTER = "cluster"
    RELOGINS = "relogins"
    ORDERS = "orders"


class ControllerInstruments:
    """The metrics of the controller's own work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.folded = Counter(*metrics.RECORDS_FOLDED, registry=registry)
        self.fold_seconds = Histogram(*metrics.FOLD_SECONDS, registry=registry, buckets=FOLD_BUCKETS)
        self.lag = Gauge(*metrics.CONSUMER_LAG, registry=registry)
        self.pick_seconds = Histogram(*metrics.PICK_SECONDS, registry=registry, buckets=PICK_BUCKETS)
        self.picks = Counter(*metrics.PICKS, registry=registry)
        self.kept_off = Counter(*metrics.LOGINS_KEPT_OFF, registry=registry)
        self.move_seconds = Histogram(*metrics.MOVE_SECONDS, registry=registry, buckets=MOVE_BUCKETS)
        self.limited = Counter(*metrics.RATE_LIMITED, registry=registry)
        self.actions = Counter(*metrics.ACTIONS, registry=registry)
        self.in_progress = Gauge(*metrics.ACTION_IN_PROGRESS, registry=registry)
        self.notifications = Counter(*metrics.NOTIFICATIONS, registry=registry)
        self._begun: set[str] = set()
        self._begin("")

    def note_fold(self, folded: FoldedBatch, seconds: float) -> None:
        """Count a folded batch."""
        self.fold_seconds.observe(seconds)
        for (cluster, result), count in folded.results.items():
            self._begin(cluster)
            self.folded.labels(cluster, result).inc(count)

    def note_moves(self, cluster: str, before: Mapping[int, Relogin], plan: Plan) -> None:
        """Count the moves that a plan ends well; `before`: the moves as they were."""
        for record in plan.records:
            if not isinstance(record, Relogin) or record.stage is not ReloginStage.MOVED:
                continue
            former = before.get(record.live_agent_id)
            if former is not None and former.stage is not ReloginStage.MOVED:
                self.move_seconds.labels(cluster).observe((record.changed_at_ms - record.planned_at_ms) / 1000)

    def note_passed_over(self, records: Mapping[str, int]) -> None:
        """Count by cluster the records that were not folded since later ones superseded them; from any thread."""
        for cluster, count in records.items():
            self.folded.labels(cluster, Result.SUPERSEDED).inc(count)

    def note_outcome(self, action: Action, outcome: Outcome) -> None:
        """Count an executor's attempt; from any thread."""
        self.actions.labels(action.cluster, KINDS[type(action)].name, outcome.reply).inc()

    def _begin(self, cluster: str) -> None:
        """Start a cluster's series at 0: a series that appears only at the first failure has no rate."""
        if cluster in self._begun:
            return
        self._begun.add(cluster)
        for result in Result:
            self.folded.labels(cluster, result)
        for outcome in PickOutcome:
            self.picks.labels(cluster, outcome)
        for limit in Limited:
            self.limited.labels(cluster, limit)
        self.kept_off.labels(cluster)
        self.move_seconds.labels(cluster)
        for kind, reply in product(KINDS.values(), Reply):
            self.actions.labels(cluster, kind.name, reply)


class ClusterGauges:
    """The state of the clusters as metrics, read anew at each scrape, so that series of what is gone end.

    A thousand clusters are half a million samples. They are read cluster by cluster on the event loop, and rendered in
    a thread, so that folding and picks go on meanwhile. It belongs to the event loop.
    """

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self._one_scrape = asyncio.Lock()

    async def text(self) -> bytes:
        """Return every family in Prometheus's text format, with a sample for each dialer and cluster."""
        async with self._one_scrape:
            blocks = {spec.name: [header] for spec, header in zip(_SPECS, _texts(_families(())), strict=True)}
            gone = _families((metrics.CLUSTER_FORGOTTEN, (name,), 1.0) for name in self._clusters.forgotten)
            for block, text in zip(blocks.values(), _texts(gone), strict=True):
                block.append(text.removeprefix(block[0]))
            for cluster in list(self._clusters.by_name.values()):
                families = _families(_samples(cluster))
                for block, text in zip(blocks.values(), await asyncio.to_thread(_texts, families), strict=True):
                    block.append(text.removeprefix(block[0]))
            return b"".join(text for block in blocks.values() for text in block)


def _families(samples: Iterable["_Sample"]) -> list[GaugeMetricFamily]:
    """Return a family for each of `_SPECS`, in that order, with its samples."""
    families = {spec: GaugeMetricFamily(spec.name, spec.help, labels=spec.labels) for spec in _SPECS}
    for spec, labels, value in samples:
        families[spec].add_metric(labels, value)
    return list(families.values())


def _texts(families: Iterable[GaugeMetricFamily]) -> list[bytes]:
    """Return the text of each family: its header, then its samples."""
    return [generate_latest(_Alone(family)) for family in families]


class _Alone(Collector):
    """A family by itself, for `generate_latest`."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


_SPECS = (
    metrics.DIALER_AGENTS,
    metrics.DIALER_REMOTE_AGENTS,
    metrics.DIALER_SILENT_SCREENS,
    metrics.DIALER_LOST_SCREENS,
    metrics.DIALER_ELIGIBLE,
    metrics.DIALER_RANK,
    metrics.DIALER_SLOTS,
    metrics.DIALER_ROOMS_FREE,
    metrics.DIALER_PLACES_FREE,
    metrics.DIALER_HEARTBEAT,
    metrics.DIALER_SKEW,
    metrics.PROBE,
    metrics.DIALER_STATE,
    metrics.DIALER_DEATHS,
    metrics.INCIDENT_OPEN,
    metrics.INCIDENT_AGENTS,
    metrics.INCIDENT_NOT_MOVED,
    metrics.INCIDENT_NOT_ARRIVED,
    metrics.INCIDENT_OPENED,
    metrics.INCIDENT_EXPECTED,
    metrics.INCIDENT_MOVES,
    metrics.INCIDENT_SILENCED,
    metrics.FENCE,
    metrics.CLUSTER_BRAKED,
    metrics.CLUSTER_FLEET_BRAKED,
    metrics.CLUSTER_PAUSED,
    metrics.CLUSTER_PROBES_BLIND,
    metrics.CLUSTER_AGENTS_PLACED,
    metrics.HOOK_SEEN,
    metrics.CLUSTER_MOVES,
    metrics.CLUSTER_AGENT_PAUSES,
    metrics.CLUSTER_ARRIVALS,
    metrics.CLUSTER_IMBALANCE,
    metrics.CLUSTER_OBSERVED,
    metrics.CLUSTER_SLOTS,
    metrics.CLUSTER_SLOTS_UNUSED,
    metrics.CLUSTER_ODD_ROWS,
    metrics.TABLE_UNREAD,
    metrics.CLUSTER_DOUBTED,
    metrics.CLUSTER_DATABASE_UP,
    metrics.CLUSTER_OWNED,
    metrics.CLUSTER_FORGOTTEN,
)

_Sample = tuple[metrics.Metric, tuple[str, ...], float]


def _samples(cluster: Cluster) -> Iterator[_Sample]:
    name, state, snapshot, stale = cluster.name, cluster.state, cluster.snapshot(), cluster.stale(time.monotonic())
    yield metrics.CLUSTER_OBSERVED, (name,), state.observed.observed_at_ms / 1000
    yield metrics.CLUSTER_SLOTS, (name,), len(state.decided.slots)
    yield metrics.CLUSTER_SLOTS_UNUSED, (name,), state.decided.slots.unused
    yield metrics.CLUSTER_DATABASE_UP, (name,), state.observed.outage is None
    yield metrics.CLUSTER_OWNED, (name,), cluster.owned
    yield metrics.CLUSTER_BRAKED, (name,), bool(state.observed.health.brake)
    yield metrics.CLUSTER_FLEET_BRAKED, (name,), fleet_braked(state.observed.health, state.decided.orders)
    yield metrics.CLUSTER_PAUSED, (name,), state.decided.orders.pause is not None
    yield metrics.CLUSTER_PROBES_BLIND, (name,), state.observed.health.blind_since_ms is not None
    picked = (state.observed.agents.get(user) for user in state.decided.logins)
    sessions = [each for each in picked if each is not None]
    yield (
        metrics.CLUSTER_AGENTS_PLACED,
        (name,),
        sum(each.server_ip == state.decided.logins[each.user.lower()].server_ip for each in sessions),
    )
    yield from _action_samples(state)
    for sight in state.decided.hooks.values():
        yield metrics.HOOK_SEEN, (name, sight.web), sight.seen_at_ms / 1000
    for incident in state.decided.incidents.values():
        yield from _incident_samples(state, incident)
    if snapshot.imbalance is not None:
        yield metrics.CLUSTER_IMBALANCE, (name,), snapshot.imbalance
    if state.observed.poll is not None:
        for kind, count in state.observed.poll.odd_rows.items():
            yield metrics.CLUSTER_ODD_ROWS, (name, kind), count
        for each in state.observed.poll.unread:
            seconds = (state.observed.observed_at_ms - each.since_ms) / 1000
            yield metrics.TABLE_UNREAD, (name, each.table), seconds
        for code in state.observed.poll.doubts:
            yield metrics.CLUSTER_DOUBTED, (name, code.value), 1
    for ranked in snapshot.dialers:
        planned = state.decided.slots.planned_on(ranked.server_ip)
        yield from _dialer_samples(name, state.observed.dialers[ranked.server_ip], ranked, planned, stale=stale)
    for server_ip, health in state.observed.health.dialers.items():
        yield metrics.DIALER_DEATHS, (name, server_ip, _id_of(state, server_ip)), health.deaths


def _action_samples(state: ClusterState) -> Iterator[_Sample]:
    stages = Counts(each.stage for each in state.decided.relogins.values())
    for stage in ReloginStage:
        yield metrics.CLUSTER_MOVES, (state.cluster, stage.value), stages[stage]
    pauses = Counts(each.stage for each in state.decided.agent_pauses.values())
    for pause_stage in AgentPauseStage:
        yield metrics.CLUSTER_AGENT_PAUSES, (state.cluster, pause_stage.value), pauses[pause_stage]
    arrivals = Counts(each.stage for each in state.decided.arrivals.values())
    for arrival_stage in ArrivalStage:
        yield metrics.CLUSTER_ARRIVALS, (state.cluster, arrival_stage.value), arrivals[arrival_stage]
    for fence in state.decided.fences.values():
        labels = (state.cluster, fence.server_ip, _id_of(state, fence.server_ip))
        for fence_stage in FenceStage:
            yield metrics.FENCE, (*labels, fence_stage.value), fence.stage is fence_stage


def _incident_samples(state: ClusterState, incident: Incident) -> Iterator[_Sample]:
    labels = (state.cluster, incident.server_ip, _id_of(state, incident.server_ip))
    yield metrics.INCIDENT_OPEN, (*labels, incident.kind.value), 1
    yield metrics.INCIDENT_AGENTS, labels, incident.agents
    missing = sum(each.why in NOT_ARRIVED for each in incident.listed)
    yield metrics.INCIDENT_NOT_MOVED, labels, len(incident.listed) - missing
    yield metrics.INCIDENT_NOT_ARRIVED, labels, missing
    yield metrics.INCIDENT_OPENED, labels, incident.opened_at_ms / 1000
    died_empty = incident.kind is DialerState.DOWN and not incident.agents and _emptied(state, incident.server_ip)
    yield metrics.INCIDENT_EXPECTED, labels, incident.in_maintenance or died_empty
    moves = Counts(
        (each.to_server_ip, each.stage)
        for each in state.decided.relogins.values()
        if each.incident == incident.incident
    )
    for to_server_ip in sorted({to for to, _ in moves}):
        for stage in ReloginStage:
            yield metrics.INCIDENT_MOVES, (*labels, to_server_ip, stage.value), moves[to_server_ip, stage]
    acknowledged = state.decided.orders.acknowledged.get(incident.incident)
    until_ms = None if acknowledged is None else acknowledged.silence_until_ms
    yield metrics.INCIDENT_SILENCED, labels, until_ms is not None and time.time() * 1000 < until_ms


def _emptied(state: ClusterState, server_ip: ServerIp) -> bool:
    """Return True if the dialer was to be emptied: its death needs no alarm then."""
    health = state.observed.health.dialers.get(server_ip)
    return server_ip in state.decided.orders.drains or (health is not None and health.switched_off_since_ms is not None)


def _places_free(ranked: RankedDialer, planned: int) -> int:
    """Return how many agents more a dialer takes; slots that anybody can make by a login form take no place."""
    if ranked.max_agents is None:
        return ranked.rooms_free
    return min(ranked.rooms_free, max(0, ranked.max_agents - ranked.agents - planned))


def _id_of(state: ClusterState, server_ip: ServerIp) -> str:
    dialer = state.observed.dialers.get(server_ip)
    return "" if dialer is None else dialer.server_id


def _dialer_samples(
    cluster: str, dialer: DialerReading, ranked: RankedDialer, planned: int, *, stale: bool
) -> Iterator[_Sample]:
    labels = (cluster, dialer.server_ip, dialer.server_id)
    rank = 0 if stale or ranked.rank is None else ranked.rank
    for status in AgentStatus:
        yield metrics.DIALER_AGENTS, (*labels, status.value), dialer.agents.get(status, 0)
    for judged in DialerState:
        yield metrics.DIALER_STATE, (*labels, judged.value), ranked.state is judged
    yield metrics.DIALER_REMOTE_AGENTS, labels, dialer.remote_agents
    yield metrics.DIALER_SILENT_SCREENS, labels, dialer.silent_screens
    yield metrics.DIALER_LOST_SCREENS, labels, dialer.lost_screens
    yield metrics.DIALER_ELIGIBLE, labels, rank > 0
    yield metrics.DIALER_RANK, labels, rank
    yield metrics.DIALER_SLOTS, labels, ranked.slots
    yield metrics.DIALER_ROOMS_FREE, labels, ranked.rooms_free
    yield metrics.DIALER_PLACES_FREE, labels, _places_free(ranked, planned) if rank else 0
    heartbeat = dialer.heartbeat
    progressed_at_ms = None if heartbeat is None else heartbeat.progressed_at_ms
    yield metrics.DIALER_HEARTBEAT, labels, (progressed_at_ms or 0) / 1000
    if heartbeat is not None and heartbeat.clock_skew_seconds is not None:
        yield metrics.DIALER_SKEW, labels, heartbeat.clock_skew_seconds
    for kind, latest in dialer.probes.items():
        for result in ProbeResult:
            yield metrics.PROBE, (*labels, kind, result.value), latest is result
