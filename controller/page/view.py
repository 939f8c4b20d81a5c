"""The contents of the status page. Pure: plain data that compares, so that nothing is rendered twice.

Nothing in it changes by itself: times are points in time, and a sound heartbeat always has the same words. So a
calm cluster costs its viewers nothing.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from urllib.parse import urlencode

import msgspec

from controller.api.order_previews import standing_orders
from controller.api.schemas import IncidentAnswer, StandingOrder
from controller.core.explanations import (
    heartbeat_words,
    is_advice,
    name_of,
    progress_words,
    sentence_about,
    silent_screens,
    why_words,
)
from controller.core.fences import STANDING
from controller.core.fleet_brake import fleet_braked
from controller.core.state import ClusterState
from controller.core.tones import Tone, tone_of
from messages.records import AgentStatus, Decision, DialerState, HookSight, Incident, RankingSnapshot, Relogin
from messages.words import sentence

DECISIONS_SHOWN = 30
TIMELINE_SHOWN = 200
CLOSED_SHOWN = 5
SILENT_SHOWN = 50
LISTED_OPEN = 10
"""Agents who are not moved, of one incident: a longer list is closed at first, so that the dialers stay in sight."""
WORST_FIRST = (
    DialerState.DOWN,
    DialerState.SUSPECT,
    DialerState.CLOSED,
    DialerState.DRAINING,
    DialerState.RECOVERING,
    DialerState.UNKNOWN,
    DialerState.UP,
)
"""The order of the dialers, by state: with forty of them somebody looks for the one that is dead."""
RUNBOOKS = {DialerState.DOWN: "HotdeskDialerDown"}
"""The runbook of an incident, by its kind; any other kind is a dialer that somebody wants empty."""
WANTED_EMPTY = "HotdeskDrainingTooLong"
AROUND_MS = 300_000
"""Time before and after an incident that its dashboard shows."""


class DialerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dialer."""

    server_ip: str
    server_id: str
    description: str
    state: DialerState
    since_ms: int
    reason: str
    """The evidence for the state, and the reasons against logins; empty: it is simply up."""
    rank: int | None
    agents: int
    statuses: tuple[str, ...]
    """How many of the agents have which status, a few words each."""
    slots: int
    rooms_free: int
    load: float
    heartbeat: str
    drained: bool
    """A person has ordered a drain."""
    fenced: bool
    """A person may order the fenced dialer to be opened again."""


class SilentScreen(msgspec.Struct, frozen=True, kw_only=True):
    """An agent whose screen is silent."""

    user: str
    dialer: str
    since_ms: int


class IncidentCard(msgspec.Struct, frozen=True, kw_only=True):
    """One open incident."""

    answer: IncidentAnswer
    dialer: str
    progress: str
    """The progress of its moves in words."""
    moves: tuple[Relogin, ...]
    arrivals: dict[str, str]
    """By user: how far the arrival is, in words."""
    runbook: str
    """The name of the page on what to do about it."""
    advice: bool
    """Its moves are only advised."""
    timeline: tuple[Decision, ...]
    """The latest decisions about it, in their order."""
    decisions: int
    """The number of decisions about it in all."""


class ClusterPage(msgspec.Struct, frozen=True, kw_only=True):
    """The changing part of a cluster's page."""

    cluster: str
    sentence: str
    tone: Tone
    stale: bool
    braked: bool
    """The fleet brake is on, and a person may release it."""
    suspended: bool
    acts: bool
    """The mode is act: moves are carried out; otherwise they are advice."""
    imbalance: float | None
    highest_load: float
    """Of all dialers, at least 1: a full bar."""
    owner: str
    dialers: tuple[DialerRow, ...]
    incidents: tuple[IncidentCard, ...]
    closed: tuple[IncidentAnswer, ...]
    silent_screens: int
    """The number of agents whose screen is silent."""
    silent: tuple[SilentScreen, ...]
    """Those of them that fell silent first."""
    hooks: tuple[HookSight, ...]
    """The web servers whose login hook asks, the latest first."""
    standing: tuple[StandingOrder, ...]
    """The orders that stand."""
    decisions: tuple[Decision, ...]
    """The latest decisions, the newest first."""


class ClusterLine(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster's line in the list of all clusters."""

    cluster: str
    sentence: str
    tone: Tone
    dialers: int
    taking: int
    """The number of them that take new logins."""
    agents: int
    incidents: int


def cluster_line(state: ClusterState, snapshot: RankingSnapshot, *, stale: bool) -> ClusterLine:
    """Return a cluster's line in the list of all clusters."""
    return ClusterLine(
        cluster=state.cluster,
        sentence=sentence_about(state, stale=stale),
        tone=tone_of(state, stale=stale),
        dialers=len(snapshot.dialers),
        taking=0 if stale else sum(each.rank is not None for each in snapshot.dialers),
        agents=sum(each.agents for each in snapshot.dialers),
        incidents=len(state.decided.incidents),
    )


def cluster_page(  # noqa: PLR0913 # the facts of a page, each once
    state: ClusterState,
    snapshot: RankingSnapshot,
    incidents: Iterable[IncidentAnswer],
    decisions: Iterable[Decision],
    *,
    stale: bool,
    acts: bool,
) -> ClusterPage:
    """Return the contents of a cluster's page now.

    Args:
        state: as of the latest poll.
        snapshot: the ranking for readers.
        incidents: the open ones, then those that closed last.
        decisions: in the order in which they were made.
        stale: nothing is offered, since nothing is known.
        acts: the mode is act.
    """
    answers, made = list(incidents), list(decisions)
    return ClusterPage(
        cluster=state.cluster,
        sentence=sentence_about(state, stale=stale),
        tone=tone_of(state, stale=stale),
        stale=stale,
        braked=fleet_braked(state.observed.health, state.decided.orders),
        suspended=state.decided.orders.pause is not None,
        acts=acts,
        imbalance=snapshot.imbalance,
        highest_load=max((round(each.load, 2) for each in snapshot.dialers), default=0.0) or 1.0,
        owner=snapshot.owner,
        dialers=_dialer_rows(state, snapshot, stale=stale),
        incidents=tuple(_card(state, each, made) for each in answers if each.incident.closed_at_ms is None),
        closed=tuple(islice((each for each in answers if each.incident.closed_at_ms is not None), CLOSED_SHOWN)),
        silent_screens=silent_screens(state),
        silent=_silent(state),
        hooks=tuple(state.decided.hooks.values()),
        standing=tuple(standing_orders(state, acts=acts)),
        decisions=tuple(made[: -DECISIONS_SHOWN - 1 : -1]),
    )


def _dialer_rows(state: ClusterState, snapshot: RankingSnapshot, *, stale: bool) -> tuple[DialerRow, ...]:
    return tuple(
        DialerRow(
            server_ip=each.server_ip,
            server_id=each.server_id,
            description=state.observed.dialers[each.server_ip].description,
            state=each.state,
            since_ms=each.since_ms,
            reason=why_words(each),
            rank=None if stale else each.rank,
            agents=each.agents,
            statuses=_statuses(state.observed.dialers[each.server_ip].agents),
            slots=each.slots,
            rooms_free=each.rooms_free,
            load=round(each.load, 2),
            heartbeat="not known now" if stale else heartbeat_words(each),
            drained=each.server_ip in state.decided.orders.drains,
            fenced=each.server_ip in state.decided.fences and state.decided.fences[each.server_ip].stage in STANDING,
        )
        for each in sorted(snapshot.dialers, key=lambda each: WORST_FIRST.index(each.state))
    )


def _statuses(agents: Mapping[AgentStatus, int]) -> tuple[str, ...]:
    return tuple(f"{agents[status]} {status}" for status in AgentStatus if agents.get(status))


def _silent(state: ClusterState) -> tuple[SilentScreen, ...]:
    if not silent_screens(state):
        return ()
    silent = [
        SilentScreen(user=each.user, dialer=name_of(state, each.server_ip), since_ms=each.screen_silent_since_ms)
        for each in state.observed.agents.values()
        if each.screen_silent_since_ms is not None
    ]
    return tuple(sorted(silent, key=lambda each: (each.since_ms, each.user))[:SILENT_SHOWN])


def dashboard_path(incident: Incident) -> str:
    """Return where in Grafana an incident is shown: the path of hotdesk's dashboard of failovers, at that time."""
    until = "now" if incident.closed_at_ms is None else str(incident.closed_at_ms + AROUND_MS)
    shown = {
        "var-cluster": incident.cluster,
        "var-dialer": incident.server_ip,
        "from": str(incident.opened_at_ms - AROUND_MS),
        "to": until,
    }
    return f"/d/hotdesk-failover?{urlencode(shown)}"


def _card(state: ClusterState, answer: IncidentAnswer, decisions: Iterable[Decision]) -> IncidentCard:
    incident = answer.incident
    concerned = {incident.server_ip, *(each.user for each in answer.moves)}
    concerned |= {each.user for each in answer.agent_pauses}
    concerned |= {each.user for each in incident.listed}
    timeline = [each for each in decisions if each.at_ms >= incident.opened_at_ms and each.subject in concerned]
    advice = is_advice(answer.moves)
    return IncidentCard(
        answer=answer,
        dialer=name_of(state, incident.server_ip),
        progress=progress_words(incident, advice=advice),
        moves=tuple(sorted(answer.moves, key=lambda each: (each.planned_at_ms, each.user))),
        arrivals={each.user: sentence(each.stage) for each in answer.arrivals},
        runbook=RUNBOOKS.get(incident.kind, WANTED_EMPTY),
        advice=advice,
        timeline=tuple(timeline[-TIMELINE_SHOWN:]),
        decisions=len(timeline),
    )
