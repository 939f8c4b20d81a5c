"""The undo file: what takes each step back, written before the first, and how each step ended. Pure: text in and out.

It is a text of lines of JSON, so that a line can be added before and after each step, and a file that was cut off is
read as far as it goes. A step whose answer never came may have been done; it is taken back too.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from hotdesk.aliases.records import (
    AddAlias,
    Alias,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeleteAlias,
    DeletePhone,
    Existing,
    Phone,
)
from hotdesk.aliases.steps import inverses_of
from messages.codes import Reply
from messages.names import compared

VERSION = 1
MAY_BE_DONE = frozenset({Reply.DONE.value, Reply.UNCLEAR.value})


class UndoFileError(ValueError):
    """The text is no undo file."""


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    cluster: str
    back: tuple[AnyStep | None, ...]
    """The steps that take each step back, in the order of these; None: nothing does."""
    phones: tuple[Phone, ...] = ()
    """Those that are changed or deleted, as they were before: for people, where nothing takes a step back."""
    aliases: tuple[Alias, ...] = ()
    """The same."""


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
    """Return the first line: what takes each step back, and what was there before."""
    phones = (
        existing.phones_by_extension.get(compared(step.extension), {}).get(step.server_ip)
        for step in steps
        if isinstance(step, ChangePhone | DeletePhone)
    )
    aliases = (
        existing.aliases_by_id.get(compared(step.alias_id))
        for step in steps
        if isinstance(step, ChangeAlias | DeleteAlias)
    )
    made = _Head(
        version=VERSION,
        cluster=cluster,
        back=tuple(inverses_of(steps, existing)),
        phones=tuple(each for each in phones if each is not None),
        aliases=tuple(each for each in aliases if each is not None),
    )
    return _line(made)


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


class Lists:
    """Which alias lists which phone, followed step by step.

    An undo file knows its own run only. What a later run listed, or an alias that could not be changed back, needs its
    phones still.
    """

    def __init__(self, existing: Existing) -> None:
        self._logins = {
            each.alias_id: frozenset(map(compared, each.logins)) for each in existing.aliases_by_id.values()
        }
        self._names = {compared(each): each for each in self._logins}

    def why_kept(self, step: AnyStep) -> str:
        """Return why a step must not be carried out; empty: it may."""
        if not isinstance(step, DeletePhone):
            return ""
        login = compared(step.login)
        by = next((alias_id for alias_id, logins in sorted(self._logins.items()) if login in logins), None)
        return "" if by is None else f"the alias {by} lists it: if a later run made that, take its file back first"

    def follow(self, step: AnyStep) -> None:
        """Record a step that was carried out."""
        match step:
            case DeleteAlias():
                self._logins.pop(self._name(step.alias_id), None)
            case AddAlias() | ChangeAlias() if step.logins:
                self._logins[self._name(step.alias_id)] = frozenset(map(compared, step.logins))

    def _name(self, alias_id: str) -> str:
        return self._names.get(compared(alias_id), alias_id)


def left_by(steps: Iterable[AnyStep], existing: Existing) -> list[tuple[AnyStep, str]]:
    """Return the steps that would be left out if all others are carried out, each with why."""
    lists, left = Lists(existing), []
    for step in steps:
        if why := lists.why_kept(step):
            left.append((step, why))
        else:
            lists.follow(step)
    return left


def _line(what: object) -> str:
    return msgspec.json.encode(what).decode() + "\n"
