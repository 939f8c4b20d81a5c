"""What is done about a move that was ordered, and what its outcome means. Pure.

VICIdial's own row is read just before anything is sent, since only it tells what is true now. Whoever is gone,
elsewhere or already told is sent nothing.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from messages.records import Relogin, ServerIp, Stage

LOGOUT = "LOGOUT"
"""What `external_pause` holds when a screen is to log out: exactly this."""


class SessionRow(NamedTuple):
    """A row of `vicidial_live_agents`, as it is now."""

    live_agent_id: int
    server_ip: ServerIp
    external_pause: str


class Check(StrEnum):
    """What the rows of a user say about sending."""

    SEND = "send"
    GONE = "the session is gone: nothing sent"
    ELSEWHERE = "the session is on another dialer by now: nothing sent"
    TOLD = "the screen was already told to log out: nothing sent"
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


def check(relogin: Relogin, rows: Sequence[SessionRow], *, names_user: bool) -> Check:
    """Tell whether to send, from all rows of the user; `names_user`: the way of sending cannot tell sessions apart."""
    row = next((each for each in rows if each.live_agent_id == relogin.live_agent_id), None)
    if row is None:
        return Check.GONE
    if row.server_ip != relogin.from_server_ip:
        return Check.ELSEWHERE
    if row.external_pause == LOGOUT:
        return Check.TOLD
    if names_user and len(rows) > 1:
        return Check.TWICE
    return Check.SEND


def after_check(found: Check) -> Outcome:
    """Say what it means that nothing was sent."""
    match found:
        case Check.GONE | Check.ELSEWHERE:
            return Outcome(Reply.GONE, found)
        case Check.TOLD:
            return Outcome(Reply.DONE, found)
        case _:
            return Outcome(Reply.REFUSED, found)


def after(relogin: Relogin, outcome: Outcome, now_ms: int, by: str) -> Relogin:
    """Give the move as it stands after an outcome."""
    stage = {
        Reply.DONE: Stage.TOLD,
        Reply.UNCLEAR: Stage.TOLD,
        Reply.REFUSED: Stage.TOLD,  # tried again after a while, and then said to have failed
        Reply.GONE: Stage.ENDED,
        Reply.UNSENT: Stage.ORDERED,
        Reply.DENIED: Stage.ORDERED,
    }[outcome.reply]
    return msgspec.structs.replace(relogin, stage=stage, changed_at_ms=now_ms, answer=outcome.said, by=by)
