"""The answer to a login: which phone, on which dialer, for this agent, now.

A pick names user and alias. Asked again it gives the same slot, as long as that slot's dialer still takes logins.
"""

from enum import Enum, StrEnum
from typing import NamedTuple

import msgspec

from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, RankedPhone, rank_phones
from controller.core.state import ClusterState
from messages.records import LoginSlot, ReloginStage


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
    phones: tuple[RankedPhone, ...]
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
    if held is not None and held.planned:
        return _pick_while_moved(state, policy, held, request, by)
    if held is not None and _still_good(state, policy, held, request):
        if request.screen in {"", held.screen}:
            return Picked(held, is_new=False)
        held = msgspec.structs.replace(held, screen=request.screen, handed_out_by=by)
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
    slot = _slot_for(state, policy, request, best, by)
    state.hand_out(slot)
    return Picked(slot, is_new=True)


def _slot_for(state: ClusterState, policy: Policy, request: PickRequest, best: RankedPhone, by: str) -> LoginSlot:
    session = state.agents.get(request.user.lower())
    return LoginSlot(
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


def _pick_while_moved(
    state: ClusterState, policy: Policy, held: LoginSlot, request: PickRequest, by: str
) -> Picked | Refused:
    """Answer a login of a user for whom a place is kept.

    The login page asks before it has checked a password, so this may be anybody who knows the user's name: whoever
    it is, the place and the order stay with the screen that is moved.
    """
    same_alias = held.alias_id.lower() == request.alias.lower()
    place = held
    if not (same_alias and _still_good(state, policy, held, request)):
        ranking = rank_alias(state, policy, request.alias, request.campaign_id)
        if ranking is None:
            return Refused(NoPick.UNKNOWN_ALIAS, ())
        if ranking.best is None:
            return Refused(NoPick.NO_DIALER, ranking.phones)
        if not same_alias:
            return Picked(_slot_for(state, policy, request, ranking.best, by), is_new=False)
        best = ranking.best
        place = msgspec.structs.replace(held, phone_login=best.phone_login, server_ip=best.server_ip, handed_out_by=by)
    if request.screen not in {"", held.screen, held.asked_by}:
        place = msgspec.structs.replace(place, asked_by=request.screen, handed_out_by=by)
    if place is not held:
        state.slots.take(place)
    return Picked(place, is_new=place is not held)


class NoOrder(Enum):
    """Why a screen gets no order to log in again."""

    NONE = "hotdesk has no order for this screen"
    NOT_YET = "hotdesk is just about to tell this screen, or has not heard yet that it did"


def take_order(state: ClusterState, screen: str) -> LoginSlot | NoOrder:
    """Give the place kept for the agent of a screen that hotdesk has logged out, once: it is a login's from now on."""
    for slot in state.slots:
        if slot.planned and slot.screen == screen != "":
            move = None if slot.replaces is None else state.relogins.get(slot.replaces)
            if move is not None and move.stage is ReloginStage.PLANNED:
                return NoOrder.NOT_YET
            if move is not None and not (move.stage is ReloginStage.SENT or move.answer):
                return NoOrder.NONE  # it ended before it was told: somebody else did that
            taken = msgspec.structs.replace(slot, planned=False)
            state.slots.take(taken)
            return taken
    return NoOrder.NONE


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
