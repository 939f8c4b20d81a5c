"""What is done about a move that was ordered, and what its outcome means. Pure.

VICIdial's own row is read just before anything is sent, since only it tells what is true now. Whoever is gone,
elsewhere or already told is sent nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from messages.records import Action, Fence, FenceStage, AgentPause, AgentPauseStage, Relogin, ServerIp, ReloginStage

LOGOUT = "LOGOUT"
"""What `external_pause` holds when a screen is to log out: exactly this."""


PAUSED = "PAUSED"
IN_CALL = {"INCALL", "QUEUE", "MQUEUE"}
"""`vicidial_live_agents.status` of who must not be cut off on a dialer that lives."""


class SessionRow(NamedTuple):
    """A row of `vicidial_live_agents`, as it is now."""

    live_agent_id: int
    server_ip: ServerIp
    external_pause: str
    status: str = ""


class Check(StrEnum):
    """What the rows of a user say about sending."""

    SEND = "send"
    GONE = "the session is gone: nothing sent"
    ELSEWHERE = "the session is on another dialer by now: nothing sent"
    TOLD = "the screen was already told to log out: nothing sent"
    HANG_UP = "the screen was already told to log out, and waits for a call that has died: only told to hang up"
    IN_CALL = "the agent is in a call on a dialer that lives: nothing done"
    PAUSED = "the agent is paused already: nothing sent"
    NOT_OURS = "somebody has paused or resumed the agent since: nothing sent"
    TWICE = "the user has another session too, which the agent API would end as well: nothing sent"


class Reply(StrEnum):
    """What came of sending."""

    DONE = "done"
    GONE = "nobody is logged in by that name"
    DENIED = "denied"
    """The account may not: nothing more is sent before somebody mended it, since VICIdial locks users out."""
    REFUSED = "refused"
    UNCLEAR = "no answer: it may have been done"
    UNSENT = "not sent"


class Outcome(NamedTuple):
    """What an executor did about an order."""

    reply: Reply
    said: str
    """In words, without secrets."""
    mark: str = ""
    """What `external_pause` holds after a pause."""


def check(action: Relogin | AgentPause, rows: Sequence[SessionRow], *, names_user: bool) -> Check:
    """Tell whether to send, from all rows of the user; `names_user`: the way of sending cannot tell sessions apart."""
    here = action.from_server_ip if isinstance(action, Relogin) else action.server_ip
    row = next((each for each in rows if each.live_agent_id == action.live_agent_id), None)
    if row is None:
        return Check.GONE
    if row.server_ip != here:
        return Check.ELSEWHERE
    if isinstance(action, Relogin) and action.forced:
        return Check.IN_CALL if action.dialer_lives and row.status in IN_CALL else Check.SEND
    return _check_screen(action, row, alone=len(rows) == 1 or not names_user)


def _check_screen(action: Relogin | AgentPause, row: SessionRow, *, alone: bool) -> Check:
    """Tell whether the screen of this very session is to be told; `alone`: nobody else would hear it."""
    told = row.external_pause == LOGOUT
    # it logs out when that call ends, which is dead with its dialer
    waits = isinstance(action, Relogin) and action.in_call and row.status in IN_CALL
    if told and not waits:
        return Check.TOLD
    if not alone:
        return Check.TWICE
    if told:
        return Check.HANG_UP
    if isinstance(action, Relogin):
        return Check.SEND
    if action.stage is AgentPauseStage.RESUMING:
        # a screen that has not heeded the pause yet will, unless it is taken back now
        theirs = action.seen and row.status != PAUSED
        return Check.SEND if row.external_pause == action.mark and not theirs else Check.NOT_OURS
    return Check.PAUSED if row.status == PAUSED else Check.SEND


def after_check(found: Check) -> Outcome:
    """Say what it means that nothing was sent."""
    match found:
        case Check.GONE | Check.ELSEWHERE | Check.PAUSED | Check.NOT_OURS:
            return Outcome(Reply.GONE, found)
        case Check.TOLD:
            return Outcome(Reply.DONE, found)
        case _:
            return Outcome(Reply.REFUSED, found)


def after(action: Action, outcome: Outcome, now_ms: int, by: str) -> Action | None:
    """Give an action as it stands after an outcome; None: it is over, and may be forgotten."""
    if outcome.reply in {Reply.UNSENT, Reply.DENIED}:
        return action
    stage: ReloginStage | AgentPauseStage | FenceStage | None
    match action:
        case Relogin():
            # what was refused is tried again after a while, and then said to have failed
            stage = ReloginStage.ENDED if outcome.reply is Reply.GONE else ReloginStage.SENT
        case AgentPause(stage=AgentPauseStage.RESUMING):
            stage = None
        case AgentPause():
            stage = AgentPauseStage.PAUSED if outcome.reply in {Reply.DONE, Reply.UNCLEAR} else AgentPauseStage.GIVEN_UP
        case Fence(stage=FenceStage.RETURNING):
            stage = FenceStage.UNCLEAR if outcome.reply is Reply.UNCLEAR else FenceStage.RETURNED
        case Fence():
            stage = {
                Reply.DONE: FenceStage.TAKEN,
                Reply.GONE: FenceStage.NOT_TAKEN,
            }.get(outcome.reply, FenceStage.UNCLEAR)
    if stage is None:
        return None
    changes: dict[str, object] = {"mark": outcome.mark} if isinstance(action, AgentPause) else {}
    return msgspec.structs.replace(action, stage=stage, changed_at_ms=now_ms, answer=outcome.said, by=by, **changes)
