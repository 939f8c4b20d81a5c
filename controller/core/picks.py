"""The pick: the answer to a login, a phone on a dialer, and its slot. The order of dialers is that of `ranking`.

A request names user and alias. Asked again, the answer is the same slot, while that slot's dialer still takes logins.
"""

from dataclasses import replace
from typing import NamedTuple

import msgspec

from controller.core.decided import NOT_SENT
from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, RankedPhone, rank_phones
from controller.core.state import ClusterState
from messages.codes import NoPick, NoRelogin
from messages.records import LoginSlot, ReloginStage


class PickRequest(NamedTuple):
    """A login that asks for a pick."""

    user: str
    alias: str
    """The phone login that was typed: an alias, one phone's login, or a comma-separated list of those."""
    campaign_id: str = ""
    screen: str = ""
    """A digest of something that only the asking screen knows; empty: not known."""


class Picked(NamedTuple):
    """A slot; `is_new`: the slot, or the screen that it is for, is new."""

    slot: LoginSlot
    is_new: bool


class Refused(NamedTuple):
    """No slot, with the reason."""

    why: NoPick
    phones: tuple[RankedPhone, ...]
    """Each phone with its own reasons; empty for an unknown alias."""


def resolve(state: ClusterState, typed: str) -> tuple[str, ...]:
    """Return the phone logins that `typed` stands for, in VICIdial's order; empty: an unknown login."""
    alias = state.observed.aliases.get(typed.lower())
    if alias is not None:
        return alias.logins
    logins = tuple(login for login in typed.split(",") if login)
    return logins if any(login.lower() in state.observed.phones for login in logins) else ()


def rank_alias(state: ClusterState, policy: Policy, typed: str, campaign_id: str) -> AliasRanking | None:
    """Rank the phones behind `typed`; None: an unknown login."""
    logins = resolve(state, typed)
    return rank_phones(state, policy, logins, campaign_id) if logins else None


def pick(state: ClusterState, policy: Policy, request: PickRequest, by: str) -> Picked | Refused:
    """Choose a phone and reserve its slot in `state`; `by` is the name of this process."""
    reserved = state.decided.slots.of(request.user)
    if reserved is not None and reserved.planned:
        return _pick_while_moved(state, policy, reserved, request, by)
    if reserved is not None and _still_good(state, policy, reserved, request):
        if request.screen in {"", reserved.screen}:
            return Picked(reserved, is_new=False)
        reserved = msgspec.structs.replace(reserved, screen=request.screen, handed_out_by=by)
        state.decided.slots.add(reserved)
        return Picked(reserved, is_new=True)
    if reserved is not None:
        state.decided.slots.release(request.user)
    ranking = rank_alias(state, policy, request.alias, request.campaign_id)
    if ranking is None:
        return Refused(NoPick.UNKNOWN_ALIAS, ())
    best = ranking.best
    if best is None:
        return Refused(NoPick.NO_DIALER, ranking.phones)
    slot = _slot_for(state, policy, request, best, by)
    state.decided.reserve(slot)
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
    state: ClusterState, policy: Policy, reserved: LoginSlot, request: PickRequest, by: str
) -> Picked | Refused:
    """Return the pick for a user who is being moved, and so has a planned slot.

    The login page asks before it has checked a password, so this may be any person who knows the user's name: in any
    case the slot and the re-login stay with the screen that is moved. For the same reason only slots of moves count.
    """
    same_alias = reserved.alias_id.lower() == request.alias.lower()
    slot = reserved
    moves_only = replace(state, decided=replace(state.decided, slots=state.decided.slots.planned()))
    if not (same_alias and _still_good(moves_only, policy, reserved, request)):
        ranking = rank_alias(moves_only, policy, request.alias, request.campaign_id)
        if ranking is None:
            return Refused(NoPick.UNKNOWN_ALIAS, ())
        if ranking.best is None:
            return Refused(NoPick.NO_DIALER, ranking.phones)
        if not same_alias:
            return Picked(_slot_for(state, policy, request, ranking.best, by), is_new=False)
        slot = msgspec.structs.replace(
            reserved, phone_login=ranking.best.phone_login, server_ip=ranking.best.server_ip, handed_out_by=by
        )
    if request.screen not in {"", reserved.screen, reserved.asked_by}:
        slot = msgspec.structs.replace(slot, asked_by=request.screen, handed_out_by=by)
    if slot is not reserved:
        state.decided.slots.add(slot)
    return Picked(slot, is_new=slot is not reserved)


def answer_relogin(state: ClusterState, screen: str) -> LoginSlot | NoRelogin:
    """Return the slot for the re-login of a screen that hotdesk logged out, once: it is a login's from then on."""
    for slot in state.decided.slots:
        if slot.planned and slot.screen == screen != "":
            move = None if slot.replaces is None else state.decided.relogins.get(slot.replaces)
            if move is not None and move.stage in NOT_SENT:
                return NoRelogin.NOT_YET
            if move is not None and not (move.stage is ReloginStage.SENT or move.answer):
                return NoRelogin.NONE  # it ended before a logout was sent: hotdesk did not end it
            answered = msgspec.structs.replace(slot, planned=False)
            state.decided.slots.add(answered)
            return answered
    return NoRelogin.NONE


def _still_good(state: ClusterState, policy: Policy, reserved: LoginSlot, request: PickRequest) -> bool:
    """Return True if a reserved slot answers this request too. The slot does not count against its own dialer."""
    if reserved.alias_id.lower() != request.alias.lower():
        return False
    phone = state.observed.phones.get(reserved.phone_login.lower())
    dialer = state.observed.dialers.get(reserved.server_ip)
    if phone is None or not phone.active or phone.server_ip != reserved.server_ip or dialer is None:
        return False
    state.decided.slots.release(reserved.user)
    ranking = rank_phones(state, policy, resolve(state, request.alias), request.campaign_id)
    state.decided.slots.add(reserved)
    return any(each.phone_login == reserved.phone_login and each.rank is not None for each in ranking.phones)
