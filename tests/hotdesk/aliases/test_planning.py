"""The plan for desks: what it makes is right at once, what is right it leaves alone, and it guesses nothing."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdesk.aliases.choosing import desks_of_dialer
from hotdesk.aliases.planning import letters_of, plan
from hotdesk.aliases.records import (
    LONGEST_LIST,
    AddAlias,
    AddPhone,
    Alias,
    ChangeAlias,
    ChangePhone,
    DeletePhone,
    Desk,
    Existing,
    Plan,
)
from hotdesk.aliases.steps import Credentials, filled, line_of
from messages.names import compared
from messages.records import AliasDefect
from messages.words import sentence
from tests.support.desks import after, dialers, phone

SIX = dialers(6)
IPS = [each.server_ip for each in SIX]
EMPTY = Existing(dialers=SIX)
ONE = Desk(extension="1001", alias_id="desk1001")
MADE = Credentials("password", "secret")


def carried_out(existing: Existing, planned: Plan) -> Existing:
    whole = filled(planned, {desk.alias_id: MADE for desk in planned.desks})
    return after(existing, whole.steps)


def why(planned: Plan) -> list[str]:
    """Return the kinds of the contradictions."""
    return [each.kind for each in planned.contradictions]


# --- what is made -----------------------------------------------------------------------------------------------


def test_a_desk_that_is_nowhere_gets_a_phone_on_each_dialer_and_an_alias_over_them() -> None:
    planned = plan(EMPTY, [ONE], IPS[:3])
    added = [step for step in planned.steps if isinstance(step, AddPhone)]
    assert [(step.login, step.server_ip, step.extension) for step in added] == [
        ("1001a", IPS[0], "1001"),
        ("1001b", IPS[1], "1001"),
        ("1001c", IPS[2], "1001"),
    ]
    assert planned.steps[-1] == AddAlias(alias_id="desk1001", name="desk1001", logins=("1001a", "1001b", "1001c"))
    (desk,) = planned.desks
    assert (desk.new_password, desk.new_secret) == (True, True)
    made = carried_out(EMPTY, planned)
    assert {each.secret for each in made.phones} == {MADE.secret}


def test_lists_begin_elsewhere_from_desk_to_desk() -> None:
    desks = [Desk(extension=str(number), alias_id=f"desk{number}") for number in range(1001, 1005)]
    lists = [step.logins for step in plan(EMPTY, desks, IPS[:3]).steps if isinstance(step, AddAlias)]
    assert lists[:2] == [("1001a", "1001b", "1001c"), ("1002b", "1002c", "1002a")]
    assert len({logins[-1][-1] for logins in lists}) == 3


def test_a_new_dialer_is_one_run() -> None:
    before = carried_out(EMPTY, plan(EMPTY, [ONE, Desk(extension="1002", alias_id="desk1002")], IPS[:2]))
    planned = plan(before, [ONE, Desk(extension="1002", alias_id="desk1002")], IPS[:3])
    added = [step for step in planned.steps if isinstance(step, AddPhone)]
    assert [(step.login, step.server_ip) for step in added] == [("1001c", IPS[2]), ("1002c", IPS[2])]
    assert {(step.password, step.secret) for step in added} == {("password", "secret")}
    lists = [step.logins for step in planned.steps if isinstance(step, ChangeAlias)]
    # what was listed stays in order, and not all lists end with the new one
    assert lists == [("1001c", "1001a", "1001b"), ("1002b", "1002c", "1002a")]


def test_a_dialer_that_goes_away_is_unlisted_before_its_phones_are_deleted() -> None:
    before = carried_out(EMPTY, plan(EMPTY, [ONE], IPS[:3]))
    planned = plan(before, [ONE], IPS[:3], gone=[IPS[1]])
    assert planned.steps == (
        ChangeAlias(alias_id="desk1001", logins=("1001a", "1001c")),
        DeletePhone(extension="1001", server_ip=IPS[1], login="1001b"),
    )
    # its letter is free for the next one
    left = carried_out(before, planned)
    assert letters_of(left, [IPS[0], IPS[2], IPS[5]])[IPS[5]] == "b"


def test_a_desk_that_moves_to_another_dialer_keeps_its_secrets() -> None:
    before = carried_out(EMPTY, plan(EMPTY, [ONE], IPS[:1]))
    planned = plan(before, [ONE], IPS[1:2], gone=IPS[:1])
    (added,) = [step for step in planned.steps if isinstance(step, AddPhone)]
    assert (added.password, added.secret) == ("password", "secret")
    assert [line_of(step, before) for step in planned.steps] == [
        f"+ phone 1001b: SIP/1001 on {IPS[1]}",
        "~ alias desk1001: 1001a -> 1001b",
        f"- phone 1001a: 1001 on {IPS[0]}",
    ]


def test_letters_are_those_in_use() -> None:
    there = Existing(dialers=SIX, phones=(phone("1001x", IPS[0]), phone("cc7b", IPS[1], "cc7"), phone("1001", IPS[2])))
    assert letters_of(there, IPS[:4]) == {IPS[0]: "x", IPS[1]: "b", IPS[2]: "a", IPS[3]: "c"}


def test_a_phone_of_another_kind_of_login_is_kept_as_it_is() -> None:
    there = Existing(dialers=SIX, phones=(phone("1001", IPS[0]),))
    planned = plan(there, [ONE], IPS[:2])
    assert [line_of(step, there) for step in planned.steps] == [
        f"+ phone 1001b: SIP/1001 on {IPS[1]}",
        "+ alias desk1001: 1001,1001b",
    ]


def test_what_a_file_says_is_set_where_it_differs() -> None:
    there = Existing(
        dialers=SIX,
        phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], password="other")),
        aliases=(Alias(alias_id="desk1001", name="Old", logins=("1001a", "1001b")),),
    )
    desk = msgspec.structs.replace(ONE, password="pw", name="Anna")
    assert plan(there, [desk], IPS[:2]).steps == (
        ChangePhone(extension="1001", server_ip=IPS[1], login="1001b", password="pw"),
        ChangeAlias(alias_id="desk1001", name="Anna"),
    )


def test_a_list_is_rid_of_what_is_no_phone_and_of_repetitions() -> None:
    there = Existing(
        dialers=SIX,
        phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1])),
        aliases=(Alias(alias_id="desk1001", logins=("1001b", "gone", "1001a", "1001B")),),
    )
    assert plan(there, [ONE], IPS[:2]).steps == (ChangeAlias(alias_id="desk1001", logins=("1001b", "1001a")),)


def test_phones_elsewhere_stay_as_they_are() -> None:
    there = Existing(
        dialers=SIX,
        phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1]), phone("1001f", IPS[5])),
        aliases=(Alias(alias_id="desk1001", logins=("1001b", "1001a")),),
    )
    assert plan(there, [ONE], IPS[:1]).steps == ()


# --- what is refused --------------------------------------------------------------------------------------------


def test_secrets_that_differ_are_not_chosen_from() -> None:
    there = Existing(dialers=SIX, phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], secret="other")))
    planned = plan(there, [ONE, Desk(extension="1002", alias_id="desk1002")], IPS[:3])
    assert why(planned) == [AliasDefect.SECRETS_DIFFER.value]
    assert planned.contradictions[0].what == sentence(AliasDefect.SECRETS_DIFFER)
    # the other desk is made all the same
    assert {step.extension for step in planned.steps if isinstance(step, AddPhone)} == {"1002"}


CONTRADICTIONS = {
    "passwords_differ": (Existing(phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], password="x"))), ONE),
    "protocols_differ": (Existing(phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], protocol="IAX2"))), ONE),
    "secrets_unread": (Existing(phones=(phone("1001a", IPS[0], password=None, secret=None),)), ONE),
    "secret_empty": (Existing(phones=(phone("1001a", IPS[0], password=""),)), ONE),
    "secret_not_kept": (Existing(phones=(phone("1001a", IPS[0], secret="it's"),)), ONE),
    "protocol_not_made": (Existing(phones=(phone("1001a", IPS[0], protocol="PJSIP"),)), ONE),
    "login_twice": (Existing(phones=(phone("1001a", IPS[0]), phone("1001a", IPS[5], "1002"))), ONE),
    "login_taken": (Existing(phones=(phone("1001b", IPS[5], "7"), phone("1a", IPS[0], "1"))), ONE),
    "login_too_long": (Existing(), Desk(extension="123456789012345", alias_id="long")),
    "alias_is_login": (Existing(phones=(phone("desk1001", IPS[5], "7"),)), ONE),
    "extensions_differ": (
        Existing(
            phones=(phone("1001a", IPS[0]), phone("1002a", IPS[1], "1002")),
            aliases=(Alias(alias_id="desk1001", logins=("1001a", "1002a")),),
        ),
        ONE,
    ),
    "phone_shared": (
        Existing(phones=(phone("1001a", IPS[0]),), aliases=(Alias(alias_id="other", logins=("1001a",)),)),
        ONE,
    ),
    "alias_not_typed": (Existing(), Desk(extension="1001", alias_id="deskgs.102")),
    "dialplan_number_unknown": (Existing(), Desk(extension="gs102", alias_id="deskgs102")),
    "extension_not_kept": (Existing(), Desk(extension="10.01", alias_id="desk1001", dialplan_number="1001")),
}


OTHER_KINDS = {"secrets_differ", "list_too_long", "few_phones"}
"""Those that have a test of their own."""


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_what_contradicts_is_named_and_left_alone(kind: str) -> None:
    existing, desk = CONTRADICTIONS[kind]
    planned = plan(msgspec.structs.replace(existing, dialers=SIX), [desk], IPS[:3])
    assert kind in why(planned)
    assert planned.steps == ()
    assert all(each.remedy and each.where == f"alias {desk.alias_id}" for each in planned.contradictions)


def test_the_guide_names_each_kind_of_contradiction() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guide" / "aliases.md").read_text()
    table = guide[guide.index("| kind | what |") : guide.index("## A dialer that joins or leaves")]
    assert set(re.findall(r"`([a-z]+_[a-z_]+)`", table)) == {*CONTRADICTIONS, *OTHER_KINDS}


def test_a_list_that_vicidial_would_cut_off_is_refused_before() -> None:
    forty = dialers(40)
    ips = [each.server_ip for each in forty]
    planned = plan(Existing(dialers=forty), [Desk(extension="10012", alias_id="desk10012")], ips)
    assert why(planned) == ["list_too_long"]
    assert str(LONGEST_LIST) in planned.contradictions[0].what
    assert not plan(Existing(dialers=forty), [Desk(extension="1001", alias_id="desk1001")], ips[:36]).contradictions


def test_a_list_without_any_phone_is_refused() -> None:
    before = carried_out(EMPTY, plan(EMPTY, [ONE], IPS[:1]))
    assert why(plan(before, [ONE], IPS[:1], gone=IPS[:1])) == ["few_phones"]


def test_an_inactive_phone_is_said_and_left_as_it_is() -> None:
    there = Existing(
        dialers=SIX,
        phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], active=False)),
        aliases=(Alias(alias_id="desk1001", logins=("1001a", "1001b")),),
    )
    planned = plan(there, [ONE], IPS[:2])
    assert planned.steps == ()
    assert [each.kind for each in planned.desks[0].remarks] == ["phone_inactive"]


def test_an_inactive_phone_that_is_not_listed_stays_unlisted() -> None:
    there = Existing(
        dialers=SIX,
        phones=(phone("1001a", IPS[0]), phone("1001b", IPS[1], active=False)),
        aliases=(Alias(alias_id="desk1001", logins=("1001a",)),),
    )
    planned = plan(there, [ONE], IPS[:2])
    assert planned.steps == ()
    (remark,) = planned.desks[0].remarks
    assert (remark.kind, "is not listed" in remark.what) == ("phone_inactive", True)
    none_active = Existing(dialers=SIX, phones=(phone("1001a", IPS[0], active=False),))
    assert why(plan(none_active, [ONE], IPS[:1])) == ["few_phones"]


def test_desks_of_a_dialer_whose_names_vicidial_would_change_are_refused() -> None:
    extensions = ("gs.102-averylongextension", "gs102", "12", "1001")
    there = Existing(dialers=SIX, phones=tuple(phone(each, IPS[0], each) for each in extensions))
    planned = plan(there, desks_of_dialer(there, IPS[0]), IPS[:2])
    kinds = {desk.extension: {each.kind for each in desk.contradictions} for desk in planned.desks}
    assert kinds["gs102"] == kinds["12"] == {"dialplan_number_unknown"}
    assert kinds["gs.102-averylongextension"] >= {"alias_not_typed", "dialplan_number_unknown", "extension_not_kept"}
    assert kinds["1001"] == set()


def test_an_alias_that_exists_may_be_named_as_it_is() -> None:
    there = Existing(
        dialers=SIX, phones=(phone("1001a", IPS[0]),), aliases=(Alias(alias_id="desk-1", logins=("1001a",)),)
    )
    assert plan(there, [Desk(extension="1001", alias_id="desk-1")], IPS[:1]).contradictions == ()


# --- whatever there is ------------------------------------------------------------------------------------------

EXTENSIONS = ("1001", "1002", "cc7")
SECRETS = st.sampled_from(("pw", "other"))


@st.composite
def existing_things(draw: st.DrawFn) -> Existing:
    """Return any phones on six dialers, some with the usual logins, and any aliases over any logins."""
    phones = []
    for extension in EXTENSIONS:
        for number, server_ip in enumerate(IPS):
            if draw(st.booleans()):
                usual = f"{extension}{'abcdef'[number]}"
                login = draw(st.sampled_from((usual, usual, usual, extension, f"{extension}a", "strange")))
                secret = draw(st.none() | SECRETS) if draw(st.booleans()) else "pw"
                phones.append(
                    phone(login, server_ip, extension, password=secret, secret=secret, active=draw(st.booleans()))
                )
    logins = st.lists(st.sampled_from([*(each.login for each in phones), "gone"]), max_size=7)
    ids = draw(st.lists(st.sampled_from(("desk1001", "desk1002", "deskcc7", "Desk1001 ", "else")), max_size=4))
    unique = {compared(each): each for each in ids}.values()
    aliases = tuple(Alias(alias_id=each, name="x", logins=tuple(draw(logins))) for each in unique)
    return Existing(dialers=SIX, phones=tuple(phones), aliases=aliases)


@st.composite
def wanted_desks(draw: st.DrawFn) -> list[Desk]:
    """Return desks as a file may name them."""
    extensions = draw(st.lists(st.sampled_from(EXTENSIONS), unique=True, min_size=1))
    return [
        Desk(
            extension=each,
            alias_id=f"desk{each}",
            name=draw(st.sampled_from(("", "Anna"))),
            password=draw(st.sampled_from(("", "pw"))),
            secret=draw(st.sampled_from(("", "pw"))),
        )
        for each in extensions
    ]


SOME = st.lists(st.sampled_from(IPS), unique=True, max_size=6)


@given(existing_things(), wanted_desks(), SOME, SOME)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    existing: Existing, desks: list[Desk], on: list[str], gone: list[str]
) -> None:
    planned = plan(existing, desks, on, gone)
    made = carried_out(existing, planned)
    again = plan(made, desks, on, gone)
    settled = {desk.alias_id for desk in planned.desks if not desk.contradictions}
    assert [step for desk in again.desks if desk.alias_id in settled for step in desk.steps] == []


@given(existing_things(), wanted_desks(), SOME)
def test_what_exists_and_is_right_is_not_touched(existing: Existing, desks: list[Desk], on: list[str]) -> None:
    planned = plan(existing, desks, on)
    made = carried_out(existing, planned)
    passwords = {compared(desk.extension): desk for desk in desks}
    still = {(each.extension, each.server_ip): each for each in made.phones}
    for each in existing.phones:
        after_it = still[each.extension, each.server_ip]
        desk = passwords.get(compared(each.extension))
        assert after_it.login == each.login
        if desk is None or desk.password in {"", each.password}:
            assert after_it.password == each.password
    wanted = {compared(desk.alias_id) for desk in desks}
    others = [each for each in existing.aliases if compared(each.alias_id) not in wanted]
    assert all(each in made.aliases for each in others)


@given(existing_things(), wanted_desks(), SOME, SOME)
def test_the_same_facts_make_the_same_plan(
    existing: Existing, desks: list[Desk], on: list[str], gone: list[str]
) -> None:
    planned = plan(existing, desks, on, gone)
    shuffled = Existing(dialers=existing.dialers[::-1], phones=existing.phones[::-1], aliases=existing.aliases[::-1])
    assert plan(shuffled, desks, on[::-1], gone[::-1]) == planned
    assert "pw" not in repr(planned)
