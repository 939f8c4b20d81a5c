"""What the status page shows of a cluster. Pure: plain data that compares, so that nothing is rendered twice.

Nothing in it changes by itself: times are points in time, and a heartbeat that is well is always the same words. So a
calm cluster costs its viewers nothing.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice

import msgspec

from controller.api.schemas import IncidentAnswer
from controller.core.detector import fleet_braked
from controller.core.explanations import (
    heartbeat_words,
    is_advice,
    is_unjudged,
    name_of,
    progress_words,
    sentence_about,
    why_words,
)
from controller.core.fences import STANDING
from controller.core.state import ClusterState
from messages.records import Decision, DialerState, RankingSnapshot, Relogin

DECISIONS_SHOWN = 30
TIMELINE_SHOWN = 200
CLOSED_SHOWN = 5


class Tone(StrEnum):
    """How a cluster is, at a glance."""

    WELL = "well"
    TROUBLE = "trouble"
    """A dialer is down or agents are held back."""
    CARE = "care"
    """Something is not as it should be, and nobody has to get up for it."""
    BLIND = "blind"
    """Nothing is known."""


class DialerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One dialer."""

    server_ip: str
    server_id: str
    description: str
    state: DialerState
    since_ms: int
    reason: str
    """What speaks for the state, and why it takes no logins; empty: it is simply up."""
    rank: int | None
    agents: int
    slots: int
    rooms_free: int
    load: float
    heartbeat: str
    drained: bool
    """By order."""
    fenced: bool
    """A person may order the fence given back."""


class IncidentCard(msgspec.Struct, frozen=True, kw_only=True):
    """One open incident."""

    told: IncidentAnswer
    dialer: str
    progress: str
    """How far its moves have come."""
    moves: tuple[Relogin, ...]
    advice: bool
    """Its moves are only said."""
    timeline: tuple[Decision, ...]
    """What was decided and done about it lately, in that order."""
    decisions: int
    """How many that are in all."""


class ClusterPage(msgspec.Struct, frozen=True, kw_only=True):
    """All that changes on a cluster's page."""

    cluster: str
    sentence: str
    tone: Tone
    stale: bool
    braked: bool
    """By a brake that a person may release."""
    paused: bool
    acts: bool
    """Moves are carried out; else they are advice."""
    imbalance: float | None
    owner: str
    dialers: tuple[DialerRow, ...]
    incidents: tuple[IncidentCard, ...]
    closed: tuple[IncidentAnswer, ...]
    decisions: tuple[Decision, ...]
    """The latest, the newest first."""


class ClusterLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the list of all clusters says of one."""

    cluster: str
    sentence: str
    tone: Tone
    dialers: int
    taking: int
    """Of them, those that take new logins."""
    agents: int
    incidents: int


def cluster_line(state: ClusterState, snapshot: RankingSnapshot, *, stale: bool) -> ClusterLine:
    """Put together what the list of all clusters says of one."""
    return ClusterLine(
        cluster=state.cluster,
        sentence=sentence_about(state, stale=stale),
        tone=_tone(state, stale=stale),
        dialers=len(snapshot.dialers),
        taking=0 if stale else sum(each.rank is not None for each in snapshot.dialers),
        agents=sum(each.agents for each in snapshot.dialers),
        incidents=len(state.incidents),
    )


def cluster_page(  # noqa: PLR0913 # what a page rests on, each once
    state: ClusterState,
    snapshot: RankingSnapshot,
    incidents: Iterable[IncidentAnswer],
    decisions: Iterable[Decision],
    *,
    stale: bool,
    acts: bool,
) -> ClusterPage:
    """Put together what the page of a cluster shows now.

    Args:
        state: as of the latest poll.
        snapshot: the ranking that readers get.
        incidents: the open ones, then those that closed last.
        decisions: in the order in which they were made.
        stale: nothing is offered, since nothing is known.
        acts: whether moves are carried out.
    """
    told, made = list(incidents), list(decisions)
    return ClusterPage(
        cluster=state.cluster,
        sentence=sentence_about(state, stale=stale),
        tone=_tone(state, stale=stale),
        stale=stale,
        braked=fleet_braked(state.health, state.orders),
        paused=state.orders.pause is not None,
        acts=acts,
        imbalance=snapshot.imbalance,
        owner=snapshot.owner,
        dialers=_dialer_rows(state, snapshot, stale=stale),
        incidents=tuple(_card(state, each, made) for each in told if each.incident.closed_at_ms is None),
        closed=tuple(islice((each for each in told if each.incident.closed_at_ms is not None), CLOSED_SHOWN)),
        decisions=tuple(made[: -DECISIONS_SHOWN - 1 : -1]),
    )


def _tone(state: ClusterState, *, stale: bool) -> Tone:
    if stale:
        return Tone.BLIND
    judged = {each.state for each in state.health.dialers.values()}
    if state.outage is not None or state.health.brake or DialerState.DOWN in judged or is_unjudged(state):
        return Tone.TROUBLE
    return Tone.WELL if judged <= {DialerState.UP} and state.orders.pause is None else Tone.CARE


def _dialer_rows(state: ClusterState, snapshot: RankingSnapshot, *, stale: bool) -> tuple[DialerRow, ...]:
    return tuple(
        DialerRow(
            server_ip=each.server_ip,
            server_id=each.server_id,
            description=state.dialers[each.server_ip].description,
            state=each.state,
            since_ms=each.since_ms,
            reason=why_words(each),
            rank=None if stale else each.rank,
            agents=each.agents,
            slots=each.slots,
            rooms_free=each.rooms_free,
            load=round(each.load, 2),
            heartbeat="not known now" if stale else heartbeat_words(each),
            drained=each.server_ip in state.orders.drains,
            fenced=each.server_ip in state.fences and state.fences[each.server_ip].stage in STANDING,
        )
        for each in snapshot.dialers
    )


def _card(state: ClusterState, told: IncidentAnswer, decisions: Iterable[Decision]) -> IncidentCard:
    incident = told.incident
    concerned = {incident.server_ip, *(each.user for each in told.moves), *(each.user for each in told.agent_pauses)}
    concerned |= {each.user for each in incident.listed}
    timeline = [each for each in decisions if each.at_ms >= incident.opened_at_ms and each.subject in concerned]
    advice = is_advice(told.moves)
    return IncidentCard(
        told=told,
        dialer=name_of(state, incident.server_ip),
        progress=progress_words(incident, advice=advice),
        moves=tuple(sorted(told.moves, key=lambda each: (each.ordered_at_ms, each.user))),
        advice=advice,
        timeline=tuple(timeline[-TIMELINE_SHOWN:]),
        decisions=len(timeline),
    )
