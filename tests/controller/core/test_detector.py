"""The failure detector: every line of the tables in docs/guide/failover.md, poll by poll."""

from datetime import UTC, datetime

import pytest

from controller.core.detector import is_dead, judge_fleet
from controller.core.orders import Orders
from controller.core.policy import MaintenanceWindow, Policy
from messages.codes import ReasonCode
from messages.records import (
    DialerState,
    Drain,
    FleetHealth,
    Poll,
    ProbeResult,
)
from messages.words import reason
from tests.support.builders import CLUSTER, ONE, THREE, TWO, alive, dialer, session
from tests.support.fleet import ALIVE, CUT, DENIED, FOUR, MUTE, REFUSED, TICK_MS, Fleet, come_back, die, healthy

NOON_MS = round(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1000)

# --- times of day -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("database_ms", "drained"), [(NOON_MS, True), (NOON_MS - 7_200_000, False), (None, False)])
def test_a_window_is_heeded_by_the_wall_clock_however_far_the_log_is_ahead(
    database_ms: int | None, *, drained: bool
) -> None:
    policy = Policy(windows=(MaintenanceWindow(start_minute=12 * 60, minutes=20),))
    seen = Poll(
        cluster=CLUSTER,
        epoch=1,
        sequence=1,
        observed_at_ms=NOON_MS + 7_200_000,
        full_sequence=1,
        collector="c",
        dialers=(dialer(ONE, heartbeat=alive(NOON_MS + 7_200_000)),),
        database_ms=database_ms,
    )
    health = judge_fleet(FleetHealth(), seen, policy, Orders())
    assert {each.state is DialerState.DRAINING for each in health.dialers.values()} == {drained}


# --- verdicts ---------------------------------------------------------------------------------------------------


def test_dialers_whose_heartbeat_advances_are_up_and_nothing_is_said_against_them() -> None:
    fleet = healthy(ONE, TWO)
    assert [(each.state.value, each.evidence) for each in fleet.health.dialers.values()] == [("up", "")] * 2
    assert fleet.health.brake is None


def test_without_a_probe_a_silent_dialer_is_suspect_after_2_5_s_and_down_after_75() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "suspect") == 2.5
    assert fleet.seconds_until(ONE, "down", 80) == 72.5
    assert fleet.of(ONE).evidence == "heartbeat stalled for 75.0 s, no probe"
    assert (fleet.of(ONE).confirmed, fleet.state(TWO)) == (False, "up")


def test_an_updater_that_is_started_again_within_a_minute_kills_no_dialer() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = False
    fleet.run(60)
    fleet[ONE].beats = True
    fleet.run(3)
    assert (fleet.state(ONE), fleet.of(ONE).deaths) == ("up", 0)


def test_a_suspect_dialer_must_beat_to_be_up_again() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].steps_seconds = 11
    fleet.run(20)
    assert fleet.state(ONE) == "suspect"
    fleet[ONE].steps_seconds = 1
    assert fleet.seconds_until(ONE, "up") <= 4


def test_a_hung_asterisk_without_a_probe_is_suspect_and_not_up_at_each_step() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].steps_seconds = 11
    fleet.seconds_until(ONE, "suspect")
    for _ in range(300):
        fleet.poll()
        assert fleet.state(ONE) == "suspect"


@pytest.mark.parametrize("answer", [MUTE, REFUSED, CUT])
def test_with_a_probe_that_fails_too_it_is_down_after_3(answer: ProbeResult) -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": answer}
    assert fleet.seconds_until(ONE, "down") == 3.0
    assert fleet.of(ONE).evidence == f"heartbeat stalled for 3.0 s, AMI {answer}"
    assert fleet.of(ONE).confirmed


def test_a_probe_that_lives_keeps_a_silent_dialer_from_ever_being_down() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].beats = False
    fleet.run(120)
    assert fleet.state(ONE) == "suspect"
    assert "perhaps only its updater has died" in fleet.of(ONE).evidence


@pytest.mark.parametrize("probes", [{"ami": MUTE, "sip": MUTE}, {"ami": MUTE}, {"sip": MUTE}])
def test_a_hung_asterisk_whose_heartbeat_steps_is_down_after_8(probes: dict[str, ProbeResult]) -> None:
    fleet = healthy(ONE, TWO, **dict.fromkeys(probes, ALIVE))
    fleet[ONE].probes, fleet[ONE].steps_seconds = probes, 2.4
    assert fleet.seconds_until(ONE, "suspect") == 3.0
    assert fleet.seconds_until(ONE, "down") == 5.5
    assert fleet.of(ONE).confirmed
    assert fleet.of(ONE).evidence.endswith("for 8.0 s, and its heartbeat steps")


@pytest.mark.parametrize("answers", [{"ami": MUTE, "sip": MUTE}, {"sip": MUTE}])
def test_a_hung_asterisk_is_dead_at_every_poll_between_two_steps(answers: dict[str, ProbeResult]) -> None:
    fleet = healthy(ONE, TWO, **dict.fromkeys(answers, ALIVE))
    fleet[ONE].probes, fleet[ONE].steps_seconds = answers, 11
    assert fleet.seconds_until(ONE, "down") <= 10
    for _ in range(100):
        fleet.poll()
        assert is_dead(fleet.of(ONE)), fleet.of(ONE).evidence


@pytest.mark.parametrize(
    "answers", [{"ami": CUT, "sip": CUT}, {"sip": MUTE}, {"ami": MUTE, "sip": CUT}, {"ami": MUTE, "sip": MUTE}]
)
def test_what_may_be_our_own_path_makes_it_suspect_and_no_more(answers: dict[str, ProbeResult]) -> None:
    fleet = healthy(ONE, TWO, **dict.fromkeys(answers, ALIVE))
    fleet[ONE].probes = answers
    fleet.run(60)
    assert fleet.state(ONE) == "suspect"


def test_one_probe_that_lives_outvotes_one_that_fails() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE, sip=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED, "sip": ALIVE}
    fleet.run(60)
    assert fleet.state(ONE) == "up"


def test_one_lost_probe_is_nothing() -> None:
    fleet = healthy(ONE, TWO, sip=ALIVE)
    fleet[ONE].probes = {"sip": MUTE}
    fleet.run(2)
    fleet[ONE].probes = {"sip": ALIVE}
    assert fleet.state(ONE) == "up"


def test_a_probe_that_never_succeeded_has_no_vote() -> None:
    fleet = healthy(ONE, TWO, ami=REFUSED)
    fleet.run(60)
    assert fleet.state(ONE) == "up"
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_a_refused_password_is_no_vote() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].probes = {"ami": DENIED}
    fleet.run(60)
    assert fleet.state(ONE) == "up"


def test_probes_that_all_fail_are_blind() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {"ami": REFUSED}
    fleet.run(60)
    assert fleet.health.blind_since_ms is not None
    assert [fleet.state(each) for each in (ONE, TWO, THREE)] == ["up"] * 3
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_a_dialer_that_fails_alone_long_after_the_others_is_down_by_two_signs() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[TWO].probes = {"ami": REFUSED}  # a ban: its heartbeat beats on
    fleet.run(60)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") <= 4.5
    assert (fleet.of(ONE).confirmed, fleet.health.blind_since_ms, fleet.health.brake) == (True, None, None)


def test_all_that_begin_to_fail_within_half_a_minute_are_blind_together_also_if_their_words_change() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(20)
    fleet[TWO].probes = {"ami": REFUSED}
    fleet.run(60)
    fleet[ONE].probes = {"ami": MUTE}
    fleet.run(60)
    assert fleet.health.blind_since_ms is not None
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_probes_that_are_asked_in_doubt_only_are_blind_together_whenever_they_were_last_alive() -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {}
        fleet.run(60)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {"sip": MUTE}
    fleet.run(5)
    assert fleet.health.blind_since_ms is not None


def test_refusals_beside_beating_heartbeats_set_no_brake_and_heartbeats_that_stall_together_do() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip, before in ((ONE, 0), (TWO, 40), (THREE, 80)):
        fleet.run(before)
        fleet[server_ip].probes = {"ami": REFUSED}
    fleet.run(60)
    assert fleet.health.brake is None
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = False
    brakes = []
    for _ in range(160):
        fleet.poll()
        down = [each for each in (ONE, TWO, THREE) if fleet.state(each) == "down"]
        brakes += [fleet.health.brake] if down else []
    assert brakes
    assert None not in brakes


def test_a_hung_dialer_stays_down_while_the_probes_are_blind() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].probes, fleet[ONE].steps_seconds = {"ami": MUTE}, 11
    fleet.seconds_until(ONE, "down")
    fleet[TWO].probes = {"ami": MUTE}
    fleet.run(20)
    assert (fleet.health.blind_since_ms is not None, fleet.state(ONE), fleet.state(TWO)) == (True, "down", "up")


def test_a_missing_row_is_unknown_and_leaves_everything_as_it_was() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].row = False
    fleet.run(60)
    assert (fleet.state(ONE), fleet.of(ONE).verdict.value) == ("up", "unknown")


def test_a_missing_row_and_a_probe_that_fails_for_8_s_is_down() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].row, fleet[ONE].probes = False, {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") == 8.5


# --- the observer's own trouble ---------------------------------------------------------------------------------


def test_silence_while_nobody_looked_is_not_held_against_a_dialer() -> None:
    fleet = healthy(ONE, TWO)
    fleet[ONE].beats = False
    fleet.sleep(600)
    fleet.poll()
    assert fleet.state(ONE) == "suspect"
    assert fleet.health.brake
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_one_that_died_between_two_collectors_is_down_as_any_other() -> None:
    fleet = healthy(ONE, TWO)
    fleet.take_over()
    fleet[ONE].beats = False
    fleet.run(74.5)
    assert (fleet.state(ONE), fleet.state(TWO)) == ("suspect", "up")
    fleet.run(2)  # until the other one was seen to beat, the brake held, and what is silent counts from then
    assert (fleet.state(ONE), fleet.state(TWO)) == ("down", "up")


def test_a_new_collector_believes_a_probe_at_once() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet.take_over()
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") <= 4.5


def test_a_probe_that_is_silent_for_a_while_stays_credible_and_has_no_vote_meanwhile() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet.take_over()
    fleet[ONE].beats, fleet[ONE].probes = False, {}
    fleet.run(6)
    assert fleet.state(ONE) == "suspect"
    fleet[ONE].probes = {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") == 1.5


def test_one_lost_probe_does_not_kill_a_dialer_whose_updater_has_died() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].beats = False
    fleet.run(20)
    fleet[ONE].probes = {"ami": ProbeResult.UNREACHABLE}
    fleet.poll()
    fleet[ONE].probes = {"ami": ALIVE}
    fleet.run(5)
    assert fleet.state(ONE) == "suspect"


def test_nobody_is_moved_for_a_minute_after_all_probes_went_blind() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {"ami": REFUSED}
    fleet.run(20)
    fleet[ONE].beats = False
    fleet.run(20)
    assert (fleet.state(ONE), fleet.health.brake) == ("suspect", reason(ReasonCode.PROBES_BLIND))
    fleet.run(45)
    assert fleet.health.brake is None, "a firewall that keeps them out for good must not keep everybody where they are"


def test_what_was_down_stays_down_under_a_new_collector() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    fleet.take_over()
    fleet.run(30)
    assert fleet.state(ONE) == "down"


# --- states -----------------------------------------------------------------------------------------------------


def test_a_dialer_that_comes_back_beats_for_10_s_and_is_on_probation_for_30() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    come_back(fleet, ONE)
    assert fleet.seconds_until(ONE, "recovering") == 11.0, "three advances, then ten seconds"
    assert fleet.of(ONE).evidence == "back after 1 death, on probation for 30 s"
    assert fleet.seconds_until(ONE, "up") == 30.0


def test_a_dialer_that_is_down_and_steps_does_not_come_back() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    fleet[ONE].beats, fleet[ONE].steps_seconds = True, 11
    for _ in range(300):
        fleet.poll()
        assert fleet.state(ONE) == "down"


def test_a_dialer_that_is_down_and_falls_silent_again_waits_anew() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    come_back(fleet, ONE)
    fleet.run(6)
    fleet[ONE].beats = False
    fleet.run(5)
    fleet[ONE].beats = True
    assert fleet.seconds_until(ONE, "recovering") > 10
    assert fleet.of(ONE).deaths == 1


def test_each_death_doubles_the_probation_up_to_ten_minutes() -> None:
    fleet = healthy(ONE, TWO, THREE)
    probations = []
    for _ in range(7):
        die(fleet, ONE)
        come_back(fleet, ONE)
        fleet.seconds_until(ONE, "recovering")
        said = fleet.of(ONE).evidence
        probations.append(fleet.seconds_until(ONE, "up", 700))
    assert probations == [30, 60, 120, 240, 480, 600, 600]
    assert said == "back after 7 deaths, on probation for 600 s"


def test_half_an_hour_without_a_death_is_a_new_beginning() -> None:
    fleet = healthy(ONE, TWO, THREE)
    for _ in range(2):
        die(fleet, ONE)
        come_back(fleet, ONE)
        fleet.seconds_until(ONE, "up", 100)
        fleet.run(1801)
    assert fleet.of(ONE).deaths == 0


def test_a_short_suspicion_does_not_cut_the_probation_short() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    come_back(fleet, ONE)
    fleet.seconds_until(ONE, "recovering")
    fleet[ONE].beats = False
    fleet.seconds_until(ONE, "suspect")
    fleet[ONE].beats = True
    assert fleet.seconds_until(ONE, "recovering") < 5


def test_switched_off_for_ten_seconds_means_draining() -> None:
    fleet = healthy(ONE, TWO)
    fleet[ONE].active = False
    fleet.poll()
    assert fleet.seconds_until(ONE, "draining") == 10.0
    fleet[ONE].active = True
    fleet.poll()
    assert fleet.state(ONE) == "up"


def test_one_that_was_switched_off_for_a_moment_is_as_before() -> None:
    fleet = healthy(ONE, TWO, THREE, FOUR)
    for each in (ONE, TWO, THREE):
        fleet[each].active = False
        fleet.poll()
        fleet[each].active = True
        fleet.run(60)
    fleet[ONE].active = False
    fleet.poll()
    assert fleet.seconds_until(ONE, "draining") == 10.0, "it was on since"
    fleet[ONE].active = True
    die(fleet, FOUR)
    die(fleet, THREE)
    assert fleet.health.brake is None, "all four are in service"


def test_closed_to_logins_is_closed_and_no_more() -> None:
    fleet = healthy(ONE, TWO)
    fleet[ONE].agent_logins = False
    fleet.run(60)
    assert fleet.state(ONE) == "closed"


def test_down_outranks_the_flags() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].active = fleet[ONE].agent_logins = False
    die(fleet, ONE)
    fleet.run(20)
    assert fleet.state(ONE) == "down"


def test_an_order_drains_at_once_until_it_is_taken_back() -> None:
    fleet = healthy(ONE, TWO)
    order = Drain(cluster=CLUSTER, ordered_at_ms=0, by="anna", server_ip=ONE)
    fleet.orders.add(order)
    fleet.poll()
    assert fleet.state(ONE) == "draining"
    fleet.orders.drains.clear()
    fleet.poll()
    assert fleet.state(ONE) == "up"


def test_a_maintenance_window_drains_ahead_of_time() -> None:
    midnight = datetime(2027, 1, 15, tzinfo=UTC)
    fleet = healthy(ONE, TWO)
    fleet.policy = Policy(windows=(MaintenanceWindow(start_minute=0, minutes=5, server_ips=frozenset({ONE})),))
    for seconds, state in ((-601, "up"), (-599, "draining"), (299, "draining"), (301, "up")):
        fleet.now_ms = round(midnight.timestamp() * 1000) + seconds * 1000 - TICK_MS
        fleet.poll()
        assert (fleet.state(ONE), fleet.state(TWO)) == (state, "up"), seconds


def test_a_window_holds_on_its_weekdays_only() -> None:
    friday = datetime(2027, 1, 15, 0, 30, tzinfo=UTC)
    window = MaintenanceWindow(start_minute=20, minutes=20, weekdays=frozenset({4}))
    assert window.covers(ONE, round(friday.timestamp() * 1000))
    assert not window.covers(ONE, round((friday.timestamp() + 86_400) * 1000))


def test_the_same_polls_give_the_same_verdicts() -> None:
    first, second = (healthy(ONE, TWO, ami=ALIVE) for _ in range(2))
    for fleet in (first, second):
        fleet[ONE].beats = False
        fleet.run(30)
    assert first.health == second.health
    assert DialerState.SUSPECT in {each.state for each in first.health.dialers.values()}


# --- dialers that VICIdial has no longer --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["listed", "asterisk"])
def test_a_dialer_that_is_removed_while_it_is_down_stays_down_until_its_last_agent_has_left(how: str) -> None:
    fleet = Fleet(ONE, TWO, THREE, probes={"ami": ALIVE}).run(5)
    fleet.sessions = [session("1001", ONE), session("1002", TWO)]
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.seconds_until(ONE, "down")
    before = fleet.of(ONE)
    setattr(fleet[ONE], how, False)
    assert fleet.run(60).of(ONE) == before
    fleet.sessions = fleet.sessions[1:]
    assert ONE not in fleet.run(0.5).health.dialers


def test_a_dialer_that_is_removed_while_it_is_up_is_judged_no_longer() -> None:
    fleet = Fleet(ONE, TWO, THREE).run(5)
    fleet.sessions = [session("1001", ONE)]
    fleet[ONE].asterisk = False
    assert ONE not in fleet.run(0.5).health.dialers


def test_one_that_is_listed_again_is_back_as_any_other_and_its_new_start_is_noticed() -> None:
    fleet = Fleet(ONE, TWO, THREE, probes={"ami": ALIVE})
    fleet[ONE].started = "10:00:00"
    fleet.run(5)
    fleet.sessions = [session("1001", ONE, number=7)]
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.seconds_until(ONE, "down")
    fleet[ONE].listed = False
    fleet.run(120)
    fleet[ONE].listed = fleet[ONE].beats = True
    fleet[ONE].probes, fleet[ONE].started = {"ami": ALIVE}, "10:03:00"
    assert fleet.run(1).state(ONE) == "down", "it has not beaten for long enough"
    assert fleet.of(ONE).interrupted_at_ms is not None
    assert fleet.seconds_until(ONE, "recovering", 90) > 5
