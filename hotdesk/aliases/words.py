"""The words for a plan, as people read them. Pure."""

from collections.abc import Sequence

from hotdesk.aliases.records import (
    AddAlias,
    AddPhone,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeletePhone,
    DeskPlan,
    Existing,
)
from messages.names import compared


def counted(number: int, what: str) -> str:
    """Return a number of things: `1 phone`, `2 aliases`."""
    plural = f"{what}es" if what.endswith("s") else f"{what}s"
    return f"{number} {what if number == 1 else plural}"


def sum_of(steps: Sequence[AnyStep]) -> str:
    """Return what steps come to in all; empty: there are none."""
    made = [
        counted(sum(isinstance(step, AddPhone) for step in steps), "phone"),
        counted(sum(isinstance(step, AddAlias) for step in steps), "alias"),
    ]
    changed = sum(isinstance(step, ChangePhone | ChangeAlias) for step in steps)
    deleted = sum(isinstance(step, DeletePhone) for step in steps)
    more = [f"{changed} to change"] if changed else []
    more += [f"{deleted} to delete"] if deleted else []
    return ", ".join([f"{' and '.join(made)} to make", *more]) if steps else ""


def to_do(desk: DeskPlan, existing: Existing) -> str:
    """Return what is to be done for a desk."""
    if desk.contradictions:
        return "left out"
    counts = {
        "make": sum(isinstance(step, AddPhone) for step in desk.steps),
        "change": sum(isinstance(step, ChangePhone) for step in desk.steps),
        "delete": sum(isinstance(step, DeletePhone) for step in desk.steps),
    }
    words = [f"{verb} {counted(number, 'phone')}" for verb, number in counts.items() if number]
    for step in desk.steps:
        if isinstance(step, AddAlias):
            words.append("make the alias")
        elif isinstance(step, ChangeAlias):
            words += _of_alias(step, existing)
    return ", ".join(words) or "nothing"


def _of_alias(step: ChangeAlias, existing: Existing) -> list[str]:
    before = existing.aliases_by_id[compared(step.alias_id)]
    words = ["rename the alias"] if step.name else []
    if step.logins:
        longer = len(step.logins) - len(before.logins)
        words.append("extend the alias" if longer > 0 else "shorten the alias" if longer < 0 else "mend the alias")
    return words
