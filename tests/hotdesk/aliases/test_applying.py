"""A plan carried out: each answer counts, a refused desk stands alone, and a refused account ends it."""

from controller.vicidial.non_agent_api import Answered
from hotdesk.aliases.applying import DESKS_AT_ONCE, Progress, carried_out
from hotdesk.aliases.planning import plan
from hotdesk.aliases.records import (
    AddAlias,
    AddPhone,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeleteAlias,
    DeletePhone,
    Desk,
    DeskPlan,
    Existing,
)
from hotdesk.aliases.steps import line_of
from messages.codes import Reply
from tests.support.desks import dialers

TWO = dialers(2)
EMPTY = Existing(dialers=TWO)


def desks(count: int) -> tuple[DeskPlan, ...]:
    wanted = [Desk(extension=str(1001 + number), alias_id=f"desk{1001 + number}") for number in range(count)]
    return plan(EMPTY, wanted, [each.server_ip for each in TWO]).desks


def run(
    planned: tuple[DeskPlan, ...], replies: dict[str, Answered]
) -> tuple[list[Progress], list[str], dict[int, Reply]]:
    """Carry it out; by the line of a step: its answer, else done. Return progress, what was asked, the journal."""
    asked: list[str] = []
    marks: dict[int, Reply] = {}

    def ask(step: AnyStep) -> Answered:
        asked.append(line_of(step, EMPTY))
        assert marks[len(marks) - 1] is Reply.UNCLEAR
        return replies.get(asked[-1], Answered(Reply.DONE))

    def journal(number: int, reply: Reply) -> None:
        assert number not in marks or marks[number] is Reply.UNCLEAR
        marks[number] = reply

    return list(carried_out(planned, ask, journal)), asked, marks


def test_all_is_done_in_batches() -> None:
    planned = desks(2 * DESKS_AT_ONCE + 1)
    progress, asked, marks = run(planned, {})
    assert [each.desks for each in progress] == [DESKS_AT_ONCE, 2 * DESKS_AT_ONCE, len(planned)]
    assert progress[-1].done == len(asked) == 3 * len(planned)
    assert set(marks.values()) == {Reply.DONE}


def test_a_desk_of_which_a_step_is_refused_is_left_there_and_the_others_go_on() -> None:
    planned = desks(3)
    refused = line_of(planned[1].steps[1], EMPTY)
    progress, asked, _ = run_skipping(planned, {refused: Answered(Reply.REFUSED, "ERROR: taken")})
    (last,) = progress
    assert (last.desks, last.done, last.stopped) == (3, 7, "")
    assert [(each.alias_id, each.said) for each in last.refused] == [("desk1002", "ERROR: taken")]
    assert "+ alias desk1002: 1002b,1002a" not in asked
    assert "+ alias desk1003: 1003a,1003b" in asked


def run_skipping(
    planned: tuple[DeskPlan, ...], replies: dict[str, Answered]
) -> tuple[list[Progress], list[str], dict[int, Reply]]:
    """As `run`, where steps are left out, so that the journal has gaps."""
    asked: list[str] = []
    marks: dict[int, Reply] = {}

    def ask(step: AnyStep) -> Answered:
        asked.append(line_of(step, EMPTY))
        return replies.get(asked[-1], Answered(Reply.DONE))

    return list(carried_out(planned, ask, marks.__setitem__)), asked, marks


def test_the_first_refusal_of_the_account_ends_it() -> None:
    planned = desks(3)
    second = line_of(planned[1].steps[0], EMPTY)
    for reply in (Reply.DENIED, Reply.UNCLEAR, Reply.UNSENT):
        progress, asked, marks = run_skipping(planned, {second: Answered(reply, "why")})
        assert progress[-1].stopped == "why"
        assert (asked[-1], len(asked)) == (second, 4)
        assert marks[3] is reply


def test_steps_keep_their_number_in_the_whole_plan() -> None:
    planned = desks(2)
    first = line_of(planned[0].steps[0], EMPTY)
    _, _, marks = run_skipping(planned, {first: Answered(Reply.REFUSED, "no")})
    assert marks == {0: Reply.REFUSED, 3: Reply.DONE, 4: Reply.DONE, 5: Reply.DONE}
    kinds = [type(step) for desk in planned for step in desk.steps]
    assert kinds[3:] == [AddPhone, AddPhone, AddAlias]


def test_what_is_gone_is_fine_to_delete_and_not_to_change() -> None:
    changed = ChangePhone(extension="1001", server_ip=TWO[0].server_ip, login="1001a", password="new")
    renamed = ChangeAlias(alias_id="desk1002", name="Anna")
    deleted = DeletePhone(extension="1003", server_ip=TWO[0].server_ip, login="1003a")
    first: list[AnyStep] = [changed, renamed, deleted]
    planned = tuple(
        DeskPlan(alias_id=f"desk{number}", extension=str(number), steps=(step, DeleteAlias(alias_id=f"desk{number}")))
        for number, step in enumerate(first, 1001)
    )
    gone = {
        line_of(step, EMPTY): Answered(Reply.GONE, "ERROR: DOES NOT EXIST") for desk in planned for step in desk.steps
    }
    (last,), asked, _ = run_skipping(planned, gone)
    assert [(each.alias_id, each.step) for each in last.refused] == [("desk1001", changed), ("desk1002", renamed)]
    assert (last.done, last.stopped) == (0, "")
    assert [line for line in asked if line.startswith("- alias")] == ["- alias desk1003"]
