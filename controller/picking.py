"""The answer to a login: which phone, on which dialer, for this agent, now.

A pick names user and alias. Asked again it gives the same slot, as long as that slot's dialer still takes logins.
"""

from enum import StrEnum
from typing import NamedTuple

import msgspec

from controller.policy import Policy
from controller.ranking import AliasRanking, PhoneStanding, rank_phones
from controller.state import ClusterState
from messages.records import LoginSlot


class PickRequest(NamedTuple):
    """Who wants to log in."""

    user: str
    alias: str
    """What was typed as phone login: an alias, one phone's login, or a comma-separated list of those."""
    campaign_id: str = ""
    screen: str = ""
    """A digest of what only the asking screen knows; empty: it knows nothing."""


class NoPick(StrEnum):
    """Why there is no answer. VICIdial's page then goes on as it would without hotdesk."""

    UNKNOWN_ALIAS = "no alias and no phone has this login"
    NO_DIALER = "no dialer of this alias takes logins now"


class Picked(NamedTuple):
    """A slot, and whether it, or the screen it is for, is new."""

    slot: LoginSlot
    is_new: bool


class Refused(NamedTuple):
    """No slot, and why."""

    why: NoPick
    phones: tuple[PhoneStanding, ...]
    """Each phone with its own reasons; empty for an unknown alias."""


def resolve(state: ClusterState, typed: str) -> tuple[str, ...]:
    """Tell the phone logins that `typed` stands for, in VICIdial's order; empty: nothing known."""
    alias = state.aliases.get(typed.lower())
    if alias is not None:
        return alias.logins
    logins = tuple(login for login in typed.split(",") if login)
    return logins if any(login.lower() in state.phones for login in logins) else ()


def rank_alias(state: ClusterState, policy: Policy, typed: str, campaign_id: str) -> AliasRanking | None:
    """Rank the phones behind `typed`; None: nothing is known by that name."""
    logins = resolve(state, typed)
    return rank_phones(state, policy, logins, campaign_id) if logins else None


def pick(state: ClusterState, policy: Policy, request: PickRequest, by: str) -> Picked | Refused:
    """Choose a phone and hold its slot in `state`; `by` is the process that hands it out."""
    held = state.slots.of(request.user)
    if held is not None and _still_good(state, policy, held, request):
        if request.screen in {"", held.screen} and not held.planned:
            return Picked(held, is_new=False)
        held = msgspec.structs.replace(held, screen=request.screen or held.screen, planned=False)
        state.slots.take(held)
        return Picked(held, is_new=True)
    if held is not None:
        state.slots.release(request.user)
    ranking = rank_alias(state, policy, request.alias, request.campaign_id)
    if ranking is None:
        return Refused(NoPick.UNKNOWN_ALIAS, ())
    best = ranking.best
    if best is None:
        return Refused(NoPick.NO_DIALER, ranking.phones)
    session = state.agents.get(request.user.lower())
    slot = LoginSlot(
        cluster=state.cluster,
        user=request.user,
        alias_id=request.alias,
        campaign_id=request.campaign_id,
        phone_login=best.phone_login,
        server_ip=best.server_ip,
        handed_out_at_ms=state.observed_at_ms,
        until_ms=state.observed_at_ms + round(policy.slot_seconds * 1000),
        replaces=None if session is None else session.live_agent_id,
        screen=request.screen,
        handed_out_by=by,
    )
    state.hand_out(slot)
    return Picked(slot, is_new=True)


def take_order(state: ClusterState, screen: str) -> LoginSlot | None:
    """Give the place kept for the agent of a screen that is being moved, once: it is a login's from now on."""
    for slot in state.slots:
        if slot.planned and slot.screen == screen != "":
            taken = msgspec.structs.replace(slot, planned=False)
            state.slots.take(taken)
            return taken
    return None


def _still_good(state: ClusterState, policy: Policy, held: LoginSlot, request: PickRequest) -> bool:
    """Tell whether a held slot answers this request too. Its own place does not count against it."""
    if held.alias_id.lower() != request.alias.lower():
        return False
    phone = state.phones.get(held.phone_login.lower())
    dialer = state.dialers.get(held.server_ip)
    if phone is None or not phone.active or phone.server_ip != held.server_ip or dialer is None:
        return False
    state.slots.release(held.user)
    ranking = rank_phones(state, policy, resolve(state, request.alias), request.campaign_id)
    state.slots.take(held)
    return any(each.phone_login == held.phone_login and each.rank is not None for each in ranking.phones)
