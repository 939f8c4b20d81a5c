"""When a dialer is asked by SIP: seldom in calm, at once in doubt, and never often enough for a ban."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probes.pacing import (
    AGAIN_SECONDS,
    FRESH_SECONDS,
    LATER_SECONDS,
    MANY_SECONDS,
    MOST_OTHERS,
    MOST_REQUESTS,
    WINDOW_SECONDS,
    Pacing,
    Waver,
    wavering,
)
from messages.records import ProbeResult, ServerIp

A, B, C, D, E = (f"10.0.0.{number}" for number in range(11, 16))
STILL = frozenset({Waver.HEARTBEAT})
AMI = frozenset({Waver.AMI})
TEN_MINUTES = 600.0
STEP = 0.25
TIMEOUT_SECONDS = 1.0


class Dialers:
    """Dialers that answer at once, or after a second not at all, on a clock of their own."""

    def __init__(self, *dialers: ServerIp) -> None:
        self.pacing = Pacing()
        self.pacing.watch(dialers)
        self.now = 0.0
        self.wavers: dict[ServerIp, frozenset[Waver]] = {}
        self.silent: set[ServerIp] = set()
        self.refused: set[ServerIp] = set()
        self.asked: dict[ServerIp, list[float]] = {ip: [] for ip in dialers}
        self._under_way: list[tuple[float, ServerIp, ProbeResult]] = []

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self.now < until:
            for ended in [each for each in self._under_way if each[0] <= self.now]:
                self._under_way.remove(ended)
                self.pacing.heard(self.now, ended[1], ended[2])
            self.pacing.doubt(self.now, self.wavers)
            for ip in self.pacing.ask(self.now):
                self.asked[ip].append(self.now)
                if ip in self.silent:
                    self._under_way.append((self.now + TIMEOUT_SECONDS, ip, ProbeResult.MUTE))
                else:
                    result = ProbeResult.REFUSED if ip in self.refused else ProbeResult.ALIVE
                    self.pacing.heard(self.now, ip, result)
            self.now += STEP

    def results(self) -> dict[ServerIp, ProbeResult]:
        return self.pacing.results(self.now)


def most_in_ten_minutes(asked: Iterable[float]) -> int:
    times = list(asked)
    return max((sum(0 <= each - first < TEN_MINUTES for each in times) for first in times), default=0)


def test_a_heartbeat_that_stands_still_beside_an_ami_that_answers_is_no_reason_to_ask() -> None:
    assert wavering({A, B, C}, ami_alive={A}, ami_fails={B, D}) == {B: STILL | AMI, C: STILL, D: AMI}


def test_in_calm_a_dialer_is_asked_at_once_and_then_every_ten_minutes() -> None:
    dialers = Dialers(A)
    dialers.go_on(3600)
    assert dialers.asked[A][0] == 0
    assert len(dialers.asked[A]) == 6


def test_a_calm_answer_is_soon_too_old() -> None:
    dialers = Dialers(A)
    dialers.go_on(FRESH_SECONDS - STEP)
    assert dialers.results() == {A: ProbeResult.ALIVE}
    dialers.go_on(1)
    assert dialers.results() == {}


def test_in_calm_one_that_does_not_answer_is_asked_once_more() -> None:
    dialers = Dialers(A)
    dialers.go_on(WINDOW_SECONDS)
    dialers.silent = {A}
    dialers.go_on(500)
    assert dialers.asked[A] == [0, WINDOW_SECONDS, WINDOW_SECONDS + AGAIN_SECONDS]


def test_one_whose_first_answer_was_lost_is_asked_once_more_soon() -> None:
    dialers = Dialers(A)
    dialers.silent = {A}
    dialers.go_on(0.5)
    dialers.silent = set()
    dialers.go_on(LATER_SECONDS)
    assert dialers.asked[A] == [0, LATER_SECONDS]
    assert dialers.results() == {A: ProbeResult.ALIVE}


def test_one_that_came_up_after_the_collector_and_whose_answer_was_lost_is_asked_once_more_soon() -> None:
    dialers = Dialers(A)
    dialers.refused, dialers.wavers = {A}, {A: STILL}
    dialers.go_on(3)
    assert len(dialers.asked[A]) == 2, "in doubt twice"
    dialers.refused, dialers.silent, dialers.wavers = set(), {A}, {}
    dialers.go_on(1.5)
    dialers.silent = set()
    dialers.go_on(LATER_SECONDS)
    assert len(dialers.asked[A]) == MOST_REQUESTS
    assert dialers.results() == {A: ProbeResult.ALIVE}


def test_one_that_has_never_answered_is_asked_seldom_and_when_it_comes_up() -> None:
    dialers = Dialers(A)
    dialers.silent = {A}
    dialers.go_on(400)
    assert dialers.asked[A] == [0, LATER_SECONDS, LATER_SECONDS + WINDOW_SECONDS / 2]
    dialers.wavers = {A: STILL}
    dialers.go_on(0.5)
    dialers.wavers, dialers.silent = {}, set()
    dialers.go_on(1)
    assert dialers.asked[A][3:] == [400.5]
    assert dialers.results() == {A: ProbeResult.ALIVE}


def test_one_that_was_dead_before_this_collector_began_is_found_silent_as_long_as_the_doubt_lasts() -> None:
    dialers = Dialers(A, B)
    dialers.refused = {A}
    dialers.go_on(1.5)
    dialers.wavers = {A: STILL}
    dialers.go_on(4)
    assert dialers.results() == {A: ProbeResult.REFUSED, B: ProbeResult.ALIVE}
    assert dialers.asked[A] == [0, 1.5, 1.5 + AGAIN_SECONDS]
    dialers.go_on(250)
    assert dialers.results() == {A: ProbeResult.REFUSED, B: ProbeResult.ALIVE}
    assert len(dialers.asked[A]) == 3


@pytest.mark.parametrize("fault", ["silent", "refused"])
def test_in_doubt_it_is_asked_at_once_and_again_and_its_silence_stands(fault: str) -> None:
    dialers = Dialers(A)
    dialers.go_on(100)
    setattr(dialers, fault, {A})
    dialers.wavers = {A: STILL}
    dialers.go_on(3)
    assert dialers.asked[A][1:] == [100, 101]
    said = {A: ProbeResult.MUTE if fault == "silent" else ProbeResult.REFUSED}
    assert dialers.results() == said
    dialers.go_on(60)
    assert dialers.results() == said
    dialers.go_on(WINDOW_SECONDS)
    assert dialers.results() == {}


def test_what_it_answered_before_the_doubt_says_nothing_about_it() -> None:
    dialers = Dialers(A)
    dialers.go_on(1)
    assert dialers.results() == {A: ProbeResult.ALIVE}
    dialers.pacing.doubt(dialers.now, {A: STILL})
    assert dialers.results() == {}


def test_a_second_sign_makes_a_doubt_of_its_own() -> None:
    dialers = Dialers(A)
    dialers.go_on(10)
    dialers.wavers = {A: AMI}
    dialers.go_on(5)
    assert dialers.results() == {A: ProbeResult.ALIVE}
    dialers.silent = {A}
    dialers.wavers = {A: AMI | STILL}
    dialers.go_on(4)
    assert dialers.results() == {A: ProbeResult.MUTE}


def test_when_one_sign_is_back_the_silence_of_before_says_nothing_any_more() -> None:
    dialers = Dialers(A, B)
    dialers.go_on(20)
    dialers.silent, dialers.wavers = {A}, {A: STILL | AMI}
    dialers.go_on(5)
    assert dialers.results()[A] is ProbeResult.MUTE
    dialers.silent, dialers.wavers = set(), {A: STILL}
    dialers.go_on(STEP)
    assert dialers.results().get(A) is not ProbeResult.MUTE


def test_one_that_answers_in_doubt_stands_as_alive_while_the_doubt_lasts_and_is_asked_again_ever_later() -> None:
    dialers = Dialers(A)
    dialers.go_on(1)
    dialers.wavers = {A: STILL}
    dialers.go_on(300)
    assert dialers.asked[A] == [0, 1, 11]
    assert dialers.results() == {A: ProbeResult.ALIVE}
    dialers.wavers = {}
    dialers.go_on(1)
    assert dialers.results() == {}


def test_short_doubts_leave_two_requests_for_a_long_one() -> None:
    dialers = Dialers(A)
    dialers.go_on(1)
    for _ in range(20):
        dialers.wavers = {A: STILL}
        dialers.go_on(0.5)
        dialers.wavers = {}
        dialers.go_on(2)
    dialers.refused = {A}
    dialers.wavers = {A: STILL}
    dialers.go_on(3)
    assert len(dialers.asked[A]) == MOST_REQUESTS
    assert dialers.results() == {A: ProbeResult.REFUSED}


def test_when_one_is_silent_another_one_is_asked_so_that_not_all_are_silent() -> None:
    dialers = Dialers(A, B, C)
    dialers.go_on(100)
    dialers.silent = {A}
    dialers.wavers = {A: STILL}
    dialers.go_on(30)
    results = dialers.results()
    assert results == {A: ProbeResult.MUTE, B: ProbeResult.ALIVE, C: ProbeResult.ALIVE}
    assert len(dialers.asked[B]) + len(dialers.asked[C]) == 3


def test_when_nothing_gets_through_a_few_others_are_found_silent_too_and_no_more_are_asked() -> None:
    dialers = Dialers(A, B, C, D, E)
    dialers.go_on(100)
    dialers.silent = {A, B, C, D, E}
    dialers.wavers = {A: STILL}
    dialers.go_on(60)
    results = dialers.results()
    assert set(results.values()) == {ProbeResult.MUTE}
    assert len(results) == 1 + MOST_OTHERS


def test_one_that_is_back_is_asked_once_so_that_its_answer_stands_beside_the_silence_of_others() -> None:
    dialers = Dialers(A, B)
    dialers.go_on(1)
    dialers.refused = {A}
    dialers.wavers = {A: STILL}
    dialers.go_on(20)
    dialers.refused, dialers.wavers = set(), {}
    dialers.pacing.doubt(dialers.now, {})
    assert dialers.results() == {}
    dialers.go_on(200)
    dialers.refused, dialers.wavers = {B}, {B: STILL}
    dialers.go_on(5)
    assert dialers.results() == {A: ProbeResult.ALIVE, B: ProbeResult.REFUSED}


def test_when_most_stand_still_together_a_stumbling_database_costs_no_request() -> None:
    dialers = Dialers(A, B, C)
    dialers.go_on(100)
    dialers.wavers = dict.fromkeys((A, B), STILL)
    dialers.go_on(MANY_SECONDS - STEP)
    assert [len(each) for each in dialers.asked.values()] == [1, 1, 1]
    dialers.refused = {A, B}
    dialers.go_on(2)
    assert dialers.results() == {A: ProbeResult.REFUSED, B: ProbeResult.REFUSED, C: ProbeResult.ALIVE}


def test_when_some_of_many_are_back_the_silence_of_the_others_says_nothing_until_they_are_asked_again() -> None:
    dialers = Dialers(A, B, C)
    dialers.go_on(WINDOW_SECONDS - 10)
    dialers.refused, dialers.wavers = {A, B, C}, dict.fromkeys((A, B, C), STILL)
    dialers.go_on(60)
    assert dialers.results() == dict.fromkeys((A, B, C), ProbeResult.REFUSED)
    before = {ip: len(each) for ip, each in dialers.asked.items()}
    # the network is back, and one of the updaters is not
    dialers.refused, dialers.wavers = set(), {B: STILL}
    dialers.pacing.doubt(dialers.now, dialers.wavers)
    assert dialers.results() == {}
    dialers.go_on(3)
    assert dialers.results()[B] is ProbeResult.ALIVE
    assert len(dialers.asked[B]) == before[B] + 1


def test_when_some_of_many_are_back_the_death_of_the_others_is_proven_by_two_requests() -> None:
    dialers = Dialers(A, B, C)
    dialers.go_on(20)
    dialers.silent, dialers.wavers = {A, B}, dict.fromkeys((A, B), STILL)
    dialers.go_on(30)
    assert dialers.results() == {C: ProbeResult.ALIVE}, "one datagram each may have been lost"
    assert len(dialers.asked[A]) == 2
    dialers.silent, dialers.wavers = {A}, {A: STILL}
    dialers.go_on(4)
    assert dialers.results()[A] is ProbeResult.MUTE
    assert len(dialers.asked[A]) == MOST_REQUESTS


def test_rows_of_machines_that_are_long_gone_keep_no_death_from_being_proven() -> None:
    dialers = Dialers(A, B, C, D, E)
    dialers.silent = {C, D, E}
    dialers.wavers = dict.fromkeys((C, D, E), STILL)
    dialers.go_on(2 * WINDOW_SECONDS)
    dialers.silent |= {A}
    dialers.wavers |= {A: STILL}
    dialers.go_on(4)
    assert dialers.results()[A] is ProbeResult.MUTE


def test_when_no_other_may_be_asked_the_last_answers_of_those_in_calm_stand() -> None:
    dialers = Dialers(A, B)
    dialers.go_on(1)
    for seconds in (11, 11, 20):
        dialers.wavers = {B: STILL}
        dialers.go_on(seconds)
        dialers.wavers = {}
        dialers.go_on(1)
    spent = len(dialers.asked[B])
    dialers.refused = {A}
    dialers.wavers = {A: STILL}
    dialers.go_on(3)
    assert len(dialers.asked[B]) == spent
    assert dialers.results() == {A: ProbeResult.REFUSED, B: ProbeResult.ALIVE}


def test_one_that_moved_begins_anew_and_one_that_left_is_not_asked() -> None:
    dialers = Dialers(A, B)
    dialers.go_on(1)
    dialers.pacing.watch([A], moved=[A])
    assert dialers.results() == {}
    dialers.go_on(1)
    assert len(dialers.asked[A]) == 2
    assert len(dialers.asked[B]) == 1


def test_one_that_left_and_comes_back_has_no_more_requests_than_if_it_had_stayed() -> None:
    dialers = Dialers(A, B)
    dialers.silent = {A}
    for _ in range(6):
        dialers.go_on(20)
        dialers.pacing.watch([B])
        dialers.go_on(1)
        dialers.pacing.watch([A, B])
    assert most_in_ten_minutes(dialers.asked[A]) <= MOST_REQUESTS


def test_a_request_that_this_host_could_not_send_has_no_result() -> None:
    pacing = Pacing()
    pacing.watch([A])
    assert pacing.ask(0) == [A]
    assert pacing.ask(1) == []
    pacing.heard(1, A, None)
    assert pacing.results(1) == {}


MOMENT = st.tuples(
    st.floats(0, 400),
    st.dictionaries(st.sampled_from([A, B, C]), st.sampled_from([STILL, AMI, STILL | AMI])),
    st.sets(st.sampled_from([A, B, C])),
    st.sets(st.sampled_from([A, B, C])),
)


@given(st.lists(MOMENT, max_size=12))
def test_whatever_happens_nobody_is_asked_more_than_four_times_in_ten_minutes_and_no_old_answer_stands(
    moments: list[tuple[float, dict[ServerIp, frozenset[Waver]], set[ServerIp], set[ServerIp]]],
) -> None:
    dialers = Dialers(A, B, C)
    for seconds, wavers, silent, refused in moments:
        dialers.wavers, dialers.silent, dialers.refused = wavers, silent, refused
        dialers.go_on(seconds)
        for ip in dialers.results():
            assert dialers.now - dialers.asked[ip][-1] <= WINDOW_SECONDS + TIMEOUT_SECONDS + STEP
    assert all(most_in_ten_minutes(each) <= MOST_REQUESTS for each in dialers.asked.values())
