"""The rule of ownership, with values in and values out: who owns, who decides, who acts, and when nobody does."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.ownership import (
    CLAIM_AGAIN_SECONDS,
    SURE_SECONDS,
    Assignment,
    Ownership,
    Progress,
)
from messages.codes import ReasonCode
from messages.words import reason

P, Q = 1, 2
BOTH = frozenset({P, Q})
ONE = frozenset({P})
NONE: frozenset[int] = frozenset()
NOW = 100.0
LATER = NOW + SURE_SECONDS + 0.01
"""By then an assignment that was heard at NOW is not believed any more."""

READ = Progress(BOTH, folded=True)

NOTHING: Ownership[str] = Ownership()
ASSIGNED = NOTHING.act_for(ONE).assign(ONE, NOW)
"""One partition is assigned, and to be acted for."""
CLAIMED = ASSIGNED.add_claim(P, "claim")
DECIDING = CLAIMED.settle(READ, NOW)


def code_against(ownership: Ownership[str], now: float = NOW, partition: int = P) -> ReasonCode | None:
    """Return the code of why a process may not act, or None if it may."""
    reason = ownership.why_not(partition, now)
    return None if reason is None else reason.code


# --- owning -----------------------------------------------------------------------------------------------------


def test_what_is_assigned_and_read_to_its_end_is_owned() -> None:
    assert ASSIGNED.settle(READ, NOW).owned == ONE


def test_what_is_not_assigned_is_not_owned() -> None:
    assert NOTHING.settle(READ, NOW).owned == NONE


def test_what_is_not_read_to_its_end_is_not_owned() -> None:
    settled = NOTHING.assign(BOTH, NOW).settle(Progress(frozenset({Q}), folded=True), NOW)
    assert settled.owned == {Q}


def test_what_waits_to_be_folded_is_owned_all_the_same() -> None:
    assert ASSIGNED.settle(Progress(ONE, folded=False), NOW).owned == ONE


def test_nothing_is_owned_when_the_group_was_not_heard_lately() -> None:
    assert DECIDING.settle(READ, NOW + SURE_SECONDS).owned == ONE
    assert DECIDING.settle(READ, LATER).owned == NONE


def test_a_process_that_stood_still_stands_down_before_it_reads_on() -> None:
    assert DECIDING.stand_down(NOW).owned == ONE
    assert DECIDING.stand_down(LATER).owned == NONE


def test_what_was_taken_away_is_stood_down_from() -> None:
    assert DECIDING.assign(frozenset({Q}), NOW).stand_down(NOW).owned == NONE


def test_standing_down_takes_nothing_up() -> None:
    assert DECIDING.assign(BOTH, NOW).stand_down(NOW).owned == ONE, "the other one is not known to be read"


def test_who_left_the_group_owns_nothing() -> None:
    assert DECIDING.leave().settle(READ, NOW).owned == NONE


def test_it_is_owned_again_once_the_group_is_heard_again() -> None:
    stood_still = DECIDING.settle(READ, LATER)
    assert stood_still.assign(ONE, LATER).settle(READ, LATER).owned == ONE


# --- claiming ---------------------------------------------------------------------------------------------------


def test_what_is_assigned_and_acted_for_is_claimed() -> None:
    assert NOTHING.act_for(BOTH).assign(BOTH, NOW).to_claim(NOW) == [P, Q]


def test_what_is_not_acted_for_needs_no_claim() -> None:
    assert NOTHING.assign(ONE, NOW).to_claim(NOW) == []


def test_what_is_not_assigned_is_not_claimed() -> None:
    assert NOTHING.act_for(ONE).assign(frozenset({Q}), NOW).to_claim(NOW) == []


@pytest.mark.parametrize("claimed", [CLAIMED, DECIDING])
def test_what_is_claimed_is_not_claimed_again(claimed: Ownership[str]) -> None:
    assert claimed.to_claim(NOW) == []


def test_a_process_that_stood_still_claims_nothing_before_it_has_heard_from_the_group() -> None:
    assert ASSIGNED.to_claim(LATER) == []
    assert ASSIGNED.assign(ONE, LATER).to_claim(LATER) == [P]


def test_after_a_claim_that_failed_none_is_tried_for_a_while() -> None:
    failed = ASSIGNED.claim_failed(NOW)
    soon, then = NOW + CLAIM_AGAIN_SECONDS - 0.01, NOW + CLAIM_AGAIN_SECONDS
    assert failed.assign(ONE, soon).to_claim(soon) == []
    assert failed.assign(ONE, then).to_claim(then) == [P]


# --- deciding ---------------------------------------------------------------------------------------------------


def test_a_claim_counts_once_what_stood_there_is_read_and_folded() -> None:
    assert (CLAIMED.claims, CLAIMED.unread) == ({}, {P: "claim"})
    assert (DECIDING.claims, DECIDING.unread) == ({P: "claim"}, {})


def test_a_claim_does_not_count_before_its_partition_is_read_to_the_end() -> None:
    settled = CLAIMED.settle(Progress(frozenset({Q}), folded=True), NOW)
    assert (settled.claims, settled.unread) == ({}, {P: "claim"})


def test_a_claim_does_not_count_while_what_was_read_waits_to_be_folded() -> None:
    settled = CLAIMED.settle(Progress(ONE, folded=False), NOW)
    assert (settled.claims, settled.unread) == ({}, {P: "claim"})


def test_a_claim_that_counts_does_so_while_new_records_wait() -> None:
    assert DECIDING.settle(Progress(ONE, folded=False), NOW).claims == {P: "claim"}


@pytest.mark.parametrize("claimed", [CLAIMED, DECIDING])
def test_claims_on_what_is_not_assigned_any_more_are_given_up(claimed: Ownership[str]) -> None:
    taken_away = claimed.assign(frozenset({Q}), NOW)
    assert taken_away.held == ("claim",), "whoever settles closes it"
    assert taken_away.settle(READ, NOW).held == ()


def test_a_claim_outlasts_a_group_that_is_not_heard() -> None:
    assert DECIDING.settle(READ, LATER).held == ("claim",), "it is the newest until somebody else claims"


def test_a_claim_that_a_commit_failed_through_is_given_up_and_made_anew() -> None:
    failed = DECIDING.commit_failed(P, "claim")
    assert failed.held == ()
    assert failed.to_claim(NOW) == [P]
    assert failed.owned == ONE, "rankings and picks go on"


def test_a_commit_that_failed_late_does_not_cost_the_next_claim() -> None:
    anew = DECIDING.give_up(ONE).add_claim(P, "the next")
    assert anew.commit_failed(P, "claim").held == ("the next",)
    assert anew.settle(READ, NOW).commit_failed(P, "claim").held == ("the next",)


def test_when_the_log_breaks_off_claims_are_given_up_and_what_is_known_stays() -> None:
    broken = DECIDING.add_claim(Q, "another").give_up(BOTH)
    assert (broken.held, broken.owned) == ((), ONE)


def test_claims_of_other_partitions_are_not_given_up() -> None:
    assert DECIDING.add_claim(Q, "another").give_up(ONE).held == ("another",)


@pytest.mark.parametrize("claimed", [CLAIMED, DECIDING])
def test_a_partition_that_is_read_anew_is_unknown_until_its_end(claimed: Ownership[str]) -> None:
    anew = claimed.settle(Progress(ONE, folded=False), NOW).forget(ONE)
    assert (anew.held, anew.owned) == ((), NONE)
    assert anew.settle(Progress(NONE, folded=True), NOW).owned == NONE


def test_what_is_known_of_other_partitions_stays() -> None:
    both = NOTHING.assign(BOTH, NOW).settle(READ, NOW)
    assert both.forget(ONE).owned == {Q}


# --- acting -----------------------------------------------------------------------------------------------------


def test_who_owns_and_decides_may_act() -> None:
    assert DECIDING.why_not(P, NOW) is None


def test_why_not_has_a_code_and_words() -> None:
    assert NOTHING.why_not(P, NOW) == reason(ReasonCode.NOT_OWNER)


def test_a_process_that_stood_still_does_not_act() -> None:
    assert code_against(DECIDING, NOW + SURE_SECONDS) is None
    assert code_against(DECIDING, LATER) is ReasonCode.NOT_OWNER


def test_what_was_taken_away_is_not_acted_for() -> None:
    assert code_against(DECIDING.assign(frozenset({Q}), NOW)) is ReasonCode.NOT_OWNER


def test_nothing_is_done_through_a_claim_that_does_not_count() -> None:
    assert code_against(CLAIMED) is ReasonCode.NOT_CLAIMED
    assert code_against(ASSIGNED) is ReasonCode.NOT_CLAIMED


# --- a newer hotdesk --------------------------------------------------------------------------------------------

NEWER = Progress(BOTH, folded=True, newer=ONE)


def test_who_is_outdated_decides_nothing_any_more_for_good() -> None:
    outdated = DECIDING.settle(NEWER, NOW)
    assert (outdated.outdated, outdated.held, outdated.owned) == (True, (), NONE)
    assert outdated.to_claim(NOW) == []
    assert code_against(outdated) is ReasonCode.NEWER_HOTDESK
    again = outdated.assign(BOTH, NOW).settle(READ, NOW)
    assert (again.outdated, again.owned) == (True, NONE)


def test_what_a_newer_hotdesk_decided_elsewhere_is_not_this_ones_matter() -> None:
    elsewhere = NOTHING.assign(frozenset({Q}), NOW).settle(NEWER, NOW)
    assert not elsewhere.outdated
    assert elsewhere.owned == {Q}


def test_what_a_newer_hotdesk_decided_counts_once_it_is_read_to_the_end() -> None:
    reading = DECIDING.settle(Progress(frozenset({Q}), folded=True, newer=ONE), NOW)
    assert not reading.outdated, "a later record may have taken it back"


# --- whatever happens -------------------------------------------------------------------------------------------


def test_an_assignment_is_believed_for_a_second() -> None:
    assert Assignment().believed(0.0) == NONE
    assert Assignment(ONE, NOW).believed(NOW + SURE_SECONDS) == ONE
    assert Assignment(ONE, NOW).believed(LATER) == NONE


Event = Callable[[Ownership[str], float, str], Ownership[str]]
"""Something that happens, at a time, and a claim that was not used yet."""

PARTITIONS = st.frozensets(st.sampled_from([P, Q]))


def claim_all(ownership: Ownership[str], now: float, claim: str) -> Ownership[str]:
    """Claim what is to be claimed."""
    for partition in ownership.to_claim(now):
        ownership = ownership.add_claim(partition, f"{claim}/{partition}")
    return ownership


def fail_a_commit(ownership: Ownership[str], _now: float, _claim: str) -> Ownership[str]:
    """Let a commit fail through any claim that counts."""
    for partition, claim in list(ownership.claims.items())[:1]:
        ownership = ownership.commit_failed(partition, claim)
    return ownership


def event_of(kind: str, partitions: frozenset[int], *, folded: bool) -> Event:
    """Return an event of a kind."""
    progress = Progress(partitions, folded=folded)
    events: dict[str, Event] = {
        "assign": lambda ownership, now, _: ownership.assign(partitions, now),
        "leave": lambda ownership, _now, _: ownership.leave(),
        "act for": lambda ownership, _now, _: ownership.act_for(partitions),
        "claim": claim_all,
        "claim failed": lambda ownership, now, _: ownership.claim_failed(now),
        "commit failed": fail_a_commit,
        "forget": lambda ownership, _now, _: ownership.forget(partitions),
        "break off": lambda ownership, _now, _: ownership.give_up(BOTH),
        "stand down": lambda ownership, now, _: ownership.stand_down(now),
        "settle": lambda ownership, now, _: ownership.settle(progress, now),
    }
    return events[kind]


KINDS = ["assign", "leave", "act for", "claim", "claim failed", "commit failed"]
KINDS += ["forget", "break off", "stand down", "settle"]
EVENTS = st.builds(event_of, st.sampled_from(KINDS), PARTITIONS, folded=st.booleans())


@given(st.lists(st.tuples(EVENTS, st.sampled_from([0.0, 0.2, 0.9, 1.5])), max_size=40))
def test_whatever_happens_a_partition_has_one_claim_and_one_that_was_given_up_does_not_come_back(
    history: list[tuple[Event, float]],
) -> None:
    ownership, now = NOTHING.act_for(BOTH), NOW
    given_up: set[str] = set()
    for number, (event, seconds) in enumerate(history):
        now += seconds
        before, ownership = ownership, event(ownership, now, str(number))
        given_up |= set(before.held) - set(ownership.held)
        assert not ownership.claims.keys() & ownership.unread.keys()
        assert not given_up.intersection(ownership.held)
        for partition in BOTH:
            may_act = ownership.why_not(partition, now) is None
            assert not may_act or partition in ownership.claims
            assert not may_act or partition in ownership.assignment.partitions
