"""The undo file: what takes each step back, written before the first, and how each step ended. Pure: text in and out.

It is a text of lines of JSON, so that a line can be added before and after each step, and a file that was cut off is
read as far as it goes. A step whose answer never came may have been done; it is taken back too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from hotdesk.aliases.records import AnyStep, Existing
from hotdesk.aliases.steps import inverses_of
from messages.codes import Reply

VERSION = 1
MAY_BE_DONE = frozenset({Reply.DONE.value, Reply.UNCLEAR.value})


class UndoFileError(ValueError):
    """The text is no undo file."""


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    cluster: str
    back: tuple[AnyStep | None, ...]
    """The steps that take each step back, in the order of these; None: nothing does."""


class _Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    step: int
    reply: str


class Undo(NamedTuple):
    """The content of an undo file."""

    cluster: str
    steps: tuple[AnyStep, ...]
    """In the order in which they are to be carried out: the last step is taken back first."""
    lost: int
    """Steps that were done, and that nothing takes back."""


def head(cluster: str, steps: Sequence[AnyStep], existing: Existing) -> str:
    """Return the first line: what takes each step back."""
    return _line(_Head(version=VERSION, cluster=cluster, back=tuple(inverses_of(steps, existing))))


def kept_for_good(steps: Sequence[AnyStep], existing: Existing) -> list[AnyStep]:
    """Return the steps that nothing could take back, for people to know before they agree."""
    back = inverses_of(steps, existing)
    return [step for step, inverse in zip(steps, back, strict=True) if inverse is None]


def mark(step: int, reply: Reply) -> str:
    """Return the line that says how a step ended, counted from 0; before it is asked for: unclear."""
    return _line(_Mark(step=step, reply=reply.value))


def read(text: str) -> Undo:
    """Return what an undo file asks for.

    Raises:
        UndoFileError: it is none, or that of another version.
    """
    first, _, rest = text.partition("\n")
    try:
        known = msgspec.json.decode(first, type=_Head)
    except msgspec.DecodeError as error:
        raise UndoFileError(f"it is no undo file: {error}") from error
    if known.version != VERSION:
        raise UndoFileError(f"it is of version {known.version}, and this hotdesk reads {VERSION}")
    replies: dict[int, str] = {}
    for line in rest.splitlines():
        try:
            found = msgspec.json.decode(line, type=_Mark)
        except msgspec.DecodeError:
            break  # the line that was being written when the file was cut off
        replies[found.step] = found.reply
    done = [number for number in range(len(known.back)) if replies.get(number) in MAY_BE_DONE]
    back = [known.back[number] for number in reversed(done)]
    return Undo(known.cluster, tuple(each for each in back if each is not None), back.count(None))


def _line(what: object) -> str:
    return msgspec.json.encode(what).decode() + "\n"
