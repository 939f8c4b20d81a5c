"""The fleet brake: when it takes hold, when it lets go, and what is believed then."""

from messages.codes import ReasonCode
from messages.records import (
    DialerState,
    Unbrake,
)
from messages.words import reason
from tests.support.builders import CLUSTER, ONE, THREE, TWO
from tests.support.fleet import ALIVE, FOUR, REFUSED, Fleet, die, healthy


def test_with_two_dialers_one_dying_is_no_fleets_trouble() -> None:
    fleet = healthy(ONE, TWO)
    die(fleet, ONE)
    assert fleet.health.brake is None


def test_more_than_half_at_once_is_braked_until_they_are_back() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.seconds_until(ONE, "down", 80)
    assert fleet.health.brake == reason(ReasonCode.FLEET_BRAKE, bad=2, service=3)
    fleet.run(600)
    fleet[TWO].beats = True
    fleet.run(11)
    assert fleet.health.brake is not None
    fleet.run(1)
    assert fleet.health.bad_since_ms is None
    assert fleet.health.brake is None


def test_half_is_not_more_than_half() -> None:
    fleet = healthy(ONE, TWO, THREE, FOUR)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.run(20)
    assert fleet.health.brake is None


def test_the_next_collectors_clock_makes_no_death_an_old_one() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.run(10)
    fleet.sleep(3600)
    fleet.take_over()
    fleet.run(10)
    fleet[TWO].beats, fleet[TWO].probes = False, {"ami": REFUSED}
    fleet.run(5)
    assert fleet.health.brake == reason(ReasonCode.FLEET_BRAKE, bad=2, service=3)


def test_a_death_of_long_ago_stays_one_when_polls_were_missing() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.run(620)
    fleet.sleep(3)
    fleet.run(60)
    fleet[TWO].beats, fleet[TWO].probes = False, {"ami": REFUSED}
    fleet.run(5)
    assert (fleet.state(TWO), fleet.health.brake) == ("down", None)


def test_missing_rows_everywhere_are_braked() -> None:
    fleet = healthy(ONE, TWO, THREE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].row = False
    fleet.poll()
    assert fleet.health.brake


def test_deaths_that_probes_confirm_do_not_release_the_brake_by_time() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip in (ONE, TWO):
        fleet[server_ip].beats, fleet[server_ip].probes = False, {"ami": REFUSED}
    fleet.run(900)
    assert fleet.health.brake
    fleet[TWO].beats, fleet[TWO].probes = True, {"ami": ALIVE}
    fleet.run(12)
    assert fleet.health.brake is None


def test_an_operator_releases_the_brake_at_once_and_only_that_one() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.run(20)
    assert fleet.health.bad_since_ms is not None
    order = Unbrake(cluster=CLUSTER, ordered_at_ms=0, by="anna", bad_since_ms=fleet.health.bad_since_ms)
    fleet.orders.add(order)
    fleet.run(20)
    assert fleet.health.brake is None
    fleet[ONE].beats = fleet[TWO].beats = True
    fleet.run(60)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.run(20)
    assert fleet.health.brake


def test_dialers_that_died_long_ago_or_never_served_do_not_brake() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    fleet.run(700)
    die(fleet, TWO)
    assert (fleet.state(ONE), fleet.state(TWO), fleet.health.brake) == ("down", "down", None)


def test_the_brakes_set_stays_however_long_it_lasts() -> None:
    for dead in ((ONE, TWO, THREE), (ONE, TWO)):
        fleet = healthy(ONE, TWO, THREE)
        for server_ip in dead:
            fleet[server_ip].beats = False
        fleet.run(1900)
        assert fleet.health.brake == reason(ReasonCode.FLEET_BRAKE, bad=len(dead), service=3)


def test_what_was_silent_under_the_brake_counts_anew_when_it_lets_go() -> None:
    fleet = healthy(ONE, TWO, THREE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = False
    fleet.run(100)
    fleet[ONE].beats = True
    fleet.run(12)
    assert fleet.health.braked == (TWO, THREE)
    fleet[TWO].beats = True
    fleet.run(12)
    assert fleet.of(THREE).verdict is DialerState.SUSPECT
    assert fleet.health.brake is None
    fleet.run(73)
    assert fleet.of(THREE).verdict is DialerState.SUSPECT
    fleet.run(3)
    assert fleet.of(THREE).verdict is DialerState.DOWN


def test_dialers_that_come_back_one_by_one_are_never_down() -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = False
    fleet.run(45)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = True
        fleet.run(1.5)
    fleet.run(3)
    assert [(fleet.state(each), fleet.of(each).deaths) for each in (ONE, TWO, THREE)] == [("up", 0)] * 3


def test_a_new_start_of_an_asterisk_is_no_silence_that_counts_anew_when_a_brake_lets_go() -> None:
    fleet = Fleet(ONE, TWO, THREE, probes={"ami": ALIVE})
    fleet[ONE].started = "10:00:00"
    fleet.run(5)
    for server_ip in (ONE, TWO):
        fleet[server_ip].beats, fleet[server_ip].probes = False, {"ami": REFUSED}
    fleet.run(4)
    assert fleet.health.brake is not None
    for server_ip in (ONE, TWO):
        fleet[server_ip].probes = {"ami": ALIVE}
    fleet[ONE].started, fleet[TWO].beats = "10:01:00", True
    while fleet.health.bad_since_ms is not None:
        fleet.run(0.5)
    assert fleet.of(ONE).evidence == "its Asterisk started again at 10:01:00: every call and phone there is gone"
