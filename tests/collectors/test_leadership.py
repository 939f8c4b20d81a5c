"""The rule of leadership, with values in and values out: when a collector claims, leads and gives way."""

import msgspec
import pytest

from collectors.leadership import (
    ANOTHER_SECONDS,
    CLAIM_SECONDS,
    FOREIGN_SECONDS,
    QUIET_SECONDS,
    SHORT_TERM_SECONDS,
    SLOWER,
    AnotherInstallation,
    Leadership,
    Step,
)
from messages.codec import encode
from messages.keys import key_of
from messages.records import EpochClaim, Poll
from messages.topics import Topic
from stream.log import Stored

NOW = 100.0
WALL_MS = 1_700_000_000_000
NEWEST_EPOCH = 7
"""The newest epoch in the log before the collector under test comes up."""


def claim_of(collector: str, epoch: int) -> EpochClaim:
    return EpochClaim(cluster="west", epoch=epoch, sequence=0, collector=collector)


def poll_of(epoch: int, sequence: int, cluster: str = "west", observed_at_ms: int = WALL_MS) -> Poll:
    return Poll(
        cluster=cluster,
        epoch=epoch,
        sequence=sequence,
        observed_at_ms=observed_at_ms,
        full_sequence=None,
        collector="another",
        dialers=(),
    )


def stored(record: EpochClaim | Poll) -> Stored:
    return Stored(
        topic=Topic.OBSERVATIONS,
        partition=0,
        offset=0,
        key=str(key_of(record)),
        value=encode(record),
        headers=(),
        appended_at_ms=0,
    )


def read(leadership: Leadership, *records: EpochClaim | Poll, now: float = NOW, caught_up: bool = True) -> None:
    leadership.read([stored(record) for record in records], now, caught_up=caught_up)


def epoch_of(leadership: Leadership) -> int | None:
    """Return the epoch of its term, or None if it does not lead."""
    return None if leadership.term is None else leadership.term.epoch


def step(leadership: Leadership) -> Step:
    return leadership.next


@pytest.fixture
def collector() -> Leadership:
    """Return a collector that has read all that stood in the log."""
    leadership = Leadership("west", "me")
    read(leadership, poll_of(NEWEST_EPOCH, 4), now=NOW - QUIET_SECONDS)
    return leadership


@pytest.fixture
def claiming(collector: Leadership) -> Leadership:
    """Return one that holds the lock and whose claim is on its way."""
    collector.lock_taken()
    collector.claim(NOW)
    return collector


def test_a_collector_reads_the_whole_log_before_it_asks_for_the_lock() -> None:
    leadership = Leadership("west", "me")
    read(leadership, poll_of(3, 1), caught_up=False)
    assert step(leadership) is Step.FOLLOW
    read(leadership, poll_of(3, 2))
    assert step(leadership) is Step.TAKE_LOCK


def test_the_way_to_a_term_is_lock_claim_read_back_look_again(collector: Leadership) -> None:
    assert step(collector) is Step.TAKE_LOCK
    collector.lock_taken()
    assert step(collector) is Step.CLAIM
    claim = collector.claim(NOW)
    assert claim.epoch == NEWEST_EPOCH + 1
    assert step(collector) is Step.READ_BACK
    read(collector, claim)
    assert step(collector) is Step.LOOK_AT_LOCK
    assert epoch_of(collector) is None, "its term begins only when it has looked at the lock"
    collector.look_at_lock(NOW, WALL_MS + 500, held=True)
    assert step(collector) is Step.LEAD
    assert epoch_of(collector) == claim.epoch


def test_a_collector_that_lost_its_lock_meanwhile_never_leads(claiming: Leadership) -> None:
    read(claiming, claim_of("me", NEWEST_EPOCH + 1))
    claiming.look_at_lock(NOW, WALL_MS, held=False)
    assert claiming.term is None
    assert step(claiming) is Step.TAKE_LOCK


@pytest.mark.parametrize("epoch", [NEWEST_EPOCH + 1, NEWEST_EPOCH + 2])
@pytest.mark.parametrize("rival_is_first", [True, False])
def test_a_claim_beside_a_rivals_is_claimed_anew_above_both(
    claiming: Leadership, epoch: int, rival_is_first: bool
) -> None:
    claims = [claim_of("another", epoch), claim_of("me", NEWEST_EPOCH + 1)]
    read(claiming, *(claims if rival_is_first else reversed(claims)))
    assert claiming.is_beaten
    assert step(claiming) is Step.CLAIM
    assert claiming.claim(NOW).epoch == epoch + 1


def test_a_rivals_older_claim_beats_nothing(claiming: Leadership) -> None:
    read(claiming, claim_of("another", NEWEST_EPOCH), claim_of("me", NEWEST_EPOCH + 1))
    assert step(claiming) is Step.LOOK_AT_LOCK


def test_claiming_takes_at_most_its_time_however_often_it_is_beaten(claiming: Leadership) -> None:
    read(claiming, claim_of("another", NEWEST_EPOCH + 1), claim_of("me", NEWEST_EPOCH + 1))
    claiming.claim(NOW + CLAIM_SECONDS - 1)
    assert not claiming.is_overdue(NOW + CLAIM_SECONDS)
    assert claiming.is_overdue(NOW + CLAIM_SECONDS + 0.1)


def test_the_term_ends_with_the_lock_and_the_next_one_has_a_new_epoch(claiming: Leadership) -> None:
    first = claim_of("me", NEWEST_EPOCH + 1)
    read(claiming, first)
    claiming.look_at_lock(NOW, WALL_MS, held=True)
    claiming.lock_lost()
    assert claiming.term is None
    claiming.lock_taken()
    assert claiming.claim(NOW).epoch == first.epoch + 1


def test_another_collector_polls_until_it_was_quiet(collector: Leadership) -> None:
    assert not collector.another_polls(NOW)
    read(collector, poll_of(NEWEST_EPOCH, 5))
    assert collector.another_polls(NOW + QUIET_SECONDS - 0.1)
    assert not collector.another_polls(NOW + QUIET_SECONDS)


def test_records_of_another_cluster_count_for_nothing(collector: Leadership) -> None:
    read(collector, poll_of(99, 1, cluster="east"))
    assert collector.epoch == NEWEST_EPOCH
    assert not collector.another_polls(NOW)


def test_the_log_time_never_goes_back_behind_a_poll(collector: Leadership) -> None:
    read(collector, poll_of(NEWEST_EPOCH, 5, observed_at_ms=WALL_MS + 9000))
    assert collector.log_time_ms(WALL_MS) == WALL_MS + 9001
    assert collector.log_time_ms(WALL_MS + 20_000) == WALL_MS + 20_000


def test_a_term_keeps_its_own_time_and_knows_that_it_was_short(claiming: Leadership) -> None:
    read(claiming, claim_of("me", NEWEST_EPOCH + 1))
    claiming.look_at_lock(NOW, WALL_MS + 500, held=True)
    term = claiming.term
    assert term is not None
    assert term.at_ms(NOW + 2.5) == WALL_MS + 3000
    assert term.was_short(NOW + SHORT_TERM_SECONDS - 0.1)
    assert not term.was_short(NOW + SHORT_TERM_SECONDS)


TWO_HOURS_MS = 7_200_000


def test_a_log_that_was_two_hours_ahead_once_is_right_again_and_never_goes_back(claiming: Leadership) -> None:
    read(claiming, poll_of(NEWEST_EPOCH, 5, observed_at_ms=WALL_MS + TWO_HOURS_MS), claim_of("me", NEWEST_EPOCH + 1))
    claiming.look_at_lock(NOW, WALL_MS, held=True)
    term = claiming.term
    assert term is not None
    hours = [term.at_ms(NOW + 3600 * hour) - (WALL_MS + 3_600_000 * hour) for hour in range(24 * 9)]
    assert hours[0] == TWO_HOURS_MS + 1
    assert hours[-1] == 0, "it goes by the wall clock from then on"
    assert term.at_ms(NOW + 10) - term.at_ms(NOW) == round(10_000 * (1 - SLOWER)), "no time goes by much slower"


def test_a_term_that_begins_with_the_wall_clock_keeps_its_pace(claiming: Leadership) -> None:
    read(claiming, claim_of("me", NEWEST_EPOCH + 1))
    claiming.look_at_lock(NOW, WALL_MS + TWO_HOURS_MS, held=True)
    assert claiming.term is not None
    assert claiming.term.at_ms(NOW + 10) == WALL_MS + TWO_HOURS_MS + 10_000


def test_the_logs_own_clock_is_known_from_the_claim_that_came_back(collector: Leadership) -> None:
    collector.lock_taken()
    claim = stored(collector.claim(NOW))
    collector.read([msgspec.structs.replace(claim, appended_at_ms=WALL_MS + 90_000)], NOW + 1, caught_up=True)
    assert collector.log_clock_ms(NOW + 2) == WALL_MS + 92_000


def test_the_epoch_of_a_newer_hotdesks_record_counts_too(collector: Leadership) -> None:
    record = stored(poll_of(NEWEST_EPOCH + 5, 1))
    assert record.value is not None
    newer = Stored(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value.replace(b'"schema_version":1', b'"schema_version":99'),
        headers=(),
        appended_at_ms=0,
    )
    assert newer.value != record.value
    collector.read([newer], NOW, caught_up=True)
    assert collector.epoch == NEWEST_EPOCH + 5


# --- another server, another log --------------------------------------------------------------------------------


def test_one_that_gave_way_asks_for_no_lock_while_the_later_term_polls() -> None:
    leadership = Leadership("west", "me", gave_way=True)
    read(leadership, poll_of(NEWEST_EPOCH, 4), now=NOW)
    assert leadership.stays_away(NOW), "polls that stood in the log say nothing of now"
    read(leadership, poll_of(NEWEST_EPOCH, 5), now=NOW + 4)
    assert leadership.stays_away(NOW + 4 + QUIET_SECONDS - 0.1)
    assert not leadership.stays_away(NOW + 4 + QUIET_SECONDS)


def test_one_that_did_not_give_way_asks_at_once(collector: Leadership) -> None:
    read(collector, poll_of(NEWEST_EPOCH, 5), now=NOW)
    assert not collector.stays_away(NOW)


def test_a_lock_that_is_taken_while_no_poll_comes_is_another_installations(collector: Leadership) -> None:
    collector.lock_denied(NOW)
    assert not collector.is_foreign(NOW + FOREIGN_SECONDS - 0.1)
    assert collector.is_foreign(NOW + FOREIGN_SECONDS)
    read(collector, poll_of(NEWEST_EPOCH, 5), now=NOW + FOREIGN_SECONDS)
    assert not collector.is_foreign(NOW + 2 * FOREIGN_SECONDS - 0.1)
    assert collector.is_foreign(NOW + 2 * FOREIGN_SECONDS)
    collector.lock_taken()
    assert not collector.is_foreign(NOW + 3 * FOREIGN_SECONDS)


def lead_after(another: AnotherInstallation, denied_seconds: float, *, polls: bool) -> float:
    """Return when a term began whose lock was denied before, by one that polls in this log or does not."""
    leadership = Leadership("west", "me", another=another)
    read(leadership, poll_of(NEWEST_EPOCH, 4), now=NOW)
    leadership.lock_denied(NOW)
    if polls:
        read(leadership, poll_of(NEWEST_EPOCH, 5), now=NOW + 1)
    began = NOW + denied_seconds
    leadership.lock_denied(began)
    leadership.lock_taken()
    read(leadership, leadership.claim(began))
    leadership.look_at_lock(began, WALL_MS, held=True)
    assert leadership.term is not None
    return began


@pytest.mark.parametrize("denied_seconds", [QUIET_SECONDS, FOREIGN_SECONDS])
def test_a_leader_that_has_the_lock_after_another_installation_doubts_for_a_minute(denied_seconds: float) -> None:
    """Whose collector may only be restarting."""
    another = AnotherInstallation()
    began = lead_after(another, denied_seconds, polls=False)
    assert another.may_return(began + ANOTHER_SECONDS - 0.1)
    assert not another.may_return(began + ANOTHER_SECONDS)


@pytest.mark.parametrize(("denied_seconds", "polls"), [(0.0, False), (QUIET_SECONDS - 0.1, False), (10.0, True)])
def test_a_leader_after_one_of_its_own_doubts_nothing(denied_seconds: float, polls: bool) -> None:
    another = AnotherInstallation()
    assert not another.may_return(lead_after(another, denied_seconds, polls=polls))


def test_another_installation_is_doubted_in_the_next_term_too_however_late_that_begins() -> None:
    another = AnotherInstallation()
    another.had_lock(NOW)
    another.begin_term(NOW + 10 * ANOTHER_SECONDS)
    assert another.may_return(NOW + 11 * ANOTHER_SECONDS - 0.1)


def test_a_standby_forgets_another_installation_once_its_own_leader_has() -> None:
    another = AnotherInstallation()
    standby = Leadership("west", "me", another=another)
    read(standby, poll_of(NEWEST_EPOCH, 4), now=NOW)
    another.had_lock(NOW)
    read(standby, poll_of(NEWEST_EPOCH, 5), now=NOW + ANOTHER_SECONDS)
    another.begin_term(NOW + ANOTHER_SECONDS + 1)
    assert not another.may_return(NOW + ANOTHER_SECONDS + 1)
