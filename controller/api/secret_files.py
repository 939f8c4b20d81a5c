"""Files that other accounts of the machine must not read, or must not change.

Whoever may write a file that hotdesk obeys, or replace it in its folder, gives hotdesk its orders; whoever may read one
with a secret has it. So such files are refused, each with what to type. Who owns them is the operator's choice, and so
is the group of a folder: on many systems those of /usr/local and /srv are a group's.
"""

import grp
import os
import pwd
import stat
from pathlib import Path

_ENCODING = "utf-8-sig"
"""Some editors begin a text with a mark of its encoding."""


class UnsafeFileError(OSError):
    """A file is refused for what other accounts may do with it; `str()` says what to type."""


class ReadableByAllError(UnsafeFileError):
    """Every account of the machine may read a file with a secret."""


class ChangeableError(UnsafeFileError):
    """Other accounts of the machine may change a file that hotdesk obeys."""


def refuse_readable_by_all(path: Path, mode: int) -> None:
    """Refuse a secret's file whose `mode` (st_mode) lets others read it; owner and group are the operator's choice.

    Raises:
        ReadableByAllError: Others may read it; the message says what to type.
    """
    if mode & stat.S_IROTH:
        raise ReadableByAllError(f"every account on this machine may read it: chmod o-r {path}")


def refuse_changeable(path: Path, mode: int) -> None:
    """Refuse a file whose `mode` lets others write it, or that others may replace: where it is, and where it points to.

    Raises:
        ChangeableError: They may; the message says what to type.
        OSError: A folder of its path cannot be looked at.
    """
    by_group = mode & stat.S_IWGRP and not _is_of_its_owner_alone(path.stat())
    if stat.S_ISREG(mode) and (by_group or mode & stat.S_IWOTH):
        raise ChangeableError(f"other accounts on this machine may write it: chmod go-w {path}")
    here = path.absolute()
    for folder in dict.fromkeys((*here.parents, *here.resolve().parents)):
        of_folder = folder.stat().st_mode
        # with the sticky bit, as in /tmp, each account may replace its own files only
        open_to_all = of_folder & stat.S_IWOTH and not of_folder & stat.S_ISVTX
        # a volume of Kubernetes is open to all, but nobody can write there
        if open_to_all and not os.statvfs(folder).f_flag & os.ST_RDONLY:
            raise ChangeableError(f"every account on this machine may replace it: chmod o-w {folder}")


def _is_of_its_owner_alone(status: os.stat_result) -> bool:
    """Return True if the group of a file is the one that its owner has for themselves, as where the umask is 0002."""
    try:
        owner = pwd.getpwuid(status.st_uid)
        group = grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    named = group.gr_name == owner.pw_name or (status.st_uid == status.st_gid == owner.pw_gid)
    return named and set(group.gr_mem) <= {owner.pw_name}


def read_obeyed(path: Path, *, found: bool) -> str:
    """Return the text of a file that hotdesk obeys; `found`: by its place alone, so it must be ours or root's.

    Raises:
        ChangeableError: Others may change it, or it is theirs.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not text.
    """
    with path.open(encoding=_ENCODING) as file:
        # of the open file, not of the path: the file that is checked is the one that is read
        status = os.fstat(file.fileno())
        if found and status.st_uid not in {0, os.geteuid()}:
            raise ChangeableError(f"it belongs to another account: name it with --config {path}, if it is meant")
        refuse_changeable(path, status.st_mode)
        return file.read()


def read_private(path: Path) -> str:
    """Return the text of a file with a secret.

    Raises:
        ReadableByAllError: Others may read it too.
        ChangeableError: Others may change it.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not text.
    """
    with path.open(encoding=_ENCODING) as file:
        mode = os.fstat(file.fileno()).st_mode
        refuse_readable_by_all(path, mode)
        refuse_changeable(path, mode)
        return file.read()
