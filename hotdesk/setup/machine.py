"""The machine itself: what is at a path, and the acts of steps carried out. The thin shell around `steps`.

`root` is the folder that stands for /: a test gives one of its own, since no test may write to the real /etc. It is no
option of any command, as the settings that are written name their files by absolute paths, which would be wrong below
another root; to try setup out, `--folder` puts everything into one folder, with paths that are right.
"""

import errno
import grp
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from controller.api.secret_files import ChangeableError, refuse_changeable
from hotdesk.errors import HotdeskError, SettingsError
from hotdesk.setup.steps import (
    Act,
    Commands,
    Entry,
    File,
    Folder,
    Notes,
    Owner,
    Remove,
    Seen,
    State,
    Statements,
    Step,
    Words,
    digest,
    entry_of,
    shell,
)

COMMAND_SECONDS = 60
MOST_MIB = 16
"""Of a file that is compared, replaced or kept: VICIdial's largest page is far smaller."""

RunSql = Callable[[Sequence[str]], None]
"""Runs statements as an administrator of the database.

Raises:
    DatabaseFailure: one of them failed.
"""


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    said: str


def run(words: Words) -> Ran:
    """Run a command, and return how it ended; 127: there is none of that name."""
    try:
        done = subprocess.run(  # noqa: S603 (the steps' own)
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return Ran(127, f"there is no {words[0]}")
    except subprocess.TimeoutExpired:
        return Ran(124, f"not done within {COMMAND_SECONDS} s")
    except OSError as error:
        return Ran(126, str(error.strerror))
    return Ran(done.returncode, done.stdout)


def this_owner() -> Owner:
    """Return the user and the group of this process."""
    return Owner(_user(os.geteuid()), _group(os.getegid()))


class Tree:
    """The files below a root, and what was done to them."""

    def __init__(self, notes: str, root: Path = Path("/")) -> None:
        """Read the notes.

        Args:
            notes: their file; copies of what is replaced lie beside it.
            root: the folder that stands for /.

        Raises:
            SettingsError: the notes cannot be read.
        """
        self._root = root
        self.notes_file = notes
        self.notes = self._read_notes()
        self._shown: dict[str, Seen | None] = {}

    def seen(self, paths: Iterable[str]) -> dict[str, Seen]:
        """Return what is at those of the paths at which there is something.

        Raises:
            SettingsError: one of them cannot be read, or is no file that hotdesk would ever replace.
        """
        wanted = list(paths)
        found = self._found(wanted)
        self._shown |= {path: found.get(path) for path in wanted}
        return found

    def _found(self, paths: Iterable[str]) -> dict[str, Seen]:
        found = {}
        for path in dict.fromkeys(paths):
            at = self._at(path)
            try:
                status = at.stat()
                content = None if stat.S_ISDIR(status.st_mode) else _content(at, status, path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise SettingsError(f"{path} cannot be read: {error.strerror}; run it as root") from error
            owner = Owner(_user(status.st_uid), _group(status.st_gid))
            found[path] = Seen(status.st_mode & 0o7777, owner, content)
        return found

    def text(self, path: str) -> str:
        """Return the text of a file; empty: there is none, or it cannot be read."""
        try:
            return self._at(path).read_text(errors="replace")
        except OSError:
            return ""

    def carry_out(self, step: Step, run_sql: RunSql) -> None:
        """Carry a step out. How it is taken back is noted first, so that even half of it can be.

        Raises:
            HotdeskError: it failed; the steps before it stand.
        """
        act = step.act
        if isinstance(act, File):
            self._must_be_as_shown(act.path)
        seen = self._found([act.path] if isinstance(act, Folder | File) else [])
        copy = ""
        if isinstance(act, File) and (there := seen.get(act.path)) is not None and there.content is not None:
            name = f"{act.path.strip('/').replace('/', '-')}.{digest(there.content)[:8]}"
            copy = f"{self.notes_file.rpartition('/')[0]}/before/{name}"
        before = self.notes
        try:
            entry = entry_of(step, seen, before, copy)
            if entry is not None:
                if entry.copy and entry.copy == copy:
                    self._keep(act.path if isinstance(act, File) else "", copy)
                self._note(before.with_entry(entry))
            self._do(act, run_sql)
        except (OSError, HotdeskError) as error:
            if isinstance(act, File):  # it is as it was, or there is none
                self._take_note_back(before, copy)
            if isinstance(error, HotdeskError):
                raise
            raise HotdeskError(f"{step.what}: {error.strerror or error}") from error

    def _must_be_as_shown(self, path: str) -> None:
        """Refuse to replace what was changed while a person read the steps, or by another setup.

        Raises:
            HotdeskError: it was.
        """
        if path not in self._shown:
            return
        then, now = self._shown[path], self._found([path]).get(path)
        if (then is None) != (now is None) or (then and now and then.content != now.content):
            raise HotdeskError(f"{path} was changed just now: run it again to see what is there")

    def _take_note_back(self, before: Notes, copy: str) -> None:
        if copy and all(each.copy != copy for each in before.entries):
            with suppress(OSError):
                self._at(copy).unlink(missing_ok=True)
        with suppress(OSError):
            self._settle(before)

    def undo(self, step: Step, entry: Entry | None, run_sql: RunSql) -> str:
        """Carry a step of undoing out, and return why it was left, or "" if it was not; its entry is dropped.

        Raises:
            HotdeskError: it failed. Its entry stays, so that it can be tried again.
        """
        remaining = self.notes if entry is None else self.notes.without([entry])
        around = entry is not None and entry.path == self.notes_file.rpartition("/")[0]
        if around and remaining.entries:
            raise HotdeskError("the notes of what is left are in it")
        left = ""
        try:
            if around:
                self._forget()
            if step.state is State.TO_DO:
                if isinstance(step.act, File | Remove):
                    self._must_be_as_shown(step.act.path)
                left = self._take_back(step.act, remaining, run_sql)
            self._settle(remaining)
        except OSError as error:
            if around:
                with suppress(OSError):
                    self._note(self.notes)
            raise HotdeskError(str(error.strerror or error)) from error
        return left

    def _take_back(self, act: Act, remaining: Notes, run_sql: RunSql) -> str:
        """Do it, and return why it is left for good, or ""."""
        try:
            self._do(act, run_sql)
        except FileNotFoundError:
            if isinstance(act, Remove) and act.copy:
                return f"the copy of what was there before, {act.copy}, is gone"
            raise
        except OSError as error:
            path = act.path if isinstance(act, Remove) else ""
            of_ours = any(each.path.startswith(f"{path}/") for each in remaining.entries)
            if error.errno != errno.ENOTEMPTY or of_ours:
                raise
            return str(error.strerror)
        return ""

    def _settle(self, notes: Notes) -> None:
        """Write the notes, or remove their file where there are none."""
        if notes.entries:
            self._note(notes)
        else:
            self._forget()
            self.notes = notes

    def _forget(self) -> None:
        self._at(self.notes_file).unlink(missing_ok=True)
        with suppress(OSError):
            self._at(self.notes_file).with_name("before").rmdir()

    def _do(self, act: Act, run_sql: RunSql) -> None:
        match act:
            case Folder():
                # closed from its beginning, whatever fails then
                self._at(act.path).mkdir(act.mode, parents=True, exist_ok=True)
                _own(self._at(act.path), act.owner, act.path)
                self._at(act.path).chmod(act.mode)
            case File():
                self._write(act)
            case Remove(path=path, copy=copy):
                self._remove(path, copy)
            case Commands():
                for words in act.run:
                    ran = run(words)
                    if ran.code:
                        said = " ".join(ran.said.split())[-300:]
                        raise HotdeskError(f"{shell(words)}: exit code {ran.code}: {said}")
            case Statements():
                run_sql(act.run)

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _write(self, act: File) -> None:
        at = _led_to(self._at(act.path))
        at.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=at.parent, prefix=f".{at.name}.")
        made = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(act.content)
                file.flush()
                # of the open file: in a folder of others the path may be theirs by now
                _own(file.fileno(), act.owner, act.path)
                os.fchmod(file.fileno(), act.mode)
                os.fsync(file.fileno())
            made.replace(at)
        except BaseException:
            made.unlink(missing_ok=True)
            raise

    def _keep(self, path: str, copy: str) -> None:
        """Copy a file, with its mode and owner, to where others cannot read it."""
        source, target = self._at(path), self._at(copy)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = source.stat()
        owner = Owner(_user(status.st_uid), _group(status.st_gid))
        self._write(File(copy, source.read_bytes(), status.st_mode & 0o7777, owner))

    def _remove(self, path: str, copy: str) -> None:
        at = self._at(path)
        if copy:
            status = self._at(copy).stat()
            owner = Owner(_user(status.st_uid), _group(status.st_gid))
            self._write(File(path, self._at(copy).read_bytes(), status.st_mode & 0o7777, owner))
            self._at(copy).unlink()
            with suppress(OSError):  # the last of them
                self._at(copy).parent.rmdir()
        elif at.is_dir() and not at.is_symlink():
            at.rmdir()
        else:
            at.unlink(missing_ok=True)

    def _note(self, notes: Notes) -> None:
        self.notes = notes
        content = msgspec.json.format(msgspec.json.encode(notes))
        self._write(File(self.notes_file, content, 0o600, this_owner()))

    def _read_notes(self) -> Notes:
        try:
            with self._at(self.notes_file).open("rb") as file:
                status = os.fstat(file.fileno())
                content = file.read()
            # the ways back in them are commands, which run as whoever undoes
            if status.st_uid not in {0, os.geteuid()}:
                raise SettingsError(f"{self.notes_file} belongs to {_user(status.st_uid)}: run it as that account")
            refuse_changeable(self._at(self.notes_file), status.st_mode)
        except FileNotFoundError:
            return Notes()
        except ChangeableError as error:
            raise SettingsError(f"{self.notes_file} is refused: {error}") from error
        except OSError as error:
            raise SettingsError(f"{self.notes_file} cannot be read: {error.strerror}; run it as root") from error
        try:
            return msgspec.json.decode(content, type=Notes)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{self.notes_file} has no notes of setup: {error}") from error


def _content(at: Path, status: os.stat_result, path: str) -> bytes:
    """Return all of a file: a part of it would be taken for the whole, and written back."""
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"{path} is neither a file nor a folder: move it away")
    if status.st_size > MOST_MIB * 1024 * 1024:
        raise SettingsError(f"{path} is larger than {MOST_MIB} MiB, so hotdesk leaves it as it is: move it away")
    return at.read_bytes()


def _led_to(at: Path) -> Path:
    """Return where a link leads to, which stays a link; of what is none, the same.

    Raises:
        HotdeskError: the link is of one account and leads to a file of another one, whom it might harm.
    """
    if not at.is_symlink():
        return at
    target = Path(os.path.realpath(at))
    if target.exists() and target.stat().st_uid != at.lstat().st_uid:
        raise HotdeskError(f"{at} is a link to a file of another account: put the file itself there")
    return target


def _own(at: Path | int, owner: Owner, path: str) -> None:
    """Change the owner of a file or a folder, where this process may."""
    if os.geteuid() != 0:
        return
    try:
        os.chown(at, _number(owner.user, _user_number), _number(owner.group, _group_number))
    except KeyError:
        raise HotdeskError(f"{path} cannot be given to {owner.user}:{owner.group}: there is no such") from None


def _number(name: str, number_of: Callable[[str], int]) -> int:
    """Return the number of a user or a group; a file may belong to one that has only that."""
    try:
        return number_of(name)
    except KeyError:
        if name.isdecimal():
            return int(name)
        raise


def _user_number(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _group_number(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
