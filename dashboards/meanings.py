"""A colour for each of hotdesk's words, and a number if a timeline needs one.

The words of each table are ordered from good to bad, so that of several the highest number is the one to show.
"""

from collections.abc import Mapping

from dashboards.panels import BLUE, GREEN, GREY, LIGHT_BLUE, LIGHT_GREEN, ORANGE, PURPLE, RED, YELLOW, Words
from messages.records import AgentPauseStage, DialerState, FenceStage, ProbeResult, ReloginStage

STATES: Mapping[str, str] = {
    DialerState.UP: GREEN,
    DialerState.RECOVERING: LIGHT_GREEN,
    DialerState.UNKNOWN: GREY,
    DialerState.CLOSED: BLUE,
    DialerState.DRAINING: ORANGE,
    DialerState.SUSPECT: YELLOW,
    DialerState.DOWN: RED,
}
KINDS: Mapping[str, str] = {
    state: STATES[state] for state in (DialerState.CLOSED, DialerState.DRAINING, DialerState.DOWN)
}
"""Of incidents."""
PROBES: Mapping[str, str] = {
    ProbeResult.ALIVE: GREEN,
    ProbeResult.DENIED: PURPLE,
    ProbeResult.UNREACHABLE: YELLOW,
    ProbeResult.MUTE: ORANGE,
    ProbeResult.REFUSED: RED,
}
MOVES: Mapping[str, str] = {
    ReloginStage.MOVED: GREEN,
    ReloginStage.ENDED: LIGHT_GREEN,
    ReloginStage.SENT: YELLOW,
    ReloginStage.WRAPPING_UP: LIGHT_BLUE,
    ReloginStage.HANGING_UP: PURPLE,
    ReloginStage.PLANNED: ORANGE,
    ReloginStage.FAILED: RED,
    ReloginStage.ADVISED: GREY,
}
AGENT_PAUSES: Mapping[str, str] = {
    AgentPauseStage.PAUSED: BLUE,
    AgentPauseStage.RESUMING: LIGHT_BLUE,
    AgentPauseStage.PLANNED: ORANGE,
    AgentPauseStage.GIVEN_UP: RED,
    AgentPauseStage.ADVISED: GREY,
}
FENCES: Mapping[str, str] = {
    FenceStage.RETURNED: GREEN,
    FenceStage.NOT_TAKEN: GREY,
    FenceStage.RETURNING: LIGHT_BLUE,
    FenceStage.PLANNED: YELLOW,
    FenceStage.TAKEN: BLUE,
    FenceStage.LOOKING: YELLOW,
    FenceStage.UNCLEAR: RED,
}
PICKS: Mapping[str, str] = {"picked": GREEN, "degraded": ORANGE, "refused": RED}

UP = 'state="up"'

QUIETLY_YES: Words = {0: ("no", GREY), 1: ("yes", BLUE)}


def codes(table: Mapping[str, str]) -> Mapping[str, int]:
    """Return a number for each word of a table, from 1: no number stands for an absent series."""
    return {word: code for code, word in enumerate(table, start=1)}


def words(table: Mapping[str, str]) -> Words:
    """Return the word and the colour of each number that `codes` assigns."""
    return {code: (str(word), table[word]) for word, code in codes(table).items()}
