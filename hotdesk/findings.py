"""Findings: what a check has to say of one thing."""

from enum import StrEnum

import msgspec

from hotdesk.errors import HotdeskError


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `hotdesk check`."""

    verdict: Verdict
    subject: str
    what: str
    remedy: str = ""
    exit_code: int = 0
    """Exit code of the command, if this is the worst finding."""


def ok(subject: str, what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(verdict=Verdict.OK, subject=subject, what=what)


def note(subject: str, what: str, remedy: str) -> Finding:
    """Return a finding that may be well."""
    return Finding(verdict=Verdict.NOTE, subject=subject, what=what, remedy=remedy)


def wrong(error: HotdeskError, subject: str, remedy: str) -> Finding:
    """Return a finding that something is wrong; the kind of error gives the exit code."""
    return Finding(verdict=Verdict.WRONG, subject=subject, what=str(error), remedy=remedy, exit_code=error.exit_code)
