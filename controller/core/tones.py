"""The state of a cluster at a glance: one tone for the status page, and for `hotdesk status`. Pure."""

from enum import StrEnum

from controller.core.explanations import is_unjudged, lost_screens, no_dialer_words, unread_words
from controller.core.plan import collectors_doubt
from controller.core.state import ClusterState
from messages.records import DialerState

_OFFERED = {DialerState.UP, DialerState.RECOVERING, DialerState.SUSPECT, DialerState.UNKNOWN}
"""States of dialers that take logins, be it as a last resort, or may do so soon."""


class Tone(StrEnum):
    """The state of a cluster, at a glance."""

    WELL = "well"
    TROUBLE = "trouble"
    """A dialer is down, moves are withheld, the database refuses or does not answer, or there is no dialer."""
    CARE = "care"
    """Something is wrong that can wait until the morning."""
    BLIND = "blind"
    """Nothing is known, and no collector says why."""


def tone_of(state: ClusterState, *, stale: bool) -> Tone:
    """Return the tone of a cluster; `stale`: nothing is offered, since nothing is known."""
    if state.observed.outage is not None:
        return Tone.TROUBLE
    if stale:
        return Tone.BLIND
    judged = {each.state for each in state.observed.health.dialers.values()}
    if (
        no_dialer_words(state)
        or not judged & _OFFERED
        or state.observed.health.brake
        or collectors_doubt(state.observed) is not None
        or DialerState.DOWN in judged
        or is_unjudged(state)
        or lost_screens(state)
    ):
        return Tone.TROUBLE
    well = judged <= {DialerState.UP} and state.decided.orders.pause is None and not unread_words(state)
    return Tone.WELL if well else Tone.CARE
