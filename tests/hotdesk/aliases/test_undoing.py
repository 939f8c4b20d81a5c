"""The undo file: what was done or may have been is taken back, the last first, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdesk.aliases import undoing
from hotdesk.aliases.planning import plan
from hotdesk.aliases.records import (
    AddAlias,
    AddPhone,
    Alias,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeleteAlias,
    DeletePhone,
    Desk,
    Existing,
    Phone,
)
from hotdesk.aliases.steps import Credentials, filled
from messages.codes import Reply
from tests.support.desks import after, dialers, phone

THREE = dialers(3)
IPS = [each.server_ip for each in THREE]
BEFORE = Existing(
    dialers=THREE,
    phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1]), phone("1002a", IPS[0], "1002")),
    aliases=(Alias(alias_id="desk1001", name="Anna", logins=("1001a", "1001b")),),
)
DESKS = [
    Desk(extension="1001", alias_id="desk1001", name="Berta", password="new"),
    Desk(extension="1002", alias_id="desk1002"),
]


def changes() -> list[object]:
    planned = plan(BEFORE, DESKS, IPS)
    return list(filled(planned, {"desk1002": Credentials("p", "s")}).steps)


def journal(replies: list[Reply]) -> str:
    steps = changes()
    lines = [undoing.head("west", steps, BEFORE)]  # type: ignore[arg-type] # they are steps
    for number, reply in enumerate(replies):
        lines += [undoing.mark(number, Reply.UNCLEAR), undoing.mark(number, reply)]
    return "".join(lines)


def test_all_that_was_done_is_taken_back() -> None:
    steps = changes()
    made = after(BEFORE, steps)  # type: ignore[arg-type]
    assert made != BEFORE
    undo = undoing.read(journal([Reply.DONE] * len(steps)))
    back = after(made, undo.steps)
    assert (undo.cluster, undo.lost) == ("west", 0)
    assert set(back.phones) == set(BEFORE.phones)
    assert back.aliases == BEFORE.aliases


def test_what_was_refused_is_not_taken_back_and_what_was_never_answered_is() -> None:
    assert undoing.read(journal([])).steps == ()
    assert undoing.read(journal([Reply.REFUSED])).steps == ()
    cut = journal([Reply.DONE, Reply.REFUSED]) + undoing.mark(2, Reply.UNCLEAR)
    assert len(undoing.read(cut).steps) == 2


def test_a_deleted_phone_is_made_again_if_its_secret_is_known() -> None:
    planned = plan(BEFORE, DESKS[:1], IPS, gone=[IPS[1]])
    (deleted,) = [step for step in planned.steps if isinstance(step, DeletePhone)]
    marks = "".join(undoing.mark(number, Reply.DONE) for number in range(len(planned.steps)))
    undo = undoing.read(undoing.head("west", planned.steps, BEFORE) + marks)
    first = undo.steps[0]
    assert isinstance(first, AddPhone)
    assert (first.login, first.server_ip, first.secret) == (deleted.login, deleted.server_ip, "sc")
    unread = Existing(dialers=THREE, phones=tuple(phone("1001b", IPS[1], secret=None) for _ in "x"))
    lost = undoing.read(undoing.head("west", [deleted], unread) + undoing.mark(0, Reply.DONE))
    assert lost == ("west", (), 1)


def test_what_was_there_before_is_in_the_file_also_where_nothing_takes_it_back() -> None:
    odd = phone("1001b", IPS[1], protocol="PJSIP", password="it's")
    there = Existing(dialers=THREE, phones=(BEFORE.phones[0], odd), aliases=BEFORE.aliases)
    planned = plan(there, [Desk(extension="1001", alias_id="desk1001")], [IPS[0]], gone=[IPS[1]])
    text = undoing.head("west", planned.steps, there)
    assert undoing.read(text + undoing.mark(1, Reply.DONE)).lost == 1
    before = json.loads(text)
    assert [(each["login"], each["protocol"], each["password"]) for each in before["phones"]] == [
        ("1001b", "PJSIP", "it's")
    ]
    assert before["aliases"] == [{"alias_id": "desk1001", "name": "Anna", "logins": ["1001a", "1001b"]}]


@given(st.integers(min_value=0, max_value=2000), st.lists(st.sampled_from(list(Reply)), max_size=4))
def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(length: int, replies: list[Reply]) -> None:
    whole = journal(replies)
    try:
        undo = undoing.read(whole[:length])
    except undoing.UndoFileError:
        assert length < whole.index("\n")
    else:
        assert len(undo.steps) <= len(replies)


def test_what_is_none_is_refused() -> None:
    for text in ("", "{}", "extension\n1001\n", '{"version":2,"cluster":"west","back":[]}\n'):
        with pytest.raises(undoing.UndoFileError):
            undoing.read(text)


def test_an_alias_that_was_made_is_deleted_before_its_phones() -> None:
    steps = plan(Existing(dialers=THREE), DESKS[1:], IPS).steps
    assert isinstance(steps[-1], AddAlias)
    marks = "".join(undoing.mark(number, Reply.DONE) for number in range(len(steps)))
    undo = undoing.read(undoing.head("west", steps, Existing(dialers=THREE)) + marks)
    assert isinstance(undo.steps[0], DeleteAlias)
    assert not any(isinstance(step, ChangeAlias) for step in undo.steps)


CHANGED = ChangePhone(extension="1001", server_ip=IPS[0], login="1001a", password="new", secret="new", protocol="IAX2")
DELETED = DeletePhone(extension="1001", server_ip=IPS[0], login="1001a")


@pytest.mark.parametrize(
    ("step", "before"),
    [
        (CHANGED, phone("1001a", IPS[0], password="it's")),
        (CHANGED, phone("1001a", IPS[0], secret="geheim!")),
        (CHANGED, phone("1001a", IPS[0], password="")),
        (CHANGED, phone("1001a", IPS[0], secret="")),
        (CHANGED, phone("1001a", IPS[0], protocol="PJSIP")),
        (DELETED, phone("1001a", IPS[0], secret="it's")),
        (DELETED, phone("1001a", IPS[0], password="")),
        (DELETED, phone("1001a", IPS[0], protocol="PJSIP")),
        (DELETED, phone("1001a", IPS[0], active=False)),
        (DELETED, phone("1001.a", IPS[0])),
    ],
)
def test_what_the_api_would_set_otherwise_is_not_promised(step: AnyStep, before: Phone) -> None:
    there = Existing(dialers=THREE, phones=(before,))
    assert undoing.kept_for_good([step], there) == [step]
    undo = undoing.read(undoing.head("west", [step], there) + undoing.mark(0, Reply.DONE))
    assert undo == ("west", (), 1)
    good = Existing(dialers=THREE, phones=(phone("1001a", IPS[0]),))
    assert undoing.kept_for_good([step], good) == []


def test_a_list_comes_back_without_what_is_no_phone_then() -> None:
    there = Existing(
        dialers=THREE,
        phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], protocol="PJSIP")),
        aliases=(Alias(alias_id="desk1001", name="it's", logins=("gone", "1001b", "1001a")),),
    )
    steps: list[AnyStep] = [
        ChangeAlias(alias_id="desk1001", logins=("1001a",)),
        DeletePhone(extension="1001", server_ip=IPS[1], login="1001b"),
    ]
    undo = undoing.read(undoing.head("west", steps, there) + undoing.mark(0, Reply.DONE) + undoing.mark(1, Reply.DONE))
    assert undo == ("west", (ChangeAlias(alias_id="desk1001", logins=("1001a",)),), 1)
    renamed = ChangeAlias(alias_id="desk1001", name="Anna")
    assert undoing.kept_for_good([renamed], there) == [renamed]


def test_a_phone_that_a_later_run_lists_is_left() -> None:
    """The first run stopped at its third phone, and the second made it and the alias: here the first is taken back."""
    empty = Existing(dialers=THREE)
    first = plan(empty, DESKS[1:], IPS).steps
    marks = undoing.mark(0, Reply.DONE) + undoing.mark(1, Reply.DONE) + undoing.mark(2, Reply.UNCLEAR)
    undo = undoing.read(undoing.head("west", first, empty) + marks)
    now = after(empty, filled(plan(empty, DESKS[1:], IPS), {"desk1002": Credentials("p", "s")}).steps)
    left = undoing.left_by(undo.steps, now)
    assert [step for step, _ in left] == list(undo.steps)
    assert {why for _, why in left} == {
        "the alias desk1002 lists it: if a later run made that, take its file back first"
    }
    newest_first: list[AnyStep] = [DeleteAlias(alias_id="DESK1002"), *undo.steps]
    assert undoing.left_by(newest_first, now) == []


def test_what_an_alias_lists_no_more_may_be_deleted_and_what_it_lists_again_may_not() -> None:
    shortened: list[AnyStep] = [ChangeAlias(alias_id="desk1001", logins=("1001a",)), DELETED]
    assert [step for step, _ in undoing.left_by(shortened, BEFORE)] == [DELETED]
    other = ChangeAlias(alias_id="desk1001", logins=("1001b",))
    assert undoing.left_by([other, DELETED], BEFORE) == []
    renamed = ChangeAlias(alias_id="desk1001", name="Anna")
    assert [step for step, _ in undoing.left_by([renamed, DELETED], BEFORE)] == [DELETED]
