"""The controller's metrics: the state of each cluster, read at each scrape, and counters of its own work."""

import asyncio
import time
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import product
from math import inf, isfinite
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controller.core.actions import KINDS, Outcome
from controller.core.cluster import Cluster
from controller.core.clusters import Clusters, FoldedBatch
from controller.core.fleet_brake import fleet_braked
from controller.core.incidents import still_without_phone
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
        self.backlog = Gauge(*metrics.BACKLOG_RECORDS, registry=registry)
        self.pick_seconds = Histogram(*metrics.PICK_SECONDS, registry=registry, buckets=PICK_BUCKETS)
        self.picks = Counter(*metrics.PICKS, registry=registry)
        self.kept_off = Counter(*metrics.LOGINS_KEPT_OFF, registry=registry)
        self.move_seconds = Histogram(*metrics.MOVE_SECONDS, registry=registry, buckets=MOVE_BUCKETS)
        self.limited = Counter(*metrics.RATE_LIMITED, registry=registry)
        self.actions = Counter(*metrics.ACTIONS, registry=registry)
        self.in_progress = Gauge(*metrics.ACTION_IN_PROGRESS, registry=registry)
        self.actions_waiting = Gauge(*metrics.ACTIONS_WAITING, registry=registry)
        self.notifications_waiting = Gauge(*metrics.NOTIFICATIONS_WAITING, registry=registry)
        self.notifications = Counter(*metrics.NOTIFICATIONS, registry=registry)
        self._begun: set[str] = set()
        self._acting: set[str] = set()
        self._begin("")

    def note_fold(self, folded: FoldedBatch, seconds: float) -> None:
        """Count a folded batch."""
        self.fold_seconds.observe(seconds)
        for (cluster, result), count in folded.results.items():
            self._begin(cluster)
            self.folded.labels(cluster, result).inc(count)

    def note_moves(self, cluster: str, before: Mapping[int, Relogin], plan: Plan) -> None:
        """Count the moves that a plan ends well; `before`: the moves as they were."""
        self._begin_actions(cluster)
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

    def _begin_actions(self, cluster: str) -> None:
        """Start a cluster's series of actions; one that only advises has none."""
        if cluster in self._acting:
            return
        self._acting.add(cluster)
        for kind, reply in product(KINDS.values(), Reply):
            self.actions.labels(cluster, kind.name, reply)


class ClusterGauges:
    """The state of the clusters as metrics, read anew at each scrape, so that series of what is gone end.

    A thousand clusters are half a million samples, for each of which prometheus-client takes ten times as long as is
    needed here. So they are written as text at once, cluster by cluster on the event loop: folding and picks go on in
    between. It belongs to the event loop.
    """

    def __init__(self, clusters: Clusters) -> None:
        self._clusters = clusters
        self._one_scrape = asyncio.Lock()
        self._remembered: dict[str, _Remembered] = {}

    async def text(self) -> bytes:
        """Return every family in Prometheus's text format, with a sample for each dialer and cluster."""
        async with self._one_scrape:
            blocks = {spec.name: [_header(spec)] for spec in _SPECS}
            forgotten = metrics.CLUSTER_FORGOTTEN
            _append(blocks, ((forgotten, _labelled(forgotten.labels, (name,)), 1) for name in self._clusters.forgotten))
            clusters = list(self._clusters.by_name.values())
            remembered = self._remembered = {
                each.name: self._remembered.get(each.name, _Remembered()) for each in clusters
            }
            for cluster in clusters:
                remembered[cluster.name].begin()
                _append(blocks, _samples(cluster, remembered[cluster.name]))
                await asyncio.sleep(0)
            return await asyncio.to_thread(b"".join, [text for block in blocks.values() for text in block])


def _append(blocks: Mapping[str, list[bytes]], samples: Iterable["_Sample"]) -> None:
    lines: dict[str, list[str]] = {}
    for spec, labels, value in samples:
        line = value if isinstance(value, str) else f"{spec.name}{{{labels}}} {_VALUES.get(value) or _text(value)}\n"
        lines.setdefault(spec.name, []).append(line)
    for name, several in lines.items():
        blocks[name].append("".join(several).encode())


class _Remembered:
    """The lines of a cluster's families that have one for each word, such as a dialer's states: they change seldom."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], tuple[object, str]] = {}
        self._before: dict[tuple[str, str], tuple[object, str]] = {}

    def begin(self) -> None:
        """Begin a scrape: what the last one did not show is forgotten."""
        self._before, self._lines = self._lines, {}

    def lines(self, spec: metrics.Metric, labels: str, words: "_Words", values: tuple[float, ...]) -> "_Sample":
        """Return a line for each word, which is the last label, with its value."""
        known = self._before.get((spec.name, labels))
        if known is None or known[0] != values:
            texts = (
                f"{spec.name}{{{labels}{word}}} {_VALUES.get(value) or _text(value)}\n"
                for word, value in zip(words, values, strict=True)
            )
            known = values, "".join(texts)
        self._lines[spec.name, labels] = known
        return spec, labels, known[1]


def _header(spec: metrics.Metric) -> bytes:
    return f"# HELP {spec.name} {_escaped(spec.help)}\n# TYPE {spec.name} gauge\n".encode()


def _labelled(names: Sequence[str], values: Sequence[str]) -> str:
    """Return labels in Prometheus's text format."""
    return ",".join(f'{name}="{_escaped(value, quotes=True)}"' for name, value in zip(names, values, strict=True))


def _with(labels: str, spec: metrics.Metric, *values: str) -> str:
    """Return labels with the last ones of a metric beside them."""
    return f"{labels},{_labelled(spec.labels[-len(values) :], values)}"


def _dialer(cluster: str, server_ip: ServerIp, server_id: str) -> str:
    """Return the labels of a dialer, by those of its cluster."""
    return _with(cluster, metrics.DIALER_RANK, server_ip, server_id)


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _text(value: float) -> str:
    value = float(value)
    return repr(value) if isfinite(value) else {inf: "+Inf", -inf: "-Inf"}.get(value, "NaN")


_VALUES: Mapping[float, str] = {0: "0.0", 1: "1.0"}
"""The text of most values."""


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

_Sample = tuple[metrics.Metric, str, float | str]
"""A metric, its labels as text, and its value, or whole lines."""

_Words = tuple[str, ...]
"""The last label of a family with a series for each word, as text."""


def _words(spec: metrics.Metric, words: Iterable[StrEnum]) -> _Words:
    return tuple(f",{_labelled(spec.labels[-1:], [each.value])}" for each in words)


_STATUSES = _words(metrics.DIALER_AGENTS, AgentStatus)
_STATES = _words(metrics.DIALER_STATE, DialerState)
_RESULTS = _words(metrics.PROBE, ProbeResult)
_IN_STATE = {each: tuple(float(other is each) for other in DialerState) for each in DialerState}
_AS_RESULT = {each: tuple(float(other is each) for other in ProbeResult) for each in ProbeResult}
"""By word: 1 for it, and 0 for all others of its kind."""


def _samples(cluster: Cluster, remembered: _Remembered) -> Iterator[_Sample]:
    state, snapshot, stale = cluster.state, cluster.snapshot(), cluster.stale(time.monotonic())
    name = _labelled(metrics.CLUSTER_OWNED.labels, (cluster.name,))
    yield metrics.CLUSTER_OBSERVED, name, state.observed.observed_at_ms / 1000
    yield metrics.CLUSTER_SLOTS, name, len(state.decided.slots)
    yield metrics.CLUSTER_SLOTS_UNUSED, name, state.decided.slots.unused
    yield metrics.CLUSTER_DATABASE_UP, name, state.observed.outage is None
    yield metrics.CLUSTER_OWNED, name, cluster.owned
    yield metrics.CLUSTER_BRAKED, name, bool(state.observed.health.brake)
    yield metrics.CLUSTER_FLEET_BRAKED, name, fleet_braked(state.observed.health, state.decided.orders)
    yield metrics.CLUSTER_PAUSED, name, state.decided.orders.pause is not None
    yield metrics.CLUSTER_PROBES_BLIND, name, state.observed.health.blind_since_ms is not None
    picked = (state.observed.agents.get(user) for user in state.decided.logins)
    sessions = [each for each in picked if each is not None]
    yield (
        metrics.CLUSTER_AGENTS_PLACED,
        name,
        sum(each.server_ip == state.decided.logins[each.user.lower()].server_ip for each in sessions),
    )
    yield from _action_samples(name, state)
    for sight in state.decided.hooks.values():
        yield metrics.HOOK_SEEN, _with(name, metrics.HOOK_SEEN, sight.web), sight.seen_at_ms / 1000
    for incident in state.decided.incidents.values():
        yield from _incident_samples(name, state, incident)
    yield from _closed_samples(name, state)
    if snapshot.imbalance is not None:
        yield metrics.CLUSTER_IMBALANCE, name, snapshot.imbalance
    if state.observed.poll is not None:
        for kind, count in state.observed.poll.odd_rows.items():
            yield metrics.CLUSTER_ODD_ROWS, _with(name, metrics.CLUSTER_ODD_ROWS, kind), count
        for each in state.observed.poll.unread:
            seconds = (state.observed.observed_at_ms - each.since_ms) / 1000
            yield metrics.TABLE_UNREAD, _with(name, metrics.TABLE_UNREAD, each.table), seconds
        for code in state.observed.poll.doubts:
            yield metrics.CLUSTER_DOUBTED, _with(name, metrics.CLUSTER_DOUBTED, code.value), 1
    for ranked in snapshot.dialers:
        planned = state.decided.slots.planned_on(ranked.server_ip)
        dialer = state.observed.dialers[ranked.server_ip]
        offer = NOTHING if stale or ranked.rank is None else _Offer(ranked.rank, _places_free(ranked, planned))
        yield from _dialer_samples(name, dialer, ranked, offer, remembered)
    for server_ip, health in state.observed.health.dialers.items():
        yield metrics.DIALER_DEATHS, _dialer(name, server_ip, _id_of(state, server_ip)), health.deaths


def _action_samples(cluster: str, state: ClusterState) -> Iterator[_Sample]:
    stages = Counts(each.stage for each in state.decided.relogins.values())
    for stage in ReloginStage:
        yield metrics.CLUSTER_MOVES, _with(cluster, metrics.CLUSTER_MOVES, stage.value), stages[stage]
    pauses = Counts(each.stage for each in state.decided.agent_pauses.values())
    for pause_stage in AgentPauseStage:
        yield (
            metrics.CLUSTER_AGENT_PAUSES,
            _with(cluster, metrics.CLUSTER_AGENT_PAUSES, pause_stage.value),
            pauses[pause_stage],
        )
    arrivals = Counts(each.stage for each in state.decided.arrivals.values())
    for arrival_stage in ArrivalStage:
        yield (
            metrics.CLUSTER_ARRIVALS,
            _with(cluster, metrics.CLUSTER_ARRIVALS, arrival_stage.value),
            arrivals[arrival_stage],
        )
    for fence in state.decided.fences.values():
        labels = _dialer(cluster, fence.server_ip, _id_of(state, fence.server_ip))
        for fence_stage in FenceStage:
            yield metrics.FENCE, _with(labels, metrics.FENCE, fence_stage.value), fence.stage is fence_stage


def _incident_samples(cluster: str, state: ClusterState, incident: Incident) -> Iterator[_Sample]:
    labels = _dialer(cluster, incident.server_ip, _id_of(state, incident.server_ip))
    yield metrics.INCIDENT_OPEN, _with(labels, metrics.INCIDENT_OPEN, incident.kind.value), 1
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
            yield (
                metrics.INCIDENT_MOVES,
                _with(labels, metrics.INCIDENT_MOVES, to_server_ip, stage.value),
                moves[to_server_ip, stage],
            )
    acknowledged = state.decided.orders.acknowledged.get(incident.incident)
    until_ms = None if acknowledged is None else acknowledged.silence_until_ms
    yield metrics.INCIDENT_SILENCED, labels, until_ms is not None and time.time() * 1000 < until_ms


def _closed_samples(cluster: str, state: ClusterState) -> Iterator[_Sample]:
    """Yield how many agents are still without the phones that they lost, where no open incident of the dialer does."""
    in_trouble = {each.server_ip for each in state.decided.incidents.values()}
    left = Counts(each.server_ip for each in state.decided.closed for _ in still_without_phone(state, each))
    for server_ip in sorted(left.keys() - in_trouble):
        labels = _dialer(cluster, server_ip, _id_of(state, server_ip))
        yield metrics.INCIDENT_NOT_ARRIVED, labels, left[server_ip]


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


class _Offer(NamedTuple):
    """An offer of a dialer to logins; none while the ranking is stale."""

    rank: int
    places: int


NOTHING = _Offer(0, 0)


def _dialer_samples(
    cluster: str, dialer: DialerReading, ranked: RankedDialer, offer: _Offer, remembered: _Remembered
) -> Iterator[_Sample]:
    labels = _dialer(cluster, dialer.server_ip, dialer.server_id)
    agents = tuple(dialer.agents.get(status, 0) for status in AgentStatus)
    yield remembered.lines(metrics.DIALER_AGENTS, labels, _STATUSES, agents)
    yield remembered.lines(metrics.DIALER_STATE, labels, _STATES, _IN_STATE[ranked.state])
    yield metrics.DIALER_REMOTE_AGENTS, labels, dialer.remote_agents
    yield metrics.DIALER_SILENT_SCREENS, labels, dialer.silent_screens
    yield metrics.DIALER_LOST_SCREENS, labels, dialer.lost_screens
    yield metrics.DIALER_ELIGIBLE, labels, offer.rank > 0
    yield metrics.DIALER_RANK, labels, offer.rank
    yield metrics.DIALER_SLOTS, labels, ranked.slots
    yield metrics.DIALER_ROOMS_FREE, labels, ranked.rooms_free
    yield metrics.DIALER_PLACES_FREE, labels, offer.places
    heartbeat = dialer.heartbeat
    progressed_at_ms = None if heartbeat is None else heartbeat.progressed_at_ms
    yield metrics.DIALER_HEARTBEAT, labels, (progressed_at_ms or 0) / 1000
    if heartbeat is not None and heartbeat.clock_skew_seconds is not None:
        yield metrics.DIALER_SKEW, labels, heartbeat.clock_skew_seconds
    for kind, latest in dialer.probes.items():
        of_kind = f"{labels},{_labelled(metrics.PROBE.labels[-2:-1], (kind,))}"
        yield remembered.lines(metrics.PROBE, of_kind, _RESULTS, _AS_RESULT[latest])
