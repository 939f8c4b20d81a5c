"""The fleet brake: no agent is moved while most dialers in service look bad: the observer may be at fault. Pure."""

from collections.abc import Mapping

from controller.core.orders import Orders
from messages.codes import Reason, ReasonCode
from messages.records import DialerHealth, DialerState, FleetHealth, ServerIp
from messages.words import reason

SETTLED_SECONDS = 600.0
"""A dialer that has been down this long no longer counts as part of the fleet."""
BRAKE_CONFIRMED_SECONDS = 60.0
"""The brake is released after this time if probes confirm every death."""
SEVERAL = 2
"""A single dead dialer never sets the brake, however small the fleet."""


def fleet_brake(
    before: FleetHealth, dialers: Mapping[ServerIp, DialerHealth], orders: Orders, now_ms: int
) -> tuple[int | None, Reason | None]:
    """Return since when too many dialers look bad at once, and the reason to move no agent; None: no such reason."""
    bad = [
        each
        for each in dialers.values()
        if (each.verdict is not DialerState.UP or each.life is DialerState.DOWN) and _in_service(each, now_ms)
    ]
    if len(bad) < SEVERAL:
        return None, None
    service = [each for each in dialers.values() if _in_service(each, now_ms)]
    if len(bad) <= len(service) / 2:
        return None, None
    since_ms = now_ms if before.bad_since_ms is None else before.bad_since_ms
    if _released(orders, since_ms):
        return since_ms, None
    dead = all(each.life is DialerState.DOWN and each.confirmed for each in bad)
    if dead and now_ms - since_ms >= BRAKE_CONFIRMED_SECONDS * 1000:
        return since_ms, None
    return since_ms, reason(ReasonCode.FLEET_BRAKE, bad=len(bad), service=len(service))


def fleet_braked(health: FleetHealth, orders: Orders) -> bool:
    """Return True while the fleet brake is on, and no person has released it."""
    return health.brake is not None and health.bad_since_ms is not None and not _released(orders, health.bad_since_ms)


def _released(orders: Orders, bad_since_ms: int) -> bool:
    """Return True if a person has released the brake that began at `bad_since_ms`; a later one needs another order."""
    return orders.unbrake is not None and orders.unbrake.bad_since_ms == bad_since_ms


def _in_service(dialer: DialerHealth, now_ms: int) -> bool:
    """Return True if a dialer counts for the brake: it has been up, is switched on, and did not go down long ago."""
    settled = dialer.life is DialerState.DOWN and now_ms - dialer.life_since_ms >= SETTLED_SECONDS * 1000
    return dialer.served and dialer.switched_off_since_ms is None and not settled
