"""Files with a secret: refused if every account of the machine may read them."""

import os
import stat
from pathlib import Path


class ReadableByAllError(OSError):
    """Every account of the machine may read a file with a secret."""


def refuse_readable_by_all(path: Path, mode: int) -> None:
    """Refuse a secret's file whose `mode` (st_mode) lets others read it; owner and group are the operator's choice.

    Raises:
        ReadableByAllError: Others may read it; the message says what to type.
    """
    if mode & stat.S_IROTH:
        raise ReadableByAllError(f"every account on this machine may read it: chmod o-r {path}")


def read_private(path: Path) -> str:
    """Return the text of a file with a secret.

    Raises:
        ReadableByAllError: Others may read it too.
        OSError: It cannot be read.
        UnicodeDecodeError: It is not text.
    """
    with path.open() as file:
        # of the open file, not of the path: the file that is checked is the one that is read
        refuse_readable_by_all(path, os.fstat(file.fileno()).st_mode)
        return file.read()
