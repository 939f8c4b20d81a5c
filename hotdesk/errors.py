"""The errors that a user may see, with their exit codes."""

from typing import ClassVar


class HotdeskError(Exception):
    """An error that the user can mend; `str()` is one line that says what is wrong."""

    exit_code: ClassVar[int] = 1


class SettingsError(HotdeskError):
    """A flag, a variable or a line of the file does not fit."""

    exit_code = 2


class DatabaseFailure(HotdeskError):  # noqa: N818 # the fault is the database's, not a programming error
    """A cluster's database does not answer, or refuses."""

    exit_code = 3


class LogFailure(HotdeskError):  # noqa: N818 # the same
    """The log does not answer, or refuses."""

    exit_code = 4


class ApiFailure(HotdeskError):  # noqa: N818 # the same
    """hotdesk's own API does not answer, or refuses."""

    exit_code = 5


class TokenFailure(ApiFailure):
    """It answers, and refuses the token that was sent, or that none was."""
