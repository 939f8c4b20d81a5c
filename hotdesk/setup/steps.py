"""Steps: what is done to a machine, as data. Each says what it does, how it is taken back, and whether it is done.

Pure. What is wanted is compared with what was seen of the machine and with the notes of what was done before: so a
second run changes nothing that is right, and nothing that a person has changed since is written over or removed.
"""

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

UNITS = "/etc/systemd/system/"
RELOAD = ("systemctl", "daemon-reload")

Words = tuple[str, ...]
"""A command, word by word."""


class Owner(NamedTuple):
    """The user and the group of a file."""

    user: str
    group: str


ROOT = Owner("root", "root")


class Seen(NamedTuple):
    """A file or folder as it is now."""

    mode: int
    owner: Owner
    content: bytes | None
    """None: it is a folder."""


class Folder(msgspec.Struct, frozen=True, tag=True):
    """A folder to make."""

    path: str
    mode: int
    owner: Owner = ROOT
    exact: bool = False
    """One that is there already gets this mode and owner, too."""


class File(msgspec.Struct, frozen=True, tag=True):
    """A file to write."""

    path: str
    content: bytes
    mode: int
    owner: Owner = ROOT
    secret: bool = False
    """Its content is never shown."""
    stays: bool = False
    """Whatever it holds already stays: a secret in use."""
    takes_over: bool = False
    """Another one that is there is kept as a copy, and comes back."""
    ours: bool = False
    """It is a file of the program itself: another version of it is replaced."""


class Remove(msgspec.Struct, frozen=True, tag=True):
    """A file, or an empty folder, to remove; or to replace by the copy of what was there before."""

    path: str
    copy: str = ""


class Commands(msgspec.Struct, frozen=True, tag=True):
    """Commands to run one after the other, and those that take them back."""

    run: tuple[Words, ...]
    back: tuple[Words, ...] = ()


class Statements(msgspec.Struct, frozen=True, tag=True):
    """SQL to run as an administrator of the database. The password in it is never shown."""

    run: tuple[str, ...]
    shown: tuple[str, ...]
    """The same without the password."""
    back: str = ""
    """Empty: the account was there before."""


Act = Folder | File | Remove | Commands | Statements


class State(StrEnum):
    """How far a step is: to be carried out, or not."""

    TO_DO = "to do"
    DONE = "done already"
    KEPT = "left as it is"
    BY_HAND = "by hand"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step."""

    what: str
    """The act, as one says it to a colleague."""
    back: str
    """How it is taken back."""
    act: Act
    state: State
    why: str = ""
    """Why it is left as it is, or has to be done by hand."""
    asks: str = ""
    """The question to ask before this step alone; empty: it goes with the others."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done. It is told from others by its path or its way back: its sentence is for people."""

    what: str
    path: str = ""
    digest: str = ""
    """SHA-256 of what was written; empty: it is a folder, or no file."""
    copy: str = ""
    """Where what was there before is kept; empty: nothing was."""
    back: tuple[Words, ...] = ()
    statement: str = ""
    """SQL that takes it back."""

    @property
    def identity(self) -> tuple[object, ...]:
        """Return what another note of the same thing has, too, in whatever words an older hotdesk wrote it."""
        return (self.path,) if self.path else (self.back, self.statement)


class Notes(msgspec.Struct, frozen=True):
    """All that was done to this machine, in order."""

    entries: tuple[Entry, ...] = ()

    def of(self, path: str) -> Entry | None:
        """Return the entry of a path; None: nothing was done there."""
        return next((each for each in self.entries if each.path == path), None)

    def with_entry(self, entry: Entry) -> "Notes":
        """Return the notes with one thing more, in place of what it has of the same."""
        others = [each for each in self.entries if each.identity != entry.identity]
        at = next((n for n, each in enumerate(self.entries) if each.identity == entry.identity), len(others))
        return Notes((*others[:at], entry, *others[at:]))

    def without(self, entries: Iterable[Entry]) -> "Notes":
        """Return the notes without some of its entries."""
        gone = set(entries)
        return Notes(tuple(each for each in self.entries if each not in gone))


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def step_of(act: Folder | File, what: str, seen: Mapping[str, Seen], notes: Notes) -> Step:
    """Return the step that makes a folder or writes a file, as what is there now has it."""
    there = seen.get(act.path)
    if isinstance(act, Folder):
        return _of_folder(act, what, there)
    back = "it is removed"
    if there is None:
        return Step(what=what, back=back, act=act, state=State.TO_DO)
    if there.content is None:
        return Step(what=what, back="", act=act, state=State.KEPT, why=f"{act.path} is a folder")
    if act.stays:
        act = msgspec.structs.replace(act, content=there.content)
    elif there.content != act.content and not (act.takes_over or act.ours):
        mine = notes.of(act.path)
        if mine is None or mine.digest != digest(there.content):
            since = "there was one already" if mine is None else "somebody has changed it since"
            return Step(what=what, back="", act=act, state=State.KEPT, why=since)
    right = there == Seen(act.mode, act.owner, act.content)
    if not (right or act.ours) and notes.of(act.path) is None:
        back = "what was there before comes back" if act.takes_over else "it stays, with its mode"
    return Step(what=what, back=back, act=act, state=State.DONE if right else State.TO_DO)


def _of_folder(act: Folder, what: str, there: Seen | None) -> Step:
    back = "it is removed, if it is empty then"
    if there is None:
        return Step(what=what, back=back, act=act, state=State.TO_DO)
    if there.content is not None:
        return Step(what=what, back="", act=act, state=State.KEPT, why=f"{act.path} is no folder")
    right = not act.exact or (there.mode, there.owner) == (act.mode, act.owner)
    return Step(what=what, back="it stays", act=act, state=State.DONE if right else State.TO_DO)


def entry_of(step: Step, seen: Mapping[str, Seen], notes: Notes, copy: str) -> Entry | None:
    """Return what to note before a step is carried out; None: there is nothing to take back.

    Args:
        step: which.
        seen: what is there before.
        notes: what was done before.
        copy: where to keep what the step replaces.
    """
    act = step.act
    match act:
        case Folder():
            return None if act.path in seen else Entry(what=step.what, path=act.path)
        case File():
            return _entry_of_file(act, step.what, seen.get(act.path), notes.of(act.path), copy)
        case Commands():
            return Entry(what=step.what, back=act.back) if act.back else None
        case Statements():
            return Entry(what=step.what, statement=act.back) if act.back else None
        case Remove():
            return None


def _entry_of_file(act: File, what: str, there: Seen | None, mine: Entry | None, copy: str) -> Entry | None:
    written = digest(act.content)
    if there is None or act.ours:
        return Entry(what=what, path=act.path, digest=written)
    if mine is not None and there.content is not None and mine.digest == digest(there.content):
        return Entry(what=what, path=act.path, digest=written, copy=mine.copy)
    if act.takes_over:
        return Entry(what=what, path=act.path, digest=written, copy=copy)
    return mine  # it was there before, and only its mode changes


def undoing(notes: Notes, seen: Mapping[str, Seen]) -> list[tuple[Step, Entry | None]]:
    """Return the steps that take back what was done, the last first, each with the entry that it settles."""
    steps: list[tuple[Step, Entry | None]] = [(_undone(entry, seen), entry) for entry in reversed(notes.entries)]
    if any(entry.path.startswith(UNITS) for entry in notes.entries):
        again = Step(what="have systemd read its units again", back="", act=Commands((RELOAD,)), state=State.TO_DO)
        steps.append((again, None))
    return steps


def _undone(entry: Entry, seen: Mapping[str, Seen]) -> Step:
    if entry.statement:
        act = Statements((entry.statement,), (entry.statement,))
        return Step(what=f"take back: {entry.what}", back="", act=act, state=State.TO_DO)
    if not entry.path:
        return Step(what=f"take back: {entry.what}", back="", act=Commands(entry.back), state=State.TO_DO)
    there = seen.get(entry.path)
    what = f"put back {entry.path}" if entry.copy else f"remove {entry.path}"
    step = Step(what=what, back="", act=Remove(entry.path, entry.copy), state=State.TO_DO)
    before = f"; what was there before is in {entry.copy}" if entry.copy else ""
    if there is None and not entry.copy:
        return msgspec.structs.replace(step, state=State.DONE)
    if there is None:
        return msgspec.structs.replace(step, state=State.KEPT, why=f"somebody has removed it since{before}")
    now = "" if there.content is None else digest(there.content)
    # put back already, by an undoing that was broken off: its copy is still to go
    is_back = now and entry.copy.endswith(f".{now[:8]}")
    if now != entry.digest and not is_back:
        return msgspec.structs.replace(step, state=State.KEPT, why=f"somebody has changed it since{before}")
    return step


def paths_of(notes: Notes) -> list[str]:
    """Return the paths at which something was done."""
    return [entry.path for entry in notes.entries if entry.path]


def words_for(step: Step) -> Iterator[str]:
    """Yield what a person reads of a step: what it does, how it is taken back, what stands in it."""
    why = f": {step.why}" if step.why else ""
    note = "" if step.state is State.TO_DO else f"  [{step.state}{why}]"
    yield f"{step.what}{note}"
    if step.state is State.DONE:
        return
    if step.back:
        yield f"    back: {step.back}"
    yield from (f"    | {line}" for line in _content(step.act))


MOST_LINES = 60


def _content(act: Act) -> Sequence[str]:
    match act:
        case File(secret=False, content=content) if content.count(b"\n") <= MOST_LINES:
            return content.decode(errors="replace").splitlines()
        case Commands(run=run):
            return [shell(words) for words in run]
        case Statements(shown=shown):
            return shown
        case _:
            return ()


def shell(words: Iterable[str]) -> str:
    """Return a command as one would type it."""
    return shlex.join(words)
