"""`hotdesk aliases plan`: what the desks lack, what contradicts, and what would be made."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter

from controller.core.readiness import ReadinessFinding
from hotdesk.aliases import planning, undoing
from hotdesk.aliases.records import AnyStep, DeleteAlias, DeletePhone, DeskPlan, Existing, Plan
from hotdesk.aliases.steps import line_of
from hotdesk.aliases.words import counted, sum_of, to_do
from hotdesk.cli.aliases.desks import ALL_THERE_IS, DEFAULTS, Choice, Wanted, dialer_of, wanted_by
from hotdesk.cli.client import AsJson, ClusterName
from hotdesk.cli.terminal import Console, row, say, say_json, table
from hotdesk.settings import ClusterTables, Settings
from messages.records import ServerIp

Gone = Annotated[
    tuple[str, ...],
    Parameter(
        consume_multiple=True,
        negative="",
        help="Dialers that go away: aliases list their phones no more, and these are deleted.",
    ),
]


class _DeskAnswer(msgspec.Struct, frozen=True, kw_only=True):
    alias: str
    extension: str
    steps: Sequence[str]
    contradictions: Sequence[ReadinessFinding]
    remarks: Sequence[ReadinessFinding]


class _PlanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    cluster: str
    dialers: Sequence[ServerIp]
    desks: Sequence[_DeskAnswer]
    kept_for_good: Sequence[str]
    """Steps that --undo could not take back."""


def plan(  # noqa: PLR0913 # one for each flag
    *,
    choice: Choice = ALL_THERE_IS,
    gone: Gone = (),
    cluster: ClusterName = "",
    as_json: AsJson = False,
    options: Settings = DEFAULTS,
    clusters: ClusterTables,
) -> int:
    """Show what the desks lack and what contradicts, and what would be made, changed or left; nothing is changed.

    The exit code is 1 if some desk contradicts itself and would be left out.
    """
    wanted, planned = planned_for(wanted_by(choice, cluster, options, clusters), gone)
    if as_json:
        say_json(
            _PlanAnswer(
                cluster=wanted.cluster,
                dialers=[each.server_ip for each in wanted.dialers],
                desks=[_answer(desk, wanted.existing) for desk in planned.desks],
                kept_for_good=[
                    line_of(step, wanted.existing) for step in undoing.kept_for_good(planned.steps, wanted.existing)
                ],
            )
        )
    else:
        show_plan(planned, wanted)
    return 1 if planned.contradictions else 0


def planned_for(wanted: Wanted, gone: Sequence[str]) -> tuple[Wanted, Plan]:
    """Return what is wanted on the dialers that stay, and the plan for it."""
    leaving = [dialer_of(wanted.existing, each).server_ip for each in gone]
    left = wanted._replace(dialers=[each for each in wanted.dialers if each.server_ip not in leaving])
    ips = [each.server_ip for each in left.dialers]
    return left, planning.plan(left.existing, left.desks, ips, leaving)


def _answer(desk: DeskPlan, existing: Existing) -> _DeskAnswer:
    return _DeskAnswer(
        alias=desk.alias_id,
        extension=desk.extension,
        steps=[line_of(step, existing) for step in desk.steps],
        contradictions=desk.contradictions,
        remarks=desk.remarks,
    )


def show_plan(planned: Plan, wanted: Wanted) -> None:
    """Print a plan: a table of the desks that it is about, its steps, and their sum."""
    concerned = [desk for desk in planned.desks if desk.steps or desk.contradictions or desk.remarks]
    if concerned:
        rows = table(
            "alias",
            "extension",
            "to do",
            "what contradicts",
            whole=("alias", "extension"),
            title=f"desks of {wanted.cluster}",
        )
        for desk in concerned:
            found = [*desk.contradictions, *desk.remarks]
            why = "\n".join(f"{each.what}: {each.remedy}" for each in found)
            row(rows, desk.alias_id, desk.extension, to_do(desk, wanted.existing), why)
        Console().print(rows)
    for step in planned.steps:
        say(line_of(step, wanted.existing))
    say_right(planned.steps)
    if why := occupied(planned.steps, wanted.existing):
        say(f"'hotdesk aliases apply' would refuse this now: {why}")
    for step in undoing.kept_for_good(planned.steps, wanted.existing):
        say(f"could not be taken back by --undo: {line_of(step, wanted.existing)}")
    left = sum(not desk.steps and not desk.contradictions for desk in planned.desks)
    refused = sum(bool(desk.contradictions) for desk in planned.desks)
    say(
        f"{wanted.cluster}: {counted(len(planned.desks), 'desk')} on {counted(len(wanted.dialers), 'dialer')}:"
        f" {sum_of(planned.steps) or 'nothing to do'}; {left} as they should be, {refused} left out"
    )


def say_right(steps: Sequence[AnyStep]) -> None:
    """Name the right that a deletion needs: it cannot be tried without deleting something."""
    if any(isinstance(step, DeletePhone | DeleteAlias) for step in steps):
        say("deleting needs a VICIdial user with AST delete phones")


def occupied(steps: Sequence[AnyStep], existing: Existing) -> str:
    """Return which dialers have agents, who may sit at phones that would be deleted; empty: none has."""
    leaving = {step.server_ip for step in steps if isinstance(step, DeletePhone)}
    there = [each for each in existing.dialers if each.server_ip in leaving and each.agents]
    if not there:
        return ""
    counts = ", ".join(f"{counted(each.agents, 'agent')} on {each.shown}" for each in there)
    return (
        f"{counts} would lose the phones there: 'hotdesk drain {there[0].server_ip}', and wait until no agent is left"
    )
