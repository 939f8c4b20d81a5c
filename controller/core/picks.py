"""The answer to a login: which phone, on which dialer, for this agent, now.

A pick names user and alias. Asked again it gives the same slot, as long as that slot's dialer still takes logins.
"""

from typing import NamedTuple

import msgspec

from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, RankedPhone, rank_phones
from controller.core.state import ClusterState
from messages.codes import NoPick, NoRelogin
from messages.records import LoginSlot, ReloginStage


class PickRequest(NamedTuple):
    """Who wants to log in."""

    user: str
    alias: str
    """What was typed as phone login: an alias, one phone's login, or a comma-separated list of those."""
    campaign_id: str = ""
    screen: str = ""
    """A digest of what only the asking screen knows; empty: it knows nothing."""


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
    alias = state.observed.aliases.get(typed.lower())
    if alias is not None:
        return alias.logins
    logins = tuple(login for login in typed.split(",") if login)
    return logins if any(login.lower() in state.observed.phones for login in logins) else ()


def rank_alias(state: ClusterState, policy: Policy, typed: str, campaign_id: str) -> AliasRanking | None:
    """Rank the phones behind `typed`; None: nothing is known by that name."""
    logins = resolve(state, typed)
    return rank_phones(state, policy, logins, campaign_id) if logins else None


def pick(state: ClusterState, policy: Policy, request: PickRequest, by: str) -> Picked | Refused:
    """Choose a phone and hold its slot in `state`; `by` is the process that hands it out."""
    held = state.decided.slots.of(request.user)
    if held is not None and held.planned:
        return _pick_while_moved(state, policy, held, request, by)
    if held is not None and _still_good(state, policy, held, request):
        if request.screen in {"", held.screen}:
            return Picked(held, is_new=False)
        held = msgspec.structs.replace(held, screen=request.screen, handed_out_by=by)
        state.decided.slots.add(held)
        return Picked(held, is_new=True)
    if held is not None:
        state.decided.slots.release(request.user)
    ranking = rank_alias(state, policy, request.alias, request.campaign_id)
    if ranking is None:
        return Refused(NoPick.UNKNOWN_ALIAS, ())
    best = ranking.best
    if best is None:
        return Refused(NoPick.NO_DIALER, ranking.phones)
    slot = _slot_for(state, policy, request, best, by)
    state.decided.hand_out(slot)
    return Picked(slot, is_new=True)


def _slot_for(state: ClusterState, policy: Policy, request: PickRequest, best: RankedPhone, by: str) -> LoginSlot:
    session = state.observed.agents.get(request.user.lower())
    return LoginSlot(
        cluster=state.cluster,
        user=request.user,
        alias_id=request.alias,
        campaign_id=request.campaign_id,
        phone_login=best.phone_login,
        server_ip=best.server_ip,
        handed_out_at_ms=state.observed.observed_at_ms,
        until_ms=state.observed.observed_at_ms + round(policy.slot_seconds * 1000),
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
        state.decided.slots.add(place)
    return Picked(place, is_new=place is not held)


def take_relogin(state: ClusterState, screen: str) -> LoginSlot | NoRelogin:
    """Return the slot reserved for the agent of a screen that hotdesk logged out, once: it is a login's from now on."""
    for slot in state.decided.slots:
        if slot.planned and slot.screen == screen != "":
            move = None if slot.replaces is None else state.decided.relogins.get(slot.replaces)
            if move is not None and move.stage is ReloginStage.PLANNED:
                return NoRelogin.NOT_YET
            if move is not None and not (move.stage is ReloginStage.SENT or move.answer):
                return NoRelogin.NONE  # it ended before it was told: somebody else did that
            taken = msgspec.structs.replace(slot, planned=False)
            state.decided.slots.add(taken)
            return taken
    return NoRelogin.NONE


def _still_good(state: ClusterState, policy: Policy, held: LoginSlot, request: PickRequest) -> bool:
    """Tell whether a held slot answers this request too. Its own place does not count against it."""
    if held.alias_id.lower() != request.alias.lower():
        return False
    phone = state.observed.phones.get(held.phone_login.lower())
    dialer = state.observed.dialers.get(held.server_ip)
    if phone is None or not phone.active or phone.server_ip != held.server_ip or dialer is None:
        return False
    state.decided.slots.release(held.user)
    ranking = rank_phones(state, policy, resolve(state, request.alias), request.campaign_id)
    state.decided.slots.add(held)
    return any(each.phone_login == held.phone_login and each.rank is not None for each in ranking.phones)
