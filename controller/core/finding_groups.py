"""Readiness findings for people: those that are alike in one line. Pure.

Six hundred phones that are registered nowhere, as every night, are one line and not six hundred.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from controller.core.readiness import ReadinessFinding, Severity

NAMES_SHOWN = 5
PLURALS = {"alias": "aliases"}
LOGIN = re.compile(r"\b(phone|login) \S+?(?=,| on |$)")
"""A phone's login in the sentence of a finding."""


class FindingGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Findings that are alike."""

    severity: Severity
    where: str
    """The first few of their names, and how many there are."""
    what: str
    remedy: str


def grouped(found: Iterable[ReadinessFinding]) -> list[FindingGroup]:
    """Return the findings as groups, each where its first one stood."""
    groups: dict[ReadinessFinding, list[ReadinessFinding]] = {}
    for finding in found:
        groups.setdefault(_alike(finding), []).append(finding)
    return [
        FindingGroup(
            severity=alike.severity,
            where=_where(group),
            what=group[0].what if len(group) == 1 else alike.what,
            remedy=alike.remedy,
        )
        for alike, group in groups.items()
    ]


def _alike(finding: ReadinessFinding) -> ReadinessFinding:
    """Return what a finding has in common with others: no alias and no phone, but the dialer."""
    room = finding.where.partition(" ")[0]
    return msgspec.structs.replace(finding, where=room, what=LOGIN.sub(r"\1", finding.what))


def _where(group: Sequence[ReadinessFinding]) -> str:
    named = list(dict.fromkeys(each.where for each in group))
    if len(named) == 1:
        return named[0]
    room = named[0].partition(" ")[0]
    names = [each.partition(" ")[2] for each in named]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{len(names)} {PLURALS.get(room, f'{room}s')}: {', '.join(names[:NAMES_SHOWN])}{more}"
