"""The ranking: VICIdial's own rule, and facts that VICIdial does not use.

VICIdial's rule, as observed on its agent page: of the phones of an alias, in the order of `logins_list`, those count
whose dialer is active, takes agent logins, has a heartbeat (and its twin too, if it has one) and a free room. The
campaign's grouping may force the first that fits; otherwise the dialer with the fewest agents wins, each count
divided by the dialer's share of the weights, and on a tie the last listed.

In addition hotdesk counts slots, respects `max_agents`, judges a heartbeat by its progress and not by clocks, and never
offers a phone that is not active.
"""

from collections.abc import Iterable
from typing import NamedTuple

from controller.core.observed import stalled_seconds
from controller.core.policy import Policy
from controller.core.state import ClusterState
from messages.names import compared
from messages.records import (
    Campaign,
    DialerHealth,
    DialerReading,
    DialerState,
    Grouping,
    Heartbeat,
    Ineligible,
    Phone,
    RankedDialer,
    ServerIp,
)

UNWEIGHTED_SHARE = 0.001
"""VICIdial's divisor for a dialer that the weight container omits or weighs zero."""

DEAD_AGE_SECONDS = 120.0
"""VICIdial's two-minute rule; hotdesk uses it only for a heartbeat that it has not yet seen advance."""

DEFAULT_SYSTEM_LIMIT = 100
"""`system_settings.pllb_grouping_limit` as installed."""


NOT_JUDGED = DialerHealth(state=DialerState.UNKNOWN, since_ms=0)

LAST_RESORT = frozenset({Ineligible.SUSPECT, Ineligible.MAINTENANCE, Ineligible.WARMING_UP, Ineligible.NOT_REGISTERED})
"""Reasons that count only while some dialer has no reason against it."""


REGISTERING = frozenset({"SIP", "PJSIP", "IAX2"})
"""Protocols whose phones register; an EXTERNAL one is called by its number. VICIdial writes those of PJSIP into
`pjsip_wizard.conf`, and calls them PJSIP all the same: PJSIP_WIZ is a protocol of its carriers, never of a phone."""

ABSENT = frozenset({"UNREGISTERED", "UNREACHABLE"})
"""Values of `phones.peer_status` for a phone that is away; UNKNOWN means that no script writes there."""


class DialerJudgement(NamedTuple):
    """One dialer's load, and every reason against it."""

    ineligible_because: tuple[Ineligible, ...]
    """Empty: it takes a new login."""
    crowded: bool
    """It would be full if every slot became a session: it comes after those that would not be."""
    agents: int
    slots: int
    load: float


class RankedPhone(NamedTuple):
    """One phone of an alias in its ranking."""

    phone_login: str
    server_ip: ServerIp
    """Empty: no phone has this login."""
    rank: int | None
    """1 is picked next; None: not offered."""
    ineligible_because: tuple[Ineligible, ...]
    agents: int
    slots: int
    load: float
    crowded: bool = False
    """Its dialer would be full if every slot became a session."""


class AliasRanking(NamedTuple):
    """The phones of an alias: the offered ones, best first, then the others in the alias's order."""

    phones: tuple[RankedPhone, ...]
    forced_by: Grouping | None
    """The campaign's grouping, if that and not the load put the first one there."""

    @property
    def best(self) -> RankedPhone | None:
        """The phone to pick; None: none is offered."""
        return self.phones[0] if self.phones and self.phones[0].rank == 1 else None


def judge(  # noqa: PLR0913 # whose login, and to what
    state: ClusterState,
    policy: Policy,
    dialer: DialerReading,
    visitor: str = "",
    turned: int = 0,
    *,
    grouped: bool = False,
) -> DialerJudgement:
    """Return a dialer's load now, with every reason against it, to a login of a visitor.

    `turned`: how many logins that took turns are on their way to it. `grouped`: its campaign gathers its agents, so
    login forms are no load; a dialer that they would fill is crowded all the same.
    Slots of login forms are never a reason against a dialer: see Note [Before a password is checked] in
    `controller.core.weights`.
    """
    slots, agents = state.decided.slots, sum(dialer.agents.values())
    planned, weight = slots.planned_on(dialer.server_ip), slots.weight_on(dialer.server_ip, visitor) + turned
    return DialerJudgement(
        ineligible_because=_reasons_against(state, policy, dialer, agents + planned, planned),
        crowded=weight > planned and bool(_full_with(state, policy, dialer, agents + weight, weight)),
        agents=agents,
        slots=slots.on(dialer.server_ip),
        load=(agents + (planned if grouped else weight)) / share_of(state, dialer.server_ip),
    )


def rank_dialers(state: ClusterState, policy: Policy) -> tuple[RankedDialer, ...]:
    """Rank the dialers of a cluster: those that take new logins first, least loaded first.

    Servers without Asterisk are left out.
    """
    judged = [(judge(state, policy, dialer), dialer) for dialer in state.observed.dialers.values() if dialer.asterisk]
    accepted = _accepted(judgement.ineligible_because for judgement, _ in judged)
    judged.sort(
        key=lambda each: (
            not accepted.issuperset(each[0].ineligible_because),
            each[0].crowded,
            each[0].load,
            each[1].server_ip,
        )
    )
    return tuple(
        RankedDialer(
            server_ip=dialer.server_ip,
            server_id=dialer.server_id,
            state=health.state,
            since_ms=health.since_ms,
            evidence=health.evidence,
            rank=number if accepted.issuperset(judgement.ineligible_because) else None,
            ineligible_because=judgement.ineligible_because,
            agents=judgement.agents,
            slots=judgement.slots,
            load=judgement.load,
            rooms_free=dialer.rooms_free - state.decided.slots.planned_on(dialer.server_ip),
            max_agents=policy.max_agents_on(dialer.server_ip),
            heartbeat_stalled_seconds=stalled_seconds(dialer.heartbeat, state.observed.observed_at_ms),
        )
        for number, (judgement, dialer) in enumerate(judged, start=1)
        for health in (state.observed.health.dialers.get(dialer.server_ip, NOT_JUDGED),)
    )


def imbalance(ranked: tuple[RankedDialer, ...]) -> float | None:
    """Return highest over mean load of the dialers that take new logins; None: they have no agents."""
    loads = [each.load for each in ranked if each.rank is not None]
    total = sum(loads)
    return max(loads) * len(loads) / total if total else None


def rank_phones(
    state: ClusterState, policy: Policy, logins: tuple[str, ...], campaign_id: str, visitor: str = ""
) -> AliasRanking:
    """Rank the phones behind `logins` for a visitor's login to a campaign. The cost grows with the number of logins."""
    # the first herd of a campaign that gathers its agents stays together, though none of its forms may decide where
    grouped = is_grouped(state, campaign_id)
    judged = [_judge_phone(state, policy, login, visitor, grouped=grouped) for login in logins]
    accepted = _accepted(phone.ineligible_because for phone in judged)
    offered = [(at, phone) for at, phone in enumerate(judged) if accepted.issuperset(phone.ineligible_because)]
    # On a tie VICIdial keeps the last one that it compares.
    offered.sort(key=lambda each: (each[1].crowded, each[1].load, -each[0]))
    forced_by = None
    campaign = state.observed.campaigns.get(compared(campaign_id))
    if campaign is not None and campaign.grouping is not Grouping.DISABLED:
        forced = _forced(state, campaign, offered)
        if forced is not None:
            forced_by = campaign.grouping
            offered.remove(forced)
            offered.insert(0, forced)
    ranked = [phone._replace(rank=rank) for rank, (_, phone) in enumerate(offered, start=1)]
    rest = [phone for phone in judged if not accepted.issuperset(phone.ineligible_because)]
    return AliasRanking(tuple(ranked + rest), forced_by)


def is_grouped(state: ClusterState, campaign_id: str) -> bool:
    """Return True if a campaign groups its agents on dialers."""
    campaign = state.observed.campaigns.get(compared(campaign_id))
    return campaign is not None and campaign.grouping is not Grouping.DISABLED


def _judge_phone(state: ClusterState, policy: Policy, login: str, visitor: str, *, grouped: bool) -> RankedPhone:
    phone = state.observed.phones.get(compared(login))
    if phone is None:
        return RankedPhone(login, "", None, (Ineligible.NO_SUCH_PHONE,), 0, 0, 0.0)
    dialer = state.observed.dialers.get(phone.server_ip)
    if dialer is None:
        return RankedPhone(phone.login, phone.server_ip, None, (Ineligible.NO_SUCH_SERVER,), 0, 0, 0.0)
    ineligible_because, crowded, agents, slots, load = judge(state, policy, dialer, visitor, grouped=grouped)
    if known_absent(phone):
        ineligible_because = (Ineligible.NOT_REGISTERED, *ineligible_because)
    if not phone.active:
        ineligible_because = (Ineligible.PHONE_INACTIVE, *ineligible_because)
    return RankedPhone(phone.login, phone.server_ip, None, ineligible_because, agents, slots, load, crowded)


def known_absent(phone: Phone) -> bool:
    """Return True if a phone is known not to be registered. A webphone registers only once its agent is logged in."""
    return phone.protocol.upper() in REGISTERING and not phone.webphone and phone.peer_status.upper() in ABSENT


def _forced(
    state: ClusterState, campaign: Campaign, offered: list[tuple[int, RankedPhone]]
) -> tuple[int, RankedPhone] | None:
    """Return the phone that the campaign's grouping chooses before any load is compared.

    A dialer that logins on their way would fill is passed over, unless all are such.
    """
    system_limit = DEFAULT_SYSTEM_LIMIT if state.observed.settings is None else state.observed.settings.grouping_limit
    for candidate in sorted([each for each in offered if not each[1].crowded] or offered):
        phone = candidate[1]
        seen = _agents_of(state.observed.dialers[phone.server_ip], campaign)
        together = seen + state.decided.slots.planned_of_campaign(phone.server_ip, campaign.campaign_id)
        if together == 0:
            continue
        if campaign.grouping is Grouping.ONE_SERVER_ONLY:
            return candidate
        agents = phone.agents + state.decided.slots.planned_on(phone.server_ip)
        if together < campaign.grouping_limit and agents < system_limit:
            return candidate
    return None


def _agents_of(dialer: DialerReading, campaign: Campaign) -> int:
    """Return the number of a campaign's agents on a dialer, in whatever case its id was written when they logged in."""
    name = compared(campaign.campaign_id)
    return sum(count for each, count in dialer.campaigns.items() if compared(each) == name)


def _accepted(reasons: Iterable[tuple[Ineligible, ...]]) -> frozenset[Ineligible]:
    """Return the reasons that do not count: those of the last resort, if every dialer has some reason against it."""
    return frozenset() if not all(reasons) else LAST_RESORT


def _reasons_against(
    state: ClusterState, policy: Policy, dialer: DialerReading, load: int, slots: int
) -> tuple[Ineligible, ...]:
    reasons = []
    health = state.observed.health.dialers.get(dialer.server_ip, NOT_JUDGED)
    if not dialer.active:
        reasons.append(Ineligible.SWITCHED_OFF)
    if not dialer.agent_logins:
        reasons.append(Ineligible.CLOSED)
    if (lifeless := _lifeless(state, policy, dialer, health)) is not None:
        reasons.append(lifeless)
    if health.state is DialerState.DRAINING and dialer.active:
        planned = policy.in_maintenance(dialer.server_ip, state.observed.wall_ms)
        reasons.append(Ineligible.MAINTENANCE if planned else Ineligible.DRAINING)
    if dialer.twin_server_ip:
        twin = state.observed.dialers.get(dialer.twin_server_ip)
        judged = state.observed.health.dialers.get(dialer.twin_server_ip, NOT_JUDGED)
        if twin is None or _lifeless(state, policy, twin, judged) is not None:
            reasons.append(Ineligible.TWIN_SILENT)
    return *reasons, *_full_with(state, policy, dialer, load, slots)


def _full_with(
    state: ClusterState, policy: Policy, dialer: DialerReading, load: int, slots: int
) -> tuple[Ineligible, ...]:
    """Return the reasons against a dialer that come of so many agents and slots, of which so many are slots."""
    reasons = []
    health = state.observed.health.dialers.get(dialer.server_ip, NOT_JUDGED)
    if dialer.rooms_free <= slots and state.observed.rooms_known:
        reasons.append(Ineligible.NO_ROOM)
    max_agents = policy.max_agents_on(dialer.server_ip)
    if max_agents is not None and load >= max_agents:
        reasons.append(Ineligible.FULL)
    if health.life is DialerState.RECOVERING and load >= _first_share(state, health):
        reasons.append(Ineligible.WARMING_UP)
    return tuple(reasons)


def _lifeless(state: ClusterState, policy: Policy, dialer: DialerReading, health: DialerHealth) -> Ineligible | None:
    """Return the reason to think that a dialer is not alive, by its state and by this very poll."""
    if health.life is DialerState.DOWN:
        return Ineligible.DOWN
    if dialer.heartbeat is None:
        # A database that restarts loses all heartbeats, and live dialers write theirs again only when their
        # updater restarts. VICIdial would refuse every login.
        return None if health.life in {DialerState.UP, DialerState.RECOVERING} else Ineligible.NO_HEARTBEAT
    if _lives(dialer.heartbeat, state.observed.observed_at_ms, policy):
        return Ineligible.SUSPECT if health.life is DialerState.SUSPECT else None
    # a dialer that was never seen up may have been dead for years
    return Ineligible.SUSPECT if health.served else Ineligible.STALLED


def _first_share(state: ClusterState, health: DialerHealth) -> float:
    """Return the most agents for a dialer on probation: it grows to the mean of the other dialers."""
    if state.observed.even_share is None:
        return float("inf")
    whole = max(1, health.probation_until_ms - health.probation_since_ms)
    return 1 + state.observed.even_share * min(1.0, (state.observed.observed_at_ms - health.probation_since_ms) / whole)


def _lives(heartbeat: Heartbeat, now_ms: int, policy: Policy) -> bool:
    stalled = stalled_seconds(heartbeat, now_ms)
    if stalled is None or stalled >= policy.stalled_after_seconds:
        return False
    # A new collector has seen no heartbeat advance yet. Until it could, the age shows which ones were dead before.
    return heartbeat.progressed_at_ms is not None or (
        heartbeat.age_seconds is not None and heartbeat.age_seconds < DEAD_AGE_SECONDS
    )


def share_of(state: ClusterState, server_ip: ServerIp) -> float:
    """Return the divisor for a dialer's agents: 1 if no weights are set."""
    if not state.observed.weight_shares:
        return 1.0
    return state.observed.weight_shares.get(server_ip, UNWEIGHTED_SHARE)
