"""Claims: the login forms that asked in a user's name, and whose session a new one is. Pure.

A login page asks before it has checked a password, so a claim may be that of anybody who knows the user's name. Which
of them was right shows when the session is seen: its phone is the one that was picked for that claim. So all claims
are kept until then, and none takes the place of another.
"""

from collections import Counter

import msgspec

from controller.core.observed import Observed
from messages.names import compared
from messages.records import AgentSession, LoginClaim, LoginSlot, Phone

CLAIMS_KEPT = 32
"""How many claims a slot keeps. VICIdial locks a user after ten wrong passwords."""


def resolve(observed: Observed, typed: str) -> tuple[str, ...]:
    """Return the phone logins that `typed` stands for, in VICIdial's order; empty: an unknown login."""
    alias = observed.aliases.get(compared(typed))
    if alias is not None:
        return alias.logins
    logins = tuple(login for login in typed.split(",") if login)
    return logins if any(compared(login) in observed.phones for login in logins) else ()


def station_of(phone: Phone) -> str:
    """Return the station of a phone: what a session on it shows."""
    return f"{phone.server_ip}/{phone.protocol}/{phone.extension}".lower()


def station_of_session(session: AgentSession) -> str:
    """Return the station of a session: that of its phone."""
    return f"{session.server_ip}/{session.extension}".lower()


def with_claim(slot: LoginSlot, claim: LoginClaim, by: str) -> LoginSlot:
    """Return a slot with one claim more; the same slot if that claim says nothing new."""
    what = (compared(claim.alias_id), claim.phone_login)
    same = {each.screen for each in slot.claims if (compared(each.alias_id), each.phone_login) == what}
    if claim.screen in same or (same and not claim.screen):
        return slot
    claims = (*slot.claims, claim)
    if len(claims) > CLAIMS_KEPT:
        claims = _without_one(claims)
    return msgspec.structs.replace(slot, claims=claims, handed_out_by=by)


def _without_one(claims: tuple[LoginClaim, ...]) -> tuple[LoginClaim, ...]:
    """Return claims without the oldest one of the visitor who has most: no visitor takes the others' away."""
    of_visitor = Counter(claim.visitor for claim in claims)
    most = max(of_visitor.values())
    oldest = next(at for at, claim in enumerate(claims) if of_visitor[claim.visitor] == most)
    return claims[:oldest] + claims[oldest + 1 :]


def screens_of(slot: LoginSlot) -> frozenset[str]:
    """Return the screens that claim a login."""
    return frozenset(each.screen for each in _claims_of(slot) if each.screen)


def login_of(observed: Observed, slot: LoginSlot, session: AgentSession) -> LoginSlot | None:
    """Return the login that a slot became with its user's new session; None: the session is that of no claim."""
    claims = _matching(observed, session, _claims_of(slot))
    if not claims:
        return None
    best = max(claims, key=lambda claim: _width(observed, claim))
    return msgspec.structs.replace(
        slot,
        alias_id=best.alias_id,
        phone_login=best.phone_login,
        server_ip=best.server_ip,
        used_by=session.live_agent_id,
        screen=best.screen,
        asked_by="",
        claims=claims,
        login=None,
    )


def _claims_of(slot: LoginSlot) -> tuple[LoginClaim, ...]:
    """Return the claims of a slot, and that of the slot itself: earlier builds kept no other, and a move makes one."""
    own = LoginClaim(
        alias_id=slot.alias_id,
        phone_login=slot.phone_login,
        server_ip=slot.server_ip,
        screen=slot.asked_by or ("" if slot.planned else slot.screen),
    )
    return slot.claims if own in slot.claims else (*slot.claims, own)


def _matching(observed: Observed, session: AgentSession, claims: tuple[LoginClaim, ...]) -> tuple[LoginClaim, ...]:
    """Return the claims whose phone is the session's, or else those whose alias has that phone.

    Without the hook, or if the answer came too late, VICIdial chose another phone of the alias. A session on a phone
    that is not known, as EXTERNAL ones are not, may be that of any claim, rather one on its own dialer.
    """
    station = station_of_session(session)
    phones = observed.phones
    for logins_of in (lambda claim: (claim.phone_login,), lambda claim: resolve(observed, claim.alias_id)):
        found = [
            claim
            for claim in claims
            if any(
                (phone := phones.get(compared(login))) and station_of(phone) == station for login in logins_of(claim)
            )
        ]
        if found:
            return tuple(found)
    if any(station_of(phone) == station for phone in phones.values()):
        return ()
    return tuple(claim for claim in claims if claim.server_ip == session.server_ip) or claims


def _width(observed: Observed, claim: LoginClaim) -> tuple[bool, int]:
    """Return how wide a claim is. An alias is wider than any list: only an administrator can make one."""
    return compared(claim.alias_id) in observed.aliases, len(resolve(observed, claim.alias_id))
