"""Writing files that hold passwords: for their owner alone, from the first byte on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

MODE = 0o600
FOLDER_MODE = 0o700


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """Yield a new file; what is written to it is on the disk line by line.

    Raises:
        OSError: it exists already, or cannot be made.
    """
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    with os.fdopen(made, "w", encoding="utf-8", buffering=1, newline="") as file:
        os.fchmod(made, MODE)
        yield file


def replace(path: Path, text: str) -> None:
    """Write a file whole, in place of one that may be there.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with new_file(beside) as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
