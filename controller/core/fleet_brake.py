"""The fleet brake: while most dialers in service look bad at once, no agent is moved: it may be the observer. Pure.

Dialers that were bad when the brake took hold leave its set by being up again, or by a person's order, and never by
time: a network that is down for ten minutes is no proof that the dialers behind it are.
"""

from collections.abc import Mapping
from typing import NamedTuple

from controller.core.orders import Orders
from messages.beats import beats
from messages.codes import Reason, ReasonCode
from messages.records import DialerHealth, DialerState, FleetHealth, ServerIp
from messages.words import reason

SETTLED_SECONDS = 600.0
"""A dialer that has been down this long, without a brake, is no longer part of the fleet that the brake looks at. Only
time that was watched without a gap counts: the next collector's clock may be an hour ahead. Settled it stays so."""
AT_THIS_MOMENT_SECONDS = 2.0
"""A sound heartbeat advances each second, and polls come every half. All that die together miss this at once."""
SEVERAL = 2
"""A single dead dialer never sets the brake, however small the fleet."""


class FleetBrake(NamedTuple):
    """The brake at one poll."""

    bad_since_ms: int | None = None
    """Since when too many dialers have looked bad at once; None: they do not."""
    reason: Reason | None = None
    """Why no agent is moved; None: no brake, or a person released it."""
    braked: frozenset[ServerIp] = frozenset()
    """Its set: the dialers that have looked bad since it took hold and were not up again."""


def fleet_brake(
    before: FleetHealth, dialers: Mapping[ServerIp, DialerHealth], orders: Orders, now_ms: int
) -> FleetBrake:
    """Return the brake at this poll, from how the fleet was judged before and how it is judged now."""
    service = {ip: each for ip, each in dialers.items() if _in_service(each, braked=ip in before.braked)}
    bad = {ip for ip, each in service.items() if _looks_bad(each, now_ms)}
    if len(bad) < SEVERAL or len(bad) <= len(service) / 2:
        return FleetBrake()
    since_ms = now_ms if before.bad_since_ms is None else before.bad_since_ms
    if _released(orders, since_ms):
        return FleetBrake(since_ms)
    why = reason(ReasonCode.FLEET_BRAKE, bad=len(bad), service=len(service))
    return FleetBrake(since_ms, why, frozenset(bad))


def lets_go(before: FleetHealth, brake: FleetBrake) -> bool:
    """Return whether the brake lets go at this poll because dialers are back, and not because a person released it."""
    return bool(before.braked) and brake.bad_since_ms is None


def fleet_braked(health: FleetHealth, orders: Orders) -> bool:
    """Return True while the fleet brake is on, and no person has released it."""
    return health.brake is not None and health.bad_since_ms is not None and not _released(orders, health.bad_since_ms)


def _released(orders: Orders, bad_since_ms: int) -> bool:
    """Return True if a person has released the brake that began at `bad_since_ms`; a later one needs another order."""
    return orders.unbrake is not None and orders.unbrake.bad_since_ms == bad_since_ms


def _looks_bad(dialer: DialerHealth, now_ms: int) -> bool:
    if dialer.life is DialerState.DOWN:
        return True
    return dialer.verdict is not DialerState.UP and not _is_only_refused(dialer, now_ms)


def _is_only_refused(dialer: DialerHealth, now_ms: int) -> bool:
    """Return True if probes have long failed beside a heartbeat that beats at this moment: a firewall, or a ban."""
    contradicted = any(each.contradicted for each in dialer.probes.values())
    return contradicted and beats(dialer.advances) and now_ms - dialer.advances[-1] < AT_THIS_MOMENT_SECONDS * 1000


def _in_service(dialer: DialerHealth, *, braked: bool) -> bool:
    """Return whether a dialer counts for the brake: it has served, is switched on, and did not die long ago."""
    return dialer.served and dialer.switched_off_since_ms is None and (braked or not dialer.settled)


def settles(known: DialerHealth, life: DialerState, life_since_ms: int, now_ms: int, steady_since_ms: int) -> bool:
    """Return True if a dialer has been down for so long, watched without a gap, that it is no part of the fleet."""
    if life is not DialerState.DOWN:
        return False
    return known.settled or now_ms - max(life_since_ms, steady_since_ms) >= SETTLED_SECONDS * 1000
