"""Files that hold a secret: read only when not everybody on the machine may read them."""

import os
import stat
from pathlib import Path


class ReadableByAllError(OSError):
    """A file with a secret may be read by every account of the machine."""


def refuse_readable_by_all(path: Path, mode: int) -> None:
    """Refuse a secret's file whose `mode` (st_mode) lets others read it; owner and group are the operator's choice.

    Raises:
        ReadableByAllError: They may; the message says what to type.
    """
    if mode & stat.S_IROTH:
        raise ReadableByAllError(f"everybody on this machine may read it: chmod o-r {path}")


def read_private(path: Path) -> str:
    """Read a file that holds a secret.

    Raises:
        ReadableByAllError: Others may read it, too.
        OSError: It cannot be read.
        UnicodeDecodeError: It is no text.
    """
    with path.open() as file:
        # of the open file, not of the path: what was judged is what is read
        refuse_readable_by_all(path, os.fstat(file.fileno()).st_mode)
        return file.read()
