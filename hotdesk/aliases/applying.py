"""Carrying a plan out, desk by desk: one request after the other, each answer read. Pure but for what it is given.

A desk of which a step is refused is left there, and the others go on. Where VICIdial refuses the account, or an answer
does not come, nothing more is asked: the next run goes on from what there is.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from controller.vicidial.non_agent_api import Answered
from hotdesk.aliases.records import AnyStep, DeleteAlias, DeletePhone, DeskPlan
from messages.codes import Reply

DESKS_AT_ONCE = 25
"""Desks of a batch, after which its progress is told."""

Ask = Callable[[AnyStep], Answered]
Journal = Callable[[int, Reply], None]
"""Is told of each step, by its number in the plan: unclear before it is asked for, and its reply afterwards."""

STOPS = frozenset({Reply.DENIED, Reply.UNCLEAR, Reply.UNSENT})


class Refused(NamedTuple):
    """A step that was not done, and VICIdial's words."""

    alias_id: str
    step: AnyStep
    said: str


class Progress(NamedTuple):
    """How far a plan has come."""

    desks: int
    """Those that were dealt with."""
    of_desks: int
    done: int
    """Steps that were done."""
    refused: tuple[Refused, ...] = ()
    stopped: str = ""
    """Why nothing more is asked; empty: it goes on, or it is over."""


def carried_out(desks: Sequence[DeskPlan], ask: Ask, journal: Journal) -> Iterator[Progress]:
    """Carry out the steps of all desks, and yield the progress after each batch and at the end."""
    number, done = 0, 0
    refused: list[Refused] = []
    for count, desk in enumerate(desks, 1):
        for place, step in enumerate(desk.steps):
            journal(number + place, Reply.UNCLEAR)
            answered = ask(step)
            journal(number + place, answered.reply)
            if answered.reply in STOPS:
                yield Progress(count - 1, len(desks), done, tuple(refused), answered.said)
                return
            if not _is_done(step, answered.reply):
                refused.append(Refused(desk.alias_id, step, answered.said))
                break
            done += answered.reply is Reply.DONE
        number += len(desk.steps)
        if count % DESKS_AT_ONCE == 0 and count < len(desks):
            yield Progress(count, len(desks), done, tuple(refused))
    yield Progress(len(desks), len(desks), done, tuple(refused))


def _is_done(step: AnyStep, reply: Reply) -> bool:
    """Return True if all is now as a step wants it: what was to be deleted may have been gone before."""
    return reply is Reply.DONE or (reply is Reply.GONE and isinstance(step, DeletePhone | DeleteAlias))
