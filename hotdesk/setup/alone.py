"""One setup of a folder at a time: two would each make a password, and each write over what the other one wrote.

The lock is beside the folder rather than in it: a first run begins before that is there, and the last thing that is
taken back is that folder itself. The system drops it when its process ends, however that ends.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path

from hotdesk.errors import SettingsError
from messages.shown import one_line

RUN = Path("/run")
MOST_BYTES = 100
ATTEMPTS = 5


@contextmanager
def alone(folder: str, at: Path | None = None) -> Iterator[None]:
    """Hold the lock of a folder's setup. `at`: the folder of locks; None: /run for root, else that of temporary files.

    Raises:
        SettingsError: another setup holds it, or it cannot be taken.
    """
    path = _place(at) / f"hotdesk-setup-{os.geteuid()}-{hashlib.sha256(folder.encode()).hexdigest()[:12]}.lock"
    with _locked(path, folder) as file:
        file.truncate(0)
        file.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} (process {os.getpid()})".encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, folder: str) -> FileIO:
    """Return the lock's file, locked until it is closed."""
    for _ in range(ATTEMPTS):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SettingsError(f"{path} cannot be locked: {error.strerror}") from error
        file = os.fdopen(handle, "r+b", buffering=0)
        status = os.fstat(handle)
        if status.st_uid != os.geteuid() or status.st_nlink > 1:  # somebody else has put it there
            file.close()
            raise SettingsError(f"{path} is no lock of this account: remove it")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # its holder may have removed it in between: then it keeps nobody out
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BlockingIOError:
            since = one_line(file.read(MOST_BYTES).decode(errors="replace")) or "just now"
            file.close()
            raise SettingsError(f"another setup of {folder} runs since {since}: wait for its end") from None
        except FileNotFoundError:
            pass
        file.close()
    raise SettingsError(f"another setup of {folder} ended just now: run it again")


def _place(at: Path | None) -> Path:
    return at or (RUN if os.geteuid() == 0 else Path(tempfile.gettempdir()))
