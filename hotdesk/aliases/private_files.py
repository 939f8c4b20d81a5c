"""Writing files that hold passwords: for their owner alone, from the first byte on."""

import os
from contextlib import suppress
from pathlib import Path
from typing import IO

MODE = 0o600
FOLDER_MODE = 0o700


def _new(path: Path) -> IO[str]:
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    os.fchmod(made, MODE)
    return os.fdopen(made, "w", encoding="utf-8", newline="")


def _sync_name(path: Path) -> None:
    """Write a new file's name to the disk: else it may be lost with the power, whatever was written to the file."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Journal:
    """A new file of which each text is on the disk once it was written: what it tells of may follow.

    Raises:
        OSError: it exists already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._file = _new(path)
        try:
            _sync_name(path)
        except OSError:
            self.close()
            raise

    def write(self, text: str) -> None:
        """Add a text.

        Raises:
            OSError: it cannot be written.
        """
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close it; all of it was written before."""
        with suppress(OSError):
            self._file.close()


def replace(path: Path, text: str) -> None:
    """Write a file whole, in place of one that may be there.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _new(beside) as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
