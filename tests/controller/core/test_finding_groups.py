"""Readiness findings in one line: which are alike, and what that line still says."""

from controller.core.finding_groups import NAMES_SHOWN, FindingGroup, grouped
from controller.core.readiness import ReadinessFinding, Severity


def finding(where: str, what: str, remedy: str = "register it") -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.WARNING, kind="k", where=where, what=what, remedy=remedy)


def group(where: str, what: str, remedy: str = "register it") -> FindingGroup:
    return FindingGroup(severity=Severity.WARNING, where=where, what=what, remedy=remedy)


def test_those_that_differ_in_alias_and_login_only_are_one_line_where_the_first_stood() -> None:
    found = [
        finding("alias desk1", "its phone 1001a on 10.0.0.1 is UNREACHABLE"),
        finding("dialer 10.0.0.1", "it is closed", "open it"),
        finding("alias desk2", "its phone 1002a on 10.0.0.1 is UNREACHABLE"),
    ]
    assert grouped(found) == [
        group("2 aliases: desk1, desk2", "its phone on 10.0.0.1 is UNREACHABLE"),
        group("dialer 10.0.0.1", "it is closed", "open it"),
    ]


def test_another_dialer_or_another_remedy_is_another_line() -> None:
    found = [
        finding("alias desk1", "its phone 1001a on 10.0.0.1 is UNREACHABLE"),
        finding("alias desk2", "its phone 1002b on 10.0.0.2 is UNREACHABLE"),
        finding("alias desk3", "its phone 1003a on 10.0.0.1 is UNREACHABLE", "another"),
    ]
    assert [each.where for each in grouped(found)] == ["alias desk1", "alias desk2", "alias desk3"]
    assert grouped(found)[0].what == found[0].what, "what stands alone keeps its login"


def test_of_many_the_first_are_named_and_all_are_counted() -> None:
    found = [finding(f"alias desk{number}", "it has one phone") for number in range(NAMES_SHOWN + 3)]
    (only,) = grouped(found)
    assert only.where == "8 aliases: desk0, desk1, desk2, desk3, desk4 and 3 more"
