"""The pick: the answer to a login, a phone on a dialer, and its slot. The order of dialers is that of `ranking`.

A request names user and alias. Asked again, the answer is the same slot, while that slot's dialer still takes logins.
"""

from dataclasses import replace
from typing import NamedTuple
from zlib import crc32

import msgspec

from controller.core.claims import resolve, screens_of, with_claim
from controller.core.decided import NOT_SENT, SlotEnd
from controller.core.policy import Policy
from controller.core.ranking import AliasRanking, RankedPhone, is_grouped, judge, rank_phones, share_of
from controller.core.state import ClusterState
from messages.codes import NoPick, NoRelogin
from messages.names import compared
from messages.records import DialerState, LoginClaim, LoginSlot, ReloginStage, ServerIp


class PickRequest(NamedTuple):
    """A login that asks for a pick."""

    user: str
    alias: str
    """The phone login that was typed: an alias, one phone's login, or a comma-separated list of those."""
    campaign_id: str = ""
    screen: str = ""
    """A digest of something that only the asking screen knows; empty: not known."""
    visitor: str = ""
    """The visitor of the login page, as a keyed hash of their address; empty: not known."""
    no_user: bool = False
    """VICIdial has no such user, or none who may log in."""


class Picked(NamedTuple):
    """The pick for a login."""

    slot: LoginSlot
    stored: LoginSlot | None
    """The user's slot, if it or one of its claims is new; None: nothing has changed."""


class Refused(NamedTuple):
    """No slot, with the reason."""

    why: NoPick
    phones: tuple[RankedPhone, ...]
    """Each phone with its own reasons; empty for an unknown alias."""
    ended: SlotEnd | None = None
    """The end of the user's slot, whose dialer takes logins no more; None: no slot has ended."""


def rank_alias(state: ClusterState, policy: Policy, typed: str, campaign_id: str) -> AliasRanking | None:
    """Rank the phones behind `typed`; None: an unknown login."""
    logins = resolve(state.observed, typed)
    return rank_phones(state, policy, logins, campaign_id) if logins else None


def pick(state: ClusterState, policy: Policy, request: PickRequest, by: str) -> Picked | Refused:
    """Choose a phone and reserve its slot in `state`; `by` is the name of this process."""
    reserved = state.decided.slots.of(request.user)
    if reserved is not None and reserved.planned:
        return _pick_while_moved(state, policy, reserved, request, by)
    if reserved is not None and _answers(state, policy, reserved, request):
        claimed = with_claim(reserved, _claim(request, reserved.phone_login, reserved.server_ip), by)
        if claimed is reserved:
            return Picked(reserved, None)
        slot = msgspec.structs.replace(claimed, screen=request.screen or claimed.screen)
    else:
        ended = state.decided.release(request.user)
        best = _best(state, policy, request)
        if isinstance(best, Refused):
            if reserved is None or compared(reserved.alias_id) == compared(request.alias):
                return best._replace(ended=ended)
            state.decided.slots.add(reserved)
            return best
        slot = _slot_for(state, policy, request, best, by, () if reserved is None else reserved.claims)
        if reserved is not None and reserved.visitor == request.visitor:
            # the time that the login takes to show began with the first form
            slot = msgspec.structs.replace(slot, handed_out_at_ms=reserved.handed_out_at_ms, replaces=reserved.replaces)
    state.decided.reserve(slot)
    return Picked(slot, slot)


def _answers(state: ClusterState, policy: Policy, reserved: LoginSlot, request: PickRequest) -> bool:
    """Return True if a user's slot answers a request too: the same form, sent again from the same place.

    Whoever typed the user's name elsewhere has not chosen where that user logs in.
    """
    return reserved.visitor == request.visitor and _still_good(state, policy, reserved, request)


def _best(state: ClusterState, policy: Policy, request: PickRequest) -> RankedPhone | Refused:
    logins = resolve(state.observed, request.alias)
    if not logins:
        return Refused(NoPick.UNKNOWN_ALIAS, ())
    ranking = rank_phones(state, policy, logins, request.campaign_id, request.visitor)
    if ranking.best is None:
        return Refused(NoPick.NO_DIALER, ranking.phones)
    if is_grouped(state, request.campaign_id) or _counts(state, request):
        return ranking.best
    return _in_turn(state, policy, request, ranking)


def _counts(state: ClusterState, request: PickRequest) -> bool:
    """Return True if the slot of a request will count where the next login of its visitor goes."""
    return _may_weigh(state, request) and state.decided.slots.is_credited(request.visitor)


def _may_weigh(state: ClusterState, request: PickRequest) -> bool:
    return not _shows(state, request.user) and not request.no_user and compared(request.alias) in state.observed.aliases


def _shows(state: ClusterState, user: str) -> bool:
    """Return True if a user's session counts where logins go: those on a dialer that is down count nowhere."""
    session = state.observed.agents.get(user.lower())
    health = None if session is None else state.observed.health.dialers.get(session.server_ip)
    return session is not None and (health is None or health.life is not DialerState.DOWN)


def _in_turn(state: ClusterState, policy: Policy, request: PickRequest, ranking: AliasRanking) -> RankedPhone:
    """Return one of the phones that are about as good as the best, each in its turn.

    The logins that took turns before count here, so that a herd of them fills no dialer beyond the others. Which one
    of those that differ by less than an agent is next follows from the number of forms since the last poll, and not
    from what they named.
    """
    offered = [phone for phone in ranking.phones if phone.rank is not None]
    if len(offered) == 1:
        return offered[0]
    turns = state.decided.slots.turns
    turns.end(request.user)
    among = frozenset(phone.server_ip for phone in offered)
    judged = []
    for phone in offered:
        dialer = state.observed.dialers[phone.server_ip]
        found = judge(state, policy, dialer, request.visitor, turns.sent(among, phone.server_ip))
        judged.append((found.crowded, found.load, phone))
    judged.sort(key=lambda each: each[:2])
    crowded, least, _ = judged[0]
    one_more = least + 1 / max(share_of(state, server_ip) for server_ip in among)
    equals = [phone for full, load, phone in judged if full == crowded and load < one_more]
    best = equals[crc32(b"%d" % turns.number()) % len(equals)]
    if not request.no_user:
        turns.take(request.user, among, best.server_ip, state.observed.observed_at_ms)
    return best


def _claim(request: PickRequest, phone_login: str, server_ip: ServerIp) -> LoginClaim:
    return LoginClaim(
        alias_id=request.alias,
        phone_login=phone_login,
        server_ip=server_ip,
        screen=request.screen,
        visitor=request.visitor,
    )


def _slot_for(  # noqa: PLR0913, PLR0917 # all that a slot is made of
    state: ClusterState,
    policy: Policy,
    request: PickRequest,
    best: RankedPhone,
    by: str,
    claims: tuple[LoginClaim, ...] = (),
) -> LoginSlot:
    session = state.observed.agents.get(request.user.lower())
    slot = LoginSlot(
        cluster=state.cluster,
        user=request.user,
        alias_id=request.alias,
        campaign_id=request.campaign_id,
        phone_login=best.phone_login,
        server_ip=best.server_ip,
        handed_out_at_ms=state.observed.observed_at_ms,
        until_ms=state.observed.observed_at_ms + round(policy.slot_seconds * 1000),
        replaces=None if session is None else session.live_agent_id,
        visitor=request.visitor,
        weighs=_may_weigh(state, request),
        claims=claims,
        login=state.decided.logins.get(request.user.lower()),
        screen=request.screen,
        handed_out_by=by,
    )
    return with_claim(slot, _claim(request, best.phone_login, best.server_ip), by)


def _pick_while_moved(
    state: ClusterState, policy: Policy, reserved: LoginSlot, request: PickRequest, by: str
) -> Picked | Refused:
    """Return the pick for a user who is being moved, and so has a planned slot.

    The login page asks before it has checked a password, so this may be any person who knows the user's name: the slot
    stays that of the move, and the re-login that of the screens that are moved. For the same reason only slots of
    moves count.
    """
    same_alias = compared(reserved.alias_id) == compared(request.alias)
    slot, picked = reserved, reserved
    moves_only = replace(state, decided=replace(state.decided, slots=state.decided.slots.planned()))
    if not (same_alias and _still_good(moves_only, policy, reserved, request)):
        best = _best(moves_only, policy, request)
        if isinstance(best, Refused):
            return best
        if same_alias:
            slot = picked = msgspec.structs.replace(
                reserved, phone_login=best.phone_login, server_ip=best.server_ip, handed_out_by=by
            )
        else:
            picked = _slot_for(state, policy, request, best, by)
    slot = with_claim(slot, _claim(request, picked.phone_login, picked.server_ip), by)
    if slot is not reserved:
        state.decided.slots.add(slot)
    return Picked(slot if same_alias else picked, None if slot is reserved else slot)


def answer_relogin(state: ClusterState, *screen: str) -> LoginSlot | NoRelogin:
    """Return the slot for the re-login of a screen that hotdesk logged out, and that may be kept as any of these.

    Each screen that claims the login is answered, as often as it asks, until a new session is seen: which one is the
    agent's is not known, and what is answered is no secret.
    """
    for slot in state.decided.slots.of_moves:
        if not _moved_screens(slot).isdisjoint(screen):
            move = None if slot.replaces is None else state.decided.relogins.get(slot.replaces)
            if move is not None and move.stage in NOT_SENT:
                return NoRelogin.NOT_YET
            if move is not None and not (move.stage is ReloginStage.SENT or move.answer):
                return NoRelogin.NONE  # it ended before a logout was sent: hotdesk did not end it
            alias_id = _alias_of_screen(state, slot, screen)
            return slot if alias_id == slot.alias_id else msgspec.structs.replace(slot, alias_id=alias_id)
    return NoRelogin.NONE


def _alias_of_screen(state: ClusterState, slot: LoginSlot, screen: tuple[str, ...]) -> str:
    """Return the alias that a screen logs in again with: what was typed there, unless that was a single phone.

    A form of somebody else's in the agent's name, with a wider alias, may have the login counted as that one's.
    """
    for claim in () if slot.login is None else slot.login.claims:
        if claim.screen in screen and len(resolve(state.observed, claim.alias_id)) > 1:
            return claim.alias_id
    return slot.alias_id


def _moved_screens(slot: LoginSlot) -> frozenset[str]:
    """Return the screens of the session that a planned slot replaces."""
    screens = frozenset({slot.screen} - {""})
    return screens if slot.login is None else screens | screens_of(slot.login)


def _still_good(state: ClusterState, policy: Policy, reserved: LoginSlot, request: PickRequest) -> bool:
    """Return True if a reserved slot answers this request too. The slot does not count against its own dialer."""
    if compared(reserved.alias_id) != compared(request.alias):
        return False
    phone = state.observed.phones.get(compared(reserved.phone_login))
    dialer = state.observed.dialers.get(reserved.server_ip)
    if phone is None or not phone.active or phone.server_ip != reserved.server_ip or dialer is None:
        return False
    state.decided.slots.release(reserved.user)
    logins = resolve(state.observed, request.alias)
    ranking = rank_phones(state, policy, logins, request.campaign_id, request.visitor)
    state.decided.slots.add(reserved)
    return any(each.phone_login == reserved.phone_login and each.rank is not None for each in ranking.phones)
