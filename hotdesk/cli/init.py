"""`hotdesk init`: a settings file to start from."""

import os
from importlib import resources
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hotdesk.cli.terminal import say
from hotdesk.errors import SettingsError
from hotdesk.settings import DEFAULT_FILE


def init(path: Annotated[Path, Parameter(help="File to write.")] = DEFAULT_FILE) -> None:
    """Write a TOML file with every setting and its meaning, to start from."""
    try:
        # whatever the umask: a file that others may write is refused
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(resources.files("hotdesk").joinpath("example.toml").read_text())
    except FileExistsError:
        raise SettingsError(f"{path} exists already; it is left as it is") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    say(f"wrote {path}; set your database in it, then: hotdesk check")
